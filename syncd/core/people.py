"""people.yaml compiled: which population a person is in, which names they ask for, how long their account lives.

Populations and names read one person only: neither may depend on another person, so a name never changes because somebody
else's did.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from types import MappingProxyType

from syncd.core.codegen import Vocabulary
from syncd.core.expression import Function
from syncd.core.lifecycle import ANY, Keep, LifecycleSpec
from syncd.core.mapping_spec import ATTRIBUTE, CandidatesSpec, LifecycleRules, Mark, NameSpec, PeopleSpec, Text
from syncd.core.model import Person, PopulationName
from syncd.core.naming import FOLDS, NameRequest, cut, fold
from syncd.core.rules import Rules, fingerprint_of, finished, first_mark, raise_problems, used
from syncd.core.syntax import suggestion
from syncd.errors import Problem

SIGNS = re.compile(r"([._-])[._-]+")
DURATION = re.compile(r"(\d{1,5}) (days?|weeks?)")
KEEP = re.compile(r"keep (?:until (?P<month>\d\d)-(?P<day>\d\d)|(?P<length>.+))")
COMMON_YEAR = 2001


@dataclass(frozen=True, slots=True)
class People:
    """people.yaml compiled: populations, name rules and lifecycles."""

    spec: PeopleSpec
    vocabulary: Vocabulary
    fingerprint: str
    relations: frozenset[str]
    lifecycle: Mapping[PopulationName, LifecycleSpec]
    populations: Rules[str | None]
    names: Mapping[PopulationName, tuple[NameRule, ...]]
    campus_settles_after: int  # days
    staff: frozenset[PopulationName]  # into which nobody rises unseen (R40)

    def population(self, person: Person) -> PopulationName | None:
        """The first population the person fits, in the order of the file, or None. Raises MappingFailure."""
        found = self.populations.run(person)
        return None if found is None else PopulationName(found)

    def name_requests(self, person: Person, population: PopulationName) -> tuple[NameRequest, ...]:
        """The names a person of this population asks for, by kind, candidates folded and cut. Raises MappingFailure."""
        return tuple(rule.request(person) for rule in self.names.get(population, ()))

    def named_by(self, population: PopulationName) -> Mapping[str, tuple[str, ...]]:
        """The fields that each kind of name of this population is made of."""
        return {rule.kind: rule.reads for rule in self.names.get(population, ())}

    def explain(self, population: PopulationName) -> Mapping[str, Mark]:
        """Where the rules stand that made a person of this population what they are: `population`, `names.<kind>`."""
        names = {f"names.{rule.kind}": mark for rule in self.names.get(population, ()) for mark in rule.marks()}
        return {"population": self.populations.marks[f"populations.{population}"], **names}


@dataclass(frozen=True, slots=True)
class NameRule:
    """How one population gets one kind of name."""

    kind: str
    spec: NameSpec
    candidates: Rules[tuple[str, ...]]
    counted: Rules[tuple[str, str]] | None
    avoid: frozenset[str]
    reads: tuple[str, ...]  # the fields it is made of, sorted

    def request(self, person: Person) -> NameRequest:
        """The request for this person; empty candidates are left out."""
        keep = self.spec.keep
        told = [cut(self.folded(text).strip(keep), self.spec.max_length).rstrip(keep) for text in self.candidates.run(person)]
        return NameRequest(
            kind=self.kind,
            candidates=tuple(dict.fromkeys(name for name in told if name)),
            then=None if self.counted is None else _Counted(self, self.counted, person),
            max_length=self.spec.max_length,
            avoid=self.avoid,
            on_rename=self.spec.on_rename,
        )

    def marks(self) -> tuple[Mark, ...]:
        """Where the rule begins; empty where it has no candidate."""
        return tuple(self.candidates.marks.values())[:1]

    def folded(self, text: str) -> str:
        """The text folded as this kind of name is; where a part was empty, no two kept signs stand together (`a..b`)."""
        return SIGNS.sub(r"\1", fold(text, self.spec.fold, self.spec.keep))


@dataclass(frozen=True)  # without slots: what stands around the counter is kept, however many counters are tried
class _Counted:
    """The counter form of one person's name, for n = 2, 3, …: what stands around the counter is cut, never the counter."""

    rule: NameRule
    template: Rules[tuple[str, str]]
    person: Person

    @cached_property
    def _around(self) -> tuple[str, str]:
        before, behind = (self.rule.folded(text) for text in self.template.run(self.person))
        return before.lstrip(self.rule.spec.keep), behind

    def __call__(self, n: int) -> str:
        spec, (before, behind) = self.rule.spec, self._around
        room = spec.max_length - len(str(n)) - 1  # one letter in front of the counter at least
        return cut(before, spec.max_length, f"{n}{behind[: max(room, 0)].rstrip(spec.keep)}")


