"""`python -m bench.apart.planner FOLDER`: one first plan of the district there, and where its seconds and its memory went.

A thread looks at the resident memory a hundred times a second; the engine tells how long each phase took.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.clock import phases
from syncd.assembly import opened
from syncd.demo.tour import PIPELINE
from syncd.settings import load

_EVERY = 0.01
_MEGABYTE = 1_000_000
_PAGE = os.sysconf("SC_PAGE_SIZE")

Samples = list[tuple[float, float]]


def resident() -> float:
    """The memory this process holds at the moment, in MB."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE / _MEGABYTE


@contextmanager
def watched() -> Iterator[Samples]:
    """When there was how much resident memory."""
    samples: Samples = []
    enough = threading.Event()

    def look() -> None:
        while not enough.wait(_EVERY):
            samples.append((time.perf_counter(), resident()))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        enough.set()
        thread.join()


def by_phase(seconds: Mapping[str, float], samples: Samples, ended: float) -> dict[str, dict[str, float]]:
    """Each phase with its seconds and the most memory seen in it, or last before it was over. The last one ends at `ended`."""
    told: dict[str, dict[str, float]] = {}
    begin = ended - sum(seconds.values())
    for phase, length in seconds.items():
        so_far = [(moment, held) for moment, held in samples if moment <= begin + length]
        within = [held for moment, held in so_far if moment >= begin] or [held for _, held in so_far[-1:]]
        told[phase] = {"seconds": length, "megabytes": max(within, default=0.0)}
        begin += length
    return told


def main(folder: Path) -> None:
    """Plan, and tell."""
    with opened(load(folder)) as running:
        before = resident()
        with watched() as samples:
            started = time.perf_counter()
            planned = running.engine.plan(PIPELINE)
            ended = time.perf_counter()
        adopted = sum(len(matched.links) for matched in planned.matched.values())  # on first contact every link is one
        told = {
            "seconds": ended - started,
            "before": before,
            "phases": by_phase(phases(planned), samples, ended),
            "persons": len(planned.decided),
            "adopted": adopted,
            "changes planned": planned.changes,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
