"""A measured figure beside what it is compared with: as a row of JSON, as a line of a table, against an earlier run's."""

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

FIELDS = ("id", "value", "unit", "reference", "ratio", "bar", "ok")
Cell = str | float | bool | None
Base = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing inside or beside a figure, told in the table only."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure in a unit and the reference in the same unit. In seconds less is better, in anything per second more is.

    `bar` is the ratio that must be reached; None while there is none.
    """

    id: str
    value: float
    unit: str
    reference: float
    against: str
    bar: float | None = None
    parts: tuple[Part, ...] = ()

    @property
    def ratio(self) -> float:
        """The figure in units of the reference."""
        return self.value / self.reference

    @property
    def less_is_better(self) -> bool:
        """True for durations."""
        return self.unit == "s"

    @property
    def ok(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        if self.bar is None:
            return None
        return self.ratio <= self.bar if self.less_is_better else self.ratio >= self.bar

    def row(self) -> dict[str, Cell]:
        """The figure as `--json` tells it."""
        cells = (self.id, _short(self.value), self.unit, _short(self.reference), _short(self.ratio), self.bar, self.ok)
        return dict(zip(FIELDS, cells, strict=True))

    def gain(self, base: Base) -> float | None:
        """How many times as good the ratio is as in the base: below 1 is a regression. None where it was not measured there."""
        before = base.get(self.id)
        if before is None:
            return None
        return before / self.ratio if self.less_is_better else self.ratio / before


def as_json(figures: Iterable[Figure]) -> str:
    """The rows as a JSON list."""
    return json.dumps([figure.row() for figure in figures], indent=2)


def read_base(path: Path) -> Base:
    """The ratios of an earlier run's `--json`, by figure. Ratios, because the reference was measured on the same machine."""
    return {str(row["id"]): float(row["ratio"]) for row in cast("list[dict[str, str]]", json.loads(path.read_text("utf-8")))}


def as_table(figures: Sequence[Figure], base: Base | None = None) -> Table:
    """The table that is printed; a missed bar is red. With a base, a column says how each ratio compares with it."""
    table = Table(box=box.SIMPLE, title_justify="left", pad_edge=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("syncd", justify="right", no_wrap=True)
    table.add_column("reference", justify="right", no_wrap=True)
    table.add_column("ratio", justify="right", no_wrap=True)
    table.add_column("bar", justify="right", no_wrap=True)
    if base is not None:
        table.add_column("against base", justify="right", no_wrap=True)
    for figure in figures:
        style = "bold red" if figure.ok is False else "bold"
        cells = [
            figure.id,
            _told(figure.value, figure.unit),
            f"{figure.against} {_told(figure.reference, figure.unit)}",
            f"{figure.ratio:.2f}",
            "none yet" if figure.bar is None else f"{'≤' if figure.less_is_better else '≥'} {figure.bar:g}",
        ]
        if base is not None:
            gain = figure.gain(base)
            cells.append("not in it" if gain is None else f"× {gain:.2f}")
        table.add_row(*(Text(cell, style) for cell in cells))
        for part in figure.parts:
            table.add_row(f"  {part.name}", _told(part.value, part.unit))
    return table


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
