"""peers_create and peers_nochange: the same 5,000 people by syncd and by the script an administrator would otherwise write.

Whole processes on both sides, from start to exit. syncd takes two for the first load, as an operator does: `syncd plan`, then
`syncd apply --first`, which plans again. `bench/apart/plain_sync.py` asks the directory about every person, one search each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.figures import Figure, Part
from bench.nochange import re_export
from bench.process import Process, python, syncd
from bench.scratch import TWELVE, landed, settled, slapd
from bench.writes import CREATED, district_of
from syncd.demo.slapd import SERVICE_DN, SUFFIX, Binaries, PrivateSlapd
from syncd.errors import EndpointError

IDS = ("peers_create", "peers_nochange")
_AGAINST = "csv + ldap3 script"


@dataclass(frozen=True, slots=True)
class Round:
    """What either side took for the first load and for the night without changes, in the order of IDS."""

    people: int
    ours: tuple[Process, Process]
    theirs: tuple[Process, Process]


def measure(binaries: Binaries, scale: float, rounds: int) -> list[Figure]:
    """Both figures: medians of interleaved rounds, each with fresh servers and a fresh store."""
    timed = [_round(binaries, max(20, round(CREATED * scale))) for _ in range(rounds)]
    figures = []
    for place, name in enumerate(IDS):
        ours, theirs = ([one.ours[place] for one in timed], [one.theirs[place] for one in timed])
        parts = (
            Part("the script, peak memory", median(process.megabytes for process in theirs), "MB"),
            Part("persons", timed[0].people, ""),
        )
        seconds = [median(process.seconds for process in side) for side in (ours, theirs)]
        memory = median(process.megabytes for process in ours)
        figures.append(Figure(name, seconds[0], "s", seconds[1], _AGAINST, memory, parts))
    return figures


def _round(binaries: Binaries, people: int) -> Round:
    with settled(binaries, district_of(people), TWELVE) as place, slapd(binaries) as other:
        roster = place.rosters / "oneroster.zip"
        ours_made = _first_load(place.folder)
        theirs_made = _script(roster, other, "made", people)
        if (found := landed(place.folder)[1]) < people * 0.99:  # a few planted twins are disputed
            raise EndpointError("bench", f"only {found} changes landed for {people} persons", "this is a bug")
        plain = place.folder / "plain.zip"
        plain.write_bytes(roster.read_bytes())
        re_export(plain, roster)
        ours, theirs = syncd(place.folder, "sync"), _script(roster, other, "left", people)
        return Round(people, (ours_made, ours), (theirs_made, theirs))


def _first_load(folder: Path) -> Process:
    """What an operator does the first time, as one cost."""
    planned, applied = syncd(folder, "plan", "--most", "1"), syncd(folder, "apply", "r1", "--first")
    return Process(planned.seconds + applied.seconds, max(planned.megabytes, applied.megabytes), applied.said)


def _script(roster: Path, server: PrivateSlapd, what: str, people: int) -> Process:
    words = (str(roster), server.secure_url, str(server.ca_file), SUFFIX, SERVICE_DN, str(server.credentials))
    process = python("bench.apart.plain_sync", *words)
    told = json.loads(process.said)
    if told[what] != people:
        raise EndpointError("bench", f"the script must have {what} {people} accounts: {told}", "this is a bug")
    return process
