"""Golden people: made-up persons in a mapping file, and what the mapping must make of them.

They are mapped by the same functions as everybody else, with an empty ledger: each name is its first candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from syncd.core import addresses
from syncd.core.correlate import NAME_PARTS, shown_names
from syncd.core.fields import FIELDS, MEMBERS, FieldType
from syncd.core.mapping import TargetMapping, Wanted
from syncd.core.mapping_spec import GoldenSpec, Mark, Text
from syncd.core.model import Campus, Person, PersonId, Section, SourceKey, Value
from syncd.core.people import People
from syncd.core.rules import MappingFailure, first_mark
from syncd.core.syntax import suggestion
from syncd.errors import Problem

GRADES = {"PK": -1, "KG": 0} | {f"{grade:02}": grade for grade in range(1, 13)}
RESULTS = ("account", "population", "container", "rdn", "groups")


def run_golden(people: People, mapping: TargetMapping, today: date, *, display: str = "legal") -> list[Problem]:
    """Which golden people of this target come out otherwise than expected, in the order of the file; empty when all is well.

    `display` is the district's choice of names to show, `legal` or `preferred`.
    """
    problems: list[Problem] = []
    start = next((account.rdn.mark for account in mapping.spec.accounts.values()), Mark(mapping.target, 1, 1))
    for number, golden in enumerate(mapping.spec.tests, 1):
        mark = first_mark(golden) or start
        try:
            differences = _differences(golden, people, mapping, _Made(display), today)
        except (MappingFailure, _UnusableError) as failure:
            differences = [(mark, str(failure))]
        problems += [Problem(str(where or mark), f"golden person {number}: {what}") for where, what in differences]
    return problems


class _UnusableError(ValueError):
    """A golden person that is none: says what is wrong with it."""


def _differences(
    golden: GoldenSpec, people: People, mapping: TargetMapping, made: _Made, today: date
) -> list[tuple[Mark | None, str]]:
    if not golden.expect:
        raise _UnusableError("it expects nothing; say what must come out, such as container or an attribute")
    person = made.person(golden.person, "golden")
    population = people.population(person)
    requests = () if population is None else people.name_requests(person, population)
    names = {request.kind: (*request.candidates, "")[0] for request in requests} | made.names
    wanted = None if population is None else mapping.desire(person, population, names, made.related, today)
    results: dict[str, tuple[str, ...]] = {"population": () if population is None else (population,)}
    results |= {f"names.{kind}": (name,) for kind, name in names.items()}
    results |= _results(wanted, today)
    differences: list[tuple[Mark | None, str]] = []
    for key, expected in golden.expect.items():
        texts = expected if isinstance(expected, tuple) else () if expected is None else (expected,)
        mark = first_mark(expected)
        known = {*RESULTS, *results, *mapping.attributes, *(f"names.{kind}" for kind in people.spec.names)}
        if key not in known:
            differences.append((mark, f"nothing called '{key}' comes out{suggestion(key, known)}"))
            continue
        got, want = results.get(key, ()), tuple(text.text for text in texts)
        if (sorted(got), len(got)) != (sorted(want), len(want)):
            differences.append((mark, f"{key} is {_shown(got)}, expected {_shown(want)}"))
    return differences


def _results(wanted: Wanted | None, today: date) -> dict[str, tuple[str, ...]]:
    if wanted is None:
        return {"account": ()}
    return {
        "account": ("yes",),
        "container": (wanted.container,),
        "rdn": (wanted.rdn,),
        "groups": tuple(group.name for group in wanted.groups),
        **addresses.held(addresses.of_account(wanted.aliases, (), today), wanted.attributes, wanted.policies, None).attributes,
    }


def _shown(values: Sequence[str]) -> str:
    return "nothing" if not values else ", ".join(repr(value) for value in values)


@dataclass(slots=True)
class _Made:
    """What a nested golden person becomes: the person, those related to it, and names it brings along."""

    display: str
    related: dict[str, Person] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def person(self, told: Mapping[str, object], key: str) -> Person:
        values: dict[str, Value] = {}
        parts: dict[str, object] = {}
        for name, raw in told.items():
            value = raw.text if isinstance(raw, Text) else raw
            if name == "extra":
                values |= {f"extra.{column}": _text(f"extra.{column}", cell) for column, cell in _nested(name, value).items()}
            elif name == "names":
                self.names |= {kind: _text(f"names.{kind}", text) for kind, text in _nested(name, value).items()}
            elif name not in FIELDS:
                raise _UnusableError(f"no field '{name}'{suggestion(name, FIELDS)}")
            elif FIELDS[name].type in SCALAR_VALUES:
                values[name] = SCALAR_VALUES[FIELDS[name].type](name, value)
            else:
                parts[name] = value
        _derive(values, self.display)
        return self._with_parts(Person(PersonId(key), values), parts)

    def _with_parts(self, person: Person, parts: Mapping[str, object]) -> Person:
        campus = _campus("campus", parts["campus"]) if "campus" in parts else None
        campuses = tuple(_campus("campuses", each) for each in _listed("campuses", parts.get("campuses", ())))
        homeroom = None
        if "homeroom" in parts:
            told = dict(_nested("homeroom", parts["homeroom"]))
            if "teacher" in told:
                self.related["homeroom.teacher"] = self.person(_nested("homeroom.teacher", told.pop("teacher")), "teacher")
            homeroom = _section("homeroom", told)
        classes = tuple(_section("classes", each) for each in _listed("classes", parts.get("classes", ())))
        if "manager" in parts:
            self.related["manager"] = self.person(_nested("manager", parts["manager"]), "manager")
        return Person(
            id=person.id,
            fields=person.fields,
            campus=campus,
            campuses=campuses or ((campus,) if campus else ()),
            classes=classes or ((homeroom,) if homeroom else ()),
            homeroom=homeroom,
        )


def _derive(values: dict[str, Value], display: str) -> None:
    """What a source or correlation would add: the grade's number, the names to show."""
    grade = values.get("grade")
    if isinstance(grade, str) and grade in GRADES:
        values.setdefault("grade_index", GRADES[grade])
    names = shown_names({part: str(values.get(part) or "") for part in NAME_PARTS}, display)
    for name in ("legal_name", "preferred_name", "display_given", "display_family"):
        values.setdefault(name, names[name])
    shown = (values["display_given"], values["display_family"], values.get("suffix"))
    values.setdefault("display_name", " ".join(str(part) for part in shown if part))


