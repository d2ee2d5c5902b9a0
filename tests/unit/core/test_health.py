"""What is not well, said in words: judged by the age of good data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from syncd.core.calendar import Calendar, SchoolYear
from syncd.core.health import CROWD, Bounds, Facts, Freshness, Kind, Level, PipelineFacts, RunFacts, age, judge, level_of

NOW = datetime(2026, 9, 16, 15, 0, tzinfo=UTC)  # a Wednesday
TODAY = date(2026, 9, 16)
TERM = Calendar((SchoolYear(date(2026, 8, 12), date(2027, 5, 28)),))


def ago(**span: float) -> datetime:
    """That long before now."""
    return NOW - timedelta(**span)


def run(number: int, kind: str = "delta", status: str = "done", seconds: float = 2.0, held: tuple[str, ...] = ()) -> RunFacts:
    """A run that ended a quarter of an hour before the one after it."""
    ended = ago(minutes=15 * (1000 - number))
    return RunFacts(f"r{number}", kind, status, ended - timedelta(seconds=seconds), ended, held)


WELL = Facts(
    sources={"sis": Freshness(Kind.SOURCE, "sis", ago(minutes=15), ago(days=1), count=1350)},
    targets={"ldap": Freshness(Kind.TARGET, "ldap", ago(hours=12), count=1344)},
    campuses={"012": Freshness(Kind.CAMPUS, "012", ago(minutes=15), count=400)},
    pipelines={"main": PipelineFacts((run(999),), scheduled=True)},
    unchanged_after={"sis": 3},
    missing_canaries={"sis": 0},
    configuration=Freshness(Kind.CONFIGURATION, "", ago(days=3)),
    alive=True,
    backup=Freshness(Kind.BACKUP, "", ago(days=1)),
)


def reasons(facts: Facts, calendar: Calendar = TERM, now: datetime = NOW) -> list[tuple[int, str]]:
    """What is wrong with these facts."""
    return [(one.level, str(one)) for one in judge(facts, Bounds(), calendar, now, now.date())]


def source(**changed: object) -> Mapping[str, Freshness]:
    """The source, otherwise."""
    return {"sis": replace(WELL.sources["sis"], **changed)}  # type: ignore[arg-type]  # the callers spell the fields


def test_a_district_that_is_well_gives_no_reason() -> None:
    """Nothing is said where nothing is wrong."""
    assert reasons(WELL) == []
    assert level_of([]) is Level.OK


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        pytest.param(replace(WELL, alive=False), Level.CRITICAL, "daemon: does not run", id="dead"),
        pytest.param(
            replace(WELL, configuration=Freshness(Kind.CONFIGURATION, "", ago(days=3), failed_at=ago(hours=1), why="x:1:1: no")),
            Level.WARNING, "configuration: the edited files are refused, the last good ones are in use: x:1:1: no", id="bad file",
        ),
        pytest.param(
            replace(WELL, sources=source(good_at=ago(hours=27))),
            Level.CRITICAL, "source sis: was not for 27 hours read, which is longer than 26 hours", id="not read",
        ),
        pytest.param(
            replace(WELL, sources=source(failed_at=ago(minutes=1), why="no such file")),
            Level.WARNING, "source sis: no such file", id="fails once",
        ),
        pytest.param(
            replace(WELL, sources=source(good_at=ago(days=2), failed_at=ago(minutes=1), why="no such file")),
            Level.CRITICAL, "source sis: could not for 2 days be read: no such file", id="fails for days",
        ),
        pytest.param(
            replace(WELL, sources=source(changed_at=ago(days=7))),
            Level.CRITICAL, "source sis: the roster has not changed for 5 school days", id="unchanged in term",
        ),
        pytest.param(
            replace(WELL, missing_canaries={"sis": 1}),
            Level.CRITICAL, "source sis: 1 of its canaries are missing from the last roster", id="canary",
        ),
        pytest.param(
            replace(WELL, missing_required={"sis": 2}),
            Level.WARNING, "source sis: 2 of its required persons are not in the last roster", id="required",
        ),
        pytest.param(
            replace(WELL, targets={"ldap": replace(WELL.targets["ldap"], good_at=ago(days=3), failed_at=ago(hours=1), why="down")}),
            Level.CRITICAL, "target ldap: could not for 3 days be used: down", id="target dead",
        ),
        pytest.param(
            replace(WELL, breakers={"ldap": "open"}), Level.WARNING, "target ldap: is not called at the moment", id="breaker",
        ),
        pytest.param(
            replace(WELL, campuses={"012": replace(WELL.campuses["012"], good_at=ago(days=2))}),
            Level.CRITICAL, "campus 012: its last good data is 2 days old", id="campus",
        ),
        pytest.param(
            replace(WELL, pipelines={"main": PipelineFacts((run(999, status="held", held=("too many",)), run(998)))}),
            Level.CRITICAL, "pipeline main: run r999 is held: too many", id="held",
        ),
        pytest.param(
            replace(WELL, pipelines={"main": PipelineFacts((run(999, status="failed"), run(998)), scheduled=True)}),
            Level.WARNING, "pipeline main: run r999 failed", id="failed",
        ),
        pytest.param(
            replace(WELL, pipelines={"main": PipelineFacts((run(850),), scheduled=True)}),
            Level.CRITICAL, "pipeline main: no run has ended well for 37 hours", id="stopped silently",
        ),
        pytest.param(replace(WELL, pipelines={"main": PipelineFacts()}), Level.WARNING, "pipeline main: has never run", id="new"),
        pytest.param(replace(WELL, quarantined=3), Level.WARNING, "quarantine: 3 changes were refused", id="quarantine"),
        pytest.param(
            replace(WELL, rekeying={"sis": {"1a2b3c4d": 9000}}),
            Level.WARNING, "source sis: rotation pending: 9,000 of its facts are still under key 1a2b3c4d", id="rotation",
        ),
        pytest.param(replace(WELL, backup=None), Level.WARNING, "backup: there is none", id="no backup"),
        pytest.param(
            replace(WELL, backup=Freshness(Kind.BACKUP, "", ago(days=9))),
            Level.WARNING, "backup: the last one is 9 days old", id="old backup",
        ),
    ],
)  # fmt: skip
def test_each_trouble_is_told_with_its_level(facts: Facts, level: Level, said: str) -> None:
    """One thing wrong is one reason, in words that name it."""
    ((found, text),) = reasons(facts)
    assert found == level
    assert text.startswith(said)


def test_a_roster_that_does_not_change_in_summer_is_well() -> None:
    """Only school days count; the same silence in September is an export that stopped."""
    july = datetime(2027, 7, 20, 15, tzinfo=UTC)
    moved = timedelta(days=(july - NOW).days)
    later = replace(
        WELL,
        sources={"sis": Freshness(Kind.SOURCE, "sis", july, datetime(2027, 5, 28, tzinfo=UTC), count=1350)},
        targets={"ldap": Freshness(Kind.TARGET, "ldap", july)},
        campuses={},
        pipelines={"main": PipelineFacts((replace(run(999), ended=july),), scheduled=True)},
        backup=Freshness(Kind.BACKUP, "", july),
    )
    assert moved > timedelta(days=300)
    assert reasons(later, TERM, july) == []
    assert reasons(later, Calendar(), july)[0][1].startswith("source sis: the roster has not changed for 37 school days")


def whole(seconds: float, usual: float = 40.0, before: int = 5) -> Facts:
    """A run that read everything in so many seconds, after others that took the usual time."""
    runs = (run(999, "reconcile", seconds=seconds), *(run(998 - n, "reconcile", seconds=usual) for n in range(before)))
    return replace(WELL, pipelines={"main": PipelineFacts(runs, scheduled=True)})


def test_a_run_that_is_suspiciously_fast_has_not_read_what_it_should() -> None:
    """A twentieth of the usual time is too fast; where there is little to compare with, or it is always quick, nothing is said."""
    ((level, text),) = reasons(whole(1.5))
    assert (level, text) == (
        Level.CRITICAL, "pipeline main: run r999 took 1.5 s, suspiciously fast: such a run takes 40 s here",
    )  # fmt: skip
    assert reasons(whole(15.0)) == []
    assert reasons(whole(1.5, before=4)) == []
    assert reasons(whole(0.1, usual=5.0)) == []


def test_the_worst_comes_first() -> None:
    """Whoever reads one line reads the one that matters."""
    found = judge(replace(WELL, alive=False, backup=None, quarantined=1), Bounds(), TERM, NOW, TODAY)
    assert [one.level for one in found] == [Level.CRITICAL, Level.WARNING, Level.WARNING]
    assert level_of(found) is Level.CRITICAL


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 minute"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (172_800, "2 days"),
        (90_000, "25 hours"),
    ],
)
def test_spans_are_said_as_people_say_them(seconds: int, said: str) -> None:
    """In the largest unit of which there are two."""
    assert age(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize("kind", ["reject", "disputed", "deleted", "strayed", "disabled by others", "adopted", "quarantined"])
def test_a_crowd_of_findings_is_told_and_a_few_are_not(kind: str) -> None:
    """Some rejects are every week's; a whole campus of them is an export that went wrong."""
    assert reasons(replace(WELL, findings={kind: CROWD - 1})) == []
    ((level, said),) = reasons(replace(WELL, findings={kind: 1200}))
    assert level is Level.WARNING
    assert said.startswith("findings: 1,200 ")
