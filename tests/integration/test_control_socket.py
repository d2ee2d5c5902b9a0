"""The operators' socket by itself: whoever hangs, floods, sends nonsense or is nobody is refused, and keeps nobody waiting."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncd.cli.verbs import VERBS
from syncd.control import (
    LONGEST_LIST,
    LONGEST_QUESTION,
    Answer,
    Malformed,
    Question,
    Role,
    answer_line,
    answer_of,
    has,
    line_of,
    question_of,
    said,
    server,
)
from syncd.control.client import ask
from syncd.control.peers import Peer, peer_of, roles, this_process
from syncd.control.place import named
from syncd.control.server import MOST_OF_ONE, Door, listening
from syncd.control.verbs import meant
from syncd.core.rendering import Line
from syncd.errors import EndpointError
from syncd.settings import Control

HOLDS = Question("holds")
Serve = Callable[[Peer, Question], Answer]


def echo(peer: Peer, question: Question) -> Answer:
    """Who asked what."""
    return said(f"{peer.uid} {question.verb}")


@contextmanager
def served(path: Path, serve: Serve = echo, *, may: frozenset[Role] = frozenset(Role)) -> Iterator[Path]:
    """A socket at this path, on which everybody has these roles."""
    with listening(path, Door(0o600), VERBS, lambda _: may, serve):
        yield path


def test_a_folder_gives_the_socket_to_its_group_where_nobody_may_change_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the package's folder for the portal's socket does: the daemon's unit refuses the calls that change owners."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "as the unit's filter says")

    if os.geteuid() != 0:
        pytest.fail("giving a folder to another group takes root: run this test as root, or under fakeroot")
    group = 65_534
    folder = tmp_path / "portal"
    folder.mkdir()
    os.chown(folder, -1, group)
    folder.chmod(0o2750)
    monkeypatch.setattr(os, "chown", refused)
    with listening(folder / "portal.sock", Door(0o660, group=group), VERBS, lambda _: frozenset(), echo):
        told = (folder / "portal.sock").stat()
        assert (told.st_gid, stat.S_IMODE(told.st_mode)) == (group, 0o660)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path longer than the kernel takes one, as a test's folder is."""
    folder = tmp_path / ("deep" * 25)
    folder.mkdir()
    return folder / "control.sock"


def raw(path: Path, *pieces: bytes, end: bool = True) -> bytes:
    """What is answered to these bytes."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(20)
        with named(path) as name:
            asking.connect(name)
        try:
            for piece in pieces:
                asking.sendall(piece)
            if end:
                asking.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has answered already
        got = b""
        try:
            while piece := asking.recv(65536):
                got += piece
        except ConnectionResetError:
            pass  # refused before all of it was read; the answer came first
    return got


def test_a_question_is_answered_with_the_users_number_from_the_kernel(path: Path) -> None:
    """R39: nothing that is sent says who asks."""
    with served(path):
        assert ask(path, HOLDS) == said(f"{os.geteuid()} holds")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()
    assert ask(path, HOLDS) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\n", "one line of JSON"),
        (b"\xff\xfe\n", "one line of JSON"),
        (b"[" * 60_000 + b"\n", "one line of JSON"),
        (b"[]\n", "a question looks like"),
        (b'{"verb": "holds"}\n', "a question looks like"),
        (b'{"verb": "holds", "told": {}, "actor": "root"}\n', "a question looks like"),
        (b'{"verb": "rm -rf", "told": {}}\n', "no such verb"),
        (b'{"verb": ["holds"], "told": {}}\n', "no such verb"),
        (b'{"verb": "approve", "told": {"campuses": ["1"]}}\n', "is not told 'campuses' here"),
        (b'{"verb": "holds", "told": {"persons": {"a": 1}}}\n', "none of text"),
        (b'{"verb": "approve", "told": {"campus": [1]}}\n', "none of text"),
        (b'{"verb": "approve", "told": {"because": "x"}}\n', "approve: `run` must be told"),
        (b'{"verb": "approve", "told": {"run": "r1", "because": " "}}\n', "approve: say why"),
        (b'{"verb": "freeze", "told": {"key": "p1", "because": "x", "until": "soon"}}\n', "freeze: `until` is a day"),
        (b'{"verb": "holds", "told": {}}', "ends with a newline"),
        (b"x" * (LONGEST_LIST + 1), "bytes long"),
    ],
)
def test_what_is_no_question_is_refused_in_words(path: Path, line: bytes, why: str) -> None:
    """64 and a sentence; the next question is answered."""
    with served(path):
        answer = answer_of(raw(path, line))
        assert answer.code == 64
        assert why in answer.lines[0].text
        assert ask(path, HOLDS) is not None


def test_whoever_may_only_look_asks_short_questions(path: Path) -> None:
    """A file of decisions is long; nobody else has a reason to keep so much of the daemon's memory."""
    with served(path, may=frozenset({Role.VIEW})):
        answer = answer_of(raw(path, b"x" * (LONGEST_QUESTION + 1)))
        assert answer.code == 64
        assert "bytes long" in answer.lines[0].text
        assert ask(path, HOLDS) is not None
    with served(path):
        answer = ask(path, Question("resolve", {"rows": ["x" * 50] * 20_000}))
        assert answer == said(f"{os.geteuid()} resolve")


