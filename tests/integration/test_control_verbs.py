"""The operators' verbs over a socket, answered by the very functions that answer where no daemon runs (R39)."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.assembly import Running
from syncd.cli import main, reach
from syncd.cli.actor import actor
from syncd.cli.exits import Exit
from syncd.cli.verbs import VERBS, answered
from syncd.control import Answer, Question, Role
from syncd.control.peers import Peer
from syncd.control.place import NAME
from syncd.control.server import Door, listening
from syncd.control.visit import Visit
from syncd.engine.devices import Devices
from tests.fixtures.engine_world import World, pupil, world
from tests.fixtures.health_states import health_of

ROOT = Path(__file__).resolve().parents[2]
Said = pytest.CaptureFixture[str]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts; Ada's second row is disputed."""
    with world(tmp_path) as made:
        made.begin()
        made.students(replace(pupil(1), key="n1", number="70001"))
        made.day()
        yield made


@pytest.fixture
def asked(district: World) -> Iterator[list[Question]]:
    """What is asked of a daemon that serves this district, meanwhile."""
    questions: list[Question] = []
    answers = serving(district, nullcontext)

    def serve(peer: Peer, question: Question) -> Answer:
        questions.append(question)
        return answers(peer, question)

    with listening(district.state / NAME, Door(0o600), VERBS, lambda _: frozenset(Role), serve):
        yield questions


def syncd(district: World, *words: str) -> int:
    """One call of `syncd` about this district."""
    return main(["--config", str(district.folder), *words])


def test_a_file_of_decisions_goes_over_the_socket_as_one(district: World, asked: list[Question], capsys: Said) -> None:
    """Written and read by whoever calls, whose files they are; checked as a whole; in the name of whom the kernel says."""
    path = district.folder / "disputes.csv"
    assert syncd(district, "disputes", "--csv", str(path)) == Exit.DONE
    assert (path.stat().st_uid, path.stat().st_mode & 0o777) == (os.geteuid(), 0o600)
    with path.open(encoding="utf-8-sig", newline="") as file:
        [row] = csv.DictReader(file)

    def filled(*answers: dict[str, str]) -> None:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(row | answer for answer in answers)

    filled({"decision": "merge", "because": "one child"}, {"decision": "merge", "subject": "sis/n9", "because": "x"})
    capsys.readouterr()
    assert syncd(district, "resolve", "--from", str(path)) == Exit.NO_INPUT
    assert f"{path}:3: name the candidate to merge sis/n9" in capsys.readouterr().out
    assert district.store.resolutions.all() == []
    filled({"decision": "merge", "because": "one child"})
    assert syncd(district, "resolve", "--from", str(path)) == Exit.DONE
    assert "decided 1. The next run" in capsys.readouterr().out
    [made] = district.store.resolutions.all()
    assert made.actor == actor(os.geteuid())
    assert [one.verb for one in asked] == ["disputes", "resolve", "resolve"]


def test_words_and_lists_are_the_same_as_without_a_daemon(district: World, asked: list[Question], capsys: Said) -> None:
    """Whatever a verb says over the socket, it says by itself."""
    verbs = (
        ("disputes",), ("disputes", "--json"), ("runs",), ("show", "r1"), ("explain", "n1"), ("quarantine",), ("rejects", "--json"),
        ("ledger", "--json"), ("facts",), ("holds",), ("rollover", "preview"), ("explain", "nobody"), ("show", "r99"), ("retry",),
        ("lock", "nobody", "--because", "x"), ("freeze", "s1", "--because", "x"), ("override", "s1", "given", "--because", "x"),
        ("resolve", "n1", "--because", "x"), ("reject", "r1", "--because", " "), ("undo", "r1", "--kind", "nonsense"),
    )  # fmt: skip
    over = []
    for words in verbs:
        code = syncd(district, *words)
        over.append((code, capsys.readouterr().out))
    assert len(asked) == len(verbs) - 1  # a reason of blanks is refused before anybody answers
    (district.state / NAME).unlink()
    for words, told in zip(verbs, over, strict=True):
        code = syncd(district, *words)
        assert (code, capsys.readouterr().out) == told, words
    assert len(asked) == len(verbs) - 1


def test_a_daemon_that_hangs_keeps_nobody_from_being_locked(district: World, capsys: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """R33: whoever can open the store does it without, after a while; every other verb says that nobody answers."""
    go_on = threading.Event()

    def hang(peer: Peer, question: Question) -> Answer:
        del peer, question
        go_on.wait(60)
        raise OSError

    monkeypatch.setattr(reach, "LOCKED_WITHIN", 1.0)
    with listening(district.state / NAME, Door(0o600), VERBS, lambda _: frozenset(Role), hang):
        assert syncd(district, "lock", "s1", "--because", "a stolen phone") == Exit.DONE
        go_on.set()
    assert "locks p" in capsys.readouterr().out
    assert district.person("s1") in district.store.facts.locked()


def test_two_persons_become_one_only_while_no_run_is_under_way(district: World, capsys: Said) -> None:
    """The daemon's own run is waited for; a record is decided about at any time."""
    held = threading.Lock()
    waited: list[str] = []

    def alone() -> AbstractContextManager[object]:
        waited.append("alone")
        return held

    serve = serving(district, alone)
    with listening(district.state / NAME, Door(0o600), VERBS, lambda _: frozenset(Role), serve):
        assert syncd(district, "resolve", "n1", "--ignore", "--because", "two children") == Exit.DONE
        assert waited == []
        district.sync()
        assert syncd(district, "resolve", "s1", "--merge", "n1", "--because", "one child after all") == Exit.DONE
        assert waited == ["alone"]
        assert syncd(district, "unresolve", "p11", "--because", "x") == Exit.UNAVAILABLE
        assert waited == ["alone", "alone"]
    assert "there is none" in capsys.readouterr().out


def serving(district: World, alone: Callable[[], AbstractContextManager[object]]) -> Callable[[Peer, Question], Answer]:
    """Answers as the daemon does, of this district."""
    devices = Devices(district.config, district.store, district.engine, {})
    running = Running(district.config, district.store, district.vault, district.engine, devices)
    return lambda peer, question: answered(
        Visit(peer, running, lambda: health_of(district), lambda: nullcontext(running), alone), question
    )


def test_the_reference_tells_every_verb_its_right_and_its_arguments() -> None:
    """docs/reference/control.md has exactly the table of the program."""
    page = (ROOT / "docs" / "reference" / "control.md").read_text(encoding="utf-8")
    for name, verb in VERBS.items():
        told = ", ".join(f"`{one}`" for one in verb.arguments)
        assert f"| `{name}` | {verb.role} | {told} |".replace("|  |", "| |") in page
    assert page.count("| view |") + page.count("| operate |") + page.count("| approve |") + page.count("| unlock |") == len(VERBS)