def compile_people(spec: PeopleSpec, extra_fields: Collection[str] = ()) -> People:
    """people.yaml compiled, or ConfigError with every problem. `extra_fields`: the `extra.` columns sources declare."""
    extra = frozenset(name.removeprefix("extra.") for name in extra_fields)
    problems = list(_table_problems(spec))
    tables = {name: table for name, table in spec.tables.items() if name}
    vocabulary = Vocabulary(extra, spec.config, tables, others=False)
    start = _start(spec)

    populations = Function(vocabulary)
    marks: dict[str, Mark] = {}
    for name, population in spec.populations.items():
        rule = f"populations.{name}"
        marks[rule] = population.when.mark
        condition = populations.condition(population.when)
        populations.add(f"if {condition}: return {name!r}", rule)
    populations.add("return None")
    if not spec.populations:
        problems.append(Problem(str(start), "no populations: say who the rules are about"))
    problems += populations.problems

    functions = [populations]
    rules: list[tuple[str, str, NameSpec, Function, Function | None, dict[str, Mark]]] = []
    for kind, name_spec in spec.names.items():
        for population_name, form in name_spec.populations.items():
            mark = first_mark(form) or start
            if population_name not in spec.populations:
                told = suggestion(population_name, spec.populations)
                problems.append(Problem(str(mark), f"names.{kind}: no population '{population_name}'{told}"))
            candidates, counted, name_marks = _compile_name(kind, form, vocabulary)
            functions += [candidates, *([counted] if counted else [])]
            rules.append((population_name, kind, name_spec, candidates, counted, name_marks))
        problems += _name_problems(kind, name_spec, start)
    problems += [problem for function in functions[1:] for problem in function.problems]

    lifecycle: dict[PopulationName, LifecycleSpec] = {}
    for population_name, stages in spec.lifecycle.items():
        if population_name not in spec.populations:
            told = suggestion(population_name, spec.populations)
            mark = first_mark(stages) or start
            problems.append(Problem(str(mark), f"lifecycle: no population '{population_name}'{told}"))
        lifecycle[PopulationName(population_name)] = _compile_lifecycle(stages, problems)
    raise_problems(problems)

    names: dict[PopulationName, list[NameRule]] = {}
    for population_name, kind, name_spec, candidates, counted, name_marks in rules:
        rule_set = names.setdefault(PopulationName(population_name), [])
        rule_set.append(
            NameRule(
                kind,
                name_spec,
                finished(candidates, "candidates", "person", name_marks, start.file),
                None if counted is None else finished(counted, "counted", "person", name_marks, start.file),
                frozenset(name_spec.avoid),
                _fields_read(candidates, counted),
            )
        )
    for name in spec.populations:
        lifecycle.setdefault(PopulationName(name), LifecycleSpec())
    return People(
        spec=spec,
        vocabulary=vocabulary,
        fingerprint=fingerprint_of(
            spec.populations, spec.names, spec.lifecycle, spec.campus_settles_after, *used(functions, vocabulary)
        ),
        relations=frozenset(),
        lifecycle=MappingProxyType(lifecycle),
        populations=finished(populations, "population", "person", marks, start.file),
        names=MappingProxyType({name: tuple(rule_set) for name, rule_set in names.items()}),
        campus_settles_after=spec.campus_settles_after,
        staff=frozenset(map(PopulationName, _staff(spec))),
    )


def _compile_name(
    kind: str, form: Text | CandidatesSpec, vocabulary: Vocabulary
) -> tuple[Function, Function | None, dict[str, Mark]]:
    texts, then = (form.try_, form.then) if isinstance(form, CandidatesSpec) else ((form,), None)
    rule = f"names.{kind}"
    marks: dict[str, Mark] = {}
    candidates = Function(vocabulary)
    for at, text in enumerate(texts):
        code = candidates.template(text)
        marks[f"{rule}[{at}]"] = text.mark
        candidates.add(f"c{at} = {code.source if code else ''}", f"{rule}[{at}]")
    candidates.add(f"return ({''.join(f'c{at}, ' for at in range(len(texts)))})")
    if then is None:
        return candidates, None, marks
    counted = Function(vocabulary)
    marks[f"{rule}.then"] = then.mark
    around = counted.around(then, "n")
    if around:
        counted.add(f"return ({around[0].source}, {around[1].source})", f"{rule}.then")
    return candidates, counted, marks


