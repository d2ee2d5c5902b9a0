"""The daemon's side of the public pages: a socket of its own, a closed list of verbs, and accounts that can do less than a run's.

The pages' process may be anybody's by now, and still asks nothing but this: what is said beforehand, whether facts prove a claim,
and a password for who has proved one. Codes cross the wire and never sentences, and no fact ever comes back over it.
"""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from syncd import telemetry
from syncd.assembly import Clock, opened_claims
from syncd.control import Answer, Malformed, Question, Role, said
from syncd.control.peers import Peer
from syncd.control.server import TRY_LATER, Door, listening
from syncd.control.verbs import Verb
from syncd.core.chosen import Fault
from syncd.core.claimed import Accepted, Done, Expired, Later, Locked, Refused, Wanting
from syncd.engine.claiming import Claiming
from syncd.errors import EndpointError
from syncd.settings import Config, PortalFile

AT_ONCE = 64
"""How many of the pages' questions are answered at once; a first day of school has fifty browsers at a time."""
FACTS = ("name", "birth_date", "last4")
"""What proves a claim, in the order in which pages ask for it."""
_LATER = "the district's store or directory does not answer"

_log = telemetry.logger("portal")


def terms(claiming: Claiming) -> Answer:
    """What pages say beforehand. There is nobody in it."""
    told = claiming.terms()
    claims = {name: {"facts": list(FACTS), "last4": list(each.last4)} for name, each in told.populations.items()}
    lock = {"tries": told.tries, "minutes": told.minutes}
    return Answer(value={"district": told.district, "claims": claims, "password": {"words": _reasons(told.password)}, "lock": lock})


def claim(claiming: Claiming, *, given: str, family: str, birth_date: str, last4: str, address: str, device: str = "") -> Answer:
    """Whether facts prove a claim. `device` is told for what is to come, and proves nothing."""
    del device
    try:
        found = claiming.claim(given=given, family=family, birth_date=birth_date, last4=last4, address=address)
    except ValueError as error:
        raise Malformed(str(error)) from None
    match found:
        case Accepted():
            return Answer(value={"outcome": "accepted", "ticket": found.ticket})
        case Locked():
            return Answer(value={"outcome": "locked", "minutes": found.minutes})
        case Refused():
            return Answer(value={"outcome": "refused"})


def claim_password(claiming: Claiming, *, ticket: str, password: str, address: str) -> Answer:
    """A password for whoever has proved a claim."""
    del address
    found = claiming.set_password(ticket=ticket, password=password)
    match found:
        case Done():
            told = {"username": found.username, "mail": found.mail, "works": list(found.works), "later": list(found.later)}
            return Answer(value={"outcome": "done", **told, "earlier": found.earlier})
        case Wanting():
            return Answer(value={"outcome": "password", "reasons": _reasons(found.reasons)})
        case Expired():
            return Answer(value={"outcome": "expired"})
        case Later():
            return Answer(value={"outcome": "later"})


def _reasons(faults: tuple[Fault, ...]) -> list[dict[str, object]]:
    return [{"code": one.code, "n": one.n} for one in faults]


VERBS: Mapping[str, Verb] = MappingProxyType({one.__name__: Verb(Role.VIEW, one) for one in (terms, claim, claim_password)})
"""Everything the pages can ask. Whoever may ask one may ask all: there is one user who may."""


@dataclass(slots=True)
class _Open:
    """The claims under one configuration, and how many questions are under way with them."""

    config: Config
    claiming: Claiming
    closing: ExitStack
    under_way: int = 0
    retired: bool = False


@dataclass(slots=True)
class PortalDesk:
    """Answers the pages, under the configuration that is in force when they ask."""

    config: Callable[[], Config]
    clock: Clock
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _now: _Open | None = None

    def serve(self, peer: Peer, question: Question) -> Answer:
        """The answer to a question of the pages' own process."""
        del peer
        verb = VERBS[question.verb]
        try:
            with self._claims() as claiming:
                answer: Answer = verb.handler(claiming, **verb.told(question))
        except EndpointError as error:
            _log.warning("portal.later", endpoint=error.endpoint, kind=question.verb)
            return said(_LATER, TRY_LATER)
        _log.info("portal.answered", kind=question.verb)
        return answer

    def pay(self) -> None:
        """Try again where passwords wait for a target."""
        try:
            with self._claims() as claiming:
                claiming.pay()
        except EndpointError as error:
            _log.warning("portal.later", endpoint=error.endpoint, kind="pay")

    def close(self) -> None:
        """Let go of store and targets; a question under way keeps them until it is answered."""
        with self._changing:
            self._retire()

    @contextmanager
    def _claims(self) -> Iterator[Claiming]:
        with self._changing:
            mine = self._current()
            mine.under_way += 1
        try:
            yield mine.claiming
        finally:
            with self._changing:
                mine.under_way -= 1
                if mine.retired and not mine.under_way:
                    mine.closing.close()

    def _current(self) -> _Open:
        config = self.config()
        if self._now is None or self._now.config is not config:
            self._retire()
            with ExitStack() as opening:
                claiming = opening.enter_context(opened_claims(config, clock=self.clock))
                self._now = _Open(config, claiming, opening.pop_all())
        return self._now

    def _retire(self) -> None:
        before, self._now = self._now, None
        if before is not None:
            before.retired = True
            if not before.under_way:
                before.closing.close()


@contextmanager
def portal(portal: PortalFile, desk: PortalDesk, answered: Callable[[Peer, Question], Answer]) -> Iterator[None]:
    """Answer the pages at their socket until the end. Raises EndpointError where the place cannot be had."""
    user, group = _user(portal.user)
    mine = user in (None, os.geteuid())
    door = Door(
        mode=0o600 if mine else 0o660,
        group=None if mine else group,
        stranger="is not the user that `user` in config/portal.yaml names",
        most_of_one=AT_ONCE,
    )
    roles = partial(_roles, os.geteuid() if user is None else user)
    try:
        with listening(portal.socket, door, VERBS, roles, answered):
            yield
    finally:
        desk.close()


def _user(name: str) -> tuple[int | None, int | None]:
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None, None  # as on a machine on which somebody only tries it: then it is the daemon's own user
    return account.pw_uid, account.pw_gid


def _roles(user: int, peer: Peer) -> frozenset[Role]:
    return frozenset({Role.VIEW}) if peer.uid == user else frozenset()
