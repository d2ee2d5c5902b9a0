"""The daemon's end of the socket, as the pages see it: three questions, and typed answers.

Everything that is told of a person comes from there, and what goes there is what was typed. An answer of another shape is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from syncd.core.chosen import Fault
from syncd.core.claimed import Accepted, Done, Expired, Later, Locked, Refused, Wanting
from syncd.errors import EndpointError

Ask = Callable[[str, Mapping[str, str]], object]
"""Asks the daemon one verb, told these texts; what it answers, as JSON has it.

Raises EndpointError where it cannot be asked or does not understand, TransientError where it does not answer in time.
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the pages must say beforehand. `last4` is of which numbers the last four digits are asked for."""

    district: str
    last4: Sequence[str]
    demands: Sequence[Fault]


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed to claim an account."""

    given: str
    family: str
    birth_date: str
    last4: str


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


def choose(ask: Ask, ticket: str, password: str, address: str) -> Done | Wanting | Expired | Later:
    """What became of a password. It may be asked again with the same ticket, whatever came of it."""
    told = _dict(ask("claim_password", {"ticket": ticket, "password": password, "address": address}))
    match told.get("outcome"):
        case "done":
            username, mail = _text(told.get("username")), _text(told.get("mail"))
            return Done(username, mail, _texts(told.get("works")), _texts(told.get("later")), told.get("earlier") is True)
        case "password":
            return Wanting(_coded(told.get("reasons")) or (Fault("directory"),))
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


def _coded(told: object) -> tuple[Fault, ...]:
    if not isinstance(told, list):
        raise _strange()
    found = []
    for one in map(_dict, told):
        number = one.get("n")
        found.append(Fault(_text(one.get("code")), number if isinstance(number, int) else 0))
    return tuple(found)
