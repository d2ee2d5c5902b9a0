"""The daemon's end of the socket, as the pages see it: three questions, and typed answers.

Everything that is told of a person comes from there, and what goes there is what was typed. An answer of another shape is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncd.errors import EndpointError

Ask = Callable[[str, Mapping[str, str]], object]
"""Asks the daemon one verb, told these texts; what it answers, as JSON has it.

Raises EndpointError where it cannot be asked or does not understand, TransientError where it does not answer in time.
"""


@dataclass(frozen=True, slots=True)
class Coded:
    """A demand on a password, or a reason why one was not taken: a code, and the number in it."""

    code: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What the pages must say beforehand. `last4` is of which numbers the last four digits are asked for."""

    district: str
    last4: Sequence[str]
    demands: Sequence[Coded]


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed to claim an account."""

    given: str
    family: str
    birth_date: str
    last4: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The facts were right: with this ticket a password can be set."""

    ticket: str


@dataclass(frozen=True, slots=True)
class Refused:
    """They were not, or there is nothing to claim."""


@dataclass(frozen=True, slots=True)
class Locked:
    """There were too many tries: nothing is compared for so many minutes."""

    minutes: int


@dataclass(frozen=True, slots=True)
class Done:
    """The account is open. `works` are the targets that know the password, `later` those that soon will.

    `earlier`: it had been opened by a try whose answer got lost, and the password of that one is the good one.
    """

    username: str
    mail: str
    works: Sequence[str]
    later: Sequence[str]
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The directory does not take this password; the ticket stays good."""

    reasons: Sequence[Coded]


@dataclass(frozen=True, slots=True)
class Expired:
    """The ticket is none any more."""


@dataclass(frozen=True, slots=True)
class Later:
    """The directory does not answer; the ticket stays good."""


def terms(ask: Ask) -> Terms:
    """What the pages must say beforehand."""
    told = _dict(ask("terms", {}))
    last4: list[str] = []
    for population in _dict(told.get("claims")).values():
        last4 += _texts(_dict(population).get("last4", []))
    demands = _coded(_dict(told.get("password")).get("words"))
    return Terms(_text(told.get("district")), tuple(dict.fromkeys(last4)), demands)


def claim(ask: Ask, typed: Typed, address: str) -> Accepted | Refused | Locked:
    """Whether these facts prove who somebody is. The address counts, and so do the names and the birth date."""
    question = {"given": typed.given, "family": typed.family, "birth_date": typed.birth_date, "last4": typed.last4}
    told = _dict(ask("claim", {**question, "address": address, "device": ""}))
    match told.get("outcome"):
        case "accepted":
            return Accepted(_text(told.get("ticket")))
        case "refused":
            return Refused()
        case "locked":
            return Locked(_number(told.get("minutes")))
        case _:
            raise _strange()


def choose(ask: Ask, ticket: str, password: str, address: str) -> Done | NotTaken | Expired | Later:
    """What became of a password. It may be asked again with the same ticket, whatever came of it."""
    told = _dict(ask("claim_password", {"ticket": ticket, "password": password, "address": address}))
    match told.get("outcome"):
        case "done":
            username, mail = _text(told.get("username")), _text(told.get("mail"))
            return Done(username, mail, _texts(told.get("works")), _texts(told.get("later")), told.get("earlier") is True)
        case "password":
            return NotTaken(_coded(told.get("reasons")) or (Coded("directory"),))
        case "expired":
            return Expired()
        case "later":
            return Later()
        case _:
            raise _strange()


def _strange() -> EndpointError:
    return EndpointError("portal", "the daemon's answer cannot be understood", "is it as new as the pages?")


def _dict(told: object) -> Mapping[str, object]:
    if not isinstance(told, dict):
        raise _strange()
    return told


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise _strange()
    return told


def _number(told: object) -> int:
    if not isinstance(told, int) or isinstance(told, bool):
        raise _strange()
    return told


def _texts(told: object) -> tuple[str, ...]:
    if not isinstance(told, list):
        raise _strange()
    return tuple(_text(one) for one in told)


def _coded(told: object) -> tuple[Coded, ...]:
    if not isinstance(told, list):
        raise _strange()
    found = []
    for one in map(_dict, told):
        number = one.get("n")
        found.append(Coded(_text(one.get("code")), number if isinstance(number, int) else None))
    return tuple(found)
