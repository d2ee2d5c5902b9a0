"""What came of the disasters, as a table for people and rows for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rich import box
from rich.table import Table

from bench.disasters import GROUPS, Disaster, Outcome, play_all, registered, registered_in_a_domain
from bench.ground import Extent, site
from bench.ground_domain import domain_site
from syncd.demo.slapd import Binaries

_SHOWN = 90  # characters of what was told


def measured(binaries: Binaries, extent: Extent, wanted: Sequence[str], *, in_a_domain: bool = False) -> list[Outcome]:
    """Every disaster, or those wanted, against a district of this extent: in a slapd, or in an Active Directory domain."""
    place, known = (domain_site, registered_in_a_domain()) if in_a_domain else (site, registered())
    with TemporaryDirectory(prefix="syncd-disasters-") as folder, place(binaries, Path(folder), extent) as here:
        return play_all(
            here,
            [one for one in known if not wanted or one.id in wanted],
            lambda one: print(f"{one.id}: {'ok' if one.ok else one.problems[0]}", file=sys.stderr, flush=True),
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


def write_page(outcomes: Sequence[Outcome], extent: Extent, path: Path, *, in_a_domain: bool = False) -> None:
    """docs/reference/disasters.md: the part that was played is written anew, the other one stays as it is."""
    slapd, _, domain = path.read_text("utf-8").partition(_IN_A_DOMAIN) if path.exists() else ("", "", "")
    played = {one.id: one for one in outcomes}
    whole = f"{extent.campuses} campuses, {extent.students:,} students and {extent.staff:,} staff"
    said = ["", *(f"- {line}" for line in in_words(outcomes)), ""]
    if in_a_domain:
        domain = "\n".join([_DOMAIN.format(whole=whole), *_rows(registered_in_a_domain(), played), *said])
    else:
        lines = [_HEAD.format(whole=whole)]
        for group in GROUPS:
            lines += ["", f"## {_TITLES[group]}", "", *_rows([one for one in registered() if one.group == group], played)]
        slapd = "\n".join([*lines, *said])
    parts = [slapd.rstrip("\n") + "\n"] if slapd else []
    path.write_text("\n".join([*parts, *([f"{_IN_A_DOMAIN}{domain}"] if domain else [])]), "utf-8")


def _rows(disasters: Sequence[Disaster], played: Mapping[str, Outcome]) -> Iterator[str]:
    yield from (_COLUMNS, "|---|---|---|---:|---:|---|")
    for one in disasters:
        texts = (one.id, _flat(type(one).__doc__), _flat(type(one).benign.__doc__))
        yield f"| {' | '.join((*texts, *_came_of(played.get(one.id))))} |"


def _came_of(one: Outcome | None) -> tuple[str, str, str]:
    """Cells held, people updated, and whether all was well; of one that was not played, nothing."""
    if one is None:
        return "", "", "not played"
    return str(one.held_cells), f"{one.updated} of {one.to_update}" if one.to_update else "-", "yes" if one.ok else "**no**"


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


_COLUMNS = "| disaster | what it guards against | its twin | held | updated | ok |"
_TITLES = dict(zip(GROUPS, ("Rosters", "What a directory answers", "Settings", "Hosts", "People"), strict=True))
_HEAD = """\
# Disasters

<!-- Printed by `script/bench disasters --page FILE`; not to be edited by hand. -->

Each of these was made to happen to a district of {whole} in a real slapd, on a morning
on which one child at every other campus had truly changed. Afterwards the whole directory is read back with `ldapsearch`: no
account but those of the truly changed may be disabled, moved, renamed, made, deleted or shown otherwise, the truly changed of other
campuses must be updated (where the roster or directory as a whole is not what failed), and the reason must stand in `/health` and
in the notification, or, where the program refuses to begin, in its refusal. Each has a twin that looks like it and is right:
nothing of that may be held.
"""

_IN_A_DOMAIN = "## In an Active Directory domain\n"
_DOMAIN = """
<!-- Printed by `script/bench disasters --ad --page FILE`; not to be edited by hand. -->

These were made to happen to a district of {whole} in a real domain controller (Samba's), written over LDAPS by an
account with the rights that `syncd ad-delegation` prints and no others, and judged in the same way, account by `objectGUID`.
Where what went wrong can be put right again, it is, and the next night's run must do all that was due and nothing else.
"""


def as_json(outcomes: Sequence[Outcome]) -> str:
    """The rows: id, ok, wrongly_touched, held_cells, updated."""
    rows = [
        {"id": one.id, "ok": one.ok, "wrongly_touched": one.wrongly_touched, "held_cells": one.held_cells, "updated": one.updated}
        for one in outcomes
    ]
    return json.dumps(rows, indent=1)
