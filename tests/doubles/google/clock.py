"""The double's time: the machine's, or one that tests drive.

Everything here that depends on time (quotas, lag, tokens, page tokens, twenty days of deleted users) asks a `Clock`, and a client
in the same process can be handed the same one: its `sleep` then takes simulated seconds and no real ones.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What tells the time and lets somebody wait."""

    def time(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Return when that much time has passed."""

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once that much time has passed, from whichever thread."""


class SystemClock:
    """The machine's."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        timer.start()


class SimulatedClock:
    """Time that passes when nobody has anything else to do.

    `workers` says how many threads use this clock. Whoever sleeps, or waits for an answer that the double delays, is idle; once
    as many are idle as there are workers, the clock jumps to the earliest moment somebody waits for. With one worker a sleep thus
    returns at once, and with eight a sleeping one cannot steal the others' time. A worker that waits for something else (a lock,
    a queue) would hold the clock for ever: when nothing at all happened for `patience` real seconds, it jumps nevertheless.
    """

    def __init__(self, start: float | None = None, *, workers: int = 1, patience: float = 0.02) -> None:
        self.workers = workers
        self.patience = patience
        self._now = time.time() if start is None else start
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stirred = 0
        self._watch: threading.Thread | None = None

    @staticmethod
    def machine_time() -> float:
        """What time it is outside: Google's own client signs its assertions by that clock."""
        return time.time()

    def time(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return
        woken = threading.Event()
        self.call_later(seconds, woken.set)
        seen = self._stirred
        while not woken.wait(self.patience):
            self._jump_if_still(seen)
            seen = self._stirred

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        with self._changed:
            self._stirred += 1
            heapq.heappush(self._waiting, (self._now + max(seconds, 0), next(self._order), call))
            due = self._advance() if len(self._waiting) >= self.workers else []
        for ready in due:
            ready()
        if not due:
            self._keep_watch()

    def employ(self, workers: int) -> None:
        """From now on so many threads use this clock."""
        with self._changed:
            self._stirred += 1
            self.workers = workers
            due = self._advance() if self._waiting and len(self._waiting) >= workers else []
        for ready in due:
            ready()

    def stir(self) -> None:
        """Say that somebody works: the double does, for each request."""
        self._stirred += 1

    def advance(self, seconds: float) -> None:
        """Let time pass, as a test wants it: whoever waited for a moment in it goes on."""
        with self._changed:
            until = self._now + seconds
            due = []
            while self._waiting and self._waiting[0][0] <= until:
                due.append(heapq.heappop(self._waiting)[2])
            self._now = until
        for ready in due:
            ready()

    def _advance(self) -> list[Callable[[], None]]:
        """Jump to the earliest moment somebody waits for; what waited for it. The caller holds the lock."""
        moment = max(self._now, self._waiting[0][0])
        due = []
        while self._waiting and self._waiting[0][0] <= moment:
            due.append(heapq.heappop(self._waiting)[2])
        self._now = moment
        return due

    def _jump_if_still(self, seen: int) -> None:
        """Jump when nothing stirred for as long as we are patient."""
        with self._changed:
            if not self._waiting or self._stirred != seen:
                return
            self._stirred += 1
            due = self._advance()
        for ready in due:
            ready()

    def _keep_watch(self) -> None:
        """A delayed answer waits in no thread of ours: one of our own watches that the clock does not stand still."""
        with self._changed:
            if self._watch is not None:
                return
            self._watch = threading.Thread(target=self._watching, name="simulated-clock", daemon=True)
        self._watch.start()

    def _watching(self) -> None:
        while True:
            with self._changed:
                if not self._waiting:
                    self._watch = None
                    return
                seen = self._stirred
            time.sleep(self.patience)
            self._jump_if_still(seen)
