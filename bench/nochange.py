"""nochange_28k: the whole process `syncd sync`, start to exit, where nobody changed, against a bare csv.reader pass over its files.

Two cases. *Re-exported*: the files hold the same rows in other bytes, as a student information system writes them every night;
every row is read and compared. *Identical*: byte for byte the files of the last run.
"""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from statistics import median

from bench.clock import uncollected
from bench.figures import Figure, Part
from bench.inputs import CAMPUSES, SEED, STAFF, STUDENTS, bare_pass
from bench.process import Process, syncd
from bench.scratch import Place, first_apply, landed, settled
from syncd.assembly import utc_now
from syncd.demo.district import District
from syncd.demo.slapd import Binaries
from syncd.errors import EndpointError


def measure(binaries: Binaries, scale: float, rounds: int) -> Figure:
    """nochange_28k: medians of interleaved rounds, after one real first apply of everybody into slapd."""
    sizes = [max(3, round(size * scale)) for size in (CAMPUSES, STUDENTS, STAFF)]
    district = District.generate(SEED, *sizes, first_day=utc_now().date())
    with settled(binaries, district) as place:
        started = time.perf_counter()
        with uncollected():
            writes = first_apply(place.folder)
        loaded = time.perf_counter() - started
        roster = place.rosters / "oneroster.zip"
        exports = [place.folder / "plain.zip", place.folder / "quoted.zip"]
        exports[0].write_bytes(roster.read_bytes())
        re_export(exports[0], exports[1])
        files = [roster, *sorted(place.rosters.glob("*.csv"))]
        identical, again, bare, rows = [], [], [], 0
        for number in range(rounds):
            identical.append(_sync(place))
            roster.write_bytes(exports[(number + 1) % 2].read_bytes())
            again.append(_sync(place))
            rows, seconds = bare_pass(files)
            bare.append(seconds)
    return Figure(
        "nochange_28k",
        median(one.seconds for one in again),
        "s",
        median(bare),
        "bare csv.reader",
        median(one.megabytes for one in again),
        parts=(
            Part("identical files", median(one.seconds for one in identical), "s"),
            Part("identical files, peak memory", median(one.megabytes for one in identical), "MB"),
            Part("rows in the files", rows, ""),
            Part("persons with accounts", writes[0], ""),
            Part("changes of the first apply", writes[1], ""),
            Part("seconds of the first apply", loaded, "s"),
        ),
    )


def _sync(place: Place) -> Process:
    """One `syncd sync` that must find nothing to do."""
    before, _ = landed(place.folder)
    process = syncd(place.folder, "sync")
    if found := landed(place.folder, before)[1]:
        raise EndpointError("bench", f"{found} changes landed although nobody changed", "this is a bug")
    return process


def re_export(plain: Path, other: Path) -> None:
    """The same rows in other bytes: in every file the first cell of the last row is quoted, which no reader of CSV notices."""
    with zipfile.ZipFile(plain) as before, zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            body, _, last = before.read(name).removesuffix(b"\r\n").rpartition(b"\r\n")
            cell, comma, rest = last.partition(b",")
            after.writestr(name, b'%b\r\n"%b"%b%b\r\n' % (body, cell, comma, rest))
