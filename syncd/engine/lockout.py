"""Shutting somebody out everywhere, at once, past schedule, quiet hours, limits and a run that is under way (R33).

The lock is a fact first; whatever is open of somebody locked is owed from then on, until it is closed. Who carries it out: the verb
that made it, every run before and behind its changes, and the daemon at every tick. None of them needs the right to run: a lock
writes under a lease of its own for each account, is journalled in a run of its own, and disabling twice disables once.

A run and a lock that begin together cannot miss each other. A run journals a batch, then looks for locks, then sends; a lock is
committed, then it looks for what is journalled and not answered. So one of them sees the other: the run does not send, or the lock
stays owed until the answer is there, and closes what was opened meanwhile.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from syncd import telemetry
from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, PersonId, Result, RunId, TargetName
from syncd.engine import passwords
from syncd.engine.resolve import resolve
from syncd.errors import EndpointError, StoreError, TransientError
from syncd.store import Intention, Store
from syncd.store.facts import LOCK, Owed
from syncd.targets import ById, ByLocation, Question, Scope
from syncd.targets.target import Target

LEASE_SECONDS = 30
ROUNDS = 3  # an account that is moved while it is closed is looked for again
PIPELINE = "(lock)"
"""What the run of a lock says in the pipeline's place: it belongs to none, and is no sign of life of any."""

_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Shut:
    """What became of one account of somebody locked. `closed`: it is disabled now, or not there; else it stays owed, and why."""

    target: TargetName
    person: PersonId
    closed: bool
    why: str
    waits: bool = False  # for an answer to what a run has sent: asked again in a moment


@dataclass(slots=True)
class _Run:
    """The journal's run of one call, begun with the first change."""

    store: Store
    clock: Callable[[], datetime]
    trigger: str
    id: RunId | None = None
    landed: int = 0
    failed: int = 0

    def begun(self) -> RunId:
        """The run's id."""
        if self.id is None:
            self.id = self.store.begin_run(PIPELINE, LOCK, self.trigger, self.clock())
            self.store.set_run(self.id, "applying")
        return self.id

    def end(self) -> None:
        """Say how it ended, if it ever began."""
        if self.id is not None:
            summary = {"disable": self.landed + self.failed, "landed": self.landed, "failed": self.failed}
            self.store.set_run(self.id, "partly failed" if self.failed else "done", self.clock(), summary)


