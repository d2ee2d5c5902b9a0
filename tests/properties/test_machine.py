"""The machine: whatever happens to a roster, the wire and the process, one clean run makes the directory what the oracle says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from syncd.demo.slapd import PrivateSlapd
from syncd.engine import DELTA, RECONCILE
from tests.conftest import NIGHTLY, fresh_base
from tests.properties.machine_life import HISTORY, Life, Night
from tests.properties.machine_model import FAMILY, GIVEN, One, Town, enrols, is_renamed, returns, vanishes
from tests.properties.machine_world import SCRATCH, Directory, InMemory, InSlapd, moved_in, settle

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a dead process leaves half-done dies once more when it is collected."""

MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
IN_MEMORY, ON_SLAPD = (MACHINE, MACHINE) if NIGHTLY else (settings(MACHINE, max_examples=10), settings(MACHINE, max_examples=5))
"""By day so many histories as find each bug of `machine_bugs` that random ones are to find; by night as many as told."""


@pytest.fixture(scope="session")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settled district on the directory in memory, to be copied for every example."""
    folder = tmp_path_factory.mktemp("settled")
    settle(folder, InMemory())
    return folder


@pytest.fixture(scope="session")
def settled_on_slapd(tmp_path_factory: pytest.TempPathFactory, slapd: PrivateSlapd) -> Path:
    """A settled district on the session's slapd, to be copied for every example and given a part of the tree of its own."""
    folder = tmp_path_factory.mktemp("settled-on-slapd")
    settle(folder, InSlapd(slapd, "dc=BASE"))
    return folder


def lives(settled: Path, directory: Directory, nights: Sequence[Night]) -> None:
    """A district on this directory lives through these nights."""
    with TemporaryDirectory(prefix="syncd-machine-", dir=SCRATCH) as name:
        folder = Path(name) / "district"
        Life(folder, moved_in(settled, folder, directory), directory).live(nights)


@IN_MEMORY
@given(nights=HISTORY)
def test_one_clean_run_makes_the_directory_what_the_oracle_says(settled: Path, nights: list[Night]) -> None:
    """After any history, one clean run makes the directory right; no name is issued twice, no unreadable person is touched."""
    lives(settled, InMemory(), nights)


@ON_SLAPD
@given(nights=HISTORY)
def test_the_same_on_a_real_slapd(slapd: PrivateSlapd, settled_on_slapd: Path, nights: list[Night]) -> None:
    """The same on OpenLDAP, over TLS, read back with ldapsearch (R29)."""
    lives(settled_on_slapd, InSlapd(slapd, fresh_base(slapd)), nights)


# --- people who resemble each other -----------------------------------------------------------------------------------


def _twin(town: Town, draw: Random, like: One) -> None:
    """Somebody new, born on the same day and called the same."""
    one = town.new(draw, student=True)
    one.given, one.family, one.birth = like.given, like.family, like.birth


def number_is_used_again(town: Town, draw: Random) -> None:
    """A child has a new number, and the old one is another child's."""
    one = draw.choice([one for _, one in sorted(town.people.items()) if one.student])
    _twin(town, draw, one)
    one.given, one.family = draw.choice(GIVEN), draw.choice(FAMILY)


def twin_comes(town: Town, draw: Random) -> None:
    """Somebody new comes whom only the number tells from somebody else."""
    _twin(town, draw, draw.choice([one for _, one in sorted(town.people.items()) if one.student]))


def is_called_like(town: Town, draw: Random) -> None:
    """Somebody is told under the name of somebody else, with whom they share a birthday from now on."""
    one, like = (draw.choice([one for _, one in sorted(town.people.items()) if one.student]) for _ in range(2))
    one.given, one.family, one.birth = like.given[:2], like.family, like.birth


TWINS = (number_is_used_again, number_is_used_again, twin_comes, is_called_like, is_renamed, vanishes, returns, enrols)


@pytest.mark.parametrize("seed", range(100 if NIGHTLY else 4))
def test_who_resembles_whom_is_seen_by_the_oracle_and_by_syncd_alike(settled: Path, seed: int) -> None:
    """R35: names change in the same roster in which lookalikes appear, and in others; whoever is disputed has no account."""
    draw, directory = Random(seed), InMemory()
    with TemporaryDirectory(prefix="syncd-twins-", dir=SCRATCH) as name:
        folder = Path(name) / "district"
        life = Life(folder, moved_in(settled, folder, directory), directory)
        life.prepare(Night(), first=True)
        life.clean(DELTA)
        disputed = 0
        for _ in range(6):
            for _ in range(draw.randrange(5)):
                draw.choice(TWINS)(life.town, draw)
            life.prepare(Night())
            life.clean(draw.choice([DELTA, DELTA, RECONCILE]))
            disputed += len(life.oracle.answer.disputed)
        assert disputed > 0
