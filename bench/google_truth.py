"""What a Google Workspace customer must hold after a run of `script/demo --google`, told from the roster's files alone.

The oracle of the tests reads the files and knows the shipped mapping, without a line of the program's; here is only what
bench/mappings/google.yaml says otherwise. Compared with it is the double's own state, not what the program remembers of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.doubles.google import GoogleDouble
from tests.doubles.google.documents import Json
from tests.oracle import Answer, Expected

DOMAIN = "lonestar.example.org"
STUDENTS, GROUPS = f"students.{DOMAIN}", f"groups.{DOMAIN}"
_LONGEST = 60  # characters of a name
_PARKED = "ou=Disabled"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One account as it must stand."""

    address: str
    given: str
    family: str
    unit: str
    suspended: bool
    title: str
    campus: str
    listed: bool
    groups: frozenset[str]
    licensed: bool


@dataclass(slots=True)
class Verdict:
    """How the customer differs from what must be: keys of people, or addresses, with what is wrong."""

    right: int
    duplicates: list[str]
    lost: list[str]
    strangers: list[str]
    different: list[str]
    members: int
    licences: int
    wrong_members: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is."""
        return not (self.duplicates or self.lost or self.strangers or self.different or self.wrong_members)


def wanted(answer: Answer) -> dict[str, Wanted]:
    """By student or staff number: everybody's account, in Google's words."""
    return {one.attributes["employeeNumber"]: _in_googles_words(one) for one in answer.accounts.values()}


def _in_googles_words(one: Expected) -> Wanted:
    told = one.attributes
    is_student = told["employeeType"] == "student"
    return Wanted(
        address=f"{one.uid}@{STUDENTS if is_student else DOMAIN}",
        given=told.get("givenName", "")[:_LONGEST],
        family=told.get("sn", "")[:_LONGEST],
        unit="".join(f"/{part.partition('=')[2]}" for part in reversed(one.container.split(","))),
        suspended=not one.enabled,
        title=told["employeeType"],
        campus=told.get("departmentNumber", ""),
        listed=not is_student or "displayName" in told,  # families that opted out are shown nowhere
        groups=frozenset(address for name in one.groups if (address := _group(name))),
        licensed=is_student and bool(one.groups),
    )


def _group(name: str) -> str:
    """The address of a group that the shipped mapping calls `cn=101 Grade 07,ou=Groups`; empty for a class, which is none here."""
    told = name.partition(",")[0].removeprefix("cn=")
    return "" if told.startswith("Class ") else f"{told.lower().replace(' ', '-')}@{GROUPS}"


def judge(answer: Answer, google: GoogleDouble, sku: tuple[str, str]) -> Verdict:
    """Hold everything the customer has against what must be there."""
    due = wanted(answer)
    users = google.users()
    numbers = Counter(_number(user) for user in users.values())
    by_number = {_number(user): user for user in users.values()}
    different = [
        f"{number}: {name} is {now!r}, not {then!r}"
        for number, user in by_number.items()
        if number in due
        for name, now, then in _differences(user, due[number])
    ]
    places = Counter(line.partition(":")[0] for line in different)
    held = {str(one.resource["email"]): google.members(one.id) for one in list(google.tenant.groups.values())}
    must = _members(due)
    held["licence"], must["licence"] = google.licensed(*sku), {one.address for one in due.values() if one.licensed}
    nobody = set[str]()
    wrong = [
        f"{name}: {len(now - then)} too many, {len(then - now)} missing, such as {min(now ^ then)}"
        for name in sorted(held.keys() | must.keys())
        if (now := held.get(name, nobody)) != (then := must.get(name, nobody))
    ]
    licences = len(held.pop("licence"))
    return Verdict(
        right=sum(number in due and number not in places for number in by_number),
        duplicates=[number for number, times in numbers.items() if times > 1],
        lost=sorted(due.keys() - by_number.keys()),
        strangers=sorted(by_number.keys() - due.keys()),
        different=different,
        members=sum(map(len, held.values())),
        licences=licences,
        wrong_members=wrong,
    )


def _members(due: Mapping[str, Wanted]) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for one in due.values():
        for group in one.groups:
            members.setdefault(group, set()).add(one.address)
    return members


def _number(user: Json) -> str:
    return next((str(one["value"]) for one in user.get("externalIds", ()) if one.get("type") == "organization"), "")


def _differences(user: Json, due: Wanted) -> Iterator[tuple[str, object, object]]:
    work: Json = next(iter(user.get("organizations", ())), {})
    pairs: tuple[tuple[str, object, object], ...] = (
        ("primaryEmail", user["primaryEmail"], due.address),
        ("givenName", user["name"].get("givenName", ""), due.given),
        ("familyName", user["name"].get("familyName", ""), due.family),
        ("orgUnitPath", user["orgUnitPath"], due.unit),
        ("suspended", user["suspended"], due.suspended),
        ("title", work.get("title", ""), due.title),
        ("department", work.get("department", ""), due.campus),
        ("includeInGlobalAddressList", user.get("includeInGlobalAddressList", True), due.listed),
        ("aliases", list(user.get("aliases", ())), []),  # nobody's address changes here: renames are proposed, not made
    )
    yield from (pair for pair in pairs if pair[1] != pair[2])
