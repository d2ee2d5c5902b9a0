"""How long each phase of a run took, for the log, the bench and whoever asks where the time goes."""

from __future__ import annotations

import time


class Laps:
    """Seconds by phase, in the order in which the phases first ended; `seconds` is filled as the run goes on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def end(self, phase: str) -> None:
        """What has passed since the last end was spent in this phase."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
