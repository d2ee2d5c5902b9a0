"""What a verb prints with: colours and progress on a terminal, plain lines everywhere else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from syncd.core.rendering import Line

_WORTH_TELLING = 100  # fewer changes than this are over before a line about them is read
_MANY = 1000
_UNWRAPPED = 100_000  # a pipe has no width: a DN broken in two cannot be searched for


def console() -> Console:
    """Standard output as it is now, so that a redirected one is seen."""
    return Console(width=None if sys.stdout.isatty() else _UNWRAPPED, highlight=False, markup=False, emoji=False)


def say(text: str = "", style: str = "") -> None:
    """One line. Text is never read as markup: it may come from a roster."""
    console().print(text, style=style or None, soft_wrap=True)


def say_lines(lines: Iterable[Line]) -> None:
    """Lines of a rendered plan."""
    out = console()
    for line in lines:
        out.print(line.text, style=line.style or None, soft_wrap=True)


def say_json(value: object) -> None:
    """A value as JSON, for programs; in ASCII where the output cannot carry more."""
    ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    sys.stdout.write(json.dumps(value, ensure_ascii=ascii_only, indent=1, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; tab-separated lines, header first, everywhere else."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            sys.stdout.write("\t".join(row) + "\n")
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console().print(grid)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A sign of life on a terminal while something of unknown length goes on; nothing elsewhere."""
    if sys.stderr.isatty():
        with Console(stderr=True).status(what):
            yield
    else:
        yield


@contextmanager
def progress(what: str, of: int | None) -> Iterator[Callable[[object], None]]:
    """Something to call once for each part: a bar on a terminal, a line now and then elsewhere.

    `of` is how many parts there will be, or None where nobody knows yet; a line is then written for every thousandth.
    """
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(what, total=of)
            yield lambda _: bars.advance(task)
        return
    done = 0

    def line(_: object) -> None:
        nonlocal done
        done += 1
        if of is None:
            if done % _MANY == 0:
                sys.stderr.write(f"{what}: {done:,} done\n")
        elif of >= _WORTH_TELLING and done * 10 // of > (done - 1) * 10 // of:
            sys.stderr.write(f"{what}: {done:,} of {of:,}\n")

    yield line


def counted(counts: Mapping[str, int]) -> str:
    """`12 create, 3 update`; `nothing` where there is nothing."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number) or "nothing"
