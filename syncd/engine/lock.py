"""One run at a time on one store (R19), and one daemon: a file lock on this host, a lease in the store across hosts.

The kernel drops the file lock when its process dies, however it dies; a lease left behind by this host is therefore taken over
at once, one of another host only when it has expired.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from syncd.errors import EndpointError
from syncd.store import Store
from syncd.store.database import impatient

SECONDS = 900


class Busy(EndpointError):  # noqa: N818 — not a fault: the right is somebody else's for a while
    """Somebody else holds the right; they will let go of it."""


@dataclass(frozen=True, slots=True)
class Right:
    """Something that one process at a time may do, and what is said to another."""

    name: str
    doing: str
    remedy: str


RUN = Right("run", "is running on this store", "wait for it to end; two runs at once are never right")
DAEMON = Right("daemon", "is the daemon of this store", "there is one at a time: look with `systemctl status syncd`")


class Lease:
    """A right on one store, held until the end and renewed meanwhile."""

    def __init__(self, right: Right, store: Store, holder: str, clock: Callable[[], datetime]) -> None:
        self._right = right
        self._store = store
        self._holder = holder
        self._clock = clock
        self._taken: datetime | None = None

    def renew(self) -> None:
        """Hold the lease for another while. Costs nothing while it is young. Raises EndpointError where another host took it."""
        now = self._clock()
        if self._taken is not None and timedelta(0) <= now - self._taken < timedelta(seconds=SECONDS / 10):
            return
        if not self._store.leases.take(self._right.name, self._holder, now, SECONDS):
            raise Busy(
                self._right.name, f"another host {self._right.doing}", f"wait; its lease ends within {SECONDS // 60} minutes"
            )
        self._taken = now

    def release(self) -> None:
        """Give it back."""
        self._store.leases.give_back(self._right.name, self._holder)


def is_held(state: Path, store: Store, now: datetime, right: Right) -> bool:
    """Whether somebody holds the right: a process on this host, or another host by a lease that has not expired."""
    with suppress(FileNotFoundError), (state / f"{right.name}.lock").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    holder = store.leases.holder(right.name, now)
    return holder is not None and holder != _holder(state)  # what this host's dead process left behind is nobody's


def _holder(state: Path) -> str:
    """A host's name is not enough: another folder of state on it, with a lock file of its own, may share the store."""
    return f"{socket.gethostname()}:{state.resolve()}"


@contextmanager
def exclusive(state: Path, store: Store, clock: Callable[[], datetime], right: Right = RUN) -> Iterator[Lease]:
    """Hold the right. Raises Busy naming the other holder where somebody else has it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lease = Lease(right, store, _holder(state), clock)
    descriptor = os.open(state / f"{right.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "another process"
            raise Busy(right.name, f"{who} {right.doing}", right.remedy) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        lease.renew()
        try:
            yield lease
        finally:
            with suppress(EndpointError), impatient():  # else it runs out by itself, and this host takes it over at once
                lease.release()
    finally:
        os.close(descriptor)
