"""What the benchmarks read: a large sample district as files, made once per folder, and the bare reading it is compared with."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from syncd.demo.district import District
from syncd.demo.oneroster_writer import write_oneroster, write_supplements

SEED = 20260901
CAMPUSES, STUDENTS, STAFF = 40, 25_000, 3_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One day's files: the OneRoster zip and the folder of its supplements."""

    district: District
    roster: Path
    supplements: Path


def deliver(district: District, folder: Path) -> Delivery:
    """The district's files of that day in `folder`, which is made if missing; what lay there is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    roster = write_oneroster(district, folder / "oneroster.zip")
    write_supplements(district, folder)
    return Delivery(district, roster, folder)


def large(folder: Path, students: int = STUDENTS, staff: int = STAFF, campuses: int = CAMPUSES) -> Delivery:
    """A large district on its first day: 28,000 persons with 200,000 class enrolments unless told otherwise."""
    return deliver(District.generate(SEED, campuses, students, staff), folder)


def bare_pass(delivery: Delivery) -> tuple[int, float]:
    """How many rows a bare csv.reader finds in the delivery, and in how many seconds: what a no-change run is compared with."""
    rows, started = 0, time.perf_counter()
    with zipfile.ZipFile(delivery.roster) as archive:
        for name in archive.namelist():
            with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
                rows += sum(1 for _ in csv.reader(text))
    for path in sorted(delivery.supplements.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as text:
            rows += sum(1 for _ in csv.reader(text))
    return rows, time.perf_counter() - started
