"""Google's limits, counted as strictly as they can be read: never more than so many in any window of that length.

What was refused is not counted.
"""

from __future__ import annotations

from collections import defaultdict, deque

from tests.doubles.google.quirks import Quirks
from tests.doubles.google.refusals import quota_exceeded, rate, user_rate

_HAIR = 1e-6
"""Ten steps of a tenth are not quite one in binary: a client that keeps the limit to the letter is not refused for that."""


class Window:
    """Lets at most `limit` through in any span of `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._passed: deque[float] = deque()

    def admits(self, limit: int | None, now: float, cost: int = 1) -> bool:
        """Whether one more fits; if so it is counted."""
        if limit is None:
            return True
        passed = self._passed
        while passed and passed[0] <= now - self._seconds + _HAIR:
            passed.popleft()
        if len(passed) + cost > limit:
            return False
        passed.extend([now] * cost)
        return True


class Quotas:
    """The windows of one customer."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._queries: defaultdict[tuple[str, str], Window] = defaultdict(lambda: Window(60))
        self._creations = Window(1)
        self._units = Window(1)
        self.under_way = 0

    def query(self, project: str, actor: str, now: float, cost: int = 1) -> None:
        """Count a query, or refuse it."""
        quirks = self._quirks
        if now < quirks.closed_until:
            raise quirks.named(quirks.closed_reason)
        if quirks.concurrency is not None and self.under_way > quirks.concurrency:
            raise rate(quirks.retry_after)
        if not self._queries[project, actor].admits(quirks.queries_per_minute, now, cost):
            raise user_rate()

    def creation(self, method: str, now: float) -> None:
        """Count a creation, or refuse it."""
        if method == "directory.users.insert" and not self._creations.admits(self._quirks.creations_per_second, now):
            raise quota_exceeded()
        if method in _UNITS and not self._units.admits(self._quirks.units_per_second, now):
            raise quota_exceeded()


_UNITS = frozenset(("directory.orgunits.insert", "directory.orgunits.update", "directory.orgunits.patch"))
"""Create *and* update are limited to one per second."""
