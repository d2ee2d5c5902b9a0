"""Writes in flight: sent back to back, never more than the window, each answered exactly once, whatever happens to the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from syncd.errors import EndpointError, TransientError
from syncd.targets.ldap_ber import Answer
from syncd.targets.ldap_wire import Lost, Wire

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Write(Generic[Subject]):
    """One operation ready to send, and what it is for."""

    subject: Subject
    operation: bytes
    controls: tuple[bytes, ...] = ()
    place: str = ""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """It was sent, wholly or in part, and the connection ended: nobody knows (R17)."""

    why: str


@dataclass(frozen=True, slots=True)
class Unsent:
    """It was never sent."""

    why: str


Reply = Answer | Unanswered | Unsent


class Pipeline(Generic[Subject]):
    """Runs writes that do not depend on each other over one wire. After a lost connection it dials again, once, and goes on."""

    def __init__(self, wire: Wire, window: int) -> None:
        self._wire = wire
        self._window = window
        self._flying: dict[int, Write[Subject]] = {}
        self._lives = 2
        self._dead = ""

    def run(self, writes: Iterator[Write[Subject]]) -> Iterator[tuple[Write[Subject], Reply]]:
        """A reply for every write pulled, in the order in which answers come."""
        try:
            for write in writes:
                if len(self._flying) >= self._window:
                    # Half of them land before more are sent, so that those leave together; the server has the other half to do.
                    while len(self._flying) > self._window // 2:
                        yield from self._land()
                yield from self._launch(write)
            while self._flying:
                yield from self._land()
        finally:
            if self._flying:  # the caller went away: answers nobody waits for must not meet the next question
                self._wire.close()
                self._flying.clear()

    def _launch(self, write: Write[Subject]) -> Iterator[tuple[Write[Subject], Reply]]:
        if self._dead:
            yield write, Unsent(self._dead)
            return
        try:
            self._wire.open()
            message_id = self._wire.send(write.operation, write.controls)
        except Lost as error:
            yield write, Unanswered(str(error))
            yield from self._lost(error)
        except (TransientError, EndpointError) as error:  # dialling again failed: nothing of this or what follows was sent
            self._dead = str(error)
            yield write, Unsent(self._dead)
        else:
            self._flying[message_id] = write

    def _land(self) -> Iterator[tuple[Write[Subject], Reply]]:
        try:
            answer = self._wire.receive()
        except Lost as error:
            yield from self._lost(error)
            return
        write = self._flying.pop(answer.message_id, None)
        if write is None:  # an answer to nothing we asked: what else it got wrong cannot be known
            self._wire.close()
            yield from self._lost(Lost(f"the server answered a question nobody asked ({answer.message_id})"))
            return
        yield write, answer

    def _lost(self, error: Lost) -> Iterator[tuple[Write[Subject], Reply]]:
        flying = list(self._flying.values())
        self._flying.clear()
        self._lives -= 1
        if self._lives < 1:
            self._dead = f"the connection was lost twice; last: {error}"
        for write in flying:
            yield write, Unanswered(f"sent, but not answered: {error}")
