"""full_28k: the first plan of a large district against a directory in which somebody made 20,000 of its 28,000 accounts before.

Read, adopted by their numbers, named, mapped, compared and stored, in a process of its own; nothing is applied.
"""

from __future__ import annotations

import json
from statistics import median

from bench.entries import of_others
from bench.figures import Figure, Part
from bench.inputs import CAMPUSES, SEED, STAFF, STUDENTS
from bench.process import python
from bench.scratch import load_offline, settled
from syncd.assembly import utc_now
from syncd.demo.district import District
from syncd.demo.slapd import Binaries

HELD = 20_000


def measure(binaries: Binaries, scale: float, rounds: int) -> Figure:
    """full_28k: medians over rounds, each with a fresh store and directory; seconds and memory of each phase beside it."""
    sizes = [max(3, round(size * scale)) for size in (CAMPUSES, STUDENTS, STAFF)]
    district = District.generate(SEED, *sizes, first_day=utc_now().date())
    held = [entry for n, entry in enumerate(of_others(district)) if n % (STUDENTS + STAFF) < HELD * scale]
    told = []
    for _ in range(rounds):
        with settled(binaries, district) as place:
            load_offline(place.server, held)
            process = python("bench.apart.planner", str(place.folder))
            told.append((process, json.loads(process.said)))
    first = told[0][1]
    parts = [Part("of it before planning", median(one["before"] for _, one in told), "MB")]
    for phase in first["phases"]:
        parts.append(Part(phase, median(one["phases"][phase]["seconds"] for _, one in told), "s"))
        parts.append(Part(f"{phase}, peak memory", median(one["phases"][phase]["megabytes"] for _, one in told), "MB"))
    parts.append(Part("accounts there before", len(held), ""))
    parts += [Part(name, first[name], "") for name in ("persons", "adopted", "changes planned")]
    seconds, megabytes = median(one["seconds"] for _, one in told), median(process.megabytes for process, _ in told)
    return Figure("full_28k", seconds, "s", memory=megabytes, parts=tuple(parts))
