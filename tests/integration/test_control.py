"""Operators and a real daemon: other users of the machine ask over its socket, and get what their groups give them (R15, R39)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pytest

from syncd.assembly import opened_store
from syncd.cli.actor import actor
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.slapd import PrivateSlapd
from syncd.demo.tour import SOURCE, TARGET, write_roster
from syncd.engine.approving import AUTHOR
from syncd.settings import load
from tests.integration.test_daemon import WIDE, edit, numbers, of_today, serving, settled, syncd, waited_for

AS_SOMEBODY = """
import _strptime, io, json, os, sys
import syncd.cli.reach, syncd.cli.decide, syncd.cli.dispute_file, syncd.cli.watch, syncd.daemon.timing  # read while it may
from syncd.cli import main
for line in sys.stdin:
    user, group, login, *words = json.loads(line)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout = sys.stderr = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8", write_through=True)
        if login is not None:
            with open("/proc/self/loginuid", "w") as file:
                file.write(str(login))
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
        os.chdir("/")
        os._exit(main(words))
    os.close(writing)
    with open(reading, encoding="utf-8") as file:
        told = file.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.wait()[1]), told]), flush=True)
"""
DAEMON, BIN, GAMES, MAIL, MAN = (1, 1), (2, 2), (5, 60), (8, 8), (6, 12)  # Debian's own users and groups, the same everywhere
NARROW = "{ percent: 100, at_least: 100000, campus_percent: 5, campus_at_least: 5 }"


@dataclass
class Room:
    """A district's folder, which only root reads, the folder of the daemon's socket, and a process that becomes other users."""

    folder: Path
    runtime: Path
    others: subprocess.Popen[str]

    def ask(self, who: tuple[int, int], *words: str, login: int | None = None) -> tuple[int, str]:
        """One call of `syncd` by this user in this group: its exit code, and what it printed."""
        assert self.others.stdin is not None
        assert self.others.stdout is not None
        self.others.stdin.write(json.dumps([*who, login, "--config", str(self.folder), *words]) + "\n")
        self.others.stdin.flush()
        code, told = json.loads(self.others.stdout.readline())
        return code, told


@pytest.fixture
def district() -> District:
    """A small district."""
    return of_today(60, 8)


@pytest.fixture
def room(tmp_path: Path, own_slapd: PrivateSlapd, district: District, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """A district most of whose students were never told of yet, and where few may come at once."""
    if os.getuid() != 0:
        pytest.fail("other users of this machine are played by root: run this test as root")
    folder = settled(tmp_path / "d", own_slapd, district)
    write_roster(district, folder / "roster")
    edit(folder, f"create: {WIDE}", f"create: {NARROW}")
    for role, group in (("view", "man"), ("operate", "mail"), ("approve", "daemon")):
        edit(folder, f"{role}: syncd-{role}", f"{role}: {group}")
    edit(folder, "approvers: 1", "approvers: 2")
    folder.chmod(0o700)
    runtime = Path(tempfile.mkdtemp(prefix="syncd-run-"))
    runtime.chmod(0o755)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    command, environment = [sys.executable, "-c", AS_SOMEBODY], {**os.environ, "SYNCD_SOCKET": str(runtime / "control.sock")}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as others:
        yield Room(folder, runtime, others)
    shutil.rmtree(runtime)


WORDS = ("approve", "r3", "--because", "the new school opens")


def test_two_humans_approve_over_the_socket_and_the_daemon_does_it_soon(room: Room, own_slapd: PrivateSlapd) -> None:
    """R15, R39: from a run that is held to the accounts in the directory, each step by whom it takes and by nobody else."""
    before = len(numbers(own_slapd))
    with serving(room.folder) as service:
        assert room.ask(MAN, "run-now")[0] == Exit.NO_PERMISSION
        assert room.ask(MAIL, "run-now", "nowhere")[0] == Exit.USAGE
        assert room.ask(MAIL, "run-now")[0] == Exit.DONE
        waited_for(lambda: service.logged("run.ended"))
        whoever_may_look_sees_what_is_held(room)
        whoever_may_not_approve_is_told_why(room)
        one_human_is_one(room)
        assert any(text.startswith("approvals: ") for text in service.reasons())
        assert len(numbers(own_slapd)) == before
        code, told = room.ask((BIN[0], DAEMON[1]), *WORDS)
        assert (code, "bin (uid 2) lets" in told) == (Exit.DONE, True)
        waited_for(lambda: len(service.logged("run.ended")) == 2)
        assert service.logged("run.planned")[-1]["trigger"] == "approval of r3"
        assert room.ask(MAN, "holds") == (Exit.DONE, "nothing is held back\n")
        assert len(numbers(own_slapd)) > before + 30
        assert not [line for line in service.log if "Traceback" in str(line) or line["event"] == "control.failed"]


def whoever_may_look_sees_what_is_held(room: Room) -> None:
    """By cell, by name if asked; whoever is in no group is told nothing."""
    code, told = room.ask(MAN, "holds")
    assert code == Exit.HELD
    assert "create, campus" in told
    assert "let them go with: syncd approve r3" in told
    code, named = room.ask(MAN, "holds", "--persons")
    assert code == Exit.HELD
    assert len(named.splitlines()) > len(told.splitlines()) + 30
    code, told = room.ask(GAMES, "holds")
    assert (code, "games (uid 5) is in none of the groups" in told) == (Exit.NO_PERMISSION, True)
    assert room.ask(MAN, "status")[1].startswith("SYNCD CRITICAL - ")


def whoever_may_not_approve_is_told_why(room: Room) -> None:
    """Not the operator, nor anybody under files that nobody answers for, nor whoever asked for the run or took the files up."""
    code, told = room.ask(MAIL, *WORDS)
    assert (code, "may not approve: that takes the group named in `control.approve`" in told) == (Exit.NO_PERMISSION, True)
    code, told = room.ask(DAEMON, *WORDS)
    assert (code, "whoever answers for it runs: syncd reload" in told) == (Exit.NO_PERMISSION, True)
    code, told = room.ask(MAIL, "reload")
    assert (code, "mail (uid 8) answers for them" in told) == (Exit.DONE, True)
    waited_for(lambda: "syncd reload" not in room.ask((MAIL[0], DAEMON[1]), *WORDS)[1])
    code, told = room.ask((MAIL[0], DAEMON[1]), *WORDS)  # as a member of both groups
    assert (code, "mail (uid 8) asked for r3" in told) == (Exit.NO_PERMISSION, True)


def one_human_is_one(room: Room) -> None:
    """The first approval is shown, and lets nothing go; the same human as root is no second one, and root by itself is nobody."""
    assert "1 of 2 have approved it" in room.ask(DAEMON, *WORDS)[1]
    code, told = room.ask((0, 0), *WORDS, login=DAEMON[0])
    assert (code, "daemon (uid 1) approves" in told, "1 of 2 have" in told) == (Exit.DONE, True, True)
    code, told = room.ask((0, DAEMON[1]), *WORDS)
    assert (code, "behind which anybody may stand" in told) == (Exit.NO_PERMISSION, True)
    assert "(1 of 2)" in room.ask(MAN, "holds")[1]


def test_operators_undo_reject_and_reload_and_a_killed_daemon_leaves_nothing_in_the_way(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad file is told with its line; a kill leaves the socket's file, and the author is known to the next daemon (R39)."""
    with serving(room.folder) as service:
        assert room.ask(MAIL, "undo", "r2")[0] == Exit.DONE
        assert room.ask(MAIL, "apply", "r3")[0] == Exit.NO_PERMISSION
        assert room.ask(DAEMON, "unlock", "s1", "--because", "x")[0] == Exit.NO_PERMISSION
        assert room.ask((0, 0), "unlock", "s1", "--because", "x")[0] == Exit.NO_PERSON  # nobody by that key, but root may ask
        assert "whoever answers for it runs" in room.ask(DAEMON, "apply", "r3")[1]
        code, told = room.ask(MAIL, "reject", "r3", "--because", "it was right")
        assert (code, "plan r3 is rejected" in told) == (Exit.DONE, True), told
        assert room.ask(MAIL, "reload")[0] == Exit.DONE
        waited_for(lambda: author(room).endswith("mail (uid 8)"))
        assert room.ask(MAIL, "undo", "r2", "--kind", "update")[0] == Exit.DONE
        code, told = room.ask(DAEMON, "apply", "r4")
        assert (code, "ldap: 7 refer" in told) == (Exit.DONE, True), told
        edit(room.folder, "approvers: 2", "approvers: 3")
        code, told = room.ask(MAIL, "reload")
        assert (code, "config/syncd.yaml:" in told) == (Exit.CONFIG, True)
        edit(room.folder, "approvers: 3", "approvers: 2")
        service.end(signal.SIGKILL)
    assert (room.runtime / "control.sock").is_socket()
    code, told = room.ask(MAIL, "release", "s1")
    assert (code, "no daemon answers at" in told) == (Exit.UNAVAILABLE, True)  # and the store is not theirs to open
    the_same_groups_count_without_a_daemon(room, capsys)
    with serving(room.folder) as service:
        assert room.ask(MAN, "holds")[0] == Exit.DONE
        assert author(room).endswith("mail (uid 8)")
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: author(room).endswith("unknown (signal)"))


