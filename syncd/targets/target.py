"""`Target`: what every connector would otherwise repeat, once: retry, rate, breaker, write scope and error budget.

A connector translates; this decides whether to call it, when, and how often. Nothing is retried that may have been written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NoReturn, TypeVar

import pybreaker
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from syncd.core.devices import Device
from syncd.core.model import Account, Change, Failure, NativeId, Observed, ObservedGroup, Outcome, OutOfReach, Result, TargetName
from syncd.errors import ChangeError, EndpointError, PartError, StoreError, TransientError
from syncd.targets import (
    Changes,
    Connector,
    FollowsNames,
    HasParts,
    KeepsGroups,
    LimitsWrites,
    ManagesContainers,
    ManagesDevices,
    ManagesGroups,
    PasswordOf,
    ProtectsContainers,
    Question,
    RefersToAccounts,
    Scope,
    Seats,
    TellsChanges,
    TellsSeats,
    TellsUse,
    Use,
)

if TYPE_CHECKING:
    from pyrate_limiter import Limiter

Answered = TypeVar("Answered")

_ATTEMPTS = 4
_QUESTIONS = 500  # put to a connector, and repeated after a lost connection, at once


class Target:
    """One configured target, safe to call. Raises EndpointError where the target must sit this run out; never TransientError."""

    def __init__(
        self,
        name: str,
        connector: Connector,
        *,
        rate: float | None = None,
        error_budget: int = 50,
        patience: float = 30.0,
        may_be_empty: Collection[str] = (),
        on_state: Callable[[str, str], None] | None = None,
        on_call: Callable[[str, float], None] | None = None,
    ) -> None:
        """`rate` is changes per second; `patience` the longest pause; who stood in `may_be_empty` may be gone, all at once.

        `on_state(target, state)` hears of the breaker, `on_call(target, seconds)` of every question that was answered.
        """
        self.name = TargetName(name)
        self.connector = connector
        self._budget = error_budget
        self._failed = 0
        self._patience = patience
        self._may_be_empty = tuple(may_be_empty)
        self._on_call = on_call
        self._limiter = _limiter(rate) if rate else None
        self.breaker = pybreaker.CircuitBreaker(
            fail_max=3,
            reset_timeout=60,
            exclude=[ChangeError, PartError, StoreError],
            listeners=[_Heard(name, on_state)] if on_state else [],
            name=name,
            throw_new_error_on_trip=False,
        )

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Every account in scope, each once, streamed; a lost connection starts the read over and skips what was told already."""
        return self._guarded_stream(self._read(scope))

    def _read(self, scope: Scope) -> Iterator[Observed]:
        seen: set[NativeId] = set()
        for attempt in self._retrying():
            with attempt:
                for observed in self.connector.read(scope):
                    if observed.native_id not in seen:
                        seen.add(observed.native_id)
                        yield observed

    def may_be_empty(self) -> frozenset[str]:
        """Containers of which others may delete every account, as the target spells them."""
        return frozenset(map(self.canonical_group, self._may_be_empty))

    def bookmark(self) -> str:
        """Where the target stands at this moment, for changed_since(); empty where it never says, or cannot now."""
        return self._call(self.connector.bookmark) if isinstance(self.connector, TellsChanges) else ""

    def changed_since(self, bookmark: str, scope: Scope) -> Changes | None:
        """What others changed since the bookmark; None where the target does not tell changes."""
        connector = self.connector
        return self._call(lambda: connector.changed_since(bookmark, scope)) if isinstance(connector, TellsChanges) else None

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """Each account that answers a question; no pair for a question means that there surely is none in scope."""
        asked = list(dict.fromkeys(questions))
        for start in range(0, len(asked), _QUESTIONS):
            batch = asked[start : start + _QUESTIONS]
            yield from self._call(lambda batch=batch: list(self.connector.lookup(batch, scope)))  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def uses(self) -> dict[NativeId, Use] | None:
        """When each account was last used; None where the target does not remember that."""
        connector = self.connector
        return self._call(lambda: dict(connector.uses())) if isinstance(connector, TellsUse) else None

    def canonical(self, account: Account) -> Account:
        """The account spelled as read() would report it."""
        return self.connector.canonical(account)

    def is_name(self, attribute: str) -> bool:
        """Whether the target holds this attribute as an account's own name, so that it is not among its canonical attributes."""
        return not self.connector.canonical(Account("x", "", enabled=True, attributes={attribute: ("x",)})).attributes

    def canonical_group(self, name: str) -> str:
        """A group's or container's name spelled as the target would report it."""
        return self.connector.canonical_group(name) if isinstance(self.connector, ManagesGroups) else name

    def reference(self, account: Account) -> str | None:
        """What an attribute that names this account holds; None where the target has no such attributes."""
        return self.connector.reference(account) if isinstance(self.connector, RefersToAccounts) else None

    def follow(self, changes: Sequence[Change]) -> str:
        """After renames, moves and deletes that were made without us: no group holds an old name any more; or what went wrong."""
        return self.connector.follow(changes) if changes and isinstance(self.connector, FollowsNames) else ""

    def protect(self, containers: Collection[str]) -> Mapping[str, str]:
        """After containers were made without us: they are kept from being deleted by mistake; of each what could not be done."""
        connector = self.connector
        return connector.protect(containers) if containers and isinstance(connector, ProtectsContainers) else {}

    def missing_containers(self, names: Collection[str]) -> set[str]:
        """Those of the containers, ancestors included, that do not exist; none where the target has no containers."""
        connector = self.connector
        if not names or not isinstance(connector, ManagesContainers):
            return set()
        return self._call(lambda: connector.missing_containers(names))

    def missing_groups(self, names: Collection[str]) -> set[str]:
        """Those of the groups that do not exist, canonical; none where the target has no groups."""
        connector = self.connector
        if not names or not isinstance(connector, ManagesGroups):
            return set()
        return self._call(lambda: connector.missing_groups(names))

    def groups_amiss(self, names: Collection[str]) -> Mapping[str, str]:
        """Of groups that are not set as the target's configuration says, what differs. Raises PartError where none can be read."""
        connector = self.connector
        if not names or not isinstance(connector, KeepsGroups):
            return {}
        return self._call(lambda: connector.groups_amiss(names))

    def seats_left(self, names: Collection[str]) -> Mapping[str, Seats]:
        """How many more members each of these groups can have; those that know no bound are missing."""
        connector = self.connector
        if not names or not isinstance(connector, TellsSeats):
            return {}
        return self._call(lambda: connector.seats_left(names))

    @property
    def has_parts(self) -> bool:
        """Whether parts of it may be out of reach while the rest can be used."""
        return isinstance(self.connector, HasParts)

    def out_of_reach(self, names: Collection[str]) -> Mapping[str, OutOfReach]:
        """Those of these groups and containers that cannot be asked about or written now, while the rest of the target can."""
        connector = self.connector
        if not names or not isinstance(connector, HasParts):
            return {}
        return self._call(lambda: connector.out_of_reach(names))

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the named groups that exist, with their members in scope; none where the target has no groups."""
        connector = self.connector
        if not names or not isinstance(connector, ManagesGroups):
            return iter(())
        return iter(self._call(lambda: list(connector.read_groups(names))))

    def devices(self) -> list[Device]:
        """Every device that it holds; none where it holds no devices."""
        connector = self.connector
        return self._call(lambda: list(connector.devices())) if isinstance(connector, ManagesDevices) else []

    # --- writing ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A new run: the error budget is whole again."""
        self._failed = 0

    @property
    def failed(self) -> int:
        """How many changes failed since the error budget was whole."""
        return self._failed

    @property
    def exhausted(self) -> bool:
        """True when so many changes of this run failed that no more are sent."""
        return self._failed >= self._budget

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Exactly one outcome for every change. Raises EndpointError only while none was sent.

        A change that must not be sent fails as OUT_OF_SCOPE; once the error budget is spent, the rest fail as WAITS, unsent.
        """
        return self._guarded_stream(self._apply(changes, password))

    def _apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        kept: list[Outcome] = []
        feed = _Replayable(self._sendable(changes, kept))
        for attempt in self._retrying():
            with attempt:
                for outcome in self.connector.apply(feed.again(), password):
                    feed.forget()
                    self._count(outcome)
                    yield from _drained(kept)
                    yield outcome
        yield from _drained(kept)

    def _sendable(self, changes: Iterable[Change], kept: list[Outcome]) -> Iterator[Change]:
        """The changes that may be sent, at the permitted rate; what became of the others goes to `kept`."""
        limits = self.connector if isinstance(self.connector, LimitsWrites) else None  # asked once: the question is not cheap
        for change in changes:
            refusal = limits.refuses(change) if limits is not None else ""
            if change.target != self.name:
                refusal = f"the change is for target {change.target}"
            if refusal:
                kept.append(Outcome(change, Result.FAILED, failure=Failure.OUT_OF_SCOPE, why=refusal))
            elif self.exhausted:
                why = f"not sent: {self._failed} changes failed in this run, which is the error budget of {self.name}"
                kept.append(Outcome(change, Result.FAILED, failure=Failure.WAITS, why=why))
            else:
                if self._limiter is not None:
                    self._limiter.try_acquire(self.name)  # blocks until there is room
                yield change

    def _count(self, outcome: Outcome) -> None:
        """Stale is not the target's fault: the engine rereads and plans again (R18). Waiting follows a failure counted already.

        Nor is it that licences have run out, which says nothing of what comes next.
        """
        if outcome.result is Result.FAILED and outcome.failure not in (Failure.STALE, Failure.WAITS, Failure.NO_SEAT):
            self._failed += 1

    def change_devices(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """Exactly one outcome for every change. Raises EndpointError only while none was sent.

        Once the error budget is spent, the changes fail as WAITS, unsent.
        """
        connector = self.connector
        if self.exhausted or not isinstance(connector, ManagesDevices):
            why = (
                f"not sent: {self._failed} changes failed in this run" if self.exhausted else "not sent: there are no devices here"
            )
            return iter([Outcome(change, Result.FAILED, failure=Failure.WAITS, why=why) for change in changes])
        return self._guarded_stream(self._changed_devices(connector, changes))

    def _changed_devices(self, connector: ManagesDevices, changes: Sequence[Change]) -> Iterator[Outcome]:
        for attempt in self._retrying():
            with attempt:
                for outcome in connector.change_devices(changes):
                    self._count(outcome)
                    yield outcome

    def close(self) -> None:
        """Let go of the wire and of the limiter's thread; idempotent."""
        self.connector.close()
        limiter, self._limiter = self._limiter, None
        if limiter is not None:
            limiter.close()

    # --- calling ------------------------------------------------------------------------------------------------------

    def _call(self, ask: Callable[[], Answered]) -> Answered:
        begun = time.perf_counter()
        answered = self._guarded(lambda: self._retrying()(ask))
        if self._on_call is not None:
            self._on_call(self.name, time.perf_counter() - begun)
        return answered

    def _retrying(self) -> Retrying:
        """Attempts while the error is transient, waiting as long as the other side asked for, else longer each time."""
        backoff = wait_random_exponential(multiplier=0.2, max=self._patience)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, TransientError) else None
            return min(asked, self._patience) if asked is not None else backoff(state)

        def give_up(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            endpoint, _, why = str(error).partition(": ")  # a connector says which server it was: not to be said twice
            if not why or not endpoint.startswith(self.name):
                endpoint, why = self.name, str(error)
            raise EndpointError(endpoint, f"{why} (tried {state.attempt_number} times)") from error

        return Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait,
            retry_error_callback=give_up,
        )

    def _guarded(self, ask: Callable[[], Answered]) -> Answered:
        try:
            answered: Answered = self.breaker.call(ask)
        except pybreaker.CircuitBreakerError as error:
            raise self._open() from error
        return answered

    def _guarded_stream(self, stream: Iterator[Answered]) -> Iterator[Answered]:
        """The stream. Its first step is the breaker's to allow, and what ends it in the middle is the breaker's to know."""
        end = object()
        step = self._guarded(lambda: next(stream, end))
        while step is not end:
            yield step  # type: ignore[misc]  # `end` is the only thing in the stream that is not Answered
            try:
                step = next(stream, end)
            except (EndpointError, TransientError) as error:
                self._guarded(partial(_fail, error))

    def _open(self) -> EndpointError:
        return EndpointError(self.name, "failed repeatedly and is left alone for a minute", "look at the errors before this one")


