"""nochange_28k: the whole process `syncd sync`, start to exit, where nobody changed, against a bare csv.reader pass over its files.

Two cases. *Re-exported*: the files hold the same rows in other bytes, as a student information system writes them every night;
every row is read and compared. *Identical*: byte for byte the files of the last run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.figures import Figure, Part
from bench.inputs import CAMPUSES, SEED, STAFF, STUDENTS, Delivery, bare_pass
from bench.scratch import settled
from syncd.assembly import opened, utc_now
from syncd.core.model import Kind
from syncd.demo.district import District
from syncd.demo.slapd import Binaries
from syncd.demo.tour import PIPELINE
from syncd.errors import EndpointError
from syncd.settings import load

_LAUNCH = Path(__file__).with_name("launch.py")
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Process:
    """What one process cost."""

    seconds: float
    megabytes: float


def measure(binaries: Binaries, scale: float, rounds: int) -> Figure:
    """nochange_28k: medians of interleaved rounds, after one real first apply of everybody into slapd."""
    sizes = [max(3, round(size * scale)) for size in (CAMPUSES, STUDENTS, STAFF)]
    district = District.generate(SEED, *sizes, first_day=utc_now().date())
    with settled(binaries, district, twelve=False) as place:
        started = time.perf_counter()
        writes = _first_load(place.folder)
        loaded = time.perf_counter() - started
        roster = place.rosters / "oneroster.zip"
        exports = [place.folder / "plain.zip", place.folder / "quoted.zip"]
        exports[0].write_bytes(roster.read_bytes())
        _re_export(exports[0], exports[1])
        delivery = Delivery(district, roster, place.rosters)
        identical, again, bare, rows = [], [], [], 0
        for number in range(rounds):
            identical.append(_sync(place.folder))
            roster.write_bytes(exports[(number + 1) % 2].read_bytes())
            again.append(_sync(place.folder))
            rows, seconds = bare_pass(delivery)
            bare.append(seconds)
    return Figure(
        "nochange_28k",
        median(one.seconds for one in again),
        "s",
        median(bare),
        "bare csv.reader",
        parts=(
            Part("peak memory", median(one.megabytes for one in again), "MB"),
            Part("identical files", median(one.seconds for one in identical), "s"),
            Part("identical files, peak memory", median(one.megabytes for one in identical), "MB"),
            Part("rows in the files", rows, ""),
            Part("persons with accounts", writes[0], ""),
            Part("changes of the first apply", writes[1], ""),
            Part("seconds of the first apply", loaded, "s"),
        ),
    )


def _first_load(folder: Path) -> tuple[int, int]:
    """Apply the first plan: how many accounts there are, and how many changes that took."""
    with opened(load(folder)) as running:
        planned = running.engine.plan(PIPELINE)
        applied = running.engine.apply(planned, first=True)
    if applied is None or applied.failed:
        raise EndpointError("bench", "the first apply was held or partly refused", "this is a bug")
    return sum(report.kinds[Kind.CREATE] for report in applied.reports.values()), applied.landed


def _re_export(plain: Path, other: Path) -> None:
    """The same rows in other bytes: in every file the first cell of the last row is quoted, which no reader of CSV notices."""
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            body, _, last = before.read(name).removesuffix(b"\r\n").rpartition(b"\r\n")
            cell, comma, rest = last.partition(b",")
            after.writestr(name, b'%b\r\n"%b"%b%b\r\n' % (body, cell, comma, rest))


def _sync(folder: Path) -> Process:
    """One `syncd sync` that must find nothing to do, in a process of its own."""
    command = [sys.executable, "-m", "syncd", "--config", str(folder), "sync"]
    ended = subprocess.run([sys.executable, "-I", "-S", str(_LAUNCH), *command], capture_output=True, text=True, check=False)
    told = json.loads(ended.stdout or "{}")
    if told.get("code") != 0:
        raise EndpointError("bench", f"syncd sync ended with {told.get('code')}: {ended.stderr[-500:]}", "this is a bug")
    return Process(told["seconds"], told["bytes"] / _MEGABYTE)
