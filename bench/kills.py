"""kills: a hundred real `kill -9` of runs of some two thousand changes, and what was lost or doubled by them: nothing may be.

After every kill or two a run is let through; then everything in the directory is compared with the naive oracle, by `ldapsearch`.
A run that leaves the directory wrong, a name or an account twice, a first password that opens nothing: each ends the hunt at once.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, Part
from syncd.demo.slapd import SUFFIX, Binaries, PrivateSlapd
from syncd.errors import EndpointError
from tests.hunted import Size, hunt, hunted
from tests.properties.machine_world import InSlapd

ID = "kills"
_KILLS = 100
_SIZE = Size(people=1_300, newcomers=20, edits=60)  # every roster renumbers the campuses, which changes everybody


def measure(binaries: Binaries, scale: float) -> Figure:
    """kills: how many landed, with everything right at the end. Raises EndpointError telling what was not."""
    size = Size(max(20, round(_SIZE.people * scale)), _SIZE.newcomers, _SIZE.edits)
    kills = max(3, round(_KILLS * scale))
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="syncd-bench-")))
        server = stack.enter_context(PrivateSlapd(folder / "slapd", binaries, nosync=True))
        district = stack.enter_context(hunted(folder / "district", InSlapd(server, SUFFIX), server, size))
        try:
            hunt(district, kills, Random(100))  # noqa: S311 — to be drawn again
        except AssertionError as error:
            why = f"after {district.landed.total()} kills: {error}"
            raise EndpointError("bench", why, "something was lost or doubled: this is a bug") from error
        print(district.story(), file=sys.stderr)
        doubtful = [one.total() for one in district.in_doubt if one]
        parts = (
            Part("lost", 0, ""),
            Part("doubled", 0, ""),
            Part("kills while applying", district.landed["applying"], ""),
            Part("kills that left changes in doubt", len(doubtful), ""),
            Part("most changes in doubt at once", max(doubtful, default=0), ""),
            Part("changes of a killed run, median", median(district.planned or [0]), ""),
            Part("accounts at the end", len(district.directory.entries()), ""),
            Part("the hunt", time.monotonic() - begun, "s"),
        )
        return Figure(ID, float(district.landed.total()), "", parts=parts)
