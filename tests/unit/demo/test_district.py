"""The sample district: the same for the same seed, the size it was asked for, and every planted person in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import FrozenInstanceError
from datetime import date, timedelta
from itertools import pairwise

import pytest

from syncd.demo import planted
from syncd.demo.district import District, Rates, plain
from syncd.demo.roster import GRADES, Employee, Student

SEED = 7
LIVELY = Rates(
    new=6,
    moved=6,
    renamed=6,
    vanished=8,
    exited=8,
    returned=0.3,
    preferred=6,
    renumbered=3,
    staff_new=10,
    staff_left=10,
    staff_renamed=10,
    manager=10,
    homeroom_teacher=20,
    class_renamed=5,
    campus_renamed=0.3,
)


@pytest.fixture(scope="module")
def district() -> District:
    """The default district on its first day."""
    return District.generate(SEED)


@pytest.fixture(scope="module")
def month() -> list[District]:
    """A month in which everything happens often."""
    return list(District.generate(SEED, rates=LIVELY).days(31))


def test_default_is_1350_persons_and_one_guardian_for_ten_students(district: District) -> None:
    """Without sizes there are 1,200 students, 150 staff, 3 campuses and 120 guardians, who are no persons with accounts."""
    roster = district.roster
    assert tuple(map(len, (roster.students, roster.staff, roster.schools, roster.parents))) == (1200, 150, 3, 120)
    assert roster.persons == 1350


@pytest.mark.parametrize("sizes", [(1, 1, 1), (1, 24, 6), (2, 30, 8), (5, 701, 33)])
def test_any_size_is_met_exactly(sizes: tuple[int, int, int]) -> None:
    """However small the district, its sizes are the ones asked for."""
    roster = District.generate(SEED, *sizes).roster
    assert sizes == tuple(map(len, (roster.schools, roster.students, roster.staff)))


def test_empty_district_is_refused() -> None:
    """A size of zero is a mistake, and is said to be one."""
    with pytest.raises(ValueError, match="at least one campus"):
        District.generate(SEED, students=0)


def test_same_seed_same_district_and_same_future(district: District) -> None:
    """Everything follows from the seed: the first day and any later one."""
    assert district == District.generate(SEED)
    assert district.day(9) == District.generate(SEED).day(9)
    assert district != District.generate(SEED + 1)


def test_day_number_and_date_are_two_ways_to_the_same_day(district: District) -> None:
    """`day(n)` is n days on, `advance(date)` is day by day until that date, `days()` begins with this one."""
    week = list(district.days(8))
    assert week[0] is district
    assert week[7] == district.day(7) == district.advance(district.today + timedelta(days=7))
    assert [day.number for day in week] == list(range(8))


def test_a_district_cannot_be_changed(district: District) -> None:
    """A day that was given to somebody stays as it was."""
    with pytest.raises(FrozenInstanceError):
        district.number = 3  # type: ignore[misc]  # that it is refused is the point
    with pytest.raises(TypeError):
        district.roster.students["stu"] = None  # type: ignore[index]  # as above


def test_every_planted_kind_is_in_the_default_district(district: District) -> None:
    """Each kind of awkward person is there, under keys that exist."""
    kinds = {kind for kind, _ in (*planted.students(), *planted.staff())}
    roster = district.roster
    everybody = {*roster.students, *roster.staff, *roster.parents}
    assert kinds == set(district.planted)
    assert all(set(keys) <= everybody for keys in district.planted.values())


def pupils(district: District, kind: str) -> list[Student]:
    """The planted students of one kind."""
    return [district.roster.students[key] for key in district.planted[kind]]


def test_twins_share_a_birthday_and_differ_in_name_only_for_one_pair_clearly(district: District) -> None:
    """Ana and Luis are clearly two children; Ana and Anabel are not (R35)."""
    (ana, luis), (anna, anabel) = pupils(district, "twins"), pupils(district, "twins_alike")
    assert (ana.family, ana.birth) == (luis.family, luis.birth)
    assert not luis.given.startswith(ana.given)
    assert (anna.family, anna.birth) == (anabel.family, anabel.birth)
    assert anabel.given.startswith(anna.given)


def test_renumbered_child_and_namesakes_are_told_apart_by_birth_date(district: District) -> None:
    """One child has two numbers; two children have one name."""
    (one, two), (first, second) = pupils(district, "renumbered"), pupils(district, "same_name")
    assert (one.given, one.family, one.birth) == (two.given, two.family, two.birth)
    assert one.number != two.number
    assert (first.given, first.family) == (second.given, second.family)
    assert first.birth != second.birth


def test_planted_particulars(district: District) -> None:
    """The traps are what their names say."""
    assert all(not one.ssn4 and one.s_number4 for one in pupils(district, "no_ssn"))
    assert all(one.start == planted.NOT_YET_DUE for one in pupils(district, "not_yet_due"))
    assert all(len(one.schools) == 2 for one in pupils(district, "dual_enrolment"))
    assert [one.number for one in pupils(district, "leading_zero")] == ["004217"]
    assert all(not one.email for one in pupils(district, "empty_email"))
    assert all(len(one.family) > 64 for one in pupils(district, "long_name"))
    assert all(one.preferred_given for one in pupils(district, "preferred_name"))
    assert all(not one.given.isascii() for kind in ("chinese", "arabic", "vietnamese") for one in pupils(district, kind))


def test_planted_names_are_spelled_as_their_kind_says(district: District) -> None:
    """Two surnames, hyphens, apostrophes of both kinds, accents, suffixes; and staff at two campuses."""
    assert all(" " in one.family and one.family.replace(" ", "").isalpha() for one in pupils(district, "two_surnames"))
    assert all("-" in one.family for one in pupils(district, "hyphen"))
    assert {"'", "’"} == {mark for one in pupils(district, "apostrophe") for mark in f"{one.given}{one.family}" if mark in "'’"}
    assert all(plain(one.family) != one.family.casefold().replace(" ", "") for one in pupils(district, "accent"))
    assert all(one.family.split()[-1] in ("III", "Jr") for one in pupils(district, "suffix"))
    assert [len(district.roster.staff[key].schools) for key in district.planted["staff_two_campuses"]] == [2]
    assert all(not one.given.isascii() or not one.family.isascii() for one in pupils(district, "accent"))


def test_teacher_who_is_a_parent_is_one_row_or_two(district: District) -> None:
    """One teacher's row says parent as well; another has a second row; both are guardians of a pupil."""
    roster = district.roster
    (one,) = district.planted["teacher_parent_one_row"]
    two, as_parent = district.planted["teacher_parent_two_rows"]
    guardians = {key for pupil in roster.students.values() for key in pupil.guardians}
    assert roster.staff[one].parent_at
    assert roster.staff[two].family == roster.parents[as_parent].family
    assert {one, as_parent} <= guardians


