"""A claim that dies at any boundary of its I/O leaves an account that is claimed, or one that can be claimed again (R30)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from syncd.core.lifecycle import State
from syncd.core.model import Change, Outcome
from syncd.engine.claiming import Accepted, Done, Refused
from syncd.store import Store
from syncd.targets import PasswordOf
from syncd.targets.memory import Memory
from tests.conftest import NIGHTLY
from tests.crash import INJECTED, Recorder, boundary, recorded
from tests.fixtures.claims import PASSWORD, claiming, claims_world, passwords, ticket, tries
from tests.fixtures.engine_world import World
from tests.properties.machine_world import SCRATCH

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""What a dead process leaves half-done dies once more when it is collected."""

AGAIN = "another kayak 62"
EVERY = 1 if NIGHTLY else 13
"""Of so many boundaries one is died at, and the first and last of what goes to the directory."""
WIRE = frozenset({"target: send", "target: answer"})


class AtTheWire(Memory):
    """The memory directory, whose questions and answers are boundaries as those of a server are."""

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """As the directory does, if the process lives so long."""
        for change in changes:
            boundary("target: send")
            outcomes = list(super().apply(iter([change]), password))
            boundary("target: answer")
            yield from outcomes


@contextmanager
def again(kept: World, memory: Memory, folder: Path) -> Iterator[World]:
    """The same district at the same moment, in the folder it has always been in."""
    shutil.rmtree(kept.state)
    shutil.copytree(folder, kept.state)
    for part in ("accounts", "groups", "containers", "passwords", "_places", "_minted"):
        setattr(kept.memory, part, deepcopy(getattr(memory, part)))
    store = Store.open(kept.config.store, kept.vault)
    try:
        yield World(kept.folder, kept.roster, kept.config, kept.vault, store, kept.memory)
    finally:
        store.close()


def claimed(district: World, at: int = 0) -> Recorder:
    """Everything from the facts to the password; the process dies at this boundary."""
    with recorded(at) as recorder:
        desk = claiming(district)
        desk.set_password(ticket=ticket(desk), password=PASSWORD)
    return recorder


def healed(district: World, at: int) -> None:
    """The next process: whatever it is asked, or if it is only run, somebody gets in with a password they chose, and only one."""
    with recorded():  # of this process nothing is left: what it had open is closed
        store = Store.open(district.config.store, district.vault)
    after = World(district.folder, district.roster, district.config, district.vault, store, district.memory)
    after.clock.now = district.clock.now + timedelta(minutes=1)  # what the dead one held has run out
    try:
        if at % 2:
            after.sync()
        desk, person = claiming(after), after.person("s1")
        found = tries(desk)
        state = store.persons([person])[person]
        if isinstance(found, Accepted):
            done = desk.set_password(ticket=found.ticket, password=AGAIN)
            assert isinstance(done, Done), done
            assert passwords(after)["s1"] == (PASSWORD if done.earlier else AGAIN)
        else:
            assert (found, state.claimed) == (Refused(), True)
            assert passwords(after)["s1"] == PASSWORD
        assert after.account("s1").enabled
        assert isinstance(tries(desk), Refused)
        after.day(kind="reconcile")
        state = store.persons([person])[person]
        assert (state.state, state.claimed, after.account("s1").enabled) == (State.ACTIVE, True, True)
        assert len([entry for entry in store.audit.entries(person) if entry.kind == "claim"]) == 1
        assert not store.claims.waiting(after.clock()) + store.claims.kept(person, after.clock())
        assert not store.open_intentions()
        assert not store.audit.verify().problems
    finally:
        store.close()


def test_a_crash_at_every_boundary_of_a_claim_leaves_nobody_outside(capsys: pytest.CaptureFixture[str]) -> None:
    """Claimed with the password that was chosen, or to be claimed again; one entry in the audit, and no password kept."""
    with TemporaryDirectory(prefix="syncd-claims-", dir=SCRATCH) as name, claims_world(Path(name) / "district") as district:
        district.memory.__class__ = AtTheWire
        district.store.close()
        memory, folder = deepcopy(district.memory), Path(name) / "kept"
        shutil.copytree(district.state, folder)
        with again(district, memory, folder) as first:
            events = claimed(first).events
        assert set(events) <= INJECTED
        chosen = {at for at, kind in enumerate(events, 1) if kind in WIRE} | set(range(1, len(events) + 1, EVERY))
        for at in sorted(chosen):
            with again(district, memory, folder) as dying:
                assert claimed(dying, at).dead, at
                healed(dying, at)
        with capsys.disabled():
            sys.stdout.write(f"\na claim: {len(events)} boundaries, died at {len(chosen)} of them\n")