def test_what_people_decide_goes_over_the_socket_by_right_and_in_their_name(room: Room) -> None:
    """R39: each verb by whoever has its group, with words naming the group for everybody else; what is done is theirs by name."""
    edit(room.folder, "unlock: syncd-unlock", "unlock: games")
    key = a_student(room)
    until, why = ("--until", f"{date.today() + timedelta(days=9)}"), ("--because", "a good reason")  # noqa: DTZ011 — any day to come
    by_right = {
        MAIL: [("lock", key, *why), ("retry", "--target", "ldap")],
        GAMES: [("unlock", key, *why)],
        DAEMON: [
            ("override", key, "preferred_given", "Zed", *until, *why),
            ("override", key, "preferred_given", "--end", *why),
            ("freeze", key, *until, *why),
            ("unfreeze", key, *why),
            ("rename", key, "zedzed", "--sealed", *why),
            ("rollover", "start", *until, *why),
            ("rollover", "end"),
        ],
    }
    wants = {MAIL: "operate", GAMES: "unlock", DAEMON: "approve"}
    with serving(room.folder) as service:
        for who, verbs in by_right.items():
            for words in verbs:
                for other in (MAN, MAIL if who == DAEMON else DAEMON):
                    code, told = room.ask(other, *words)
                    named = f"group named in `control.{wants[who]}`" in told
                    assert (code, named) == (Exit.NO_PERMISSION, True), (other, words, told)
                code, told = room.ask(who, *words)
                assert code == Exit.DONE, (words, told)
        looks = [["facts", key], ["disputes"], ["quarantine"], ["rollover", "preview"], ["runs"], ["show"], ["explain", key]]
        for words in looks:
            assert room.ask(MAN, *words)[0] == Exit.DONE, words
            assert room.ask(BIN, *words)[0] == Exit.NO_PERMISSION, words
        told = room.ask(MAN, "facts", key)[1]
        assert ("lock" in told, "mail (uid 8)" in told, "games (uid 5)" in told, "daemon (uid 1)" in told) == (True,) * 4
        assert not [line for line in service.log if "Traceback" in str(line) or line["event"] == "control.failed"]
    with opened_store(load(room.folder)) as store:
        actors = {entry.kind: entry.actor for entry in store.audit.entries()}
        assert (actors["lock"], actors["end of lock"], actors["rename"]) == ("mail (uid 8)", "games (uid 5)", "daemon (uid 1)")


