"""A district whose every run is a real process on a real slapd, to be killed or to meet with other trouble.

It is well when the directory is what the naive oracle says (R29), read back with `ldapsearch`. The instants of a hunt are drawn
from a seed; what a process is at when the signal arrives is the machine's business, and is read from the store afterwards.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from select import select
from signal import SIGKILL
from typing import IO

from syncd.cli.exits import Exit
from syncd.core.model import Kind
from syncd.demo.slapd import PrivateSlapd
from syncd.settings import Config, load
from tests.conftest import run_as
from tests.oracle import fold
from tests.properties.machine_life import Life, Night, differences
from tests.properties.machine_model import EDITS, One, Town
from tests.properties.machine_world import Entry, InSlapd, settle

PACE = 0.001  # seconds: about what a change takes
PATIENCE = 120.0  # seconds: no run takes so long, however busy the machine is

PLANNING, CREATING, APPLYING = "planning", "creating accounts", "applying"
CREATE, KINDS = str(Kind.CREATE), {str(kind) for kind in Kind}
AIMS = ((CREATING, APPLYING, PLANNING), (CREATING, PLANNING, APPLYING), (PLANNING, CREATING, APPLYING))
"""What the processes of one roster shall be at when they are killed. Creating is a part of applying: first passwords hang on it."""


@dataclass(frozen=True)
class Size:
    """How large a district is, and how much happens to it before each roster."""

    people: int = 40
    newcomers: int = 12
    edits: int = 10


# --- processes --------------------------------------------------------------------------------------------------------

WARM = """
import json, os, runpy, sys
import sqlalchemy.dialects.sqlite
import syncd.assembly, syncd.cli.asking, syncd.cli.console, syncd.cli.letters, syncd.cli.plans
import syncd.sources.oneroster_csv, syncd.targets.ldap
for line in sys.stdin:
    arguments, output = json.loads(line)
    process = os.fork()
    if not process:
        for stream in (1, 2):
            os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.argv = ["syncd", *arguments]
        runpy.run_module("syncd", run_name="__main__", alter_sys=True)
        sys.exit()
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
"""Runs `python -m syncd` once for each line, each time in a new process; what takes longer than a run, it has imported before."""


