"""What the mapping language accepts, what it means, and what it says where it refuses."""

from __future__ import annotations

from datetime import date

import pytest

from syncd.core.codegen import Vocabulary
from syncd.core.expression import Function
from syncd.core.filters import Unmappable
from syncd.core.mapping_spec import Mark, Text
from syncd.core.model import Campus, Person, PersonId, Section, SourceKey

TABLES = {"domain": {"012": "north.example.org"}, "licence": {"012": {"07": "A1"}}}
VOCABULARY = Vocabulary(frozenset({"shirt"}), {"year": 2026, "area": "example.org"}, TABLES)
CAMPUS = Campus(SourceKey("o1"), "North Middle", "012")
OTHER_CAMPUS = Campus(SourceKey("o2"), "South", "013")
HOMEROOM = Section(SourceKey("c1"), "HR-7", "Homeroom 7", SourceKey("o1"), kind="homeroom")
ANA = Person(
    PersonId("p1"),
    {
        "given": "José",
        "family": "O'Neil-García",
        "student_number": "0123",
        "grade": "07",
        "grade_index": 7,
        "roles": ("student", "aide"),
        "start_date": date(2026, 8, 17),
        "extra.shirt": "XL",
    },
    campus=CAMPUS,
    campuses=(CAMPUS, OTHER_CAMPUS),
    homeroom=HOMEROOM,
    classes=(HOMEROOM,),
)
NOBODY = Person(PersonId("p2"), {})
TEACHER = Person(PersonId("p3"), {"family": "Ruiz", "staff_number": "7"})


def value(source: str, person: Person = ANA, related: dict[str, Person] | None = None) -> object:
    """What an accepted expression gives for this person."""
    made = Function(VOCABULARY)
    code = made.expression(Text(source, Mark("m.yaml", 1, 1)))
    assert made.problems == []
    assert code is not None
    made.add(f"return {code.source}")
    return made.build("rule", "person, names, related, today")[0](person, {}, related or {}, None)


def refusal(source: str, form: str = "expression") -> str:
    """What is said of a text that is refused, with its place."""
    made = Function(VOCABULARY)
    assert getattr(made, form)(Text(source, Mark("m.yaml", 3, 10))) is None
    (problem,) = made.problems
    return str(problem)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("student_number", "0123"),
        ("'0123'", "0123"),
        ("given | ascii | lower", "jose"),
        ('"MARÍA O\'NEIL-GARCÍA" | title', "María O'Neil-García"),
        ("'Ana María Ruiz' | slug", "ana-maria-ruiz"),
        ("'(555) 010-99' | digits", "55501099"),
        ("given | initial ~ family | initial", "JO"),
        ("given[:2] ~ family[0]", "JoO"),
        ("family[-1]", "a"),
        ("roles | join(', ')", "student, aide"),
        ("roles[1]", "aide"),
        ("roles[9]", ""),
        ("campuses.code | join('+')", "012+013"),
        ("'a, b,' | split(',')", ("a", "b")),
        ("start_date | date('%d.%m.%Y')", "17.08.2026"),
        ("campus.code | lookup('domain')", "north.example.org"),
        ("campus.code | lookup('licence', grade)", "A1"),
        ("campus.code | lookup('licence', 'PK', default='none')", "none"),
        ("config.year + 12 - grade_index", 2031),
        ("extra.shirt", "XL"),
        ("extra['shirt']", "XL"),
        ("homeroom.title | truncate(4)", "Home"),
        ("preferred_given or given", "José"),
        ("'Elementary' if grade_index <= 5 else 'Secondary'", "Secondary"),
        ("'x' if grade == '08'", ""),
        ("'student' in roles and grade in ['07', '08']", True),
        ("grade_index in [6, 7]", True),
        ("6 <= grade_index < 8", True),
        ("not classes", False),
        ("manager", None),
        ("classes | length", 1),
        ("{{ given }} of {{ campus.name }}", "José of North Middle"),
        ("{{ start_date }} {{ grade_index }}", "2026-08-17 7"),
    ],
)
def test_an_expression_gives(source: str, expected: object) -> None:
    """Each form of the language gives the documented value; text with leading zeros stays text."""
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("given", ""),
        ("<{{ given }}{{ grade_index }}{{ start_date }}>", "<>"),
        ("campus.code", ""),
        ("homeroom.teacher.family | default('nobody')", "nobody"),
        ("roles", ()),
        ("campuses.code", ()),
        ("grade_index | default(99)", 99),
        ("enabled | default(true)", True),
        ("start_date | date('%Y')", ""),
        ("'yes' if campus else 'no'", "no"),
        ("grade_index == 7", False),
    ],
)
def test_what_is_absent_reads_as_nothing(source: str, expected: object) -> None:
    """Absent text is the empty text, an absent list is empty, an absent number or date prints as nothing."""
    assert value(source, NOBODY) == expected


def test_another_persons_fields_are_read_through_the_relation() -> None:
    """`homeroom.teacher.family` is the family name of the person behind that relation."""
    assert value("homeroom.teacher.family", related={"homeroom.teacher": TEACHER}) == "Ruiz"


def test_relations_read_are_noted() -> None:
    """The compiler lists the other persons a text reads, so that their changes make this one dirty (R4)."""
    made = Function(VOCABULARY)
    made.expression(Text("manager.family ~ homeroom.teacher.given ~ homeroom.code", Mark("m.yaml", 1, 1)))
    assert made.relations == {"manager", "homeroom.teacher"}


