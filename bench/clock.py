"""Where the seconds of a plan go, as the engine itself tells them, and the moment from which a rate of writes is counted.

The clock of creates and updates starts when the first person is decided: then the source has been read, and what it says has been
resolved to records of known persons. It ends with the last committed outcome.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from syncd.engine.planned import Planned

BEFORE_THE_FIRST_PERSON = ("read", "resolve")


def phases(planned: Planned) -> Mapping[str, float]:
    """The seconds of each phase of a plan, in order; nothing where the engine does not tell."""
    told: Mapping[str, float] = getattr(planned, "phases", {})
    return told


def before_first_person(planned: Planned) -> float:
    """How many seconds of the plan had passed when its first person was decided; 0 where the engine does not tell."""
    return sum(phases(planned).get(phase, 0.0) for phase in BEFORE_THE_FIRST_PERSON)


@contextmanager
def uncollected() -> Iterator[None]:
    """What the bench itself holds (rosters, entries) is no business of the garbage collector's while syncd is on the clock."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
