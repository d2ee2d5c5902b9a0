"""What came of the disasters, as a table for people and rows for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from bench.disasters import GROUPS, Outcome, play_all
from bench.ground import Extent, site
from syncd.demo.slapd import Binaries

_SHOWN = 90  # characters of what was told


def measured(binaries: Binaries, extent: Extent, wanted: Sequence[str]) -> list[Outcome]:
    """Every disaster, or those wanted, against a district of this extent."""
    with TemporaryDirectory(prefix="syncd-disasters-") as folder, site(binaries, Path(folder), extent) as here:
        return play_all(
            here, wanted, lambda one: print(f"{one.id}: {'ok' if one.ok else one.problems[0]}", file=sys.stderr, flush=True)
        )


def as_table(outcomes: Sequence[Outcome]) -> Table:
    """One row for each disaster, by group."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("group", "disaster", "ok", "wrongly touched", "held cells", "updated", "what is told"):
        table.add_column(name, justify="right" if name in ("wrongly touched", "held cells", "updated") else "left")
    for one in sorted(outcomes, key=lambda one: GROUPS.index(one.group)):
        updated = f"{one.updated} of {one.to_update}" if one.to_update else "-"
        table.add_row(
            one.group, one.id, "yes" if one.ok else "NO", str(one.wrongly_touched), str(one.held_cells), updated,
            one.said[:_SHOWN], style="" if one.ok else "red",
        )  # fmt: skip
    return table


def in_words(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How many are well, and what is wrong with the others."""
    yield f"{sum(one.ok for one in outcomes)} of {len(outcomes)} disasters ended well, each with a twin that nothing held"
    for one in outcomes:
        for problem in one.problems:
            yield f"{one.id}: {problem}"


def as_json(outcomes: Sequence[Outcome]) -> str:
    """The rows: id, ok, wrongly_touched, held_cells, updated."""
    rows = [
        {"id": one.id, "ok": one.ok, "wrongly_touched": one.wrongly_touched, "held_cells": one.held_cells, "updated": one.updated}
        for one in outcomes
    ]
    return json.dumps(rows, indent=1)
