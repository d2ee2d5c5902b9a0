"""A process that dies at any boundary of its I/O loses nothing and doubles nothing (R30)."""

from __future__ import annotations

import gc
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from syncd.demo.slapd import PrivateSlapd
from syncd.engine import DELTA
from tests.conftest import NIGHTLY, fresh_base
from tests.crash import INJECTED, Crash, boundary, recorded
from tests.properties.machine_life import Life, Night
from tests.properties.machine_model import (
    EDITS,
    campus_renamed,
    class_renamed,
    enrols,
    exits,
    is_renamed,
    moves,
    vanishes,
)
from tests.properties.machine_world import SCRATCH, Directory, InMemory, InSlapd, moved_in, settle

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a dead process leaves half-done dies once more when it is collected."""

PEOPLE = 5
EVERY = {
    "the first night": 1 if NIGHTLY else 37,
    "the second night": 1 if NIGHTLY else 35,
    "the second night on slapd": 5 if NIGHTLY else 397,
}
"""Of so many boundaries of a run, one is died at, and the first and the last of each kind. Odd, as many come in pairs."""
WIRE = frozenset({"socket.getaddrinfo", "socket.connect", "wire: send", "wire: receive"})
"""What a run on a real server has besides what it has in memory."""

SECOND_NIGHT = Night(
    edits=tuple(
        (EDITS.index(edit), seed)
        for seed, edit in enumerate((enrols, moves, is_renamed, campus_renamed, vanishes, class_renamed, exits))
    )
)


@pytest.fixture(autouse=True)
def buried() -> Iterator[None]:
    """What the last of the dead had open is closed before the next test, which must not hear of it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder in memory, where there is room for it."""
    with TemporaryDirectory(prefix="syncd-crash-", dir=SCRATCH) as name:
        yield Path(name)


class Story:
    """A district just before one night's run. That night can be lived through again and again, from the same beginning."""

    def __init__(self, settled: Path, folder: Path, directory: Directory, *, second: bool) -> None:
        config = moved_in(settled, folder, directory)
        self.life = Life(folder, config, directory, PEOPLE)
        if second:
            self.life.prepare(Night(), first=True)
            self.life.clean(DELTA)
        self.life.prepare(SECOND_NIGHT, first=not second)

    def again(self) -> Story:
        """The same story at its beginning; this one is spoilt by it, for the state on the disk is the same place."""
        kept = self.life.folder / "kept"
        state = self.life.config.state
        if not kept.exists():
            shutil.copytree(state, kept)
        shutil.rmtree(state)
        shutil.copytree(kept, state)
        story = object.__new__(Story)
        story.life = Life.__new__(Life)
        story.life.__dict__.update({name: deepcopy(value) for name, value in vars(self.life).items() if name != "config"})
        story.life.config = self.life.config
        return story


def chosen(events: list[str], every: int, kinds: frozenset[str] = INJECTED) -> list[int]:
    """The boundaries to die at, counted from 1: each so many-th, and the first and last of each of these kinds."""
    first = {kind: at for at, kind in reversed([*enumerate(events, 1)]) if kind in kinds}
    last = {kind: at for at, kind in enumerate(events, 1) if kind in kinds}
    return sorted({*range(1, len(events) + 1, every), *first.values(), *last.values()})


def told(capsys: pytest.CaptureFixture[str], what: str, counts: Counter[str], tried: int) -> None:
    """The count of boundaries, for whoever reads the test's output."""
    kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(counts.items()))
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {counts.total()} boundaries, died at {tried} of them ({kinds})\n")


@pytest.mark.parametrize("second", [False, True])
def test_a_crash_at_every_boundary_loses_and_doubles_nothing(
    scratch: Path, capsys: pytest.CaptureFixture[str], *, second: bool
) -> None:
    """Killed at any boundary, a clean run makes the directory right; every kind of I/O has an injection point."""
    directory = InMemory()
    settle(scratch / "settled", directory)
    story = Story(scratch / "settled", scratch / "district", directory, second=second)
    recorder = story.again().life.run(DELTA)
    assert not recorder.unknown, f"audit events nobody has judged yet: {recorder.unknown}; see tests/crash.py"
    assert recorder.counts.keys() <= INJECTED
    what = "the second night" if second else "the first night"
    boundaries = chosen(recorder.events, EVERY[what])
    for at in boundaries:
        life = story.again().life
        assert life.run(DELTA, at=at).dead, f"boundary {at} was not reached"
        life.clean(DELTA)
    told(capsys, what, recorder.counts, len(boundaries))


def test_a_crash_at_boundaries_of_a_run_on_slapd(scratch: Path, slapd: PrivateSlapd, capsys: pytest.CaptureFixture[str]) -> None:
    """The same on a real server, where sends and receives are boundaries too."""
    settle(scratch / "settled", InSlapd(slapd, "dc=BASE"))

    def story(number: int) -> Life:
        return Story(scratch / "settled", scratch / str(number), InSlapd(slapd, fresh_base(slapd)), second=True).life

    recorder = story(0).run(DELTA)
    assert not recorder.unknown, f"audit events nobody has judged yet: {recorder.unknown}; see tests/crash.py"
    assert {"wire: send", "wire: receive", "socket.connect"} <= recorder.counts.keys() <= INJECTED
    boundaries = chosen(recorder.events, EVERY["the second night on slapd"], WIRE)
    for at in boundaries:
        life = story(at)
        life.run(DELTA, at=at)
        life.clean(DELTA)
    told(capsys, "the second night on slapd", recorder.counts, len(boundaries))


def test_a_dead_process_does_nothing_any_more(tmp_path: Path) -> None:
    """After the crash every further attempt dies as well, clean-up code included."""
    with recorded(1) as recorder:
        try:
            boundary("target: send")
        finally:
            with suppress(Crash):
                (tmp_path / "afterwards").write_text("written by a dead process")
    assert recorder.dead
    assert not (tmp_path / "afterwards").exists()


def test_io_that_nobody_has_judged_is_noticed(tmp_path: Path) -> None:
    """An event that is neither injected nor known to be harmless is told, so that no new kind of I/O slips in."""
    with recorded() as recorder:
        (tmp_path / "link").symlink_to(__file__)
    assert recorder.unknown == {"os.symlink"}
