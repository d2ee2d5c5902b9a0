"""What differs between one kind of LDAP directory and another, as one small object; and OpenLDAP's.

A dialect knows names, values and filters, and which writer to use. It holds no connection: who needs to ask is given a wire.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from syncd.core.model import Account, Change, NativeId, Outcome
from syncd.errors import EndpointError
from syncd.targets import PasswordOf
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_apply import Directory, Writer
from syncd.targets.ldap_config import LdapConfig
from syncd.targets.ldap_wire import Wire

Raw = Mapping[str, list[bytes]]
"""What an entry holds, under attribute names in lower case."""
_TIME = re.compile(r"(\d{14})(?:[.,]\d+)?Z")  # Generalized Time as directories write it: RFC 4517 3.3.13
_FILETIME = datetime(1601, 1, 1, tzinfo=UTC)  # whose tenths of a microsecond are counted: [MS-DTYP] 2.3.3


def moment(value: bytes) -> datetime | None:
    """A time as a directory tells it, in either of two ways; None for what is none, and for never."""
    text = value.decode(errors="backslashreplace")
    try:
        if found := _TIME.fullmatch(text):
            return datetime.strptime(found[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return _FILETIME + timedelta(microseconds=int(text) // 10) if text.isdecimal() and int(text) else None
    except (ValueError, OverflowError):
        return None


class Dialect(Protocol):
    """One kind of directory. The attributes are names as they are asked for."""

    @property
    def naming(self) -> str:
        """The attribute that names an account in its container."""

    @property
    def id_attribute(self) -> str:
        """The attribute that holds an entry's permanent id."""

    @property
    def place_attribute(self) -> str:
        """The attribute by which an entry is found at its full name."""

    @property
    def asked(self) -> tuple[str, ...]:
        """What must be read of every account besides what the mapping owns."""

    @property
    def accounts(self) -> bytes:
        """The filter that finds accounts and nothing else."""

    @property
    def holds(self) -> str:
        """The attribute in which a group keeps its members."""

    @property
    def members_by_name(self) -> bool:
        """True where a member is told by its full name, False where by its naming value."""

    @property
    def never_read(self) -> frozenset[str]:
        """Attributes, in lower case, that are written but cannot be read."""

    @property
    def respelt(self) -> frozenset[str]:
        """Attributes, in lower case, whose values spelt() spells anew."""

    @property
    def binary(self) -> frozenset[str]:
        """Attributes, in lower case, that hold bytes and no text: told() and sent() say how they are spelt."""

    @property
    def stops_at_references(self) -> bool:
        """True where a reference to another server below the base hides accounts that should have been read."""

    @property
    def used(self) -> tuple[str, ...]:
        """The attributes that tell when an account was last signed in to; the first that is there counts."""

    @property
    def changed(self) -> str:
        """The attribute that tells when anything of an account last changed."""

    def native_id(self, value: bytes) -> NativeId:
        """The permanent id as text."""

    def id_is(self, native_id: NativeId) -> bytes:
        """The filter that finds the entry with this permanent id."""

    def is_account(self, classes: Collection[bytes]) -> bool:
        """True for an entry of these object classes that is an account."""

    def is_enabled(self, raw: Raw) -> bool:
        """True unless the account is disabled."""

    def is_privileged(self, raw: Raw) -> bool:
        """True for an account that says of itself that it must never be touched (R40)."""

    def spelt(self, attribute: str, values: Iterable[str]) -> Iterable[str]:
        """The values of an attribute, which is told in lower case, as both the mapping and the directory are to be read."""

    def told(self, attribute: str, value: bytes) -> str:
        """A value of one of the binary attributes as a mapping spells it."""

    def sent(self, attribute: str, value: str) -> bytes:
        """The bytes of a value of one of the binary attributes. Raises ChangeError for a text that spells none."""

    def must_fit(self, account: Account) -> None:
        """Raises ChangeError for an account that this kind of directory cannot hold, saying which value is wrong."""

    def unlisted(self, wire: Wire, groups: Collection[str]) -> Mapping[str, Collection[NativeId]]:
        """By full name of the group: accounts below the base that are in it, although its list of members does not hold them."""

    def untouchable(self, wire: Wire, tree: names.Tree) -> set[str]:
        """Full names of accounts and groups that are never written (R40). Raises EndpointError where they cannot be told."""

    def apply(self, directory: Directory, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for every change pulled."""


@dataclass(frozen=True, slots=True)
class OpenLdap:
    """slapd, and whatever else has entryUUID, entryDN and the assertion control."""

    config: LdapConfig
    id_attribute: str = field(default="entryUUID", init=False)
    place_attribute: str = field(default="entryDN", init=False)
    never_read: frozenset[str] = field(default=frozenset({"userpassword"}), init=False)
    respelt: frozenset[str] = field(default=frozenset(), init=False)
    binary: frozenset[str] = field(default=frozenset(), init=False)
    stops_at_references: bool = field(default=True, init=False)
    used: tuple[str, ...] = field(default=("pwdLastSuccess", "authTimestamp"), init=False)
    """slapd keeps the first where `lastbind` is on, older ones the second by an overlay: slapd.conf(5), slapo-lastbind(5)."""
    changed: str = field(default="modifyTimestamp", init=False)

    @property
    def naming(self) -> str:
        """As configured."""
        return self.config.rdn_attribute

    @property
    def asked(self) -> tuple[str, ...]:
        """Whether it is disabled."""
        return (self.config.disable_attribute,)

    @property
    def accounts(self) -> bytes:
        """Entries of the configured object class."""
        return ber.equal("objectClass", self.config.account_class)

    @property
    def holds(self) -> str:
        """As the object class of groups demands."""
        return "member" if self.members_by_name else "memberUid"

    @property
    def members_by_name(self) -> bool:
        """False for posixGroup."""
        return self.config.group_class == "groupOfNames"

    def native_id(self, value: bytes) -> NativeId:
        """The entryUUID is text already."""
        return NativeId(value.decode(errors="backslashreplace"))

    def id_is(self, native_id: NativeId) -> bytes:
        """By its text."""
        return ber.equal(self.id_attribute, native_id)

    def is_account(self, classes: Collection[bytes]) -> bool:
        """One that has the configured object class."""
        return self.config.account_class.lower().encode() in map(bytes.lower, classes)

    def is_enabled(self, raw: Raw) -> bool:
        """One without the configured value in the configured attribute."""
        disabled = raw.get(self.config.disable_attribute.lower())
        wanted = self.config.disable_value.lower()
        return not disabled or wanted not in (value.decode(errors="backslashreplace").lower() for value in disabled)

    def is_privileged(self, raw: Raw) -> bool:
        """Never: only the configuration says."""
        del raw
        return False

    def spelt(self, attribute: str, values: Iterable[str]) -> Iterable[str]:
        """As they are."""
        del attribute
        return values

    def told(self, attribute: str, value: bytes) -> str:
        """No attribute is binary here."""
        del attribute
        return value.decode(errors="backslashreplace")

    def sent(self, attribute: str, value: str) -> bytes:
        """No attribute is binary here."""
        del attribute
        return value.encode()

    def must_fit(self, account: Account) -> None:
        """The server's schema says what does not fit."""

    def unlisted(self, wire: Wire, groups: Collection[str]) -> Mapping[str, Collection[NativeId]]:
        """None: a list of members is all there is."""
        del wire, groups
        return {}

    def untouchable(self, wire: Wire, tree: names.Tree) -> set[str]:
        """The account we bind as, and who and whose members the configuration names."""
        told = {self.config.bind_dn, *self.config.privileged}
        for group in self.config.privileged_groups:
            entry = wire.entry(tree.full(group), ["member", "uniqueMember"])
            if entry is None:
                raise EndpointError(wire.endpoint, f"the privileged group {group} cannot be read", "correct privileged_groups")
            told.update(value.decode(errors="backslashreplace") for values in entry[1].values() for value in values)
        return told

    def apply(self, directory: Directory, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Writes under an assertion; see `ldap_apply`."""
        return Writer(directory, self.config).apply(changes, password)
