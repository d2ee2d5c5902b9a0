"""What `script/test` says of real servers at its end: how many tests ran against each, with one process or several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NIGHTLY, SERVERS

ROOT = Path(__file__).resolve().parents[2]
ON_BOTH = "tests/integration/test_store.py"
ON_ONE = "tests/integration/test_private_slapd.py::test_a_stopped_server_is_gone"
ON_NONE = "tests/unit/test_bench_suites.py::test_the_year_has_two_hundred_school_days"


@pytest.fixture(scope="module")
def on_both() -> str:
    """A test of the store that runs on SQLite and on PostgreSQL, for which nothing is named in its own arguments."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", ON_BOTH],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return next(line.partition("[")[0] for line in listed.splitlines() if line.endswith("[postgresql]"))


@pytest.mark.parametrize("processes", ["0", "2"] if NIGHTLY else ["2"])
def test_the_last_line_but_one_counts_the_tests_of_each_server(processes: str, on_both: str) -> None:
    """A database asked for by a fixture's parameter counts where it was used only; pytest's own summary stays the last line."""
    words = ["-q", "-n", processes, "-p", "no:cacheprovider", on_both, ON_ONE, ON_NONE]
    ran = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    *_, servers, last = ran.stdout.splitlines()
    assert last.startswith("4 passed")
    assert servers == "servers: of 4 tests 1 on slapd, 1 on PostgreSQL; 2 need none of these"


def test_nobody_starts_a_server_past_the_fixture_that_is_counted() -> None:
    """A module of tests that starts one asks for the fixture by name."""
    starts = {"PrivateSlapd(": "slapd_binaries", "PrivateSamba(": "samba_cache", "domain_site(": "samba_cache"}
    assert set(starts.values()) | {"postgres"} == SERVERS.keys()
    past = [
        f"{path.name}: {begin}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for begin, fixture in starts.items()
        if begin in (text := path.read_text("utf-8")) and f"{fixture}: " not in text and path != Path(__file__)
    ]
    assert past == []
