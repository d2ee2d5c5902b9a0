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
from datetime import datetime
from pathlib import Path

from syncd.errors import EndpointError
from syncd.store import Store

LEASE = "run"
SECONDS = 900


@contextmanager
def exclusive(state: Path, store: Store, clock: Callable[[], datetime]) -> Iterator[None]:
    """Hold the right to run. Raises EndpointError naming the other holder where somebody else has it."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = socket.gethostname()
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
        if not store.lease(LEASE, holder, clock(), SECONDS):
            raise EndpointError(
                "run", "another host is running on this store", f"wait; its lease ends within {SECONDS // 60} minutes"
            )
        try:
            yield
        finally:
            store.release(LEASE, holder)
    finally:
        os.close(descriptor)
