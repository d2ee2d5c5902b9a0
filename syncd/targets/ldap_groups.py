"""Memberships: edges coalesced to one writer per group (R19), and a refused batch taken apart until its culprit stands alone."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, Result
from syncd.errors import EndpointError, TransientError
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_config import DirectoryConfig
from syncd.targets.ldap_errors import (
    ALREADY_EXISTS,
    ATTRIBUTE_OR_VALUE_EXISTS,
    INSUFFICIENT_RIGHTS,
    NO_SUCH_ATTRIBUTE,
    OBJECT_CLASS_VIOLATION,
    SUCCESS,
    failure,
    words,
)
from syncd.targets.ldap_pipeline import Pipeline, Reply, Unsent, Write
from syncd.targets.ldap_wire import Wire

Now = Callable[[Collection[NativeId], Iterable[str]], Mapping[NativeId, Observed]]
"""Reads the accounts with these ids as they stand, with these attributes."""

_BATCH = 500
_ASKED = 50  # names in one filter
_PATIENCE = 20.0
_PAUSE = 0.02
_ALREADY = {Kind.ADD_MEMBER: ATTRIBUTE_OR_VALUE_EXISTS, Kind.REMOVE_MEMBER: NO_SUCH_ATTRIBUTE}


@dataclass(frozen=True, slots=True)
class GroupRules:
    """What groups are like on one kind of directory.

    `placeholder` stands in a group that may not be empty. `by_name`: members are told by their full names. `minds_members`: the
    server refuses members that do not exist, and says that an edge is already so in no words that mean nothing else.
    """

    object_class: str
    holds: str
    placeholder: str = ""
    by_name: bool = True
    minds_members: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """Edges of one group and one kind. `sorted_out`: what was already so is out. `emptying`: the placeholder goes in with it."""

    group: str
    kind: Kind
    edges: tuple[tuple[Change, str], ...]
    sorted_out: bool = False
    emptying: bool = False

    def halves(self) -> list[_Batch]:
        """The same edges in two batches; which of them empties the group is to be seen again."""
        middle = len(self.edges) // 2
        return [replace(self, edges=part, emptying=False) for part in (self.edges[:middle], self.edges[middle:])]


class Memberships:
    """Applies membership changes; one outcome each."""

    def __init__(self, config: DirectoryConfig, rules: GroupRules, tree: names.Tree, wire: Wire, ask: Wire) -> None:
        self._config = config
        self._rules = rules
        self._tree = tree
        self._wire = wire
        self._ask = ask
        self._holds = rules.holds
        self._groups = ber.equal("objectClass", rules.object_class)
        self._queues: dict[str, deque[_Batch]] = defaultdict(deque)

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """Rounds of one modification per group, because a server keeps no order between two on one entry."""
        yield from self._sort(changes)
        pipeline: Pipeline[_Batch] = Pipeline(self._wire, self._config.window)
        while self._queues:
            batches = [queue.popleft() for queue in self._queues.values()]
            self._queues = defaultdict(deque, {group: queue for group, queue in self._queues.items() if queue})
            for write, reply in pipeline.run(map(self._write, batches)):
                yield from self._outcomes(write.subject, reply)

    def follow(self, renamed: Mapping[str, str | None]) -> str:
        """Rewrite old members as new ones (None: take out) in every group that holds them; what went wrong, or the empty string.

        For servers that do not do it themselves (no refint overlay, and memberUid on any server). Called when no other write of the
        same apply() is in flight, so that each group has one writer.
        """
        found: dict[str, list[tuple[ber.Modify, str, Sequence[str]]]] = {}
        try:
            for old, new in renamed.items():
                condition = ber.every([self._groups, ber.equal(self._holds, old)])
                for dn, raw in list(self._ask.search(self._config.base, condition, [self._holds])):
                    held = {self._key(value.decode(errors="replace")) for value in raw.get(self._holds.lower(), ())}
                    steps = found.setdefault(dn, [])
                    if new is not None and self._key(new) not in held:
                        steps.append((ber.Modify.ADD, self._holds, [new]))
                    steps.append((ber.Modify.DELETE, self._holds, [old]))
        except (TransientError, EndpointError) as error:
            return f"groups not searched for the old name: {error}"
        pipeline: Pipeline[str] = Pipeline(self._wire, self._config.window)
        writes = (Write(dn, ber.modify(dn, steps)) for dn, steps in found.items())
        left = {write.subject: _told(reply) for write, reply in pipeline.run(writes)}
        return "; ".join(f"{group} still holds the old name: {why}" for group, why in left.items() if why)

    def settled(self, renamed: Mapping[str, str | None]) -> str:
        """Wait until no group holds these old members; what went wrong, or the empty string.

        slapd's refint overlay rewrites members after it has answered the rename (seen with 2.5.13, 2026-11). Taking the new name
        out of a group before that finds nothing to take out, and the member is back a moment later. When a while has passed in
        which none of the names went, the rest is rewritten from here: after its client was killed it has been seen to pause for
        nine seconds, what it has not done yet is gone when slapd restarts, and where both do it, the second finds nothing to do.
        """
        old = sorted(renamed)
        try:
            for start in range(0, len(old), _ASKED):
                left, end = len(old) - start, time.monotonic() + _PATIENCE
                while self._holding(old[start : start + _ASKED]):
                    if time.monotonic() > end:
                        before, left = left, sum(1 for name in old[start:] if self._holding([name]))
                        if left >= before:
                            rest = old[start:]
                            why = self.follow({name: renamed[name] for name in rest})
                            return why if any(self._holding([name]) for name in rest) else ""
                        end = time.monotonic() + _PATIENCE
                    time.sleep(_PAUSE)
        except (TransientError, EndpointError) as error:
            return f"groups not searched for the old name: {error}"
        return ""

    def _holding(self, members: Collection[str]) -> list[str]:
        """The groups that hold any of these."""
        condition = ber.every([self._groups, ber.some(ber.equal(self._holds, name) for name in members)])
        return [dn for dn, _ in self._ask.search(self._config.base, condition, ["1.1"])]

    def _sort(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        edges: dict[tuple[str, Kind], list[tuple[Change, str]]] = defaultdict(list)
        for change in changes:
            try:
                edges[names.canonical(change.group or ""), change.kind].append((change, self._member(change)))
            except names.NotADn as error:
                yield Outcome(change, Result.FAILED, failure=Failure.INVALID, why=str(error))
        for (group, kind), told in edges.items():
            for start in range(0, len(told), _BATCH):
                self._queues[group].append(_Batch(group, kind, tuple(told[start : start + _BATCH])))

    def _member(self, change: Change) -> str:
        if change.before is None:
            raise names.NotADn("the change does not say where the member is")
        if not self._rules.by_name:
            return change.before.rdn
        return self._tree.account(change.before.container, change.before.rdn)

    def _write(self, batch: _Batch) -> Write[_Batch]:
        how = ber.Modify.ADD if batch.kind is Kind.ADD_MEMBER else ber.Modify.DELETE
        steps: list[tuple[ber.Modify, str, Sequence[str]]] = [(how, self._holds, [member for _, member in batch.edges])]
        if batch.emptying:
            steps.insert(0, (ber.Modify.ADD, self._holds, [self._rules.placeholder]))
        return Write(batch, ber.modify(self._tree.full(batch.group), steps))

    def _outcomes(self, batch: _Batch, reply: Reply) -> Iterator[Outcome]:
        changes = [change for change, _ in batch.edges]
        if isinstance(reply, Unsent):
            yield from (Outcome(change, Result.FAILED, failure=Failure.WAITS, why=reply.why) for change in changes)
        elif not isinstance(reply, ber.Answer):
            yield from (Outcome(change, Result.UNKNOWN, why=reply.why) for change in changes)
        elif reply.code == SUCCESS:
            yield from (Outcome(change, Result.DONE) for change in changes)
        elif self._rules.minds_members:
            yield from self._doubtful(batch, reply)
        elif reply.code == _ALREADY[batch.kind]:
            yield from self._some_already(batch)
        elif reply.code == OBJECT_CLASS_VIOLATION and batch.kind is Kind.REMOVE_MEMBER and not batch.emptying:
            self._again(replace(batch, emptying=True))
        elif len(changes) > 1 and failure(reply.code, reply.why) is not Failure.NO_SUCH_OBJECT:
            self._again(*batch.halves())
        else:
            told = self._words(batch, reply)
            yield from (Outcome(change, Result.FAILED, failure=failure(reply.code, reply.why), why=told) for change in changes)

    def _again(self, *batches: _Batch) -> None:
        for batch in reversed(batches):
            self._queues[batch.group].appendleft(batch)

    def _some_already(self, batch: _Batch) -> Iterator[Outcome]:
        """At least one edge of the batch is already so, and therefore none of it was written."""
        if len(batch.edges) == 1:
            yield Outcome(batch.edges[0][0], Result.ALREADY)
            return
        if batch.sorted_out:
            self._again(*batch.halves())
            return
        try:
            entry = self._ask.entry(self._tree.full(batch.group), [self._holds])
        except (TransientError, EndpointError):
            self._again(*batch.halves())
            return
        yield from self._sorted_out(batch, (entry[1] if entry else {}).get(self._holds.lower(), ()))

    def _sorted_out(self, batch: _Batch, members: Collection[bytes]) -> Iterator[Outcome]:
        """Outcomes of the edges that are as wanted in a group with these members; the rest is sent again."""
        held = {self._key(value.decode(errors="replace")) for value in members}
        wanted = batch.kind is Kind.ADD_MEMBER
        rest: list[tuple[Change, str]] = []
        for change, member in batch.edges:
            if (self._key(member) in held) is wanted:
                yield Outcome(change, Result.ALREADY)
            else:
                rest.append((change, member))
        if rest:
            self._again(replace(batch, edges=tuple(rest), sorted_out=True))

    def _doubtful(self, batch: _Batch, reply: ber.Answer) -> Iterator[Outcome]:
        """Refused by a server that minds members: for edges already so, for members that are not there, or for the group itself.

        Which of them it was is not to be told from the code: Samba 4.17 answers 68 and 53 for edges that are already so, Windows
        according to its version (seen and told, 2026-11), and both use these codes for other refusals. So the group is read.
        """
        changes, told = [change for change, _ in batch.edges], self._words(batch, reply)
        if batch.sorted_out and len(changes) > 1:
            self._again(*batch.halves())
            return
        why = failure(reply.code, reply.why)
        if batch.sorted_out and batch.kind is Kind.ADD_MEMBER and reply.code == ALREADY_EXISTS:
            # In the group without standing in its list: it is the account's primary group ([MS-ADTS] 3.1.1.5.3.1.1.2).
            yield Outcome(changes[0], Result.ALREADY)
            return
        if not batch.sorted_out:
            try:
                entry = self._ask.entry(self._tree.full(batch.group), [self._holds])
            except (TransientError, EndpointError) as error:
                told = f"{told}; rereading the group: {error}"
            else:
                if entry is not None:
                    yield from self._sorted_out(batch, entry[1].get(self._holds.lower(), ()))
                    return
                why = Failure.NO_SUCH_OBJECT
        yield from (Outcome(change, Result.FAILED, failure=why, why=told) for change in changes)

    def _words(self, batch: _Batch, reply: ber.Answer) -> str:
        """The server's words; with the right, where one is missing."""
        told = words(reply.code, reply.why)
        missing = f"; the right that is missing: write {self._holds} of {self._tree.full(batch.group)}"
        return told + missing if reply.code == INSUFFICIENT_RIGHTS else told

    def _key(self, member: str) -> str:
        if not self._rules.by_name:
            return member
        try:
            return names.canonical(member)
        except names.NotADn:
            return member


