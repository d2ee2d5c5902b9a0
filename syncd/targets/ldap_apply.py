"""Changes into LDAP writes, answers into outcomes. Everything here is about one call of apply().

Writes carry their precondition (R18) as a critical assertion: the entry's permanent id and the old values of what is written.
A write that misses it is judged by reading the entry: it may be as wanted already, elsewhere, or changed by somebody else. Nothing
is sent twice, except a write the server surely did not do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, Result
from syncd.errors import EndpointError, TransientError
from syncd.targets import PasswordOf
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_config import DirectoryConfig, LdapConfig
from syncd.targets.ldap_errors import ASSERTION_FAILED, NO_SUCH_OBJECT, SUCCESS, failure, words
from syncd.targets.ldap_groups import GroupRules, Memberships, Now, same_place, strayed
from syncd.targets.ldap_pipeline import Pipeline, Reply, Unanswered, Unsent, Write
from syncd.targets.ldap_wire import Wire

_MEMBERSHIPS = frozenset({Kind.ADD_MEMBER, Kind.REMOVE_MEMBER})
_PLACES = frozenset({Kind.MOVE, Kind.PARK})
_RENAMES = _PLACES | {Kind.DELETE}
_SWITCHES = frozenset({Kind.ENABLE, Kind.DISABLE})
_VALUES = frozenset({Kind.UPDATE, Kind.REFER})
_UNIQUE = "unique_search"
"""slapd's `unique` overlay looks for namesakes with the write's own assertion, and so refuses a rename whose assertion holds (seen
with 2.5.13, 2026-11). The account was just read and is as expected: it is sent once more without the assertion."""
_CONTAINER_CLASSES = {"ou": "organizationalUnit", "o": "organization", "cn": "organizationalRole"}


class Unfit(Exception):  # noqa: N818 — a verdict on one change, never leaves this module
    """Why a change cannot be sent, in the outcome's own words."""

    def __init__(self, why: Failure, told: str) -> None:
        super().__init__(told)
        self.failure = why


@dataclass(frozen=True, slots=True)
class Directory:
    """What a writer works with: the connector's configuration, its wires, and a way to read accounts as they now stand."""

    name: str
    config: DirectoryConfig
    tree: names.Tree
    wire: Wire
    ask: Wire
    spelt: Mapping[str, str]
    now: Now
    rendered: dict[str, str] = field(default_factory=dict)  # container -> its full name

    def spelling(self, name: str) -> names.Dn:
        """A container or group as the mapping spelt it, for creating it."""
        return names.parse(self.spelt.get(name, name))

    def place(self, first: names.Rdn, container: str) -> str:
        """The full name of an account in a container, the container as the mapping spelt it."""
        behind = self.rendered.get(container)
        if behind is None:
            behind = self.rendered[container] = names.render((*self.spelling(container), *self.tree.base))
        return f"{names.render((first,))},{behind}"


