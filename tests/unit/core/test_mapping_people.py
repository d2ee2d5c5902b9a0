"""Populations, names and lifecycles as people.yaml tells them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.core.lifecycle import LifecycleSpec
from syncd.core.mapping_spec import (
    CandidatesSpec,
    DeleteSpec,
    GraceSpec,
    LifecycleRules,
    Mark,
    NameSpec,
    ParkSpec,
    PeopleSpec,
    PopulationSpec,
    Text,
)
from syncd.core.model import Person, PersonId, PopulationName
from syncd.core.naming import NameRequest
from syncd.core.people import compile_people
from syncd.core.rules import MappingFailure
from syncd.errors import ConfigError

STAFF = PopulationName("staff")


def text(source: str, line: int = 1) -> Text:
    """A text as it stands in mappings/people.yaml."""
    return Text(source, Mark("mappings/people.yaml", line, 5))


def person(**fields: str | int | tuple[str, ...]) -> Person:
    """A person with these fields and nothing else."""
    return Person(PersonId("p1"), fields)


POPULATIONS = {
    "prek": PopulationSpec(text("'student' in roles and grade_index < 0", 2)),
    "students": PopulationSpec(text("'student' in roles", 3)),
    "staff": PopulationSpec(text("'teacher' in roles or 'staff' in roles", 4)),
}
SPEC = PeopleSpec(POPULATIONS)
JOSE = person(given="José", family="O'Neil-García", middle="")


def request(name: NameSpec, who: Person = JOSE) -> NameRequest:
    """The name a member of staff asks for under this rule."""
    (asked,) = compile_people(replace(SPEC, names={"username": name})).name_requests(who, STAFF)
    return asked


def problems(spec: PeopleSpec) -> list[str]:
    """What is said of people that do not compile."""
    with pytest.raises(ConfigError) as caught:
        compile_people(spec)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        (person(roles=("student",), grade_index=-1), "prek"),
        (person(roles=("student", "teacher"), grade_index=7), "students"),
        (person(roles=("teacher",)), "staff"),
        (person(roles=("parent",)), None),
    ],
)
def test_the_first_population_that_fits_wins(who: Person, expected: str | None) -> None:
    """Populations are tried in the order of the file; nobody's population is None."""
    assert compile_people(SPEC).population(who) == expected


def test_a_population_that_cannot_be_decided_fails_for_that_person() -> None:
    """A student without a known grade fits neither side of a grade rule: a MappingFailure names the rule."""
    with pytest.raises(MappingFailure) as caught:
        compile_people(SPEC).population(person(roles=("student",)))
    assert (caught.value.rule, caught.value.attribute) == ("mappings/people.yaml:2:5", "populations.prek")


def test_candidates_are_folded_cut_and_told_once() -> None:
    """The candidates come in order, folded, within the length, without empty ones and repetitions."""
    rule = CandidatesSpec(
        (text("{{ given | initial }}{{ family }}"), text("{{ middle }}"), text("{{ given[:1] }}{{ family }}"), text("{{ given }}"))
    )
    assert request(NameSpec({"staff": rule}, max_length=8)).candidates == ("joneilga", "jose")


def test_the_counter_survives_the_length_limit() -> None:
    """What stands before and behind the counter is cut, never the counter."""
    rule = CandidatesSpec((text("{{ family }}"),), then=text("{{ given | initial }}{{ family }}{{ n }}"))
    then = request(NameSpec({"staff": rule}, max_length=8)).then
    assert then is not None
    assert [then(2), then(10), then(1234)] == ["joneilg2", "joneil10", "jone1234"]


def test_a_counter_may_stand_in_the_middle() -> None:
    """Text behind the counter stays behind it."""
    rule = CandidatesSpec((text("{{ family }}"),), then=text("{{ given }}{{ n }}.{{ family }}"))
    then = request(NameSpec({"staff": rule}, max_length=20, keep=".")).then
    assert then is not None
    assert then(3) == "jose3.oneilgarcia"


@pytest.mark.parametrize(
    ("template", "who", "expected"),
    [
        ("{{ given }}.{{ family }}", JOSE, "jose.oneilgarcia"),
        ("{{ given }}.{{ family }}", person(family="Lee"), "lee"),
        ("{{ given }}.{{ middle }}.{{ family }}", person(given="Ana", family="Lee"), "ana.lee"),
        ("{{ given }}.{{ family }}", person(given="Maximiliana", family="Lee"), "maximiliana"),
    ],
)
def test_kept_signs_stand_only_between_letters(template: str, who: Person, expected: str) -> None:
    """A name never begins or ends with a kept sign, nor holds two in a row, even where a part is empty or cut."""
    assert request(NameSpec({"staff": text(template)}, keep=".", max_length=12 if who is not JOSE else 20), who).candidates == (
        expected,
    )


