"""What operators ask of the daemon: each question is answered by others, with what only a daemon can do at their hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from syncd import telemetry
from syncd.assembly import Running
from syncd.control import Answer, Question, said
from syncd.control.peers import Peer
from syncd.control.verbs import Verb, Verbs
from syncd.control.visit import DaemonSide, Visit
from syncd.engine.health import Health
from syncd.errors import Problem

BUG, USAGE = 70, 64  # sysexits(3)
_log = telemetry.logger("control")

Answers = Callable[[Visit, Question], Answer]


def unanswered(visit: Visit, question: Question) -> Answer:
    """What a daemon answers that was given nobody to answer for it."""
    del visit
    return said(f"{question.verb} is not answered here", USAGE)


@dataclass(frozen=True, slots=True)
class Service:
    """What operators may ask, and who answers them."""

    verbs: Verbs = field(default_factory=dict[str, Verb])
    answered: Answers = unanswered


@dataclass(frozen=True, slots=True)
class Desk:
    """The operators' side of one daemon, in what it may call.

    `reload(author)` gives what is wrong with the files; `run_now(pipelines, kind, trigger)` sees that they run; `alone()`
    is held by one of them at a time; `apart()` opens the district with connections of its own.
    """

    district: Callable[[], Running]
    health: Callable[[], Health]
    reload: Callable[[str], Sequence[Problem]]
    run_now: Callable[[Collection[str], str, str], None]
    answered: Answers
    alone: Callable[[], AbstractContextManager[object]]
    apart: Callable[[], AbstractContextManager[Running]]

    def serve(self, peer: Peer, question: Question) -> Answer:
        """The answer to a question that this peer may ask."""
        daemon = DaemonSide(self.reload, self.run_now)
        visit = Visit(peer, self.district(), self.health, self.apart, self.alone, daemon)
        answer = self.answered(visit, question)
        if answer.runs:
            # Not in the name of who approved: what is held of this run as well is nobody's wish.
            about = question.told.get("run") or question.told.get("target")
            self.run_now([answer.runs], "delta", f"{'approval' if question.verb == 'approve' else question.verb} of {about}")
        _log.info("control.answered", kind=question.verb, subject=str(peer.actor.uid), status=answer.code)
        return answer
