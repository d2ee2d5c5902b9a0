"""What a run makes of a source that failed, a roster that was held, rows nobody could use, and people who vanish."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from syncd.core.guard import Shape
from syncd.core.lifecycle import State
from syncd.core.model import Kind
from syncd.errors import EndpointError
from syncd.store import KnownKey, Store
from tests.fixtures.engine_world import FIRST_DAY, MAIN, SIS, World, digests, found, kinds, pupil, world


def missing(store: Store) -> list[KnownKey]:
    """Every key that is absent from its source."""
    return [key for keys in store.keys_of().values() for key in keys if key.missing_since is not None]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts."""
    with world(tmp_path) as made:
        made.begin()
        yield made


def narrowed(district: World, shape: Shape) -> None:
    sis = district.config.sources[SIS]
    district.reopen(replace(district.config, sources={SIS: replace(sis, shape=shape)}))


# --- a delivery told by its differences ------------------------------------------------------------------------------------


def test_of_a_changed_roster_only_who_may_differ_is_compared(district: World) -> None:
    """What the guards judge is the size of the whole roster all the same, and what is accepted is what is said (R2)."""
    district.engine.sync(MAIN)  # the file is known as it lies there, and read again only when it is another
    whole = district.engine.plan(MAIN).readings[SIS]
    district.students(pupil(1, family="Other"))
    planned, _ = district.engine.sync(MAIN)
    reading = planned.readings[SIS]
    assert (whole.fresh, reading.fresh, reading.whole) == (False, True, False)
    assert {key.key for key in reading.changed} == {"s1"}
    assert reading.persons == whole.persons
    assert kinds(district.day(kind="everything")) == []


def test_where_the_accepted_copy_is_gone_everybody_is_compared(district: World) -> None:
    """Nobody can say how a roster differs from one that cannot be read any more."""
    accepted = district.store.snapshots(SIS, 1)[0].spool
    district.students(pupil(1, family="Other"))
    district.engine.plan(MAIN)
    (district.config.spools / SIS / accepted / "head").write_bytes(b"damaged")
    planned, _ = district.engine.sync(MAIN)
    assert planned.readings[SIS].whole
    assert kinds(district.day(kind="everything")) == []


# --- R1, R2: not read is not gone ---------------------------------------------------------------------------------------


def test_a_failed_source_is_represented_by_its_last_accepted_roster(district: World) -> None:
    """R1: while the export is broken nobody leaves, however long it lasts, and the run says so."""
    before = district.everything()
    district.leave("s1", "s2")
    district.break_roster()
    for _ in range(20):
        planned = district.day()
        assert kinds(planned) == []
        assert any("its last accepted roster stands in for it" in why for why in found(planned, "source failed"))
    assert district.everything() == before


def test_what_time_brings_happens_while_a_source_is_broken(district: World) -> None:
    """R1: the last accepted roster goes on counting, so an exit date in it acts on its day."""
    district.students(pupil(1, exit=FIRST_DAY + timedelta(days=2)))
    district.day()
    district.break_roster()
    assert kinds(district.day()) == []
    assert Kind.DISABLE in kinds(district.day())
    assert not district.account("s1").enabled


def test_a_source_that_was_never_read_plans_nothing(tmp_path: Path) -> None:
    """R1: without a roster ever accepted there is nothing to represent a failed source by."""
    with world(tmp_path) as district:
        district.deliver()
        district.break_roster()
        with pytest.raises(EndpointError, match="not a complete zip file"):
            district.engine.plan(MAIN)
        assert district.memory.accounts == {}


def test_a_delivery_that_failed_midway_leaves_no_snapshot(district: World) -> None:
    """R1: what was not read to its end is no snapshot; the next whole delivery is compared with the last accepted one."""
    snapshots = district.store.snapshots(SIS)
    district.students(pupil(7))
    district.break_roster()
    district.day()
    assert district.store.snapshots(SIS) == snapshots
    district.deliver()
    assert kinds(district.day()).count(Kind.CREATE) == 1


def test_a_held_roster_does_not_become_history(district: World) -> None:
    """R2: a roster that shrank too much is held, and the next one is still judged against the last accepted one."""
    narrowed(district, Shape(floor=1, shrink_percent=5))
    snapshots, digests = district.store.snapshots(SIS), district.store.digests(SIS)
    district.leave("s1", "s2", "s3")
    for _ in range(3):
        district.clock.advance()
        planned = district.engine.plan(MAIN)
        assert any("3 of 9 persons are gone" in str(finding) for finding in planned.verdict.findings)
        assert district.engine.apply(planned) is None
        assert district.engine.sync(MAIN)[1] is None
    assert district.store.snapshots(SIS) == snapshots
    assert district.store.digests(SIS) == digests
    assert missing(district.store) == []


