"""Bad hosts: disks, clocks, copies. What happens to the machine must not happen to the accounts."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from bench.disasters import Disaster
from bench.exports import Export
from bench.ground import HIT, Ground
from bench.truth import Seen
from syncd.assembly import migrate_store, opened_store
from syncd.engine import RECONCILE
from syncd.engine.lock import exclusive


class _Host(Disaster):
    group = "host"


@contextmanager
def _file_size(most: int) -> Iterator[None]:
    """No file of this process grows beyond that many bytes: what a full disk says to whoever writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class DiskFull(_Host):
    """The disk is full in the middle of the night: what cannot be recorded is not done, and nothing of it is lost."""

    said, refused = r"disk", True

    def strike(self, ground: Ground) -> None:
        """Nothing to do yet: it fills while the run goes on."""

    def act(self, ground: Ground) -> None:
        """A run that cannot write; there is room again afterwards."""
        assert ground.running  # noqa: S101 — opened while there was room
        with _file_size(16_384):
            ground.sync(RECONCILE)

    def benign(self, ground: Ground) -> None:
        """The disk is nearly full."""

    def act_benign(self, ground: Ground) -> None:
        """A run with just enough room."""
        assert ground.running  # noqa: S101 — as above
        with _file_size(1 << 32):
            ground.sync(RECONCILE)


class ClockAhead(_Host):
    """The clock of a restored machine is a year ahead: grace would have ended for everybody, and every date lies in the past."""

    said, whole = r"clock|time", True

    def strike(self, ground: Ground) -> None:
        """Children who leave in the spring, and a clock that says they have."""
        _leaving(ground, 30, days=150)
        ground.sync()

    def act(self, ground: Ground) -> None:
        """Two runs, a year from now; what is right is what is right today."""
        today = ground.clock.now
        ground.clock.now += timedelta(days=365)
        ground.sync(RECONCILE)
        ground.sync()
        ground.clock.now = today

    def benign(self, ground: Ground) -> None:
        """A long weekend passes."""
        ground.sync()
        ground.clock.now += timedelta(days=4)
        ground.sync()
        ground.live()


class ClockBack(_Host):
    """The clock's battery is dead and it is last year: whoever began since then has not begun yet."""

    said, whole = r"clock|time|later", True

    def strike(self, ground: Ground) -> None:
        """An ordinary run first."""
        ground.sync()

    def act(self, ground: Ground) -> None:
        """Two runs, a year ago."""
        today = ground.clock.now
        ground.clock.now -= timedelta(days=365)
        ground.sync(RECONCILE)
        ground.sync()
        ground.clock.now = today

    def benign(self, ground: Ground) -> None:
        """The clock is set back by a second, as time servers do."""
        ground.sync()
        ground.clock.now -= timedelta(seconds=1)
        ground.sync()
        ground.live()


class WeekOldBackup(_Host):
    """The machine is lost and the backup is a week old: of what happened since then the store knows nothing, the directory does."""

    said, whole = r"first|restore|reconcile|held|wait", True

    def strike(self, ground: Ground) -> None:
        """A backup, a week of newcomers and changes, and a new machine with that backup."""
        file = ground.folder / "backup"
        ground.running.store.backup(file)
        for number in range(3):
            _newcomers(ground, 2, number)
            ground.sync()
            ground.live(days=2)
        ground.close()
        shutil.rmtree(ground.folder / "state")
        config = ground.config
        migrate_store(config)
        with opened_store(config) as store:
            store.restore(file)

    def benign(self, ground: Ground) -> None:
        """A backup is made, and read by nobody."""
        ground.running.store.backup(ground.folder / "backup")

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """Nobody has two accounts."""
        del before, ground
        numbers = [one.number for one in after.values()]
        if len(numbers) != len(set(numbers)):
            yield "somebody has two accounts"


class TimeZoneChanged(_Host):
    """The image of the new machine stands at another zone: a day begins earlier, and last days end before they are over."""

    said = r"(campus 002|target ldap).*disabled"

    def strike(self, ground: Ground) -> None:
        """A third of a campus has its last day today, and today is over on the other side of the world."""
        _leaving(ground, len(list(ground.good.students_at(HIT))) // 3, days=0)
        ground.edit("config/syncd.yaml", "America/Chicago", "Pacific/Kiritimati")
        ground.clock.now += timedelta(hours=6)

    def benign(self, ground: Ground) -> None:
        """The zone next door."""
        ground.edit("config/syncd.yaml", "America/Chicago", "America/Denver")


class TwoDaemons(_Host):
    """Two machines were started with one store: two runs at once would each make what the other is making."""

    said, refused = r"run", True

    def strike(self, ground: Ground) -> None:
        """Nothing yet."""

    def act(self, ground: Ground) -> None:
        """A run while another one goes on."""
        running = ground.running
        with exclusive(running.config.state, running.store, ground.clock):
            ground.sync()

    def benign(self, ground: Ground) -> None:
        """The other run has ended."""
        running = ground.running
        with exclusive(running.config.state, running.store, ground.clock):
            pass


class StoreCopied(_Host):
    """A machine is cloned with its state and both run for some days: the clone's store knows nothing of what the other one did."""

    said = ""
    quiet = True
    kind = RECONCILE

    def strike(self, ground: Ground) -> None:
        """The clone stands still while the original makes accounts; then the clone runs."""
        ground.close()
        state = ground.folder / "state"
        shutil.copytree(state, ground.folder / "clone")
        _newcomers(ground, 2, 0)
        ground.sync()
        ground.close()
        shutil.rmtree(state)
        shutil.move(ground.folder / "clone", state)
        ground.live()

    def benign(self, ground: Ground) -> None:
        """The clone has never run."""
        ground.close()
        shutil.copytree(ground.folder / "state", ground.folder / "clone")

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """Nobody has two accounts."""
        del ground
        if len(after) != len(before):
            yield f"there are {len(after)} accounts instead of {len(before)}"


def _leaving(ground: Ground, number: int, days: int) -> None:
    """So many children of the campus have a last day, so many days from now: the roster is right."""
    last = (ground.clock.now.date() + timedelta(days=days)).isoformat()
    for key in list(ground.good.students_at(HIT))[:number]:
        ground.good["users"].put(key, "metadata.exitDate", last)
    ground.deliver(ground.good)


def _newcomers(ground: Ground, number: int, batch: int) -> None:
    """So many children come to the campus."""
    pupils = [one for one in ground.district.roster.students.values() if one.schools == (HIT,)][:number]
    fresh = [
        replace(
            one,
            key=f"new-{batch}-{n}",
            number=f"88{batch}{n:03}",
            given=f"Newcomer{'abc'[batch]}{'abcdef'[n]}",
            birth=one.birth - timedelta(days=77 + batch * 7 + n),
            state_id=f"77{batch}{n}",
            start=ground.clock.now.date(),
        )
        for n, one in enumerate(pupils)
    ]
    ground.district = replace(ground.district, roster=ground.district.roster.with_students(*fresh))
    ground.good = Export.of(ground.district)
    ground.deliver(ground.good)