@pytest.mark.parametrize("source", ["'014' | lookup('domain')", "campus.code | lookup('licence', 'PK')"])
def test_a_key_missing_in_a_table_fails_naming_table_and_key(source: str) -> None:
    """A lookup without default never guesses."""
    with pytest.raises(Unmappable, match=r"table '(domain|licence)' has no .*default"):
        value(source)


def test_comparing_an_absent_number_fails() -> None:
    """An unknown grade is neither elementary nor secondary: the rule fails for that person."""
    with pytest.raises(TypeError):
        value("grade_index <= 5", NOBODY)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("'x' ~ grad_lvl", "m.yaml:3:16: no field 'grad_lvl'"),
        ("grad", "m.yaml:3:10: no field 'grad'; did you mean 'grade'?"),
        ("Mathematics", "m.yaml:3:10: no field 'Mathematics'; for the text itself write \"'Mathematics'\""),
        ("given | lowr", "m.yaml:3:18: no filter 'lowr'; did you mean 'lower'?"),
        ("campus.cod", "m.yaml:3:17: a campus has no 'cod'; did you mean 'code'?"),
        ("extra.shrt", "m.yaml:3:16: no source declares the column 'extra.shrt'; did you mean 'shirt'?"),
        ("config.aera", "m.yaml:3:17: no 'config: aera' in people.yaml; did you mean 'area'?"),
        ("grade | lookup('domian')", "m.yaml:3:26: no table 'domian' in people.yaml; did you mean 'domain'?"),
        ("grade | lookup('licence')", "m.yaml:3:26: table 'licence' has two keys"),
        ("names.alias", "m.yaml:3:16: people.yaml makes no name 'alias' for this population"),
        ("names.display_given", "m.yaml:3:16: people.yaml makes no name 'display_given' for this population; it is a field"),
        ("grade == 7", "m.yaml:3:10: cannot compare text 'grade' with number; quote it to compare texts"),
        ("grade <= '05'", "m.yaml:3:10: 'grade' is text and 'KG' sorts behind '12': compare grade_index"),
        ("given + 1", "m.yaml:3:10: cannot write text + number; texts are joined with ~"),
        ("given - given", "m.yaml:3:10: cannot write text - text"),
        ("grade_index | lower", "m.yaml:3:24: lower takes text, not number ('grade_index')"),
        ("given | truncate", "m.yaml:3:18: truncate takes 1 argument(s), not 0"),
        ("given | truncate(family)", "m.yaml:3:18: truncate takes a plain number above 0"),
        ("given | replace('', 'x')", "m.yaml:3:18: replace needs something to look for"),
        ("given | default(1)", "m.yaml:3:18: the default of a text must be a text, not a number"),
        ("given | lower(chars='x')", "m.yaml:3:24: lower has no argument 'chars'"),
        ("start_date | date('%s')", "m.yaml:3:23: date knows no format '%s'"),
        ("today", "m.yaml:3:10: 'today' may stand only in an attribute with `policy: initial`"),
        ("manager.manager", "m.yaml:3:10: 'manager' of another person cannot be read"),
        ("homeroom.teacher.campus.code", "m.yaml:3:27: 'campus' of another person cannot be read"),
        ("classes.teacher", "m.yaml:3:18: only homeroom.teacher can be read, not classes.teacher"),
        ("given.upper", "m.yaml:3:16: 'given' is text: it has no 'upper'"),
        ("given.upper()", "m.yaml:3:16: nothing can be called; use a filter"),
        ("''.__class__", "m.yaml:3:13: only a field has parts"),
        ("'a' * 3", "m.yaml:3:11: no multiplication here"),
        ("2 ** 9", "m.yaml:3:10: no powers here"),
        ("given is defined", "no 'is' tests here"),
        ("given[grade_index]", "m.yaml:3:10: in [ ] stands a plain number"),
        ("given[::2]", "m.yaml:3:10: no steps in a slice"),
        ("none", "m.yaml:3:10: no 'none' here"),
        ("1.5", "m.yaml:3:10: only whole numbers"),
        ("['a', 1]", "a list holds texts only"),
        ("given if grade_index else family", "a number is not a condition"),
        ("given if enabled else 1", "one side gives text, the other number"),
        ("campus ~ 'x'", "m.yaml:3:10: a campus is not a text: name one of its fields"),
        ("roles ~ 'x'", "m.yaml:3:10: a list is not a text: use join"),
        ("enabled ~ 'x'", "m.yaml:3:10: true or false is not a text"),
        ("given given", "m.yaml:3:10: unexpected 'given'"),
        ("given |", "m.yaml:3:10: not an expression"),
        ("", "m.yaml:3:10: this is empty"),
        ("{{ given", "m.yaml:3:10: not a template"),
        ("{% if given %}x{% endif %}", "m.yaml:3:10: no {% if %} here"),
        ("{% for x in roles %}{{ x }}{% endfor %}", "m.yaml:3:10: no loops here"),
        ("{% include 'x' %}{{ 1 }}", "m.yaml:3:10: {% %} has no place here"),
        ("given" + "|lower" * 50, "m.yaml:3:10: this is nested more than 40 deep"),
        ("given ~ " * 600 + "'x'", "m.yaml:3:10: this is longer than 4000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(source: str, said: str) -> None:
    """A text that cannot be meant is refused on loading: where, what, and what to write instead."""
    assert said in refusal(source)


def test_a_position_skips_quoted_text() -> None:
    """The column points at the field, not at the same word inside quotes."""
    assert refusal("'nick' ~ nick").startswith("m.yaml:3:19: ")
