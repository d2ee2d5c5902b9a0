"""What the double's customer consists of, and the two books every method asks: who has which address, and what lists show.

Resources are the dicts Google would send. They are never changed in place: a new version replaces the old one, so that an index,
a stale read and a test's snapshot may keep what they saw.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.doubles.google.documents import Json
from tests.doubles.google.quirks import Quirks
from tests.doubles.google.refusals import domain_not_found, invalid

KEPT_DELETED = 20 * 86400.0
"""How long a deleted user can be brought back, and its address is not free."""


def moment(seconds: float) -> str:
    """A time as Google writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Account:
    """A user, as the double knows it."""

    id: str
    resource: Json
    """Full projection, with everything Google adds."""
    ready_at: float = 0.0
    stale: Json | None = None
    stale_until: float = 0.0
    deleted_at: float | None = None
    password: str = ""
    hash_function: str = ""
    passwords_set: int = 0

    @property
    def email(self) -> str:
        """The primary address."""
        address: str = self.resource["primaryEmail"]
        return address


@dataclass(slots=True)
class Unit:
    """An org unit."""

    id: str
    resource: Json
    ready_at: float = 0.0

    @property
    def path(self) -> str:
        """Its full path."""
        path: str = self.resource["orgUnitPath"]
        return path


@dataclass(slots=True)
class Gathering:
    """A group and its members."""

    id: str
    resource: Json
    ready_at: float = 0.0
    members: dict[str, Json] = field(default_factory=dict)
    """Member's id → the member, without `status` and what else depends on its account."""
    settings: Json = field(default_factory=dict)


@dataclass(slots=True)
class Holder:
    """Whose an address is."""

    kind: str
    """`user`, `group`, or `deleted`: a user's that may come back."""
    id: str
    visible_from: float = 0.0


class Index:
    """What a list shows: each version from some moment on."""

    def __init__(self) -> None:
        self._shown: dict[str, Json] = {}
        self._coming: list[tuple[float, int, str, Json | None]] = []
        self._order = itertools.count()
        self._last_due: dict[str, float] = {}

    def put(self, key: str, resource: Json | None, due: float, now: float) -> None:
        """Show this version (None: nothing) from `due` on; versions of one key never overtake each other."""
        due = max(due, self._last_due.get(key, 0.0))
        if due <= now and key not in self._last_due:
            self._show(key, resource)
            return
        self._last_due[key] = due
        heapq.heappush(self._coming, (due, next(self._order), key, resource))

    def at(self, now: float) -> dict[str, Json]:
        """What is shown now."""
        while self._coming and self._coming[0][0] <= now:
            due, _, key, resource = heapq.heappop(self._coming)
            self._show(key, resource)
            if self._last_due.get(key) == due:
                del self._last_due[key]
        return self._shown

    def _show(self, key: str, resource: Json | None) -> None:
        if resource is None:
            self._shown.pop(key, None)
        else:
            self._shown[key] = resource


class Numbers:
    """Ids and etags, the same in every run."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self._version = itertools.count(1)

    def person(self) -> str:
        """A user's id: 21 digits."""
        return f"1{next(self._next) * 1_000_003:020d}"

    def opaque(self, prefix: str) -> str:
        """Another id."""
        return f"{prefix}{next(self._next) * 99_991:x}"

    def whole(self) -> str:
        """A 64-bit whole number, as a string."""
        return str(13_000_000_000_000_000 + next(self._next))

    def etag(self) -> str:
        """A new version."""
        return f'"double/{next(self._version):x}"'