def _fail(error: Exception) -> NoReturn:
    raise error


def _limiter(rate: float) -> Limiter:
    from pyrate_limiter import Duration, Limiter, Rate  # noqa: PLC0415 — loaded for those who limit anything, and nobody else

    changes = max(1, int(rate))  # a fraction of a change per second is one change in so many milliseconds
    return Limiter(Rate(changes, int(changes / rate * Duration.SECOND)))


class _Replayable:
    """Changes pulled by a connector that then sent none of them can be given again."""

    def __init__(self, changes: Iterator[Change]) -> None:
        self._changes = changes
        self._pulled: list[Change] | None = []

    def again(self) -> Iterator[Change]:
        """What was pulled so far, then the rest."""
        return chain(list(self._pulled or ()), self._remembering())

    def _remembering(self) -> Iterator[Change]:
        for change in self._changes:
            if self._pulled is not None:
                self._pulled.append(change)
            yield change

    def forget(self) -> None:
        """Something was sent: from here on nothing may be given again."""
        self._pulled = None


class _Heard(pybreaker.CircuitBreakerListener):
    """Passes the breaker's changes of state on, for health and metrics."""

    def __init__(self, name: str, told: Callable[[str, str], None]) -> None:
        self._name = name
        self._told = told

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        """Called by the breaker."""
        del cb, old_state
        self._told(self._name, new_state.name)


def _drained(outcomes: list[Outcome]) -> Iterator[Outcome]:
    ready = outcomes[:]
    outcomes.clear()
    yield from ready
