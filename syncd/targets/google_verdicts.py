"""What becomes of one change without, or in spite of, a request: how the connector's modules say so to each other."""

from __future__ import annotations

from syncd.core.model import Failure, Result


class Settled(Exception):  # noqa: N818 — a verdict on one change, never leaves the connector
    """What became of a change."""

    def __init__(self, result: Result, why: str = "", failure: Failure | None = None) -> None:
        super().__init__(why)
        self.result = result
        self.failure = failure


def unfit(failure: Failure, why: str) -> Settled:
    """A change that must not or cannot be carried out."""
    return Settled(Result.FAILED, why, failure)


def already() -> Settled:
    """A change that is so already."""
    return Settled(Result.ALREADY)
