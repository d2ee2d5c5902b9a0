"""One question as it is answered: what is asked, by whom, and of which district."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from syncd.assembly import Running
from syncd.control import Answer, Question
from syncd.control.peers import Peer
from syncd.engine.health import Health


@dataclass(frozen=True, slots=True)
class Visit:
    """What a verb is given.

    `health` tells how the district is; it raises EndpointError where the store does not answer. `alone` is held while a verb does
    what a run does; it raises EndpointError where a run of this process does not end soon.
    """

    question: Question
    peer: Peer
    district: Running
    health: Callable[[], Health]
    alone: Callable[[], AbstractContextManager[object]] = nullcontext


Handler = Callable[[Visit], Answer]
"""Answers one verb. Raises Malformed, SyncdError or OSError where it cannot."""
