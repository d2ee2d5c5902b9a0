"""The daemon's end of the socket: it listens, bounded in number, size and time, and asks others what to answer.

Whoever hangs, floods or sends nonsense keeps a place of their own for some seconds, and nobody else's. Anybody on the machine may
connect, as to the system's message bus: who is in no group is refused before a byte is read.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from syncd import telemetry
from syncd.control import LONGEST_LIST, LONGEST_QUESTION, Answer, Malformed, Question, Role, answer_line, has, question_of, said
from syncd.control.peers import Peer, peer_of
from syncd.control.place import named
from syncd.control.verbs import Verbs, meant
from syncd.errors import EndpointError

MOST, MOST_OF_ONE = 32, 4
"""How many are served at once, and how many of one user."""
ASK_SECONDS = 5.0
"""How long a question may take to arrive, all of it."""
TAKE_SECONDS = 30.0
"""How long an answer may take to be taken."""
USAGE, TRY_LATER, NO_PERMISSION = 64, 75, 77  # sysexits(3)
_NO_ROOM_SECONDS = 0.2

_log = telemetry.logger("control")

Serve = Callable[[Peer, Question], Answer]
RolesOf = Callable[[Peer], Collection[Role]]


@dataclass(frozen=True, slots=True)
class Door:
    """Who gets as far as the socket: its file's mode and group (None: ours), what a stranger is told, how many of one at once."""

    mode: int
    stranger: str = "is in none of the groups that `control:` in config/syncd.yaml names"
    group: int | None = None
    most_of_one: int = MOST_OF_ONE

    @property
    def most(self) -> int:
        """How many are served at once."""
        return max(MOST, self.most_of_one)


@contextmanager
def listening(path: Path, door: Door, verbs: Verbs, roles_of: RolesOf, serve: Serve) -> Iterator[None]:
    """Serve whoever may ask these verbs at this path until the end; a file that a dead daemon left there is replaced.

    Raises EndpointError where somebody serves there already, or the place cannot be had.
    """
    if _is_served(path):
        raise EndpointError(
            "control", f"another daemon serves at {path}", "there is one at a time: look with `systemctl status syncd`"
        )
    try:
        listener = _bound(path, door)
    except OSError as error:
        raise EndpointError(
            "control",
            f"cannot listen at {path}: {error.strerror}",
            "look at the folder, its owner and mode, and the groups of the daemon's user",
        ) from error
    mine = path.stat().st_ino
    server = _Server(listener, door, verbs, roles_of, serve)
    thread = threading.Thread(target=server.accept, name="control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.end()
        thread.join(timeout=1)
        listener.close()
        with suppress(OSError):
            if path.stat().st_ino == mine:  # another daemon may have taken over
                path.unlink()


def _is_served(path: Path) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1)
        with named(path) as name:
            asking.connect(name)
        return True
    return False


def _bound(path: Path, door: Door) -> socket.socket:
    """A listening socket, put into its place with mode and group already right."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(17, "there is something that is no socket")
    partial = path.with_name(f".{path.name}")
    partial.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with named(partial) as name:
            listener.bind(name)
        if door.group is not None and partial.stat().st_gid != door.group:  # the unit lets nobody change owners: its folder does
            os.chown(partial, -1, door.group)
        partial.chmod(door.mode)
        listener.listen(door.most)
        partial.rename(path)
    except BaseException:
        listener.close()
        partial.unlink(missing_ok=True)
        raise
    return listener


class _Server:
    """The connections of one socket."""

    def __init__(self, listener: socket.socket, door: Door, verbs: Verbs, roles_of: RolesOf, serve: Serve) -> None:
        self._listener = listener
        self._door = door
        self._verbs = verbs
        self._roles_of = roles_of
        self._serve = serve
        self._ending = threading.Event()
        self._counting = threading.Lock()
        self._served: Counter[int] = Counter()  # how many connections of each user

    def end(self) -> None:
        """Take no more connections."""
        self._ending.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()

    def accept(self) -> None:
        """Take connections until the end, each into a thread of its own."""
        while not self._ending.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if not self._ending.wait(_NO_ROOM_SECONDS):  # no file handle left: others will be closed
                    continue
                return
            try:
                peer = peer_of(connection)
                busy = not self._enters(peer.uid)
            except OSError:
                connection.close()
                continue
            if busy:
                with connection, suppress(OSError):
                    connection.settimeout(0)
                    connection.send(answer_line(said("too many are being served; try again", TRY_LATER)))
                continue
            try:
                threading.Thread(target=self._attend, args=(connection, peer), name="operator", daemon=True).start()
            except RuntimeError:  # the host has no thread left for this one: the next may find one
                self._leaves(peer.uid)
                connection.close()

    def _enters(self, uid: int) -> bool:
        with self._counting:
            if self._served.total() >= self._door.most or self._served[uid] >= self._door.most_of_one:
                return False
            self._served[uid] += 1
            return True

    def _leaves(self, uid: int) -> None:
        with self._counting:
            self._served[uid] -= 1
            self._served += Counter()  # drops who has none

    def _attend(self, connection: socket.socket, peer: Peer) -> None:
        try:
            with connection, suppress(OSError):  # who went away needs no answer
                answer = self._answer(connection, peer)
                if answer is not None:
                    connection.settimeout(TAKE_SECONDS)
                    connection.sendall(answer_line(answer))
        finally:
            self._leaves(peer.uid)

    def _answer(self, connection: socket.socket, peer: Peer) -> Answer | None:
        roles = self._roles_of(peer)
        if not roles:
            _log.warning("control.refused", kind="connection", subject=str(peer.uid))
            return said(f"{peer.actor} {self._door.stranger}", NO_PERMISSION, "red")
        try:
            line = _line(connection, LONGEST_LIST if set(roles) - {Role.VIEW} else LONGEST_QUESTION)
            if line is None:
                return None
            question = question_of(line)
            verb = meant(self._verbs, question)
            role = verb.role
            if not has(role, roles):
                _log.warning("control.refused", kind=question.verb, subject=str(peer.uid))
                return said(
                    f"{peer.actor} may not {question.verb}: that takes the group named in `control.{role}`", NO_PERMISSION, "red"
                )
            verb.told(question)
            return self._serve(peer, question)
        except Malformed as error:
            _log.warning("control.malformed", subject=str(peer.uid))
            return said(str(error), USAGE)


def _line(connection: socket.socket, longest: int) -> bytes | None:
    """The line that arrives in time; None where nobody asks anything. Raises Malformed where it is too long or late."""
    end, got, piece = time.monotonic() + ASK_SECONDS, bytearray(), b""
    while b"\n" not in piece:
        left = end - time.monotonic()
        if left <= 0:
            raise Malformed(f"a question must arrive within {ASK_SECONDS:g} seconds")
        connection.settimeout(left)
        try:
            piece = connection.recv(LONGEST_QUESTION)
        except TimeoutError:
            continue
        got += piece
        if len(got) > longest:
            raise Malformed(f"a question is at most {longest:,} bytes long")
        if not piece:
            if got:
                raise Malformed("a question ends with a newline")
            return None
    return bytes(got.partition(b"\n")[0])
