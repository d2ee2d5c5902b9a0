"""How fast Google may be asked: never faster than it counts, and not slower for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from syncd.targets.google_quota import Cost, Timing, quota_of, time_runs_by


@dataclass
class Slept:
    """A clock that somebody sleeping moves."""

    now: float = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("cost", "limit", "window", "share"), [(Cost.CREATION, 10, 1.0, 0.985), (Cost.QUERY, 2400, 60.0, 0.99)])
def test_a_quota_is_kept_in_every_window_and_used_nearly_whole(cost: Cost, limit: int, window: float, share: float) -> None:
    """Ten creations in no second more, and not 9.8 of them: one in fifty is refused besides."""
    clock = Slept()
    moments: list[float] = []
    with time_runs_by(Timing(lambda: clock.now, clock.sleep)):
        quota = quota_of("project", "admin@district.example", 1_000_000 if cost is Cost.CREATION else limit, 10, 20)
        for _ in range(2 * limit + 1 if cost is Cost.QUERY else 401):
            with quota.asking(cost):
                moments.append(clock.now)
    for first, last in zip(moments, moments[limit:], strict=False):
        assert last - first > window - 1e-6
    assert all(later >= earlier for earlier, later in pairwise(moments))
    assert (len(moments) - 1) / (moments[-1] - moments[0]) >= share * limit / window
