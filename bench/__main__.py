"""python -m bench: measures, prints one table or JSON, and compares with an earlier run if asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from bench import nochange, writes
from bench.figures import Figure, as_json, as_table, machine, read_base
from bench.scratch import find_servers
from syncd.demo.slapd import Binaries
from syncd.errors import SyncdError

IDS = ("create_nosync", "modify_nosync", "nochange_28k")
PEOPLE = 5000
_USAGE, _UNAVAILABLE = 64, 69
_WIDTH = 110  # as wide in a file as on a screen


class _Parser(argparse.ArgumentParser):
    """A usage error ends with 64, as everywhere in syncd."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        self.print_usage(sys.stderr)
        self.exit(_USAGE, f"{self.prog}: {message}\n")


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(prog="script/bench", description="Measure syncd against the C tools and a bare csv.reader.")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--only", action="append", choices=IDS, metavar="ID", help=f"only this: {', '.join(IDS)}; repeatable")
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 100), metavar="N", help="interleaved rounds (their median counts)"
    )
    parser.add_argument("--scale", type=_positive, default=1.0, metavar="X", help="0.1 for a quick look; such figures mean little")
    parser.add_argument("--against", type=Path, metavar="FILE", help="the --json of an earlier run, to see what became slower")
    return parser.parse_args(words)


def _measure(binaries: Binaries, wanted: Sequence[str], scale: float, rounds: int) -> list[Figure]:
    figures: list[Figure] = []
    if not {"create_nosync", "modify_nosync"}.isdisjoint(wanted):
        figures += writes.measure(binaries, max(20, round(PEOPLE * scale)), rounds)
    if "nochange_28k" in wanted:
        figures.append(nochange.measure(binaries, scale, rounds))
    return [figure for figure in figures if figure.id in wanted]


def main(words: Sequence[str]) -> int:
    """The exit code: 0 measured, 69 something this machine lacks, or a run that went wrong."""
    arguments = _arguments(words)
    base = read_base(arguments.against) if arguments.against else None
    told = machine()
    try:
        figures = _measure(find_servers(), arguments.only or IDS, arguments.scale, arguments.rounds)
    except SyncdError as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    if arguments.json:
        print(as_json(figures))
    console = Console(stderr=arguments.json, highlight=False, width=_WIDTH)
    console.print(as_table(figures, base))
    console.print(f"{told}; medians of {arguments.rounds} rounds", soft_wrap=True)
    return 0


sys.exit(main(sys.argv[1:]))
