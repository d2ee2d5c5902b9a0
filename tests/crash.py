"""Crash points: every moment at which a process touches the world outside, and a way to die exactly there (R30).

An audit hook sees files, sockets and databases being opened, renamed and removed; wrappers see what audit events do not tell:
fsync, the store's commits (before and after) and every send and receive on an LDAP connection. A process that has died does
nothing any more: whatever its clean-up code tries next dies as well, as after a `kill -9`.

Audit hooks cannot be removed. This one does nothing unless a `Recorder` is at work in this thread.
"""

from __future__ import annotations

import gc
import os
import ssl
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

INJECTED = frozenset(
    {
        *("open for writing", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"),
        *("shutil.rmtree", "fcntl.flock", "sqlite3.connect", "sqlite3.connect/handle", "socket.getaddrinfo", "socket.connect"),
        *("fsync", "commit: before", "commit: after", "wire: send", "wire: receive", "target: send", "target: answer"),
    }
)
"""Every kind of I/O a run does; at each of them the tests let it die."""

HARMLESS = (
    *("open", "os.listdir", "os.scandir", "glob.glob", "pathlib.Path.glob"),  # reading leaves nothing behind
    *("import", "compile", "exec", "marshal.", "code.__new__", "function.__new__", "builtins.", "object.", "sys.", "cpython."),
    *("gc.", "ctypes.", "time.", "_thread.", "setopencodehook", "pickle.", "array.__new__"),
    *("socket.__new__", "socket.gethostname", "socket.gethostbyname", "socket.bind"),  # no byte leaves the process
    *("ssl.", "fcntl.fcntl", "signal.", "os.putenv", "sqlite3.enable_load_extension", "tempfile."),
)
"""Audit events that are no I/O of a run: what they are about stays inside the process, or is only read. Prefixes end with a dot."""


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing may catch it and go on."""


@dataclass(slots=True)
class Recorder:
    """Notes every boundary, and dies at the `at`-th; 0 never dies."""

    at: int = 0
    events: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    dead: bool = False

    def hit(self, kind: str) -> None:
        """A boundary has been reached."""
        if not self.dead:
            self.events.append(kind)
            self.dead = len(self.events) == self.at
        if self.dead:
            raise Crash(f"killed at boundary {self.at}: {self.events[-1]}")

    @property
    def counts(self) -> Counter[str]:
        """How often each kind of boundary was met."""
        return Counter(self.events)


_at_work = threading.local()


def boundary(kind: str) -> None:
    """Something outside is touched now; the process may die of it."""
    recorder: Recorder | None = getattr(_at_work, "recorder", None)
    if recorder is not None:
        recorder.hit(kind)


@contextmanager
def recorded(at: int = 0) -> Iterator[Recorder]:
    """A stretch of a process's life, all of whose boundaries are noted; it dies at the `at`-th of them."""
    _install()
    recorder = Recorder(at)
    _at_work.recorder = recorder
    try:
        yield recorder
    except Crash:
        recorder.dead = True
    finally:
        _at_work.recorder = None


def bury(recorder: Recorder) -> None:
    """Close what a dead process had open, as the kernel does, without the complaints a living one would deserve."""
    if not recorder.dead or "socket.connect" not in recorder.events:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    recorder: Recorder | None = getattr(_at_work, "recorder", None)
    if recorder is None:
        return
    if event == "open" and _is_writing(arguments):
        recorder.hit("open for writing")
    elif event in INJECTED:
        recorder.hit(event)
    elif not any(event == one or (one.endswith(".") and event.startswith(one)) for one in HARMLESS):
        recorder.unknown.add(event)


def _is_writing(arguments: tuple[Any, ...]) -> bool:
    path, mode, flags = arguments
    if isinstance(path, int):
        return False  # a descriptor that is open already
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & WRITING)


_installed = False


def _install() -> None:
    global _installed  # noqa: PLW0603 — an audit hook is for the life of the process, so is the mark that it is there
    if _installed:
        return
    _installed = True
    sys.addaudithook(_heard)
    os.fsync = _before("fsync", os.fsync)
    for name in ("sendall", "send"):
        setattr(ssl.SSLSocket, name, _before("wire: send", getattr(ssl.SSLSocket, name)))
    for name in ("recv", "recv_into"):
        setattr(ssl.SSLSocket, name, _before("wire: receive", getattr(ssl.SSLSocket, name)))
    DefaultDialect.do_commit = _around("commit", DefaultDialect.do_commit)  # type: ignore[method-assign]  # wrapped at the wire


def _before(kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        boundary(kind)
        return real(*arguments, **named)

    return wrapper


def _around(kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(real)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        boundary(f"{kind}: before")
        answer = real(*arguments, **named)
        boundary(f"{kind}: after")
        return answer

    return wrapper
