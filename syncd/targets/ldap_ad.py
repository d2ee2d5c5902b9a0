"""Active Directory: what its accounts, groups and names are like, and who in it must never be touched.

Facts are Microsoft's, with the section of the open specifications ([MS-ADTS], [MS-SAMR]) beside them; where Samba differs, what
was seen with 4.17.12 in 2026-11. What is written is `ldap_ad_apply`'s.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from syncd.core.model import Account, Change, NativeId, Outcome
from syncd.errors import ChangeError, EndpointError, TransientError
from syncd.targets import Changes, Needs, PasswordOf, Scope, ldap_ad_changes
from syncd.targets import ldap_ad_delegation as delegation
from syncd.targets import ldap_ad_rights as rights
from syncd.targets import ldap_ad_times as times
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap import LdapDirectory
from syncd.targets.ldap_ad_apply import DISABLED, EXPIRES, AdWriter
from syncd.targets.ldap_ad_changes import Bookmark, outermost
from syncd.targets.ldap_ad_config import LONGEST_SAM, NOT_IN_SAM, ActiveDirectoryConfig
from syncd.targets.ldap_ad_policy import domain_of, rules_of
from syncd.targets.ldap_ad_protection import protect
from syncd.targets.ldap_ad_values import BINARY, native_id, sent, sid_text, told
from syncd.targets.ldap_apply import Directory
from syncd.targets.ldap_dialect import Raw
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials

__all__ = ["ActiveDirectory", "ActiveDirectoryConfig"]

_USERS = "805306368"  # SAM_USER_OBJECT, [MS-SAMR] 2.2.1.9: neither computers nor contacts, and an attribute that is indexed
_ABOVE = frozenset({"top", "person", "organizationalperson"})  # a user's object classes that come by themselves: [MS-ADSC]
_LONGEST_NAME = 64  # of a cn: rangeUpper of Common-Name, [MS-ADA1]
_OURS = frozenset(
    {"useraccountcontrol", "unicodepwd", "objectguid", "objectsid", "primarygroupid", "admincount", "distinguishedname"}
)
# [MS-ADTS] 3.1.1.6.1.1, Protected Objects, by the last part of their SID; Administrators and the operators are of the part BUILTIN.
_PROTECTED = {
    512: "Domain Admins",
    516: "Domain Controllers",
    518: "Schema Admins",
    519: "Enterprise Admins",
    521: "Read-only Domain Controllers",
    526: "Key Admins",
    527: "Enterprise Key Admins",
}
_PROTECTED_BUILTIN = {
    544: "Administrators",
    548: "Account Operators",
    549: "Server Operators",
    550: "Print Operators",
    551: "Backup Operators",
    552: "Replicator",
}
_BUILTIN = "S-1-5-32"
_DOMAIN_USERS = "513"
_GROUP_CLASS = b"group"


class ActiveDirectory(LdapDirectory):
    """The connector for one domain. Satisfies TellsChanges, Delegates and ProtectsContainers, too."""

    config: ActiveDirectoryConfig

    def __init__(self, name: str, config: ActiveDirectoryConfig, credentials: Credentials) -> None:
        self._ad = AdDialect(config)
        super().__init__(name, config, credentials, self._ad)

    def delegation(self, needs: Needs) -> Mapping[str, Sequence[str]]:
        """By tool, the commands that give the account we sign in with exactly what is needed."""
        wire, grants = self._wires["ask"], rights.needed(self.config, needs)
        guids = rights.Guids(wire, rights.spoken_of(grants))
        protect = bool(needs.makes_containers) and self.config.protect_containers
        return delegation.commands(grants, guids, self._ad.trustee(wire), protect=protect)

    def lacks(self, needs: Needs) -> Sequence[str]:
        """What is wrong with our rights: what is missing, or that we are an administrator, who misses nothing (R40)."""
        wire = self._wires["ask"]
        if groups := self._ad.administers(wire):
            why = "what goes wrong with an account that may do everything goes wrong everywhere"
            remedy = "sign in as an ordinary one that is given rights on its containers"
            return [f"{self.config.bind_dn} is privileged ({', '.join(groups)}), and {why} (R40): {remedy}"]
        return list(rights.lacking(wire, rights.needed(self.config, needs)))

    def password_demands(self) -> tuple[int, bool]:
        """What the domain's own policy demands of passwords; one for some accounts only may demand more, and says so then."""
        rules = rules_of(self._wires["ask"])
        return rules.shortest, rules.complex

    def protect(self, containers: Collection[str]) -> Mapping[str, str]:
        """Protect containers that a run made and may not have protected before it ended; of each what could not be done.

        Whose they are the domain itself decides: only their owner may change their rights, and that is who made them.
        """
        if not self.config.protect_containers:
            return {}
        left: dict[str, str] = {}
        for name in containers:
            try:
                why = protect(self._wires["ask"], self._tree.full(name))
            except (TransientError, EndpointError) as error:  # it stands there, and nothing else waits for this
                why = f"not protected from deletion: {error}"
            if why:
                left[name] = why
        return left

    def bookmark(self) -> str:
        """Where the controller stands; empty where it does not say who it is."""
        standing = ldap_ad_changes.here(self._wires["read"], self._whole_context())
        return str(standing) if standing is not None else ""

    def changed_since(self, bookmark: str, scope: Scope) -> Changes:
        """Accounts of which something in scope changed, as the controller of the bookmark tells it; from any other, everybody."""
        wire, then, fields = self._wires["read"], Bookmark.of(bookmark), self._fields(scope)  # one wire: one controller
        told = ldap_ad_changes.since(wire, self._whole_context(), then, fields.ask) if then is not None else None
        if told is None:
            now = self.bookmark()
            return Changes(tuple(self.read(scope)), frozenset(), now, whole=True)
        inside, elsewhere = set[NativeId](), set[NativeId]()
        below = (wire.search_here(container, self._accounts, ["objectGUID"]) for container in outermost(told.containers))
        for dn, raw in (*told.users, *chain.from_iterable(below)):
            (elsewhere if self._places.of(dn) is None else inside).add(self._native_id(dn, raw))
        found = {one.native_id: one for one in self._with_ids(wire, sorted(inside), fields)}
        return Changes(tuple(found.values()), frozenset(elsewhere | inside - found.keys()), str(told.bookmark))


