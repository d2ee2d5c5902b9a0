"""What several benchmarks share: the seed and size of the large district, and the bare reading of files syncd is compared with."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

SEED = 20260901
CAMPUSES, STUDENTS, STAFF = 40, 25_000, 3_000


def bare_pass(files: Iterable[Path]) -> tuple[int, float]:
    """How many rows a bare csv.reader finds in the files, zipped or not, and in how many seconds; nothing is kept."""
    rows, started = 0, time.perf_counter()
    for path in files:
        for text in _texts(path):
            rows += sum(1 for _ in csv.reader(text))
    return rows, time.perf_counter() - started


def _texts(path: Path) -> Iterator[TextIO]:
    if path.suffix != ".zip":
        with path.open(encoding="utf-8", newline="") as text:
            yield text
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
                yield text
