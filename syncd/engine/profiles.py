"""What the files of each roster look like beside those of the last ten school days, who is told of so, and what is believed of it.

A file of which anybody is held is not compared with itself tomorrow: what was believed of it last stays, until somebody lets it go
or the file is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from syncd.core import profile
from syncd.core.guard import Finding, Verdict
from syncd.core.lifecycle import PersonState
from syncd.core.model import PersonId, SourceName, Subject, TargetName
from syncd.core.profile import GONE, Broken, Profile
from syncd.engine.desire import Decided
from syncd.engine.gather import People, Reading, SourceAccess
from syncd.store import Finding as Listed
from syncd.store import Store


@dataclass(frozen=True, slots=True)
class Compared:
    """The files of one reading: as they are, as they were last believed to be, and what of them is not as it was, by table."""

    reading: Reading
    now: Mapping[str, Profile]
    last: Mapping[str, Profile]
    broken: tuple[Broken, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def source(self) -> SourceName:
        """Whose they are."""
        return self.reading.source

    def findings(self) -> list[Finding]:
        """What is wrong with the roster as a whole."""
        return [profile.of_roster(self.source, one) for one in self.broken if not self._is_of_people(one)]

    def _is_of_people(self, broken: Broken) -> bool:
        look = self.reading.spool.look(broken.table)
        return broken.what != GONE and look is not None and look.is_of_people(broken.column)

    def findings_of_people(
        self,
        people: People,
        decided: Mapping[PersonId, Decided],
        dirty: Collection[PersonId],
        people_at: Callable[[], Mapping[tuple[str, str], int]],
    ) -> Iterator[Finding]:
        """Whom a broken column tells otherwise of than before: with them it is a loss, with the others it was so."""
        for broken in self.broken:
            if self._is_of_people(broken):
                groups: dict[tuple[str, str], set[PersonId]] = {}
                for person in self._told_of(broken, people, dirty):
                    state = _known_as(person, people, decided)
                    groups.setdefault((state.campus, state.population or ""), set()).add(person)
                yield from profile.of_people(self.source, broken, groups, people_at())

    def _told_of(self, broken: Broken, people: People, dirty: Collection[PersonId]) -> Iterator[PersonId]:
        spool = self.reading.spool
        look = spool.look(broken.table)
        owners = look.owners(spool.rows(broken.table), broken.column, broken.what) if look is not None else set()
        changed = {key.key for key in self.reading.changed if key.subject is Subject.PERSON}
        for person, records in people.records.items():
            mine = {record.key for record in records if record.source == self.source} & owners
            if mine and (person in dirty or not mine.isdisjoint(changed)):
                yield person

    def believed(self, verdict: Verdict) -> dict[str, Profile] | None:
        """What the next roster is compared with, once this one is accepted; None where that stays as it is (R2)."""
        source = TargetName(self.source)
        held_for = {one.cell.operation for one in verdict.findings if one.cell is not None and one.cell.target == source}
        broken = {one.table for one in self.broken}
        held = {one.table for one in self.broken if one.operation in held_for}
        found: dict[str, Profile] = {}
        for table, now in self.now.items():
            last = self.last.get(table)
            if last is not None and (table in held or (table not in broken and not self.reading.fresh)):
                found[table] = last
            else:
                found[table] = replace(now, anew=table in broken)
        # What nobody counted this time is compared with what it was when somebody did.
        found |= {table: last for table, last in self.last.items() if table not in found and table in self.reading.spool.counts}
        return found if self.reading.fresh or found != self.last else None


def compared(access: SourceAccess, reading: Reading, store: Store, since: date, rows: float) -> Compared:
    """The files of a reading beside those that were accepted `since`, or last.

    `rows`: so many times as much as in term may be wrong with a file that tells of nobody.
    """
    now, newest = reading.spool.profiles, [told for _, told in store.past.profiles(access.name, date.max)]
    last = newest[-1] if newest else {}
    differ = {table: one for table, one in sorted(now.items()) if reading.fresh or _differs(one, last.get(table))}
    broken: list[Broken] = []
    if differ and newest:
        window = [told for day, told in store.past.profiles(access.name, since) if day >= since] or [last]
        for table, one in differ.items():
            look = reading.spool.look(table)
            factor = rows if look is None or look.owner < 0 else 1
            broken += profile.judge_profile(access.name, table, one, _since_anew(table, window), access.shape, factor)
    before: dict[str, Profile] = dict(*(newest if reading.fresh else newest[:-1])[-1:])
    notes = [profile.told_otherwise(one, before[table]) for table, one in sorted(now.items()) if table in before]
    return Compared(reading, now, last, tuple(broken), tuple(filter(None, notes)))


def _differs(now: Profile, last: Profile | None) -> bool:
    """Whether what was last believed is not this."""
    return last is not None and replace(now, anew=last.anew) != last


def _since_anew(table: str, window: Sequence[Mapping[str, Profile]]) -> list[Profile]:
    found: list[Profile] = []
    for told in window:
        if table in told:
            found = [told[table]] if told[table].anew else [*found, told[table]]
    return found


def _known_as(person: PersonId, people: People, decided: Mapping[PersonId, Decided]) -> PersonState:
    """Where somebody was before this roster; of somebody new, where they would be."""
    state = people.states.get(person)
    if (state is None or state.since is None) and person in decided:
        return decided[person].state
    return state or PersonState(person)


def listed(looked: Collection[Compared]) -> list[Listed]:
    """What is told of files that are written otherwise, though nothing is held for it."""
    return [Listed("source note", one.source, note, None, one.source) for one in looked for note in one.notes]
