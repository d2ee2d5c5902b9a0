"""Records that nobody is known by: whose they are, asked of what is remembered, and of what humans decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from syncd.core import identify as rules
from syncd.core.identify import Dispute, likeness
from syncd.core.kinship import Kin
from syncd.core.lifecycle import PersonState
from syncd.core.model import PersonId, Record, SourceKey, SourceName
from syncd.core.rendering import MASK
from syncd.core.resolution import Decisions, RecordKey, decisions, spelled
from syncd.store import Finding, KnownKey, Store


class Found(Protocol):
    """What a run knows of everybody it looks at, and is told here of newcomers."""

    records: dict[PersonId, list[Record]]
    keys: dict[PersonId, list[KnownKey]]
    minted: set[PersonId]
    unsettled: dict[SourceName, set[SourceKey]]
    changed_keys: list[KnownKey]
    findings: dict[tuple[str, str], Finding]


def identify(
    unknown: list[Record],
    match_on: Mapping[SourceName, tuple[str, ...]],
    is_held: Callable[[tuple[PersonId, SourceName]], bool],
    former: Collection[PersonId],
    store: Store,
    result: Found,
) -> dict[PersonId, set[SourceName]]:
    """Give every record nobody knows a person: attach it, mint one, or list it as disputed.

    `former` are persons whom a source tells of no more: somebody new may be one of them under a new number. Comes back: which known
    persons have a new key, and in which sources.
    """
    if not unknown:
        return {}
    unknown.sort(key=lambda record: (record.source, record.key))
    likenesses = {told[0] for told in map(likeness, unknown) if told is not None}
    resembling = store.resembling(likenesses)
    alike = _alike(likenesses, resembling, result)
    for person, records in result.records.items():
        # Known, but minted by a plan that nobody applied: the store does not know yet what they can be recognised by.
        for like, given in filter(None, map(likeness, records)):
            if like in likenesses and person not in {state.id for state in alike.get(like, [])}:
                alike.setdefault(like, []).append(PersonState(person, likeness=like, given=given))
    kin, formerly = Kin(store.records(former) if former else {}), _Formerly(resembling, store, result)
    identified = rules.identify(
        unknown,
        match_on,
        _index(match_on, store),
        lambda likeness: alike.get(likeness, []),
        is_held=lambda person, source: is_held((person, source)),
        akin=lambda record: {**formerly.of(record), **kin.of(record)},
        decided=_decided(unknown, store),
    )
    by_key = {(record.source, record.key): record for record in unknown}
    minted = store.mint(identified.mint)
    result.minted |= set(minted.values())
    together = {key: minted[first] for key, first in identified.together.items()}
    for key, person in {**minted, **identified.attach, **together}.items():
        result.records.setdefault(person, []).append(by_key[key])
        result.keys.setdefault(person, []).append(KnownKey(key[0], key[1], person))
        result.changed_keys.append(KnownKey(key[0], key[1], person))
    for dispute in identified.disputed:
        if isinstance(dispute.subject, tuple):
            _list(dispute, by_key[dispute.subject], formerly, result)
    attached: dict[PersonId, set[SourceName]] = {}
    for (source, _), person in identified.attach.items():
        attached.setdefault(person, set()).add(source)
    return attached


_SO_CALLED = "same birth date and names, until the roster in which this record appeared"
FORMER = "former"
"""In the details of a dispute: how each candidate was told of in that roster who was called like the newcomer until then."""


class _Formerly:
    """Who was called like a newcomer until the roster in which the newcomer appeared (R35).

    A row that is somebody else's in the same roster in which their former likeness turns up under a new key is what a number that
    was given to another child looks like. That stands until a human has decided, or a later roster tells the candidate otherwise.
    """

    def __init__(self, resembling: Mapping[str, Sequence[PersonState]], store: Store, result: Found) -> None:
        self._resembling = resembling
        self._store = store
        self._result = result
        self._open: dict[tuple[str, str], dict[str, str]] = {
            (one.source or "", one.detail.get("key", "")): json.loads(one.detail.get(FORMER) or "{}")
            for one in store.findings("disputed")
            if one.source
        }

    def of(self, record: Record) -> dict[PersonId, str]:
        """The candidates, and why each is one."""
        return dict.fromkeys(self.told(record), _SO_CALLED)

    def told(self, record: Record) -> dict[PersonId, str]:
        """The candidates, and how each is told of now."""
        asked = self._open.get((record.source, record.key))
        if asked is not None:
            return {PersonId(person): now for person, before in asked.items() if (now := self._now(PersonId(person))) == before}
        mine = likeness(record)
        if mine is None:
            return {}
        was = [state.id for state in self._resembling.get(mine[0], ()) if rules.resembles(mine[1], state.given)]
        return {person: self._now(person) for person in was if not self._is_alike(person, mine)}

    def _is_alike(self, person: PersonId, mine: tuple[str, str]) -> bool:
        """Whether somebody resembles a newcomer as they are told of now: then that is the question."""
        records = self._result.records.get(person)
        told = likeness(records[0]) if records else mine
        return told is not None and told[0] == mine[0] and rules.resembles(mine[1], told[1])

    def _now(self, person: PersonId) -> str:
        """How somebody is told of, in this run or else last; a digest."""
        records = self._result.records.get(person)
        told = likeness(records[0]) if records else None
        if not records:
            told = next(((one.likeness, one.given) for one in self._store.persons([person]).values()), None)
        return hashlib.blake2b("|".join(told or ()).encode(), digest_size=10).hexdigest()


def _list(dispute: Dispute, record: Record, formerly: _Formerly, result: Found) -> None:
    source, name = record.source, record.key
    result.unsettled.setdefault(source, set()).add(name)
    told = {candidate: dispute.evidence.get(candidate, "") for candidate in dispute.candidates}
    detail = {"candidates": ", ".join(dispute.candidates), "key": str(name), "evidence": json.dumps(told, ensure_ascii=False)}
    if was := {person: now for person, now in formerly.told(record).items() if person in dispute.candidates}:
        detail[FORMER] = json.dumps(was)
    parts = (record.fields.get(part) for part in ("given", "family", "suffix"))
    detail["called"] = MASK if record.fields.get("confidential") else " ".join(str(part) for part in parts if part)
    finding = Finding("disputed", spelled((source, name)), dispute.why, None, source, None, detail)
    result.findings[finding.subject, finding.why] = finding


def _decided(unknown: Collection[Record], store: Store) -> Decisions:
    """What humans decided about these records; a record they were said to be one with may have become a person since."""
    decided = decisions(store.resolutions.about([spelled((record.source, record.key)) for record in unknown]))
    united = store.resolutions.united()
    merged = {key: united[end].into if isinstance(end, str) and end in united else end for key, end in decided.merged.items()}
    decided = replace(decided, merged=merged)
    here = {(record.source, record.key) for record in unknown}
    others: dict[SourceName, set[SourceKey]] = {}
    for end in decided.merged.values():
        if not isinstance(end, str) and end not in here:
            others.setdefault(end[0], set()).add(end[1])
    known: dict[RecordKey, PersonId] = {}
    for source, keys in others.items():
        known |= {(source, key): one.person for key, one in store.keys(source, keys).items()}
    merged = {key: end if isinstance(end, str) else known.get(end, end) for key, end in decided.merged.items()}
    return replace(decided, merged=merged)


def _alike(
    likenesses: Collection[str], resembling: Mapping[str, Sequence[PersonState]], result: Found
) -> dict[str, list[PersonState]]:
    """Everybody known who has one of these likenesses: as this run's records tell it, else as it is remembered (R35)."""
    found: dict[str, list[PersonState]] = {}
    for like, states in resembling.items():
        found[like] = [state for state in states if state.id not in result.records]
    for person, records in result.records.items():
        told = likeness(records[0])
        if told is not None and told[0] in likenesses:
            found.setdefault(told[0], []).append(PersonState(person, likeness=told[0], given=told[1]))
    return found


def _index(match_on: Mapping[SourceName, tuple[str, ...]], store: Store) -> Callable[[str, str], Collection[PersonId]]:
    """Who has this value in this field, among everybody known; built only when some source is matched on anything."""
    fields = {name for names in match_on.values() for name in names}
    index: dict[tuple[str, str], set[PersonId]] = {}
    if fields:
        for person, records in store.records().items():
            for record in records:
                for name in fields:
                    value = record.fields.get(name)
                    if value:
                        index.setdefault((name, str(value)), set()).add(person)
    return lambda name, value: index.get((name, value), set())
