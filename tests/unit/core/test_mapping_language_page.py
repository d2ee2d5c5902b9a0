"""The page docs/reference/mapping-language.md says everything, and what it says is so."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path

import pytest

from syncd.core import mapping_spec
from syncd.core.codegen import Vocabulary
from syncd.core.expression import Function
from syncd.core.filters import FILTERS
from syncd.core.mapping import flag
from syncd.core.mapping_spec import Mark, Text
from syncd.core.model import Campus, Person, PersonId, SourceKey

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "mapping-language.md").read_text(encoding="utf-8")
CAMPUS = Campus(SourceKey("o1"), "North", "012")
TABLES = {"mail_domain": {"012": "north.example.org"}, "licence": {"012": {"07": "A1"}}}
ANA = Person(
    PersonId("p1"),
    {
        "given": "Ana",
        "family": "Ruiz",
        "student_number": "0123",
        "grade": "07",
        "grade_index": 7,
        "roles": ("student", "aide"),
        "start_date": date(2026, 8, 17),
    },
    campus=CAMPUS,
)
OPERATORS = re.findall(r"^\| `([^|]+)` \|(.*)\|$", PAGE.split("## Operators")[1].split("## Filters")[0], re.MULTILINE)
EXAMPLES = [example.replace("\\|", "|") for example in re.findall(r"\| (`[^`\n]*` → [^|\n]*) \|$", PAGE, re.MULTILINE)]
EXAMPLES += [f"`{each.example.replace(' → ', '` → ')}" for each in FILTERS.values()]
SPECS = [spec for spec in vars(mapping_spec).values() if is_dataclass(spec) and spec not in (Mark, Text)]


def shown(source: str) -> str:
    """What the page would show as the expression's result for Ana."""
    made = Function(Vocabulary(config={"year": 2026}, tables=TABLES))
    code = made.expression(Text(source, Mark("page", 1, 1)))
    assert code is not None, made.problems
    made.add(f"return {code.source}")
    value = made.build("rule", "person, names, related, today")[0](ANA, {}, {}, None)
    if isinstance(value, bool):
        return flag(value)[0]
    return " and ".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(("source", "result"), OPERATORS)
def test_each_operator_example_is_so(source: str, result: str) -> None:
    """Each row of the operators' table gives what it says."""
    assert shown(source) == result.strip()


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_filter_example_is_so(example: str) -> None:
    """Each example of a filter, on the page and in the table of filters, gives what it says."""
    source, result = example.split("` → ")
    assert shown(source.strip("`")) == result


def test_there_are_examples() -> None:
    """The page's tables were found."""
    assert len(OPERATORS) == 14
    assert len(EXAMPLES) >= 2 * len(FILTERS) - 1


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_is_on_the_page(name: str) -> None:
    """No filter is undocumented."""
    assert f"`{name}" in PAGE.split("## Filters")[1]


@pytest.mark.parametrize("key", sorted({field.metadata.get("alias", field.name) for spec in SPECS for field in fields(spec)}))
def test_every_key_is_on_the_page(key: str) -> None:
    """No key of the mapping files is undocumented."""
    assert re.search(rf"\b{key}\b", PAGE)


def test_every_key_has_its_doc() -> None:
    """The reference and the schemas are generated from the keys' doc texts."""
    assert [(spec.__name__, key.name) for spec in SPECS for key in fields(spec) if not key.metadata.get("doc")] == []