class Lockout:
    """Closes what is open of everybody locked, on the targets of one district."""

    def __init__(
        self,
        store: Store,
        targets: Mapping[TargetName, Target],
        scopes: Mapping[TargetName, Scope],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._targets = targets
        self._scopes = scopes
        self._clock = clock
        self._holder = f"{socket.gethostname()}:{secrets.token_hex(8)}"

    def enforce(
        self, suspected: Collection[tuple[TargetName, PersonId]] = (), persons: Collection[PersonId] | None = None
    ) -> list[Shut]:
        """Close what is owed, and whatever of the `suspected` accounts is found open; what became of each. Raises for no target.

        `persons` leaves everybody else alone.
        """
        owed = {(one.target, one.fact.person): one for one in self._store.facts.owed()}
        for one in self._store.facts.known(suspected) if suspected else ():
            owed.setdefault((one.target, one.fact.person), one)
        if persons is not None:
            owed = {key: one for key, one in owed.items() if key[1] in persons}
        if not owed:
            return []
        by_target: dict[TargetName, list[Owed]] = {}
        for (target, _), one in sorted(owed.items()):
            by_target.setdefault(target, []).append(one)
        run = _Run(self._store, self._clock, "lock")
        if len(by_target) == 1:
            told = [self._close(target, mine, run) for target, mine in by_target.items()]
        else:  # none waits behind one that is dead
            run.begun()
            with ThreadPoolExecutor(len(by_target)) as pool:
                told = list(pool.map(lambda each: self._close(each[0], each[1], run), by_target.items()))
        run.end()
        found = [shut for mine in told for shut in mine]
        _log.info("lock.enforced", run=run.id, closed=sum(one.closed for one in found), owed=sum(not one.closed for one in found))
        return found

    def _close(self, name: TargetName, owed: Sequence[Owed], run: _Run) -> list[Shut]:
        """What became of each account on one target."""
        if name not in self._scopes:
            why = "is not configured any more: configure it again, or close the account by hand"
            return [Shut(name, one.fact.person, closed=False, why=why) for one in owed]
        mine: list[Owed] = []
        try:
            mine += [one for one in owed if self._store.leases.take(_lease(one), self._holder, self._clock(), LEASE_SECONDS)]
            told = [Shut(name, one.fact.person, closed=False, why="is being closed", waits=True) for one in owed if one not in mine]
            return [*told, *self._closed(self._targets[name], name, mine, run)]
        except (EndpointError, TransientError) as error:
            # A store in which somebody writes at length is asked again in a moment; a target is not.
            waits = isinstance(error, StoreError)
            return [Shut(name, one.fact.person, closed=False, why=str(error), waits=waits) for one in owed]
        finally:
            with suppress(EndpointError):  # it runs out by itself
                for one in mine:
                    self._store.leases.give_back(_lease(one), self._holder)

    def _closed(self, target: Target, name: TargetName, owed: Sequence[Owed], run: _Run) -> Iterator[Shut]:
        left, scope, why, with_password = list(owed), self._scopes[name], dict[PersonId, str](), True
        for _ in range(ROUNDS):
            found = self._observed(target, left, scope)
            open_ones: list[tuple[Owed, Observed]] = []
            for one in left:
                observed = found.get(one.fact.person)
                if observed is not None and observed.account.enabled:
                    open_ones.append((one, observed))
                else:
                    yield self._already(one, observed)
            if not open_ones:
                return
            outcomes = self._send(target, scope, open_ones, run, password=with_password)
            left = []
            for (one, _), outcome in zip(open_ones, outcomes, strict=True):
                if outcome.landed:
                    said = "its password replaced" if with_password else f"its password left as it was ({why[one.fact.person]})"
                    yield Shut(name, one.fact.person, closed=not one.in_flight, why=f"disabled, and {said}", waits=one.in_flight)
                else:
                    why[one.fact.person] = outcome.why
                    left.append(one)
            # A directory that will not have the password must still close the account.
            with_password &= all(one.landed or one.failure in (Failure.STALE, Failure.WAITS) for one in outcomes)
        for one in left:
            yield Shut(name, one.fact.person, closed=False, why=why[one.fact.person])

    def _observed(self, target: Target, owed: Sequence[Owed], scope: Scope) -> dict[PersonId, Observed]:
        """Each account as the target has it now. One that is being made is looked for at its place, and told by what is in it."""
        questions: dict[PersonId, Question] = {}
        for one in owed:
            if one.known is not None:
                questions[one.fact.person] = ById(one.known.native_id)
            elif one.making is not None:
                place = target.canonical(one.making)
                questions[one.fact.person] = ByLocation(place.container, place.rdn)
        answers = dict(target.lookup(sorted(set(questions.values()), key=repr), scope)) if questions else {}
        found = {person: answers[question] for person, question in questions.items() if question in answers}
        made = {one.fact.person: one.making for one in owed if one.known is None and one.making is not None}
        linked = self._store.linked(target.name, [found[person].native_id for person in made if person in found])
        for person, making in made.items():
            if person in found and (
                linked.get(found[person].native_id, person) != person or not _is(found[person].account, making)
            ):
                del found[person]  # somebody else's
        return found

    def _already(self, one: Owed, observed: Observed | None) -> Shut:
        """An account that is not open: known to be so from now on. Who closed it, the journal tells."""
        if one.known is not None and one.known.account.enabled:
            now = observed.account if observed is not None else one.known.account
            seen = replace(now, enabled=False, groups=one.known.account.groups)
            self._store.facts.seen([replace(one.known, account=seen, disabled_by_us=False)])
        why = "is disabled" if observed is not None else "is not there"
        if one.in_flight:
            return Shut(
                one.target, one.fact.person, closed=False, why="a run has sent something to it and waits for the answer", waits=True
            )
        return Shut(one.target, one.fact.person, closed=True, why=why)

    def _send(
        self, target: Target, scope: Scope, open_ones: Sequence[tuple[Owed, Observed]], run: _Run, *, password: bool
    ) -> list[Outcome]:
        """What came of disabling each, in their order: journalled before, recorded behind."""
        changes = [_disable(target.name, one, observed) for one, observed in open_ones]
        secret = {id(change): passwords.random() for change in changes} if password else {}
        number = run.begun()
        seqs = self._store.intend(number, changes, {}, self._clock())
        place = {id(change): index for index, change in enumerate(changes)}
        outcomes = [
            Outcome(change, Result.FAILED, failure=Failure.WAITS, why="not sent: the target could not be used")
            for change in changes
        ]
        try:
            for outcome in target.apply(iter(changes), lambda change: secret.get(id(change))):
                outcomes[place[id(outcome.change)]] = outcome
            unknown = [at for at, outcome in enumerate(outcomes) if outcome.result is Result.UNKNOWN]
            asked = [Intention(seqs[at], number, changes[at]) for at in unknown]
            for seq, outcome in resolve(target, scope, asked, self._store):
                outcomes[seqs.index(seq)] = outcome
        finally:  # what is unknown still stays open in the journal: the next run finds out
            told = [(seq, one) for seq, one in zip(seqs, outcomes, strict=True) if one.result is not Result.UNKNOWN]
            self._store.facts.answered(told, self._clock())
            run.landed += sum(outcome.landed for outcome in outcomes)
            run.failed += sum(not outcome.landed for outcome in outcomes)
        for outcome in outcomes:
            _log.info("change.applied", run=number, target=target.name, person=outcome.change.person, kind=str(Kind.DISABLE),
                      result=str(outcome.result), failure=outcome.failure and str(outcome.failure))  # fmt: skip
        return outcomes

    def is_carrying_out(self, intention: Intention) -> bool:
        """Whether somebody is at work on this change of a lock or claim: then it is theirs to find out what became of it."""
        change = intention.change
        if change.person is None:
            return False
        return self._store.leases.holder(lease_on(change.target, change.person), self._clock()) is not None


def lease_on(target: TargetName, person: PersonId) -> str:
    """What whoever writes to one account beside the runs holds meanwhile: there is one of them at a time (R19)."""
    return f"lock {target} {person}"


def _lease(one: Owed) -> str:
    return lease_on(one.target, one.fact.person)


def _is(account: Account, making: Account) -> bool:
    return all(account.attributes.get(name, ()) == values for name, values in making.attributes.items())


def _disable(target: TargetName, one: Owed, observed: Observed) -> Change:
    place = replace(observed.account, attributes={}, groups=frozenset())
    return Change(
        target,
        Kind.DISABLE,
        one.fact.told,
        one.fact.person,
        NativeId(observed.native_id),
        before=place,
        after=replace(place, enabled=False),
    )
