"""What the store is asked for and told: frozen values, without a connection in any of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from syncd.core.guard import Cell
from syncd.core.health import Freshness
from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Account,
    Change,
    Failure,
    NativeId,
    PersonId,
    Record,
    Result,
    RunId,
    SourceKey,
    SourceName,
    SubjectKey,
    TargetName,
)
from syncd.core.naming import IssuedName
from syncd.core.profile import Profile


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """An accepted snapshot: which spool, the hash of what was read, and rows per table (`persons` among them)."""

    source: SourceName
    spool: str
    content: str
    counts: Mapping[str, int]
    accepted_on: date
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A source key and the person it belongs to; since when, and from how many distinct accepted snapshots, it is absent (R13)."""

    source: SourceName
    key: SourceKey
    person: PersonId
    missing_since: date | None = None
    absences: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A link, with the account as we last knew it. `account.groups` are the groups whose membership we own (R19)."""

    person: PersonId
    target: TargetName
    native_id: NativeId
    why: str
    account: Account
    disabled_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to list, never an exception: a reject, a dispute, a quarantined person, a strayed account."""

    kind: str
    subject: str
    why: str
    person: PersonId | None = None
    source: SourceName | None = None
    target: TargetName | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intention:
    """A change that was journalled before it was sent and has no outcome yet."""

    seq: int
    run: RunId
    change: Change


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One journalled change and what came of it; `result` is None while that is open."""

    seq: int
    run: RunId
    at: datetime
    change: Change
    result: Result | None = None
    failure: Failure | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `status`: planning, planned, held, applying, done, partly failed, failed, interrupted, rejected; tried: not kept."""

    id: RunId
    pipeline: str
    kind: str
    trigger: str
    status: str
    started: datetime
    ended: datetime | None
    summary: Mapping[str, int]
    held: tuple[str, ...] = ()  # why it waits for somebody, a sentence for each limit; counts and campuses, never persons


@dataclass(frozen=True, slots=True)
class Approval:
    """Who let a plan's held changes go, or turned them down, as the kernel says it (R39), why, and until when."""

    run: RunId
    at: datetime
    expires: datetime
    actor: str
    because: str


@dataclass(frozen=True, slots=True)
class Wellbeing:
    """What health is judged by: freshness, the newest runs of each pipeline, and counts. No persons."""

    freshness: tuple[Freshness, ...]
    runs: Mapping[str, tuple[RunRow, ...]]  # newest first
    absent: Mapping[SourceName, int]  # how many canaries the last accepted roster does not tell of
    accounts: Mapping[str, int]  # linked, by target
    findings: Mapping[str, int]  # by kind
    quarantined: int
    rollover: str = ""  # as it was remembered
    half_approved: int = 0  # changes that somebody approved, but not as many as must
    rekeying: Mapping[SourceName, Mapping[str, int]] = field(default_factory=dict)  # facts under earlier keys, by source and key
    required_absent: Mapping[SourceName, int] = field(default_factory=dict)  # how many who must have an account it does not tell of


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A name, who has it (a person id, or `target:native id`), and whether it is reserved, issued or found."""

    name: str
    holder: str
    state: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SealedPassword:
    """A first password waiting for its letter; `sealed` opens with the vault under engine's context."""

    id: int
    target: TargetName
    person: PersonId
    sealed: bytes
    expires: datetime
    handed_out: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Somebody in a class, as their last good record says."""

    person: PersonId
    role: str
    primary: bool
    begin: date | None
    end: date | None


@dataclass(frozen=True, slots=True)
class Guardian:
    """A guardian by the source's key; `person` is who that is here, if anybody."""

    source: SourceName
    key: SourceKey
    relation: str
    person: PersonId | None


@dataclass(frozen=True, slots=True)
class Retold:
    """A roster read for the first time under this key (R23).

    `digests` are of whatever it tells as it did, but for the key; `facts` the claim facts of these people as they are to lie at
    rest. `complete`: it holds no fact under an earlier key, so that whose facts are still under one is not in it.
    """

    digests: Mapping[SubjectKey, int] = field(default_factory=dict)
    facts: Mapping[SourceKey, Mapping[str, str]] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a human decided, to be put on the audit's chain together with what follows from it."""

    kind: str
    actor: str
    contents: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Everything a clear plan makes true before its first change is sent, in one transaction.

    `digests` holds per source what to write and what to delete. `refs` replaces the persons whose rows a person's accounts read
    (R4). `dirty` are marks to add (R5). `names` replaces a person's names by kind. `links` are accounts adopted, or seen to be
    other than we knew, and `found` the names seen on targets, with their holders: in one transaction with the marks, so that what
    was seen is never known unmarked. `findings` replaces the current ones of the pipeline. `believed` are signs of the rosters that
    nobody is held for, counted by cell. `bookmarks` say up to where targets were looked at: what was seen there is among the rest.
    `gone` are the linked accounts that a whole read of a target did not find anywhere. `retold` are rosters read for the first time
    under another key. `profiles` are what the files of a source look like that the next roster is compared with. `said` is
    the decision behind it all, where there is one.
    """

    snapshots: tuple[SnapshotRow, ...] = ()
    digests: Mapping[SourceName, tuple[Mapping[SubjectKey, int], Collection[SubjectKey]]] = field(default_factory=dict)
    records: tuple[Record, ...] = ()
    keys: tuple[KnownKey, ...] = ()
    persons: tuple[PersonState, ...] = ()
    refs: Mapping[PersonId, Collection[tuple[SourceName, SourceKey]]] = field(default_factory=dict)
    dirty: Collection[PersonId] = ()
    names: Mapping[PersonId, tuple[IssuedName, ...]] = field(default_factory=dict)
    links: tuple[Known, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] | None = None
    believed: Mapping[Cell, int] = field(default_factory=dict)
    bookmarks: Mapping[TargetName, str] = field(default_factory=dict)
    gone: Mapping[TargetName, Collection[NativeId]] = field(default_factory=dict)
    retold: Mapping[SourceName, Retold] = field(default_factory=dict)
    profiles: Mapping[SourceName, Mapping[str, Profile]] = field(default_factory=dict)
    said: Said | None = None