@dataclass(slots=True)
class Writer:
    """One call of apply()."""

    directory: Directory
    config: LdapConfig
    next_gid: int | None = None
    _missed: list[tuple[Write[Change], ber.Answer]] = field(default_factory=list)
    _renamed: list[Outcome] = field(default_factory=list)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Exactly one outcome for each change pulled. Raises only before the first one is pulled."""
        self.directory.wire.refresh()
        pipeline: Pipeline[Change] = Pipeline(self.directory.wire, self.config.window)
        memberships: list[Change] = []
        refused: list[Outcome] = []
        for write, reply in pipeline.run(self._writes(changes, password, memberships, refused)):
            yield from drained(refused)
            yield from self._outcome(write, reply)
        yield from drained(refused)
        yield from self._judged(pipeline)
        groups = self._groups()
        yield from self._followed(groups)
        known: list[Change] = []
        yield from strayed(memberships, self.directory.now, known)
        yield from groups.apply(known)

    # --- requests -----------------------------------------------------------------------------------------------------

    def _writes(
        self, changes: Iterable[Change], password: PasswordOf, memberships: list[Change], refused: list[Outcome]
    ) -> Iterator[Write[Change]]:
        """What to send, in the order pulled; memberships and unfit changes are set aside."""
        for change in changes:
            if change.kind in _MEMBERSHIPS:
                memberships.append(change)
                continue
            try:
                yield self._write(change, password)
            except Unfit as error:
                refused.append(Outcome(change, Result.FAILED, failure=error.failure, why=str(error)))
            except names.NotADn as error:
                refused.append(Outcome(change, Result.FAILED, failure=Failure.INVALID, why=str(error)))
            except (TransientError, EndpointError) as error:  # raised from here it would have what is in flight sent again
                refused.append(Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {error}"))

    def _write(self, change: Change, password: PasswordOf) -> Write[Change]:
        match change.kind:
            case Kind.CREATE_CONTAINER:
                return self._create_container(change)
            case Kind.CREATE_GROUP:
                return self._create_group(change)
            case Kind.CREATE:
                return self._create(change, password(change))
            case _:
                return self._existing(change, password(change))

    def _create_container(self, change: Change) -> Write[Change]:
        name = self.directory.spelling(change.group or "")
        if not name or len(name[0]) != 1 or name[0][0][0] not in _CONTAINER_CLASSES:
            known = ", ".join(f"{kind}=" for kind in _CONTAINER_CLASSES)
            raise Unfit(Failure.INVALID, f"{change.group!r} cannot be created: a container's name begins with one of {known}")
        kind, value = name[0][0]
        dn = names.render(name + self.directory.tree.base)
        return Write(change, ber.add(dn, {"objectClass": [_CONTAINER_CLASSES[kind]], kind: [value]}))

    def _create_group(self, change: Change) -> Write[Change]:
        config, name = self.config, self.directory.spelling(change.group or "")
        if not name:
            raise Unfit(Failure.INVALID, "a group needs a name")
        attributes: dict[str, list[str]] = {"objectClass": [config.group_class]}
        for kind, value in name[0]:
            attributes[kind] = [value]
        if config.group_class == "groupOfNames":
            attributes["member"] = [config.placeholder_member or config.base]
        else:
            attributes["gidNumber"] = [str(self._gid())]
        return Write(change, ber.add(names.render(name + self.directory.tree.base), attributes))

    def _gid(self) -> int:
        """A gidNumber above all that are in use below the base."""
        if self.next_gid is None:
            found = self.directory.ask.search(self.config.base, ber.equal("objectClass", "posixGroup"), ["gidNumber"])
            used = [int(value) for _, raw in found for value in raw.get("gidnumber", ())]
            self.next_gid = max([self.config.first_gid - 1, *used]) + 1
        gid, self.next_gid = self.next_gid, self.next_gid + 1
        return gid

    def _create(self, change: Change, password: str | None) -> Write[Change]:
        after, config, tree = _told(change.after), self.config, self.directory.tree
        first = tree.first(after.rdn)
        attributes = {name: list(values) for name, values in after.attributes.items() if values}
        held = {name.lower(): name for name in attributes}
        for kind, value in first:
            values = attributes.setdefault(held.get(kind, kind), [])
            if value not in values:
                values.append(value)
        if "objectclass" not in held:
            attributes["objectClass"] = [config.account_class]
        if not after.enabled:
            attributes[config.disable_attribute] = [config.disable_value]
        if password is not None:
            attributes["userPassword"] = [password]
        dn = self.directory.place(first, after.container)
        return Write(change, ber.add(dn, attributes), (ber.post_read("entryUUID"),), place=dn)

    def _existing(self, change: Change, password: str | None) -> Write[Change]:
        """A write to an account that exists, under its precondition."""
        if change.native_id is None:
            raise Unfit(Failure.WAITS, "the account this change is about has not been created")
        config, before = self.config, _told(change.before)
        dn = self.directory.place(self.directory.tree.first(before.rdn), before.container)
        conditions = [ber.equal("entryUUID", change.native_id)]
        disabled = ber.equal(config.disable_attribute, config.disable_value)
        match change.kind:
            case Kind.DELETE:
                operation = ber.delete(dn)
                conditions += [] if before.enabled else [disabled]
            case Kind.ENABLE:
                changed = [(ber.Modify.DELETE, config.disable_attribute, [config.disable_value])]
                # One request, so that somebody who returns is never let in with the password of long ago.
                changed += [(ber.Modify.REPLACE, "userPassword", [password])] if password is not None else []
                operation = ber.modify(dn, changed)
                conditions.append(disabled)
            case Kind.DISABLE:
                changed = [(ber.Modify.REPLACE, config.disable_attribute, [config.disable_value])]
                # Of somebody who is locked; in one request, so that no hand that opens the account opens it to the old password.
                changed += [(ber.Modify.REPLACE, "userPassword", [password])] if password is not None else []
                operation = ber.modify(dn, changed)
                conditions.append(ber.negation(disabled))
            case Kind.MOVE | Kind.PARK:
                operation = self._moved(dn, before, _told(change.after))
            case _:
                after = _told(change.after)
                operation = ber.modify(dn, [(ber.Modify.REPLACE, name, values) for name, values in after.attributes.items()])
                conditions += _old_values(before, after)
        return Write(change, operation, (ber.assertion(ber.every(conditions)),), place=dn)

    def _moved(self, dn: str, before: Account, after: Account) -> bytes:
        """A rename and a move in one step, each only where it is one."""
        tree = self.directory.tree
        rdn = names.render((tree.first(after.rdn),))
        superior = None
        if names.canonical(before.container) != names.canonical(after.container):
            superior = names.render(self.directory.spelling(after.container) + tree.base)
        # An account that was named by another attribute keeps that value: `cn` may be one it cannot be without.
        return ber.rename(dn, rdn, superior, keep_old=names.is_foreign(before.rdn))

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _outcome(self, write: Write[Change], reply: Reply) -> Iterator[Outcome]:
        """What an answer means; a missed precondition is put aside to be judged when all are in."""
        change = write.subject
        if not isinstance(reply, ber.Answer):
            yield without_answer(change, reply)
        elif reply.code == SUCCESS and change.kind in _RENAMES:
            self._renamed.append(Outcome(change, Result.DONE))
        elif reply.code == SUCCESS:
            yield self._landed(write, reply)
        elif change.native_id is not None and reply.code in (ASSERTION_FAILED, NO_SUCH_OBJECT):
            self._missed.append((write, reply))
        elif change.kind in (Kind.CREATE_CONTAINER, Kind.CREATE_GROUP) and failure(reply.code, reply.why) is Failure.NAME_TAKEN:
            yield Outcome(change, Result.ALREADY)
        elif reply.code == NO_SUCH_OBJECT:
            yield Outcome(change, Result.FAILED, failure=Failure.NO_CONTAINER, why=words(reply.code, reply.why))
        else:
            yield _refused(change, reply)

    def _landed(self, write: Write[Change], reply: ber.Answer) -> Outcome:
        if write.subject.kind is not Kind.CREATE:
            return Outcome(write.subject, Result.DONE)
        read = reply.controls.get(ber.POST_READ)
        try:
            ids = ber.entry_attributes(read).get("entryuuid", ()) if read else ()
        except ber.Malformed:
            ids = ()
        if not ids:  # a server without the post-read control: ask for what was just made
            try:
                entry = self.directory.ask.entry(write.place, ["entryUUID"])
            except (TransientError, EndpointError) as error:
                return Outcome(write.subject, Result.UNKNOWN, why=f"created, but its id could not be read: {error}")
            ids = tuple(value.decode() for value in (entry[1] if entry else {}).get("entryuuid", ()))
        if not ids:
            return Outcome(write.subject, Result.UNKNOWN, why="created, but the account we bind as may not read its entryUUID")
        return Outcome(write.subject, Result.DONE, native_id=NativeId(ids[0]))

    def _judged(self, pipeline: Pipeline[Change]) -> Iterator[Outcome]:
        """Outcomes of the writes that missed: already so, not there, or stale; sent again where the server cannot compare."""
        missed, self._missed = self._missed, []
        if not missed:
            return
        ids = {write.subject.native_id for write, _ in missed if write.subject.native_id is not None}
        attributes = {
            name
            for write, _ in missed
            for place in (write.subject.before, write.subject.after)
            if place
            for name in place.attributes
        }
        try:
            found = self.directory.now(sorted(ids), attributes)
        except (TransientError, EndpointError) as error:
            for write, reply in missed:
                yield Outcome(
                    write.subject, Result.FAILED, failure=Failure.STALE, why=f"{words(reply.code, reply.why)}; rereading: {error}"
                )
            return
        again: list[Write[Change]] = []
        for write, reply in missed:
            observed = found.get(write.subject.native_id or NativeId(""))
            as_expected = observed is not None and _is_as_expected(write.subject, observed.account)
            if reply.code == ASSERTION_FAILED and as_expected and _UNIQUE in reply.why:
                again.append(replace(write, controls=()))
            elif reply.code == ASSERTION_FAILED and as_expected and write.subject.kind in _VALUES:
                again.append(self._leaner(write))
            else:
                verdict = _verdict(write.subject, observed, reply)
                if verdict.result is Result.ALREADY and write.subject.kind in _RENAMES:
                    self._renamed.append(verdict)  # by a run that was killed, perhaps, and its groups were not seen to
                else:
                    yield verdict
        for write, answer in pipeline.run(iter(again)):
            if isinstance(answer, ber.Answer) and answer.code in (ASSERTION_FAILED, NO_SUCH_OBJECT):
                yield _refused(write.subject, answer)  # judged once already
            else:
                yield from self._outcome(write, answer)

    def _followed(self, groups: Memberships) -> Iterator[Outcome]:
        """Outcomes of renames and deletes, once no group holds an old name any more: by our hand or by the server's (R19)."""
        why = self._follow(groups, [one.change for one in self._renamed])
        yield from (replace(one, why=why or one.why) for one in self._renamed)
        self._renamed = []

    def follow(self, changes: Sequence[Change]) -> str:
        """As after renames and deletes of our own; what went wrong, or the empty string."""
        return self._follow(self._groups(), changes)

    def _groups(self) -> Memberships:
        directory = self.directory
        return Memberships(self.config, _rules(self.config), directory.tree, directory.wire, directory.ask)

    def _follow(self, groups: Memberships, changes: Sequence[Change]) -> str:
        told = {}
        for change in changes:
            before, after = self._member(change.before), self._member(change.after)
            if before is not None and not self._same_member(before, after):
                told[before] = after
        if not told:
            return ""
        by_us = self.config.references_kept_by == "syncd" or self.config.group_class == "posixGroup"
        return groups.follow(told) if by_us else groups.settled(told)

    def _same_member(self, before: str, after: str | None) -> bool:
        """True for one name in two spellings, which is one member to the server."""
        if after is None or self.config.group_class == "posixGroup":
            return before == after
        return names.canonical(before) == names.canonical(after)

    def _member(self, at: Account | None) -> str | None:
        if at is None:
            return None
        return at.rdn if self.config.group_class == "posixGroup" else self.directory.tree.account(at.container, at.rdn)

    def _leaner(self, write: Write[Change]) -> Write[Change]:
        """The same write, asserting only the id: without an equality rule (facsimileTelephoneNumber) no value can be asserted."""
        condition = ber.equal("entryUUID", write.subject.native_id or "")
        return replace(write, controls=(ber.assertion(condition),))


