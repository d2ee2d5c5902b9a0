"""A roster that is read for the first time under another state key: what of it is new, and what differs by the key alone (R23).

Digits are kept as digests that hang on the key, and rows as digests of those: after a rotation every row differs. Looked at past
the digits, it does not, and nobody is dirty who is told as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from syncd.core.claims import joined
from syncd.core.model import Record, Reject, SourceKey, Subject, SubjectKey
from syncd.sources import RowDigest, Source
from syncd.sources.rekeying import Blind
from syncd.sources.spool import Spool
from syncd.store import Retold
from syncd.vault import keys_in

ROW_SPACE = 1 << 128
"""Digests of rows are summed in this ring."""


def retold(
    source: Source, spool: Spool, earlier: Spool, changed: Mapping[SubjectKey, int], before: Mapping[SubjectKey, int], key: str
) -> tuple[Retold, bool]:
    """Of those who have `changed`, who is told as in the `earlier` spool but for the key; and whether all the roster is.

    `key` is the id of the present one. Only somebody whose digest `before` is that of the earlier spool: of anybody else something
    is still to be done (R5). Raises EndpointError where the earlier one cannot be read.
    """
    accepted = sums(source.digests(earlier))
    was, unusable = _sums_and_rejects(source.digests(Blind(earlier)))
    now, useless = _sums_and_rejects(source.digests(Blind(spool)))
    same = {
        one: digest
        for one, digest in changed.items()
        if one in before and before[one] == accepted.get(one) and was.get(one) == now.get(one)
    }
    facts: dict[SourceKey, Mapping[str, str]] = {}
    complete = True
    for record in source.records(spool, None):
        if isinstance(record, Record):
            kept = joined(record.facts, record.sealed)
            complete = complete and set(keys_in(kept.values())) <= {key}
            if SubjectKey(Subject.PERSON, record.key) in same:
                facts[record.key] = kept
    return Retold(same, facts, complete), (was, unusable) == (now, useless)


def sums(told: Iterable[RowDigest | Reject]) -> dict[SubjectKey, int]:
    """The digest of everybody and everything that rows tell of."""
    return _sums_and_rejects(told)[0]


def _sums_and_rejects(told: Iterable[RowDigest | Reject]) -> tuple[dict[SubjectKey, int], list[Reject]]:
    found: dict[SubjectKey, int] = {}
    rejects: list[Reject] = []
    for item in told:
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            subject, digest = item
            found[subject] = (found.get(subject, 0) + digest) % ROW_SPACE
    return found, rejects
