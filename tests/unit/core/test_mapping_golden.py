"""Golden people: what `syncd check` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pytest

from syncd.core.golden import run_golden
from syncd.core.mapping import compile_people, compile_target
from syncd.core.mapping_spec import (
    AccountSpec,
    AttributeSpec,
    GoldenSpec,
    GroupSpec,
    Mark,
    NameSpec,
    PeopleSpec,
    PopulationSpec,
    TargetSpec,
    Text,
)


def text(source: str, line: int = 1) -> Text:
    """A text as it stands in mappings/ad.yaml."""
    return Text(source, Mark("mappings/ad.yaml", line, 5))


PEOPLE = compile_people(
    PeopleSpec(
        {"students": PopulationSpec(text("'student' in roles"))},
        {"username": NameSpec({"students": text("{{ student_number }}")})},
        tables={"licence": {"012": "A1"}},
    ),
    ["shirt"],
)
ACCOUNT = AccountSpec(
    container=text("OU=Grade {{ grade }},OU={{ campus.code }}", 2),
    rdn=text("{{ display_name }} ({{ names.username }})", 3),
    when=text("grade_index >= -1"),
    attributes={
        "mail": AttributeSpec(text("{{ names.username }}@x.org"), when=text("grade_index > 2")),
        "lic": text("campus.code | lookup('licence', default='')"),
        "hr": text("homeroom.teacher.family"),
        "boss": text("manager.display_name"),
        "shirt": text("extra.shirt"),
        "info": AttributeSpec(text("today"), "initial"),
        "starts": text("start_date | date('%d.%m.')"),
    },
    groups=(GroupSpec(text("CN={{ class.code }}"), each="classes"),),
)
ANA: Mapping[str, object] = {
    "roles": ["student"],
    "given": "Ana",
    "family": "Ruiz",
    "student_number": "0123",
    "grade": "07",
    "campus": {"code": "012"},
}


def outcome(person: Mapping[str, object], display: str = "legal", **expect: Text | tuple[Text, ...] | None) -> list[str]:
    """What is said of one golden person."""
    named = {key.replace("__", "."): value for key, value in expect.items()}
    spec = TargetSpec("ad", {"students": ACCOUNT}, tests=(GoldenSpec(person, named),))
    mapping = compile_target(spec, PEOPLE)
    return [str(problem) for problem in run_golden(PEOPLE, mapping, date(2026, 8, 3), display=display)]


def test_a_golden_person_that_comes_out_as_expected_says_nothing() -> None:
    """Every kind of result can be expected: population, names, place, groups and attributes."""
    person = {
        **ANA,
        "preferred_given": "Annie",
        "homeroom": {"code": "HR7", "teacher": {"family": "Diaz"}},
        "manager": {"given": "Mo", "family": "Lee", "suffix": "Jr"},
        "classes": [{"code": "M1", "active": True}, {"code": "A2"}],
        "extra": {"shirt": "XL"},
        "start_date": "2026-08-17",
    }
    assert (
        outcome(
            person,
            population=text("students"),
            names__username=text("0123"),
            container=text("OU=Grade 07,OU=012"),
            rdn=text("Ana Ruiz (0123)"),
            mail=text("0123@x.org"),
            lic=text("A1"),
            hr=text("Diaz"),
            boss=text("Mo Lee Jr"),
            shirt=text("XL"),
            info=text("2026-08-03"),
            starts=text("17.08."),
            groups=(text("CN=A2"), text("CN=M1")),
        )
        == []
    )


def test_a_golden_person_shows_preferred_names_where_the_district_does() -> None:
    """The names to show follow the district's choice."""
    assert outcome({**ANA, "preferred_given": "Annie"}, "preferred", rdn=text("Annie Ruiz (0123)")) == []


def test_names_may_be_given() -> None:
    """A golden person can bring the name it holds instead of the first candidate."""
    assert outcome({**ANA, "names": {"username": "aruiz9"}}, mail=text("aruiz9@x.org")) == []


@pytest.mark.parametrize(
    ("person", "expect", "said"),
    [
        (ANA, {"lic": text("A3", 30)}, "mappings/ad.yaml:30:5: golden person 1: lic is 'A1', expected 'A3'"),
        (ANA, {"mail": None}, "golden person 1: mail is '0123@x.org', expected nothing"),
        ({**ANA, "grade": "01"}, {"mail": text("x", 31)}, "golden person 1: mail is nothing, expected 'x'"),
        (
            ANA,
            {"mali": text("x", 32)},
            "mappings/ad.yaml:32:5: golden person 1: nothing called 'mali' comes out; did you mean 'mail'?",
        ),
        ({"roles": ["parent"]}, {"population": text("students", 33)}, "population is nothing, expected 'students'"),
        ({**ANA, "grad": "07"}, {"mail": None}, "no field 'grad'; did you mean 'grade'?"),
        ({**ANA, "grade": 7}, {"mail": None}, "'grade' is text: quote it"),
        ({**ANA, "campus": {"cod": "1"}}, {"mail": None}, "a campus has no 'cod'; did you mean 'code'?"),
        ({**ANA, "campus": "012"}, {"mail": None}, "'campus' has parts: write campus: { … }"),
        ({**ANA, "roles": "student"}, {"mail": None}, "'roles' is a list: write roles: [ … ]"),
        ({**ANA, "start_date": "soon"}, {"mail": None}, "'start_date' is a date: 2026-08-17"),
        (ANA, {}, "it expects nothing"),
        (
            {**ANA, "campus": {"name": "x"}},
            {"lic": text("x", 34)},
            "mappings/ad.yaml:34:5: golden person 1: mappings/ad.yaml:2:5: container",
        ),
        (
            {k: v for k, v in ANA.items() if k != "grade"},
            {"mail": text("x")},
            "when: a number or date it compares or adds is absent",
        ),
    ],
)
def test_what_comes_out_otherwise_is_told(person: Mapping[str, object], expect: Mapping[str, Text | None], said: str) -> None:
    """A difference, an unusable golden person and a failing rule are each a problem with its place."""
    problems = outcome(person, **expect)
    assert len(problems) == 1
    assert said in problems[0]


def test_no_account_can_be_expected() -> None:
    """`account: null` says that this person has none here."""
    assert outcome({"roles": ["parent"]}, account=None, population=None) == []