def a_student(room: Room) -> str:
    """The key of one who has an account."""
    with opened_store(load(room.folder)) as store:
        linked = store.known(TARGET)
        return next(key for key, one in sorted(store.keys(SOURCE).items()) if one.person in linked and key.startswith("stu-"))


def author(room: Room) -> str:
    """Who took up the configuration in force, as the store has it."""
    with opened_store(load(room.folder)) as store:
        return store.meta(AUTHOR)


def the_same_groups_count_without_a_daemon(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    """Root may open the store, and looks and operates; approving is for the group. What only a daemon can do says so."""
    assert syncd(room.folder, "sync") == Exit.HELD
    capsys.readouterr()
    assert syncd(room.folder, "holds") == Exit.HELD
    held = re.search(r"syncd approve (r\d+)", capsys.readouterr().out)
    assert held is not None
    assert syncd(room.folder, "approve", held[1], "--because", "x") == Exit.NO_PERMISSION
    assert "takes the group named in `control.approve`" in capsys.readouterr().out
    assert syncd(room.folder, "reload") == Exit.UNAVAILABLE
    assert "no daemon runs here; start it" in capsys.readouterr().out
    assert syncd(room.folder, "reject", held[1], "--because", "not now") == Exit.DONE
    assert syncd(room.folder, "sync") == Exit.DONE
    capsys.readouterr()
    assert syncd(room.folder, "holds") == Exit.DONE
    assert f"turned down of {held[1]} by {actor()}: " in capsys.readouterr().out
