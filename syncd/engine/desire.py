"""From persons to desired accounts: lifecycle, names and mappings, each asked once per person.

A person that cannot be decided (unreadable, disputed, a mapping that failed, no name left) gets no desired account and so no
change; the reason is a finding and the person stays dirty (R5). Other people a mapping reads come from this run, else from the
last good records.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from syncd.core import correlate, lifecycle, naming
from syncd.core.facts import FOUND
from syncd.core.health import WHOLE
from syncd.core.identify import likeness
from syncd.core.lifecycle import PersonState, Presence, Rise, Standing, State
from syncd.core.local import Local, without_overrides
from syncd.core.mapping import MappingFailure, People, TargetMapping, Wanted
from syncd.core.model import Kind, Person, PersonId, PopulationName, Record, SourceKey, SourceName, TargetName
from syncd.core.naming import IssuedName, NameRequest
from syncd.engine import gather, renames
from syncd.engine.choosing import Choosing
from syncd.store import Finding, Store
from syncd.store.codec import reason_in_json

_LOOKED_BACK = 10  # runs, some of them about devices or one person
_UNJUDGED = frozenset({"planning", "failed", "interrupted", "tried"})


@dataclass(slots=True)
class Decided:
    """One person, decided: where they stand, what they are called, and what each target should hold of them."""

    person: Person | None
    state: PersonState
    standing: Standing
    population: PopulationName | None
    names: Mapping[str, IssuedName] = field(default_factory=dict)
    wanted: dict[TargetName, Wanted] = field(default_factory=dict)
    refs: Collection[tuple[SourceName, SourceKey]] = ()  # some of them twice, maybe
    blocked: str = ""  # why nothing of this person may change in this run
    rise: Rise | None = None  # they would become staff, and no human has looked yet (R40)
    stages: Mapping[str, Standing] = field(default_factory=dict)  # by target, where leaving goes at different speeds (R36)
    renamed: str = ""  # which name of theirs is another one in this run, and what in the roster made it so

    @property
    def campus(self) -> str:
        """The code a change of this person is judged under."""
        return self.state.campus

    def standing_on(self, target: TargetName) -> Standing:
        """Where this person stands on one target."""
        return self.stages.get(target, self.standing)


class Desire:
    """Decides everybody a run looks at. Holds the run's view of names, so that two new persons never choose the same one."""

    def __init__(
        self,
        store: Store,
        mapping: People,
        targets: Iterable[TargetMapping],
        display: str,
        today: date,
        *,
        mapped_on: date | None = None,
        local: Local | None = None,
        lets_go: Callable[[str], bool] = lambda _: False,
        last: Collection[PersonId] = (),
    ) -> None:
        """`lets_go` tells whether a human approved what has this digest; `last` choose their names behind everybody else."""
        self._lets_go = lets_go
        self._last = frozenset(last)
        self._local = local or Local(today)
        self._store = store
        self._mapping = mapping
        self._targets = tuple(targets)
        self._building = correlate.Building(today, display, settles_after=mapping.campus_settles_after)
        self._today = today
        self._mapped_on = mapped_on or today  # replanning a stored plan keeps the day its initial values were made on (R15)
        self._people: dict[PersonId, Person] = {}
        self._gone: dict[PersonId, Person] = {}  # whom no source tells of any more, as they were last told
        self._missing_related: set[PersonId] = set()
        self._populations: dict[PersonId, PopulationName | None] = {}  # of those in whom the rules find an answer
        self._requests: dict[PersonId, tuple[NameRequest, ...]] = {}
        self._choosing = Choosing(store, self._local.sealed, self._local.left_behind)
        self.findings: list[Finding] = []

    @property
    def reserved(self) -> Mapping[str, PersonId]:
        """Whose each name is, by ledger key, that was given out in this run."""
        return self._choosing.reserved

    @property
    def foreign(self) -> Mapping[PersonId, str]:
        """Whose chosen name belongs to an account nobody is linked to: adopted or disputed (R35)."""
        return self._choosing.foreign

    def decide(
        self,
        people: gather.People,
        readings: Mapping[SourceName, gather.Reading],
        linked: Collection[PersonId],
        unopened: Collection[PersonId],
    ) -> dict[PersonId, Decided]:
        """Everybody in `people`, in the order of their first key, but for whom it was said to be last: so names are given out."""
        order = sorted(people.everybody, key=lambda person: (person in self._last, _first_key(people, person)))
        key_person = self._key_person(people)
        built: dict[PersonId, date | None] = {}
        for person_id in order:
            records = people.records.get(person_id)
            if records:
                built[person_id] = self._build(person_id, records, people, key_person)
        order_of_sources = {name: rank for rank, name in enumerate(readings)}
        related = {other for person in self._people.values() for other in person.related.values()}
        self._people.update(self._as_last_told(related - self._people.keys(), order_of_sources))
        if any(spec.keeps for spec in self._mapping.lifecycle.values()):
            self._gone = self._as_last_told(set(order) - people.records.keys(), order_of_sources)
        names = self._store.names(order)
        self._sort_out(built)
        self._choosing.expect(self._requests, names)
        decided = {
            person_id: self._decide_one(
                person_id, people, readings, names.get(person_id, {}), built.get(person_id), linked, unopened
            )
            for person_id in order
        }
        self._explain_renames(decided, names, order_of_sources)
        return decided

    def _explain_renames(
        self,
        decided: Mapping[PersonId, Decided],
        names: Mapping[PersonId, Mapping[str, IssuedName]],
        order: Mapping[SourceName, int],
    ) -> None:
        """Say of whoever gets another name than they had what the last roster told, and what this one tells."""
        moved = {person: one for person, one in decided.items() if renames.changed(names.get(person, {}), one.names)}
        before = self._as_last_told(moved.keys(), order) if moved else {}
        for person, one in moved.items():
            reads = self._mapping.named_by(one.population) if one.population else {}
            one.renamed = renames.why(names[person], one.names, before.get(person), one.person, reads)
        for person, reason in self._held_before():  # the roster was taken up then, and the name is theirs since
            if person in decided and (said := renames.as_planned(reason, decided[person].names)):
                decided[person].renamed = said

    def _held_before(self) -> Iterator[tuple[PersonId, str]]:
        """Whose account is to have another name and was held in the run before this one, and the reason it was planned with."""
        judged = (row for row in self._store.runs(_LOOKED_BACK) if row.kind in WHOLE and row.status not in _UNJUDGED)
        before = next(judged, None)
        kept = self._store.plan(before.id) if before is not None and before.held else None
        if kept is None:
            return
        told = json.loads(kept)
        waiting = frozenset(told["held"])
        for kind, reason, person in (reason_in_json(one) for changes in told["plans"].values() for one in changes):
            if person is not None and person in waiting and kind in (Kind.MOVE, Kind.UPDATE):
                yield person, reason

    def _key_person(self, people: gather.People) -> dict[tuple[SourceName, SourceKey], PersonId]:
        found = {(key.source, key.key): person for person, keys in people.keys.items() for key in keys}
        needed: dict[SourceName, set[SourceKey]] = {}
        for records in people.records.values():
            for record in records:
                for key in (*record.related.values(), *(guardian.guardian for guardian in record.guardians)):
                    if (record.source, key) not in found:
                        needed.setdefault(record.source, set()).add(key)
        for source, keys in needed.items():
            found.update({(source, key): known.person for key, known in self._store.keys(source, keys).items()})
        return found

    def _build(
        self,
        person_id: PersonId,
        records: list[Record],
        people: gather.People,
        key_person: Mapping[tuple[SourceName, SourceKey], PersonId],
    ) -> date | None:
        related: dict[str, PersonId] = {}
        for record in reversed(records):
            for relation, key in record.related.items():
                if (record.source, key) in key_person:
                    related[relation] = key_person[record.source, key]
        state = people.states.get(person_id)
        previous = state.campus if state else ""
        self._people[person_id], due = self._told(person_id, records, related, previous)
        return due

    def _told(
        self, person_id: PersonId, records: list[Record], related: Mapping[str, PersonId], previous_campus: str
    ) -> tuple[Person, date | None]:
        """The person as the records tell of them, and above these what was decided here (R6)."""
        overridden = self._local.overriding(person_id, records)
        person, due = self._building.build(person_id, overridden, related, previous_campus=previous_campus)
        return without_overrides(person), due

    def _as_last_told(self, absent: Collection[PersonId], order: Mapping[SourceName, int]) -> dict[PersonId, Person]:
        """Persons who are not part of this run or in no roster any more, from their last good records."""
        persons: dict[PersonId, Person] = {}
        states, keys = self._store.persons(absent), self._store.keys_of(absent)
        for person_id, kept in self._store.records(absent).items():
            # As they would be built if they were part of this run: without what has vanished, most authoritative first.
            gone = {(key.source, key.key) for key in keys.get(person_id, []) if key.missing_since is not None}
            records = [one for one in kept if (one.source, one.key) not in gone and one.source in order] or kept
            records.sort(key=lambda one: (order.get(one.source, len(order)), one.key))
            persons[person_id], _ = self._told(person_id, records, {}, states[person_id].campus)
        return persons

    def _sort_out(self, order: Iterable[PersonId]) -> None:
        """Everybody's population and the names they ask for, where the rules have an answer; where not, it is asked for again."""
        for person_id in order:
            person = self._people[person_id]
            with suppress(MappingFailure, naming.NoNameLeft):
                population = self._populations[person_id] = self._rule(person)
                if population is not None:
                    self._requests[person_id] = self._mapping.name_requests(person, population)

    def _decide_one(
        self,
        person_id: PersonId,
        people: gather.People,
        readings: Mapping[SourceName, gather.Reading],
        names: Mapping[str, IssuedName],
        changes_on: date | None,
        linked: Collection[PersonId],
        unopened: Collection[PersonId],
    ) -> Decided:
        previous = people.states.get(person_id)
        person = self._people.get(person_id) if person_id in people.records else None
        population = PopulationName(previous.population) if previous and previous.population else None
        blocked, unsure, rise = "", False, None
        if person is not None:
            try:
                population = self._population(person)
            except MappingFailure as failure:
                blocked, unsure = self._quarantine(person_id, failure), True
            if (rise := self._rise(person_id, previous, population)) is not None:
                blocked = f"was {rise.before}, would become {rise.after}: a human looks first"
                self._find("disputed", person_id, blocked)
                population = PopulationName(rise.before)
        presence = self._presence(person_id, person, people, readings)
        for fact in self._local.of(person_id):
            self._find(FOUND[fact.kind], person_id, fact.told)
        if (one := self._local.united.get(person_id)) is not None:  # an account that was left behind is closed like a leaver's
            presence = Presence(present=False, exit=self._today - timedelta(days=1))
        if (held := self._local.holding(person_id)) is not None:
            presence, rise = replace(presence, shielded=True), None
            population = PopulationName(previous.population) if previous and previous.population else None
        spec = self._mapping.lifecycle.get(population, lifecycle.LifecycleSpec()) if population else lifecycle.LifecycleSpec()
        standing = lifecycle.decide(
            spec, presence, previous, self._today, has_account=person_id in linked, unopened=person_id in unopened
        )
        if unsure and standing.state in lifecycle.LEFT:
            blocked = ""  # an exit acts on its date: of leaving no mapping is asked (R36)
        if (reason := held or one) is not None:
            standing = replace(standing, why=reason.told)
        stages = {} if one is not None else self._stages(spec, standing, person_id, person)
        dues = (standing.due, changes_on, self._local.due(person_id), *(stage.due for stage in stages.values()))
        due = min((day for day in dues if day is not None), default=None)
        decided = Decided(
            person,
            _state(person_id, None if held else person, people, previous, standing, population, due),
            standing,
            population,
            names,
            blocked=blocked,
            rise=rise,
            stages=stages,
        )
        if person is not None:
            decided.refs = self._refs(people.records[person_id], person)
            if population and standing.exists and not standing.frozen and standing.state not in lifecycle.LEFT and not blocked:
                self._map(decided, person, population)
        return decided

    def _population(self, person: Person) -> PopulationName | None:
        return self._populations[person.id] if person.id in self._populations else self._rule(person)

    def _rule(self, person: Person) -> PopulationName | None:
        """The population as it was said of somebody whom no roster tells of, else as the rules have it."""
        return self._local.population(person) or self._mapping.population(person)

    def _rise(self, person: PersonId, previous: PersonState | None, population: PopulationName | None) -> Rise | None:
        """That somebody would become staff, unless a human let exactly that go (R15, R40)."""
        before = previous.population if previous else None
        if before is None or population is None or not lifecycle.rises_to_staff(before, population, self._mapping.staff):
            return None
        rise = Rise(before, population)
        return None if self._lets_go(rise.digest(person)) else rise

    def _stages(
        self, spec: lifecycle.LifecycleSpec, standing: Standing, person_id: PersonId, person: Person | None
    ) -> dict[str, Standing]:
        """Where somebody who left stands on each target, where accounts are kept; on targets of other pipelines too, for `due`."""
        if not spec.keeps or standing.frozen or standing.state not in lifecycle.LEFT:
            return {}
        reason = self._exit_reason(person_id, person, standing.since)
        names = {keep.target for keep in spec.keeps} | {target.target for target in self._targets}
        return {name: lifecycle.on_target(spec, standing, reason, name, self._today) for name in sorted(names)}

    def _exit_reason(self, person_id: PersonId, person: Person | None, since: date) -> str:
        """Why somebody left, as the source codes it. It outlives the record: graduates are soon in no roster any more."""
        last = person or self._gone.get(person_id)
        fields = last.fields if last is not None else {}
        told = fields.get("exit_date")
        if person is None and fields.get("enabled") is not False and not (isinstance(told, date) and told < since):
            return lifecycle.VANISHED
        reason = fields.get("exit_reason")
        return reason.strip() if isinstance(reason, str) else ""

    def _presence(
        self, person_id: PersonId, person: Person | None, people: gather.People, readings: Mapping[SourceName, gather.Reading]
    ) -> Presence:
        keys = people.keys.get(person_id, [])
        missing = [key for key in keys if key.missing_since is not None]
        shielded = person_id in people.unreadable
        if person is None:
            # Not in any spool. Without a mark of when it vanished it was shielded, or nothing of it was ever accepted.
            failed = any(key.source not in readings or readings[key.source].shields_leavers for key in keys)
            shielded = shielded or failed or not missing
        fields = person.fields if person else {}
        start, exit_date = fields.get("start_date"), fields.get("exit_date")
        reached = [readings[key.source].as_of for key in keys if key.source in readings]
        return Presence(
            present=person is not None,
            start=start if isinstance(start, date) else None,
            exit=exit_date if isinstance(exit_date, date) else None,
            enabled=fields.get("enabled") is not False,
            missing_since=max((key.missing_since for key in missing if key.missing_since), default=None),
            absences=min((key.absences for key in missing), default=0),
            shielded=shielded,
            as_of=min(reached, default=self._today),
        )

    def _refs(self, records: Iterable[Record], person: Person) -> Collection[tuple[SourceName, SourceKey]]:
        """The persons on whose rows this person's accounts depend besides their own (R4)."""
        refs = [(record.source, key) for record in records for key in record.related.values()]
        for related in person.related.values():
            other = self._people.get(related)
            if other is not None:
                refs += other.records
        return refs

    def _map(self, decided: Decided, person: Person, population: PopulationName) -> None:
        try:
            decided.names = self._names(decided, person, population)
            for target in self._targets:
                if population in target.populations:
                    related = {name: self._people[key] for name, key in person.related.items() if key in self._people}
                    plain = {kind: name.value for kind, name in decided.names.items()}
                    mapped = target.desire(person, population, plain, related, self._mapped_on)
                    wanted = self._local.overridden(person.id, target.target, mapped)
                    if wanted is not None:
                        decided.wanted[target.target] = wanted
        except MappingFailure as failure:
            decided.wanted.clear()
            decided.blocked = self._quarantine(person.id, failure)
        except naming.NoNameLeft as failure:
            decided.wanted.clear()
            decided.blocked = str(failure)
            self._find("quarantined", person.id, decided.blocked)

    def _names(self, decided: Decided, person: Person, population: PopulationName) -> dict[str, IssuedName]:
        chosen: dict[str, IssuedName] = {}
        requests = self._requests.pop(person.id, None)
        for request in self._mapping.name_requests(person, population) if requests is None else requests:
            decision = self._choosing.choose(request, person.id, decided.names.get(request.kind))
            chosen[request.kind] = decision.name
            if decision.proposed:
                self._find("rename proposed", person.id, f"{request.kind} {decision.name.value} would now be {decision.proposed}")
        return {**decided.names, **chosen}

    def unnamed(
        self, decided: Mapping[PersonId, Decided], nameless: Collection[PersonId], seen: Iterable[Mapping[str, str]]
    ) -> set[PersonId]:
        """Whose name, chosen in this run, is not theirs after all, so that nothing is made with it anywhere (R9, R34, R35).

        They were adopted with another name, or are disputed (`nameless`), or the name was `seen` on a target already, told by
        holder. They choose again.
        """
        found: dict[str, set[str]] = {}
        for names in seen:
            for name, holder in names.items():
                found.setdefault(name, set()).add(holder)
        lost: set[PersonId] = set()
        for name, person_id in self.reserved.items():
            one = decided.get(person_id)
            if one is None:
                continue
            others = found.get(name, set()) - {person_id}
            if others and person_id not in nameless:
                one.blocked = f"the name {name} stands on a target already, on an account of somebody else"
                self._find("disputed", person_id, one.blocked)
            if others or person_id in nameless:
                lost.add(person_id)
        return self.nameless(decided, lost)

    def nameless(self, decided: Mapping[PersonId, Decided], persons: Collection[PersonId]) -> set[PersonId]:
        """Take from these persons the names they were given in this run: somebody else may have them (R9). Whoever had one."""
        lost: set[PersonId] = set()
        for name, person_id in self.reserved.items():
            if person_id in persons and (one := decided.get(person_id)) is not None:
                one.names = {kind: kept for kind, kept in one.names.items() if naming.ledger_key(kept.value) != name}
                lost.add(person_id)
        return lost

    def _quarantine(self, person_id: PersonId, failure: MappingFailure) -> str:
        self._find("quarantined", person_id, str(failure))
        return str(failure)

    def _find(self, kind: str, person_id: PersonId, why: str) -> None:
        self.findings.append(Finding(kind, person_id, why, person_id, None, None, {}))


def _first_key(people: gather.People, person: PersonId) -> tuple[str, str, str]:
    keys = people.keys.get(person, [])
    return min(((key.source, key.key, person) for key in keys), default=("", "", person))


def _state(
    person_id: PersonId,
    person: Person | None,
    people: gather.People,
    previous: PersonState | None,
    standing: Standing,
    population: PopulationName | None,
    due: date | None,
) -> PersonState:
    known = previous or PersonState(person_id)
    told = likeness(people.records[person_id][0]) if person is not None else None
    return PersonState(
        person_id,
        # Whoever is in no population for a while is still known as what they were: a student back as staff is held (R40).
        population or known.population,
        standing.state,
        standing.since,
        due,
        *(told or (known.likeness, known.given)),
        campus=person.campus.code if person is not None and person.campus is not None else known.campus,
        claimed=standing.claimed,
    )


__all__ = ["Decided", "Desire", "State"]