class Process:
    """A process of syncd."""

    def __init__(self, pid: int, answers: IO[str], output: Path) -> None:
        self.pid = pid
        self._answers, self._output = answers, output
        self._code: int | None = None

    def ended(self, within: float = 0.0) -> int | None:
        """What it ended with, as `subprocess` tells it; None where it still runs after so many seconds."""
        if self._code is None and select([self._answers], [], [], within)[0]:
            self._code = int(self._answers.readline())
        return self._code

    def waiting(self) -> Iterator[None]:
        """Every millisecond until it ends."""
        end = time.monotonic() + PATIENCE
        while self.ended(within=0.001) is None:
            assert time.monotonic() < end, "a run does not end"
            yield

    def kill(self) -> int:
        """Kill it, if it has not ended; what it ended with."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, SIGKILL)
        code = self.ended(PATIENCE)
        assert code is not None
        return code

    def said(self) -> str:
        """What it printed; nothing where it has only just begun."""
        return self._output.read_text(encoding="utf-8") if self._output.exists() else ""


class Processes:
    """Where the processes of one district come from, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._source = subprocess.Popen([sys.executable, "-c", WARM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Process]:
        """A process that runs the verb; it is gone at the end, killed if need be."""
        assert self._source.stdin is not None
        assert self._source.stdout is not None
        output = self._folder / "said.txt"
        output.unlink(missing_ok=True)
        command = ["--config", str(self._folder), *arguments]
        self._source.stdin.write(json.dumps([command, str(output)]) + "\n")
        self._source.stdin.flush()
        process = Process(int(self._source.stdout.readline()), self._source.stdout, output)
        try:
            yield process
        finally:
            process.kill()

    def close(self) -> None:
        """No more of them."""
        with self._source:
            self._source.kill()


# --- a district of today ----------------------------------------------------------------------------------------------


def zone_where_it_is_noon(now: datetime) -> tuple[str, date]:
    """A time zone in which no midnight comes during the test, and the date there: the clock of a process is the real one."""
    east = 12 - now.hour
    return f"Etc/GMT{-east:+d}", (now + timedelta(hours=east)).date()


class TownOfToday(Town):
    """The town in a school year that is running now."""

    size = Size()

    def new(self, draw: Random, *, student: bool, start: date | None = None) -> One:
        """Somebody new; from the hundredth on born on a day of their own, or in a large town too many would resemble each other."""
        one = super().new(draw, student=student, start=start)
        if one.birth and self.minted > 100:
            one.birth = f"{date(2011, 1, 1) + timedelta(days=self.minted)}"
        return one

    def _tables(self) -> dict[str, list[list[str]]]:
        rows = super()._tables()
        begin, end = self.today - timedelta(days=60), self.today + timedelta(days=200)
        rows["academicSessions"] = [["year", "", "", "Year", "schoolYear", f"{begin}", f"{end}", "", f"{end.year}"]]
        return rows

    def changes(self, draw: Random, number: int) -> None:
        """A busy hour: the campuses are renumbered, which everybody feels, some people come, and this and that happens."""
        for nth, school in enumerate(self.schools.values()):
            school[0] = f"{100 * (nth + 2) + number}"
        for _ in range(self.size.newcomers):
            self.new(draw, student=draw.random() < 0.8)
        for _ in range(self.size.edits):
            draw.choice(EDITS)(self, draw)


# --- what the store shows to somebody who looks on --------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """The newest run, its status, and how many changes of each kind are planned and journalled."""

    run: int = 0
    status: str = ""
    planned: Counter[str] = field(default_factory=Counter)
    journalled: Counter[str] = field(default_factory=Counter)


class Onlooker:
    """Reads the store beside a running process, without a lock that it could feel."""

    def __init__(self, file: Path) -> None:
        self._store = sqlite3.connect(f"file:{file}?mode=ro", uri=True, isolation_level=None)

    def close(self) -> None:
        """Look away."""
        self._store.close()

    def newest(self) -> Seen:
        """The newest run."""
        row = self._store.execute("SELECT seq, status, summary FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
        if row is None:
            return Seen()
        planned = Counter({kind: number for kind, number in json.loads(row[2]).items() if kind in KINDS})
        journalled = self._store.execute("SELECT kind, COUNT(*) FROM journal WHERE run = ? GROUP BY kind", row[:1])
        return Seen(row[0], row[1], planned, Counter(dict(journalled.fetchall())))

    def in_doubt(self) -> Counter[str]:
        """How many changes of each kind are journalled without an outcome."""
        open_ones = "SELECT kind, COUNT(*) FROM journal WHERE seq NOT IN (SELECT seq FROM outcomes) GROUP BY kind"
        return Counter(dict(self._store.execute(open_ones).fetchall()))

    def running(self) -> list[int]:
        """The runs that are called running."""
        return [seq for (seq,) in self._store.execute("SELECT seq FROM runs WHERE status IN ('planning', 'applying')")]


@contextmanager
def looking_on(config: Config) -> Iterator[Onlooker]:
    """An onlooker for a while."""
    with closing(Onlooker(config.state / "syncd.db")) as onlooker:
        yield onlooker


# --- a district whose processes are killed ----------------------------------------------------------------------------


class Hunted(Life):
    """A district on a slapd whose every run is a real process; most of them are killed."""

    directory: InSlapd
    town: TownOfToday

    def __init__(
        self, config: Config, server: PrivateSlapd, directory: InSlapd, today: date, processes: Processes, size: Size
    ) -> None:
        super().__init__(config.folder, config, directory)
        self.server = server
        self.processes = processes
        self.town = TownOfToday.founded(size.people)
        self.town.today, self.town.size = today, size
        self.holders: set[str] = set()  # employee numbers of those whose first password was handed out
        self.landed: Counter[str] = Counter()
        self.in_doubt: list[Counter[str]] = []  # what was sent and not answered, after each kill
        self.planned: list[int] = []  # changes of each run that was killed
        self.looked_up = 0  # of these, by `syncd resume`
        self.bound = 0  # first passwords that were tried
        self.seconds_of_planning = 0.0

    # --- processes ---

    def through(self, *arguments: str) -> str:
        """A run that ends by itself and in good order; what it prints."""
        with self.processes.start(*arguments) as process:
            ended = process.ended(PATIENCE)
            assert ended == Exit.DONE, f"syncd {' '.join(arguments)} ended with {ended}: {process.said()}"
            return process.said()

    @contextmanager
    def at_work(self, *arguments: str) -> Iterator[Process]:
        """A process that has just taken the lock, and begins to work."""
        lock = self.config.state / "run.lock"
        with self.processes.start(*arguments) as process:
            for _ in process.waiting():
                if lock.exists() and lock.read_text() == f"process {process.pid}":
                    break
            yield process

    def plan(self) -> str:
        """The first plan, let through with a watch in hand; its name."""
        with looking_on(self.config) as onlooker, self.at_work("plan") as process:
            begun = time.monotonic()
            for _ in process.waiting():
                if onlooker.newest().status == "held":  # the first apply is explicit (R14)
                    break
            self.seconds_of_planning = time.monotonic() - begun
            assert process.ended(PATIENCE) == Exit.DONE, process.said()
            return f"r{onlooker.newest().run}"

    def kill(self, aim: str, draw: Random, *arguments: str) -> bool:
        """Start a process and kill it at a random instant of planning or applying; False where it had ended before."""
        with looking_on(self.config) as onlooker:
            before = onlooker.newest().run
            with self.at_work(*arguments) as process:
                if aim == PLANNING:
                    time.sleep(draw.random() * self.seconds_of_planning)
                else:
                    self._await(aim, process, onlooker, before, draw)
                ended = process.kill()
            if ended != -SIGKILL:
                assert ended == Exit.DONE, process.said()
                return False
            seen = onlooker.newest()
            self.in_doubt.append(onlooker.in_doubt())
            if seen.run != before and seen.planned:
                self.planned.append(seen.planned.total())
        self.landed["before its run began" if seen.run == before else APPLYING if seen.status == APPLYING else PLANNING] += 1
        self._look()
        return True

    @staticmethod
    def _await(aim: str, process: Process, onlooker: Onlooker, before: int, draw: Random) -> None:
        """Until a random one of the planned changes, or the creates, are journalled, and for a random part of what they take."""
        place, part = draw.random(), draw.random()
        earlier = 0
        for _ in process.waiting():
            seen = onlooker.newest()
            if seen.run == before or seen.status != APPLYING:
                continue
            journalled = seen.journalled.total()
            creates = aim == CREATING and seen.planned[CREATE] > 0
            if seen.journalled[CREATE] > 0 if creates else journalled >= place * seen.planned.total():
                time.sleep(part * PACE * (journalled - earlier))
                return
            earlier = journalled

    def resume(self) -> None:
        """What is in doubt is looked up on the target, all of it, and nothing stays open."""
        with looking_on(self.config) as onlooker:
            doubtful = onlooker.in_doubt().total()
            told = self.through("resume")
            assert told.startswith(f"looked {doubtful:,} unanswered changes up" if doubtful else "no run was interrupted")
            assert not onlooker.in_doubt()
        self.looked_up += doubtful

    def story(self) -> str:
        """What the kills hit, in words."""
        hit = ", ".join(f"{number} {place}" for place, number in sorted(self.landed.items()))
        doubtful = [one for one in self.in_doubt if one]
        most = max((one.total() for one in doubtful), default=0)
        return (
            f"{self.landed.total()} kills landed: {hit}. {len(doubtful)} left changes in doubt, "
            f"{most} at most, {sum(one[CREATE] > 0 for one in doubtful)} of them creates; "
            f"resume looked {self.looked_up} up. {len(self.holders)} first passwords, {self.bound} tried and good"
        )

    # --- what must hold ---

    def is_right(self) -> None:
        """The directory is what the oracle says; every new account has exactly one first password, and it opens the account."""
        found = self._look()
        wrong = list(differences(dict(self.oracle.answer.accounts), found, self.oracle, self.town.today))
        assert not wrong, "\n".join(wrong)
        self._letters(found)

    def _letters(self, found: dict[str, Entry]) -> None:
        new = {entry.uid: number for number, entry in found.items() if number not in self.holders}
        if not new:
            return
        path = self.folder / f"letters-{len(self.holders)}.csv"
        told = self.through("letters", "--csv", str(path))
        assert told.startswith(f"wrote {len(new):,} first passwords"), told
        with path.open(encoding="utf-8-sig", newline="") as file:
            letters = [(row["account"], row["password"]) for row in csv.DictReader(file)]
        assert sorted(uid for uid, _ in letters) == sorted(new)
        for uid, password in letters:
            entry = found[new[uid]]
            if entry.enabled:  # nobody can bind to a locked account, whatever its password
                dn = f"uid={entry.uid},{entry.container},{self.directory.base}"
                bound = run_as(self.server, dn, password, "ldapwhoami")
                assert bound.returncode == 0, f"the first password of {uid} opens nothing: {bound.stderr}"
                self.bound += 1
        self.holders |= set(new.values())

    def has_settled(self) -> None:
        """Nothing is left to do, and nothing of the killed is left: no run, no half-written copy, no name that nobody has."""
        assert self.through("sync", "--reconcile") == "ldap: nothing to do\n"
        with looking_on(self.config) as onlooker:
            assert not onlooker.running()
        assert not list(self.config.spools.glob("*/.partial-*"))
        self.through("audit", "verify")  # the chain of what was intended and what came of it holds (R24)
        names = [row["name"] for row in json.loads(self.through("ledger", "--json"))]
        assert sorted(names) == sorted(fold(entry.uid) for entry in self.directory.entries())


@contextmanager
def hunted(folder: Path, directory: InSlapd, server: PrivateSlapd, size: Size = Size()) -> Iterator[Hunted]:
    """A settled district on a part of a real slapd's tree, in a time zone where midnight is far."""
    settle(folder, directory)
    zone, today = zone_where_it_is_noon(datetime.now(UTC))
    settings = folder / "config" / "syncd.yaml"
    text, found = re.subn(r"(?m)^  timezone: .*$", f'  timezone: "{zone}"', settings.read_text(encoding="utf-8"))
    assert found == 1
    settings.write_text(text, encoding="utf-8")
    with closing(Processes(folder)) as processes:
        yield Hunted(load(folder), server, directory, today, processes, size)


def hunt(district: Hunted, kills: int, draw: Random) -> None:
    """Kill its processes so often; under each roster one is let through, after which the directory must be right."""
    district.prepare(Night(days=0), first=True)
    command = ["apply", district.plan(), "--first"]
    for number in range(1, kills + 5):  # rosters: less than half are needed, and more where a process was quicker than its killer
        for aim in draw.choice(AIMS):
            if district.landed.total() == kills or not district.kill(aim, draw, *command):
                break  # it was quicker, and has done everything: on to the next roster
        if number % 2 == 0:
            district.resume()
        district.through(*command)
        district.is_right()
        if district.landed.total() == kills:
            break
        district.town.changes(draw, number)
        district.prepare(Night(days=0))
        command = ["sync"] if number % 3 else ["sync", "--reconcile"]
    assert district.landed.total() == kills
    district.has_settled()
