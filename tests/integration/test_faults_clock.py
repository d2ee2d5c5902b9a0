"""A clock that is set back: what was told last still counts, rights are kept, and no schedule waits for the clock to catch up."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.assembly import opened_store
from syncd.core.health import Freshness, Kind
from syncd.demo.district import District
from syncd.demo.tour import settle_in
from syncd.engine.lock import exclusive
from syncd.settings import load
from syncd.store import Approval, Store
from tests.integration.test_daemon import edit

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
BACK = [timedelta(hours=1), timedelta(days=1)]


def known(store: Store) -> Freshness:
    """What is known of the one target."""
    (found,) = store.wellbeing([], {}).freshness
    return found


@pytest.mark.parametrize("back", BACK)
def test_a_failure_after_the_clock_went_back_is_seen_and_so_is_its_end(store: Store, back: timedelta) -> None:
    """What is told now is the newest there is, whatever time was noted before it."""
    store.set_freshness([Freshness(Kind.TARGET, "ldap", NOON)])
    store.set_freshness([Freshness(Kind.TARGET, "ldap", failed_at=NOON - back, why="down")])
    assert known(store).failing
    store.set_freshness([Freshness(Kind.TARGET, "ldap", failed_at=NOON, why="down")])
    store.set_freshness([Freshness(Kind.TARGET, "ldap", NOON - back)])
    assert not known(store).failing


@pytest.mark.parametrize("back", BACK)
def test_a_right_is_kept_and_given_back_when_the_clock_goes_back(store: Store, tmp_path: Path, back: timedelta) -> None:
    """Its own holder renews it, and whoever comes next on this host has it at once."""
    now = [NOON]
    with exclusive(tmp_path, store, lambda: now[0]) as lease:
        now[0] -= back
        lease.renew()
    with exclusive(tmp_path, store, lambda: now[0]):
        pass


SET_BACK = """
import json, sys, threading, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
import apscheduler.schedulers.base
import syncd.daemon
from syncd import telemetry
back = timedelta(0)
class Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.now(tz) - back
apscheduler.schedulers.base.datetime = Clock
syncd.daemon.TICK = 0.1
telemetry.configure()
daemon = syncd.daemon.Daemon(Path(sys.argv[1]), clock=lambda: Clock.now(UTC))
def tell():
    jobs = {job.id: job.next_run_time for job in daemon._scheduler.get_jobs()}
    print(json.dumps({"now": str(Clock.now(UTC)), "next": str(jobs["main delta"])}), flush=True)
def set_back():
    global back
    sys.stdin.readline()
    tell()
    back = timedelta(seconds=float(sys.argv[2]))
    time.sleep(2)
    tell()
threading.Thread(target=set_back, daemon=True).start()
daemon.run()
"""
"""A daemon whose clock, and whose scheduler's clock, is set back on demand; tells when it would run next, before and after."""


@pytest.mark.parametrize("back", BACK)
def test_a_daemon_does_not_wait_for_a_clock_that_was_set_back(tmp_path: Path, back: timedelta) -> None:
    """The times of its schedules are counted anew from what the clock says now; else nothing ran for as long as it was set back."""
    start = District.generate(1, students=20, staff=4)
    settle_in(tmp_path / "d", None, start, lambda _: None)
    edit(tmp_path / "d", 'listen: "127.0.0.1:8470"', 'listen: ""')
    now = datetime.now(UTC)
    with opened_store(load(tmp_path / "d")) as store:
        run = store.begin_run("main", "delta", "timer", now)
        store.decisions.approve(Approval(run, now - 2 * back, now, "ana (uid 1)", "seen"), ["a change"])
    command = [sys.executable, "-c", SET_BACK, str(tmp_path / "d"), str(back.total_seconds())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        while "daemon.ready" not in (line := process.stderr.readline()):
            assert line, "the daemon has ended"
        process.stdin.write("\n")
        process.stdin.flush()
        told = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.terminate()
        said = process.stderr.read()
    with opened_store(load(tmp_path / "d")) as store:  # what had run out has run out
        assert store.decisions.approved(["a change"], now - back) == set()
    for one in told:
        wait = datetime.fromisoformat(one["next"]) - datetime.fromisoformat(one["now"])
        assert timedelta(0) < wait <= timedelta(minutes=15), one
    assert "clock.back" in said
