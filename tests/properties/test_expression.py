"""Laws of the mapping language: it means what Jinja2 means, and no text gets out of it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import date

from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from jinja2.sandbox import SandboxedEnvironment

from syncd.core import filters
from syncd.core.codegen import Code, Vocabulary
from syncd.core.expression import Function
from syncd.core.filters import FILTERS, Unmappable
from syncd.core.mapping_spec import Mark, Text
from syncd.core.model import Campus, Person, PersonId, Section, SourceKey

CAMPUS = Campus(SourceKey("o1"), "North Middle", "012")
HOMEROOM = Section(SourceKey("c1"), "HR-7", "Homeroom 7", SourceKey("o1"), kind="homeroom")
TABLES = {
    "domain": {"012": "north.example.org", "": "example.org"},
    "licence": {"012": {"07": "A1", "KG": "A0"}},
}
VOCABULARY = Vocabulary(frozenset({"shirt"}), {"domain": "example.org", "year": 2026, "open": True}, TABLES)
ANYBODY = st.fixed_dictionaries(
    {
        "given": st.text(max_size=8),
        "family": st.sampled_from(["O'Neil-García", "de la Cruz", "", "LEE", "Ångström, Jr"]),
        "student_number": st.sampled_from(["0123", "104233", ""]),
        "grade": st.sampled_from(["07", "KG", ""]),
        "grade_index": st.integers(-1, 12),
        "roles": st.lists(st.sampled_from(["student", "teacher", "aide"]), max_size=3).map(tuple),
        "start_date": st.dates(date(1990, 1, 1), date(2040, 1, 1)),
        "enabled": st.booleans(),
    }
)


def function(source: str, form: str = "expression") -> tuple[Callable[..., object] | None, Code | None]:
    """The text compiled on its own, or None where it was refused; refusing leaves exactly one problem."""
    made = Function(VOCABULARY)
    code = getattr(made, form)(Text(source, Mark("mappings/x.yaml", 1, 1)))
    if code is None:
        assert len(made.problems) == 1
        return None, None
    assert made.problems == []
    made.add(f"return {code.source}")
    return made.build("rule", "person, names, related, today")[0], code


# --- what Jinja2 says ------------------------------------------------------------------------------------------------

JINJA = SandboxedEnvironment()
JINJA.filters |= {
    # Where the language adds a filter, or narrows Jinja's, both sides call the same function: its place and arguments are compared.
    **{name: each.call for name, each in FILTERS.items() if name in ("title", "initial", "ascii", "slug", "digits", "split")},
    "truncate": lambda text, length: text[:length],
    "date": filters.format_date,
    "default": lambda value, fallback: value or fallback if isinstance(value, str | tuple | list) else str(value) or fallback,
    "lookup": lambda key, table, second=None, default=None: (
        filters.look_up(TABLES[table], table, key, default)
        if second is None
        else filters.look_up_both(TABLES[table], table, key, second, default)
    ),
}


def jinja(source: str, fields: dict[str, object]) -> object:
    """The expression's value as Jinja2 itself evaluates it."""
    compiled = JINJA.compile_expression(source, undefined_to_none=False)
    config = {"domain": "example.org", "year": 2026, "open": True}
    return compiled(**fields, campus=CAMPUS, homeroom=HOMEROOM, config=config, extra={"shirt": "XL"})


# --- expressions of the subset, by type --------------------------------------------------------------------------------

LITERALS = st.text(st.sampled_from("abcXYZ 019-.é'\\\"{"), max_size=5).map(
    lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("{", "") + "'"
)
FIELDS = ["given", "family", "student_number", "campus.code", "campus.name", "homeroom.title", "config.domain", "extra.shirt"]
NEEDLES = st.sampled_from(["'a'", "' '", "'-'", "'ar'"])
SIMPLE = ["lower", "upper", "trim", "title", "initial", "ascii", "slug", "digits"]
LENGTHS = st.integers(1, 6).map(str)
ENDS = st.integers(-4, 4).map(str) | st.just("")


def _join(pattern: str, *parts: SearchStrategy[str]) -> SearchStrategy[str]:
    return st.tuples(*parts).map(lambda told: pattern.format(*told))


