"""python -m bench: measures, prints one table or JSON, and compares with an earlier run if asked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from rich.console import Console

from bench import (
    ad,
    disasters_told,
    first_plan,
    ground,
    ground_domain,
    kills,
    mapped,
    million,
    nochange,
    peers,
    reads,
    start,
    writes,
    year,
    year_told,
)
from bench.figures import Figure, as_json, as_table, machine, missed, read_base
from bench.scratch import find_servers
from bench.year import SCORING
from syncd.demo.slapd import Binaries
from syncd.errors import SyncdError

_USAGE, _UNAVAILABLE = 64, 69
SUITES = ("disasters", "year")
"""What is not measured but judged; only where it is asked for."""
_WIDTH = 110  # as wide in a file as on a screen


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured, how large, and how often."""

    wanted: Collection[str]
    scale: float
    rounds: int


Measure = Callable[[Binaries, Asked], Sequence[Figure]]
GROUPS: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (
        ("create_nosync", "create_fsync", "modify_nosync", "modify_fsync"),
        lambda slapd, asked: writes.measure(slapd, asked.wanted, asked.scale, asked.rounds),
    ),
    (("read_full",), lambda slapd, asked: [reads.measure(slapd, asked.scale, asked.rounds)]),
    (("nochange_28k",), lambda slapd, asked: [nochange.measure(slapd, asked.scale, asked.rounds)]),
    (("start",), lambda _, asked: [start.measure(asked.rounds)]),
    (
        (million.NOCHANGE, million.SHUFFLED, million.CHANGED, million.IDENTICAL),
        lambda slapd, asked: million.measure(slapd, asked.wanted, asked.scale, asked.rounds),
    ),
    (("mapping_100k",), lambda _, asked: [mapped.measure(asked.scale, asked.rounds)]),
    (("full_28k",), lambda slapd, asked: [first_plan.measure(slapd, asked.scale, asked.rounds)]),
    (peers.IDS, lambda slapd, asked: peers.measure(slapd, asked.scale, asked.rounds)),
)
"""Figures that are measured together, in the order in which they are printed."""
IDS = tuple(name for names, _ in GROUPS for name in names)
HUNTS: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (ad.IDS, lambda slapd, asked: ad.measure(slapd, asked.wanted, asked.scale, asked.rounds)),
    ((kills.ID,), lambda slapd, asked: [kills.measure(slapd, asked.scale)]),
)
"""What is measured only when it is asked for by name: it needs a domain controller, or takes long and tells of safety."""


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
    parser = _Parser(prog="script/bench", description="Measure syncd against C tools, ldap3, a bare csv.reader and plain Python.")
    parser.add_argument(
        "group",
        nargs="?",
        choices=["peers", "ad", kills.ID, *SUITES],
        help="peers: only against a plain csv + ldap3 script; ad: Active Directory; kills: what a kill loses; "
        "disasters, year: what is held, what not",
    )
    parser.add_argument("--reduced", action="store_true", help="disasters, year: as small as in the tests")
    parser.add_argument("--ad", action="store_true", help="disasters: those of an Active Directory domain, in a real one")
    parser.add_argument("--seed", type=int, default=SCORING, help="year: another year")
    parser.add_argument("--page", type=Path, metavar="FILE", help="disasters, year: write the page of the documentation")
    parser.add_argument("--one", action="append", metavar="NAME", help="disasters: only this; repeatable")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    ids = (*IDS, *ad.IDS)
    parser.add_argument("--only", action="append", choices=ids, metavar="ID", help=f"only this: {', '.join(ids)}; repeatable")
    parser.add_argument(
        "--rounds", type=int, default=3, choices=range(1, 100), metavar="N", help="interleaved rounds (their median counts)"
    )
    parser.add_argument("--scale", type=_positive, default=1.0, metavar="X", help="0.1 for a quick look; such figures mean little")
    parser.add_argument("--against", type=Path, metavar="FILE", help="the --json of an earlier run, to see what became slower")
    return parser.parse_args(words)


def _measure(asked: Asked) -> list[Figure]:
    binaries = find_servers()
    figures: list[Figure] = []
    for names, measure in (*GROUPS, *HUNTS):
        wanted = [name for name in names if name in asked.wanted]
        if wanted:
            print(f"measuring {', '.join(wanted)} …", file=sys.stderr, flush=True)
            figures += [figure for figure in measure(binaries, asked) if figure.id in wanted]
    return figures


def _suite(arguments: argparse.Namespace) -> int:
    """Play disasters, or live through a year; 1 where something was not as it must be."""
    console = Console(stderr=arguments.json, highlight=False, width=_WIDTH + 40)
    try:
        if arguments.group == "disasters":
            where = ground_domain if arguments.ad else ground
            extent = where.REDUCED if arguments.reduced else where.FULL
            outcomes = disasters_told.measured(find_servers(), extent, arguments.one or (), in_a_domain=arguments.ad)
            if arguments.page:
                disasters_told.write_page(outcomes, extent, arguments.page, in_a_domain=arguments.ad)
            console.print(disasters_told.as_table(outcomes))
            for line in disasters_told.in_words(outcomes):
                console.print(line, soft_wrap=True)
            told, well = disasters_told.as_json(outcomes), all(one.ok for one in outcomes)
        else:
            score = year.simulate(arguments.seed, year.REDUCED if arguments.reduced else year.FULL, _say)
            console.print(year_told.as_table(score))
            for line in year_told.in_words(score):
                console.print(line, soft_wrap=True)
            told, well = year_told.as_json(score), year_told.ok(score)
            if arguments.page:
                year_told.write_page(score, arguments.page)
    except SyncdError as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    if arguments.json:
        print(told)
    return 0 if well else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(words: Sequence[str]) -> int:
    """The exit code: 0 measured, whatever came out, or all well; 1 a disaster or a year that was not well.

    69 something this machine lacks, or a run that went wrong.
    """
    arguments = _arguments(words)
    if arguments.group in SUITES:
        return _suite(arguments)
    base = read_base(arguments.against) if arguments.against else None
    told = machine()
    group = {None: (), "peers": peers.IDS, "ad": ad.IDS, kills.ID: (kills.ID,)}[arguments.group]
    wanted = frozenset([*(arguments.only or ()), *group]) or frozenset(IDS)
    try:
        figures = _measure(Asked(wanted, arguments.scale, arguments.rounds))
    except SyncdError as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    if arguments.json:
        print(as_json(figures))
    console = Console(stderr=arguments.json, highlight=False, width=_WIDTH)
    console.print(as_table(figures, base))
    size = "" if arguments.scale == 1 else f"; sizes × {arguments.scale:g}"
    console.print(f"{told}; medians of {arguments.rounds} rounds{size}", soft_wrap=True)
    below = missed(figures)
    if below:
        console.print(f"missed: {', '.join(below)}; docs/performance.md says why", style="red", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
