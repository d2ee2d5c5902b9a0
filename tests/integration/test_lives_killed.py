"""Killed with signal 9 while somebody is forgotten: they are wholly there or wholly gone, and the same verb ends it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.store import Store
from syncd.vault import Vault
from tests.conftest import NIGHTLY
from tests.integration.postgres import PrivatePostgres
from tests.integration.test_lives import ANA, BO, everything_in, settle

EVERY = 1 if NIGHTLY else 9
"""Of so many instants one is died at; the last two, around the commit, always."""

FORGETS = """
import os, signal, sys
from datetime import UTC, datetime
from sqlalchemy import event
from syncd.store import Store
from syncd.vault import Vault
from tests import crash
now = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
def hit(self, kind):
    self.events.append(kind)
    if len(self.events) == self.at:
        os.kill(os.getpid(), signal.SIGKILL)
crash.Recorder.hit = hit
def forgets(url, at):
    store = Store.open(url, Vault(b"k" * 32))
    event.listen(store._engine, "before_cursor_execute", lambda *_: crash.boundary("statement"))
    with crash.recorded(at) as recorder:
        store.lives.forget("p1", "root (uid 0)", "left", now)
    return recorder.events
for line in sys.stdin:
    url, at = line.split()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, " ".join(one.replace(" ", "_") for one in forgets(url, int(at))).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), os.read(reading, 65536).decode(), flush=True)
    os.close(reading)
"""
"""Forgets the first person in a child of its own for each line, and has it die at the instant the line says; 0 is never."""


@dataclass
class Forgetter:
    """A process that forgets, and dies of it when it is told to."""

    process: subprocess.Popen[str]

    def forget(self, url: str, at: int = 0) -> tuple[int, list[str]]:
        """How the child ended, and the instants it went through if it lived."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{url} {at}\n")
        self.process.stdin.flush()
        code, *instants = self.process.stdout.readline().split()
        return int(code), [one.replace("_", " ") for one in instants]


@pytest.fixture(scope="module")
def forgetter() -> Iterator[Forgetter]:
    """One for all tests: it is the program's start that takes long."""
    command = [sys.executable, "-W", "ignore", "-c", FORGETS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Forgetter(process)


@contextmanager
def opened(url: str) -> Iterator[Store]:
    """The store, as the next process has it."""
    store = Store.open(url, Vault(b"k" * 32))
    try:
        yield store
    finally:
        store.close()


def is_there(store: Store) -> bool:
    """Whether the first person is wholly there; else they must be wholly gone."""
    there = {word in everything_in(store) for word in ANA}
    assert len(there) == 1, "some of a person is gone and some is not"
    return there == {True}


def killed_and_looked_at(forgetter: Forgetter, url: str, at: int, before: str) -> bool:
    """Whether the person was still there after the kill; either way the chain verifies, and the same verb ends it."""
    assert forgetter.forget(url, at)[0] == -signal.SIGKILL
    with opened(url) as store:
        there = is_there(store)
        if there:
            assert everything_in(store) == before
        assert store.audit.verify().problems == ()
    return there


def test_a_kill_while_forgetting_leaves_all_or_nothing(forgetter: Forgetter, tmp_path: Path, migrated_file: bytes) -> None:
    """At each statement of it and around its commit, on SQLite; in the file and its log, too, once anybody has looked."""
    kept = tmp_path / "kept.db"
    kept.write_bytes(migrated_file)
    with opened(f"sqlite:///{kept}") as store:
        settle(store)
        before = everything_in(store)
    shutil.copy(kept, tmp_path / "0.db")
    code, instants = forgetter.forget(f"sqlite:///{tmp_path}/0.db")
    assert code == 0
    decided = instants.index("commit: after") + 1  # the first commit that is not a look
    assert instants[decided - 2 : decided] == ["commit: before", "commit: after"]
    assert decided > 20
    ends = {True: 0, False: 0}
    for at in sorted({*range(1, len(instants) + 1, EVERY), decided - 1, decided, len(instants)}):
        file = tmp_path / f"{at}.db"
        shutil.copy(kept, file)
        with opened(f"sqlite:///{file}") as daemon:  # which keeps the log from being taken in by whoever goes last
            there = killed_and_looked_at(forgetter, f"sqlite:///{file}", at, before)
            assert there == (at < decided), instants[at - 1]
            ends[there] += 1
            if there:
                assert forgetter.forget(f"sqlite:///{file}")[0] == 0
            in_files = b"".join(path.read_bytes() for path in tmp_path.glob(f"{at}.db*"))
            assert [word for word in ANA if word.encode() in in_files] == [], instants[at - 1]
            assert not is_there(daemon)
            assert daemon.audit.verify().problems == ()
            assert BO[1] in everything_in(daemon)
    assert all(ends.values()), ends


def test_a_kill_while_forgetting_on_postgresql_leaves_all_or_nothing(
    forgetter: Forgetter, postgres: PrivatePostgres, migrated_database: str
) -> None:
    """The server takes back what a dead connection did not commit, and nothing else."""
    kept = postgres.fresh(migrated_database)
    with opened(kept) as store:
        settle(store)
        before = everything_in(store)
    name = kept.removeprefix("postgresql+psycopg:///").partition("?")[0]
    code, instants = forgetter.forget(postgres.fresh(name))
    decided = instants.index("commit: after") + 1
    assert (code, decided > 20) == (0, True)
    for at in range(1, len(instants) + 1) if NIGHTLY else (decided // 2, decided - 1, decided):
        url = postgres.fresh(name)
        there = killed_and_looked_at(forgetter, url, at, before)
        assert there == (at < decided), instants[at - 1]
        if there:
            assert forgetter.forget(url)[0] == 0
        with opened(url) as store:
            assert not is_there(store)
            assert store.audit.verify().problems == ()
            assert BO[1] in everything_in(store)
