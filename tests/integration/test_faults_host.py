"""What becomes of a daemon and of a run whose host fails them: no room, no file descriptors, a locked store, a clock that jumps.

One district, whose state lies on a small file system of its own, lives through all of it. Each test brings some new students; after
the trouble every one of them has an account, and nobody has two.
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from syncd.cli.exits import Exit, Nagios
from syncd.demo.district import District
from syncd.demo.slapd import Binaries, PrivateSlapd
from syncd.demo.tour import settle_in, write_roster
from tests.integration.test_daemon import Service, edit, numbers, of_today, open_wide, serving, syncd

MEGABYTES = 48
NEWCOMERS = 25


@dataclass
class Host:
    """A district on a host that can be made to fail."""

    folder: Path
    server: PrivateSlapd
    whole: District
    students: int = 0

    @property
    def state(self) -> Path:
        """Where its store and its spools lie."""
        return self.folder / "state"

    def grown(self) -> District:
        """The district with some students more."""
        self.students += NEWCOMERS
        keys = list(self.whole.roster.students)
        return replace(self.whole, roster=self.whole.roster.without_students(keys[self.students :]))

    def newcomers(self) -> None:
        """A new roster, with some students more."""
        write_roster(self.grown(), self.folder / "roster")

    def is_right(self) -> None:
        """Everybody of the roster has one account, and nothing is left to do."""
        assert syncd(self.folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE
        listed = numbers(self.server)
        assert len(listed) == len(set(listed)) == self.students + len(self.whole.roster.staff)

    @contextmanager
    def without_room(self) -> Iterator[None]:
        """While this lasts, not a byte more can be written below its state."""
        balloon = self.state / "balloon"
        with balloon.open("wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
        try:
            yield
        finally:
            balloon.unlink()


@pytest.fixture(scope="module")
def host(slapd_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A small district whose staff and first students have their accounts."""
    place = tmp_path_factory.mktemp("host")
    whole = of_today(260, 8)
    plain = whole.roster.without_students([key for keys in whole.planted.values() for key in keys])  # nobody disputed among them
    whole = replace(whole, roster=plain)
    with PrivateSlapd(place / "slapd", slapd_binaries, nosync=True) as server:
        one = Host(place / "d", server, whole)
        one.state.mkdir(parents=True)
        mounted = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=700", "tmpfs", str(one.state)]
        if subprocess.run(mounted, check=False).returncode:
            pytest.fail("a small file system cannot be mounted: run this test as root, or in a user and mount namespace")
        try:
            settle_in(one.folder, server, one.grown(), lambda _: None)
            edit(
                one.folder,
                "    # How much may change in 24 hours.",
                "    receive_timeout: 3\n    # How much may change in 24 hours.",
            )
            open_wide(one.folder)
            assert syncd(one.folder, "plan") == Exit.DONE
            assert syncd(one.folder, "apply", "r1", "--first") == Exit.DONE
            yield one
        finally:
            subprocess.run(["umount", "-l", str(one.state)], check=True)


def run_fails(service: Service) -> dict[str, object]:
    """What the daemon says of a run that it was asked for and that cannot be."""
    before = len(service.logged("run.failed"))
    service.run_now()
    assert len(service.logged("run.failed")) == before + 1
    return service.logged("run.failed")[-1]


def test_a_run_without_room_on_the_disk_says_so_and_the_next_does_it(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 69 or 74 with where and what to do; nothing half-written counts, and room is all that is needed."""
    host.newcomers()
    with host.without_room():
        capsys.readouterr()
        assert syncd(host.folder, "sync") in (Exit.UNAVAILABLE, Exit.IO)
        told = capsys.readouterr().err
        assert "the disk is full" in told or os.strerror(errno.ENOSPC) in told, told
        assert "Traceback" not in told
    assert syncd(host.folder, "sync") == Exit.DONE
    host.is_right()


def test_a_daemon_without_room_on_the_disk_lives_says_so_and_heals(host: Host) -> None:
    """The run fails with the store's name, `/health` is critical while it lasts, and the next run with room does everything."""
    host.newcomers()
    with serving(host.folder) as service:
        with host.without_room():
            failed = run_fails(service)
            assert "traceback" not in failed, failed
            assert failed["endpoint"] in ("store", "source sis")
            assert service.ask("/healthz")[0] == 200
            code, told = service.ask("/health")
            assert (code, "disk" in told) == (503, True), told
            assert "disk" in service.status
            assert syncd(host.folder, "status") == Nagios.CRITICAL  # which only the daemon knows: the store has no room for it
        service.run_now()
        assert not [text for text in service.reasons() if not text.startswith("backup: ")]
        assert service.end()[0] == 0
    host.is_right()


def test_a_daemon_out_of_file_descriptors_lives_says_so_and_heals(host: Host) -> None:
    """Nothing can be opened: the run fails and says why; with descriptors again, the next does everything."""
    host.newcomers()
    with serving(host.folder) as service:
        pid = service.process.pid
        assert service.ask("/health")[0] == 200  # what answers is up, and has opened what it needs
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (len([*Path(f"/proc/{pid}/fd").iterdir()]), before[1]))
        failed = run_fails(service)
        assert "traceback" not in failed, failed
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        service.run_now()
        assert not [text for text in service.reasons() if not text.startswith("backup: ")]
        assert service.end()[0] == 0
    host.is_right()
