"""How fast Google may be asked: one set of token buckets for each project and user, shared by everything in this process.

Google counts queries per minute for one user of one project, new accounts per second for one domain and changes of units per second
for one customer (its limits page, read 2026-04-23). Time comes from a `Timing`, so that a demonstration can let it run faster.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from pyrate_limiter import InMemoryBucket, Rate, RateItem


@dataclass(frozen=True, slots=True)
class Timing:
    """A clock that only goes forward, in seconds, and how to wait on it."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Cost(StrEnum):
    """What a request is counted as, besides being a query."""

    QUERY = "query"
    CREATION = "creation"
    UNIT = "unit"


class _Bucket:
    """At most so many in a span, whoever asks; whoever comes first is served first."""

    def __init__(self, limit: int, rate: Rate) -> None:
        self.limit = limit
        self._bucket = InMemoryBucket([rate])
        self._lock = threading.Lock()
        self._last = 0

    def take(self, timing: Timing) -> None:
        """Wait until one more is allowed. The moment is reserved first, so that everybody sleeps and nobody waits for a sleeper."""
        with self._lock:
            now = int(timing.now() * 1000)
            self._bucket.leak(now)
            moment = max(now, self._last)
            while not self._bucket.put(item := RateItem("", moment)):
                wait = self._bucket.waiting(item)
                moment += max(wait if isinstance(wait, int) else 1, 1)  # only buckets of other kinds answer later
            self._last = moment
        if moment > now:
            timing.sleep((moment - now) / 1000)

    def lower(self, limit: int, rate: Rate) -> None:
        """From now on at most so many; what was taken before counts."""
        with self._lock:
            self.limit, self._bucket.rates = limit, [rate]


def _rate(cost: Cost, limit: int) -> Rate:
    """Queries as they come, in a minute; what is counted by the second evenly, so that no window of a second sees one too many.

    Both with a hair to spare, for a request takes its time to arrive, and another less. It is the library's own: its window holds
    both of its ends, so that what is let through once in 100 ms comes every 101. (A second hair on top made that 102, and of ten
    accounts a second 9.8, before a single one was refused.)
    """
    return Rate(limit, 60_000) if cost is Cost.QUERY else Rate(1, -(-1000 // limit))


@dataclass(slots=True)
class Quota:
    """What one user of one project may ask of Google. Safe to use from many threads."""

    timing: Timing
    _buckets: dict[Cost, _Bucket]
    _slots: threading.BoundedSemaphore
    _pause: float = 0.0  # nothing is asked before this moment
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def asking(self, cost: Cost) -> Iterator[None]:
        """Waits until one more request may be sent, and holds one of the slots while it is under way."""
        while True:
            if cost is not Cost.QUERY:
                self._buckets[cost].take(self.timing)
            self._buckets[Cost.QUERY].take(self.timing)
            if (wait := self._pause - self.timing.now()) <= 0:
                break
            self.timing.sleep(wait)  # and then take anew, for else everybody who waited would ask at once
        with self._slots:
            yield

    def pause(self, seconds: float) -> None:
        """Google said that this was too much: nobody asks anything for so long."""
        with self._lock:
            self._pause = max(self._pause, self.timing.now() + seconds)

    def at_most(self, per_minute: int, per_second: int) -> None:
        """Where two targets of one project are configured differently, the lower numbers count."""
        with self._lock:
            for cost, limit in ((Cost.QUERY, per_minute), (Cost.CREATION, per_second)):
                if limit < self._buckets[cost].limit:
                    self._buckets[cost].lower(limit, _rate(cost, limit))


_known: dict[tuple[str, str], Quota] = {}
_known_lock = threading.Lock()
_timing = Timing()


def quota_of(project: str, user: str, per_minute: int, per_second: int, connections: int) -> Quota:
    """The quota of one user of one project: always the same in one process."""
    with _known_lock:
        key = (project, user.lower())
        if key not in _known:
            limits = {Cost.QUERY: per_minute, Cost.CREATION: per_second, Cost.UNIT: 1}
            buckets = {cost: _Bucket(limit, _rate(cost, limit)) for cost, limit in limits.items()}
            _known[key] = Quota(_timing, buckets, threading.BoundedSemaphore(connections))
        _known[key].at_most(per_minute, per_second)
        return _known[key]


@contextmanager
def time_runs_by(timing: Timing) -> Iterator[None]:
    """For demonstrations and tests: quotas and waits of targets that are built meanwhile go by another clock."""
    global _timing  # noqa: PLW0603 — the one process-wide setting; everything that is built asks for it
    with _known_lock:
        before, _timing = _timing, timing
        kept = dict(_known)
        _known.clear()
    try:
        yield
    finally:
        with _known_lock:
            _timing = before
            _known.clear()
            _known.update(kept)
