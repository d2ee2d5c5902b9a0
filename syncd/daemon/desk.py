"""What operators ask of the daemon: what it does itself (reload, run now) is done here, everything else is answered by others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from syncd import telemetry
from syncd.assembly import Running
from syncd.control import Answer, Question, said
from syncd.control.peers import Peer
from syncd.control.visit import Handler, Visit
from syncd.core.rendering import Line
from syncd.engine.health import Health
from syncd.errors import Problem

BUG, CONFIG, USAGE = 70, 78, 64  # sysexits(3)
_log = telemetry.logger("control")


def unanswered(visit: Visit) -> Answer:
    """What a daemon answers that was given nobody to answer for it."""
    return said(f"{visit.question.verb} is not answered here", USAGE)


@dataclass(frozen=True, slots=True)
class Desk:
    """The operators' side of one daemon, in what it may call.

    `reload(author)` gives what is wrong with the files; `run_now(pipelines, kind, trigger)` sees that they run; `alone()`
    is held by one of them at a time.
    """

    district: Callable[[], Running]
    health: Callable[[], Health]
    reload: Callable[[str], Sequence[Problem]]
    run_now: Callable[[Collection[str], str, str], None]
    answered: Handler
    alone: Callable[[], AbstractContextManager[object]]

    def serve(self, peer: Peer, question: Question) -> Answer:
        """The answer to a question that this peer may ask."""
        answer = self._answer(peer, question)
        _log.info("control.answered", kind=question.verb, subject=str(peer.actor.uid), status=answer.code)
        return answer

    def _answer(self, peer: Peer, question: Question) -> Answer:
        if question.verb == "reload":
            return self._reloaded(str(peer.actor))
        if question.verb == "run-now":
            return self._runs(question, f"asked by {peer.actor}")
        answer = self.answered(Visit(question, peer, self.district(), self.health, self.alone))
        if answer.runs:
            # Not in the name of who approved: what is held of this run as well is nobody's wish.
            about = question.told.get("run") or question.told.get("target")
            self.run_now([answer.runs], "delta", f"{'approval' if question.verb == 'approve' else question.verb} of {about}")
        return answer

    def _reloaded(self, author: str) -> Answer:
        problems = self.reload(author)
        if problems:
            told = [Line(str(problem), "red") for problem in problems]
            return Answer(CONFIG, (*told, Line("the edited files are refused, the last good ones are in use")))
        return said(f"the edited files are good; they are in use from the next run on, and {author} answers for them")

    def _runs(self, question: Question, trigger: str) -> Answer:
        there = sorted(self.district().config.pipelines)
        wanted = [question.text("pipeline")] if question.told.get("pipeline") is not None else there
        if not set(wanted) <= set(there):
            return said(f"no pipeline is called {wanted[0]!r}; there are: {', '.join(there)}", USAGE)
        self.run_now(wanted, "reconcile" if question.flag("reconcile") else "delta", trigger)
        return said(f"{', '.join(wanted)}: a run begins now, or when the one under way has ended; look with: syncd runs")
