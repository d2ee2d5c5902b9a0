"""A simulated year as a table for people, rows for programs, and a page for the documentation."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from bench.calamities import KINDS, SMALLEST, WHOLE
from bench.year import SCORING, TUNING, Planted, Score

MOST_FALSE = 3
"""So many holds on days without a fault are allowed in a year."""


_NUMBERS = frozenset({"planted", "caught", "smallest caught"})


def ok(score: Score) -> bool:
    """Whether the year was as it must be."""
    return len(score.false_holds) <= MOST_FALSE and not score.missed


def as_table(score: Score) -> Table:
    """One row for each kind of disaster."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("disaster", "planted", "caught", "shares planted", "smallest caught", "how"):
        table.add_column(name, justify="right" if name in _NUMBERS else "left")
    for kind, cells in _rows(score):
        table.add_row(kind, *cells, style="" if cells[0] == cells[1] else "red")
    return table


def _rows(score: Score) -> Iterator[tuple[str, tuple[str, ...]]]:
    for kind in KINDS:
        mine = [one for one in score.planted if one.kind == kind]
        if mine:
            caught = [one for one in mine if one.caught]
            shares = "whole" if kind in WHOLE else ", ".join(f"{share:.0%}" for share in sorted({one.share for one in mine}))
            how = ", ".join(
                f"{how} ({number})" if len(mine) > 1 else how for how, number in Counter(one.how for one in caught).most_common()
            )
            yield kind, (str(len(mine)), str(len(caught)), shares, _smallest(score, kind, caught), how)


def _smallest(score: Score, kind: str, caught: list[Planted]) -> str:
    if kind in WHOLE:
        return "whole"
    shares = [one.share for one in caught]
    probed = score.smallest.get(kind, SMALLEST)
    return f"{min([probed, *shares] if shares and min(shares) <= SMALLEST else shares):.0%}" if shares else "none"


def in_words(score: Score) -> list[str]:
    """The year in a few lines."""
    size = score.size
    whole = f"{size.campuses} campuses, {size.students:,} students, {size.staff:,} staff"
    role = {SCORING: "scored", TUNING: "tuned on"}.get(score.seed, "another")
    kinds = len({one.kind for one in score.planted})
    lines = [
        f"seed {score.seed} ({role}): {whole}, {score.school_days} school days, {score.runs} runs, {score.changes:,} changes",
        f"held though nothing was wrong: {len(score.false_holds)} (at most {MOST_FALSE})",
        f"missed: {len(score.missed)} of {len(score.planted)} disasters of {kinds} kinds (none may be)",
    ]
    lines += [f"  held on {one.day}: {one.what}" for one in score.false_holds]
    for one in score.missed:
        touched = ", ".join(f"{number} {how}" for how, number in one.touched.items())
        lines.append(f"  missed on {one.day}: {one.kind}, {one.share:.0%} of a campus, {one.people} people: {touched}")
    return lines


def as_json(score: Score) -> str:
    """The year as JSON."""
    return json.dumps(
        {
            "seed": score.seed, "ok": ok(score), "school_days": score.school_days, "runs": score.runs, "changes": score.changes,
            "seconds": round(score.seconds, 1), "slowest_run": round(score.slowest, 1),
            "false_holds": [{"day": one.day.isoformat(), "what": one.what} for one in score.false_holds],
            "planted": [asdict(one) | {"day": one.day.isoformat(), "touched": dict(one.touched)} for one in score.planted],
            "smallest": score.smallest,
        },
        indent=1,
    )  # fmt: skip


def write_page(score: Score, path: Path) -> None:
    """docs/reference/school-year.md."""
    lines = [
        _HEAD,
        "| disaster | planted | caught | shares of a campus planted | smallest caught | how |",
        "|---|---:|---:|---|---:|---|",
    ]
    lines += [f"| {kind} | {' | '.join(cells)} |" for kind, cells in _rows(score)]
    lines += ["", *(f"- {line.strip()}" for line in in_words(score)), ""]
    path.write_text("\n".join(lines), "utf-8")


_HEAD = f"""\
# A school year, simulated

<!-- Printed by `script/bench year --page FILE`; not to be edited by hand. -->

Limits are worth something if they hold a bad day and nothing else. `script/bench year` lives through the school year of a made-up
district: registration in July, everybody a grade further in August, enrolments, moves, leavers, returners, marriages, hires and
classes on 200 school days, a new roster system with new keys and numbers in the winter break, graduation. It runs the engine as
the daemon does, with the shipped limits and a calendar. On days that the seed picks the export is spoiled; on the next weekday it
is right again.

A disaster is caught when nobody it is about is disabled, moved, renamed, made or shown otherwise than the good roster says, and
at most five of those who vanished begin their grace (who came that very day counts where they were). {SMALLEST:.0%} of one campus
and more must be caught; the smallest share caught is looked for once for each kind, by planning only. Limits were fixed on seed
{TUNING} and scored on seed {SCORING}.
"""