def told_of(annotation: object) -> object:
    """A value that an argument may have."""
    values = {str: "x", bool: True, int: 1, date: "2026-12-31", Sequence[str]: ["x"]}
    return values.get(annotation) or next(values[kind] for kind in get_args(annotation) if kind in values)  # type: ignore[call-overload]  # a type is a key


def test_an_argument_that_one_side_does_not_know_is_never_left_out() -> None:
    """An approval for one campus, asked of a daemon that knows no `--campus`, would approve all of them."""
    for name, verb in VERBS.items():
        with pytest.raises(Malformed, match="is the daemon as new as the command"):
            verb.told(question_of(line_of(Question(name, {"novel": "x"}))))
        given = {argument: told_of(one.annotation) for argument, one in verb.arguments.items()}
        question = question_of(line_of(Question(name, given)))  # type: ignore[arg-type]  # of every kind one
        assert verb.told(question).keys() == verb.arguments.keys()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_question_or_malformed(line: bytes) -> None:
    """Parsing never ends in anything else."""
    try:
        question = question_of(line)
        verb = meant(VERBS, question)
        verb.told(question)
    except Malformed:
        return
    assert question.verb in VERBS


_LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.just(0.5), st.text(max_size=5))
_JSON = st.one_of(_LEAF, st.lists(_LEAF, max_size=3), st.dictionaries(st.sampled_from("ab"), _LEAF, max_size=2))


_NAMES = sorted({name for verb in VERBS.values() for name in verb.arguments})


@given(st.sampled_from(sorted(VERBS)), st.dictionaries(st.sampled_from(_NAMES), _JSON))
def test_any_values_are_typed_or_malformed(verb: str, told: dict[str, object]) -> None:
    """What a verb reads is of the type it reads, or it is refused."""
    arguments = VERBS[verb].arguments
    told = {name: value for name, value in told.items() if name in arguments}
    try:
        question = question_of(json.dumps({"verb": verb, "told": told}).encode())
        found = VERBS[verb].told(question)
    except Malformed:
        return
    assert found.keys() == told.keys()
    for name, value in found.items():
        kinds = {str(kind) for kind in get_args(arguments[name].annotation)} | {str(arguments[name].annotation)}
        assert str(type(value)) in kinds or (isinstance(value, list) and all(isinstance(one, str) for one in value))


@given(st.integers(0, 200), st.lists(st.tuples(st.text(), st.text())), st.lists(st.lists(st.text())))
def test_an_answer_comes_out_as_it_went_in(code: int, lines: list[tuple[str, str]], table: list[list[str]]) -> None:
    """Whatever is in a text: newlines, quotes, half of a surrogate pair."""
    told = tuple(Line(*line) for line in lines)
    answer = Answer(code, told, tuple(map(tuple, table)), head=told[:1])
    assert answer_line(answer).count(b"\n") == 1
    assert answer_of(answer_line(answer)) == answer


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.binary(max_size=2000), max_size=4))
def test_the_socket_lives_through_any_bytes(path: Path, pieces: list[bytes]) -> None:
    """It answers a line or nothing, and then the next."""
    with served(path):
        told = raw(path, *pieces)
        assert not told or answer_of(told).code in (0, 64)
        assert ask(path, HOLDS) is not None