def _rules(config: LdapConfig) -> GroupRules:
    """What groups of the configured object class are like."""
    if config.group_class == "posixGroup":
        return GroupRules(config.group_class, "memberUid", by_name=False)
    return GroupRules(config.group_class, "member", placeholder=config.placeholder_member or config.base)


def _told(account: Account | None) -> Account:
    if account is None:
        raise Unfit(Failure.INVALID, "the change does not say which account it is about")
    return account


def _old_values(before: Account, after: Account) -> list[bytes]:
    conditions: list[bytes] = []
    for name in after.attributes:
        old = before.attributes.get(name, ())
        conditions += [ber.equal(name, value) for value in old] or [ber.negation(ber.present(name))]
    return conditions


def _holds(account: Account, told: Account) -> bool:
    """True when the account holds exactly the values told of."""
    return all(sorted(account.attributes.get(name, ())) == sorted(values) for name, values in told.attributes.items())


def _is_as_expected(change: Change, now: Account) -> bool:
    """True when the entry is as the change expects it, so that a server which still says no could not compare."""
    before, after = change.before, change.after
    if before is None or after is None or not same_place(now, before) or now.enabled != before.enabled:
        return False
    expected = replace(before, attributes={name: before.attributes.get(name, ()) for name in after.attributes})
    return _holds(now, expected) and (change.kind in _PLACES or now.enabled != after.enabled or not _holds(now, after))


