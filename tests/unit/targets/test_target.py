"""What Target adds to every connector: retry, write scope, error budget, breaker and rate, around a scripted connector."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator

import pytest

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, Result, TargetName
from syncd.errors import EndpointError, SyncdError, TransientError
from syncd.targets import ById, PasswordOf, Question, Scope, Target, build, config_type
from syncd.targets.memory import Memory, MemoryConfig
from syncd.vault import Credentials

SCOPE = Scope(frozenset({"cn"}))


class Scripted(Memory):
    """A memory target that fails as told: each entry of `script` is raised once, in order, before or in the middle of a call."""

    def __init__(self, *script: SyncdError, after: int = 0) -> None:
        super().__init__("t", MemoryConfig())
        self.script = list(script)
        self.after = after
        self.calls = 0
        self.sent: list[str] = []

    def trip(self) -> None:
        if self.script:
            raise self.script.pop(0)

    def read(self, scope: Scope) -> Iterator[Observed]:
        self.calls += 1
        for number, observed in enumerate(super().read(scope)):
            if number == self.after:
                self.trip()
            yield observed
        self.trip()

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        self.calls += 1
        self.trip()
        yield from super().lookup(questions, scope)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        self.calls += 1

        def noted() -> Iterator[Change]:
            for number, change in enumerate(changes):
                if number == self.after:
                    self.trip()
                self.sent.append(change.after.rdn if change.after else "")
                yield change

        yield from super().apply(noted(), password)


def create(rdn: str, container: str = "", target: str = "t") -> Change:
    """A change that lands if its container is the base."""
    return Change(TargetName(target), Kind.CREATE, "test", after=Account(rdn, container, enabled=True, attributes={}))


def filled(connector: Memory, count: int = 5) -> None:
    """Accounts to read."""
    for outcome in Memory.apply(connector, [create(f"u{number}") for number in range(count)], lambda _: None):
        assert outcome.result is Result.DONE


def target(connector: Memory, **told: object) -> Target:
    """A Target that does not wait long."""
    return Target("t", connector, patience=0.01, **told)  # type: ignore[arg-type]  # spelled out by the callers


def test_a_read_that_breaks_off_is_read_again_and_everybody_told_once() -> None:
    """Complete, and without doubles."""
    connector = Scripted(TransientError("gone"), TransientError("gone"), after=2)
    filled(connector)
    assert [observed.account.rdn for observed in target(connector).read(SCOPE)] == ["u0", "u1", "u2", "u3", "u4"]
    assert connector.calls == 3


@pytest.mark.parametrize(
    "ask", [lambda t: t.read(SCOPE), lambda t: t.lookup([ById(NativeId("m1"))], SCOPE)], ids=["read", "lookup"]
)
def test_what_stays_transient_becomes_an_endpoint_error(ask: Callable[[Target], Iterator[object]]) -> None:
    """The caller never sees a TransientError; the message keeps the reason and the number of attempts."""
    connector = Scripted(*[TransientError("server is busy")] * 10)
    filled(connector)
    with pytest.raises(EndpointError, match=r"server is busy.*tried 4 times"):
        list(ask(target(connector)))


def test_an_endpoint_error_is_not_retried() -> None:
    """A wrong password stays wrong."""
    connector = Scripted(EndpointError("t", "bad password"))
    with pytest.raises(EndpointError, match="bad password"):
        list(target(connector).lookup([ById(NativeId("m1"))], SCOPE))
    assert connector.calls == 1


def test_a_requested_pause_is_kept_but_no_longer_than_patience() -> None:
    """Retry-After is honoured."""
    connector = Scripted(TransientError("slow down", retry_after=3600))
    began = time.monotonic()
    assert list(target(connector).lookup([ById(NativeId("m1"))], SCOPE)) == []
    assert time.monotonic() - began < 2


def test_apply_is_tried_again_while_nothing_was_sent() -> None:
    """The changes pulled by the failed attempt are given again, once each."""
    connector = Scripted(TransientError("gone"))
    outcomes = list(target(connector).apply(iter([create("a"), create("b")]), lambda _: None))
    assert [(o.change.after.rdn, o.result) for o in outcomes if o.change.after] == [("a", Result.DONE), ("b", Result.DONE)]
    assert connector.sent == ["a", "b"]


def test_a_change_for_another_target_or_out_of_scope_is_never_sent() -> None:
    """It fails with the reason, and the others go on."""
    connector = Scripted()
    connector.config = MemoryConfig(privileged=("root",))
    outcomes = {
        o.change.after.rdn: o
        for o in target(connector).apply([create("a"), create("b", target="x"), create("Root")], lambda _: None)
        if o.change.after
    }
    assert {rdn: (o.result, o.failure) for rdn, o in outcomes.items()} == {
        "a": (Result.DONE, None),
        "b": (Result.FAILED, Failure.OUT_OF_SCOPE),
        "Root": (Result.FAILED, Failure.OUT_OF_SCOPE),
    }
    assert connector.sent == ["a"]


def test_too_many_failures_keep_the_rest_from_being_sent() -> None:
    """Something is wrong with all of them; a new run begins with a whole budget."""
    connector = Scripted()
    wrapped = target(connector, error_budget=3)
    outcomes = list(wrapped.apply([create(f"u{number}", "ou=nowhere") for number in range(10)], lambda _: None))
    failures = [o.failure for o in outcomes]
    assert failures.count(Failure.NO_CONTAINER) == 3
    assert failures.count(Failure.WAITS) == 7
    assert len(connector.sent) == 3
    assert wrapped.exhausted
    assert [o.failure for o in wrapped.apply([create("a")], lambda _: None)] == [Failure.WAITS]
    wrapped.begin()
    assert [o.result for o in wrapped.apply([create("a")], lambda _: None)] == [Result.DONE]


def test_a_target_that_keeps_failing_is_left_alone_and_says_so() -> None:
    """The breaker opens, the listener hears of it, and nobody calls the connector any more."""
    heard: list[tuple[str, str]] = []
    connector = Scripted(*[EndpointError("t", "down")] * 10)
    wrapped = target(connector, on_state=lambda name, state: heard.append((name, state)))
    for _ in range(3):
        with pytest.raises(EndpointError, match="down"):
            list(wrapped.lookup([ById(NativeId("m1"))], SCOPE))
    with pytest.raises(EndpointError, match="left alone"):
        list(wrapped.lookup([ById(NativeId("m1"))], SCOPE))
    assert (connector.calls, heard) == (3, [("t", "open")])


def test_changes_go_out_no_faster_than_the_rate() -> None:
    """Twenty a second: the first twenty at once, ten more half a second later at the earliest."""
    wrapped = target(Scripted(), rate=20.0)
    began = time.monotonic()
    outcomes = list(wrapped.apply([create(f"u{number}") for number in range(25)], lambda _: None))
    assert len(outcomes) == 25
    assert 0.5 < time.monotonic() - began < 5
    wrapped.close()


def test_a_closed_target_may_be_closed_again() -> None:
    """Closing is idempotent."""
    wrapped = target(Scripted(), rate=0.5)
    wrapped.close()
    wrapped.close()


def test_the_registry_builds_what_it_names(tmp_path: object) -> None:
    """Each kind has options and a connector."""
    connector = build("memory", "t", config_type("memory")(), Credentials(tmp_path))  # type: ignore[arg-type]  # never read
    assert isinstance(connector, Memory)
    assert config_type("ldap").__name__ == "LdapConfig"
