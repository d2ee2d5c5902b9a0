"""Accounts as syncd has them and users as Google has them, in both directions; and what was seen of each user, and when.

An account's own name is its whole mail address, in small letters as Google keeps it; it is disabled when Google calls it suspended
or archived. Knows no wire.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from syncd.core.model import Account, NativeId, Observed
from syncd.errors import ChangeError
from syncd.targets import OneTime, Scope
from syncd.targets.google_config import GoogleConfig
from syncd.targets.google_fields import ALIASES, NAMING, Body, User, field_of, mark
from syncd.targets.google_places import canonical_place
from syncd.targets.ldap_dn import fold_value

ALWAYS = ("id", "etag", NAMING, "suspended", "archived", "orgUnitPath", "isAdmin", "isDelegatedAdmin", "externalIds", ALIASES)
"""What is asked of every user: who it is, where it stands, and for whom we made it."""

_ASIDE = re.compile(r"(\S+)@(\S+) \(syncd (\S+)\)")  # how the engine names whoever makes room in a ring of renames
_ADDRESS = re.compile(r"[^@\s/]{1,64}@[^@\s/]{1,253}")


class Spelling:
    """How one target's accounts are told, in both directions."""

    def __init__(self, config: GoogleConfig) -> None:
        self._config = config
        self._privileged = frozenset(address.lower() for address in (*config.privileged, config.admin))

    # --- what syncd has ---------------------------------------------------------------------------------------------------

    def canonical(self, account: Account) -> Account:
        """The account as read() tells it. Raises ChangeError("invalid value") for a place or group that is none."""
        attributes: dict[str, tuple[str, ...]] = {}
        for name, values in account.attributes.items():
            try:
                kept = field_of(name).canonical(values)
            except ChangeError:  # settings refuse it by name; here it is told as it is
                kept = tuple(sorted(set(values)))
            if kept and name.lower() != NAMING.lower():
                attributes[name] = kept
        groups = frozenset(map(self._config.group, account.groups))
        return Account(address(account.rdn), canonical_place(account.container), account.enabled, attributes, groups)

    def is_privileged(self, user: User) -> bool:
        """Whether nobody of ours may touch the account (R40): an administrator, or one that the configuration names."""
        return bool(user.get("isAdmin") or user.get("isDelegatedAdmin")) or str(user.get(NAMING, "")).lower() in self._privileged

    def is_privileged_name(self, rdn: str) -> bool:
        """The same as far as the name tells."""
        return rdn.lower() in self._privileged

    def usable(self, rdn: str) -> str:
        """The address for a new account or name. Raises ChangeError for one in a domain that is none of ours."""
        told = address(rdn)
        if not _ADDRESS.fullmatch(told):
            raise ChangeError("invalid value", f"{rdn!r} is no mail address")
        if told.rpartition("@")[2] not in self._config.domains:
            raise ChangeError("invalid value", f"{told} is in none of the target's domains: {', '.join(self._config.domains)}")
        return told

    # --- what Google has --------------------------------------------------------------------------------------------------

    def observed(self, user: User, scope: Scope) -> Observed:
        """The account with the attributes in scope, each named as the mapping names it."""
        attributes: dict[str, tuple[str, ...]] = {}
        for name in sorted(scope.attributes):
            try:
                values = field_of(name).values(user)
            except ChangeError:  # `unique_in` names attributes of all targets: what Google has not got, nobody has there
                continue
            if values and name.lower() != NAMING.lower():
                attributes[name] = values
        told = Account(str(user[NAMING]).lower(), place_of(user), is_open(user), attributes)
        return Observed(NativeId(str(user["id"])), told, privileged=self.is_privileged(user))

    # --- what is sent -----------------------------------------------------------------------------------------------------

    def insert(
        self, account: Account, unit: str, person: str, password: str | None, schemas: Mapping[str, Mapping[str, str]]
    ) -> Body:
        """The body that makes an account. Without a password it gets one nobody knows: Google makes no account without."""
        body: Body = {NAMING: self.usable(account.rdn), "orgUnitPath": unit or "/"}
        self._fill(body, account.attributes, {}, schemas)
        name = body.setdefault("name", {})
        for part in ("givenName", "familyName"):
            if not name.get(part):
                raise ChangeError("invalid value", f"name.{part} is empty, and Google makes no account without it")
        body["password"] = password if password is not None else secrets.token_urlsafe(24)
        body["changePasswordAtNextLogin"] = body.get("changePasswordAtNextLogin") or isinstance(password, OneTime)
        body["suspended"] = not account.enabled
        mark(body, person)
        return {key: value for key, value in body.items() if value is not None}

    def update(self, attributes: Mapping[str, tuple[str, ...]], now: User, schemas: Mapping[str, Mapping[str, str]]) -> Body:
        """The body that gives an account these values, and leaves everything else as it is."""
        body: Body = {}
        self._fill(body, attributes, now, schemas)
        return body

    def _fill(
        self,
        body: Body,
        attributes: Mapping[str, tuple[str, ...]],
        now: User,
        schemas: Mapping[str, Mapping[str, str]],
    ) -> None:
        for name, values in sorted(attributes.items()):
            one = field_of(name)
            one.write(one.canonical(values), body, now, schemas)


def address(rdn: str) -> str:
    """An account's name as Google keeps it: small letters. Whoever makes room in a ring of renames has one meanwhile, too."""
    aside = _ASIDE.fullmatch(rdn)
    told = f"{aside[1]}.syncd-{aside[3]}@{aside[2]}" if aside else rdn
    return told.strip().lower()


