"""What a verb that writes does when it is told to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from syncd.engine import Engine


@contextmanager
def ending_well(engine: Engine) -> Iterator[None]:
    """SIGTERM lets the run record what it has sent, and sends nothing more; a second one ends the program as ever."""

    def told(*_: object) -> None:
        signal.signal(signal.SIGTERM, before)
        engine.stop()  # sets a flag that runs only look at: no lock is taken that this thread might hold

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