def _campus(name: str, told: object) -> Campus:
    values = _members(name, told, FieldType.CAMPUS)
    code = str(values.get("code", ""))
    key = SourceKey(str(values.get("key", code)))
    return Campus(key, str(values.get("name", "")), code, str(values.get("kind", "school")))


def _section(name: str, told: object) -> Section:
    values = _members(name, told, FieldType.CLASS)
    code = str(values.get("code", ""))
    return Section(
        key=SourceKey(str(values.get("key", code))),
        code=code,
        title=str(values.get("title", "")),
        campus=SourceKey(""),
        kind=str(values.get("kind", "homeroom" if name == "homeroom" else "scheduled")),
        course=str(values.get("course", "")),
        active=bool(values.get("active", True)),
    )


def _members(name: str, told: object, kind: FieldType) -> dict[str, Value]:
    members = MEMBERS[kind]
    values: dict[str, Value] = {}
    for member, value in _nested(name, told).items():
        if member not in members or members[member].type not in SCALAR_VALUES:
            raise _UnusableError(f"a {kind} has no '{member}'{suggestion(member, members)}")
        values[member] = SCALAR_VALUES[members[member].type](f"{name}.{member}", value)
    return values


def _nested(name: str, value: object) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _UnusableError(f"'{name}' has parts: write {name}: {{ … }}")
    return value


def _listed(name: str, value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise _UnusableError(f"'{name}' is a list: write {name}: [ … ]")
    return value


def _text(name: str, value: object) -> str:
    if isinstance(value, Text):
        return value.text
    if not isinstance(value, str):
        raise _UnusableError(f"'{name}' is text: quote it")
    return value


def _texts(name: str, value: object) -> tuple[str, ...]:
    return tuple(_text(name, each) for each in _listed(name, value))


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _UnusableError(f"'{name}' is true or false")
    return value


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _UnusableError(f"'{name}' is a number")
    return value


def _date(name: str, value: object) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(_text(name, value))
    except ValueError:
        raise _UnusableError(f"'{name}' is a date: 2026-08-17") from None


SCALAR_VALUES: Mapping[FieldType, Callable[[str, object], Value]] = {
    FieldType.TEXT: _text,
    FieldType.LIST: _texts,
    FieldType.FLAG: _flag,
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
}
