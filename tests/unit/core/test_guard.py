"""The guard: what it holds, in which words, and that it never lets through more for less evidence."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.calendar import TERM, Calendar
from syncd.core.guard import Cell, Known, Limit, Limits, Shape, Verdict, judge, judge_age, judge_rows, judge_source
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


# --- history and the year -----------------------------------------------------------------------------------------------


def test_far_more_than_on_any_school_day_gets_half_of_the_limit() -> None:
    """300 leavers spread over sixty campuses are under every limit of October, and more than ten times what it ever saw."""
    spread = [change for n in range(60) for change in at(f"{n:03}", Kind.DISABLE, 5)]
    many = {(f"{n:03}", "students"): 400 for n in range(60)}
    quiet = Known(24_000, Limits(), most=lambda _: 22)
    (finding,) = judge({LDAP: spread}, {LDAP: quiet}, lambda: many, {}).findings
    assert "allows at most 250, whatever their share" in str(finding)
    assert "more than 3 times what was done on any of the last 20 school days (at most 22)" in str(finding)
    for usual in (None, 150):
        known = Known(24_000, Limits(), most=lambda _, usual=usual: usual)  # type: ignore[misc]  # a default binds the value
        assert judge({LDAP: spread}, {LDAP: known}, lambda: many, {}).clear


def test_what_the_same_week_of_last_year_brought_is_not_held() -> None:
    """A campus whose seniors leave in May is held in the first year, and is known in the second."""
    seniors = at("012", Kind.DISABLE, 100)
    for last_year, held in ((0, True), (79, True), (80, False), (100, False)):
        known = Known(MANY, Limits(), yearly=lambda _, done=last_year: done)  # type: ignore[misc]  # a default binds the value
        assert bool(judge({LDAP: seniors}, {LDAP: known}, lambda: PEOPLE, {}).findings) is held, last_year


def test_a_season_multiplies_what_is_allowed_and_says_so() -> None:
    """A quarter of a campus may leave in June; half of it may not."""
    june = Limits().in_season(Calendar().closing)
    known = {LDAP: Known(MANY, june)}
    assert judge({LDAP: at("012", Kind.DISABLE, 100)}, known, lambda: PEOPLE, {}, "closing").clear
    (finding,) = judge({LDAP: at("012", Kind.DISABLE, 200)}, known, lambda: PEOPLE, {}, "closing").findings
    assert "at most 40 % of the 400 there in 24 hours while the year is closing" in str(finding)


@given(
    st.integers(0, 400),
    st.integers(0, 400),
    st.integers(0, 300),
    st.one_of(st.none(), st.integers(0, 200)),
    st.integers(0, 300),
    st.sampled_from(["opening", "closing", "term"]),
)
def test_more_changes_never_hold_fewer_people_in_any_season(
    fewer: int, more: int, before: int, most: int | None, yearly: int, season: str
) -> None:
    """R12: monotone in whatever season, after whatever days: who is held by few is held by more."""
    fewer, more = sorted((fewer, more))
    limits = Limits().in_season(getattr(Calendar(), season, TERM))
    known = Known(8_000, limits, day={Cell(LDAP, "disable"): before}, most=lambda _: most, yearly=lambda _: yearly)

    def held(count: int) -> frozenset[PersonId]:
        return judge({LDAP: at("012", Kind.DISABLE, count)}, {LDAP: known}, lambda: PEOPLE, {}, season).held

    assert held(fewer) <= held(more)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 100), st.integers(0, 500))
def test_more_missing_never_keep_fewer(fewer: int, more: int, of_late: int, people: int) -> None:
    """R12: monotone, the whole campus and the last seven days included."""
    fewer, more = sorted((fewer, more))
    assert Shape().keeps(fewer, of_late, people) <= Shape().keeps(more, of_late, people)


def test_a_campus_of_which_nobody_is_left_has_not_lost_a_family() -> None:
    """Four of four are kept, and three of four are a family; thirty over a week are as many at once."""
    shape = Shape()
    assert (shape.keeps(4, 0, 4), shape.keeps(3, 0, 4), shape.keeps(2, 0, 2)) == (True, False, False)
    assert (shape.keeps(15, 0, 400), shape.keeps(15, 30, 400)) == (False, True)


def test_a_file_that_lost_its_rows_is_refused_and_a_small_one_is_not_judged() -> None:
    """A third of the enrolments gone is an export that was cut; a file of twenty rows may lose ten."""
    found = judge_rows(SIS, {"enrollments": 600, "orgs": 10}, {"enrollments": 1000, "orgs": 20, "persons": 900}, Shape())
    (finding,) = found
    assert str(finding) == (
        "source sis: enrollments has 600 rows, and had up to 1,000 in the last ten school days: that is less by 40 %, and "
        "sources.sis.shape.rows_percent allows 30 %. Look at the file: an export that was cut looks like this. "
        "If it is right, approve it"
    )
    assert not judge_rows(SIS, {"enrollments": 700}, {"enrollments": 1000}, Shape())


def test_a_roster_is_older_where_most_are_as_they_were() -> None:
    """Thirty of forty taken back is last week's file; five are a correction."""
    assert judge_age(SIS, None, 45, 40, 30, Shape())
    assert judge_age(SIS, date(2026, 9, 1), 45, 40, 0, Shape())
    assert not judge_age(SIS, None, 5, 5, 5, Shape())
    assert not judge_age(SIS, None, 200, 190, 12, Shape())
    assert judge_age(SIS, None, 200, 0, 0, Shape(), former=190)
    assert not judge_age(SIS, None, 200, 190, 0, Shape(), former=12)
