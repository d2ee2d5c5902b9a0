"""Every error syncd raises on purpose, named by what happens next.

A caller never parses a message to decide: the class says whether to edit a file, call again, sit this run out, or set one
change aside. Anything that is not one of these is a bug and fails the run with its traceback.
"""

from __future__ import annotations

from dataclasses import dataclass


class SyncdError(Exception):
    """The root of everything raised on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in one file: where (`file:line:col`), and what, with what to do about it."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ConfigError(SyncdError):
    """Edit a file: carries every problem of every file at once. Exit code 78."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class TransientError(SyncdError):
    """Make the same call again later; `retry_after` is in seconds where the other side named a time."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class EndpointError(SyncdError):
    """A source or target is unusable now: a source is stood in for by its last accepted spool, a target sits this run out."""

    def __init__(self, endpoint: str, why: str, remedy: str = "") -> None:
        self.endpoint = endpoint
        self.why = why
        self.remedy = remedy
        super().__init__(f"{endpoint}: {why}" + (f"; {remedy}" if remedy else ""))


class PartError(EndpointError):
    """A part of a target is unusable now, such as its licences: what needs it waits, and everything else goes on."""

    def __init__(self, endpoint: str, part: str, why: str, remedy: str = "") -> None:
        self.part = part
        super().__init__(endpoint, why, remedy)

    @property
    def told(self) -> str:
        """What is wrong and what to do, without the name of the endpoint."""
        return "; ".join(filter(None, (self.why, self.remedy)))


class StoreError(EndpointError):
    """The store is unusable now: whatever is under way ends, and no target is blamed for it."""

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__("store", why, remedy)


class Stopped(SyncdError):  # noqa: N818 — not a fault: somebody asked for it
    """The program was told to end while it planned: nothing was written, and the next run plans anew."""


class ChangeError(SyncdError):
    """One change was refused by its target; it is recorded and the run goes on."""

    def __init__(self, kind: str, why: str) -> None:
        self.kind = kind
        self.why = why
        super().__init__(f"{kind}: {why}")
