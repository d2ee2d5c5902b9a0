"""The rights syncd needs in an Active Directory domain: which, by what the mapping makes it do, and which of them it lacks.

The domain's own answers are believed first: `tokenGroups` of the rootDSE says who we are to it, every group within a group
included, and `allowedChildClassesEffective` what we may make in a container. What we may do to accounts that do not exist yet no
server says: that is told from the list of rights of the container, as the accounts would get it handed down. Samba 4.17.12 has both
answers, and they agree with the lists (seen 2026-11, and held by a test).
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from syncd.errors import EndpointError
from syncd.targets import Needs
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_ad_config import ActiveDirectoryConfig
from syncd.targets.ldap_ad_descriptor import May, Rule, below, may, rules
from syncd.targets.ldap_wire import Wire

RESET = "Reset Password"
"""User-Force-Change-Password, as the tools show it: [MS-ADTS] 5.1.3.2.1, Control Access Rights."""

_RESET_GUID = "00299570-246d-11d0-a768-00aa006e0529"
UNIT, GROUP, MEMBER = "organizationalUnit", "group", "member"
_PLACES = {"ou": UNIT, "cn": "container"}  # classes of the containers syncd makes, by how their names begin
_ALWAYS = ("cn", "name", "userAccountControl", "pwdLastSet", "lockoutTime")
"""What every mapping makes syncd write: names, whether an account is open, that a password must be changed, and unlocking."""
_NEVER = frozenset({"objectclass", "cn", "unicodepwd"})  # written with the account, by its rename, and under a control right
_LOOK = May.LIST | May.READ | May.READ_RIGHTS
_SHOWN = 3  # containers named with what is missing in them


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One right. `about`: the attribute, class or control right; empty is all. `on`: the class of the objects; empty is containers.

    `here`: on the container itself and every one below it; else only on objects of the class below it.
    """

    may: May
    about: str = ""
    on: str = ""
    here: bool = False

    def __str__(self) -> str:
        match self.may:
            case May.CREATE_CHILD:
                return f"create {self.about}"
            case May.WRITE:
                return f"write {self.about} of {self.on}"
            case May.CONTROL:
                return f"{self.about} of {self.on}"
            case May.DELETE:
                return f"delete {self.on}, which to move one needs as well"
            case May.READ_RIGHTS:
                return "read who has which rights there"
            case _:
                return f"list and read {self.on}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What is needed in one container, told by its full name, and below it."""

    container: str
    rights: tuple[Right, ...]


def needed(config: ActiveDirectoryConfig, needs: Needs) -> list[Grant]:
    """What syncd must be given, by container, in the order of the configuration; exactly what the mapping makes it do."""
    by_container: dict[str, tuple[str, dict[Right, None]]] = {}
    for container in config.accounts_in:
        _grant(by_container, config, container, _on_accounts(config, needs))
    for group in config.groups_in if needs.joins_groups else ():
        _grant(by_container, config, group, _on_groups(needs))
    return [Grant(name, tuple(rights)) for name, rights in by_container.values()]


def _grant(
    known: dict[str, tuple[str, dict[Right, None]]], config: ActiveDirectoryConfig, container: str, rights: Iterable[Right]
) -> None:
    name = f"{container},{config.base}" if container.strip() else config.base  # as it is written, for who reads the commands
    known.setdefault(names.canonical(name), (name, {}))[1].update(dict.fromkeys(rights))


def _on_accounts(config: ActiveDirectoryConfig, needs: Needs) -> Iterator[Right]:
    account = config.account_class
    yield from _on_containers(needs)
    yield Right(May.CREATE_CHILD, account, here=True)
    yield Right(_LOOK, on=account)
    written = {name.lower(): name for name in (*_ALWAYS, *sorted(needs.writes)) if name.lower() not in _NEVER}
    written["cn"] = "cn"  # by a rename: [MS-ADTS] 3.1.1.5.4.1 asks for it and for `name`
    yield from (Right(May.WRITE, written[lower], account) for lower in sorted(written))
    yield Right(May.CONTROL, RESET, account)
    if needs.moves or needs.deletes:
        # Not DELETE_CHILD on the container: what protects its containers from being deleted denies that to everybody.
        yield Right(May.DELETE, on=account)


def _on_groups(needs: Needs) -> Iterator[Right]:
    yield from _on_containers(needs)
    if needs.makes_groups:
        yield Right(May.CREATE_CHILD, GROUP, here=True)
    yield Right(_LOOK, on=GROUP)
    yield Right(May.WRITE, MEMBER, GROUP)


def _on_containers(needs: Needs) -> Iterator[Right]:
    yield Right(_LOOK, on=UNIT, here=True)
    yield from (Right(May.CREATE_CHILD, _PLACES[kind], here=True) for kind in sorted(needs.makes_containers) if kind in _PLACES)


# --- how the domain calls them ------------------------------------------------------------------------------------------