def _verdict(change: Change, observed: Observed | None, reply: ber.Answer) -> Outcome:
    told = words(reply.code, reply.why)
    if observed is None:
        if change.kind is Kind.DELETE:
            return Outcome(change, Result.ALREADY)
        return Outcome(change, Result.FAILED, failure=Failure.NO_SUCH_OBJECT, why=f"{told}; no account has this id any more")
    now, after = observed.account, change.after
    if after is not None and (
        (change.kind in _SWITCHES and now.enabled == after.enabled)
        or (change.kind in _VALUES and _holds(now, after))
        or (change.kind in _PLACES and same_place(now, after))
    ):
        return Outcome(change, Result.ALREADY)
    if reply.code == NO_SUCH_OBJECT and change.kind in _PLACES and change.before is not None and same_place(now, change.before):
        return Outcome(change, Result.FAILED, failure=Failure.NO_CONTAINER, why=told)
    return Outcome(change, Result.FAILED, failure=Failure.STALE, why=f"{told}; the account is not as the plan expects it")


def _refused(change: Change, reply: ber.Answer) -> Outcome:
    return Outcome(change, Result.FAILED, failure=failure(reply.code, reply.why), why=words(reply.code, reply.why))


def without_answer(change: Change, reply: Unanswered | Unsent) -> Outcome:
    """What came of a change whose request was not sent, or was and has no answer (R17)."""
    if isinstance(reply, Unsent):
        return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=reply.why)
    return Outcome(change, Result.UNKNOWN, why=reply.why)


def drained(outcomes: list[Outcome]) -> Iterator[Outcome]:
    """What has come up meanwhile; the list is empty then."""
    ready = outcomes[:]
    outcomes.clear()
    yield from ready
