"""The guard: what it holds, in which words, and that it never lets through more for less evidence."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.guard import Cell, Known, Limit, Limits, Shape, Verdict, judge, judge_source
from syncd.core.model import Change, Kind, PersonId, SourceName, TargetName
from syncd.core.rendering import kinds_named

LDAP, SIS = TargetName("ldap"), SourceName("sis")


def changes(kind: Kind, count: int) -> list[Change]:
    return [Change(LDAP, kind, "", person=PersonId(f"p{n}")) for n in range(count)]


def verdict(kind: Kind, count: int, accounts: int, limits: Limits | None = None, *, history: bool = True):  # noqa: ANN201 — Verdict
    return judge({LDAP: changes(kind, count)}, {LDAP: Known(accounts, limits or Limits(), history=history)}, dict, {})


def test_a_wave_of_disables_is_held_in_words_an_operator_can_act_on() -> None:
    """What, how many, of how many, which limit, how to look."""
    held = verdict(Kind.DISABLE, 200, 1000)
    assert not held.clear
    assert str(held.findings[0]) == (
        "target ldap: 200 accounts would be disabled, but targets.ldap.limits.disable allows at most 3 % of 1,000 accounts in 24 "
        "hours. They wait; everybody else goes on. See them with: syncd plan --kind disable"
    )


def test_a_limit_on_the_number_says_of_how_many_as_well() -> None:
    """600 of 28,000 and 600 of 700 are two different mornings."""
    held = verdict(Kind.DISABLE, 600, 28_000)
    assert str(held.findings[0]) == (
        "target ldap: 600 accounts would be disabled, but targets.ldap.limits.disable allows at most 500, whatever "
        "their share of 28,000 accounts in 24 hours. They wait; everybody else goes on. See them with: syncd plan --kind disable"
    )


@pytest.mark.parametrize("operation", [one.name for one in fields(Limits)])
def test_how_to_look_is_something_that_can_be_typed(operation: str) -> None:
    """Whatever limit is broken, the kind that the finding names is one `syncd plan --kind` understands."""
    kinds = kinds_named([operation])
    for kind in kinds:
        changes = {LDAP: [Change(LDAP, kind, "", person=PersonId("p1"))]}
        none = Limits(**{operation: Limit(absolute=0)})
        (finding,) = judge(changes, {LDAP: Known(1, none)}, dict, {}).findings
        assert str(finding).endswith(f"syncd plan --kind {operation}")


def test_a_handful_of_leavers_at_a_small_school_is_not_held() -> None:
    """The floor keeps percentages of small numbers from crying wolf."""
    assert verdict(Kind.DISABLE, 5, 40).clear


def test_a_target_never_applied_to_is_never_clear_and_its_creates_have_no_share() -> None:
    """R14: the first apply is explicit, and that is all that stands in its way."""
    first = verdict(Kind.CREATE, 1000, 0, history=False)
    assert (first.clear, first.findings, first.first) == (False, (), (LDAP,))


def test_the_first_apply_is_not_unlimited() -> None:
    """R14: adopted accounts are not disabled by the hundred because it is the first time."""
    assert verdict(Kind.DISABLE, 200, 1000, history=False).findings


def test_a_roster_below_its_floor_or_suddenly_smaller_is_refused() -> None:
    """A partial export looks like a leaver wave."""
    assert judge_source(SIS, 0, None, Shape())
    assert judge_source(SIS, 900, 1000, Shape())
    assert not judge_source(SIS, 960, 1000, Shape())
    assert not judge_source(SIS, 10, None, Shape())


@given(
    st.integers(0, 500),
    st.integers(0, 500),
    st.integers(0, 2000),
    st.builds(Limit, st.floats(0, 100), st.integers(0, 400), st.integers(0, 20)),
)
def test_more_of_the_same_is_never_judged_milder(count: int, more: int, accounts: int, limit: Limit) -> None:
    """Monotone: adding changes never turns held into clear."""
    if limit.excess(count, accounts):
        assert limit.excess(count + more, accounts)


# --- cells (R11, R12) ---------------------------------------------------------------------------------------------------

PEOPLE = {("001", "students"): 400, ("012", "students"): 400, ("001", "staff"): 40, ("012", "staff"): 40}
MANY = 20_000  # accounts on the target: no sum trips by itself


def at(campus: str, kind: Kind, count: int, population: str = "students", start: int = 0) -> list[Change]:
    """So many changes of people of one campus."""
    numbers = range(start, start + count)
    return [Change(LDAP, kind, "", person=PersonId(f"p{campus}-{n}"), campus=campus, population=population) for n in numbers]


def judged(
    changes: list[Change],
    *,
    day: dict[Cell, int] | None = None,
    week: dict[Cell, int] | None = None,
    came_from: dict[PersonId, str] | None = None,
    accounts: int = MANY,
) -> Verdict:
    """The verdict under the shipped limits."""
    known = Known(accounts, Limits(), day=day or {}, week=week or {})
    return judge({LDAP: changes}, {LDAP: known}, lambda: PEOPLE, came_from or {})


def test_a_campus_that_loses_too_many_is_held_and_the_others_go_on() -> None:
    """What, how many, of how many, which limit, how to look; and whoever is not counted there is not held."""
    lost, well = at("012", Kind.DISABLE, 33), at("001", Kind.DISABLE, 4)
    verdict = judged([*lost, *well])
    (finding,) = verdict.findings
    assert str(finding) == (
        "campus 012, students, on target ldap: 33 accounts would be disabled, but targets.ldap.limits.disable.campus_percent "
        "allows at most 5 % of the 400 there in 24 hours. They wait; everybody else goes on. See them with: "
        "syncd plan --kind disable --campus 012"
    )
    assert verdict.held == {change.person for change in lost}
    assert not verdict.blocked


def test_a_population_is_judged_apart() -> None:
    """Four students and six teachers: the teachers are too many of forty, the students are not."""
    verdict = judged([*at("012", Kind.DISABLE, 4), *at("012", Kind.DISABLE, 6, "staff", start=100)])
    assert [finding.cell for finding in verdict.findings] == [Cell(LDAP, "disable", "012", "staff")]


def test_many_small_cuts_trip_as_one_large_one_does() -> None:
    """R12: what was applied in the last 24 hours counts; and over seven days twice as much trips, however it is spread."""
    cell = Cell(LDAP, "disable", "012", "students")
    assert judged(at("012", Kind.DISABLE, 10)).clear
    (finding,) = judged(at("012", Kind.DISABLE, 10), day={cell: 15}, week={cell: 15}).findings
    assert "10 accounts would be disabled, and 15 have been already, but" in str(finding)
    assert judged(at("012", Kind.DISABLE, 10), week={cell: 25}).clear
    (finding,) = judged(at("012", Kind.DISABLE, 10), week={cell: 35}).findings
    assert "at most 10 % of the 400 there in seven days" in str(finding)


def test_a_tripped_sum_holds_that_operation_everywhere_and_no_other() -> None:
    """R12: six hundred disables over all campuses, each of which is small, and some creates beside them."""
    spread = [change for n in range(150) for change in at(f"{n:03}", Kind.DISABLE, 4)]
    creates = at("001", Kind.CREATE, 3, start=900)
    verdict = judged([*spread, *creates])
    assert [finding.cell for finding in verdict.findings] == [Cell(LDAP, "disable")]
    assert verdict.held == {change.person for change in spread}


def test_a_transfer_counts_at_both_campuses_and_is_held_if_either_is() -> None:
    """R11: two hundred children moved from one campus to another in one night."""
    moved = at("012", Kind.MOVE, 200)
    came_from = {change.person: "001" for change in moved if change.person}
    verdict = judged(moved, came_from=came_from)
    assert [finding.cell.campus for finding in verdict.findings if finding.cell] == ["001", "012"]
    few = at("012", Kind.MOVE, 10)
    before = {Cell(LDAP, "move", "001", "students"): 160}
    verdict = judged(few, day=before, came_from={change.person: "001" for change in few if change.person})
    assert verdict.held == {change.person for change in few}


def test_what_a_new_account_needs_is_judged_with_its_creation() -> None:
    """Three hundred memberships of ten new people are no wave of memberships."""
    new = at("012", Kind.CREATE, 10)
    joined = [Change(LDAP, Kind.ADD_MEMBER, "", person=one.person, group=f"g{n}", campus="012") for one in new for n in range(300)]
    assert judged([*new, *joined]).clear


def test_an_approval_lets_go_whom_it_names_and_nobody_else() -> None:
    """R15: a cell holds whoever is new in it."""
    verdict = judged(at("012", Kind.DISABLE, 33))
    approved = {person for person in verdict.held if not person.endswith("-7")}
    left = verdict.released(approved)
    assert left.held == {PersonId("p012-7")}
    assert verdict.released(verdict.held).clear


def test_people_are_counted_only_where_a_cell_is_full_enough() -> None:
    """What a district costs is what changed in it: five leavers anywhere ask nothing of the store."""

    def asked() -> dict[tuple[str, str], int]:
        raise AssertionError("nobody need be counted")

    assert judge({LDAP: at("012", Kind.DISABLE, 5)}, {LDAP: Known(MANY, Limits())}, asked, {}).clear


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_more_changes_never_hold_fewer_people(here: int, there: int, more: int, already: int) -> None:
    """Monotone: whoever is held stays held when more is to be done, at the same campus or another, or was done before."""
    cell = Cell(LDAP, "disable", "012", "students")
    changes = [*at("012", Kind.DISABLE, here), *at("001", Kind.DISABLE, there)]
    before = judged(changes).held
    assert before <= judged([*changes, *at("012", Kind.DISABLE, more, start=500)]).held
    assert before <= judged(changes, day={cell: already}, week={cell: already}).held
