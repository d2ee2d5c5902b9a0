"""Profiles: what of a file is not as it was, and what of that is only told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.guard import Shape, Share
from syncd.core.model import PersonId, SourceName, TargetName
from syncd.core.profile import (
    ASCII,
    EMPTY,
    GONE,
    MARKED_UTF_8,
    REPEATED,
    UTF_8,
    UTF_16,
    WINDOWS,
    Broken,
    Profile,
    judge_profile,
    of_people,
    of_roster,
    told_otherwise,
)

SIS = SourceName("sis")
USUAL = Profile(
    "users.csv", ("sourcedId", "grades", "identifier"), UTF_8, 1000, {"grades": 900, "identifier": 1000}, {"identifier": 4}
)
SHIPPED = Shape()


def broken(now: Profile, *past: Profile, shape: Shape = SHIPPED, factor: float = 1) -> list[tuple[str, str]]:
    """What is not as it was: how, and which column."""
    return [(one.what, one.column) for one in judge_profile(SIS, "users", now, past, shape, factor)]


def filled(number: int, rows: int = 1000, column: str = "grades") -> Profile:
    """A file in which so many rows have a value."""
    return replace(USUAL, rows=rows, filled={**USUAL.filled, column: number})


@pytest.mark.parametrize(
    ("now", "is_broken"),
    [
        (filled(900), False),
        (filled(811), False),
        (filled(809), True),
        (filled(0), True),
        (filled(630, rows=700), False),  # rows are gone, and their cells with them
        (filled(300, rows=700), True),
        (filled(900, rows=3000), False),  # two thousand came without a value
        (filled(5000, rows=50_000), False),
    ],
)
def test_a_column_has_lost_values_where_both_their_number_and_their_share_are_smaller(now: Profile, *, is_broken: bool) -> None:
    """By more than a tenth, as shipped: rows that came without a value, and rows that are gone, are no loss."""
    assert broken(now, USUAL) == ([(EMPTY, "grades")] if is_broken else [])


def test_the_fullest_of_the_last_days_counts_and_a_few_cells_never_do() -> None:
    """Ten per cent in three steps are ten per cent; twenty-five cells are somebody's morning."""
    assert broken(filled(800), USUAL, filled(850), filled(820)) == [(EMPTY, "grades")]
    few = replace(USUAL, rows=60, filled={"grades": 60})
    assert broken(replace(few, filled={"grades": 35}), few) == []
    assert broken(replace(few, filled={"grades": 34}), few) == [(EMPTY, "grades")]
    assert broken(filled(0)) == []
    assert broken(filled(0), replace(USUAL, filled={})) == []


def test_a_number_counts_whatever_its_share_and_a_season_allows_more() -> None:
    """Each of the three bounds by itself."""
    tight = Shape(empty=Share(percent=50, absolute=40))
    assert broken(filled(859), USUAL, shape=tight) == [(EMPTY, "grades")]
    assert broken(filled(860), USUAL, shape=tight) == []
    assert broken(filled(700), USUAL) == [(EMPTY, "grades")]
    assert broken(filled(700), USUAL, factor=100) == []


@pytest.mark.parametrize(
    ("repeated", "rows", "is_broken"),
    [(4, 1000, False), (29, 1000, False), (30, 1000, True), (40, 10_000, False), (141, 10_000, True)],
)
def test_keys_are_repeated_where_both_their_number_and_their_share_are_larger(repeated: int, rows: int, *, is_broken: bool) -> None:
    """More than twenty-five, and more than a hundredth of the rows, above what was usual."""
    now = replace(USUAL, rows=rows, repeated={"identifier": repeated})
    assert broken(now, USUAL) == ([(REPEATED, "identifier")] if is_broken else [])
    assert broken(now) == []


def test_a_column_in_use_is_gone_where_the_last_roster_had_it_filled() -> None:
    """One that was empty anyway is not missed, nor one that an earlier roster had."""
    now = replace(USUAL, filled={"identifier": 1000}, lacks=("grades", "phone"))
    assert broken(now, USUAL) == [(GONE, "grades")]
    assert broken(now, USUAL, replace(USUAL, filled={"identifier": 1000})) == []
    assert broken(now, replace(USUAL, filled={"grades": 0})) == []


@given(now=st.integers(0, 1000), before=st.integers(0, 1000), more=st.integers(0, 1000))
def test_whoever_fills_more_cells_is_never_held_for_it(now: int, before: int, more: int) -> None:
    """Law: what is believed with so many values is believed with more."""
    if not broken(filled(now), filled(before)):
        assert not broken(filled(min(now + more, 1000)), filled(before))


def test_what_is_said_names_file_column_numbers_and_what_to_do() -> None:
    """Of people by campus and population; of the roster, so that a human can let exactly this one go (R15)."""
    (found,) = judge_profile(SIS, "users", filled(600), [USUAL], SHIPPED)
    assert found.why == (
        "column grades of users.csv has a value in 600 of 1,000 rows, and had one in 900 of 1,000 in the last ten school days; "
        "sources.sis.shape.empty allows at most 10 % to have become empty"
    )
    assert of_roster(SIS, found).digest
    assert of_roster(SIS, found).what.endswith(
        "Look at the file: a column that is not filled any more looks like this. If it is right, approve it"
    )
    people = {("012", "students"): {PersonId("p1"), PersonId("p2")}, ("001", "staff"): {PersonId("p3")}}
    there = {("012", "students"): 9, ("001", "students"): 9, ("001", "staff"): 4}
    held = list(of_people(SIS, found, people, there))
    assert [one.where for one in held] == ["campus 001, staff, source sis", "campus 012, students, source sis"]
    assert [one.cell and one.cell.target for one in held] == [TargetName("sis")] * 2
    assert {one.cell.operation for one in held if one.cell} == {"empty grades of users.csv"}
    assert "2 who are told of so and otherwise than before wait" in held[1].what
    everywhere = {(f"{n:03}", "students"): {PersonId(f"p{n}")} for n in range(4)}
    (once,) = of_people(SIS, found, everywhere, dict.fromkeys(everywhere, 9))
    assert (once.where, len(once.persons)) == ("students, source sis", 4)
    assert list(of_people(SIS, found, {}, there)) == []


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ({}, ""),
        ({"rows": 5, "filled": {}}, ""),
        ({"header": (*USUAL.header, "bus")}, "has a column more: bus"),
        ({"header": (*USUAL.header, "bus", "tram")}, "has columns more: bus, tram"),
        ({"header": ("bus", "sourcedId", "grades")}, "has a column more: bus, has a column less: identifier"),
        ({"header": ("grades", "sourcedId", "identifier")}, "has its columns in another order"),
        ({"encoding": WINDOWS}, "is written as Windows-1252, and was as UTF-8"),
        ({"encoding": UTF_16}, "is written as UTF-16, and was as UTF-8"),
        ({"encoding": MARKED_UTF_8}, "is written as UTF-8 with a byte order mark, and was as UTF-8"),
        ({"encoding": ASCII}, ""),
    ],
)
def test_another_header_or_encoding_is_only_told(now: dict[str, object], told: str) -> None:
    """In one sentence each; a file that has lost its last accent is written as before."""
    assert told_otherwise(replace(USUAL, **now), USUAL) == (f"users.csv {told}. That holds nothing" if told else "")  # type: ignore[arg-type]  # spelled above


def test_a_cell_is_called_after_what_is_wrong_there() -> None:
    """So that two columns of one file are two cells."""
    assert Broken("users", "users.csv", "grades", EMPTY, "").operation == "empty grades of users.csv"