def resemblances(day: District) -> set[frozenset[str]]:
    """The keys of students who share family name and birth date."""
    by_birth: dict[tuple[str, date], list[Student]] = {}
    for one in (*day.roster.students.values(), *day.departed.values()):
        by_birth.setdefault((plain(one.family), one.birth), []).append(one)
    return {frozenset(one.key for one in group) for group in by_birth.values() if len(group) > 1}


def test_nobody_resembles_anybody_by_chance(district: District) -> None:
    """Only planted children share family name and birth date, so the disputes of the sample are the planted ones."""
    wanted = {frozenset(district.planted[kind]) for kind in ("twins", "twins_alike", "renumbered")}
    assert wanted == resemblances(district)


def test_newcomers_resemble_nobody_either() -> None:
    """New students of later days do not share family name and birth date with anybody, present or departed."""
    day = District.generate(SEED, rates=Rates(new=20, renamed=0, renumbered=0)).day(20)
    assert len(resemblances(day)) == 3


def test_numbers_and_keys_are_unique(month: list[District]) -> None:
    """No student or staff number is given twice, in a month of changes."""
    numbers: dict[str, str] = {}
    for day in month:
        people: tuple[Student | Employee, ...] = (*day.roster.students.values(), *day.roster.staff.values())
        for one in people:
            assert numbers.setdefault(one.number, one.key) == one.key


