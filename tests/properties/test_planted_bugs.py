"""The machine is worth what it catches: bugs planted in syncd one by one, each of which it must see."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, find, settings

from tests.conftest import NIGHTLY
from tests.properties.machine_bugs import BUGS, Bug, planted
from tests.properties.machine_life import HISTORY, Life, Night
from tests.properties.machine_world import SCRATCH, InMemory, moved_in, settle

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a dead process leaves half-done dies once more when it is collected."""

SOUGHT = [bug for bug in BUGS if NIGHTLY or 0 < bug.after < 10]
"""The bugs that random histories must find: all of them nightly, else those that the first two or so show."""

SEARCH = settings(
    max_examples=300,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

Lives = Callable[[Sequence[Night]], None]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    """Lets one settled district in memory live through nights, from the same beginning every time."""
    with TemporaryDirectory(prefix="syncd-bugs-", dir=SCRATCH) as name:
        settled, folder = Path(name) / "settled", Path(name) / "district"
        settle(settled, InMemory())
        config = moved_in(settled, folder, InMemory())

        def live(nights: Sequence[Night]) -> None:
            shutil.rmtree(folder)
            shutil.copytree(settled, folder)
            directory = InMemory()
            Life(folder, config, directory).live(nights)

        yield live


def _named(bug: Bug) -> str:
    return bug.mistake.replace(" ", "-")


@pytest.mark.parametrize("bug", BUGS, ids=_named)
def test_a_planted_bug_is_caught(lives: Lives, bug: Bug) -> None:
    """With the bug in syncd, the machine complains of just what the bug does to the directory."""
    with planted(bug), pytest.raises(AssertionError, match=bug.complaint):
        lives(bug.history)


@pytest.mark.parametrize("bug", {bug.history: bug for bug in BUGS}.values(), ids=_named)
def test_without_the_bug_the_same_history_is_well(lives: Lives, bug: Bug) -> None:
    """What is complained of is the bug's doing, not the history's."""
    lives(bug.history)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("bug", SOUGHT, ids=_named)
def test_random_histories_find_a_planted_bug(lives: Lives, bug: Bug) -> None:
    """The machine's own random histories come upon the bug, 300 of them at most, and what they found is well without it."""
    tried: list[bool] = []  # whether each history was complained of; what is found is lived through once more at the end

    def complains(nights: list[Night]) -> bool:
        try:
            lives(nights)
        except AssertionError:
            tried.append(True)
        else:
            tried.append(False)
        return tried[-1]

    with planted(bug):
        found = find(HISTORY, complains, settings=SEARCH)
    print(f"caught after {tried.index(True) + 1} histories: {bug.mistake}")  # noqa: T201 — `-rP` shows what `after` is to say
    lives(found)
