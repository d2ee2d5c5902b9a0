"""From sources to persons: what was read, what is different, who that touches, and who everybody is.

A source that failed is stood in for by its last accepted spool and nobody in it counts as missing (R1). Nothing is written to the
store here but minted person ids: a plan that is never applied leaves every digest where it was (R2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from syncd.core.guard import Shape
from syncd.core.lifecycle import PersonState
from syncd.core.model import PersonId, Record, Reject, RowRef, SourceKey, SourceName, Subject, SubjectKey
from syncd.core.resolution import spelled
from syncd.engine import newcomers
from syncd.engine.retelling import ROW_SPACE, retold
from syncd.errors import EndpointError
from syncd.sources import Source, extract
from syncd.sources.spool import Spool, open_spool, stored
from syncd.store import Finding, KnownKey, Retold, SnapshotRow, Store
from syncd.vault import Vault

_LOOKED_BACK = 20  # accepted rosters
VANISHED = "(vanished)"
"""Where a row would be that is not there."""


@dataclass(slots=True)
class Reading:
    """One source in one run: its spool, and how that differs from the last accepted one."""

    source: SourceName
    spool: Spool
    fresh: bool  # a snapshot distinct from the last accepted one: only that is evidence (R2, R13)
    as_of: date  # the day up to which this source's evidence reaches
    changed: dict[SubjectKey, int] = field(default_factory=dict)
    gone: set[SubjectKey] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)
    persons: int = 0
    whole: bool = False  # everybody in it was compared, not only those who may be told otherwise
    failed: EndpointError | None = None
    retold: Retold | None = None  # it is the first one read under this state key, and this is told as before but for that
    same_since: date | None = None  # it tells nothing else than the roster accepted on that day: no new evidence

    @property
    def evident(self) -> bool:
        """True for a roster that is another one than the last accepted: whoever is missing is missing once more (R13)."""
        return self.fresh and self.same_since is None

    @property
    def shields_leavers(self) -> bool:
        """True when a row without a readable key could be anybody (R3), or nothing new was read (R1)."""
        return self.failed is not None or any(reject.key is None for reject in self.rejects)


@dataclass(frozen=True, slots=True)
class SourceAccess:
    """A source and what is configured about it outside its own format."""

    name: SourceName
    source: Source
    shape: Shape
    match_on: tuple[str, ...] = ()
    stale_after: int = 7
    canaries: tuple[SourceKey, ...] = ()
    required: tuple[SourceKey, ...] = ()


@dataclass(slots=True)
class People:
    """Everybody this run looks at: their records, keys and previous state."""

    records: dict[PersonId, list[Record]] = field(default_factory=dict)  # most authoritative first
    keys: dict[PersonId, list[KnownKey]] = field(default_factory=dict)  # as they are after this run's snapshots
    states: dict[PersonId, PersonState] = field(default_factory=dict)
    unreadable: set[PersonId] = field(default_factory=set)
    minted: set[PersonId] = field(default_factory=set)
    unsettled: dict[SourceName, set[SourceKey]] = field(default_factory=dict)  # keys whose digests must not advance (R5)
    changed_keys: list[KnownKey] = field(default_factory=list)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)  # by subject and reason

    @property
    def everybody(self) -> set[PersonId]:
        """Everybody this run looks at."""
        return {*self.records, *self.keys, *self.states}


def read(access: SourceAccess, store: Store, spools: Path, vault: Vault, now: datetime, today: date, oldest: timedelta) -> Reading:
    """A complete reading of one source; rows older than `oldest` are not built upon (R38).

    Raises EndpointError when it failed and no spool was ever accepted.
    """
    history = store.snapshots(access.name, 1)
    accepted = history[0] if history else None
    try:
        spool = extract(access.name, access.source, spools, vault, _newest(spools, access.name, vault), now, oldest)
    except EndpointError as error:
        if accepted is None:
            raise
        spool = open_spool(spools, access.name, accepted.spool, vault)
        seen = date.fromisoformat(store.meta(f"seen {access.name}") or accepted.accepted_on.isoformat())
        if seen > today:  # by a clock that was ahead: that proves nothing
            seen = _evident_to(access, accepted, store, today)
        rejects = _known_rejects(access, store)
        return Reading(access.name, spool, fresh=False, as_of=min(seen, today), rejects=rejects, failed=error)
    return compare(access, spool, accepted, store, today, lambda name: open_spool(spools, access.name, name, vault))


def read_again(access: SourceAccess, store: Store, spools: Path, vault: Vault, spool: str, today: date) -> Reading:
    """A reading of a kept spool instead of the source. Raises EndpointError where that cannot be read."""
    history = store.snapshots(access.name, 1)
    named = open_spool(spools, access.name, spool, vault)
    accepted = history[0] if history else None
    return compare(access, named, accepted, store, today, lambda name: open_spool(spools, access.name, name, vault))


def _newest(spools: Path, source: SourceName, vault: Vault) -> str | None:
    """The spool a delta file is merged onto: the newest complete one, accepted or not.

    A held plan must not lose the delta it was made from: what is merged onto it is judged as a whole against what was accepted.
    """
    for spool in reversed(stored(spools, source)):
        try:
            return open_spool(spools, source, spool, vault).id
        except EndpointError:
            continue  # damaged, or sealed under a key that is gone: the source may still be able to tell everything anew
    return None


def compare(
    access: SourceAccess,
    spool: Spool,
    accepted: SnapshotRow | None,
    store: Store,
    today: date,
    opened: Callable[[str], Spool],
) -> Reading:
    """What is different between a spool and the last accepted snapshot. An identical file costs nothing and proves nothing.

    `opened` opens an earlier spool by its name.
    """
    fresh = accepted is None or accepted.content != spool.content
    as_of = today if fresh or accepted is None else min(today, _evident_to(access, accepted, store, today))
    reading = Reading(access.name, spool, fresh, as_of)
    if not fresh:
        reading.persons = accepted.counts.get("persons", 0) if accepted else 0
        reading.rejects = _known_rejects(access, store)
        return reading
    rekeyed = access.name in store.rotation.pending()
    asked = None if rekeyed else _differing(access, spool, accepted, store)
    others = 0  # who are as they were
    if asked is not None and accepted is not None:
        try:
            told = access.source.digests(opened(accepted.spool), asked)
            others = accepted.counts.get("persons", 0) - _persons({one[0] for one in told if not isinstance(one, Reject)})
        except EndpointError:
            asked = None  # that copy cannot be read any more: everybody is compared
    digests: dict[SubjectKey, int] = {}
    rejects: list[Reject] = []
    for item in access.source.digests(spool, asked):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            key, digest = item
            digests[key] = (digests.get(key, 0) + digest) % ROW_SPACE
    before = store.digests(access.name, asked)
    shielded = {SubjectKey(reject.subject, reject.key) for reject in rejects if reject.key is not None}
    reading.rejects = rejects
    reading.whole = asked is None
    reading.persons = others + _persons(digests)
    reading.changed = {key: digest for key, digest in digests.items() if before.get(key) != digest}
    if not reading.shields_leavers:
        reading.gone = {key for key in before if key not in digests and key not in shielded}
    if rekeyed and accepted is not None:
        _set_apart(access, reading, accepted, before, store, opened)
    return reading


def _evident_to(access: SourceAccess, accepted: SnapshotRow, store: Store, today: date) -> date:
    """The day up to which an accepted roster is evidence; one accepted on a day still to come, by a wrong clock, is none."""
    told = accepted.accepted_on
    if told > today:
        rows = store.snapshots(access.name, _LOOKED_BACK)
        told = next((row.accepted_on for row in rows if row.accepted_on <= today), date.min)
    return told + timedelta(days=access.stale_after)


def _set_apart(
    access: SourceAccess,
    reading: Reading,
    accepted: SnapshotRow,
    before: Mapping[SubjectKey, int],
    store: Store,
    opened: Callable[[str], Spool],
) -> None:
    """Take what differs by the state key alone out of what has changed. Where the last copy cannot be read, all of it has."""
    with suppress(EndpointError):
        earlier = opened(accepted.spool)
        told, same = retold(access.source, reading.spool, earlier, reading.changed, before, store.rotation.key_id)
        reading.retold = told
        reading.changed = {key: digest for key, digest in reading.changed.items() if key not in told.digests}
        if same:
            reading.same_since = accepted.accepted_on
            reading.as_of = min(reading.as_of, _evident_to(access, accepted, store, reading.as_of))


def _persons(digests: Iterable[SubjectKey]) -> int:
    return sum(1 for key in digests if key.subject is Subject.PERSON)


def _differing(access: SourceAccess, spool: Spool, accepted: SnapshotRow | None, store: Store) -> frozenset[SubjectKey] | None:
    """Of whom the digests are to be compared: of those who may be told otherwise, and those whose digest was not advanced (R5).

    None where that cannot be said: then everybody's are.
    """
    differs = spool.differs.get(accepted.spool) if accepted is not None else None
    rejects = _known_rejects(access, store)
    if differs is None or any(reject.key is None for reject in rejects):
        return None
    unsettled = {reject.key for reject in rejects if reject.key is not None and reject.subject is Subject.PERSON}
    unsettled |= _disputed(store).get(access.name, {}).keys()
    return differs | {SubjectKey(Subject.PERSON, key) for key in unsettled}


def people(
    accesses: Sequence[SourceAccess],
    readings: Mapping[SourceName, Reading],
    store: Store,
    today: date,
    *,
    everyone: bool,
    also: Collection[PersonId] = (),
    turned: date | None = None,
) -> People:
    """The persons this run must look at: everybody dirty, or simply everybody, with their records from the spools.

    `turned`: the clock was set back from that day; whoever is missing since a day that is still to come is missing since today.
    """
    result = People()
    dirty = store.everyone() if everyone else set(also) | store.dirty() | store.due(today)
    planned = store.only_planned()  # identified anew, and given the same id again where they are still somebody new
    known = _known(readings, store, dirty, planned, everyone=everyone)
    asked_about, left = set(dirty), store.left()
    for access in accesses:
        _bring_back(known[access.name], today, turned, result)
        _compare_keys(readings[access.name], known[access.name], left, today, dirty, result)
    if not everyone:
        _follow_references(readings.values(), store, dirty)
        _know_more(known, readings, store, dirty - asked_about, planned)
    disputed: dict[SourceName, set[SourceKey]] = {}
    if not everyone:
        open_ones = _disputed(store)
        if any(reading.fresh for reading in readings.values()) or _is_answered(open_ones, store):
            disputed = {source: set(keys) for source, keys in open_ones.items()}
        else:  # without a new roster or a decision nothing about a dispute can have changed: the spool need not be read for it
            result.findings |= {(one.subject, one.why): one for keys in open_ones.values() for one in keys.values()}
    unknown: list[Record] = []
    for access in accesses:
        asked = None if everyone else _asked(readings[access.name], known[access.name], dirty) | disputed.get(access.name, set())
        if asked is None or asked:
            items = access.source.records(readings[access.name].spool, asked)
            unknown += _take(items, known[access.name], dirty, result)
    match_on = {access.name: access.match_on for access in accesses}
    left_now = {(key.source, key.key) for key in result.changed_keys if key.missing_since is not None}
    absent = planned | left_now | {(name, key) for name, reading in readings.items() for key in _kept(reading)}
    if everyone or all(reading.whole for reading in readings.values()):
        every = (key for keys in known.values() for key in keys.values())
        held = {(key.person, key.source) for key in every if key.missing_since is None and (key.source, key.key) not in absent}

        def is_held(owner: tuple[PersonId, SourceName]) -> bool:
            return owner in held

    else:  # only a few keys are known here, and only a few persons are asked about

        def is_held(owner: tuple[PersonId, SourceName]) -> bool:
            person, source = owner
            return any(
                key.source == source and key.missing_since is None and (source, key.key) not in absent
                for key in store.keys_of([person]).get(person, ())
            )

    former = {
        one.person
        for name, keys in known.items()
        for one in keys.values()
        if one.missing_since is not None or (name, one.key) in absent
    }
    attached = newcomers.identify(unknown, match_on, is_held, former, store, result)
    _renumbered(attached, readings, known, today, result)
    _read_the_rest(attached.keys() - dirty, accesses, readings, store, result)
    chosen = dirty | result.records.keys()
    for person, keys in store.keys_of(chosen).items():
        mine = {(key.source, key.key): key for key in (*keys, *result.keys.get(person, []))}
        result.keys[person] = list(mine.values())
    result.states = store.persons(chosen)
    order = {name: rank for rank, name in enumerate(match_on)}
    for records in result.records.values():
        records.sort(key=lambda record: (order[record.source], record.key))
    return result


def _known(
    readings: Mapping[SourceName, Reading],
    store: Store,
    dirty: Collection[PersonId],
    planned: Collection[tuple[SourceName, SourceKey]],
    *,
    everyone: bool,
) -> dict[SourceName, dict[SourceKey, KnownKey]]:
    """The keys of each source and whose they are: all of them, or, where not everybody was compared, those that matter.

    These are the keys of the dirty, of whoever is missing or touched, of rows that could not be used and of disputes.
    """
    disputed = _disputed(store)
    theirs = [] if everyone else [key for keys in store.keys_of(dirty).values() for key in keys]
    found: dict[SourceName, dict[SourceKey, KnownKey]] = {}
    for name, reading in readings.items():
        if everyone or reading.whole:
            found[name] = store.keys(name)
            continue
        touched = {key.key for key in (*reading.changed, *reading.gone) if key.subject is Subject.PERSON}
        touched |= {reject.key for reject in reading.rejects if reject.key is not None} | disputed.get(name, {}).keys()
        found[name] = {**{key.key: key for key in theirs if key.source == name}, **store.missing(name), **store.keys(name, touched)}
    return {name: {key: one for key, one in keys.items() if (name, key) not in planned} for name, keys in found.items()}


def _know_more(
    known: Mapping[SourceName, dict[SourceKey, KnownKey]],
    readings: Mapping[SourceName, Reading],
    store: Store,
    dirty: Collection[PersonId],
    planned: Collection[tuple[SourceName, SourceKey]],
) -> None:
    """Add every key of those who became dirty meanwhile: of some only the one that is missing is known, and they are there."""
    for keys in store.keys_of(dirty).values():
        for key in keys:
            if key.source in readings and (key.source, key.key) not in planned:
                known[key.source].setdefault(key.key, key)


def _bring_back(known: dict[SourceKey, KnownKey], today: date, turned: date | None, result: People) -> None:
    """Whoever is missing since a day still to come, by a clock that was set back from `turned`, is missing since today."""
    if turned is None:
        return
    for key in list(known.values()):
        if key.missing_since is not None and today < key.missing_since <= turned:
            known[key.key] = replace(key, missing_since=today)
            result.changed_keys.append(known[key.key])


def _compare_keys(
    reading: Reading,
    known: Mapping[SourceKey, KnownKey],
    left: Collection[PersonId],
    today: date,
    dirty: set[PersonId],
    result: People,
) -> None:
    """Who is touched by what is different in one source, and who is absent from it."""
    touched = _touched(reading)
    gone = {key.key for key in reading.gone if key.subject is Subject.PERSON}
    absent = [known[key] for key in sorted(gone) if key in known]
    # Somebody missing is looked at in every run until they have left: when grace ends depends on the day and on the evidence.
    seen = gone | touched
    missing = [key for key in known.values() if key.missing_since is not None and key.person not in left and key.key not in seen]
    if reading.evident and not reading.shields_leavers:
        absent += missing
    for key in absent:
        changed = replace(key, missing_since=key.missing_since or today, absences=key.absences + 1)
        result.keys.setdefault(key.person, []).append(changed)
        result.changed_keys.append(changed)
    dirty |= {key.person for key in (*absent, *missing)}
    dirty |= {known[key].person for key in touched if key in known}
    for reject in reading.rejects:
        _take_reject(reject, known, result)


def _touched(reading: Reading) -> set[SourceKey]:
    return {key.key for key in reading.changed if key.subject is Subject.PERSON}


def _follow_references(readings: Iterable[Reading], store: Store, dirty: set[PersonId]) -> None:
    """Add everybody whose accounts read a campus, class or person that is different or dirty, until nobody is added (R4)."""
    for reading in readings:
        dirty |= store.referrers(reading.source, [*reading.changed, *reading.gone])
    new = set(dirty)
    while new:
        edges: dict[SourceName, list[SubjectKey]] = {}
        for keys in store.keys_of(new).values():
            for key in keys:
                edges.setdefault(key.source, []).append(SubjectKey(Subject.PERSON, key.key))
        new = {person for source, wanted in edges.items() for person in store.referrers(source, wanted)} - dirty
        dirty |= new


def _disputed(store: Store) -> dict[SourceName, dict[SourceKey, Finding]]:
    """The keys that belong to nobody yet because it could not be told to whom: asked about anew with every roster (R5)."""
    found: dict[SourceName, dict[SourceKey, Finding]] = {}
    for finding in store.findings("disputed"):
        key = finding.detail.get("key")
        if finding.source is not None and key:
            found.setdefault(finding.source, {})[SourceKey(key)] = finding
    return found


def _is_answered(disputed: Mapping[SourceName, Mapping[SourceKey, Finding]], store: Store) -> bool:
    """Whether a human has said something of a record that is disputed."""
    named = [spelled((source, key)) for source, keys in disputed.items() for key in keys]
    return bool(named and store.resolutions.about(named))


def _kept(reading: Reading) -> set[SourceKey]:
    """The keys that vanished together with too many others, and count as there until somebody approves."""
    return {reject.key for reject in reading.rejects if reject.row.file == VANISHED and reject.key is not None}


def _renumbered(
    attached: Mapping[PersonId, Collection[SourceName]],
    readings: Mapping[SourceName, Reading],
    known: Mapping[SourceName, Mapping[SourceKey, KnownKey]],
    today: date,
    result: People,
) -> None:
    """Whoever is in a source under a new key has not vanished from it, whatever became of the old one: renumbering is no loss."""
    for name, reading in readings.items():
        found = {key for key in _kept(reading) if key in known[name] and name in attached.get(known[name][key].person, ())}
        if not found:
            continue
        still = {reject.key for reject in reading.rejects if reject.row.file != VANISHED}
        for reject in reading.rejects:
            if reject.row.file == VANISHED and reject.key in found:
                result.findings.pop((str(reject.row), reject.why), None)
        reading.rejects = [reject for reject in reading.rejects if reject.row.file != VANISHED or reject.key not in found]
        reading.gone |= {SubjectKey(Subject.PERSON, key) for key in found}
        for key in sorted(found - still):
            held = known[name][key]
            gone = replace(held, missing_since=held.missing_since or today, absences=held.absences + 1)
            result.changed_keys.append(gone)
            result.keys.setdefault(held.person, []).append(gone)
            result.unsettled.get(name, set()).discard(key)
            result.unreadable.discard(held.person)


def _read_the_rest(
    persons: Collection[PersonId],
    accesses: Iterable[SourceAccess],
    readings: Mapping[SourceName, Reading],
    store: Store,
    result: People,
) -> None:
    """The other records of persons who were just found to have a new one: nobody is made from half of what is told of them."""
    keys = [key for mine in store.keys_of(persons).values() for key in mine if key.missing_since is None] if persons else []
    for access in accesses:
        told = {(record.source, record.key) for person in persons for record in result.records.get(person, ())}
        gone = {key.key for key in readings[access.name].gone}
        mine = {one.key: one for one in keys if one.source == access.name and (one.source, one.key) not in told} if keys else {}
        asked = mine.keys() - gone
        if asked:
            _take(access.source.records(readings[access.name].spool, asked), mine, set(), result)


def _asked(reading: Reading, known: Mapping[SourceKey, KnownKey], dirty: set[PersonId]) -> set[SourceKey]:
    """The keys whose records are needed: touched ones, and those of dirty persons that the spool holds."""
    gone = {key.key for key in reading.gone if key.subject is Subject.PERSON}
    held = {key.key for key in known.values() if key.person in dirty and key.missing_since is None}
    return _touched(reading) | held - gone


def _take(
    items: Iterable[Record | Reject], known: Mapping[SourceKey, KnownKey], dirty: set[PersonId], result: People
) -> list[Record]:
    """Sort what a source yields into records of known persons and rejects; the records of nobody known are returned."""
    unknown: list[Record] = []
    for item in items:
        if isinstance(item, Reject):
            _take_reject(item, known, result)
            continue
        held = known.get(item.key)
        if held is None:
            unknown.append(item)
            continue
        result.records.setdefault(held.person, []).append(item)
        dirty.add(held.person)
        if held.missing_since is not None:
            back = replace(held, missing_since=None, absences=0)
            result.changed_keys.append(back)
            result.keys.setdefault(held.person, []).append(back)
    return unknown


def _take_reject(reject: Reject, known: Mapping[SourceKey, KnownKey], result: People) -> None:
    finding = Finding(
        "reject", str(reject.row), reject.why, None, reject.source, None, {"key": reject.key or "", "of": reject.subject}
    )
    if reject.key is not None and reject.subject is Subject.PERSON:
        result.unsettled.setdefault(reject.source, set()).add(reject.key)
        if reject.key in known:
            person = known[reject.key].person
            result.unreadable.add(person)
            finding = replace(finding, person=person)
    result.findings.setdefault((finding.subject, finding.why), finding)


def _known_rejects(access: SourceAccess, store: Store) -> list[Reject]:
    """What could not be used of the last accepted spool: it stays so for as long as that spool counts."""
    return [_as_reject(finding) for finding in store.findings("reject") if finding.source == access.name]


def _as_reject(finding: Finding) -> Reject:
    file, _, line = finding.subject.rpartition(":")
    key = finding.detail.get("key") or None
    row = RowRef(file, int(line) if line.isdigit() else 0)
    return Reject(
        finding.source or SourceName(""),
        row,
        finding.why,
        SourceKey(key) if key else None,
        Subject(finding.detail.get("of", "person")),
    )