def test_a_plan_that_is_never_applied_changes_no_history(district: World) -> None:
    """R2: planning alone leaves every snapshot, digest, state and finding where it was."""
    store = district.store
    district.students(pupil(1, family="Other"), pupil(8))
    district.leave("s2")
    known = store.everyone()  # a plan mints ids for newcomers, so that it can speak of them

    def remembered() -> tuple[object, ...]:
        return store.snapshots(SIS), store.digests(SIS), store.persons(known), store.findings(), missing(store), store.dirty()

    before = remembered()
    for _ in range(3):
        district.clock.advance()
        district.engine.plan(MAIN)
    assert remembered() == before


def test_an_unchanged_file_is_no_new_evidence(district: World) -> None:
    """R2: the same content delivered again adds no snapshot and no absence."""
    district.leave("s1")
    district.day()
    snapshots = district.store.snapshots(SIS)
    for _ in range(3):
        district.deliver()
        district.day()
    assert district.store.snapshots(SIS) == snapshots
    assert [key.absences for key in missing(district.store)] == [1]


# --- R3: what cannot be read shields -------------------------------------------------------------------------------------


def test_a_reject_shields_its_owner(district: World) -> None:
    """R3: a person whose row cannot be used stays exactly as they are; the others go on."""
    ada = district.account("s1")
    district.students(pupil(1, grade="seven", family="Other"), pupil(2, family="Changed"))
    planned = district.day()
    assert district.account("s1") == ada
    assert district.account("s2").attributes["sn"] == ("Changed",)
    assert any("'seven' is not a grade" in why for why in found(planned, "reject"))
    for _ in range(30):
        district.day()
    assert district.account("s1") == ada


def test_a_reject_shields_from_an_exit_that_is_due(district: World) -> None:
    """R3: even a date that has come waits until the row can be read again."""
    last = FIRST_DAY + timedelta(days=2)
    district.students(pupil(1, exit=last))
    district.day()
    district.students(pupil(1, exit=last, grade="seven"))
    for _ in range(5):
        district.day()
    assert district.account("s1").enabled
    district.students(pupil(1, exit=last))
    district.day()
    assert not district.account("s1").enabled


def test_what_a_shielded_person_missed_is_made_good(district: World) -> None:
    """R3, R5: a campus renumbered while a row could not be read reaches its owner when the row is repaired to what it was."""
    district.students(pupil(1, grade="seven"))
    district.day()
    district.roster = district.roster.with_schools(replace(district.roster.schools["o2"], code="013"))
    district.deliver()
    district.day()
    assert district.account("s1").attributes["departmentNumber"] == ("012",)
    district.students(pupil(1))
    district.day()
    assert district.account("s1").attributes["departmentNumber"] == ("013",)


def test_rejects_are_told_for_as_long_as_their_roster_counts(district: World) -> None:
    """R1, R3: neither an unchanged file nor a failed source makes `syncd rejects` forget the rows of the last accepted one."""
    district.students(pupil(1, grade="seven"))
    district.day()
    rejects = district.store.findings("reject")
    assert len(rejects) == 1
    whole = (district.drop / "oneroster.zip").read_bytes()
    district.break_roster()
    district.day()
    assert district.store.findings("reject") == rejects
    (district.drop / "oneroster.zip").write_bytes(whole)
    district.day()
    assert district.store.findings("reject") == rejects


def test_a_reject_without_a_key_stops_every_leaver(district: World) -> None:
    """R3: a row that could be anybody's means that nobody counts as missing in that roster."""
    district.roster = district.roster.without_students(("s1", "s2"))
    nameless = replace(pupil(3), key="")
    district.students(nameless)
    for _ in range(20):
        planned = district.day()
        assert Kind.DISABLE not in kinds(planned)
    assert missing(district.store) == []
    assert district.account("s1").enabled
    assert district.account("s2").enabled


def test_leaving_begins_when_the_roster_can_be_read_again(district: World) -> None:
    """R3: what a keyless reject held back is noticed with the first roster without one."""
    district.students(replace(pupil(3), key=""))
    district.roster = district.roster.without_students(("s1",))
    district.deliver()
    district.day()
    district.roster = district.roster.without_students(("",))
    district.deliver()
    district.day()
    assert [(key.key, key.absences) for key in missing(district.store)] == [("s1", 1)]


# --- R13, R36: vanishing and leaving --------------------------------------------------------------------------------------


def deliver_anew(district: World) -> None:
    """A roster that is distinct from the last, in something nobody's account shows."""
    lesson = district.roster.lessons["k1"]
    district.roster = district.roster.with_lessons(replace(lesson, title=f"Algebra on {district.clock.today}"))
    district.deliver()


