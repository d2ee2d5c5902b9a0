"""The asking end of the socket."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from syncd.control import LONGEST_ANSWER, Answer, Malformed, Question, answer_of, line_of
from syncd.control.place import named
from syncd.errors import EndpointError, TransientError

ANSWER_SECONDS = 600.0
"""How long an answer is waited for: an undo of a large run is planned meanwhile."""


def ask(path: Path, question: Question, seconds: float = ANSWER_SECONDS) -> Answer | None:
    """What the daemon answers at this path; None where none serves there.

    Raises EndpointError where it may not be asked or its answer makes no sense, TransientError where it does not answer in time.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(seconds)
        try:
            with named(path) as name:
                asking.connect(name)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return None
        except OSError as error:
            raise EndpointError("control", f"cannot speak to the daemon at {path}: {error.strerror}") from error
        with suppress(OSError):  # who is refused before anything is read has an answer waiting
            asking.sendall(line_of(question))
        try:
            line = _line(asking)
        except TimeoutError as error:
            raise TransientError(f"the daemon at {path} has not answered for {seconds:.0f} seconds") from error
    if not line.endswith(b"\n"):
        raise EndpointError("control", f"the daemon at {path} ended before it had answered", "look at what came of it: syncd holds")
    try:
        return answer_of(line)
    except Malformed as error:
        raise EndpointError("control", str(error)) from error


def _line(asking: socket.socket) -> bytes:
    got = bytearray()
    while not got.endswith(b"\n") and len(got) < LONGEST_ANSWER:
        try:
            piece = asking.recv(1 << 20)
        except TimeoutError:
            raise
        except OSError:
            break
        if not piece:
            break
        got += piece
    return bytes(got)
