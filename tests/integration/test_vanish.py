"""A roster that lost a campus: who vanished among too many is kept as they are, on the day it happens (R3, R12)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.core.guard import VANISH, Cell
from syncd.core.lifecycle import State
from syncd.core.model import Kind, TargetName
from syncd.engine.planned import Applied, Planned
from tests.fixtures.engine_world import LDAP, MAIN, SIS, World, kinds, pupil, roster_of, world
from tests.fixtures.health_states import health_of

LOST = tuple(range(1, 17, 2))  # eight of the twenty at campus 012
GRACE = 14  # days and more than enough rosters


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Forty students, twenty at each of two campuses."""
    with world(tmp_path, roster_of(students=40)) as one:
        one.begin()
        yield one


def synced(district: World, kind: str = "delta") -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN, kind)
    assert applied is not None, planned.verdict
    return planned, applied


def lose(district: World, *numbers: int) -> None:
    """The next morning's roster does not tell of these students."""
    district.clock.advance()
    district.leave(*(f"s{n}" for n in numbers))


def states(district: World, *numbers: int) -> set[str]:
    """Where these students stand."""
    persons = {district.person(f"s{n}") for n in numbers}
    return {str(state.state) for state in district.store.persons(persons).values()}


def nights(district: World, count: int = GRACE) -> None:
    """So many days, each with a roster that is a little different, and a run."""
    for number in range(count):
        district.clock.advance()
        district.students(pupil(40, family=f"Night{number}", schools=("o1",), lessons=("h1",)))
        synced(district, "reconcile" if number % 5 == 0 else "delta")


def test_who_vanishes_with_half_a_campus_is_kept_and_everybody_else_goes_on(district: World) -> None:
    """Held on the day, in words; a leaver of the other campus enters grace, a newcomer gets an account."""
    lose(district, *LOST, 2)
    district.students(pupil(41, schools=("o1",), lessons=("h1",)))
    planned, applied = synced(district)
    (finding,) = applied.findings
    assert finding.cell == Cell(TargetName("sis"), VANISH, "012", "students")
    assert str(finding).startswith(
        "campus 012, students, source sis: 8 have vanished from the roster, but sources.sis.shape.campus_percent allows at most "
        "5 % of the 20 there at once. They are kept as they are; everybody else goes on."
    )
    assert planned.verdict.held == {district.person(f"s{n}") for n in LOST}
    assert states(district, *LOST) == {State.ACTIVE}
    assert states(district, 2) == {State.GRACE}
    assert district.account("s41").enabled
    told = {reason.where for reason in health_of(district).reasons}
    assert {"campus 012", "pipeline main"} <= told
    assert "campus 001" not in told


def test_where_the_roster_is_not_believed_nobody_is_made_nor_closed_for_being_absent(district: World) -> None:
    """One newcomer may be one of the vanished under another key, and who was missing before may be in the right file of today."""
    missing = 19
    lose(district, missing)
    synced(district)
    person = district.person(f"s{missing}")
    for number in range(2 * GRACE):
        district.clock.advance()
        district.students(pupil(40, family=f"Night{number}", schools=("o1",), lessons=("h1",)))
        if Kind.DISABLE in kinds(district.plan(), person):
            break
        synced(district)
    else:
        pytest.fail("an absence that lasts closes no account")
    good = district.roster.with_students(pupil(42), pupil(43))
    district.roster = good
    district.leave(*(f"s{n}" for n in LOST))
    _, applied = synced(district)
    assert {finding.cell.operation for finding in applied.findings if finding.cell} == {VANISH, "create", "disable"}
    assert district.account(f"s{missing}").enabled
    assert district.account("s42").enabled  # of the other campus
    assert district.person("s43") not in district.store.known(LDAP)
    district.clock.advance()
    district.roster = good
    district.deliver()
    planned, _ = synced(district)
    assert planned.verdict.clear
    assert not district.account(f"s{missing}").enabled
    assert district.account("s43").enabled