def test_a_rule_hands_its_limits_to_the_ledger() -> None:
    """Length, words to avoid and what to do on a rename are part of the request."""
    asked = request(NameSpec({"staff": text("{{ family }}")}, max_length=12, avoid=("root",), on_rename="keep"))
    assert (asked.kind, asked.max_length, asked.avoid, asked.on_rename, asked.then) == (
        "username",
        12,
        frozenset({"root"}),
        "keep",
        None,
    )


def test_population_and_names_can_be_explained() -> None:
    """For a population, where its condition and its name rules stand."""
    people = compile_people(replace(SPEC, names={"username": NameSpec({"staff": text("{{ family }}", 9)})}))
    lines = {rule: mark.line for rule, mark in people.explain(STAFF).items()}
    assert lines == {"population": 4, "names.username": 9}


def test_a_population_without_a_name_rule_asks_for_none() -> None:
    """Students have no user name where only staff have a rule."""
    people = compile_people(replace(SPEC, names={"username": NameSpec({"staff": text("{{ family }}")})}))
    assert people.name_requests(JOSE, PopulationName("students")) == ()


def test_a_lifecycle_is_read_in_days() -> None:
    """Lengths of time become days; a population without stages has the default ones."""
    rules = LifecycleRules(
        create_before_start=text("2 weeks"),
        enable_before_start=text("1 day"),
        grace=GraceSpec(5, 4),
        park=ParkSpec("OU=Gone", text("7 days")),
        delete=DeleteSpec(text("400 days")),
        reset_after=text("60 days"),
    )
    people = compile_people(replace(SPEC, lifecycle={"staff": rules}))
    assert people.lifecycle[STAFF] == LifecycleSpec(
        create_before_start=14,
        enable_before_start=1,
        grace_days=5,
        grace_snapshots=4,
        park_after=7,
        park_container="OU=Gone",
        delete_after=400,
        reset_after=60,
    )
    assert people.lifecycle[PopulationName("students")] == LifecycleSpec()


def test_all_problems_are_told_at_once() -> None:
    """Every mistake of the file is found on loading, with its place."""
    spec = PeopleSpec(
        populations={"staff": PopulationSpec(text("'teacher' in rolls", 2)), "kids": PopulationSpec(text("manager", 3))},
        names={
            "username": NameSpec(
                {
                    "staf": text("{{ family }}", 5),
                    "staff": CandidatesSpec((text("{{ famly }}", 6),), text("{{ family }}", 7)),
                    "kids": CandidatesSpec((), text("{{ n }}{{ n }}", 8)),
                },
                max_length=2,
                fold="upper",
                keep="@",
            ),
            "user name": NameSpec({"kids": text("{{ today }}", 9)}),
        },
        lifecycle={"stuff": LifecycleRules(create_before_start=text("a fortnight", 10))},
        tables={"mixed": {"a": "x", "b": {"c": "y"}}},
    )
    said = problems(spec)
    for expected in (
        "2:18: no field 'rolls'; did you mean 'roles'?",
        "3:5: populations and names cannot depend on another person ('manager')",
        "5:5: names.username: no population 'staf'; did you mean 'staff'?",
        "6:8: no field 'famly'; did you mean 'family'?",
        "7:5: this must contain {{ n }} exactly once",
        "8:8: this must contain {{ n }} exactly once",
        "try needs at least one template",
        "max_length must be between 4 and 256",
        "no way to fold called 'upper'; there is ascii_lower",
        "keep may hold . _ and - only",
        "'user name' is no name for a name",
        "9:8: 'today' may stand only",
        "10:5: 'a fortnight' is not a length of time; write it as '14 days'",
        "lifecycle: no population 'stuff'; did you mean 'staff'?",
        "tables.mixed: either every key has a text or every key has a second key",
    ):
        assert any(expected in line for line in said), (expected, said)


def test_the_fingerprint_covers_names_lifecycle_and_used_tables() -> None:
    """Whatever can change a population, name or date changes the fingerprint; a moved line does not."""
    base = compile_people(SPEC).fingerprint
    moved = {name: PopulationSpec(Text(each.when.text, Mark("p", 90, 1))) for name, each in POPULATIONS.items()}
    assert compile_people(PeopleSpec(moved)).fingerprint == base
    assert compile_people(replace(SPEC, names={"u": NameSpec({"staff": text("{{ family }}")})})).fingerprint != base
    assert compile_people(replace(SPEC, lifecycle={"staff": LifecycleRules()})).fingerprint != base
    assert compile_people(PeopleSpec(dict(reversed(POPULATIONS.items())))).fingerprint != base