def test_grace_needs_the_days_and_three_distinct_rosters(district: World) -> None:
    """R13: ten days are not enough with two rosters, three rosters are not enough in nine days."""
    district.leave("s1")
    district.day()  # the first roster without them, on day 1
    deliver_anew(district)
    district.day()  # the second, on day 2
    district.day(7)  # day 9, no new roster
    deliver_anew(district)
    district.day()  # the third, on day 10: nine days missing
    assert district.account("s1").enabled
    assert district.store.persons()[district.person("s1")].state == State.GRACE
    district.day()  # day 11: ten days missing, in three rosters
    assert not district.account("s1").enabled


def test_days_without_rosters_end_no_grace(district: World) -> None:
    """R13: an unchanged file only ages, so a month of it takes nobody's access."""
    district.leave("s1")
    for _ in range(30):
        district.deliver()
        district.day()
    assert district.account("s1").enabled
    assert [key.absences for key in missing(district.store)] == [1]


def test_many_rosters_in_a_few_days_end_no_grace(district: World) -> None:
    """R13: evidence alone is not enough either."""
    district.leave("s1")
    for _ in range(9):
        deliver_anew(district)
        district.day()
    assert district.account("s1").enabled


def test_grace_stops_while_the_source_is_stale(district: World) -> None:
    """R13: three rosters at once and then silence; the days of the silence do not count."""
    district.leave("s1")
    for _ in range(3):
        deliver_anew(district)
        district.day()  # absent three times by day 3
    for _ in range(25):
        district.day()
    assert district.account("s1").enabled, "stale after three days without a roster: only six days of evidence"
    deliver_anew(district)
    district.day()
    assert not district.account("s1").enabled


def test_a_run_for_one_person_counts_no_absence(district: World) -> None:
    """R2, R13: it accepts no roster, so looking at somebody often ends nobody's grace, and who comes back is back."""
    ada = district.roster.students["s1"]
    district.leave("s1")
    for _ in range(5):
        district.engine.sync(MAIN, person="s1")
    assert missing(district.store) == []
    district.students(ada)
    district.roster = district.roster.with_schools(replace(district.roster.schools["o2"], code="013"))
    district.deliver()
    assert Kind.MOVE in kinds(district.day(), district.person("s1"))


def test_a_run_for_one_person_leaves_the_word_to_the_whole_run(district: World) -> None:
    """R2, R5: done at once from a roster that is not accepted, a person is looked at again by the next run, whatever it reads."""
    district.students(pupil(1, grade="08"))
    district.engine.sync(MAIN, person="s1")
    assert district.account("s1").container == "ou=grade 08,ou=012,ou=students"
    district.break_roster()
    assert digests(district.plan()) == digests(district.plan("everything")) != []
    district.deliver()
    assert kinds(district.day()) == []
    assert district.store.dirty() == set()


def test_whoever_comes_back_in_grace_was_never_gone(district: World) -> None:
    """R13: the count of days and rosters begins anew with the next vanishing."""
    before = district.account("s1")
    ada = district.roster.students["s1"]
    district.leave("s1")
    for _ in range(8):
        deliver_anew(district)
        district.day()
    district.students(ada)
    assert kinds(district.day(), district.person("s1")) == []
    assert district.account("s1") == before
    district.leave("s1")
    for _ in range(5):
        deliver_anew(district)
        district.day()
    assert district.account("s1") == before


def test_an_explicit_exit_acts_on_its_date(district: World) -> None:
    """R36: the last day is a day with access; the day after is not; grace is for vanishing."""
    district.students(pupil(1, exit=date(2026, 9, 4)))
    for expected in (True, True, True, False):  # 2, 3, 4, 5 September
        district.day()
        assert district.account("s1").enabled is expected


def test_whoever_left_is_parked_when_that_is_due(district: World) -> None:
    """R36: the stages of leaving follow each other on their days, without any further roster."""
    district.students(pupil(1, exit=date(2026, 9, 1)))
    district.day()
    assert district.account("s1").container != "ou=disabled"
    district.day(29)
    assert district.account("s1").container != "ou=disabled"
    district.day()
    assert district.account("s1").container == "ou=disabled"
    assert kinds(district.day()) == []


def test_a_returner_gets_the_same_account_back(district: World) -> None:
    """R36: leaving, being parked and returning is one account, with a new first password after a long absence."""
    native, password = district.native("s1"), district.memory.passwords[district.native("s1")]
    before = district.account("s1")
    district.students(pupil(1, exit=date(2026, 9, 1)))
    district.day()
    district.day(40)
    assert district.account("s1").container == "ou=disabled"
    district.students(pupil(1))
    planned = district.day()
    assert Kind.CREATE not in kinds(planned)
    assert district.native("s1") == native
    assert district.account("s1") == before
    assert district.memory.passwords[native] != password
    assert kinds(district.day()) == []