def test_they_are_kept_for_as_long_as_nobody_has_looked(district: World) -> None:
    """Neither the same roster again, nor others, nor the end of grace take anything away; and it is told in every run."""
    lose(district, *LOST)
    synced(district)
    for _ in range(3):
        assert synced(district)[1].findings  # the very same roster
    nights(district)
    assert [district.account(f"s{n}").enabled for n in LOST] == [True] * 8
    assert states(district, *LOST) == {State.ACTIVE}
    assert len(synced(district, "reconcile")[1].findings) == 1


def test_a_mended_roster_is_all_it_takes(district: World) -> None:
    """Everybody is there again: nothing has happened to them, and nothing is told any more."""
    before = district.everything()
    lose(district, *LOST)
    synced(district)
    district.students(*(pupil(n) for n in LOST))
    _, applied = synced(district)
    assert applied.findings == ()
    assert district.everything() == before
    assert not [reason for reason in health_of(district).reasons if reason.where in ("campus 012", "pipeline main")]


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_approved_absence_begins_its_grace_with_the_next_run(district: World, kind: str) -> None:
    """R15: the eight that were seen go their way, and are disabled when grace has ended; one who vanishes later is ordinary.

    The roster is the same as it was: no other one is waited for, nothing is told any more, and their absence counts once (R13).
    """
    lose(district, *LOST)
    planned, _ = synced(district)
    assert district.engine.approve(planned.run, "head (uid 1)", "the annex has closed").people == 8
    assert synced(district, kind)[1].findings == ()
    assert states(district, *LOST) == {State.GRACE}
    assert not [reason for reason in health_of(district).reasons if reason.where in ("campus 012", "pipeline main")]
    assert {key.absences for key in district.store.missing(SIS).values()} == {1}
    assert synced(district, kind)[1].findings == ()
    assert {key.absences for key in district.store.missing(SIS).values()} == {1}
    district.clock.advance(8)  # the approval is forgotten, and what it let go stays so
    nights(district, 1)
    assert states(district, *LOST) == {State.GRACE}
    nights(district)
    assert [district.account(f"s{n}").enabled for n in LOST] == [False] * 8


def test_an_absence_of_which_one_half_is_approved_holds_the_other(district: World) -> None:
    """R15: a roster without ten of one campus and eight of the other; one campus has closed."""
    lose(district, *LOST, *range(2, 22, 2))
    planned, _ = synced(district)
    assert district.engine.approve(planned.run, "head (uid 1)", "the annex has closed", ["012"]).people == 8
    planned, applied = synced(district)
    assert states(district, *LOST) == {State.GRACE}
    assert states(district, *range(2, 22, 2)) == {State.ACTIVE}
    assert planned.verdict.held == {district.person(f"s{n}") for n in range(2, 22, 2)}
    assert ["campus 001" in str(finding) for finding in applied.findings] == [True]


def test_an_approved_absence_waits_for_a_roster_that_can_be_read(district: World) -> None:
    """R1: where the source fails, nobody counts as missing, approved or not."""
    lose(district, *LOST)
    planned, _ = synced(district)
    district.engine.approve(planned.run, "head (uid 1)", "the annex has closed")
    (district.drop / "oneroster.zip").write_bytes(b"no roster")
    synced(district)
    assert states(district, *LOST) == {State.ACTIVE}
    district.deliver()
    synced(district)
    assert states(district, *LOST) == {State.GRACE}


def test_whom_no_approval_names_is_kept(district: World) -> None:
    """R15: three more vanish after the eight were approved: together they are too many, and the three were not seen."""
    lose(district, *LOST)
    planned, _ = synced(district)
    district.engine.approve(planned.run, "head (uid 1)", "the annex has closed", ["012"])
    lose(district, 17, 19, 21)
    planned, applied = synced(district)
    assert planned.verdict.held == {district.person(f"s{n}") for n in (17, 19, 21)}
    assert "3 have vanished" in str(applied.findings[0])
    assert states(district, *LOST) == {State.GRACE}


def test_a_family_that_moves_away_is_ordinary(district: World) -> None:
    """Five of a campus at once are believed, whatever their share."""
    lose(district, 1, 3, 5, 7, 9)
    assert synced(district)[1].findings == ()
    assert states(district, 1, 3, 5, 7, 9) == {State.GRACE}
