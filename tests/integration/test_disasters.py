"""Every named disaster against a small district in a real slapd (R29): nobody is wrongly touched, and people are told why.

The same code as `script/bench disasters`, which plays them against 60 campuses and 25,000 students.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.disasters import GROUPS, Disaster, play, registered
from bench.ground import REDUCED, Site, site
from syncd.demo.slapd import Binaries
from tests.conftest import NIGHTLY

ALL = registered()
PLAYED = ALL if NIGHTLY else ALL[::6]
"""By day one of three; `script/bench disasters` plays all of them at full size."""


@pytest.fixture(scope="module")
def here(slapd_binaries: Binaries) -> Iterator[Site]:
    """The district, set up once and put back before each disaster."""
    with tempfile.TemporaryDirectory(prefix="syncd-disasters-") as folder, site(slapd_binaries, Path(folder), REDUCED) as one:
        yield one


def test_there_are_enough_of_each_kind_and_each_says_what_it_guards_against() -> None:
    """At least thirty: ten of sources, six of targets' answers, four of settings, five of hosts, five of people."""
    counted = Counter(one.group for one in ALL)
    assert sum(counted.values()) >= 30
    assert {group: counted[group] >= least for group, least in zip(GROUPS, (10, 6, 4, 5, 5), strict=True)} == dict.fromkeys(
        GROUPS, True
    )
    told = [(one.id, part.__doc__) for one in ALL for part in (type(one), type(one).strike, type(one).benign)]
    assert [name for name, text in told if not text] == []
    assert len({one.id for one in ALL}) == len(ALL)


@pytest.mark.parametrize("disaster", PLAYED, ids=lambda one: one.id)
def test_nobody_is_wrongly_touched_and_the_reason_is_told(here: Site, disaster: Disaster) -> None:
    """Read back with ldapsearch; the truly changed of other campuses are updated; the benign twin is not held."""
    outcome = play(here, disaster)
    assert outcome.problems == ()
    assert outcome.wrongly_touched == 0
