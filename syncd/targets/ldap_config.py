"""What an LDAP target needs to be told; every field with the words the reference shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from syncd.targets.ldap_dn import NotADn, parse

WINDOW = 200
"""Most writes in flight: slapd drops a connection at more than 1,000 (measured 2026-11-23); 50 to 400 are equally fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryConfig:
    """Where a directory is and how it is spoken to, whatever its kind. Passwords never go over an unencrypted connection."""

    urls: tuple[str, ...] = field(
        metadata={"doc": "servers, tried in order: ldaps://host[:port], or ldap://host[:port] with start_tls"}
    )
    bind_dn: str = field(metadata={"doc": "the account syncd binds as"})
    credential: str = field(metadata={"doc": "name of the credential file that holds its password"})
    base: str = field(
        metadata={"doc": "everything syncd reads and writes lies below this name; containers and groups are told relative to it"}
    )
    start_tls: bool = field(default=False, metadata={"doc": "turn an ldap:// connection into an encrypted one before binding"})
    ca_file: str = field(default="", metadata={"doc": "certificates to trust, PEM; empty: the system's"})
    accounts_in: tuple[str, ...] = field(
        default=("",), metadata={"doc": "containers below which accounts and containers may be written"}
    )
    groups_in: tuple[str, ...] = field(default=("",), metadata={"doc": "containers below which groups may be written"})
    reference_attributes: tuple[str, ...] = field(
        default=("manager", "secretary", "owner", "seeAlso"), metadata={"doc": "attributes whose values are names of other entries"}
    )
    privileged: tuple[str, ...] = field(
        default=(), metadata={"doc": "names of accounts never adopted and never written, besides bind_dn"}
    )
    privileged_groups: tuple[str, ...] = field(
        default=(), metadata={"doc": "groups whose members are never adopted and never written"}
    )
    page_size: int = field(default=1000, metadata={"doc": "entries per page of a search"})
    window: int = field(default=100, metadata={"doc": f"writes in flight at once, 1 to {WINDOW}"})
    connect_timeout: int = field(default=10, metadata={"doc": "seconds to wait for a connection"})
    receive_timeout: int = field(default=60, metadata={"doc": "seconds to wait for an answer"})

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that cannot work, and what to write instead."""
        if not self.urls:
            raise ValueError("urls: name at least one server, such as ldaps://ldap.district.example")
        for url in self.urls:
            scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
            if scheme not in ("ldap", "ldaps") or not host:
                raise ValueError(f"urls: {url!r} is not of the form ldaps://host[:port]")
            if scheme == "ldap" and not self.start_tls:
                raise ValueError(f"urls: {url} would send the password in clear; use ldaps:// or set start_tls: true")
        for name in ("base", "bind_dn"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name}: may not be empty")
        self.names_are_names()
        if not 1 <= self.window <= WINDOW:
            raise ValueError(f"window: {self.window} is not between 1 and {WINDOW}")
        for name in ("page_size", "connect_timeout", "receive_timeout"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")

    def names_are_names(self) -> None:
        """Raises ValueError for a setting that should be a distinguished name and is none."""
        for name in self.names():
            try:
                parse(name)
            except NotADn as error:
                raise ValueError(str(error)) from error

    def names(self) -> tuple[str, ...]:
        """What must be distinguished names."""
        return (self.base, *self.accounts_in, *self.groups_in, *self.privileged, *self.privileged_groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapConfig(DirectoryConfig):
    """Where the directory is, how it is spoken to, and what it calls things. Passwords never go over an unencrypted connection."""

    account_class: str = field(default="inetOrgPerson", metadata={"doc": "object class that makes an entry an account"})
    rdn_attribute: str = field(default="uid", metadata={"doc": "attribute that names an account in its container"})
    disable_attribute: str = field(
        default="pwdAccountLockedTime",
        metadata={"doc": "attribute that disables an account (the default needs slapd's ppolicy overlay with pwdLockout TRUE)"},
    )
    disable_value: str = field(
        default="000001010000Z", metadata={"doc": "its value in a disabled account; any other value means enabled"}
    )
    group_class: Literal["groupOfNames", "posixGroup"] = field(default="groupOfNames", metadata={"doc": "object class of groups"})
    placeholder_member: str = field(
        default="", metadata={"doc": "member that keeps an empty groupOfNames alive; empty: the base itself"}
    )
    first_gid: int = field(default=20000, metadata={"doc": "lowest gidNumber given to a new posixGroup"})
    references_kept_by: Literal["server", "syncd"] = field(
        default="server",
        metadata={"doc": "who rewrites group members when an account is renamed: the server (refint overlay) or syncd"},
    )

    def names(self) -> tuple[str, ...]:
        """What must be distinguished names."""
        shared = (self.base, *self.accounts_in, *self.groups_in, *self.privileged, *self.privileged_groups)
        return (*shared, self.bind_dn, self.placeholder_member)