def test_whoever_hangs_or_floods_keeps_nobody_else_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that never ends is ended; more of one user than may be are refused at once, and have a place again after that."""
    monkeypatch.setattr(server, "ASK_SECONDS", 1.0)
    with served(path), ExitStack() as open_ones:
        name = open_ones.enter_context(named(path))
        silent = []
        for _ in range(MOST_OF_ONE):
            asking = open_ones.enter_context(socket.socket(socket.AF_UNIX))
            asking.settimeout(20)
            asking.connect(name)
            asking.sendall(b'{"verb": "ho')
            silent.append(asking)
        answer = ask(path, HOLDS)
        assert answer is not None
        assert answer.code == 75
        for asking in silent:
            assert "must arrive within" in answer_of(asking.recv(65536)).lines[0].text
            asking.close()
        for _ in range(200):
            answer = ask(path, HOLDS)
            if answer is not None and answer.code == 0:
                break
        assert answer == said(f"{os.geteuid()} holds")


def test_a_verb_that_takes_long_keeps_no_other_waiting(path: Path) -> None:
    """An undo of a large run is planned while somebody looks at what is held."""
    go_on = threading.Event()

    def slow(peer: Peer, question: Question) -> Answer:
        if question.verb == "undo":
            go_on.wait(20)
        return echo(peer, question)

    answers: list[Answer | None] = []
    with served(path, slow):
        waiting = threading.Thread(target=lambda: answers.append(ask(path, Question("undo", {"run": "r1"}))))
        waiting.start()
        assert ask(path, HOLDS) is not None
        assert answers == []
        go_on.set()
        waiting.join(20)
    assert answers == [said(f"{os.geteuid()} undo")]


def test_who_has_no_role_is_refused_before_a_byte_is_read_and_who_has_another_by_verb(path: Path) -> None:
    """77, with the group that would be needed; whoever has any role may look."""
    with served(path, may=frozenset()):
        refused = answer_of(raw(path, end=False))
        assert refused.code == 77
        assert "in none of the groups" in refused.lines[0].text
    with served(path, may=frozenset({Role.APPROVE})):
        assert ask(path, HOLDS) == said(f"{os.geteuid()} holds")
        refused_verb = ask(path, Question("reload"))
        assert refused_verb is not None
        assert refused_verb.code == 77
        assert "`control.operate`" in refused_verb.lines[0].text


@pytest.mark.parametrize("role", Role)
def test_a_role_gives_itself_and_the_view(role: Role) -> None:
    """R15: operating is not approving, and neither is unlocking."""
    assert {one for one in Role if has(one, {role})} == {role, Role.VIEW}
    assert not has(Role.VIEW, ())


def test_what_a_dead_daemon_left_is_replaced_and_a_living_one_is_not(path: Path) -> None:
    """A kill leaves the file; what is no socket is left alone."""
    with socket.socket(socket.AF_UNIX) as dead, named(path) as name:
        dead.bind(name)
    assert ask(path, HOLDS) is None
    with served(path):
        assert ask(path, HOLDS) is not None
        with pytest.raises(EndpointError, match="another daemon serves at"), served(path):
            pass
        assert ask(path, HOLDS) is not None
    path.write_text("precious")
    with pytest.raises(EndpointError, match="something that is no socket"), served(path):
        pass
    assert path.read_text() == "precious"


def test_the_peer_is_who_the_kernel_says() -> None:
    """R39: user and group of the process at the other end; who signed in, where the machine keeps that."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == this_process(os.geteuid())


NO_GROUP = Control(view="", operate="", approve="", unlock="nowhere-here")


def test_roles_by_groups_that_do_not_exist_are_roots_and_the_owners() -> None:
    """A machine without the groups is run by whoever could open the store anyway, and by nobody else."""
    assert roles(Peer(0, 0, None, 4711), NO_GROUP) == frozenset(Role)
    assert roles(Peer(4711, 4711, None, 4711), NO_GROUP) == frozenset(Role)
    assert roles(Peer(4712, 4712, None, 4711), NO_GROUP) == frozenset()


def test_roles_of_root_and_the_owner_do_not_include_what_a_group_has() -> None:
    """Root operates and looks; it approves as the human who became root, if that one may."""
    some = Control(view="", operate="", approve="daemon", unlock="daemon")
    assert roles(Peer(0, 0, None, 4711), some) == {Role.VIEW, Role.OPERATE}
    assert roles(Peer(4711, 4711, None, 4711), some) == {Role.VIEW, Role.OPERATE}
    assert roles(Peer(0, 0, 1, 4711), some) == frozenset(Role)  # user `daemon` signed in, and became root
    assert roles(Peer(1, 1, None, 4711), some) == {Role.APPROVE, Role.UNLOCK}
    assert roles(Peer(2, 2, 1, 4711), some) == frozenset()  # became somebody else: has what that one has


def test_one_human_is_one_whatever_they_became() -> None:
    """R39: sudo makes nobody a second person; who is root without having signed in is nobody in particular."""
    assert Peer(0, 0, 1, 4711).actor == Peer(1, 1, 1, 4711).actor == Peer(2, 2, 1, 4711).actor
    assert str(Peer(0, 0, None, 4711).actor) == "root (uid 0, nobody signed in)"
    assert not Peer(4711, 4711, None, 4711).actor.certain
    assert Peer(4712, 4712, None, 4711).actor.certain
