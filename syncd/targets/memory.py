"""A directory in memory: the same contract as the real ones, optionally kept in a JSON file between processes.

What it promises is what a good directory promises: permanent ids, names unique in their container without regard to case,
containers and groups that must exist, preconditions. The demo runs on it where no server can be had; engine tests run on it always.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, ObservedGroup, Outcome, Result
from syncd.errors import ChangeError, EndpointError
from syncd.targets import ByAttribute, ById, ByLocation, PasswordOf, Question, Scope
from syncd.targets.ldap_dn import NotADn, Tree, canonical, fold_value, parse, render
from syncd.vault import Credentials

_AT_ONCE = 200  # changes written to the file at first; then twice as many each time, for the file is written whole


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """Where the accounts are kept, if anywhere."""

    path: str = field(
        default="", metadata={"doc": "JSON file that keeps the accounts between processes; empty: forgotten at the end"}
    )
    rdn_attribute: str = field(default="uid", metadata={"doc": "attribute that names an account in its container"})
    containers: tuple[str, ...] = field(default=(), metadata={"doc": "containers that exist from the start"})
    privileged: tuple[str, ...] = field(default=(), metadata={"doc": "naming values of accounts never adopted and never written"})


class _No(Exception):  # noqa: N818 — a verdict on one change, never leaves this module
    """The change is refused, or already so."""

    def __init__(self, result: Result, failure: Failure | None = None, why: str = "") -> None:
        super().__init__(why)
        self.outcome = (result, failure, why)


class Memory:
    """The connector. Satisfies Connector, ManagesContainers, ManagesGroups, RefersToAccounts, LimitsWrites."""

    def __init__(self, name: str, config: MemoryConfig, credentials: Credentials | None = None) -> None:
        del credentials  # every connector is built alike; this one binds to nothing
        self.config = config
        self._name = name
        self._naming = config.rdn_attribute.lower()
        self.accounts: dict[NativeId, Account] = {}
        self.groups: dict[str, tuple[NativeId, set[NativeId]]] = {}
        self.containers: set[str] = {canonical(container) for container in config.containers}
        self.passwords: dict[NativeId, str] = {}
        self._places: dict[tuple[str, str], NativeId] = {}
        self._minted = 0
        self._load()
        self._written = self._kept()

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Every account, in the order in which they were made."""
        for native_id in list(self.accounts):
            if native_id in self.accounts:
                yield self._observed(native_id, scope)

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """Each account that answers a question."""
        asked = list(dict.fromkeys(questions))
        valued = self._valued([question for question in asked if isinstance(question, ByAttribute)])
        for question in asked:
            found = valued[question] if isinstance(question, ByAttribute) else list(self._hits(question))
            for native_id in found:
                yield question, self._observed(native_id, scope)

    def _hits(self, question: ById | ByLocation) -> Iterator[NativeId]:
        match question:
            case ById(native_id):
                yield from {native_id} & self.accounts.keys()
            case ByLocation(container, rdn):
                held = self._places.get((_canonical(container), fold_value(rdn)))
                yield from () if held is None else (held,)

    def _valued(self, questions: Collection[ByAttribute]) -> dict[Question, list[NativeId]]:
        """Who has the values asked for. One pass over the accounts, however many questions there are."""
        answers: dict[Question, list[NativeId]] = {question: [] for question in questions}
        wanted: dict[str, dict[str, list[ByAttribute]]] = {}
        for question in questions:
            wanted.setdefault(question.attribute.lower(), {}).setdefault(fold_value(question.value), []).append(question)
        for native_id, account in self.accounts.items() if questions else ():
            for name, values in wanted.items():
                held = (account.rdn,) if name == self._naming else _values(account, name)
                for folded in {fold_value(value) for value in held} & values.keys():
                    for question in values[folded]:
                        answers[question].append(native_id)
        return answers

    def _observed(self, native_id: NativeId, scope: Scope) -> Observed:
        account = self.accounts[native_id]
        attributes = {name: values for name in sorted(scope.attributes) if (values := _values(account, name.lower()))}
        privileged = fold_value(account.rdn) in map(fold_value, self.config.privileged)
        return Observed(native_id, replace(account, attributes=attributes), privileged=privileged)

    # --- spelling -----------------------------------------------------------------------------------------------------

    def canonical(self, account: Account) -> Account:
        """The account as read() tells it. Raises ChangeError("invalid value") for a container that is no name."""
        attributes = {
            name: kept
            for name, values in account.attributes.items()
            if name.lower() != self._naming and (kept := tuple(sorted({value for value in values if value})))
        }
        groups = frozenset(map(_canonical, account.groups))
        return replace(account, container=_canonical(account.container), attributes=attributes, groups=groups)

    def canonical_group(self, name: str) -> str:
        """A group's or container's name folded."""
        return _canonical(name)

    def reference(self, account: Account) -> str:
        """What an attribute that names this account holds."""
        try:
            return Tree.of("", self._naming).account(_canonical(account.container), account.rdn)
        except NotADn as error:
            raise ChangeError("invalid value", str(error)) from error

    def missing_containers(self, names: Collection[str]) -> set[str]:
        """Those of the containers, ancestors included, that do not exist."""
        wanted = {render(parse(_canonical(name))[depth:]) for name in names for depth in range(len(parse(name)))}
        return wanted - self.containers

    def missing_groups(self, names: Collection[str]) -> set[str]:
        """Those of the groups that do not exist."""
        return set(map(_canonical, names)) - self.groups.keys()

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the named groups that exist, with their members."""
        for name in sorted(set(map(_canonical, names)) & self.groups.keys()):
            native_id, members = self.groups[name]
            yield ObservedGroup(native_id, name, frozenset(members))

    def refuses(self, change: Change) -> str:
        """Privileged accounts are never written (R40)."""
        place = change.before or change.after
        if place is not None and fold_value(place.rdn) in map(fold_value, self.config.privileged):
            return "the account is privileged (R40)"
        return ""

    # --- writing ------------------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for every change, in order; where there is a file, told when it has been written."""
        if not self.config.path:
            yield from (self._outcome(change, password) for change in changes)
            return
        coming, size = iter(changes), _AT_ONCE
        while batch := list(islice(coming, size)):
            outcomes = [self._outcome(change, password) for change in batch]
            try:
                self._save()
            except EndpointError as error:
                self._restore(self._written)  # as the file still has it
                outcomes = [Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not written: {error}") for change in batch]
            yield from outcomes
            size *= 2

    def _outcome(self, change: Change, password: PasswordOf) -> Outcome:
        try:
            native_id = self._do(change, password)
        except _No as error:
            result, failure, why = error.outcome
            return Outcome(change, result, failure=failure, why=why)
        except (NotADn, ChangeError) as error:
            return Outcome(change, Result.FAILED, failure=Failure.INVALID, why=str(error))
        return Outcome(change, Result.DONE, native_id=native_id)

    def _do(self, change: Change, password: PasswordOf) -> NativeId | None:
        match change.kind:
            case Kind.CREATE_CONTAINER:
                self._create_container(change.group or "")
            case Kind.CREATE_GROUP:
                self._create_group(change.group or "")
            case Kind.CREATE:
                return self._create(change, password(change))
            case Kind.ADD_MEMBER | Kind.REMOVE_MEMBER:
                self._member(change)
            case Kind.DELETE:
                self._delete(change)
            case _:
                self._alter(change)
                secret = password(change)
                if secret is not None and change.native_id is not None:
                    self.passwords[change.native_id] = secret
        return None

    def _create_container(self, name: str) -> None:
        container = _canonical(name)
        if container in self.containers:
            raise _No(Result.ALREADY)
        self._must_exist(render(parse(container)[1:]))
        self.containers.add(container)

    def _create_group(self, name: str) -> None:
        group = _canonical(name)
        if group in self.groups:
            raise _No(Result.ALREADY)
        self._must_exist(render(parse(group)[1:]))
        self.groups[group] = (self._mint(), set())

    def _must_exist(self, container: str) -> None:
        if container and container not in self.containers:
            raise _No(Result.FAILED, Failure.NO_CONTAINER, f"no such object (32): {container}")

    def _create(self, change: Change, password: str | None) -> NativeId:
        account = self.canonical(_told(change.after))
        self._place_is_free(account)
        native_id = self._mint()
        self.accounts[native_id] = replace(account, groups=frozenset())
        self._places[_place(account)] = native_id
        if password is not None:
            self.passwords[native_id] = password
        return native_id

    def _place_is_free(self, account: Account, mine: NativeId | None = None) -> None:
        Tree.of("", self._naming).first(account.rdn)
        self._must_exist(account.container)
        if self._places.get(_place(account), mine) != mine:
            raise _No(Result.FAILED, Failure.NAME_TAKEN, f"already exists (68): {account.rdn} in {account.container or 'the base'}")

    def _standing(self, change: Change) -> tuple[NativeId, Account]:
        """The account a change is about, whatever has become of it."""
        if change.native_id is None:
            raise _No(Result.FAILED, Failure.WAITS, "the account this change is about has not been created")
        if change.native_id not in self.accounts:
            if change.kind is Kind.DELETE:
                raise _No(Result.ALREADY)
            raise _No(Result.FAILED, Failure.NO_SUCH_OBJECT, "no account has this id any more")
        return change.native_id, self.accounts[change.native_id]

    def _alter(self, change: Change) -> None:
        native_id, now = self._standing(change)
        before, after = self.canonical(_told(change.before)), self.canonical(_told(change.after))
        written = _told(change.after).attributes
        if change.kind in (Kind.ENABLE, Kind.DISABLE):
            if now.enabled == after.enabled:
                raise _No(Result.ALREADY)
            fits, wanted = True, replace(now, enabled=after.enabled)
        elif change.kind in (Kind.MOVE, Kind.PARK):
            if (now.container, now.rdn) == (after.container, after.rdn):
                raise _No(Result.ALREADY)
            fits, wanted = True, replace(now, container=after.container, rdn=after.rdn)
        else:
            if all(_values(now, name.lower()) == after.attributes.get(name, ()) for name in written):
                raise _No(Result.ALREADY)
            fits = all(_values(now, name.lower()) == before.attributes.get(name, ()) for name in written)
            lower = {name.lower() for name in written}
            kept = {name: values for name, values in now.attributes.items() if name.lower() not in lower}
            wanted = replace(now, attributes={**kept, **after.attributes})
        if not fits or _place(now) != _place(before):
            raise _No(Result.FAILED, Failure.STALE, "the account is not as the plan expects it")
        self._place_is_free(wanted, native_id)
        self._places.pop(_place(now), None)
        self._places[_place(wanted)] = native_id
        self.accounts[native_id] = wanted

    def _delete(self, change: Change) -> None:
        native_id, now = self._standing(change)
        before = self.canonical(_told(change.before))
        if _place(now) != _place(before) or (now.enabled and not before.enabled):
            raise _No(Result.FAILED, Failure.STALE, "the account is not as the plan expects it")
        del self.accounts[native_id], self._places[_place(now)]
        self.passwords.pop(native_id, None)
        for _, members in self.groups.values():
            members.discard(native_id)

    def _member(self, change: Change) -> None:
        group, place = _canonical(change.group or ""), self.canonical(_told(change.before))
        if group not in self.groups:
            raise _No(Result.FAILED, Failure.NO_SUCH_OBJECT, f"no such object (32): {group}")
        members = self.groups[group][1]
        member = self._places.get(_place(place))
        if change.kind is Kind.REMOVE_MEMBER:
            if member not in members:
                raise _No(Result.ALREADY)
            members.discard(member)
            return
        if member is None:
            raise _No(Result.FAILED, Failure.NO_SUCH_OBJECT, f"no such object (32): {place.rdn} in {place.container or 'the base'}")
        if member in members:
            raise _No(Result.ALREADY)
        members.add(member)

    def _mint(self) -> NativeId:
        self._minted += 1
        return NativeId(f"m{self._minted:06d}")

    def close(self) -> None:
        """Nothing is left open: what was applied is in the file."""

    # --- the file -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        if not self.config.path or not Path(self.config.path).exists():
            return
        try:
            kept = json.loads(Path(self.config.path).read_text(encoding="utf-8"))
            self._restore(kept)
        except OSError as error:
            raise EndpointError(
                self._name, f"{self.config.path} cannot be read: {error.strerror}", "look at its owner and mode"
            ) from error
        except (ValueError, KeyError, TypeError, ChangeError) as error:
            raise EndpointError(
                self._name, f"{self.config.path} is damaged: {error}", "put a copy of it back, or remove it to begin empty"
            ) from error

    def _restore(self, kept: Mapping[str, Any]) -> None:
        self._minted = kept["minted"]
        self.containers = {canonical(container) for container in self.config.containers} | set(kept["containers"])
        self.groups = {name: (NativeId(told[0]), {NativeId(one) for one in told[1]}) for name, told in kept["groups"].items()}
        self.accounts, self._places = {}, {}
        for native_id, (rdn, container, enabled, attributes) in kept["accounts"].items():
            account = Account(rdn, container, enabled, {name: tuple(values) for name, values in attributes.items()})
            self.accounts[NativeId(native_id)] = account
            self._places[_place(account)] = NativeId(native_id)

    def _kept(self) -> dict[str, Any]:
        """Everything that goes into the file; passwords do not."""
        return {
            "minted": self._minted,
            "containers": sorted(self.containers),
            "groups": {name: [native_id, sorted(members)] for name, (native_id, members) in sorted(self.groups.items())},
            "accounts": {
                native_id: [account.rdn, account.container, account.enabled, dict(account.attributes)]
                for native_id, account in self.accounts.items()
            },
        }

    def _save(self) -> None:
        """Write the file anew and rename it into place. Raises EndpointError with the old one untouched."""
        kept, path = self._kept(), Path(self.config.path)
        work = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            work.touch(mode=0o600)
            work.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
            work.replace(path)
        except OSError as error:
            with suppress(OSError):
                work.unlink(missing_ok=True)
            raise EndpointError(
                self._name, f"{path} cannot be written: {error.strerror}", "look at the disk, and at the folder's owner and mode"
            ) from error
        self._written = kept


def _canonical(name: str) -> str:
    try:
        return canonical(name)
    except NotADn as error:
        raise ChangeError("invalid value", str(error)) from error


def _place(account: Account) -> tuple[str, str]:
    return account.container, fold_value(account.rdn)


def _values(account: Account, lower: str) -> tuple[str, ...]:
    return next((values for name, values in account.attributes.items() if name.lower() == lower), ())


def _told(account: Account | None) -> Account:
    if account is None:
        raise ChangeError("invalid value", "the change does not say which account it is about")
    return account