def is_address(text: str) -> bool:
    """Whether a user can be asked for by this text."""
    return bool(_ADDRESS.fullmatch(text))


def is_open(user: User) -> bool:
    """Whether its owner can sign in."""
    return not user.get("suspended") and not user.get("archived")


def place_of(user: User) -> str:
    """The organizational unit, canonical."""
    return canonical_place(str(user.get("orgUnitPath") or "/"))


def tops(attributes: Iterable[str]) -> set[str]:
    """What has to be asked for, to see these attributes."""
    found: set[str] = set()
    for name in attributes:
        try:
            found.add(field_of(name).top)
        except ChangeError:
            continue
    return found


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What was seen of one user, and when: `told` is its JSON. Not `settled`: we wrote it, and its etag is not Google's yet."""

    told: bytes
    etag: str
    settled: bool
    asked: frozenset[str]
    moment: float

    @property
    def user(self) -> dict[str, Any]:
        """The user as it was seen."""
        user: dict[str, Any] = json.loads(self.told)
        return user


@dataclass(slots=True)
class Sight:
    """What was seen of users, kept while the process lives: so that a change needs no question of its own.

    Users are kept as text: a district has tens of thousands. Safe to use from many threads.
    """

    whole: float | None = None  # when everybody was last listed
    whole_asked: frozenset[str] = frozenset()  # and what was asked for then
    _seen: dict[NativeId, Glimpse] = field(default_factory=dict)
    _made: dict[NativeId, float] = field(default_factory=dict)  # when we made it
    _replaced: dict[NativeId, set[str]] = field(default_factory=dict)  # etags of what was there before we wrote
    _index: dict[str, dict[str, set[NativeId]]] = field(default_factory=dict)  # attribute -> folded value -> who has it
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def read(self, user: User, asked: Collection[str], moment: float) -> User:
        """Remember a user as Google tells it, and give it back; what we wrote since is not taken back by an answer from before."""
        native_id = NativeId(str(user["id"]))
        seen = self._seen.get(native_id)
        if seen is not None and str(user.get("etag", "")) in self._replaced.get(native_id, ()):
            return seen.user
        self.saw(user, asked, moment)
        return user

    def wrote(self, user: User, asked: Collection[str], moment: float) -> None:
        """Remember a user as Google tells it after we wrote it: with an etag that Google may not know everywhere yet."""
        native_id = NativeId(str(user["id"]))
        if (seen := self._seen.get(native_id)) is not None and seen.etag:
            self._replaced.setdefault(native_id, set()).add(seen.etag)
        self.saw(user, asked, moment, settled=False)

    def saw(self, user: User, asked: Collection[str], moment: float, *, settled: bool = True) -> NativeId:
        """Remember a user."""
        native_id = NativeId(str(user["id"]))
        told = json.dumps(dict(user), ensure_ascii=False, separators=(",", ":")).encode()
        with self._lock:
            self._unindex(native_id)
            self._seen[native_id] = Glimpse(told, str(user.get("etag", "")), settled, frozenset(asked), moment)
            for name, values in self._index.items():
                _add(values, name, native_id, user)
        return native_id

    def made(self, native_id: NativeId, moment: float) -> None:
        """We made it just now: whoever is asked about it may not know it yet."""
        self._made[native_id] = moment

    def is_fresh(self, native_id: NativeId, moment: float, patience: float) -> bool:
        """Whether we made it so short a time ago that Google may not know it everywhere."""
        return moment - self._made.get(native_id, float("-inf")) < patience

    def fresh(self, moment: float, patience: float) -> Iterator[NativeId]:
        """Everybody made so short a time ago."""
        return (one for one, when in list(self._made.items()) if moment - when < patience and one in self._seen)

    def of(self, native_id: NativeId) -> Glimpse | None:
        """What was seen of a user."""
        return self._seen.get(native_id)

    def forget(self, native_id: NativeId) -> None:
        """It is not there any more."""
        with self._lock:
            self._unindex(native_id)
            self._seen.pop(native_id, None)
            self._made.pop(native_id, None)
            self._replaced.pop(native_id, None)

    def keep_only(self, listed: Collection[NativeId]) -> None:
        """Everybody was listed: who was not is not there."""
        with self._lock:
            for native_id in self._seen.keys() - set(listed):
                self.forget(native_id)

    def covers(self, tops: Collection[str]) -> bool:
        """Whether at least this was asked for when everybody was listed."""
        return self.whole_asked >= set(tops)

    def having(self, attribute: str, value: str) -> set[NativeId]:
        """Who was seen with this value, whatever its case."""
        key = attribute.lower()
        with self._lock:
            if key not in self._index:
                values: dict[str, set[NativeId]] = {}
                for native_id, glimpse in self._seen.items():
                    _add(values, key, native_id, glimpse.user)
                self._index[key] = values
            return set(self._index[key].get(fold_value(value), ()))

    def _unindex(self, native_id: NativeId) -> None:
        if self._index and (before := self._seen.get(native_id)) is not None:
            user = before.user
            for name, values in self._index.items():
                for value in _folded(name, user):
                    values.get(value, set()).discard(native_id)


def _add(values: dict[str, set[NativeId]], name: str, native_id: NativeId, user: User) -> None:
    for value in _folded(name, user):
        values.setdefault(value, set()).add(native_id)


def _folded(name: str, user: User) -> Sequence[str]:
    return [fold_value(value) for value in field_of(name).values(user)]


def with_attributes(account: Account, attributes: Mapping[str, tuple[str, ...]]) -> Account:
    """The account with other attributes, and in no groups."""
    return replace(account, attributes=attributes, groups=frozenset())
