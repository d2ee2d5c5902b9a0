"""One visit: who asks, of which district, and what whoever answers may do meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from syncd.assembly import Running
from syncd.control.peers import Peer
from syncd.engine.health import Health
from syncd.errors import Problem

Told = Callable[[int], object]


@contextmanager
def silent(what: str, of: int) -> Iterator[Told]:
    """Nobody looks on."""
    del what, of
    yield lambda _: None


@dataclass(frozen=True, slots=True)
class DaemonSide:
    """What only a daemon does: `reload(author)` tells what is wrong in the files, `run_now(pipelines, kind, trigger)` runs them."""

    reload: Callable[[str], Sequence[Problem]]
    run_now: Callable[[Collection[str], str, str], None]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a verb is given.

    `health` tells how the district is; it raises EndpointError where the store does not answer. `alone` is held while a verb does
    what a run does; it raises EndpointError where a run of this process does not end soon. `apart` opens the district with
    connections of its own, for what goes on beside a run. `progress` shows whoever looks on how far it is.
    """

    peer: Peer
    district: Running
    health: Callable[[], Health]
    apart: Callable[[], AbstractContextManager[Running]]
    alone: Callable[[], AbstractContextManager[object]] = nullcontext
    daemon: DaemonSide | None = None
    progress: Callable[[str, int], AbstractContextManager[Told]] = silent

    @property
    def who(self) -> str:
        """Who asks, as the kernel says it (R39)."""
        return str(self.peer.actor)
