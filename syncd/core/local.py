"""What local facts mean on one day: for whom what stands above the sources (R6), who is kept as they are, who is kept out.

For the field or attribute it speaks of a local fact has its own authority, above every source, until its last day. Nothing here
remembers anything; `today` is an argument.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from types import MappingProxyType

from syncd.core.claims import parted
from syncd.core.facts import LOCAL, OVERRIDING, SPONSORED, Fact, FactKind
from syncd.core.fields import DERIVED, SCALARS, FieldType
from syncd.core.identify import resembles
from syncd.core.mapping import Wanted
from syncd.core.model import Campus, Person, PersonId, PopulationName, Record, Role, SourceKey, SourceName, TargetName, Value
from syncd.core.naming import fold
from syncd.core.resolution import United
from syncd.core.syntax import suggestion

_DAY = timedelta(days=1)
_SETTABLE = {name: one for name, one in SCALARS.items() if name not in ("roles", "grade_index")}  # both are worked out
_YES, _NO = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})

NO_FACTS: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Local:
    """Everything decided here that matters on one day. `sponsored` has the newest sponsorship of each person, over or not.

    `resets` are accounts that a lock closed and nobody has opened since: who gets one back gets a new password with it.
    """

    today: date
    facts: Mapping[PersonId, Sequence[Fact]] = field(default_factory=dict)
    sponsored: Mapping[PersonId, Fact] = field(default_factory=dict)
    sealed: frozenset[str] = frozenset()
    resets: frozenset[tuple[TargetName, PersonId]] = frozenset()
    campuses: Mapping[str, Campus] = field(default_factory=dict)  # by code
    united: Mapping[PersonId, United] = field(default_factory=dict)  # who is one with somebody else, who stays

    def of(self, person: PersonId) -> Sequence[Fact]:
        """What is in force for one person."""
        return self.facts.get(person, NO_FACTS)

    def locked(self, person: PersonId) -> Fact | None:
        """The lock that keeps this person out, if there is one."""
        return next((fact for fact in self.of(person) if fact.kind is FactKind.LOCK), None)

    @property
    def kept_out(self) -> frozenset[PersonId]:
        """Everybody who is locked."""
        return frozenset(person for person in self.facts if self.locked(person) is not None)

    def holding(self, person: PersonId) -> Fact | None:
        """Why nothing of this person may be changed by a run: a lock, else a freeze."""
        frozen = (fact for fact in self.of(person) if fact.kind is FactKind.FREEZE)
        return self.locked(person) or next(frozen, None)

    @property
    def left_behind(self) -> dict[str, PersonId]:
        """The names that stand on an account of somebody who is one with somebody else: not even that one is given them again."""
        return {name: person for person, one in self.united.items() for name in one.called}

    def due(self, person: PersonId) -> date | None:
        """The next day on which something of this stops being so."""
        return min((fact.until + _DAY for fact in self.of(person) if fact.until is not None), default=None)

    def overriding(self, person: PersonId, records: Sequence[Record]) -> list[Record]:
        """The records of a person with the overrides in front of them."""
        mine = [fact for fact in self.of(person) if fact.kind is FactKind.OVERRIDE and not fact.target]
        return [_overriding(mine, records, self.campuses), *records] if mine else list(records)

    def overridden(self, person: PersonId, target: TargetName, wanted: Wanted | None) -> Wanted | None:
        """The account as the mapping wants it, with the overrides of its attributes."""
        mine = {
            fact.attribute: (fact.values["value"],) if fact.values["value"] else ()
            for fact in self.of(person)
            if fact.kind is FactKind.OVERRIDE and fact.target == target
        }
        if wanted is None or not mine:
            return wanted
        return wanted._replace(
            attributes={**wanted.attributes, **{name: mine[name] for name in mine.keys() & wanted.attributes.keys()}}
        )

    def population(self, person: Person) -> PopulationName | None:
        """The population that was said of somebody whom no roster tells of; None for everybody else."""
        fact = self.sponsored.get(person.id)
        if fact is None or {source for source, _ in person.records} != {LOCAL}:
            return None
        return PopulationName(fact.values["population"])

    def sponsorship(self, person: PersonId, *, elsewhere: bool) -> Record | None:
        """The record made of a sponsorship. One that is over tells the last day; where a roster told of the person, nothing."""
        fact = self.sponsored.get(person)
        if fact is None or (elsewhere and not fact.is_in_force(self.today)):
            return None
        return _sponsored(fact, self.campuses)

    def namesakes(self, record: Record) -> list[PersonId]:
        """The sponsored persons who may be whom this record of a roster tells of, by their names alone.

        A birth date that is told on both sides, and differs, says that they are not.
        """
        family, given = fold(_text(record.fields.get("family"))), fold(_text(record.fields.get("given")))
        born = record.facts.get("birth_date", "")
        return [
            person
            for person, fact in sorted(self.sponsored.items())
            if family
            and fold(fact.values["family"]) == family
            and resembles(given, fold(fact.values["given"]))
            and (not born or (_born(fact)[0].get("birth_date") or born) == born)
        ]


def local(
    facts: Iterable[Fact],
    today: date,
    resets: Collection[tuple[TargetName, PersonId]] = (),
    campuses: Mapping[SourceName, Sequence[Campus]] = MappingProxyType({}),
) -> Local:
    """What of these facts matters on this day."""
    mine: dict[PersonId, list[Fact]] = {}
    sponsored: dict[PersonId, Fact] = {}
    sealed: set[str] = set()
    for fact in sorted(facts, key=lambda fact: fact.id):
        if fact.kind is FactKind.SPONSOR:
            sponsored[fact.person] = fact
        if fact.kind is FactKind.SEAL:
            sealed.add(fact.attribute)
        elif fact.is_in_force(today):
            mine.setdefault(fact.person, []).append(fact)
    codes = {campus.code: campus for source, some in campuses.items() if source != LOCAL for campus in some}
    return Local(today, mine, sponsored, frozenset(sealed), frozenset(resets), codes)


def _overriding(facts: Iterable[Fact], records: Sequence[Record], campuses: Mapping[str, Campus]) -> Record:
    fields: dict[str, Value] = {}
    roles: tuple[Role, ...] = ()
    for fact in facts:
        said = fact.values["value"]
        if fact.attribute == "campus":
            campus = campuses.get(said) or Campus(SourceKey(said), said, said)
            known = [role.role for record in records for role in record.roles]
            roles = (Role(campus, known[0] if known else SPONSORED, primary=True),)
        else:
            fields[fact.attribute] = parsed(fact.attribute, said)
    return Record(LOCAL, OVERRIDING, fields, roles)


def _sponsored(fact: Fact, campuses: Mapping[str, Campus]) -> Record:
    told = fact.values
    fields = {
        name.removeprefix("field "): parsed(name.removeprefix("field "), value) for name, value in told.items() if " " in name
    }
    fields |= {"given": told["given"], "family": told["family"], "exit_date": fact.until}
    campus = campuses.get(told["campus"]) or Campus(SourceKey(told["campus"]), told["campus"], told["campus"])
    facts, sealed = _born(fact)
    return Record(LOCAL, SourceKey(told["key"]), fields, (Role(campus, SPONSORED, primary=True),), facts=facts, sealed=sealed)


def _born(fact: Fact) -> tuple[dict[str, str], dict[str, str]]:
    """The birth date of somebody sponsored, as a record has it: none where it was not said."""
    return parted({"birth_date": fact.values["birth_date"]} if fact.values.get("birth_date") else {})


def without_overrides(person: Person) -> Person:
    """The person, told of by sources only: nothing depends on the rows of an override."""
    kept = tuple(record for record in person.records if record != (LOCAL, OVERRIDING))
    return person if len(kept) == len(person.records) else replace(person, records=kept)


# --- what may be said -------------------------------------------------------------------------------------------------


def parsed(name: str, said: str) -> Value:
    """The value of a field as people write it; nothing for an empty text. Raises ValueError in words."""
    form = SCALARS[name].type if name in SCALARS else FieldType.TEXT
    text = said.strip()
    if form is FieldType.FLAG:
        if text.lower() not in _YES | _NO:
            raise ValueError(f"{name} is true or false, not {said!r}")
        return text.lower() in _YES
    if not text:
        return "" if form is FieldType.TEXT else None
    if form is FieldType.DATE:
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{name} is a date such as 2026-12-31, not {said!r}") from None
    return text


def check_field(name: str, said: str, extra: Collection[str]) -> None:
    """Raises ValueError, naming a near one, for a field that cannot be said by hand or a value it cannot have.

    `extra` are the `extra.` columns that sources declare.
    """
    known = {*_SETTABLE, *extra, "campus"}
    if name not in known:
        if name in SCALARS or name in DERIVED:
            raise ValueError(
                f"{name} is worked out from other fields; override one of those, or --target T with an attribute there"
            )
        raise ValueError(f"no person field is called {name!r}{suggestion(name, known)}")
    parsed(name, said)


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""
