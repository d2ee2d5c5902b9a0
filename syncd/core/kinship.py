"""Whether somebody new is a child known from before, under a new number: what their records have in common.

Decides nothing: it raises a dispute, and tells whoever resolves it what speaks for whom.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from syncd.core.model import PersonId, Record, Value
from syncd.core.naming import fold

STATE_ID, PRIOR_NUMBER, GUARDIAN = (
    "has the same state id",
    "had the number that is told as the prior one",
    "has the same legal name and guardian",
)
_NUMBERS = ("student_number", "staff_number")


class Kin:
    """Known persons by what identifies a child across numbers: state id, former numbers, and legal name with guardian."""

    def __init__(self, known: Mapping[PersonId, Sequence[Record]]) -> None:
        self._by_mark: dict[tuple[str, str], set[PersonId]] = defaultdict(set)
        for person, records in known.items():
            for record in records:
                for mark in _held(record):
                    self._by_mark[mark].add(person)

    def of(self, record: Record) -> dict[PersonId, str]:
        """Who this record may be, and what speaks for it."""
        found: dict[PersonId, list[str]] = {}
        for why, mark in _asked(record):
            for person in self._by_mark.get(mark, ()):
                if why not in found.setdefault(person, []):
                    found[person].append(why)
        return {person: " and ".join(reasons) for person, reasons in sorted(found.items())}


def _held(record: Record) -> Iterable[tuple[str, str]]:
    if state_id := _text(record.fields.get("state_id")):
        yield STATE_ID, state_id
    yield PRIOR_NUMBER, record.key
    for name in _NUMBERS:
        if number := _text(record.fields.get(name)):
            yield PRIOR_NUMBER, number
    yield from _guarded(record)


def _asked(record: Record) -> Iterable[tuple[str, tuple[str, str]]]:
    if state_id := _text(record.fields.get("state_id")):
        yield STATE_ID, (STATE_ID, state_id)
    if prior := _text(record.fields.get("prior_number")):
        yield PRIOR_NUMBER, (PRIOR_NUMBER, prior)
    for mark in _guarded(record):
        yield GUARDIAN, mark


def _guarded(record: Record) -> Iterable[tuple[str, str]]:
    given, family = (fold(_text(record.fields.get(name))) for name in ("given", "family"))
    if given and family:
        for guardian in record.guardians:
            yield GUARDIAN, f"{given} {family} {record.source} {guardian.guardian}"


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""