def _fields_read(*functions: Function | None) -> tuple[str, ...]:
    return tuple(sorted({name for function in functions if function is not None for name in function.fields}))


def _name_problems(kind: str, spec: NameSpec, start: Mark) -> Iterator[Problem]:
    mark = next((found for form in spec.populations.values() if (found := first_mark(form))), start)
    if spec.fold not in FOLDS:
        yield Problem(str(mark), f"names.{kind}: no way to fold called '{spec.fold}'; there is {', '.join(FOLDS)}")
    if not 4 <= spec.max_length <= 256:  # noqa: PLR2004  shorter cannot hold a counter, longer no directory takes
        yield Problem(str(mark), f"names.{kind}: max_length must be between 4 and 256")
    if not set(spec.keep) <= set("._-"):
        yield Problem(str(mark), f"names.{kind}: keep may hold . _ and - only")
    for attribute in spec.unique_in:
        if not ATTRIBUTE.fullmatch(attribute):
            yield Problem(str(mark), f"names.{kind}: unique_in: '{attribute}' is not the name of an attribute")
    if not kind.isidentifier():
        yield Problem(str(mark), f"names: '{kind}' is no name for a name; use letters, digits and _")
    for form in spec.populations.values():
        if isinstance(form, CandidatesSpec) and not form.try_:
            yield Problem(str(first_mark(form) or mark), f"names.{kind}: try needs at least one template")


def _compile_lifecycle(rules: LifecycleRules, problems: list[Problem]) -> LifecycleSpec:
    def days(text: Text | None) -> int | None:
        found = None if text is None else _days(text.text)
        if text is not None and found is None:
            problems.append(Problem(str(text.mark), f"'{text.text}' is not a length of time; write it as '14 days'"))
        return found

    park = rules.park
    return LifecycleSpec(
        create_before_start=days(rules.create_before_start),
        enable_before_start=days(rules.enable_before_start),
        grace_days=rules.grace.days,
        grace_snapshots=rules.grace.snapshots,
        park_after=None if park is None else days(park.after) or 0,
        park_container=None if park is None else park.container,
        delete_after=None if rules.delete == "never" else days(rules.delete.after),
        claim=rules.claim,
        keeps=tuple(_keeps(rules.exits, problems)),
        **({} if rules.reset_after is None else {"reset_after": days(rules.reset_after) or 0}),
    )


def _days(text: str) -> int | None:
    found = DURATION.fullmatch(text.strip())
    return None if found is None else int(found[1]) * (7 if found[2].startswith("week") else 1)


def _keeps(exits: Mapping[str, Mapping[str, Text]], problems: list[Problem]) -> Iterator[Keep]:
    """What is kept after an exit (R36). A reason that names no targets at all keeps nothing, whatever `*` says."""
    for reason, targets in exits.items():
        if not targets:
            yield Keep(reason, ANY)
        for target, text in targets.items():
            keep = _keep(reason, target, text.text.strip())
            if isinstance(keep, Keep):
                yield keep
            else:
                problems.append(Problem(str(text.mark), f"'{text.text}' {keep}"))


def _keep(reason: str, target: str, text: str) -> Keep | str:
    """What the text says, or what is wrong with it."""
    found = KEEP.fullmatch(text)
    length = _days(found["length"]) if found and found["length"] else None
    if length is not None:
        return Keep(reason, target, days=length)
    if found is None or found["length"]:
        return "does not say how long; write it as 'keep 30 days' or 'keep until 10-31'"
    month_day = int(found["month"]), int(found["day"])
    return Keep(reason, target, month_day=month_day) if _is_yearly(*month_day) else "names no day that every year has"


def _is_yearly(month: int, day: int) -> bool:
    """True for a day that every year has: not 29 February."""
    try:
        date(COMMON_YEAR, month, day)
    except ValueError:
        return False
    return True


def _staff(spec: PeopleSpec) -> Iterator[str]:
    """The populations that are staff; one called so is, even when it is not in the file any more."""
    told = {"staff": None} | {name: population.staff for name, population in spec.populations.items()}
    return (name for name, staff in told.items() if (name == "staff" if staff is None else staff))


def _table_problems(spec: PeopleSpec) -> Iterator[Problem]:
    start = _start(spec)
    for name, table in spec.tables.items():
        if len({isinstance(row, Mapping) for row in table.values()}) > 1:
            yield Problem(str(start), f"tables.{name}: either every key has a text or every key has a second key")


def _start(spec: PeopleSpec) -> Mark:
    mark = next((population.when.mark for population in spec.populations.values()), None)
    return mark or Mark("people.yaml", 1, 1)
