"""Some weeks of a simulated school year with the shipped limits (R2, R11, R12): what is held, and what bad rosters get through.

The same code as `script/bench year`, which lives through 200 school days of 60 campuses and 25,000 students.
"""

from __future__ import annotations

from bench.calamities import KINDS
from bench.year import REDUCED, TUNING, simulate


def test_some_weeks_hold_every_disaster_and_nothing_else() -> None:
    """The new year, two weeks of opening and a month of term; each of the twelve kinds once, from 8 % of one campus."""
    score = simulate(TUNING, REDUCED)
    assert {one.kind for one in score.planted} == set(KINDS)
    assert [(one.kind, one.day, one.touched) for one in score.missed] == []
    assert [str(one) for one in score.false_holds] == []
