"""What a Google Workspace target needs to be told; every field with the words the reference shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar
from urllib.parse import urlsplit

from syncd.core.mapping_spec import ATTRIBUTE
from syncd.errors import ChangeError
from syncd.targets.google_fields import field_of
from syncd.targets.google_places import canonical_place

LICENCE = "licence:"
"""What a licence's name begins with where the mapping lists it among the groups."""

QUERIES_PER_MINUTE = 2400
"""Google's default for one user of one project."""
CREATIONS_PER_SECOND = 10
"""Google's bound on new users of one domain."""

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
_ADDRESS = re.compile(r"[^@\s/]+@[^@\s/]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_CONNECTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """One kind of licence that a mapping may give."""

    product: str = field(metadata={"doc": "Google's product id, such as `101031` for Education"})
    sku: str = field(metadata={"doc": "Google's SKU id of it, such as `1010310008`"})
    seats: int = field(
        default=0,
        metadata={"doc": "how many were bought, which Google tells no program; 0: nobody is told when they are about to run out"},
    )
    warn_below: int = field(
        default=0, metadata={"doc": "fewer seats left than this are told as a warning, before a plan needs them"}
    )

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that cannot work."""
        for name in ("product", "sku"):
            if not re.fullmatch(r"[A-Za-z0-9_-]+", getattr(self, name)):
                raise ValueError(f"{name}: {getattr(self, name)!r} is no id of Google's; see the list of product and SKU ids")
        for name in ("seats", "warn_below"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: must be 0 or more")
        if self.warn_below and not self.seats:
            raise ValueError("warn_below: say under `seats` how many were bought, for Google tells no program")


@dataclass(frozen=True, slots=True, kw_only=True)
class GoogleConfig:
    """Whose accounts, by which rights, and how fast. The service account's key is a credential file."""

    holds_devices: ClassVar[bool] = True

    credential: str = field(
        metadata={"doc": "name of the credential file with the service account's key, as Google's console gives it out (JSON)"}
    )
    admin: str = field(
        metadata={"doc": "address of the administrator in whose name it works: one with a role of its own, no super administrator"}
    )
    domains: tuple[str, ...] = field(
        metadata={"doc": "mail domains in which accounts of yours have their addresses; syncd makes none in any other"}
    )
    customer: str = field(
        default="my_customer", metadata={"doc": "Google's id of the customer; the default is whoever the administrator belongs to"}
    )
    accounts_in: tuple[str, ...] = field(
        default=("/",), metadata={"doc": "organizational units below which accounts and units may be written, as in `/Students`"}
    )
    groups_in: tuple[str, ...] = field(
        default=("*",),
        metadata={"doc": "addresses of groups that may be written; `*` stands for anything, as in `*@groups.district.org`"},
    )
    privileged: tuple[str, ...] = field(
        default=(), metadata={"doc": "addresses of accounts never adopted and never written, besides administrators"}
    )
    licences: Mapping[str, Licence] = field(
        default_factory=dict,
        metadata={"doc": "licences that mappings give, by a name of your choice: `licence:NAME` among an account's groups"},
    )
    group_settings: Mapping[str, str] = field(
        default_factory=dict,
        metadata={
            "doc": "settings of the groups that a mapping may make (`create: true`), as Google's Groups Settings API calls them; "
            "a reconcile puts them right, and what is not named here is left alone"
        },
    )
    archive_parked: bool = field(
        default=False,
        metadata={
            "doc": "whether a parked account is archived as well, which takes an Archived User licence instead of a full one"
        },
    )
    connections: int = field(default=20, metadata={"doc": f"requests in flight at once, 1 to {_MOST_CONNECTIONS}"})
    queries_per_minute: int = field(
        default=QUERIES_PER_MINUTE, metadata={"doc": "requests per minute, for all pipelines of one project together"}
    )
    creations_per_second: int = field(default=CREATIONS_PER_SECOND, metadata={"doc": "new accounts per second"})
    patience: int = field(
        default=300, metadata={"doc": "seconds in which Google may still not know an account or unit that was just made"}
    )
    ca_file: str = field(default="", metadata={"doc": "certificates to trust, PEM; empty: the system's"})
    proxy: str = field(
        default="", metadata={"doc": "an HTTP proxy on the way to Google; empty: none, whatever the environment says"}
    )
    connect_timeout: int = field(default=10, metadata={"doc": "seconds to wait for a connection"})
    receive_timeout: int = field(default=60, metadata={"doc": "seconds to wait for an answer"})
    api: str = field(default="", metadata={"doc": "where the APIs are; empty: at Google. Anything else is for tests"})

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that cannot work, and what to write instead."""
        self._whose()
        self._what()
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            raise ValueError(f"connections: {self.connections} is not between 1 and {_MOST_CONNECTIONS}")
        for name in ("queries_per_minute", "creations_per_second", "connect_timeout", "receive_timeout"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
        if self.patience < 0:
            raise ValueError("patience: must be 0 or more")
        for name in ("api", "proxy"):
            _is_safe(name, getattr(self, name))

    def _whose(self) -> None:
        if not _ADDRESS.fullmatch(self.admin):
            raise ValueError(f"admin: {self.admin!r} is no address; write it like syncd@district.org")
        if not self.domains:
            raise ValueError("domains: name at least one, such as students.district.org")
        for domain in self.domains:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(f"domains: {domain!r} is no mail domain; write it in small letters, like students.district.org")

    def _what(self) -> None:
        for place in self.accounts_in:
            try:
                canonical_place(place)
            except ChangeError as error:
                raise ValueError(f"accounts_in: {error.why}") from error
        for address in self.privileged:
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"privileged: {address!r} is no address")
        for name in self.licences:
            if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
                raise ValueError(f"licences: {name!r} cannot be a name here; take small letters, digits, - and _")

    # --- what settings ask of the options --------------------------------------------------------------------------------

    def unfit(self, attribute: str, fixed: str, longest: int) -> str:
        """Why no value of a rule can be held, or the empty string: no such field, or an address in no domain of ours."""
        del longest
        if not ATTRIBUTE.fullmatch(attribute):
            return ""  # told already
        if attribute.lower() == "primaryemail":
            domain = fixed.rpartition("@")[2].strip().lower()
            foreign = "@" in fixed and bool(domain) and domain not in self.domains
            return f"'{domain}' is none of the target's domains: {', '.join(self.domains)}" if foreign else ""
        try:
            field_of(attribute)
        except ChangeError as error:
            return error.why
        return ""

    def misspelt(self, name: str, *, is_group: bool) -> str:
        """Why no organizational unit or group is called so, or the empty string."""
        try:
            if is_group:
                self.group(name)
            else:
                canonical_place(name)
        except ChangeError as error:
            return error.why
        return ""

    # --- what the configuration says of names ----------------------------------------------------------------------------

    def group(self, name: str) -> str:
        """A group's address, or a licence's name, canonical. Raises ChangeError for anything else."""
        lower = name.strip().lower()
        if lower.startswith(LICENCE):
            if lower.removeprefix(LICENCE) not in self.licences:
                known = ", ".join(sorted(self.licences)) or "none"
                raise ChangeError("invalid value", f"no licence is called {name!r}; the target's `licences` are: {known}")
            return lower
        if not _ADDRESS.fullmatch(lower):
            raise ChangeError("invalid value", f"{name!r} is no group: write its address, like all-students@district.org")
        return lower

    def may_write_group(self, name: str) -> bool:
        """Whether a group, canonical, is one of those that syncd may write."""
        return name.startswith(LICENCE) or any(fnmatchcase(name, pattern.lower()) for pattern in self.groups_in)


def _is_safe(name: str, url: str) -> None:
    """Raises ValueError for an address over which a key or a password would go in clear."""
    if not url:
        return
    parts = urlsplit(url)
    loopback = parts.hostname in _LOOPBACK
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name}: {url!r} is not of the form https://HOST[:PORT]")
    if name == "api" and parts.scheme == "http" and not loopback:
        raise ValueError(f"{name}: {url} would send passwords in clear; use https://")
