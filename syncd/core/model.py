"""The values everything else speaks of: records, persons, accounts, changes, outcomes.

All are frozen and without behaviour beyond derived properties. They know nothing of YAML, SQL or LDAP. Two rules:
ours and theirs never share a name (`PersonId` against `NativeId`), and what came from outside keeps its provenance (`RowRef`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, NewType

SourceName = NewType("SourceName", str)
SourceKey = NewType("SourceKey", str)  # a source's own permanent key for one person, campus or class
TargetName = NewType("TargetName", str)
PersonId = NewType("PersonId", str)  # ours: minted once, never reused
NativeId = NewType("NativeId", str)  # theirs: entryUUID, objectGUID, Google's user id
RunId = NewType("RunId", str)
PopulationName = NewType("PopulationName", str)

Value = str | bool | int | date | tuple[str, ...] | None
NOTHING: Mapping[str, Value] = MappingProxyType({})


# --- what sources say -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class RowRef:
    """Where a value came from: the file as the source names it, and the line in it (1 is the header)."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Subject(StrEnum):
    """What a row, digest or reference edge is about."""

    PERSON = "person"
    CAMPUS = "campus"
    CLASS = "class"


@dataclass(frozen=True, slots=True, order=True)
class SubjectKey:
    """A person, campus or class of one source, by the source's own key."""

    subject: Subject
    key: SourceKey


@dataclass(frozen=True, slots=True)
class Campus:
    """An organisation of the roster. `code` is the district's own short code (OneRoster `identifier`, else the key)."""

    key: SourceKey
    name: str
    code: str
    kind: str = "school"
    parent: SourceKey | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A class as taught: OneRoster `classes`. `teachers` are source keys, the primary teacher first.

    `begin` (inclusive) and `end` (exclusive) span the class's terms; `active` is decided from them when a Person is built for one
    day.
    """

    key: SourceKey
    code: str
    title: str
    campus: SourceKey
    kind: str = "scheduled"  # or "homeroom"
    course: str = ""
    begin: date | None = None
    end: date | None = None
    active: bool = True
    teachers: tuple[SourceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Role:
    """One role at one campus. Dates are inclusive begin, exclusive end; None is unbounded."""

    campus: Campus
    role: str
    primary: bool = False
    begin: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One person in one class. Dates are inclusive begin, exclusive end (OneRoster: `endDate` is exclusive)."""

    section: Section
    role: str
    primary: bool = False
    begin: date | None = None
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Guardianship:
    """A guardian of this person, by the guardian's source key."""

    guardian: SourceKey
    relation: str = "guardian"


@dataclass(frozen=True, slots=True)
class Record:
    """One person as one source tells it, already joined with campuses, classes and guardians.

    `fields` holds canonical scalar fields only (`core.fields.FIELDS` and `extra.*`); an absent key means the source does not
    speak of that field, an empty string or None means it says there is none. `related` names other persons of the same source
    by relation (`manager`). `facts` holds claim facts as tokens only (R23): `birth_date` is equal for equal dates; `sealed` holds
    those that the state key opens. The campuses and classes whose rows fed it are those of its roles and enrolments (R4).
    """

    source: SourceName
    key: SourceKey
    fields: Mapping[str, Value]
    roles: tuple[Role, ...] = ()
    enrolments: tuple[Enrolment, ...] = ()
    guardians: tuple[Guardianship, ...] = ()
    related: Mapping[str, SourceKey] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[RowRef, ...] = ()
    sealed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reject:
    """One row we could not use and why. `key` is the person it shields; None shields every leaver of the source (R3)."""

    source: SourceName
    row: RowRef
    why: str
    key: SourceKey | None = None
    subject: Subject = Subject.PERSON


# --- who it is --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Person:
    """One human across sources, as of one day: scalar fields merged, and the campuses and classes that count today.

    `related` maps a relation (`manager`, `homeroom.teacher`) to the person it names. `records` are the sources that speak of
    them, most authoritative first.
    """

    id: PersonId
    fields: Mapping[str, Value]
    campus: Campus | None = None
    campuses: tuple[Campus, ...] = ()
    classes: tuple[Section, ...] = ()
    homeroom: Section | None = None
    guardians: tuple[PersonId, ...] = ()
    related: Mapping[str, PersonId] = field(default_factory=dict)
    records: tuple[tuple[SourceName, SourceKey], ...] = ()


# --- what targets hold ------------------------------------------------------------------------------------------------