class Guids:
    """The GUIDs of classes and attributes in this domain's schema, and which set of attributes each belongs to."""

    def __init__(self, wire: Wire, wanted: Collection[str]) -> None:
        """Raises EndpointError naming those that the schema does not have."""
        root = wire.entry("", ["schemaNamingContext"])
        places = (root[1] if root else {}).get("schemanamingcontext", [b""])
        condition = ber.some(ber.equal("lDAPDisplayName", name) for name in sorted(wanted))
        self._own: dict[str, bytes] = {RESET.lower(): uuid.UUID(_RESET_GUID).bytes_le}
        self._sets: dict[str, bytes] = {}
        asked = ["lDAPDisplayName", "schemaIDGUID", "attributeSecurityGUID"]
        for _, raw in wire.search_here(places[0].decode(), condition, asked):
            for name, guid in zip(raw.get("ldapdisplayname", ()), raw.get("schemaidguid", ()), strict=False):
                self._own[name.decode().lower()] = guid
                self._sets.update({name.decode().lower(): one for one in raw.get("attributesecurityguid", ())})
        if missing := sorted(name for name in wanted if name.lower() not in self._own):
            why = f"the domain's schema does not have {', '.join(missing)}"
            raise EndpointError(wire.endpoint, why, "correct the mapping, or extend the schema (Exchange's brings some of them)")

    def of(self, name: str) -> bytes:
        """The GUID of a class, an attribute, or RESET; as it stands on the wire."""
        return self._own[name.lower()]

    def about(self, name: str) -> tuple[bytes, ...]:
        """What a line about this may name: the thing itself, or the set it belongs to; nothing for what is about all."""
        if not name:
            return ()
        return (self.of(name), *filter(None, [self._sets.get(name.lower())]))


def spoken_of(grants: Iterable[Grant]) -> set[str]:
    """The classes and attributes that these grants name."""
    return {name for grant in grants for right in grant.rights for name in (right.about, right.on) if name and name != RESET}


# --- what is lacking ----------------------------------------------------------------------------------------------------


def token(wire: Wire) -> frozenset[bytes]:
    """The SIDs by which the domain knows us: our own, and of all groups down to the last ([MS-ADTS] 3.1.1.3.2, tokenGroups)."""
    root = wire.entry("", ["tokenGroups"])
    sids = (root[1] if root else {}).get("tokengroups", [])
    if not sids:
        raise EndpointError(wire.endpoint, "the server does not say who we are to it", "is it a domain controller?")
    return frozenset(sids)


def lacking(wire: Wire, grants: Sequence[Grant]) -> Iterator[str]:
    """What is missing of the grants, in words, by container; containers below that got less handed down are named."""
    guids, ours = Guids(wire, spoken_of(grants)), token(wire)
    for grant in grants:
        asked = ["nTSecurityDescriptor", "allowedChildClassesEffective"]
        there = wire.entry(grant.container, asked, [ber.rights_only()])
        if there is None:
            yield f"{grant.container} does not exist, or we may not read it"
            continue
        missing = _missing(grant, there[1], guids, ours)
        if missing:
            yield f"in {grant.container} and below: may not {_told(missing)}"
        places = ber.some(ber.equal("objectClass", name) for name in _PLACES.values())
        less: dict[tuple[Right, ...], list[str]] = {}
        for dn, raw in wire.search_here(grant.container, places, asked, [ber.rights_only()]):
            below_it = tuple(right for right in _missing(grant, raw, guids, ours) if right not in missing)
            if below_it and names.canonical(dn) != names.canonical(grant.container):
                less.setdefault(below_it, []).append(dn)
        for rights, where in less.items():
            more = f" and {len(where) - _SHOWN:,} more" if len(where) > _SHOWN else ""
            yield f"in {'; '.join(where[:_SHOWN])}{more}, which is not handed down what stands above: may not {_told(rights)}"


def _told(missing: Sequence[Right]) -> str:
    """Rights in words, attributes of one class in one."""
    written: dict[str, list[str]] = {}
    for right in missing:
        if right.may is May.WRITE:
            written.setdefault(right.on, []).append(right.about)
    others = [str(right) for right in missing if right.may is not May.WRITE]
    return "; ".join([*others, *(f"write {', '.join(names)} of {on}" for on, names in written.items())])


def _missing(grant: Grant, raw: Mapping[str, list[bytes]], guids: Guids, ours: frozenset[bytes]) -> list[Right]:
    told = raw.get("ntsecuritydescriptor")
    if not told:
        return [Right(May.READ_RIGHTS)]
    children = {name.decode().lower() for name in raw.get("allowedchildclasseseffective", ())}
    listed = rules(told[0])
    return [right for right in grant.rights if not _has(right, listed, children, guids, ours)]


def _has(right: Right, listed: list[Rule], children: Collection[str], guids: Guids, ours: frozenset[bytes]) -> bool:
    about = guids.about(right.about)
    if right.here:
        return (right.may is May.CREATE_CHILD and right.about.lower() in children) or may(listed, ours, right.may, about)
    of = guids.of(right.on)
    # A deletion may be allowed by either side: [MS-ADTS] 3.1.1.5.5.
    return may(below(listed, of), ours, right.may, about) or (
        right.may is May.DELETE and may(listed, ours, May.DELETE_CHILD, (of,))
    )