def test_every_grade_has_a_homeroom_with_a_teacher(district: District) -> None:
    """Each student sits in exactly one homeroom of their grade and campus; each class has a teacher of that campus."""
    roster = district.roster
    assert {one.grade for one in roster.students.values()} == set(GRADES)
    for pupil in roster.students.values():
        (room,) = (roster.lessons[key] for key in pupil.lessons if roster.lessons[key].kind == "homeroom")
        assert (room.grade, room.school) == (pupil.grade, pupil.schools[0])
    for lesson in roster.lessons.values():
        assert all(lesson.school in roster.staff[key].schools for key in lesson.teachers)


def test_a_month_brings_every_kind_of_change(month: list[District]) -> None:
    """With lively rates every happening there is happens within a month."""
    seen = Counter(event.kind for day in month for event in day.events)
    kinds = {name for name in Rates.__dataclass_fields__ if name != "rates"} | {"delisted"}
    assert kinds == set(seen)


def test_three_quiet_weeks_of_the_default_bring_comers_movers_leavers_and_returners(district: District) -> None:
    """The default rates show the main changes within three weeks, few enough for a careful limit."""
    seen = Counter(event.kind for day in district.days(22) for event in day.events)
    assert {"new", "moved", "renamed", "vanished", "exited", "returned"} <= set(seen)
    assert sum(seen.values()) < 150


def test_grades_do_not_change_in_the_middle_of_a_year(month: list[District]) -> None:
    """A student keeps their grade from day to day."""
    for before, after in pairwise(month):
        for key in before.roster.students.keys() & after.roster.students.keys():
            assert before.roster.students[key].grade == after.roster.students[key].grade


def test_events_tell_exactly_whose_row_changed(month: list[District]) -> None:
    """A student's row differs from the day before if and only if an event names it."""
    for before, after in pairwise(month):
        old, new = before.roster.students, after.roster.students
        changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        told = {event.key for event in after.events if event.key.startswith("stu-")}
        reborn = changed - told
        renumbered = [event for event in after.events if event.kind == "renumbered"]
        assert told <= changed
        assert len(reborn) == len(renumbered), "only the new row of a renumbered child is not named itself"


def test_planted_people_stay_as_they_are(month: list[District]) -> None:
    """No event touches a planted person, so that the demo can show them on any day."""
    first, last = month[0], month[-1]
    keys = {key for kind in first.planted.values() for key in kind}
    for key in keys & first.roster.students.keys():
        assert first.roster.students[key] == last.roster.students[key]


def test_an_exit_is_told_before_the_student_is_taken_off_the_list(month: list[District]) -> None:
    """Nobody with an explicit exit drops out before it, and everybody does some days after it."""
    for before, after in pairwise(month):
        gone = before.roster.students.keys() - after.roster.students.keys()
        for key in gone:
            last = before.roster.students[key].exit
            assert last is None or last < after.today
        assert all(one.exit is None or after.today - one.exit < timedelta(12) for one in after.roster.students.values())


def test_weekends_are_quiet(month: list[District]) -> None:
    """On Saturday and Sunday nobody enters anything; only old exits drop out."""
    for day in month:
        if day.today.weekday() >= 5:
            assert {event.kind for event in day.events} <= {"delisted"}


def test_a_large_district_has_the_size_it_was_asked_for() -> None:
    """28,000 persons have 200,000 class enrolments and more."""
    roster = District.generate(SEED, campuses=40, students=25_000, staff=3_000).roster
    assert roster.persons == 28_000
    assert sum(len(one.lessons) for one in roster.students.values()) >= 200_000
