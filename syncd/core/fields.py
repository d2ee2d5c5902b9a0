"""The canonical field names: what a mapping may read of a person, whatever source told it.

A source translates its columns into these names; correlation, mapping and the generated reference read this one table.
Claim facts (birth date, SSN digits) are deliberately not fields: no mapping can put them into a directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """The static type of a field, known to the mapping compiler when a file is loaded."""

    TEXT = "text"
    FLAG = "flag"
    NUMBER = "number"
    DATE = "date"
    LIST = "list of text"
    CAMPUS = "campus"
    CAMPUSES = "list of campuses"
    CLASS = "class"
    CLASSES = "list of classes"
    PERSON = "person"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field: its type and what it means."""

    type: FieldType
    doc: str


T, F, N, D, L = FieldType.TEXT, FieldType.FLAG, FieldType.NUMBER, FieldType.DATE, FieldType.LIST

# What a Record's `fields` may hold, besides `extra.<column>` (always text) for declared supplement and metadata columns.
SCALARS: dict[str, Field] = {
    "given": Field(T, "legal given name"),
    "middle": Field(T, "legal middle name"),
    "family": Field(T, "legal family name, with both surnames where there are two"),
    "suffix": Field(T, "generational suffix: Jr, III"),
    "preferred_given": Field(T, "given name the person goes by"),
    "preferred_middle": Field(T, "middle name the person goes by"),
    "preferred_family": Field(T, "family name the person goes by"),
    "student_number": Field(T, "the district's student number (text: leading zeros stay)"),
    "staff_number": Field(T, "the district's employee number"),
    "state_id": Field(T, "the state's permanent number, such as the Texas Unique ID or S-number"),
    "prior_number": Field(T, "the number this person had before a change of student information system"),
    "sis_username": Field(T, "user name as the source has it"),
    "email": Field(T, "e-mail address as the source has it; often a private one"),
    "phone": Field(T, "telephone number"),
    "sms": Field(T, "mobile number"),
    "pronouns": Field(T, "pronouns"),
    "roles": Field(L, "roles in use today at any campus: student, teacher, aide, parent, …"),
    "grade": Field(T, "grade as two characters: PK, KG, 01 … 12"),
    "grade_index": Field(N, "grade as a number for comparing: PK -1, KG 0, 01 1 … 12 12; absent where unknown"),
    "enabled": Field(F, "false where the source marks the person as not to have access"),
    "start_date": Field(D, "first day at the district"),
    "exit_date": Field(D, "explicit last day at the district (R36)"),
    "exit_reason": Field(T, "why the person left, as the source codes it"),
    "directory_optout": Field(F, "FERPA directory-information opt-out (R37)"),
    "confidential": Field(F, "masked in every report (R37)"),
}

# What is derived when a Person is built for one day.
DERIVED: dict[str, Field] = {
    "campus": Field(FieldType.CAMPUS, "the primary campus"),
    "campuses": Field(FieldType.CAMPUSES, "every campus with an active role or enrolment"),
    "classes": Field(FieldType.CLASSES, "classes with an active enrolment"),
    "homeroom": Field(FieldType.CLASS, "the active class of kind homeroom"),
    "manager": Field(FieldType.PERSON, "the person this one reports to"),
    # Who reads an attribute decides which of the three it shows: teachers and classmates, the registrar, or the district's choice.
    "legal_name": Field(T, "given, family and suffix, joined: for whoever needs the name on record"),
    "preferred_name": Field(
        T, "preferred_given, preferred_family and suffix, joined; the legal part where there is no preferred one"
    ),
    "display_given": Field(T, "given name to show: legal, or preferred where the district chose so"),
    "display_family": Field(T, "family name to show"),
    "display_name": Field(T, "display_given, display_family and suffix, joined"),
}

SHOWN_NAMES = ("legal_name", "preferred_name", "display_given", "display_family", "display_name")
"""The names a person is shown by; one may read them of a related person too."""

FIELDS: dict[str, Field] = SCALARS | DERIVED

# What a dotted path may read behind a campus, class or person. A person behind a person is one step only (R4).
MEMBERS: dict[FieldType, dict[str, Field]] = {
    FieldType.CAMPUS: {
        "code": Field(T, "the district's short code"),
        "name": Field(T, "name"),
        "key": Field(T, "the source's own key"),
        "kind": Field(T, "school, department, district, …"),
    },
    FieldType.CLASS: {
        "code": Field(T, "class code"),
        "title": Field(T, "title"),
        "key": Field(T, "the source's own key"),
        "course": Field(T, "course title"),
        "active": Field(F, "true while one of its terms is running"),
        "kind": Field(T, "scheduled or homeroom"),
        "teacher": Field(FieldType.PERSON, "the primary teacher"),
    },
    FieldType.DEVICE: {
        "serial": Field(T, "serial number, as the target spells it"),
        "asset": Field(T, "asset tag, as the roster of devices tells it"),
        "pool": Field(T, "what the roster's pool column says"),
        "model": Field(T, "model, as the target tells it"),
        "address": Field(T, "the name of the student's account on this target"),
    },
    FieldType.PERSON: SCALARS | {name: DERIVED[name] for name in SHOWN_NAMES},
}

CLAIM_FACTS = ("birth_date", "ssn4", "s_number4")
"""What may prove at a claim who somebody is. Stored only as tokens (R23); never a field."""
