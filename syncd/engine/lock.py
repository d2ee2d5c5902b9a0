"""One run at a time on one store (R19): a file lock on this host, a lease in the store across hosts.

The kernel drops the file lock when its process dies, however it dies; a lease left behind by this host is therefore taken over
at once, one of another host only when it has expired.
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from syncd.errors import EndpointError
from syncd.store import Store

LEASE = "run"
SECONDS = 900


class Lease:
    """The right to run on one store, held until the end of a run and renewed as long as it writes."""

    def __init__(self, store: Store, holder: str, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._holder = holder
        self._clock = clock
        self._taken: datetime | None = None

    def renew(self) -> None:
        """Hold the lease for another while. Costs nothing while it is young. Raises EndpointError where another host took it."""
        now = self._clock()
        if self._taken is not None and timedelta(0) <= now - self._taken < timedelta(seconds=SECONDS / 10):
            return
        if not self._store.lease(LEASE, self._holder, now, SECONDS):
            raise EndpointError(
                "run", "another host is running on this store", f"wait; its lease ends within {SECONDS // 60} minutes"
            )
        self._taken = now

    def release(self) -> None:
        """Give it back."""
        self._store.release(LEASE, self._holder)


@contextmanager
def exclusive(state: Path, store: Store, clock: Callable[[], datetime]) -> Iterator[Lease]:
    """Hold the right to run. Raises EndpointError naming the other holder where somebody else has it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A host's name is not enough: another folder of state on it, with a lock file of its own, may share the store.
    lease = Lease(store, f"{socket.gethostname()}:{state.resolve()}", clock)
    descriptor = os.open(state / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(descriptor, 64, 0).decode(errors="replace").strip() or "another process"
            raise EndpointError(
                "run", f"{who} is running on this store", "wait for it to end; two runs at once are never right"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        lease.renew()
        try:
            yield lease
        finally:
            lease.release()
    finally:
        os.close(descriptor)
