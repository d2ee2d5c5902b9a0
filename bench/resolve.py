"""python -m bench.resolve: how long it takes to write a file of 25,000 disputes, and to decide all of them by reading it back.

The disputes of a cut-over on which every child has a new number and no state id: each resembles one known person. Every process is
a real `syncd`, on SQLite with its journal on disk; the file is filled in as people fill it in, all rows with `merge`.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd.assembly import opened_store
from syncd.core.model import Record, SourceKey
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.store import Acceptance, Finding, KnownKey
from tests.fixtures.engine_world import MAIN, SIS, settings_in

SECONDS = 60.0
"""So long it may take to decide them all."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What was measured: seconds to write the file, to decide it all, and to read it again without effect."""

    written: float
    decided: float
    again: float
    decisions: int


def measure(disputes: int) -> Resolved:
    """Write, fill in and read back a file of so many disputes. Raises EndpointError where a verb fails."""
    with TemporaryDirectory(prefix="syncd-bench-") as name:
        folder = Path(name)
        config = settings_in(folder)
        _ask(config, disputes)
        path = folder / "disputes.csv"
        written = _timed(folder, "disputes", "--csv", str(path))
        _fill_in(path)
        words = ("resolve", "--from", str(path), "--because", "cut-over")
        decided, again = _timed(folder, *words), _timed(folder, *words)
        with opened_store(config) as store:
            return Resolved(written, decided, again, len(store.resolutions.all()))


def _ask(config: Config, disputes: int) -> None:
    """Known persons, and as many records of nobody that resemble one each."""
    now = datetime.now(UTC)
    with opened_store(config) as store:
        known = [SourceKey(f"s{number}") for number in range(disputes)]
        persons = store.mint([(SIS, key) for key in known])
        run = store.begin_run(MAIN, "delta", "bench", now)
        records = tuple(Record(SIS, key, {"given": f"Given{key}", "family": f"Family{key}"}) for key in known)
        keys = tuple(KnownKey(SIS, key, persons[SIS, key]) for key in known)
        findings = tuple(_dispute(number, persons[SIS, key]) for number, key in enumerate(known))
        store.accept(run, Acceptance(keys=keys, records=records, findings=findings), now)


def _dispute(number: int, person: str) -> Finding:
    told = json.dumps({person: "same birth date and family name, given name equal or one the beginning of the other"})
    detail = {"key": f"n{number}", "candidates": person, "evidence": told, "called": f"Given Family{number}"}
    return Finding("disputed", f"{SIS}/n{number}", "resembles a known person", None, SIS, None, detail)


def _fill_in(path: Path) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"decision": "merge"} for row in rows)


def _timed(folder: Path, *words: str) -> float:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "--config", str(folder), *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EndpointError("bench", f"syncd {words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}", "this is a bug")
    return time.monotonic() - began


def main(words: Sequence[str]) -> int:
    """0 where all was decided within a minute, 1 where not."""
    parser = argparse.ArgumentParser(prog="python -m bench.resolve", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--disputes", type=int, default=25_000)
    asked = parser.parse_args(words)
    found = measure(asked.disputes)
    print(
        f"{asked.disputes:,} disputes: written in {found.written:.1f} s, decided in {found.decided:.1f} s, "
        f"read again without effect in {found.again:.1f} s"
    )
    return 0 if found.decided < SECONDS and found.decisions == asked.disputes else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
