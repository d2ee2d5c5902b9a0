"""Changes into writes to Active Directory, answers into outcomes. Everything here is about one call of apply().

Active Directory has no assertion control that could guard a write (Samba refuses it, seen with 4.17.12). So an account is read, by
its permanent id, a moment before it is written; the write names that id instead of a place where it can, and takes the old values
out by name, so that a value somebody else wrote in between makes it fail (R18). Passwords and whether an account is enabled travel
with the rest in one operation: there is no moment in between at which an account is open.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, Result
from syncd.errors import EndpointError, TransientError
from syncd.targets import OneTime, PasswordOf
from syncd.targets import ldap_ad_times as times
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_ad_config import ActiveDirectoryConfig
from syncd.targets.ldap_ad_protection import protect
from syncd.targets.ldap_ad_refusals import Refusals, group_name
from syncd.targets.ldap_ad_values import BINARY, native_id, sent
from syncd.targets.ldap_apply import Directory, drained, without_answer
from syncd.targets.ldap_errors import SUCCESS
from syncd.targets.ldap_groups import GroupRules, Memberships, same_place, strayed
from syncd.targets.ldap_pipeline import Pipeline, Reply, Write

DISABLED = 0x0002
"""ADS_UF_ACCOUNTDISABLE, [MS-ADTS] 2.2.16, userAccountControl Bits. The other bits belong to whoever set them."""

_NORMAL = 0x0200  # ADS_UF_NORMAL_ACCOUNT
_TOGETHER = 50  # accounts read in one question before they are written
_CONTROL = "userAccountControl"
_LAST_SET, _NOW_DUE = "pwdLastSet", "0"  # to be changed at the next sign-in: [MS-ADA3], pwdLastSet
_CONTAINER_CLASSES = {"ou": "organizationalUnit", "cn": "container"}
_MEMBERSHIPS = frozenset({Kind.ADD_MEMBER, Kind.REMOVE_MEMBER})
_PLACES = frozenset({Kind.MOVE, Kind.PARK})
_SWITCHES = frozenset({Kind.ENABLE, Kind.DISABLE})
_NEW = frozenset({Kind.CREATE, Kind.CREATE_CONTAINER, Kind.CREATE_GROUP})
EXPIRES = "accountexpires"
"""The attribute whose days and moments are told as such, and are file times on the wire."""
_SET_ONLY = frozenset({"pwdlastset", "lockouttime"})
"""Attributes whose old value is the server's business: [MS-SAMR] 3.1.1.8 takes 0 (or -1) whatever stood there."""

_GROUPS = GroupRules("group", "member", minds_members=True)


class Settled(Exception):  # noqa: N818 — a verdict on one change, never leaves this module
    """What became of a change that is not sent."""

    def __init__(self, result: Result, why: str = "", reason: Failure | None = None) -> None:
        super().__init__(why)
        self.result = result
        self.failure = reason


def unfit(reason: Failure, why: str) -> Settled:
    """A change that must not or cannot be sent."""
    return Settled(Result.FAILED, why, reason)


