"""A measured figure beside what it is compared with: as rows of JSON, as lines of a table, against an earlier run's."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich import box
from rich.table import Table
from rich.text import Text

from bench.bars import BARS, LESS_IS_BETTER, Bar

FIELDS = ("id", "value", "unit", "reference", "ratio", "bar", "ok")
MEMORY = "_memory"
Cell = str | float | bool | None
Base = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing inside or beside a figure, told in the table only."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number as `--json` tells it.

    `bar` limits the ratio, or the value itself where there is nothing to compare with; None while there is no limit.
    """

    id: str
    value: float
    unit: str
    reference: float | None
    ratio: float | None
    bar: float | None
    ok: bool | None

    @property
    def compared(self) -> float:
        """What is held against an earlier run: the ratio, its reference being of the same machine; else the value."""
        return self.value if self.ratio is None else self.ratio

    def gain(self, base: Base) -> float | None:
        """How many times as good this is as in the base: below 1 is a regression. None where it was not measured there."""
        before = base.get(self.id)
        if not before or not self.compared:
            return None
        return before / self.compared if self.unit in LESS_IS_BETTER else self.compared / before

    def cells(self) -> dict[str, Cell]:
        """The row under the promised keys."""
        numbers = (self.value, self.unit, self.reference, self.ratio, self.bar)
        told = (_short(one) if isinstance(one, float | int) else one for one in numbers)
        return dict(zip(FIELDS, (self.id, *told, self.ok), strict=True))


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in a unit and, where there is one, the reference in the same unit. `memory` is the most the process held, in MB."""

    id: str
    value: float
    unit: str
    reference: float | None = None
    against: str = ""
    memory: float | None = None
    parts: tuple[Part, ...] = ()

    @property
    def bar(self) -> Bar | None:
        """What this figure has to reach; None where nothing is asked of it."""
        return BARS.get(self.id)

    @property
    def ratio(self) -> float | None:
        """The figure in units of the reference."""
        return None if self.reference is None else self.value / self.reference

    @property
    def ok(self) -> bool | None:
        """Whether everything asked of the figure is reached, its memory too; None where nothing is asked."""
        verdicts = [one for one in (self._reaches(), self._fits()) if one is not None]
        return all(verdicts) if verdicts else None

    def _reaches(self) -> bool | None:
        limit = None if self.bar is None else self.bar.limit(self.reference)
        if limit is None:
            return None
        return self.value <= limit if self.unit in LESS_IS_BETTER else self.value >= limit

    def _fits(self) -> bool | None:
        if self.bar is None or self.bar.megabytes is None:
            return None
        return self.memory is not None and self.memory <= self.bar.megabytes

    def rows(self) -> tuple[Row, ...]:
        """The figure, and behind it its memory where that was measured."""
        limit = None if self.bar is None else self.bar.limit(self.reference)
        bar = limit / self.reference if limit is not None and self.reference else limit
        main = Row(self.id, self.value, self.unit, self.reference, self.ratio, bar, self.ok)
        if self.memory is None:
            return (main,)
        most = None if self.bar is None else self.bar.megabytes
        return main, Row(self.id + MEMORY, self.memory, "MB", None, None, most, self._fits())


def as_json(figures: Iterable[Figure]) -> str:
    """The rows as a JSON list."""
    return json.dumps([row.cells() for figure in figures for row in figure.rows()], indent=2)


def read_base(path: Path) -> Base:
    """What an earlier run's `--json` is compared by: ratios by row, values where a row has no reference."""
    rows = cast("list[dict[str, float | str | None]]", json.loads(path.read_text("utf-8")))
    return {str(row["id"]): float(row["value"] or 0) if row["ratio"] is None else float(row["ratio"]) for row in rows}


def as_table(figures: Sequence[Figure], base: Base | None = None) -> Table:
    """The table that is printed; a missed bar is red. With a base, a column says how each row compares with it."""
    table = Table(box=box.SIMPLE, title_justify="left", pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for column in ("syncd", "reference", "ratio", "bar", *(["against base"] if base is not None else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for figure in figures:
        main, *memory = figure.rows()
        against = f"{figure.against} {_told(figure.reference, figure.unit)}" if figure.reference is not None else ""
        ratio = "" if main.ratio is None else f"{main.ratio:.2f}"
        bar = "none" if figure.bar is None else figure.bar.told(figure.unit)
        _add(table, main, "bold", (main.id, _told(main.value, main.unit), against, ratio, bar), base)
        for row in memory:
            most = "" if row.bar is None else f"≤ {row.bar:g} MB"
            _add(table, row, "", ("  peak memory", _told(row.value, row.unit), "", "", most), base)
        for part in figure.parts:
            table.add_row(f"  {part.name}", _told(part.value, part.unit))
    return table


def _add(table: Table, row: Row, style: str, cells: Iterable[str], base: Base | None) -> None:
    told = list(cells)
    if base is not None:
        gain = row.gain(base)
        told.append("not in it" if gain is None else f"× {gain:.2f}")
    table.add_row(*(Text(cell, "bold red" if row.ok is False else style) for cell in told))


def missed(figures: Iterable[Figure]) -> tuple[str, ...]:
    """The ids of every figure that does not reach what is asked of it."""
    return tuple(figure.id for figure in figures if figure.ok is False)


def machine() -> str:
    """What the figures were measured on, in one line."""
    cpu = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown CPU")
    cores = sum(line.startswith("processor") for line in _lines("/proc/cpuinfo"))
    load = _lines("/proc/loadavg")[0].split()[0] if _lines("/proc/loadavg") else "?"
    return f"{cores} cores, {cpu}; {platform.python_implementation()} {platform.python_version()}; load {load} at the start"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def _told(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:,.0f} {unit}" if unit == "MB" or value >= 10 else f"{value:.1f} {unit}"  # noqa: PLR2004 — from ten on, whole numbers


def _short(value: float) -> float:
    """Four digits: more would only be noise."""
    return float(f"{value:.4g}")
