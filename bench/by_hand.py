"""bench/mappings/twenty.yaml once more, as somebody would write it in Python for one district: the reference of mapping_100k."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from syncd.core.mapping import escape_dn
from syncd.core.model import Account, Person

Values = Mapping[str, tuple[str, ...]]

INITIAL = frozenset({"preferredLanguage", "description"})
IF_EMPTY = frozenset({"mobile", "telephoneNumber", "homePostalAddress"})


def account(person: Person, username: str, domains: Mapping[str, str], today: date) -> Account:
    """The account of one student."""
    fields: Mapping[str, Any] = person.fields
    name, grade, number = fields["display_name"], fields.get("grade") or "", fields.get("student_number") or ""
    index, campus = fields.get("grade_index"), person.campus
    middle, sms, phone, family, given = (
        fields.get("middle"),
        fields.get("sms"),
        fields.get("phone"),
        fields["display_family"],
        fields["display_given"],
    )
    code, school, kind = (campus.code, campus.name, campus.kind) if campus is not None else ("", "", "")
    if not code:
        raise ValueError(f"{username} has no campus")
    attributes = {
        "uid": (username,),
        "cn": (name,) if name else (),
        "sn": (family,) if family else (),
        "givenName": (given,) if given else (),
        "displayName": (name,) if name and not fields.get("directory_optout") else (),
        "initials": (middle,) if middle else (),
        "employeeNumber": (number,) if number else (),
        "employeeType": ("student",),
        "departmentNumber": (code,),
        "physicalDeliveryOfficeName": (school,) if school else (),
        "mail": (f"{username}@{domains[grade]}",) if index is not None and index >= 0 else (),
        "title": (f"Grade {grade} at {school}",),
        "ou": tuple(dict.fromkeys(part for part in (code, kind) if part)),
        "businessCategory": tuple(dict.fromkeys(fields.get("roles") or ())),
        "labeledURI": (f"https://people.lonestar.example.org/{number}",),
        "preferredLanguage": ("en-US",),
        "mobile": (sms,) if sms else (),
        "telephoneNumber": (phone,) if phone else (),
        "homePostalAddress": (f"{school}, {name}",),
        "description": (f"Created {today.isoformat()} from the roster",),
    }
    container = f"ou=Grade {escape_dn(grade or 'none')},ou={escape_dn(code)},ou=Students"
    return Account(username, container, enabled=True, attributes=attributes)


def difference(want: Values, have: Values) -> dict[str, tuple[str, ...]]:
    """What has to be written: initial values never, others only where they differ, and some only while they are empty."""
    changed = {}
    for name, values in want.items():
        if name in INITIAL:
            continue
        held = have.get(name, ())
        if held == values or (held and name in IF_EMPTY):
            continue
        changed[name] = values
    return changed
