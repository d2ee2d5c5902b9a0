"""Real `kill -9` of a syncing process, again and again, while it plans or applies some hundred changes to a real slapd (R30).

A district lives through several rosters. Under each, `python -m syncd` is started and killed a few times, now while it plans, now
while it applies; then it is let through once, and the directory must be what the naive oracle says (R29). A hundred kills of runs
of two thousand changes are `script/bench kills`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest

from syncd.demo.slapd import PrivateSlapd
from tests.conftest import NIGHTLY, fresh_base
from tests.hunted import APPLYING, PLANNING, hunt, hunted
from tests.properties.machine_world import InSlapd

KILLS = 20 if NIGHTLY else 7


def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, slapd: PrivateSlapd, capsys: pytest.CaptureFixture[str]) -> None:
    """Killed again and again, the run that is let through makes the directory right: no account or name twice, no letter lost."""
    with hunted(tmp_path / "district", InSlapd(slapd, fresh_base(slapd)), slapd) as district:
        hunt(district, KILLS, Random(20))
        with capsys.disabled():
            sys.stdout.write(f"\n{district.story()}\n")
        assert {PLANNING, APPLYING} <= district.landed.keys()
        assert any(district.in_doubt)
