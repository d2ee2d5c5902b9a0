"""Whether a roster is believed: who vanished among too many, whether it is an older one, what it tells otherwise of whom.

What is wrong with one campus holds the people of that campus; what is wrong with the roster as a whole holds the run. A human lets
either go for exactly this roster (R15).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from syncd.core import guard, signs
from syncd.core.calendar import Calendar, Now
from syncd.core.guard import VANISH, Cell, Finding
from syncd.core.lifecycle import BECOME, IN_USE, PersonState, Rise
from syncd.core.model import PersonId, Record, Reject, RowRef, SourceKey, SourceName, Subject, SubjectKey, TargetName
from syncd.core.rollover import Rolling, keeping
from syncd.core.signs import CAMPUS, POPULATION, Sign
from syncd.engine.desire import Decided
from syncd.engine.gather import VANISHED, People, Reading, SourceAccess
from syncd.engine.profiles import Compared, compared
from syncd.engine.rollover import ROLLING
from syncd.sources.spool import Spool
from syncd.store import Finding as Listed
from syncd.store import KnownKey, Store

_WEEK = timedelta(days=7)
_SCHOOL_DAYS = 10  # of which the rosters are compared with


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known besides the roster when it is judged."""

    now: datetime
    today: date
    season: Now
    calendar: Calendar
    rolling: Sequence[Rolling] = ()
    staff: frozenset[str] = frozenset()


def believed(access: SourceAccess, reading: Reading, store: Store, ground: Ground) -> Reading:
    """The reading, with everybody shielded who vanished among too many of one campus and population (R3, R12).

    They are as rows that could not be used: nothing of theirs is changed, their absence is no evidence, and they are asked about
    anew with the next roster. Whose absence somebody has approved is let go, from this roster too where it was accepted before. So
    are shielded, in a rollover, students however few they are.
    """
    if reading.failed is not None or reading.shields_leavers:
        return reading
    if not reading.fresh:
        return _let_go(access, reading, store, ground)
    missing = {key.key for key in reading.gone if key.subject is Subject.PERSON}
    if not missing or (len(missing) < min(guard.A_CAMPUS, access.shape.campus_at_least + 1) and not ground.rolling):
        return reading
    known = store.keys(access.name, missing)
    groups = _by_cell(known.values(), store)  # who has left already is missed by nobody
    frozen = {
        person
        for (campus, population), group in groups.items()
        if keeping(ground.rolling, campus, population, ground.staff) is not None
        for person in group
    }
    _keep(reading, known, frozen, ROLLING, "missing from the roster during a rollover; kept as it is")
    groups = {cell: group - frozen for cell, group in groups.items()}
    if all(len(group) < min(guard.A_CAMPUS, access.shape.campus_at_least + 1) for group in groups.values()):
        return reading
    people = store.people_at()
    late = _gone_of_late(access.name, groups.keys(), store, ground.today)

    def too_many(cell: tuple[str, str], group: Collection[PersonId]) -> bool:
        return access.shape.keeps(len(group), late.get(cell, 0), people.get(cell, 0))

    many = {cell: group for cell, group in groups.items() if too_many(cell, group)}
    if many:
        gone = {person for group in many.values() for person in group}
        again = _again(access, reading, known, gone, store) | _still_here(access.name, reading, gone, store)
        kept = {person for cell, group in many.items() if too_many(cell, group - again) for person in group - again}
        approved = store.decisions.approved([vanish_digest(person) for person in kept], ground.now)
        kept = {person for person in kept if vanish_digest(person) not in approved}
        _keep(reading, known, kept, VANISHED, "missing from the roster together with many others of the same campus; kept as it is")
    return reading


def _let_go(access: SourceAccess, reading: Reading, store: Store, ground: Ground) -> Reading:
    """The reading of a roster that was accepted already, with everybody missing from it whose absence was approved since (R15)."""
    known = store.keys(access.name, _kept(reading, VANISHED))
    approved = store.decisions.approved([vanish_digest(key.person) for key in known.values()], ground.now) if known else set()
    gone = {key for key, held in known.items() if vanish_digest(held.person) in approved}
    if gone:
        reading.rejects = [one for one in reading.rejects if one.row.file != VANISHED or one.key not in gone]
        reading.gone |= {SubjectKey(Subject.PERSON, key) for key in gone}
    return reading


def _keep(reading: Reading, known: Mapping[SourceKey, KnownKey], kept: Collection[PersonId], place: str, why: str) -> None:
    for number, key in enumerate((key for _, key in sorted(known.items()) if key.person in kept), 1):
        reading.gone.discard(SubjectKey(Subject.PERSON, key.key))
        reading.rejects.append(Reject(reading.source, RowRef(place, number), why, key.key))  # a number, to be told apart