@dataclass(frozen=True, slots=True)
class AdDialect:
    """Microsoft's Active Directory, and Samba's."""

    config: ActiveDirectoryConfig
    naming: str = field(default="cn", init=False)
    id_attribute: str = field(default="objectGUID", init=False)
    place_attribute: str = field(default="distinguishedName", init=False)
    asked: tuple[str, ...] = field(default=("userAccountControl", "adminCount", "isCriticalSystemObject"), init=False)
    accounts: bytes = field(default=ber.equal("sAMAccountType", _USERS), init=False)
    holds: str = field(default="member", init=False)
    members_by_name: bool = field(default=True, init=False)
    never_read: frozenset[str] = field(default=frozenset({"unicodepwd", "userpassword"}), init=False)
    respelt: frozenset[str] = field(default=frozenset({"objectclass", EXPIRES}), init=False)
    binary: frozenset[str] = field(default=BINARY, init=False)
    used: tuple[str, ...] = field(default=("lastLogonTimestamp",), init=False)
    """Right to some two weeks, and the same on all controllers, unlike lastLogon: [MS-ADA1], lastLogonTimestamp."""
    changed: str = field(default="whenChanged", init=False)
    stops_at_references: bool = field(default=False, init=False)
    """A domain refers to its DNS zones and to child domains, which are other parts of the directory: [MS-ADTS] 3.1.1.1.9."""

    def native_id(self, value: bytes) -> NativeId:
        """The objectGUID as Microsoft's tools write it."""
        return native_id(value)

    def id_is(self, native_id: NativeId) -> bytes:
        """By its bytes; what is no GUID is nobody's."""
        try:
            return ber.equal(self.id_attribute, uuid.UUID(native_id).bytes_le)
        except ValueError:
            return ber.equal(self.id_attribute, bytes(16))

    def is_account(self, classes: Collection[bytes]) -> bool:
        """A user, inetOrgPerson included; a computer is one by its classes only ([MS-ADSC])."""
        folded = {name.lower() for name in classes}
        return b"user" in folded and b"computer" not in folded

    def is_enabled(self, raw: Raw) -> bool:
        """By the bit; an account whose bits may not be read counts as enabled, so that nobody takes it for one to be deleted."""
        return not _flags(raw) & DISABLED

    def is_privileged(self, raw: Raw) -> bool:
        """One that the domain protects (adminCount is set within the hour), or that it cannot be without."""
        counted = [value for value in raw.get("admincount", ()) if value not in (b"", b"0")]
        return bool(counted) or b"TRUE" in raw.get("iscriticalsystemobject", ())

    def spelt(self, attribute: str, values: Iterable[str]) -> Iterable[str]:
        """Object classes without those that come by themselves: a directory tells them all, a mapping the last. Bytes one way.

        Days as days.
        """
        if attribute in BINARY:
            return [told(attribute, sent(attribute, value)) for value in values]
        if attribute == EXPIRES:
            return filter(None, (times.told(value, self.config.zone) for value in values))
        if attribute != "objectclass":
            return values
        classes = {value.lower(): value for value in values}
        hidden = _ABOVE | ({"user"} if "inetorgperson" in classes else set())
        return [value for lower, value in classes.items() if lower not in hidden]

    def told(self, attribute: str, value: bytes) -> str:
        """See `ldap_ad_values`."""
        return told(attribute, value)

    def sent(self, attribute: str, value: str) -> bytes:
        """See `ldap_ad_values`."""
        return sent(attribute, value)

    def must_fit(self, account: Account) -> None:
        """Raises ChangeError for a name that is too long, an impossible sAMAccountName, or an attribute not a mapping's."""
        if len(account.rdn) > _LONGEST_NAME and not account.named_otherwise:
            raise ChangeError("invalid value", f"the name {account.rdn!r} is longer than {_LONGEST_NAME} characters; shorten rdn")
        for name, values in account.attributes.items():
            lower = name.lower()
            if lower in _OURS:
                raise ChangeError("invalid value", f"{name} is not a mapping's to write: syncd or the domain sees to it")
            for value in values:
                if lower == "samaccountname":
                    _must_be_sam(value)
                elif lower == EXPIRES:
                    self._must_be_day(name, value)

    def _must_be_day(self, name: str, value: str) -> None:
        try:
            times.file_time(value, self.config.zone)
        except ValueError as error:
            raise ChangeError("invalid value", f"{name}: {error}; map it to a date") from error

    def unlisted(self, wire: Wire, groups: Collection[str]) -> Mapping[str, Collection[NativeId]]:
        """Whose primary group it is: that stands on the account ([MS-ADTS] 3.1.1.4.5.11, primaryGroupToken).

        Nearly everybody's is Domain Users, which nobody writes: the others are few, and asked for at once.
        """
        unusual = ber.every([self.accounts, ber.negation(ber.equal("primaryGroupID", _DOMAIN_USERS))])
        by_token: dict[bytes, list[NativeId]] = {}
        for _, raw in wire.search_here(self.config.base, unusual, ["objectGUID", "primaryGroupID"]) if groups else ():
            for token in raw.get("primarygroupid", ()):
                by_token.setdefault(token, []).extend(map(self.native_id, raw.get("objectguid", ())))
        if not by_token:
            return {}
        entries = ((dn, entry[1]) for dn, entry in wire.entries_of(groups, ["primaryGroupToken"]) if entry is not None)
        return {dn: [one for token in raw.get("primarygrouptoken", ()) for one in by_token.get(token, ())] for dn, raw in entries}

    def untouchable(self, wire: Wire, tree: names.Tree) -> set[str]:
        """Whoever and whatever the domain protects, with all members down to the last, the configured ones, and ourselves.

        adminCount alone will not do: it is set within an hour of the membership, and Samba never sets it.
        """
        domain, sid = self._domain(wire)
        protected = [f"<SID={sid}-{rid}>" for rid in _PROTECTED] + [f"<SID={_BUILTIN}-{rid}>" for rid in _PROTECTED_BUILTIN]
        configured = [tree.full(group) for group in self.config.privileged_groups]
        told = {tree.full(name) if not tree.within(names.parse(name)) else name for name in self.config.privileged}
        level, first = [*configured, *protected], True
        while level:
            below: set[str] = set()
            for asked, entry in wire.entries_of(level, ["distinguishedName", "objectClass", "member"]):
                if entry is None:
                    if asked in configured:
                        raise EndpointError(
                            wire.endpoint, f"the privileged group {asked} cannot be read", "correct privileged_groups"
                        )
                    continue  # not every domain has every group
                told.add(entry[0])
                if first or _GROUP_CLASS in entry[1].get("objectclass", ()):
                    below.update(value.decode(errors="backslashreplace") for value in entry[1].get("member", ()))
            level, first = sorted(below - told), False
        special = [ber.equal("adminCount", "1"), ber.equal("isCriticalSystemObject", "TRUE"), *self._ourselves()]
        special += [ber.equal("primaryGroupID", str(rid)) for rid in _PROTECTED]
        told.update(dn for dn, _ in wire.search_here(domain, ber.some(special), ["1.1"]))
        return told

    def administers(self, wire: Wire) -> list[str]:
        """The protected groups that we are in, by whatever way: as the domain tells who has signed in."""
        domain, sid = self._domain(wire)
        ours = {sid_text(one) for one in rights.token(wire)}
        known = {f"{sid}-{rid}": name for rid, name in _PROTECTED.items()}
        known |= {f"{_BUILTIN}-{rid}": name for rid, name in _PROTECTED_BUILTIN.items()}
        found = [f"a member of {known[one]}" for one in known if one in ours]
        marked = ber.every([ber.some(self._ourselves()), ber.equal("adminCount", "1")])
        return found or ["its adminCount is set" for _ in wire.search_here(domain, marked, ["1.1"])]

    def trustee(self, wire: Wire) -> delegation.Trustee:
        """The account we sign in with, as tools call it."""
        domain, _ = self._domain(wire)
        for _, raw in wire.search_here(domain, ber.some(self._ourselves()), ["sAMAccountName", "objectSid"]):
            if raw.get("samaccountname") and raw.get("objectsid"):
                place = ".".join(value for step in names.parse(domain) for _, value in step)
                return delegation.Trustee(f"{raw['samaccountname'][0].decode()}@{place}", sid_text(raw["objectsid"][0]))
        raise EndpointError(wire.endpoint, f"{self.config.bind_dn} is nowhere to be found in the domain", "correct bind_dn")

    def _ourselves(self) -> list[bytes]:
        """The filters that find the account we bind as, whichever way it is named."""
        bind = self.config.bind_dn
        if "=" in bind:
            return [ber.equal("distinguishedName", bind)]
        return [ber.equal("userPrincipalName", bind), ber.equal("sAMAccountName", bind.rpartition("\\")[2].partition("@")[0])]

    def _domain(self, wire: Wire) -> tuple[str, str]:
        """The name and the SID of the domain this server serves."""
        domain = domain_of(wire)
        entry = wire.entry(domain, ["objectSid"])
        sids = entry[1].get("objectsid", []) if entry else []
        if not sids:
            raise EndpointError(wire.endpoint, f"the SID of {domain} cannot be read", "give the account we bind as the right to")
        return domain, sid_text(sids[0])

    def apply(self, directory: Directory, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Reads, judges, writes; see `ldap_ad_apply`."""
        return AdWriter(directory, self.config).apply(changes, password)


def _flags(raw: Raw) -> int:
    told = raw.get("useraccountcontrol")
    return int(told[0]) if told else 0


def _must_be_sam(value: str) -> None:
    wrong = NOT_IN_SAM.search(value)
    if wrong is not None or value.endswith("."):
        what = wrong[0] if wrong is not None else "."
        raise ChangeError("invalid value", f"the sAMAccountName {value!r} has {what!r} where it must not stand; change the rule")
    if len(value) > LONGEST_SAM:
        raise ChangeError(
            "invalid value", f"the sAMAccountName {value!r} is longer than {LONGEST_SAM} characters; shorten the rule"
        )