Attributes = Mapping[str, tuple[str, ...]]  # attribute name -> its values; absent and () both mean "no value"


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account on one target; the same type is desired and observed.

    `container` is relative to the target's configured base, most specific first, as the target's `canonical()` spells it
    ("" is the base itself). `rdn` is the naming value without its attribute type. `groups` are the names of the groups the account
    holds, spelled like containers.
    """

    rdn: str
    container: str
    enabled: bool
    attributes: Attributes
    groups: frozenset[str] = frozenset()

    @property
    def named_otherwise(self) -> bool:
        r"""True for an account named by another attribute than accounts here are, which it is told with: `\cn=Ana Ruiz`."""
        return self.rdn.startswith("\\")


@dataclass(frozen=True, slots=True)
class Observed:
    """An account as a target reported it, under the target's own permanent id. `privileged` accounts are never candidates (R40)."""

    native_id: NativeId
    account: Account
    privileged: bool = False


@dataclass(frozen=True, slots=True)
class ObservedGroup:
    """A group as a target reported it. `members` are the NativeIds of member accounts inside scope; others are not told."""

    native_id: NativeId
    name: str
    members: frozenset[NativeId] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """The stored fact that this person owns that account, and why: created, matched by rule, or confirmed by whom."""

    person: PersonId
    target: TargetName
    native_id: NativeId
    why: str


# --- what is to be done -----------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a change does, listed in the order in which independent kinds are applied (R20)."""

    CREATE_CONTAINER = "create container"
    CREATE_GROUP = "create group"
    SET_GROUP = "set group"  # what the target's configuration says of a group, put right again
    CREATE = "create"
    ENABLE = "enable"
    UPDATE = "update"
    REMOVE_MEMBER = "remove member"  # before a move: slapd's refint renames members in the background, later
    MOVE = "move"  # rename, move between containers, or both
    REFER = "refer"  # attributes that name another account, once that account is where it belongs
    ADD_MEMBER = "add member"
    DISABLE = "disable"
    PARK = "park"  # the move of a disabled account
    DELETE = "delete"
    DISABLE_DEVICE = "disable device"
    ENABLE_DEVICE = "enable device"
    ANNOTATE_DEVICE = "annotate device"
    MOVE_DEVICE = "move device"


KIND_ORDER: Mapping[Kind, int] = MappingProxyType({kind: rank for rank, kind in enumerate(Kind)})
DEVICE_KINDS = frozenset({Kind.DISABLE_DEVICE, Kind.ENABLE_DEVICE, Kind.ANNOTATE_DEVICE, Kind.MOVE_DEVICE})
GROUP_KINDS = frozenset({Kind.CREATE_GROUP, Kind.SET_GROUP, Kind.ADD_MEMBER, Kind.REMOVE_MEMBER})
ACCOUNT_KINDS = frozenset(Kind) - DEVICE_KINDS - GROUP_KINDS - {Kind.CREATE_CONTAINER}


@dataclass(frozen=True, slots=True)
class Change:
    """One step on one subject of one target.

    Account kinds carry `person`; `before` and `after` hold the location at that moment (rdn, container, enabled) and only the
    attributes this change writes. A membership carries `person`, `group`, and in `before`
    the member's location. A device kind carries the device's `native_id`, and as `person` whose the device is to be, if anybody's;
    `before` and `after` tell the device as if it were an account: its serial as `rdn`, its unit as `container`, its notes as
    attributes. A container or group carries only `group` (its name). `native_id` is None until the account exists:
    for a step behind a create of the same plan it is filled in by the engine when the create has landed.
    """

    target: TargetName
    kind: Kind
    reason: str
    person: PersonId | None = None
    native_id: NativeId | None = None
    before: Account | None = None
    after: Account | None = None
    group: str | None = None
    campus: str = ""
    population: str = ""


class Result(StrEnum):
    """What came of a change (R17)."""

    DONE = "done"
    ALREADY = "already"
    FAILED = "failed"
    UNKNOWN = "unknown"  # sent, unanswered: resolved by reading before anything is decided


class Failure(StrEnum):
    """Why a change failed, in the words an operator acts on."""

    STALE = "stale"  # a precondition missed: reread and replan once (R18)
    NAME_TAKEN = "name taken"
    NO_SUCH_OBJECT = "no such object"
    NO_CONTAINER = "no container"
    INVALID = "invalid value"
    REFUSED = "refused"  # rights or policy
    NO_SEAT = "no seat left"  # of a licence: there may be one as soon as somebody buys it
    OUT_OF_SCOPE = "out of scope"
    WAITS = "waits"  # on a change that failed
    OTHER = "other"


class OutOfReach(NamedTuple):
    """A part of a target that cannot be used now, while the rest of it can: what it is called, why, and what to do about it."""

    part: str
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one change. `native_id` is set for a create that landed. `why` is the target's exact words where it refused.

    `beyond` is set where nothing was sent because the part of the target that it takes is out of reach.
    """

    change: Change
    result: Result
    native_id: NativeId | None = None
    failure: Failure | None = None
    why: str = ""
    beyond: OutOfReach | None = None

    @property
    def landed(self) -> bool:
        """True when the target now is as the change wanted it."""
        return self.result in (Result.DONE, Result.ALREADY)
