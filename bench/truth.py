"""What may be different in a directory after a run, told from the good roster alone: shares no code with the program.

Only what harms is judged: that an account is disabled, moved, renamed, deleted or made, or shows a name, number or address,
otherwise than the good roster says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from bench.exports import Export

DOMAINS = dict.fromkeys(("KG", "01", "02"), "internal.lonestar.example.org") | {
    f"{grade:02}": "students.lonestar.example.org" for grade in range(3, 13)
}
STAFF_DOMAIN = "lonestar.example.org"
PARKED = "ou=disabled"


@dataclass(frozen=True, slots=True)
class Seen:
    """One account as the directory shows it; the container folded, below the base."""

    name: str
    container: str
    enabled: bool
    number: str
    family: str
    given: str
    mail: str


@dataclass(frozen=True, slots=True)
class Due:
    """One person of the good roster: where their account belongs, what it shows, and whether they have left."""

    key: str
    container: str
    family: str
    given: str
    domain: str
    left: bool
    number: str = ""
    whose: str = ""  # what is theirs under every number: the state's own, or an address


def due(good: Export, today: date) -> dict[str, Due]:
    """By student or staff number: what the good roster says of everybody in it."""
    codes = {key: row[good["orgs"].at("identifier")] for key, row in good["orgs"].rows.items()}
    users, roles = good["users"], good["roles"]
    user, role, org, kind = (roles.at(name) for name in ("userSourcedId", "role", "orgSourcedId", "roleType"))
    at = {row[user]: (row[role], codes[row[org]]) for row in roles.rows.values() if row[kind] == "primary"}
    told = {}
    for key, row in users.rows.items():
        number, grade = row[users.at("identifier")], row[users.at("grades")]
        work, code = at.get(key, ("", ""))
        student = work == "student"
        container = f"ou=grade {grade or 'none'},ou={code},ou=students" if student else f"ou={code},ou=staff"
        ends = row[users.at("metadata.exitDate")]
        told[number] = Due(
            key,
            container.lower(),
            row[users.at("familyName")],
            row[users.at("givenName")],
            DOMAINS.get(grade, "") if student else STAFF_DOMAIN,
            (bool(ends) and ends <= today.isoformat()) or row[users.at("enabledUser")] == "false",
            number,
            row[users.at("userIds")] or row[users.at("email")],
        )
    return told


def numbers_of(good: Export) -> dict[str, str]:
    """Whose each number is in a good roster: by it somebody is known who has another number later."""
    users = good["users"]
    number, ids, email = (users.at(name) for name in ("identifier", "userIds", "email"))
    return {row[number]: row[ids] or row[email] for row in users.rows.values()}


def wrongly_touched(
    before: Mapping[str, Seen],
    after: Mapping[str, Seen],
    truth: Mapping[str, Due],
    earlier: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The accounts, by the directory's own id, that were touched otherwise than the good roster says, and how.

    `earlier` tells of numbers in earlier good rosters whose they were (`numbers_of`).
    """
    wrong = {}
    theirs = {one.whose: one for one in truth.values() if one.whose}

    def again(number: str) -> Due | None:
        """Who has another number in the good roster: whether they are recognised by it is the settings' business."""
        return None if number in truth else theirs.get(earlier.get(number, ""))

    has_one = {found.number if (found := again(one.number)) else one.number for one in before.values()}
    for native in before.keys() | after.keys():
        was, now = before.get(native), after.get(native)
        if was == now:
            continue
        if now is None:
            wrong[native] = "deleted"
        elif was is None:
            if now.number not in truth:
                wrong[native] = "made for nobody"
            elif now.number in has_one:
                wrong[native] = "made twice"
        else:
            why = ", ".join(_differences(was, now, truth.get(was.number), again(was.number)))
            if why:
                wrong[native] = why
    return wrong


def _differences(was: Seen, now: Seen, person: Due | None, again: Due | None) -> Iterator[str]:
    gone = person is None or person.left
    person = person or again
    if now.number not in (was.number, person.number if person else was.number):
        yield f"number {was.number} became {now.number or 'empty'}"
    if now.name != was.name:
        yield "renamed"
    if was.enabled and not now.enabled and not gone:
        yield "disabled"
    if (
        now.container != was.container
        and not (gone and now.container.startswith(PARKED))
        and now.container != (person and person.container)
    ):
        yield f"moved to {now.container}"
    if person is None:
        return
    if now.family not in (was.family, person.family):
        yield "family name"
    if now.given not in (was.given, person.given):
        yield "given name"
    if now.mail not in (was.mail, f"{now.name}@{person.domain}" if person.domain else ""):
        yield "mail"
