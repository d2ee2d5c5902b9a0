"""What people decide here, made true: checked, remembered, and brought into a run (R6, R33, R41)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core.facts import LOCAL, Fact, FactKind
from syncd.core.local import Local, check_field, local
from syncd.core.mapping import People as Rules
from syncd.core.mapping import TargetMapping
from syncd.core.model import DEVICE_KINDS, PersonId, PopulationName, SourceName, TargetName
from syncd.core.naming import IssuedName, NameRequest, is_usable
from syncd.core.syntax import suggestion
from syncd.engine.carry_out import KeepOut
from syncd.engine.gather import People
from syncd.engine.lockout import Lockout, Shut
from syncd.engine.planned import Planned
from syncd.errors import EndpointError
from syncd.settings import Config, extra_fields
from syncd.store import Finding, Intention, Store
from syncd.targets import Scope
from syncd.targets.target import Target

LOCK_SECONDS = 50.0
"""How long whoever locks waits for the answers that a run under way is still to get."""
_STORE_TRIES = 10  # each waits half a minute for whoever writes in the store
_NOBODY_YET = PersonId("p0")

_log = telemetry.logger("engine")


class LocalFacts:
    """The decisions of one district. What is asked wrongly raises ValueError in words, naming what is near."""

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Callable[[], datetime],
        people: Rules,
        mappings: Mapping[TargetName, TargetMapping],
        targets: Mapping[TargetName, Target],
    ) -> None:
        self._store = store
        self._clock = clock
        self._zone = ZoneInfo(config.district.timezone)
        self._people = people
        self._mappings = mappings
        self._extra = extra_fields(config.sources)
        scopes = {name: Scope(mapping.attributes) for name, mapping in mappings.items()}
        self.lockout = Lockout(store, targets, scopes, clock)
        self.keep_out = KeepOut(store.facts.locked, self.lockout.enforce)

    # --- in a run -----------------------------------------------------------------------------------------------------

    def joined(self, people: People, today: date) -> tuple[People, Local]:
        """What a run has gathered, sponsored persons with it, and what was decided here."""
        found = self.on(today)
        join(people, found, self._store)
        return people, found

    def on(self, today: date) -> Local:
        """What was decided here, as of one day."""
        facts, united = self._store.facts.listed(), self._store.resolutions.united()
        if not facts:
            return Local(today, united=united)
        campuses = self._store.campuses() if any(fact.kind in (FactKind.OVERRIDE, FactKind.SPONSOR) for fact in facts) else {}
        resets = self._store.facts.resets() if any(fact.kind is FactKind.LOCK for fact in facts) else ()
        return replace(local(facts, today, resets, campuses), united=united)

    def shut_out(self, ready: Planned) -> None:
        """Close what this plan has found open of somebody locked, whatever else is to become of it."""
        found = {(name, change.person) for name, one in ready.plans.items() for change in one.changes if change.person is not None}
        locked = self._store.facts.locked() if found else frozenset()
        self.lockout.enforce({(name, person) for name, person in found if person in locked})

    def left_behind(self, open_ones: Sequence[Intention]) -> list[Intention]:
        """The unanswered changes that nobody is at work on: a lock or claim is carried out beside runs, and finds out itself.

        So do devices, which are listed with every run about them.
        """
        beside = self._store.facts.beside_others({one.run for one in open_ones}) if open_ones else set()
        ours = (one for one in open_ones if one.change.kind not in DEVICE_KINDS)
        return [one for one in ours if one.run not in beside or not self.lockout.is_carrying_out(one)]

    # --- what is decided ----------------------------------------------------------------------------------------------

    def override(self, person: PersonId, attribute: str, value: str, target: str, until: date, actor: str, because: str) -> Fact:
        """From the next run on, to the end of that day, the field has this value, or the attribute of the account on `target`."""
        self._must_come(until)
        if target:
            attribute = self._attribute(target, attribute)
        else:
            check_field(attribute, value, self._extra)
            if attribute == "campus":
                self._must_be_campus(value)
        return self._add(
            Fact(0, person, FactKind.OVERRIDE, self._clock(), actor, because, attribute, target, {"value": value}, until)
        )

    def freeze(self, person: PersonId, until: date, actor: str, because: str) -> Fact:
        """Nothing of this person is changed until that day has passed."""
        self._must_come(until)
        return self._add(Fact(0, person, FactKind.FREEZE, self._clock(), actor, because, until=until))

    def end(self, person: PersonId, kind: FactKind, actor: str, because: str, attribute: str = "", target: str = "") -> int:
        """End what is in force of this kind; how many facts that were."""
        mine = [
            fact.id
            for fact in self._store.facts.listed(self._one_human(person) if kind is FactKind.LOCK else [person])
            if fact.kind is kind and fact.ended is None and (not attribute or (fact.attribute, fact.target) == (attribute, target))
        ]
        self._store.facts.end(mine, self._clock(), actor, because)
        _log.info("fact.ended", person=person, kind=str(kind), count=len(mine))
        return len(mine)

    def lock(self, person: PersonId, actor: str, because: str, patience: float = LOCK_SECONDS) -> list[Shut]:
        """Shut this person out everywhere, now; what became of each account. What is not closed stays owed (R33).

        A run that is under way is not waited for but for the answers to what it had sent. Raises EndpointError where the store
        cannot be written: then nobody is locked.
        """
        everyone = self._one_human(person)
        for each in everyone:
            self._lock(Fact(0, each, FactKind.LOCK, self._clock(), actor, because))
        end = time.monotonic() + patience
        told: dict[tuple[TargetName, PersonId], Shut] = {}
        while True:
            found = self.lockout.enforce(persons=everyone)
            told |= {(one.target, one.person): one for one in found}
            if not any(one.waits for one in found) or time.monotonic() > end:
                return [told[place] for place in sorted(told)]
            time.sleep(0.5)

    def _one_human(self, person: PersonId) -> list[PersonId]:
        """Everybody who is the same human as this person, as somebody said: a lock shuts out all of them."""
        united = self._store.resolutions.united()
        stays = united[person].into if person in united else person
        return [stays, *sorted(one for one, told in united.items() if told.into == stays)]

    def _lock(self, fact: Fact) -> None:
        for turn in range(1, _STORE_TRIES + 1):
            try:
                self._add(fact)
            except EndpointError:
                if turn == _STORE_TRIES:
                    raise
            else:
                return

    def sponsor(self, told: Mapping[str, str], sponsor: PersonId, until: date, actor: str, because: str) -> Fact:
        """A person of no roster: `told` has given, family, population, campus, and maybe birth_date and other fields."""
        self._must_come(until)
        values = {name: told[name].strip() for name in ("given", "family", "population", "campus")}
        for name in ("given", "family"):
            if not values[name]:
                raise ValueError(f"{name} is empty: an account is made of the legal name")
        population, known = values["population"], self._people.spec.populations
        if population not in known:
            raise ValueError(f"people.yaml has no population {population!r}{suggestion(population, known)}")
        self._must_be_campus(values["campus"])
        for name in told.keys() - values.keys() - {"birth_date"}:
            check_field(name, told[name], self._extra)
            if name in ("campus", "exit_date", "enabled"):
                raise ValueError(f"{name} follows from --campus and --until")
            values[f"field {name}"] = told[name].strip()
        if told.get("birth_date"):
            values["birth_date"] = date.fromisoformat(told["birth_date"].strip()).isoformat()
        fact = Fact(
            0, _NOBODY_YET, FactKind.SPONSOR, self._clock(), actor, because, values=values | {"sponsor": sponsor}, until=until
        )
        made = self._store.facts.sponsor(fact)
        _log.info("fact.added", person=made.person, kind=str(made.kind))
        return made

    def extend(self, person: PersonId, until: date, actor: str, because: str) -> Fact:
        """A sponsorship goes on, or begins again, to that day."""
        self._must_come(until)
        return self._sponsored_to(person, until, actor, because)

    def end_sponsorship(self, person: PersonId, actor: str, because: str) -> Fact:
        """A sponsorship is over: yesterday was its last day."""
        return self._sponsored_to(person, self.today - timedelta(days=1), actor, because)

    def _sponsored_to(self, person: PersonId, until: date, actor: str, because: str) -> Fact:
        mine = [fact for fact in self._store.facts.listed([person]) if fact.kind is FactKind.SPONSOR]
        if not mine:
            raise ValueError("nobody ever sponsored this person")
        return self._add(Fact(0, person, FactKind.SPONSOR, self._clock(), actor, because, values=mine[-1].values, until=until))

    def rename(self, person: PersonId, kind: str, name: str, actor: str, because: str, *, sealed: bool) -> str:
        """Somebody is called this from the next run on; the name as it was before, which stays theirs for ever (R9).

        Where `sealed`, no report tells a name they had before any more. Raises ChangeError for a name that is or was another's.
        """
        self._must_be_whole(person)
        names = self._store.names([person]).get(person, {})
        if kind not in names:
            raise ValueError(
                f"no name of theirs is called {kind!r}{suggestion(kind, names)}; they have {', '.join(names) or 'none yet'}"
            )
        state = self._store.persons([person])[person]
        rule = next((one for one in self._people.names.get(PopulationName(state.population or ""), ()) if one.kind == kind), None)
        if rule is None:
            raise ValueError(f"people.yaml makes no {kind} for {state.population or 'nobody'}")
        if rule.folded(name) != name:
            raise ValueError(f"{name!r} is not spelled as a {kind} is here; {rule.folded(name)!r} would be")
        if not is_usable(NameRequest(kind, (name,), max_length=rule.spec.max_length, avoid=rule.avoid), name):
            raise ValueError(f"{name!r} is a word to avoid, or longer than {rule.spec.max_length} characters")
        decided = Fact(0, person, FactKind.SEAL, self._clock(), actor, because)
        self._store.facts.rename(decided, IssuedName(kind, name, basis=""), sealed=sealed)
        _log.info("fact.added", person=person, kind="rename")
        return names[kind].value

    # --- checks -------------------------------------------------------------------------------------------------------

    def _add(self, fact: Fact) -> Fact:
        if fact.kind is not FactKind.LOCK:
            self._must_be_whole(fact.person)
        made = self._store.facts.add(fact)
        _log.info("fact.added", person=made.person, kind=str(made.kind))
        return made

    @property
    def today(self) -> date:
        """The date in the district's time zone (R27)."""
        return self._clock().astimezone(self._zone).date()

    def _must_be_whole(self, person: PersonId) -> None:
        one = self._store.resolutions.united().get(person)
        if one is not None:
            raise ValueError(f"{person} is {one.told}; say it of {one.into}")

    def _must_come(self, until: date) -> None:
        if until < self.today:
            raise ValueError(f"{until} has passed; the last day is today or later")

    def _must_be_campus(self, code: str) -> None:
        known = {campus.code for source, some in self._store.campuses().items() if source != LOCAL for campus in some}
        if code not in known:
            raise ValueError(f"no campus has the code {code!r}{suggestion(code, known)}")

    def _attribute(self, target: str, attribute: str) -> str:
        """The attribute as the mapping spells it, where an override of it can be taken back and takes nobody's name."""
        mapping = self._mappings.get(TargetName(target))
        if mapping is None:
            raise ValueError(f"no target is called {target!r}{suggestion(target, self._mappings)}")
        owned = {name.casefold(): name for rules in mapping.accounts.values() for name in rules.policies}
        spelt = owned.get(attribute.casefold())
        if spelt is None:
            if attribute.casefold() in {name.casefold() for name in mapping.relation_attributes}:
                raise ValueError(f"{attribute} names another account, which follows the roster")
            raise ValueError(f"the mapping of {target} has no attribute {attribute!r}{suggestion(attribute, owned.values())}")
        if spelt in mapping.carriers:
            raise ValueError(f"{spelt} holds a name of theirs, which only `syncd rename` changes")
        once = {rules.policies[spelt] for rules in mapping.accounts.values() if spelt in rules.policies} - {"enforce"}
        if once:
            raise ValueError(
                f"{spelt} is written with policy {', '.join(sorted(once))}: what stands there is theirs, and would not come back"
            )
        return spelt


