"""What humans decided about who somebody is (R6), and what follows for records that nobody is known by.

A decision is about a subject and a candidate: a record (`source/key`), a person, or an account (`target:native id`). It is kept for
ever, and nothing that was decided is asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from syncd.core.model import NativeId, PersonId, SourceKey, SourceName, TargetName

RecordKey = tuple[SourceName, SourceKey]


class Verb(StrEnum):
    """What was decided of a subject and a candidate."""

    MERGE = "merge"  # the record is one of the candidate's; or the person is one with the candidate, who stays
    IGNORE = "ignore"  # they have nothing to do with each other
    LINK = "link"  # the account is the person's


@dataclass(frozen=True, slots=True)
class Resolution:
    """One decision: who made it, as the kernel says (R39), when and why; `withdrawn`: when it was taken back."""

    verb: Verb
    subject: str
    candidate: str
    at: datetime
    actor: str
    because: str
    withdrawn: datetime | None = None
    number: int = 0

    @property
    def told(self) -> tuple[Verb, str, str]:
        """What was decided, without who, when and why."""
        return self.verb, self.subject, self.candidate


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions as correlation asks for them: whose a record is, and which two are not one.

    `merged` leads from a record to a person, or to the record it is one with.
    """

    merged: Mapping[RecordKey, PersonId | RecordKey] = field(default_factory=dict)
    apart: frozenset[frozenset[str]] = frozenset()

    def are_apart(self, one: str, other: str) -> bool:
        """True where a human said that these two are not one."""
        return frozenset((one, other)) in self.apart


NOTHING_DECIDED = Decisions()


@dataclass(frozen=True, slots=True)
class United:
    """That somebody is one with somebody else, who stays: who that is in the end, and who said so and why.

    `called`: the names, as the ledger spells them, that stand on an account which was left behind.
    """

    into: PersonId
    told: str
    called: frozenset[str] = frozenset()


def decisions(resolutions: Iterable[Resolution]) -> Decisions:
    """The decisions about records that these resolutions are; those withdrawn are none. The newest of two says what holds."""
    merged: dict[RecordKey, PersonId | RecordKey] = {}
    apart: set[frozenset[str]] = set()
    for one in resolutions:
        if one.withdrawn is not None:
            continue
        if one.verb is Verb.IGNORE:
            apart.add(frozenset((one.subject, one.candidate)))
        elif one.verb is Verb.MERGE and (key := record_of(one.subject)) is not None:
            merged[key] = record_of(one.candidate) or PersonId(one.candidate)
    return Decisions(merged, frozenset(apart))


def spelled(key: RecordKey) -> str:
    """How a record is named: `source/key`."""
    return f"{key[0]}/{key[1]}"


def record_of(text: str) -> RecordKey | None:
    """The record that a text names; None where it names a person or an account."""
    source, slash, key = text.partition("/")
    return (SourceName(source), SourceKey(key)) if slash and ":" not in source else None


def person_of(text: str) -> PersonId | None:
    """The person that a text names, by our own id; None where it names something else."""
    return PersonId(text) if text[:1] == "p" and text[1:].isascii() and text[1:].isdecimal() else None


def account_of(text: str) -> tuple[TargetName, NativeId] | None:
    """The account that a text names, `target:native id`; None where it names something else."""
    target, colon, native_id = text.partition(":")
    return (TargetName(target), NativeId(native_id)) if colon and native_id and "/" not in target else None
