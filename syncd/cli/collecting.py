"""The files of devices to be collected: one CSV for each campus, readable by their owner alone."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from syncd.cli.cells import neutral

_COLUMNS = ("campus", "serial", "asset", "model", "location", "person", "name", "student_number", "left")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def write(folder: Path, rows: Sequence[Mapping[str, str]]) -> dict[Path, int]:
    """Write the rows, by campus; how many are in each file. A file of an earlier day is replaced."""
    by_campus: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        by_campus.setdefault(row["campus"], []).append(row)
    if by_campus:
        folder.mkdir(parents=True, exist_ok=True)
    written: dict[Path, int] = {}
    for campus, mine in sorted(by_campus.items()):
        path = folder / f"collect-{_UNSAFE.sub('-', campus) or 'none'}.csv"
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows([neutral(row[name]) for name in _COLUMNS] for row in mine)
        written[path] = len(mine)
    return written
