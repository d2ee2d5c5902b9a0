"""What becomes of a run whose directory dies, hangs or is slow in the middle of it: real processes, and a right end (R17, R29).

One district lives through all of it. Each test leaves it as the naive oracle says, and begins with a roster of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from random import Random

import pytest

from syncd.cli.exits import Exit
from syncd.demo.slapd import Binaries, PrivateSlapd
from tests.hunted import PATIENCE, Hunted, Process, Size, hunted, looking_on
from tests.properties.machine_life import Night
from tests.properties.machine_world import InSlapd
from tests.wire import Wire

SIZE = Size(people=30, newcomers=3, edits=6)
BASE = "dc=district,dc=test"
RATE, TIMEOUT = 120, 1  # changes a second, so that a run lasts about one; seconds to wait for an answer


class BehindAWire(InSlapd):
    """The whole tree of a slapd, which syncd reaches by a wire and `ldapsearch` does not."""

    def __init__(self, server: PrivateSlapd, wire: Wire) -> None:
        super().__init__(server, BASE)
        self.wire = wire

    def settings(self) -> str:
        """The lines of its target, with little patience and a rate that makes a run last."""
        told = super().settings().replace(self._server.secure_url, f"ldaps://127.0.0.1:{self.wire.port}")
        return f"{told}    receive_timeout: {TIMEOUT}\n    connect_timeout: {TIMEOUT}\n    window: 5\n    rate: {RATE}\n"


@dataclass
class Troubled:
    """A district to which things happen."""

    district: Hunted
    server: PrivateSlapd
    wire: Wire
    rosters: count[int]

    @contextmanager
    def a_run(self) -> Iterator[Process]:
        """A run under a new roster, with much to do, that has just begun to write."""
        self.district.town.changes(Random(next(self.rosters)), next(self.rosters))
        self.district.prepare(Night(days=0))
        with self.district.processes.start("--log", "info", "sync") as process:
            for _ in process.waiting():
                if process.said().count("change.applied") > 5:
                    break
            yield process

    def heals(self) -> None:
        """One run, and the directory is what the oracle says; nothing is in doubt and no run is called running."""
        self.district.through("sync")
        self.district.is_right()
        with looking_on(self.district.config) as onlooker:
            assert not onlooker.in_doubt()
            assert not onlooker.running()


@pytest.fixture(scope="module")
def troubled(slapd_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Troubled]:
    """A district whose first roster is in its directory."""
    folder = tmp_path_factory.mktemp("troubled")
    with PrivateSlapd(folder / "slapd", slapd_binaries, nosync=True) as server, Wire(server.ports[1]) as wire:
        with hunted(folder / "district", BehindAWire(server, wire), server, SIZE) as district:
            district.prepare(Night(days=0), first=True)
            district.through("apply", district.plan(), "--first")
            district.is_right()
            yield Troubled(district, server, wire, count())


def test_a_directory_killed_in_a_run_and_back_at_once_leaves_nothing_undone(troubled: Troubled) -> None:
    """Killed and restarted: what was unanswered is looked up in the same run or the next, and nothing is done twice."""
    with troubled.a_run() as process:
        troubled.server.kill()
        troubled.server.start()
        assert process.ended(PATIENCE) in (Exit.DONE, Exit.PARTLY), process.said()
    troubled.heals()


def test_a_directory_killed_in_a_run_is_told_with_what_to_do(troubled: Troubled) -> None:
    """The run ends by itself, names the target, the reason and the remedy, and the next one completes it."""
    with troubled.a_run() as process:
        troubled.server.kill()
        try:
            assert process.ended(PATIENCE) == Exit.PARTLY, process.said()
            assert re.search(
                r"ldap \(ldaps://\S+\): connect: .*; is the server up, and are host and port in urls right", process.said()
            )
            with troubled.district.processes.start("resume") as asked:
                ended = asked.ended(PATIENCE)
                with looking_on(troubled.district.config) as onlooker:
                    assert ended == (Exit.UNAVAILABLE if onlooker.in_doubt() else Exit.DONE), asked.said()
            with troubled.district.processes.start("sync") as again:
                assert again.ended(PATIENCE) in (Exit.PARTLY, Exit.UNAVAILABLE), again.said()
                assert "is the server up" in again.said()
        finally:
            troubled.server.start()
    troubled.heals()


def test_a_directory_that_hangs_is_given_up_and_what_it_does_late_is_not_done_again(troubled: Troubled) -> None:
    """Suspended for longer than the time-out, it carries out what lay in its buffers when it goes on: known, not repeated."""
    with troubled.a_run() as process:
        troubled.server.suspend()
        try:
            assert process.ended(PATIENCE) == Exit.PARTLY, process.said()
            assert "timed out" in process.said()
        finally:
            troubled.server.resume()
    troubled.heals()


def test_a_slow_directory_is_waited_for(troubled: Troubled) -> None:
    """Every answer late, but none later than the time-out: the run takes its time and is complete."""
    troubled.wire.delay = 0.02
    before = troubled.wire.chunks
    try:
        with troubled.a_run() as process:
            assert process.ended(PATIENCE) == Exit.DONE, process.said()
    finally:
        troubled.wire.delay = 0.0
    assert troubled.wire.chunks - before > 10, "nothing went by the wire"
    troubled.district.is_right()


def test_a_directory_that_becomes_too_slow_is_given_up_like_one_that_hangs(troubled: Troubled) -> None:
    """Answers that come after the time-out are nobody's: the run ends, and the next finds out what was done."""
    with troubled.a_run() as process:
        troubled.wire.delay = TIMEOUT + 0.5
        try:
            assert process.ended(PATIENCE) == Exit.PARTLY, process.said()
            assert "timed out" in process.said()
        finally:
            troubled.wire.delay = 0.0
    troubled.heals()