@st.composite
def texts(draw: st.DrawFn, depth: int = 3) -> str:
    """An expression that gives text."""
    if depth == 0:
        return draw(LITERALS | st.sampled_from(FIELDS))
    text, number = texts(depth - 1), numbers(depth - 1)
    return draw(
        st.one_of(
            texts(0),
            _join("({} ~ {})", text, text | number),
            _join("({} + {})", text, text),
            _join("({})|{}", text, st.sampled_from(SIMPLE)),
            _join("({})|replace({}, {})", text, NEEDLES, LITERALS),
            _join("({})|default({})", text, text),
            _join("({})|truncate({})", text, LENGTHS),
            _join("({})[{}:{}]", text, ENDS, ENDS),
            _join("({})[{}]|default('')", text, st.integers(-3, 3).map(str)),
            _join("({})|{}|default('')", text | lists(depth - 1), st.sampled_from(["first", "last"])),
            _join("({})|join({})", lists(depth - 1), NEEDLES),
            _join("({} if {} else {})", text, flags(depth - 1), text),
            _join("({} {} {})", text, st.sampled_from(["or", "and"]), text),
            _join("start_date|date({})", st.sampled_from(["'%Y-%m-%d'", "'%d.%m.%y'", "'%j %%'"])),
            _join("({})|lookup('domain', default={})", text, text),
            _join("({})|lookup('licence', grade, default={})", text, text),
        )
    )


@st.composite
def numbers(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression that gives a number."""
    plain = st.integers(-20, 20).map(str) | st.sampled_from(["grade_index", "config.year"])
    if depth == 0:
        return draw(plain)
    number = numbers(depth - 1)
    sized = st.one_of(texts(depth - 1), lists(depth - 1))
    return draw(plain | _join("({} {} {})", number, st.sampled_from("+-"), number) | _join("({})|length", sized))


@st.composite
def lists(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression that gives a list of texts."""
    literal = st.lists(texts(max(depth - 1, 0)), min_size=1, max_size=3).map(lambda parts: "[" + ", ".join(parts) + "]")
    if depth == 0:
        return draw(st.just("roles") | literal)
    return draw(st.just("roles") | literal | _join("({})|split({})", texts(depth - 1), NEEDLES))


@st.composite
def flags(draw: st.DrawFn, depth: int = 2) -> str:
    """An expression that is true or false."""
    text, number = texts(max(depth - 1, 0)), numbers(max(depth - 1, 0))
    compare = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
    found = st.sampled_from(["in", "not in"])
    leaves = st.one_of(
        _join("({} {} {})", text, compare, text),
        _join("({} {} {} <= {})", number, compare, number, number),
        _join("({} {} {})", text, found, text | lists(max(depth - 1, 0))),
        _join("({} {} [{}, {}])", number, found, number, number),
        st.sampled_from(["enabled", "config.open", "true", "(enabled == false)", "(start_date > start_date)"]),
    )
    if depth == 0:
        return draw(leaves)
    flag = flags(depth - 1)
    return draw(leaves | _join("({} {} {})", flag, st.sampled_from(["and", "or"]), flag) | _join("(not {})", flag))


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _outcome(call: Callable[[], object]) -> object:
    try:
        return _plain(call())
    except Unmappable as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(st.one_of(texts(), numbers(), lists(), flags()), ANYBODY)
@example("(given|default(family)) ~ grade_index", {"given": "", "family": "Lee", "grade_index": -1})
def test_an_expression_means_what_jinja_means(source: str, fields: dict[str, object]) -> None:
    """Whatever the subset accepts evaluates to the value Jinja2's own sandbox gives, or fails alike."""
    call, code = function(source)
    assert call is not None, source
    assert code is not None
    person = Person(PersonId("p1"), {**fields, "extra.shirt": "XL"}, campus=CAMPUS, homeroom=HOMEROOM)
    context = {"grade": "", "student_number": "", "roles": (), "start_date": None, "enabled": None, **fields}
    assert _outcome(lambda: call(person, {}, {}, None)) == _outcome(lambda: jinja(source, context))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(st.sampled_from("ab ,=é-"), max_size=4), texts(2)), min_size=1, max_size=4), ANYBODY)
def test_a_template_means_what_jinja_means(parts: list[tuple[str, str]], fields: dict[str, object]) -> None:
    """Text with `{{ }}` renders as Jinja2 renders it."""
    source = "".join(f"{text}{{{{ {expression} }}}}" for text, expression in parts)
    call, _ = function(source, "template")
    assert call is not None, source
    person = Person(PersonId("p1"), {**fields, "extra.shirt": "XL"}, campus=CAMPUS, homeroom=HOMEROOM)
    config = {"domain": "example.org", "year": 2026, "open": True}
    context = {**fields, "campus": CAMPUS, "homeroom": HOMEROOM, "config": config, "extra": {"shirt": "XL"}}
    rendered = _outcome(lambda: JINJA.from_string(source).render(context))
    assert _outcome(lambda: call(person, {}, {}, None)) == rendered


