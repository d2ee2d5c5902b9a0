"""A district's people as entries that somebody else made in a directory: twelve attributes each, names unlike ours, as LDIF."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from syncd.demo.district import District
from syncd.demo.roster import Employee, Student
from syncd.demo.slapd import SUFFIX

ATTRIBUTES = (
    *("uid", "cn", "sn", "givenName", "displayName", "employeeNumber", "employeeType", "departmentNumber"),
    *("physicalDeliveryOfficeName", "mail", "initials", "description"),
)


def of_others(district: District) -> Iterator[str]:
    """One LDIF entry for every student, then for every employee, in the order of the roster."""
    roster = district.roster
    people: tuple[Student | Employee, ...] = (*roster.students.values(), *roster.staff.values())
    for person in people:
        school = roster.schools[person.schools[0]]
        yield _entry(person, school.code, school.name)


def _entry(person: Student | Employee, code: str, school: str) -> str:
    kind, place = ("student", "Students") if isinstance(person, Student) else ("staff", "Staff")
    name = f"{kind[:2]}{person.number}"
    whole = f"{person.given} {person.family}"
    values = (name, whole, person.family, person.given, whole, person.number, kind, code, school)
    rest = (f"{name}@old.example.org", person.middle or "-", "Made by hand")
    lines = [f"dn: uid={name},ou={place},{SUFFIX}", "objectClass: inetOrgPerson"]
    lines += map(_line, ATTRIBUTES, (*values, *rest))
    return "\n".join(lines)


def _line(attribute: str, value: str) -> str:
    """RFC 2849: what is not plain ASCII is written in Base64."""
    if value.isascii() and value.isprintable() and value[:1] not in (" ", ":", "<"):
        return f"{attribute}: {value}"
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"