class Pages:
    """Page tokens: each remembers the rest of a list as it was when the first page was asked for."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, str, list[Json], int]] = {}
        self._next = itertools.count(1)

    def cut(self, asked: Asked, listed: Callable[[], list[Json]]) -> tuple[list[Json], str]:
        """A page of the list and the token of the next. A token is good for one question and for three days."""
        question = repr(sorted((name, told) for name, told in asked.query.items() if name not in _NOT_THE_QUESTION))
        if not (token := asked.query.get("pageToken")):
            entries, start, since = listed(), 0, asked.now
        else:
            kept = self._kept.get(token)
            if kept is None or kept[1] != question or asked.now > kept[0] + asked.quirks.page_token_lifetime:
                raise invalid("pageToken")
            since, _, entries, start = kept
        end = start + min(asked.query.get("maxResults", 100), asked.quirks.page_size or len(entries))
        if end >= len(entries):
            return entries[start:], ""
        following = f"~!!~{next(self._next)}"
        again = 1 if end - start > 1 and asked.quirks.happens(asked.quirks.repeats) else 0
        self._kept[following] = (since, question, entries, end - again)
        if len(self._kept) > _TOKENS:
            del self._kept[next(iter(self._kept))]
        return entries[start:end], following


@dataclass
class Tenant:
    """A customer of Google Workspace."""

    customer: str = "C0double1"
    domains: dict[str, bool] = field(default_factory=lambda: {"district.example": True})
    """Domain → verified. The first one is the primary domain."""
    users: dict[str, Account] = field(default_factory=dict)
    deleted: dict[str, Account] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    """By lower-cased path: names are the same whatever their case."""
    groups: dict[str, Gathering] = field(default_factory=dict)
    addresses: dict[str, Holder] = field(default_factory=dict)
    memberships: dict[str, set[str]] = field(default_factory=dict)
    """Member's id → ids of the groups it is directly in."""
    schemas: dict[str, Json] = field(default_factory=dict)
    """By name."""
    devices: dict[str, Json] = field(default_factory=dict)
    commands: dict[str, Json] = field(default_factory=dict)
    roles: dict[str, Json] = field(default_factory=dict)
    assignments: dict[str, Json] = field(default_factory=dict)
    seats: dict[tuple[str, str], int] = field(default_factory=dict)
    """(product, SKU) → seats bought. Products not in here do not exist."""
    licences: dict[tuple[str, str], dict[str, Json]] = field(default_factory=dict)
    """(product, SKU) → user's id → the assignment."""
    archive_seats: int | None = None
    """How many users may be archived; None: as many as there are."""
    user_limit: int | None = None
    """How many users there may be; None: as many as you like."""
    unmanaged: set[str] = field(default_factory=set)
    """Addresses of the domain that somebody uses for a private account."""
    search: Index = field(default_factory=Index)
    listing: Index = field(default_factory=Index)
    numbers: Numbers = field(default_factory=Numbers)
    pages: Pages = field(default_factory=Pages)
    rights: dict[str, frozenset[str]] = field(default_factory=dict)
    """What administrators may, worked out; emptied whenever it may have changed."""

    @property
    def primary_domain(self) -> str:
        """The domain the customer signed up with."""
        return next(iter(self.domains))

    def owned_domain(self, address: str) -> None:
        """Refuse an address that is not of a verified domain."""
        if not self.domains.get(address.rpartition("@")[2].lower(), False):
            raise domain_not_found()

    def holder(self, address: str, now: float) -> Holder | None:
        """Whose an address is; a deleted user's becomes free after twenty days."""
        held = self.addresses.get(address.lower())
        if held is not None and held.kind == "deleted" and self._forgotten(held.id, now):
            del self.addresses[address.lower()]
            return None
        return held

    def _forgotten(self, id_: str, now: float) -> bool:
        account = self.deleted.get(id_)
        if account is not None and now - (account.deleted_at or 0) <= KEPT_DELETED:
            return False
        self.deleted.pop(id_, None)
        return True

    def account(self, key: str, now: float) -> Account | None:
        """A user by id, primary address or alias."""
        found = self.users.get(key)
        if found is not None:
            return found
        held = self.addresses.get(key.lower())
        if held is None or held.kind != "user" or now < held.visible_from:
            return None
        return self.users.get(held.id)

    def gathering(self, key: str) -> Gathering | None:
        """A group by id, address or alias."""
        found = self.groups.get(key)
        if found is not None:
            return found
        held = self.addresses.get(key.lower())
        return self.groups.get(held.id) if held is not None and held.kind == "group" else None

    def unit(self, path: str) -> Unit | None:
        """An org unit by path, in whatever case, or by `id:…`."""
        if path.startswith("id:"):
            return next((unit for unit in self.units.values() if unit.id == path), None)
        return self.units.get(path.lower())

    def below(self, path: str) -> Iterator[Unit]:
        """The org units below a path."""
        prefix = path.rstrip("/").lower() + "/"
        return (unit for known, unit in self.units.items() if known.startswith(prefix) and known != "/")

    def publish(self, account: Account, quirks: Quirks, now: float) -> None:
        """Let lists and searches know of an account's new version, each when it gets there."""
        shown = account.resource if account.deleted_at is None else None
        self.search.put(account.id, shown, now + quirks.within(quirks.search_lag), now)
        self.listing.put(account.id, shown, now + quirks.within(quirks.list_lag), now)


@dataclass(slots=True)
class Asked:
    """A request on its way through a method: what it says, who asks, and when."""

    tenant: Tenant
    quirks: Quirks
    now: float
    path: dict[str, str]
    query: Json
    body: Json
    actor: Account
    superadmin: bool
    privileges: frozenset[str]
    subject: str = ""
    """The id of the object it was about, for the record of calls."""

    def paged(self, key: str, entries: Callable[[], list[Json]], kind: str) -> Json:
        """A page of a list as Google sends it: the key is absent when there is nothing."""
        told: Json = {"kind": kind, "etag": '"list"'}
        page, token = self.tenant.pages.cut(self, entries)
        if page:
            told[key] = page
        if token:
            told["nextPageToken"] = token
        return told


_TOKENS = 10_000
"""How many tokens are kept: each holds a list."""
_NOT_THE_QUESTION = frozenset(("pageToken", "maxResults", "fields", "alt", "prettyPrint", "quotaUser"))
Anything = Any
"""What a method answers: a resource, nothing (204), or a status and a resource."""