def same_place(one: Account, other: Account) -> bool:
    """True for accounts of one name in one container."""
    return (names.canonical(one.container), one.rdn) == (names.canonical(other.container), other.rdn)


def strayed(memberships: Collection[Change], now: Now, known: list[Change]) -> Iterator[Outcome]:
    """Outcomes of memberships whose account is not where the plan knew it, or must not be touched; the others go to `known`.

    A membership names a place, and nothing a group can be asserted to hold tells who stands there now (R18, R19).
    """
    ids = sorted({change.native_id for change in memberships if change.native_id is not None})
    try:
        found = now(ids, ()) if ids else {}
    except (TransientError, EndpointError) as error:
        yield from (Outcome(one, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {error}") for one in memberships)
        return
    for change in memberships:
        observed = found.get(change.native_id) if change.native_id is not None else None
        if observed is None and change.kind is Kind.ADD_MEMBER:
            yield Outcome(change, Result.FAILED, failure=Failure.NO_SUCH_OBJECT, why="no account has this id any more")
        elif observed is not None and change.before is not None and not same_place(observed.account, change.before):
            yield Outcome(change, Result.FAILED, failure=Failure.STALE, why="the account is not where the plan expects it")
        else:
            known.append(change)


def _told(reply: Reply) -> str:
    """What went wrong, or the empty string."""
    if not isinstance(reply, ber.Answer):
        return reply.why
    return "" if reply.code == SUCCESS else words(reply.code, reply.why)
