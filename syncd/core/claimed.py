"""What comes of a claim, for whoever decides it and for the pages that show it: they are two processes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.core.chosen import Fault


@dataclass(frozen=True, slots=True)
class Accepted:
    """They are who they say, and whoever holds the ticket may choose a password."""

    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """What was typed is not accepted; why is nobody's business."""


@dataclass(frozen=True, slots=True)
class Locked:
    """There were too many wrong tries: none is looked at for so many minutes."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Done:
    """The account is open. `works`: where the password is good already, `later`: where it will be in some minutes.

    `earlier`: it had been opened already, by a try whose answer got lost, and the password of that one is the good one.
    """

    username: str
    mail: str
    works: tuple[str, ...]
    later: tuple[str, ...] = ()
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Wanting:
    """Another password is needed; the ticket stays good."""

    reasons: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Expired:
    """The ticket is good for nothing: never was, too old, or the account cannot be claimed any more."""


@dataclass(frozen=True, slots=True)
class Later:
    """The directory cannot be asked now; the ticket stays good."""
