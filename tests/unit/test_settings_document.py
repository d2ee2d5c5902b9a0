"""Reading one YAML file: every problem has a place and a remedy, and nothing is guessed."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from syncd.settings.building import plain
from syncd.settings.document import Document, read


def _read(folder: Path, text: str | bytes) -> tuple[Document | None, list[str]]:
    path = folder / "a.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    document, problems = read(path, "a.yaml")
    return document, [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\n\tb: 2\n", "a.yaml:2:1: use spaces: YAML does not allow tab characters"),
        ("a:\n  \tb: 2\n", "a.yaml:2:3: use spaces"),
        ("a: one: two\n", "a.yaml:1:7: a text that contains ': ' must stand in quotes"),
        ("a: 'open\nb: 1\n", "a.yaml:1:4: a quote is opened here and never closed"),
        ("a: @home\n", "a.yaml:1:4: a text that begins with @ must stand in quotes"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2:1: a file holds one document"),
        ("a: \x07\n", "a.yaml:1:4: a control character; delete it"),
        ("- a\n- b\n", "a.yaml:1:1: expected lines of the form `key: value`"),
        (b"a: 1\nb: \xe9\n", "a.yaml:2:1: not UTF-8"),
        ("a: [1, 2\n", "a.yaml:"),
        ("a: " + "[" * 600, "a.yaml:"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem_with_place_and_remedy(tmp_path: Path, text: str | bytes, problem: str) -> None:
    """What a tired administrator types wrong is answered with what to type instead."""
    document, problems = _read(tmp_path, text)
    assert document is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    """The remedy for a missing file is the command that writes it."""
    _, problems = read(tmp_path / "config.yaml", "config.yaml")
    assert "syncd init" in problems[0].what


def test_every_duplicate_key_is_a_problem_naming_the_first(tmp_path: Path) -> None:
    """A key that stands twice never silently wins; all of them are told at once."""
    _, problems = _read(tmp_path, "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert problems == [
        "a.yaml:4:3: the key 'c' stands twice; the first is in line 3",
        "a.yaml:5:1: the key 'a' stands twice; the first is in line 1",
    ]


def test_values_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    """`no` and `12:30` are text, dates are dates, and keys stay exactly as written."""
    document, problems = _read(tmp_path, "a: [no, 12:30, true, 2.5, 7, 2026-08-12, '2026-08-12', null]\n07: x\nno: y\n")
    assert problems == []
    assert document is not None
    assert plain(document.tree) == {
        "a": ["no", "12:30", True, 2.5, 7, date(2026, 8, 12), "2026-08-12", None],
        "07": "x",
        "no": "y",
    }


def test_a_number_that_would_lose_its_zero_is_a_problem(tmp_path: Path) -> None:
    """A campus code 012 without quotes is never read as 12."""
    _, problems = _read(tmp_path, "campus: { code: 012 }\n")
    assert problems == ['a.yaml:1:17: 012 would lose its zero; put it in quotes: "012"']


def test_an_alias_may_repeat_a_value_but_not_contain_itself(tmp_path: Path) -> None:
    """YAML aliases work; an endless one is refused, not followed."""
    document, problems = _read(tmp_path, "a: &x [1]\nb: *x\n")
    assert problems == []
    assert document is not None
    assert plain(document.tree) == {"a": [1], "b": [1]}
    _, problems = _read(tmp_path, "a: &x [*x]\n")
    assert "contains itself" in problems[0]


def test_a_template_without_quotes_is_told_to_have_some(tmp_path: Path) -> None:
    """`{{ }}` at the start of a value means something else to YAML."""
    _, problems = _read(tmp_path, "rdn: {{ given }}\n")
    assert problems
    assert "must stand in quotes" in problems[0]