def _gone_of_late(source: SourceName, cells: Collection[tuple[str, str]], store: Store, today: date) -> dict[tuple[str, str], int]:
    """How many of these campuses and populations have been missing for less than a week."""
    late = [key for key in store.missing(source).values() if key.missing_since and key.missing_since > today - _WEEK]
    return {cell: len(group) for cell, group in _by_cell(late, store).items() if cell in cells}


def _again(
    access: SourceAccess, reading: Reading, known: Mapping[SourceKey, KnownKey], kept: Collection[PersonId], store: Store
) -> set[PersonId]:
    """Who of these has not vanished at all: a new row of the same roster is recognised as theirs, under another key."""
    if not access.match_on:
        return set()
    had = store.digests(access.name, reading.changed.keys())
    new = {key.key for key in reading.changed if key.subject is Subject.PERSON and key not in had}
    if not new:
        return set()
    told = {
        (name, value)
        for record in access.source.records(reading.spool, new)
        if isinstance(record, Record)
        for name in access.match_on
        if (value := record.fields.get(name))
    }
    ours = {key.key for key in known.values() if key.person in kept}
    return {
        person
        for person, records in store.records(kept).items()
        if any(
            (name, record.fields.get(name)) in told
            for record in records
            if record.source == access.name and record.key in ours
            for name in access.match_on
        )
    }


def _still_here(source: SourceName, reading: Reading, gone: Collection[PersonId], store: Store) -> set[PersonId]:
    """Who of these is in the same roster under another key that they are known by: that of the day before a wrong one, say."""
    others = {
        SubjectKey(Subject.PERSON, key.key): person
        for person, keys in store.keys_of(gone).items()
        for key in keys
        if key.source == source
    }
    here = {key for key in others if key in reading.changed} | store.digests(source, others.keys()).keys()
    return {others[key] for key in here - reading.gone}


def _by_cell(keys: Iterable[KnownKey], store: Store) -> dict[tuple[str, str], set[PersonId]]:
    """Whose keys these are that have an account in use, by campus and population."""
    groups: dict[tuple[str, str], set[PersonId]] = {}
    for state in store.persons({key.person for key in keys}).values():
        if state.state in IN_USE:
            groups.setdefault((state.campus, state.population or ""), set()).add(state.id)
    return groups


def vanish_digest(person: PersonId) -> str:
    """What an approval of somebody's absence is known by (R15)."""
    return f"{VANISH} {person}"


# --- the roster as a whole --------------------------------------------------------------------------------------------


def looked_at(
    accesses: Iterable[SourceAccess], readings: Mapping[SourceName, Reading], store: Store, ground: Ground
) -> dict[SourceName, Compared]:
    """The files of every source beside those of the last ten school days of this season."""
    since, rows = _window(ground), ground.season.season.factor("rows")
    return {one.name: compared(one, readings[one.name], store, since, rows) for one in accesses}


def _window(ground: Ground) -> date:
    """Since when rosters are compared with."""
    return max(ground.calendar.back(ground.today, _SCHOOL_DAYS), ground.season.since)


def broken_shapes(
    accesses: Iterable[SourceAccess],
    readings: Mapping[SourceName, Reading],
    looked: Mapping[SourceName, Compared],
    store: Store,
    ground: Ground,
) -> list[Finding]:
    """What is wrong with each fresh snapshot as a whole; and whoever vanished among too many others, by campus."""
    found: list[Finding] = []
    for access in accesses:
        reading = readings[access.name]
        if reading.fresh:
            found += _whole(access, reading, looked[access.name], store, ground)
        kept = _kept(reading, VANISHED)
        if kept:
            groups = _by_cell(store.keys(access.name, kept).values(), store)
            found += guard.vanished(access.name, groups, store.people_at(), access.shape, ground.season.name)
    return found


def _whole(access: SourceAccess, reading: Reading, looked: Compared, store: Store, ground: Ground) -> list[Finding]:
    """What is wrong with a snapshot as a whole, but for what somebody approved of exactly this one."""
    history = store.snapshots(access.name, 1)
    last = history[0].counts.get("persons") if history else None
    season, shape = ground.season.name, access.shape
    found = guard.judge_source(access.name, reading.persons, last, shape, season)
    found += guard.judge_canaries(access.name, len(_absent(access.canaries, reading, store)), len(access.canaries))
    if history:
        most = store.past.most_rows(access.name, _window(ground))
        found += guard.judge_rows(access.name, reading.spool.counts, most, shape, season)
        found += looked.findings()
        found += _older(access, reading, store)
    digest = shape_digest(access.name, reading.spool)
    if found and store.decisions.approved([digest], ground.now):
        return [one for one in found if not one.digest]
    return [replace(one, digest=digest) if one.digest else one for one in found]


