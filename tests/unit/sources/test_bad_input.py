"""Every broken roster of the documented table gets its documented answer, and only its own people are affected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.broken_rosters import BROKEN, PEOPLE, BrokenRoster, page, try_out

DOCUMENTED = Path(__file__).parents[3] / "docs" / "reference" / "bad-input.md"


@pytest.mark.parametrize("roster", BROKEN, ids=lambda roster: roster.name)
def test_a_broken_roster_gets_its_documented_answer(roster: BrokenRoster, tmp_path: Path) -> None:
    """Refused means nothing is read; rejected means that exactly the owners are shielded; accepted means everybody is told."""
    told = try_out(roster, tmp_path)
    keys = {record.key for record in told.records}
    if roster.expect == "refused":
        assert roster.message in told.message
        assert not told.records
        return
    assert not told.message
    if roster.expect == "rejects":
        assert any(roster.message in reject.why for reject in told.rejects)
        assert {str(reject.key) for reject in told.rejects if reject.subject == "person" and reject.key} == roster.shielded
        assert roster.stops_leavers == any(reject.key is None for reject in told.rejects)
        assert keys == PEOPLE - roster.shielded
    else:
        assert not told.rejects
        assert keys == PEOPLE
        assert roster.message in " ".join(told.notes)


def test_there_are_at_least_forty() -> None:
    """The table is as long as it says."""
    assert len(BROKEN) >= 40
    assert len({roster.name for roster in BROKEN}) == len(BROKEN)


def test_the_page_says_what_is_really_said() -> None:
    """The documented table is what the code prints today (`python tests/fixtures/broken_rosters.py`)."""
    assert DOCUMENTED.read_text(encoding="utf-8").splitlines() == list(page())