@dataclass(slots=True)
class AdWriter:
    """One call of apply()."""

    directory: Directory
    config: ActiveDirectoryConfig
    _refusals: Refusals = field(init=False)
    _password: PasswordOf = field(init=False)
    _settled: list[Outcome] = field(default_factory=list)  # of changes that were not sent
    _made: dict[str, Change] = field(default_factory=dict)  # full name -> the create that landed there, until its id is read
    _moved: list[Change] = field(default_factory=list)  # renames that landed, until the account is seen at its new place
    _containers: list[Write[Change]] = field(default_factory=list)  # that were made, until they are protected

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Exactly one outcome for each change pulled. Raises only before the first one is pulled."""
        directory = self.directory
        self._refusals, self._password = Refusals(directory, self.config), password
        directory.wire.refresh()
        pipeline: Pipeline[Change] = Pipeline(directory.wire, self.config.window)
        memberships: list[Change] = []
        for write, reply in pipeline.run(self._writes(changes, memberships)):
            yield from drained(self._settled)
            yield from self._outcome(write, reply)
            if len(self._made) >= _TOGETHER:
                yield from self._identified()
        yield from drained(self._settled)
        yield from self._identified()
        yield from self._arrived()
        yield from map(self._protected, self._containers)
        known: list[Change] = []
        yield from strayed(memberships, directory.now, known)
        yield from Memberships(self.config, _GROUPS, directory.tree, directory.wire, directory.ask).apply(known)

    def _protected(self, write: Write[Change]) -> Outcome:
        """What came of a container that was made. Where the controller went away then, it is in doubt: who finds it protects it."""
        try:
            return Outcome(write.subject, Result.DONE, why=protect(self.directory.ask, write.place))
        except (TransientError, EndpointError) as error:
            return Outcome(write.subject, Result.UNKNOWN, why=f"made, and not protected from deletion: {error}")

    # --- requests -----------------------------------------------------------------------------------------------------

    def _writes(self, changes: Iterable[Change], memberships: list[Change]) -> Iterator[Write[Change]]:
        """What to send, in the order pulled; memberships are set aside, and what became of those not sent goes to `_settled`."""
        pulled = iter(changes)
        while batch := list(islice(pulled, _TOGETHER)):
            memberships += [change for change in batch if change.kind in _MEMBERSHIPS]
            rest = [change for change in batch if change.kind not in _MEMBERSHIPS]
            try:
                found = self._found(rest)
            except (TransientError, EndpointError) as error:  # raised from here it would have what is in flight sent again
                self._settled += [
                    Outcome(one, Result.FAILED, failure=Failure.WAITS, why=f"not sent: rereading: {error}") for one in rest
                ]
                continue
            for change in rest:
                try:
                    yield self._write(change, found.get(change.native_id or NativeId("")))
                except Settled as verdict:
                    self._settled.append(Outcome(change, verdict.result, failure=verdict.failure, why=str(verdict)))
                except names.NotADn as error:
                    self._settled.append(Outcome(change, Result.FAILED, failure=Failure.INVALID, why=str(error)))

    def _found(self, changes: Collection[Change]) -> dict[NativeId, Observed]:
        """The accounts of these changes as they stand."""
        ids = {change.native_id for change in changes if change.kind not in _NEW and change.native_id is not None}
        if not ids:
            return {}
        places = (place for change in changes for place in (change.before, change.after) if place is not None)
        attributes = {_CONTROL, *(name for place in places for name in place.attributes)}
        return dict(self.directory.now(sorted(ids), attributes))

    def _write(self, change: Change, observed: Observed | None) -> Write[Change]:
        match change.kind:
            case Kind.CREATE_CONTAINER:
                return self._create_container(change)
            case Kind.CREATE_GROUP:
                return self._create_group(change)
            case Kind.CREATE:
                return self._create(change, self._password(change))
            case _:
                return Write(change, self._existing(change, observed))

    def _create_container(self, change: Change) -> Write[Change]:
        name = self.directory.spelling(change.group or "")
        if not name or len(name[0]) != 1 or name[0][0][0] not in _CONTAINER_CLASSES:
            known = ", ".join(f"{kind}=" for kind in _CONTAINER_CLASSES)
            raise unfit(Failure.INVALID, f"{change.group!r} cannot be created: a container's name begins with one of {known}")
        dn = names.render(name + self.directory.tree.base)
        return Write(change, ber.add(dn, {"objectClass": [_CONTAINER_CLASSES[name[0][0][0]]]}), place=dn)

    def _create_group(self, change: Change) -> Write[Change]:
        name = self.directory.spelling(change.group or "")
        if not name or len(name[0]) != 1 or name[0][0][0] != "cn":
            raise unfit(Failure.INVALID, f"{change.group!r} cannot be created: a group's name begins with cn=")
        dn = names.render(name + self.directory.tree.base)
        attributes = {
            "objectClass": ["group"],
            "groupType": [str(self.config.group_flags)],
            "sAMAccountName": [group_name(name[0][0][1])],
        }
        return Write(change, ber.add(dn, attributes), place=dn)

    def _create(self, change: Change, password: str | None) -> Write[Change]:
        after = _told(change.after)
        given = after.attributes.items()
        attributes: dict[str, ber.Values] = {name: self._on_wire(name, values) for name, values in given if values}
        if "objectclass" not in map(str.lower, attributes):
            attributes["objectClass"] = [self.config.account_class]
        if password is None and after.enabled:
            # Microsoft refuses to enable an account without a password where the policy demands one; Samba lets everybody into it.
            password = _nobody_knows()
        if password is not None:
            attributes["unicodePwd"] = [quoted(password)]
        if isinstance(password, OneTime):
            attributes = {name: values for name, values in attributes.items() if name.lower() != _LAST_SET.lower()}
            attributes[_LAST_SET] = [_NOW_DUE]
        attributes[_CONTROL] = [str(_NORMAL | (0 if after.enabled else DISABLED))]
        dn = self.directory.place(self.directory.tree.first(after.rdn), after.container)
        return Write(change, ber.add(dn, attributes), place=dn)

    def _existing(self, change: Change, observed: Observed | None) -> bytes:
        """The operation on an account that exists. Raises Settled where there is none to be sent."""
        if change.native_id is None:
            raise unfit(Failure.WAITS, "the account this change is about has not been created")
        if observed is None:
            if change.kind is Kind.DELETE:
                raise Settled(Result.ALREADY)
            raise unfit(Failure.NO_SUCH_OBJECT, "no account has this id any more")
        if observed.privileged:
            raise unfit(Failure.OUT_OF_SCOPE, "the account is privileged (R40)")
        before, now = _told(change.before), observed.account
        if _is_so(change, now):
            raise Settled(Result.ALREADY)
        if not same_place(now, before):
            raise unfit(Failure.STALE, "the account is not where the plan expects it")
        it = f"<GUID={change.native_id}>"  # [MS-ADTS] 3.1.1.3.1.2.4: who has this id, wherever it is by now
        if change.kind is Kind.DELETE:
            if now.enabled and not before.enabled:
                raise unfit(Failure.STALE, "the account was enabled by somebody since it was planned to go")
            return ber.delete(it)
        if change.kind in _SWITCHES:
            word = self._password(change)
            if word is not None:
                self._forget_password(change, it)
            return ber.modify(it, self._switched(change.kind is Kind.ENABLE, now, word))
        if change.kind in _PLACES:
            return self._renamed(now, _told(change.after))
        return ber.modify(it, self._differences(before, _told(change.after), now))

    def _on_wire(self, name: str, values: Sequence[str]) -> ber.Values:
        """The values as the domain keeps them."""
        lower = name.lower()
        if lower in BINARY:
            return [sent(lower, value) for value in values]
        if lower == EXPIRES:
            return [times.file_time(value, self.config.zone) for value in values] or [times.NEVER]
        return list(values)

    def _differences(self, before: Account, after: Account, now: Account) -> list[tuple[ber.Modify, str, ber.Values]]:
        """Old values out by name, new ones in. Raises Settled where the account does not hold the old ones."""
        steps: list[tuple[ber.Modify, str, ber.Values]] = []
        for name, values in after.attributes.items():
            if name.lower() in _SET_ONLY:
                steps.append((ber.Modify.REPLACE, name, list(values)))
                continue
            old, held = before.attributes.get(name, ()), now.attributes.get(name, ())
            if sorted(old) != sorted(held):
                raise unfit(Failure.STALE, f"{name} is not as the plan expects it")
            if name.lower() == EXPIRES:  # never is one of three values on the wire, and which one is not told
                steps.append((ber.Modify.REPLACE, name, self._on_wire(name, values)))
                continue
            if out := [value for value in held if value not in values]:
                steps.append((ber.Modify.DELETE, name, self._on_wire(name, out)))
            if into := [value for value in values if value not in held]:
                steps.append((ber.Modify.ADD, name, self._on_wire(name, into)))
        return steps

    def _forget_password(self, change: Change, it: str) -> None:
        """Set a password that nobody knows, so that the one from before is not the last one when the next is set.

        A domain still takes the last password for an hour after it was replaced: Windows for NTLM (KB906305,
        OldPasswordAllowedPeriod), Samba for every bind (`old password allowed period`, seen with 4.17.12). A kill after this leaves
        an account nobody can sign in to, and a change that is still due.
        """
        write = Write(change, ber.modify(it, [(ber.Modify.REPLACE, "unicodePwd", [quoted(_nobody_knows())])]))
        ((_, reply),) = Pipeline[Change](self.directory.ask, 1).run(iter([write]))
        if not isinstance(reply, ber.Answer):
            raise unfit(Failure.WAITS, f"the old password was not replaced: {reply.why}")
        if reply.code != SUCCESS:
            refused = self._refusals.outcome(write, reply, None)
            raise unfit(refused.failure or Failure.OTHER, refused.why)

    def _switched(self, on: bool, now: Account, password: str | None) -> list[tuple[ber.Modify, str, ber.Values]]:
        """The one bit, and a password where one is to be set: before the bit, because the server looks for it when it sees that."""
        (old,) = now.attributes.get(_CONTROL) or ("",)
        if not old:
            raise unfit(Failure.REFUSED, f"{_CONTROL} cannot be read: give the account syncd binds as the right to")
        new = int(old) & ~DISABLED if on else int(old) | DISABLED
        steps: list[tuple[ber.Modify, str, ber.Values]] = []
        if password is not None:
            steps.append((ber.Modify.REPLACE, "unicodePwd", [quoted(password)]))
        if isinstance(password, OneTime):
            steps.append((ber.Modify.REPLACE, _LAST_SET, [_NOW_DUE]))
        return [*steps, (ber.Modify.DELETE, _CONTROL, [old]), (ber.Modify.ADD, _CONTROL, [str(new)])]

    def _renamed(self, now: Account, after: Account) -> bytes:
        """A rename and a move in one step. By its name: Samba finds nobody to rename by an id (seen with 4.17.12)."""
        tree = self.directory.tree
        superior = None
        if names.canonical(now.container) != names.canonical(after.container):
            superior = names.render(self.directory.spelling(after.container) + tree.base)
        return ber.rename(tree.account(now.container, now.rdn), names.render((tree.first(after.rdn),)), superior)

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _outcome(self, write: Write[Change], reply: Reply) -> Iterator[Outcome]:
        change = write.subject
        if not isinstance(reply, ber.Answer):
            yield without_answer(change, reply)
        elif reply.code == SUCCESS and change.kind is Kind.CREATE:
            self._made[write.place] = change
        elif reply.code == SUCCESS and change.kind in _PLACES:
            self._moved.append(change)
        elif reply.code == SUCCESS and change.kind is Kind.CREATE_CONTAINER and self.config.protect_containers:
            self._containers.append(write)
        elif reply.code == SUCCESS:
            yield Outcome(change, Result.DONE)
        else:
            yield self._refusals.outcome(write, reply, self._password(change))

    def _identified(self) -> Iterator[Outcome]:
        """Outcomes of creates that landed, with the ids the server gave: no control brings them back with the answer."""
        made, self._made = self._made, {}
        unread = dict(made)
        try:
            for dn, entry in self.directory.ask.entries_of(made, ["objectGUID"]):
                ids = entry[1].get("objectguid", ()) if entry is not None else ()
                if ids:
                    yield Outcome(unread.pop(dn), Result.DONE, native_id=native_id(ids[0]))
            why = "created, but the account we bind as may not read its objectGUID, or somebody has moved it"
        except (TransientError, EndpointError) as error:
            why = f"created, but its id could not be read: {error}"
        yield from (Outcome(change, Result.UNKNOWN, why=why) for change in unread.values())

    def _arrived(self) -> Iterator[Outcome]:
        """Outcomes of renames: done where the account with the id stands at its new place, or else nobody knows who was renamed."""
        moved, self._moved = self._moved, []
        ids = sorted({change.native_id for change in moved if change.native_id is not None})
        try:
            now = self.directory.now(ids, ()) if ids else {}
        except (TransientError, EndpointError) as error:
            yield from (Outcome(change, Result.UNKNOWN, why=f"renamed, but not seen since: {error}") for change in moved)
            return
        for change in moved:
            observed = now.get(change.native_id) if change.native_id is not None else None
            if observed is not None and change.after is not None and same_place(observed.account, change.after):
                yield Outcome(change, Result.DONE)
            else:
                yield Outcome(change, Result.UNKNOWN, why="renamed, but the account is not at its new place")


def quoted(password: str) -> bytes:
    """A password as `unicodePwd` takes it: in quotation marks, UTF-16, little-endian ([MS-ADTS] 3.1.1.3.1.5.1)."""
    return f'"{password}"'.encode("utf-16-le")


def _nobody_knows() -> str:
    """A password that satisfies any policy of length and complexity, and that nobody is told."""
    return secrets.token_urlsafe(32) + "-Aa1"


def _told(account: Account | None) -> Account:
    if account is None:
        raise unfit(Failure.INVALID, "the change does not say which account it is about")
    return account


def _holds(account: Account, told: Account) -> bool:
    return all(sorted(account.attributes.get(name, ())) == sorted(values) for name, values in told.attributes.items())


def _is_so(change: Change, now: Account) -> bool:
    """True when the account is as the change wants it."""
    after = change.after
    if after is None:
        return False
    if change.kind in _SWITCHES:
        return now.enabled == after.enabled
    if change.kind in _PLACES:
        return same_place(now, after)
    return _holds(now, after)
