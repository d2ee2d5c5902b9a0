"""What is wrong with a password that somebody chose, as codes."""

from __future__ import annotations

import pytest

from syncd.core.chosen import LONGEST, Rules, faults

NAMES = ("José", "García-López", "jgarcia")


def codes(password: str, *, kinds: bool = False) -> list[str]:
    """What is told of this one."""
    return [one.code for one in faults(password, Rules(12, kinds), NAMES, "2012", lambda digits: digits == "8317")]


@pytest.mark.parametrize(
    "password", ["tangerine kayak 61", "correct-horse-battery", "ñandú y 47 colibríes", "x" * LONGEST, "9371 blue boats"]
)
def test_a_password_that_breaks_nothing_may_be_sent(password: str) -> None:
    """Blanks, accents, phrases, and digits that are nobody's."""
    assert codes(password) == []


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("short", ["min_length"]),
        ("x" * (LONGEST + 1), ["max_length"]),
        ("blue boats\tsail", ["characters"]),
        ("i am GARCIA today", ["no_name"]),
        ("garcía lópez rules", ["no_name"]),
        ("g-a-r-c-i-a-lopez!", ["no_name"]),
        ("born in 2012 yes", ["no_birth_year"]),
        ("number 8317 is mine", ["no_digits"]),
        ("number 99831799 is", ["no_digits"]),
        ("jose2012", ["min_length", "no_name", "no_birth_year"]),
    ],
)
def test_what_it_breaks_is_told_by_code(password: str, told: list[str]) -> None:
    """However it is spelt, and wherever in a run of digits it stands."""
    assert codes(password) == told


def test_three_kinds_are_asked_for_only_where_the_directory_does() -> None:
    """And the demands are told beforehand."""
    assert codes("tangerine kayak", kinds=True) == ["kinds"]
    assert codes("Tangerine kayak", kinds=True) == []
    assert [(one.code, one.n) for one in Rules(14, kinds=True).told][:2] == [("min_length", 14), ("kinds", 3)]