def join(people: People, facts: Local, store: Store) -> None:
    """Bring sponsored persons into what a run has gathered, each as the built-in source tells of them.

    Whom a roster tells of is told of by that alone. A new record that may be somebody sponsored is nobody until a human says whose
    it is: never a second account (R35).
    """
    for person in facts.sponsored.keys() & people.everybody:
        elsewhere = [key for key in people.keys.get(person, ()) if key.source != LOCAL]
        record = None if people.records.get(person) else facts.sponsorship(person, elsewhere=bool(elsewhere))
        if record is not None:
            people.records[person] = [record]
        else:
            people.keys[person] = elsewhere
    if facts.sponsored and people.minted:
        _dispute_namesakes(people, facts, store)


def _dispute_namesakes(people: People, facts: Local, store: Store) -> None:
    keys = store.keys_of(facts.sponsored.keys())
    only_here = {person for person in facts.sponsored if all(key.source == LOCAL for key in keys.get(person, ()))}
    for person in sorted(people.minted):
        records = people.records.get(person, [])
        alike = sorted({other for record in records for other in facts.namesakes(record)} & only_here)
        if not alike:
            continue
        for record in records:
            people.unsettled.setdefault(record.source, set()).add(record.key)
            why = "may be somebody who is sponsored here: same family name, given name equal or one the beginning of the other"
            detail = {"candidates": ", ".join(alike), "key": str(record.key)}
            finding = Finding("disputed", f"{record.source}/{record.key}", why, None, SourceName(record.source), None, detail)
            people.findings[finding.subject, finding.why] = finding
        _forget(people, person)


def _forget(people: People, person: PersonId) -> None:
    """Nothing of somebody who is nobody yet becomes true in this run."""
    for mapping in (people.records, people.keys, people.states):
        mapping.pop(person, None)
    people.minted.discard(person)
    people.changed_keys = [key for key in people.changed_keys if key.person != person]


def waits(shut: Collection[Shut]) -> bool:
    """Whether something of somebody locked is still owed."""
    return any(not one.closed for one in shut)