def shape_digest(source: SourceName, spool: Spool) -> str:
    """What an approval of one roster as a whole is known by: it says nothing of any other (R15)."""
    return f"shape {source} {spool.content}"


def _older(access: SourceAccess, reading: Reading, store: Store) -> list[Finding]:
    """Whether a roster is an older one: one that was accepted earlier, or one that takes most changes back."""
    persons = {key: digest for key, digest in reading.changed.items() if key.subject is Subject.PERSON}
    told = len(persons)
    differ = told + sum(key.subject is Subject.PERSON for key in reading.gone)
    if differ <= access.shape.older_at_least:
        return []
    # Of whom the last roster was not believed, a better one tells what an earlier one did: that is no evidence of its age.
    waiting = store.dirty()
    known_keys = store.keys(access.name, {key.key for key in persons})
    doubted = {key for key, one in known_keys.items() if one.person in waiting}
    persons = {key: digest for key, digest in persons.items() if key.key not in doubted}
    day = store.past.accepted_on(access.name, reading.spool.content)
    known, before = store.past.told_before(access.name, persons)
    former = _under_former_keys(access.name, [one for key, one in known_keys.items() if key not in doubted], store)
    return guard.judge_age(access.name, day, told if former else differ, known, before, access.shape, former)


def _under_former_keys(source: SourceName, told: Iterable[KnownKey], store: Store) -> int:
    """How many of these keys had gone from the roster, while whose they are was in it under another: a cut-over lies between."""
    back = {key.person for key in told if key.missing_since is not None}
    theirs = store.keys_of(back) if back else {}
    return sum(any(key.source == source and key.missing_since is None for key in keys) for keys in theirs.values())


def _kept(reading: Reading, place: str) -> set[SourceKey]:
    return {reject.key for reject in reading.rejects if reject.row.file == place and reject.key is not None}


def told_of_rollover(readings: Iterable[Reading], ground: Ground) -> list[Listed]:
    """What is listed of the rollovers under way: until when, where, and how many are kept as they are."""
    kept = sum(len(_kept(reading, ROLLING)) for reading in readings)
    return [
        Listed("rollover", f"until {one.until}", f"at {one.where()}; {kept:,} missing students are kept as they are")
        for one in ground.rolling
    ]


def told_of_required(accesses: Iterable[SourceAccess], readings: Mapping[SourceName, Reading], store: Store) -> list[Listed]:
    """What is listed of persons who must have an account and whom no roster tells of; they are counted, not named."""
    found: list[Listed] = []
    for access in accesses:
        absent = len(_absent(access.required, readings[access.name], store))
        if absent:
            why = (
                f"{absent:,} of the {len(access.required):,} persons in sources.{access.name}.required "
                f"{'is' if absent == 1 else 'are'} not in the roster; closing their accounts will be asked about"
            )
            found.append(Listed("required", access.name, why, None, access.name))
    return found


def _absent(named: Iterable[SourceKey], reading: Reading, store: Store) -> set[SourceKey]:
    """Whom of these a snapshot does not tell of; one whose row could not be used is there."""
    wanted = set(named)
    if not wanted:
        return wanted
    told = {key.key for key in reading.changed} | {reject.key for reject in reading.rejects}
    gone = {key.key for key in reading.gone if key.subject is Subject.PERSON}
    return wanted - told - (store.present(reading.source, wanted) - gone)


# --- who would become staff -------------------------------------------------------------------------------------------


def rises(people: People, decided: Mapping[PersonId, Decided]) -> list[Finding]:
    """Whoever would become staff, however few they are (R40): by source, campus and population."""
    cells: dict[Cell, set[PersonId]] = {}
    for person, one in decided.items():
        if one.rise is not None and not one.standing.frozen:
            source, campus = people.records[person][0].source, people.states[person].campus
            cells.setdefault(Cell(TargetName(source), one.rise.operation, campus, one.rise.before), set()).add(person)
    return [_risen(cell, frozenset(who)) for cell, who in sorted(cells.items())]


