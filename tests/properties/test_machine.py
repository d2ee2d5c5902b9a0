"""The machine: whatever happens to a roster, the wire and the process, one clean run makes the directory what the oracle says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings

from syncd.demo.slapd import PrivateSlapd
from tests.conftest import NIGHTLY, fresh_base
from tests.properties.machine_life import HISTORY, Life, Night
from tests.properties.machine_world import SCRATCH, Directory, InMemory, InSlapd, moved_in, settle

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a dead process leaves half-done dies once more when it is collected."""

MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
IN_MEMORY, ON_SLAPD = (MACHINE, MACHINE) if NIGHTLY else (settings(MACHINE, max_examples=24), settings(MACHINE, max_examples=12))
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
