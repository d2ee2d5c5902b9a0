"""A new roster system: the same people under other keys, recognised by the state's number, are who they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.lifecycle import State
from tests.fixtures.engine_world import MAIN, World, pupil, roster_of, world

MOVED = (1, 2, 3)
NIGHTS = 12  # more than the grace


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Eight students with a number of the state's, by which a person of this source is recognised."""
    roster = roster_of(students=8)
    roster = roster.with_students(*(replace(one, state_id=f"700{key}") for key, one in roster.students.items()))
    with world(tmp_path, roster) as one:
        one.edit("config/syncd.yaml", "    kind: oneroster_csv", "    kind: oneroster_csv\n    match_on: [state_id]")
        one.begin()
        yield one


@pytest.mark.parametrize("again", [False, True], ids=["each night another roster", "and the same one again"])
def test_whoever_goes_on_under_another_key_is_not_gone(district: World, again: bool) -> None:
    """The old key is missing for good; the person is there, in whatever kind of run, however small the part that is read."""
    persons = {district.person(f"s{n}") for n in MOVED}
    old = [district.roster.students[f"s{n}"] for n in MOVED]
    district.clock.advance()
    district.roster = district.roster.without_students({one.key for one in old})
    district.students(*(replace(one, key=f"new-{one.key}", number=f"5{one.number}") for one in old))
    district.sync()
    assert {district.person(f"new-s{n}") for n in MOVED} == persons
    for number in range(NIGHTS):
        district.clock.advance()
        district.students(pupil(8, family=f"Night{number}", state_id="700s8"))
        district.sync()
        if again:
            district.sync()
        assert {one.state for one in district.store.persons(persons).values()} == {State.ACTIVE}
    assert [district.account(f"new-s{n}").enabled for n in MOVED] == [True] * len(MOVED)


def renumbered(district: World, prefix: str, *numbers: int) -> None:
    """These students go on under another key and with another number; delivered the next day."""
    district.clock.advance()
    old = [next(one for one in district.roster.students.values() if one.state_id == f"700s{n}") for n in numbers]
    district.roster = district.roster.without_students({one.key for one in old})
    district.students(*(replace(one, key=f"{prefix}-{one.key}", number=f"{len(prefix)}{one.number}") for one in old))


def test_after_a_cut_over_a_part_that_is_renumbered_once_more_waits(district: World) -> None:
    """The keys of the system that was left are no reason not to see that the numbers of many are others again."""
    renumbered(district, "new", *range(1, 9))
    district.sync()
    numbers = [district.account(f"new-s{n}").attributes["employeeNumber"] for n in range(1, 9)]
    district.edit(
        "config/syncd.yaml",
        "numbers: { at_least: 1000, campus_at_least: 1000 }",
        "numbers: { percent: 20, campus_percent: 20, at_least: 1, campus_at_least: 1 }",
    )
    renumbered(district, "twice", *MOVED)
    planned, applied = district.engine.sync(MAIN)
    assert applied is not None
    assert any("have another number or username" in str(finding) for finding in planned.verdict.findings)
    now = {account.attributes["employeeNumber"] for account in district.memory.accounts.values() if "student" in str(account)}
    assert set(numbers) <= now