def _risen(cell: Cell, who: frozenset[PersonId]) -> Finding:
    at = f"campus {cell.campus}, " if cell.campus else ""
    return Finding(
        f"{at}{cell.population}, source {cell.target}",
        f"{len(who):,} would {cell.operation}, which waits for a human however few they are: a mistyped role would open doors. "
        "They are kept as they are; everybody else goes on. If it is right, approve it. See them with: syncd holds --persons",
        cell,
        who,
    )


def is_rise(cell: Cell | None) -> bool:
    """Whether people are held there because they would become staff."""
    return cell is not None and cell.operation.startswith(f"{BECOME} ")


def rise_digests(cells: Iterable[tuple[Cell | None, Collection[PersonId]]]) -> dict[PersonId, str]:
    """What an approval of each rise in these cells is known by."""
    return {
        person: Rise(cell.population, cell.operation.removeprefix(f"{BECOME} ")).digest(person)
        for cell, persons in cells
        if cell is not None and is_rise(cell)
        for person in persons
    }


# --- signs ------------------------------------------------------------------------------------------------------------


def signs_of(
    people: People,
    decided: Mapping[PersonId, Decided],
    came_from: Mapping[PersonId, str],
    readings: Mapping[SourceName, Reading],
    store: Store,
) -> list[Sign]:
    """What is told otherwise of everybody whose rows differ, or whose last change has not landed yet (R5)."""
    changed = {(name, key.key) for name, one in readings.items() for key in one.changed if key.subject is Subject.PERSON}
    waiting = store.dirty()
    asked = {
        person
        for person, records in people.records.items()
        if is_known(people.states.get(person))
        and person in decided
        and (person in waiting or any((record.source, record.key) in changed for record in records))
    }
    before = store.records(asked)
    several = {person for person, records in before.items() if len(records) > 1}
    theirs = store.keys_of(several) if several else {}
    gone = {(key.source, key.key) for keys in theirs.values() for key in keys if key.missing_since is not None}
    found: list[Sign] = []
    for person in sorted(asked | (came_from.keys() & people.records.keys())):
        state, records = people.states[person], people.records[person]
        population = state.population or ""
        # Who moves is told of by both campuses (R11): the rows of the one may be right where those of the other are not.
        campuses = tuple(sorted({came_from.get(person, state.campus), decided[person].state.campus}))
        if person in asked:
            for source, what in signs.told_otherwise(before.get(person, ()), records, gone):
                found.append(Sign(source, what, person, campuses, population))
            if state.population and decided[person].state.population != state.population:
                found.append(Sign(records[0].source, POPULATION, person, campuses, population))
        if person in came_from:
            found.append(Sign(records[0].source, CAMPUS, person, campuses, population))
    return found


def is_known(state: PersonState | None) -> bool:
    """Whether anything was ever decided of somebody."""
    return state is not None and state.since is not None


ByCell = Mapping[tuple[str, str], Collection[PersonId]]
"""Persons by campus and population."""

_DOUBTS = {
    "create": ("would be created", "they may be the same under other keys"),
    "disable": ("would be closed for a longer absence", "the file may lack them for the same reason"),
}


def waiting_with_the_vanished(found: Iterable[Finding], moved: Mapping[tuple[str, TargetName], ByCell]) -> list[Finding]:
    """Who would get an account, or lose one for being absent, where people have vanished at once: nothing is believed there today.

    Newcomers may be the vanished under other keys, however few they are; whoever was missing for days may be in the right file.
    `moved` are they, by "create" or "disable" and the target.
    """
    vanished = [(one.cell, one.persons) for one in found if one.cell is not None and one.cell.operation == VANISH]
    return [
        _waits(operation, target, cell, persons, len(gone))
        for cell, gone in vanished
        for (operation, target), by_cell in moved.items()
        if (persons := _at(cell, by_cell))
    ]


def _at(cell: Cell, by_cell: ByCell) -> frozenset[PersonId]:
    """Who of these is in the cell; one without a campus is everywhere."""
    mine = (
        persons
        for (campus, population), persons in by_cell.items()
        if population == cell.population and cell.campus in ("", campus)
    )
    return frozenset[PersonId]().union(*mine)


def _waits(operation: str, target: TargetName, cell: Cell, persons: frozenset[PersonId], gone: int) -> Finding:
    told, doubt = _DOUBTS[operation]
    where = f"campus {cell.campus}, " if cell.campus else ""
    return Finding(
        f"{where}{cell.population or 'people'}, on target {target}",
        f"{len(persons):,} accounts {told} where {gone:,} people have vanished from the roster: {doubt}. "
        "They wait with them; everybody else goes on. Look at the file; if it is right, approve it",
        Cell(target, operation, cell.campus, cell.population),
        persons,
    )
