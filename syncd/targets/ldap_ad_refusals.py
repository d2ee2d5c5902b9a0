"""What a refusal of Active Directory is told as, once the domain has been asked about it.

A domain says *name taken* and not by whom, *insufficient rights* and not which, *password refused* and not by which rule. What it
did not say is looked up here, once for each refusal; where that fails, its own words stand alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from syncd.core.model import Account, Change, Failure, Kind, Outcome, Result
from syncd.errors import EndpointError, TransientError
from syncd.targets import ldap_ad_errors as ad
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_ad_config import ActiveDirectoryConfig
from syncd.targets.ldap_ad_descriptor import May
from syncd.targets.ldap_ad_policy import NOT_TOLD, PasswordRules, broken, domain_of, rules_of
from syncd.targets.ldap_ad_rights import GROUP, RESET, UNIT, Right
from syncd.targets.ldap_apply import Directory
from syncd.targets.ldap_errors import ALREADY_EXISTS, INSUFFICIENT_RIGHTS, NO_SUCH_OBJECT, failure, words
from syncd.targets.ldap_pipeline import Write

_UNIQUE = ("sAMAccountName", "userPrincipalName")
"""What no two accounts of a domain share: [MS-ADTS] 3.1.1.5.1.2 and [MS-SAMR] 3.1.1.8.4."""
_CREATES = frozenset({Kind.CREATE, Kind.CREATE_CONTAINER, Kind.CREATE_GROUP})
_PLACES = frozenset({Kind.MOVE, Kind.PARK})
_ALL_OF_IT = ("objectClass", "objectGUID")


@dataclass(slots=True)
class Refusals:
    """The refusals of one call of apply()."""

    directory: Directory
    config: ActiveDirectoryConfig
    _domain: str = ""
    _rules: dict[str, PasswordRules] = field(default_factory=dict)

    def outcome(self, write: Write[Change], reply: ber.Answer, password: str | None) -> Outcome:
        """What a refusal means for this kind of change, and everything that could be found out about it."""
        change, why, told = write.subject, failure(reply.code, reply.why), words(reply.code, reply.why)
        if change.kind is Kind.DELETE and reply.code == NO_SUCH_OBJECT:
            return Outcome(change, Result.ALREADY)
        try:
            if reply.code == ALREADY_EXISTS and change.kind in _CREATES:
                there = self.directory.ask.entry(write.place, _ALL_OF_IT)
                if there is not None and _is_wanted(change, there[1].get("objectclass", ())):
                    return Outcome(change, Result.ALREADY)
            more = self._more(write, reply, why, password)
        except (TransientError, EndpointError) as error:
            more = f"; looking closer: {error}"
        if reply.code == NO_SUCH_OBJECT and change.kind in _CREATES | _PLACES:
            why = Failure.NO_CONTAINER  # the account itself was read a moment ago
        return Outcome(change, Result.FAILED, failure=why, why=told + more)

    def _more(self, write: Write[Change], reply: ber.Answer, why: Failure, password: str | None) -> str:
        change = write.subject
        if why is Failure.NAME_TAKEN:
            return f"; {self._holders(write) or 'by nobody that this server shows us'}"
        if ad.is_policy(reply.why):
            return f"; {self._policy(change, password)}"
        if reply.code == INSUFFICIENT_RIGHTS:
            return f"; the right that is missing: {self._right(change)}"
        return ""

    # --- by whom a name is taken ----------------------------------------------------------------------------------------

    def _holders(self, write: Write[Change]) -> str:
        """Who stands at the place, and who has one of the names that are unique in the domain."""
        change, ask = write.subject, self.directory.ask
        told = []
        place = self._wanted_place(write)
        if place and (there := ask.entry(place, _ALL_OF_IT)) is not None and not _is_self(change, there[1]):
            told.append(f"at its place stands {there[0]}")
        wanted = _unique_names(change)
        if wanted:
            condition = ber.some(ber.equal(name, value) for name, value in wanted)
            for dn, raw in ask.search_here(self._domain_name(), condition, [*_UNIQUE, "objectGUID"]):
                shared = [name for name, value in wanted if value.lower() in _folded(raw.get(name.lower(), ()))]
                if not _is_self(change, raw):
                    told.append(f"{' and '.join(dict.fromkeys(shared)) or 'the name'} is that of {dn}")
        return "; ".join(told)

    def _wanted_place(self, write: Write[Change]) -> str:
        change, tree = write.subject, self.directory.tree
        if change.kind in _CREATES:
            return write.place
        return tree.account(change.after.container, change.after.rdn) if change.kind in _PLACES and change.after else ""

    def _domain_name(self) -> str:
        self._domain = self._domain or domain_of(self.directory.ask)
        return self._domain

    # --- which rule of the password policy ------------------------------------------------------------------------------

    def _policy(self, change: Change, password: str | None) -> str:
        """The demands, and what of them the password breaks."""
        ask = self.directory.ask
        account = ask.entry(f"<GUID={change.native_id}>", ["msDS-ResultantPSO"]) if change.native_id else None
        own = (account[1] if account else {}).get("msds-resultantpso", [b""])[0].decode()
        rules = self._rules.get(own)
        if rules is None:
            rules = self._rules[own] = rules_of(ask, own)
        if password is None:
            return str(rules)
        at = change.after
        found = broken(rules, password, _value(at, "samaccountname"), _value(at, "displayname"))
        return f"{rules}: {', '.join(found) or NOT_TOLD}"

    # --- which right is missing -----------------------------------------------------------------------------------------

    def _right(self, change: Change) -> str:
        """The right in the words of `syncd ad-delegation`; where the domain says what we may do, only what we may not."""
        account = self.config.account_class
        match change.kind:
            case Kind.CREATE:
                return f"{Right(May.CREATE_CHILD, account)} in {self._container(change.after)}"
            case Kind.CREATE_CONTAINER | Kind.CREATE_GROUP:
                what = GROUP if change.kind is Kind.CREATE_GROUP else UNIT
                return f"{Right(May.CREATE_CHILD, what)} in {self.directory.tree.full(_above(change.group or ''))}"
            case Kind.DELETE:
                return f"delete {account} in {self._container(change.before)}"
            case Kind.MOVE | Kind.PARK:
                return self._right_to_move(change)
            case Kind.ENABLE | Kind.DISABLE:
                missing = self._not_writable(change, ["userAccountControl"], otherwise=())
                return str(Right(May.WRITE, missing[0], account) if missing else Right(May.CONTROL, RESET, account))
            case _:
                missing = self._not_writable(change, change.after.attributes if change.after else ())
                return f"write {', '.join(missing)} of {account}"

    def _right_to_move(self, change: Change) -> str:
        account = self.config.account_class
        if self._not_writable(change, ["cn"], otherwise=()):  # `name`, which a rename needs too, is told as nobody's to write
            return f"write cn, name of {account}"
        into = self._container(change.after)
        there = self.directory.ask.entry(into, ["allowedChildClassesEffective"])
        if account.encode() not in (there[1] if there else {}).get("allowedchildclasseseffective", ()):
            return f"create {account} in {into}"
        return f"delete {account} in {self._container(change.before)}"

    def _not_writable(self, change: Change, written: Collection[str], otherwise: Collection[str] | None = None) -> list[str]:
        """Those of the attributes that the domain says we may not write; if it says that of none, all of them or `otherwise`."""
        found = self.directory.ask.entry(f"<GUID={change.native_id}>", ["allowedAttributesEffective"])
        allowed = _folded((found[1] if found else {}).get("allowedattributeseffective", ()))
        missing = [name for name in sorted(written) if name.lower() not in allowed]
        return missing or (sorted(written) if otherwise is None else list(otherwise))

    def _container(self, account: Account | None) -> str:
        return self.directory.tree.full(account.container if account is not None else "")


def _is_wanted(change: Change, classes: Collection[bytes]) -> bool:
    """True where what stands at the place of a container or group is one."""
    is_group = GROUP.encode() in classes
    return change.kind is Kind.CREATE_CONTAINER or (change.kind is Kind.CREATE_GROUP and is_group)


def _unique_names(change: Change) -> list[tuple[str, str]]:
    if change.kind is Kind.CREATE_GROUP:
        first = names.parse(change.group or "")[0]
        return [("sAMAccountName", group_name(first[0][1]))]
    given = change.after.attributes if change.after is not None else {}
    unique = {name.lower(): name for name in _UNIQUE}
    return [(unique[name.lower()], value) for name, values in given.items() if name.lower() in unique for value in values]


_NOT_IN_SAM = str.maketrans(dict.fromkeys('"/\\[]:;|=,+*?<>', "_"))  # [MS-SAMR] 3.1.1.6


def group_name(value: str) -> str:
    """The sAMAccountName of a group of this name."""
    return value.translate(_NOT_IN_SAM).rstrip(". ")


def _is_self(change: Change, raw: dict[str, list[bytes]]) -> bool:
    return change.native_id is not None and uuid.UUID(change.native_id).bytes_le in raw.get("objectguid", ())


def _folded(values: Iterable[bytes]) -> set[str]:
    return {value.decode(errors="backslashreplace").lower() for value in values}


def _value(account: Account | None, lower: str) -> str:
    given = account.attributes if account is not None else {}
    return next((value for name, values in given.items() if name.lower() == lower for value in values), "")


def _above(name: str) -> str:
    return names.render(names.parse(name)[1:])