# --- nothing gets out --------------------------------------------------------------------------------------------------

VOCABULARY_OF_NOISE = (
    "given family campus code config domain names username extra shirt today n self loop range dict lipsum cycler namespace "
    "__class__ __mro__ __globals__ __import__ format attr map select lower replace lookup default join split true none "
    "if else and or not in is for endfor set include import macro block raw endraw % {% %} {{ }} {# #} {%- -%} ( ) [ ] { } "
    ". , : ~ + - * ** / // | = == != < > ' \" \\ \\x41 \\ud800 \\N 0 1 99999999999999999999 0xFFFFFFFFFFFFFFFFFF 1.5 1e999 "
    "'a' \"b\" 'domain' é 学 \x00 \n ; # @ $ ` 012"
)
WORDS = VOCABULARY_OF_NOISE.split(" ")
NOISE = st.lists(st.sampled_from(WORDS), max_size=14).flatmap(
    lambda words: st.sampled_from(["", " "]).map(lambda gap: gap.join(words))
) | st.text(max_size=30)
METHODS = {"get", "fields", "lower", "upper", "strip", "code", "name", "key", "kind", "title", "course", "active"}
METHODS |= {"join", "campus", "campuses", "classes", "homeroom"}
CALLED = {"field", "str", "len", "bool", "tuple", "to_text", "element", "default_of", "look_up", "look_up_both"}
CALLED |= {f"f_{name}" for name in FILTERS}


def _is_harmless(source: str) -> bool:
    """Whether Python source calls and reads nothing but what the language has."""
    for node in ast.walk(ast.parse(source, mode="eval")):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLED:
                pass
            case ast.Call(func=ast.Attribute(attr=name)) if name in METHODS:
                pass
            case ast.Call() | ast.Lambda() | ast.Await() | ast.Yield() | ast.NamedExpr():
                return False
            case ast.Attribute(attr=name) if name not in METHODS:
                return False
            case ast.Name(id=name) if "__" in name:
                return False
    return True


@settings(max_examples=1_000, deadline=None)
@given(NOISE, st.sampled_from(["expression", "template", "condition"]))
@example("{{ ''.__class__.__mro__[1].__subclasses__() }}", "template")
@example("{% for x in range(9) %}{% endfor %}", "template")
@example("'a' * 300000000", "expression")
@example("2 ** 3000000", "expression")
@example("given|center(200000000)", "expression")
@example("given|attr('__class__')", "expression")
@example("'%s' % given", "expression")
@example("'{0.__class__}'.format(given)", "expression")
@example("given.format", "expression")
@example("(" * 3000, "expression")
@example("[" * 90 + "'a'" + "]" * 90, "expression")
@example("not " * 900 + "given", "expression")
@example("9" * 4000, "expression")
@example("0x" + "F" * 3900, "expression")
@example("-" * 500 + "1", "expression")
@example("given" + "|lower" * 600, "expression")
@example("given" + "|replace('a', 'aaaaaaaaaaaaaaaaaaaa')" * 39, "expression")
@example("'\\ud800'", "expression")
@example("\ud800", "template")
@example("{{ given }", "template")
@example("{{ '\\N{DASH' }}", "template")
@example("lookup|lookup('domain')", "expression")
@example("given|lookup(domain)", "expression")
@example("given|replace(*roles)", "expression")
@example("given|join(**config)", "expression")
@example("roles[campus]", "expression")
@example("_('x')", "expression")
@example("n", "expression")
@example("x{{given}}" * 400, "template")
@example("1" + " + 1" * 900, "expression")
@example("given" + " ~ given" * 440, "expression")
@example("given" + " and given" * 390, "expression")
@example("1" + " < 1" * 900, "expression")
def test_any_text_is_compiled_from_the_whitelist_or_refused(source: str, form: str) -> None:
    """Random text never executes a call, never raises anything but a problem, and never grows beyond bounds when run."""
    made = Function(VOCABULARY)
    code = getattr(made, form)(Text(source, Mark("mappings/x.yaml", 1, 1)))
    if code is None:
        assert len(made.problems) == 1
        return
    python = code if isinstance(code, str) else code.source
    for line in (python, *made.reads):
        assert _is_harmless(line), line
    made.add(f"return {python}")
    call, _ = made.build("rule", "person, names, related, today")
    person = Person(PersonId("p1"), {"given": "Ana", "family": "Lee"}, campus=CAMPUS)
    try:
        value = call(person, {}, {}, None)
    except (Unmappable, TypeError):
        return  # a key that is in no table; a number that is absent
    assert not isinstance(value, str | tuple) or len(value) <= 2 * filters.LONGEST_TEXT
