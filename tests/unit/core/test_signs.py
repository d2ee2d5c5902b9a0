"""Signs: what a roster tells otherwise of people, and when that is too many at once."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.calendar import Season
from syncd.core.guard import Cell, Limit, Shape, Signs
from syncd.core.model import PersonId, Record, SourceKey, SourceName, TargetName, Value
from syncd.core.signs import CAMPUS, GRADE, NAMES, NUMBERS, Sign, judge_signs, told_otherwise

SIS = SourceName("sis")
ANA = {"given": "Ana", "family": "Ruiz", "grade": "07", "student_number": "10001", "email": "ana@example.org", "middle": ""}
HERE = {("012", "students"): 415, ("001", "students"): 415}


def record(key: str = "s1", /, **fields: Value) -> Record:
    return Record(SIS, SourceKey(key), {**ANA, **fields})


def signs(what: str, count: int, *campuses: str) -> list[Sign]:
    return [Sign(SIS, what, PersonId(f"p{n}"), campuses or ("012",), "students") for n in range(count)]


def held(what: str, count: int, *campuses: str, shape: Shape | None = None, before: int = 0) -> set[PersonId]:
    week = {Cell(TargetName(SIS), what, "012", "students"): before}
    found = judge_signs(SIS, shape or Shape(), signs(what, count, *campuses), lambda: HERE, {}, week, "term")
    return {person for one in found for person in one.persons}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"given": "Ruiz", "family": "Ana"}, {NAMES}),
        ({"family": "RuÃ\xadz"}, {NAMES}),
        ({"grade": "08"}, {GRADE}),
        ({"student_number": "10002"}, {NUMBERS}),
        ({"grade": ""}, {"emptied grade"}),
        ({"email": None}, {"emptied email"}),
        ({"middle": "Sol"}, set()),
        ({"email": "ruiz@example.org"}, set()),
        ({"exit_date": date(2026, 10, 1)}, set()),
        ({}, set()),
    ],
)
def test_what_is_told_otherwise_of_one_person(changed: dict[str, Value], what: set[str]) -> None:
    """A name, number or grade that is another one, and any field that had a value and has none; a filled one is no sign."""
    assert {sign for _, sign in told_otherwise([record()], [Record(SIS, SourceKey("s1"), {**ANA, **changed})])} == what


def test_a_field_that_is_not_spoken_of_any_more_is_empty() -> None:
    """A column that is gone from the file and one that is blank look alike to whoever loses their grade by it."""
    silent = Record(SIS, SourceKey("s1"), {name: value for name, value in ANA.items() if name != "grade"})
    assert list(told_otherwise([record()], [silent])) == [(SIS, "emptied grade")]


def test_somebody_recognised_under_another_key_is_compared_with_who_they_were() -> None:
    """A new roster system brings new keys: what it tells otherwise of people is told all the same."""
    assert list(told_otherwise([record("s1")], [record("u9", student_number="510001")])) == [(SIS, NUMBERS)]


def test_a_new_key_follows_the_one_that_was_told_last_not_one_of_a_system_that_was_left() -> None:
    """After a cut-over everybody has an old key besides; numbers that change then are numbers that change."""
    known = [record("s1", student_number="410001"), record("u9", student_number="510001")]
    again = [record("x5", student_number="8510001")]
    assert list(told_otherwise(known, again, {(SIS, SourceKey("s1"))})) == [(SIS, NUMBERS)]
    assert list(told_otherwise(known, [record("x5", student_number="510001")], {(SIS, SourceKey("s1"))})) == []
    assert list(told_otherwise(known[:1], again, {(SIS, SourceKey("s1"))})) == [(SIS, NUMBERS)]  # who comes back under another
    assert not list(told_otherwise(known, again))  # which of two is not known


def test_a_new_source_has_nothing_to_be_compared_with() -> None:
    """The first record of a source is no sign."""
    assert not list(told_otherwise([record()], [Record(SourceName("hr"), SourceKey("e1"), {"given": "Anna"})]))


@pytest.mark.parametrize("what", [NAMES, NUMBERS, GRADE, CAMPUS, "emptied grade"])
def test_eight_percent_of_a_campus_are_held(what: str) -> None:
    """34 of 415 students: the smallest disaster that must never pass."""
    assert len(held(what, 34)) == 34


@pytest.mark.parametrize(("what", "count"), [(NAMES, 5), ("emptied email", 5), (NUMBERS, 5), (GRADE, 15), (CAMPUS, 15)])
def test_life_is_not_held(what: str, count: int) -> None:
    """A family marries, a program moves, a counselor corrects some grades."""
    assert not held(what, count)


def test_many_small_cuts_are_held_as_one_large_one_is() -> None:
    """R12: twenty a day for three days are sixty, though none of the days is out of the ordinary."""
    assert not held(GRADE, 20)
    assert held(GRADE, 20, before=40)


def test_what_is_wrong_all_over_is_said_once() -> None:
    """A district whose every campus is told otherwise is one finding, which holds everybody it is about."""
    many = [Sign(SIS, NAMES, PersonId(f"p{campus}.{n}"), (campus,), "students") for campus in ("001", "012") for n in range(40)]
    (finding,) = judge_signs(SIS, Shape(), many, lambda: HERE, {}, {}, "term")
    assert (finding.cell, len(finding.persons)) == (Cell(TargetName("sis"), NAMES), 80)
    assert str(finding) == (
        "source sis: 80 have another given or family name, but sources.sis.shape.signs.names allows at most 2 % of 830 people "
        "in 24 hours. They wait; everybody else goes on. Look at the file: columns that are swapped, or read with the wrong "
        "encoding would look like this. If it is right, approve it. See them with: syncd plan"
    )


def test_a_transfer_counts_at_both_campuses() -> None:
    """R11: who is moved away en masse is missed at the one, and one too many at the other."""
    found = list(
        judge_signs(SIS, Shape(), signs(CAMPUS, 34, "001", "012"), lambda: {**HERE, ("009", "students"): 30_000}, {}, {}, "term")
    )
    assert [one.cell.campus for one in found if one.cell] == ["001", "012"]


def test_a_season_allows_what_a_new_year_brings_and_nothing_else() -> None:
    """Everybody goes up a grade before the first day; nobody gets another name for it."""
    opening = Shape().in_season(Season(45, grade=100, campus=100))
    assert not held(GRADE, 415, shape=opening)
    assert held(NAMES, 34, shape=opening)


@given(st.integers(0, 450), st.integers(0, 450), st.integers(0, 60), st.floats(1, 60), st.integers(0, 40))
def test_more_signs_never_hold_fewer_people(fewer: int, more: int, before: int, percent: float, at_least: int) -> None:
    """R12: the guard is monotone: whoever is held by few signs is held by more of them."""
    fewer, more = sorted((fewer, more))
    limit = Limit(percent=2, at_least=25, campus_percent=percent, campus_at_least=at_least)
    shape = Shape(signs=Signs(names=limit))
    assert held(NAMES, fewer, shape=shape, before=before) <= held(NAMES, more, shape=shape, before=before)
