"""The users of a customer: listed, asked for by their key, made and changed; and how long one waits for Google to know them.

Google does not read its own writes: who was made a moment ago may be unknown, forbidden or unfinished for minutes (404, 403, 412).
And a search lags by hours, so nobody is ever looked for by one: asked is by key, or everybody is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from syncd.core.model import NativeId
from syncd.errors import EndpointError
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_fields import Body, User, schema_fields
from syncd.targets.google_quota import Cost
from syncd.targets.google_users import ALWAYS, Sight
from syncd.targets.google_wire import Scope, Wire, part

Told = TypeVar("Told")

_PAGE = 500  # the most that Google gives
_LONGEST_WAIT = 16.0
_FORBIDDEN = 30.0  # seconds after which "not allowed" is no longer taken for "not yet"
_NOT_YET = frozenset({Meaning.NOT_FOUND, Meaning.MAY_NOT, Meaning.UNFINISHED})
_LAST_LOGIN = "lastLoginTime"


class People:
    """Everybody of one customer, and what was last seen of them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.sight = Sight()
        self._tops = set(ALWAYS)
        self._schemas: dict[str, dict[str, str]] | None = None

    def asks(self, tops: Collection[str]) -> None:
        """From now on these fields are asked for, too."""
        self._tops |= set(tops)

    @property
    def tops(self) -> AbstractSet[str]:
        """The fields of a user that are asked for."""
        return self._tops

    def now(self) -> float:
        """The moment, by the clock that quotas and waits go by."""
        return self._wire.quota.timing.now()

    def _query(self, *more: str) -> tuple[dict[str, str], list[str]]:
        """What to ask for: a partial answer, with custom schemas only where the mapping speaks of them."""
        names = sorted({*self._tops, *more})
        return {"projection": "full" if "customSchemas" in names else "basic"}, names

    # --- asking -------------------------------------------------------------------------------------------------------

    def list(self) -> Iterator[User]:
        """Everybody, page by page; whoever we made just now and Google does not list yet is told as well."""
        query, names = self._query()
        query |= {
            "customer": self._wire.config.customer,
            "maxResults": str(_PAGE),
            "fields": f"nextPageToken,users({','.join(names)})",
        }
        begun, listed = self.now(), set[NativeId]()
        while True:
            page = self._wire.read(Scope.USERS, "/users", "listing the users", query)
            for user in page.get("users") or ():
                listed.add(NativeId(str(user["id"])))
                yield self.sight.read(user, names, self.now())
            if not page.get("nextPageToken"):
                break
            query["pageToken"] = str(page["nextPageToken"])
        if not listed:
            raise EndpointError(self._wire.name, "Google lists no user at all, not even the administrator", "look at `customer`")
        for native_id in list(self.sight.fresh(begun, self._wire.config.patience)):
            if native_id not in listed and (glimpse := self.sight.of(native_id)) is not None:
                listed.add(native_id)
                yield glimpse.user
        self.sight.keep_only(listed)
        self.sight.whole, self.sight.whole_asked = begun, frozenset(names)

    def last_logins(self) -> Iterator[tuple[NativeId, str]]:
        """Of everybody the moment of the last sign-in, as Google writes it."""
        query = {
            "customer": self._wire.config.customer,
            "maxResults": str(_PAGE),
            "fields": f"nextPageToken,users(id,{_LAST_LOGIN})",
        }
        while True:
            page = self._wire.read(Scope.USERS, "/users", "listing the users", query)
            yield from ((NativeId(str(user["id"])), str(user.get(_LAST_LOGIN, ""))) for user in page.get("users") or ())
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])

    def get(self, key: str) -> User | None:
        """The user with this id or address (an alias is one, too); None where there is none. Raises Refused."""
        query, names = self._query(_LAST_LOGIN)
        try:
            user = self._wire.call(Scope.USERS, "GET", f"/users/{part(key)}", query={**query, "fields": ",".join(names)})
        except Refused as refused:
            if refused.meaning is Meaning.NOT_FOUND:
                return None
            raise
        native_id = NativeId(str(user["id"]))
        if "name" in names and "name" not in user and self.is_fresh(native_id):
            raise Refused(412, "", "its creation is not complete: it has no name yet")  # a read may succeed before that
        return self.sight.read(user, names, self.now())

    def deleted(self) -> Iterator[User]:
        """Users that were deleted, as far as they can be brought back."""
        query = {
            "customer": self._wire.config.customer,
            "maxResults": str(_PAGE),
            "showDeleted": "true",
            "fields": "nextPageToken,users(id,primaryEmail,externalIds,deletionTime)",
        }
        while True:
            page = self._wire.call(Scope.USERS, "GET", "/users", query=query)
            yield from page.get("users") or ()
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])

    def schemas(self) -> Mapping[str, Mapping[str, str]]:
        """The type of every field of the customer's custom schemas; asked for once."""
        if self._schemas is None:
            told = self._wire.read(
                Scope.SCHEMAS, f"/customer/{part(self._wire.config.customer)}/schemas", "listing the custom schemas"
            )
            self._schemas = schema_fields(told.get("schemas") or ())
        return self._schemas

    # --- changing -----------------------------------------------------------------------------------------------------

    def insert(self, body: Body) -> User:
        """Make a user; never repeated by itself. Raises Refused, also where it may have been made."""
        _, names = self._query()
        user = self._wire.call(
            Scope.USERS, "POST", "/users", query={"fields": ",".join(names)}, body=body, cost=Cost.CREATION, repeat=False
        )
        self.known(user)
        return user

    def known(self, user: User) -> NativeId:
        """We made this user just now, and Google says it is so."""
        _, names = self._query()
        moment = self.now()
        native_id = self.sight.saw(user, names, moment, settled=False)
        self.sight.made(native_id, moment)
        return native_id

    def update(self, native_id: NativeId, body: Mapping[str, Any], etag: str = "") -> User:
        """Change a user: what is not in the body stays (Google's update, as its description says). Raises Refused."""
        _, names = self._query()
        user = self._wire.call(
            Scope.USERS, "PUT", f"/users/{part(native_id)}", query={"fields": ",".join(names)}, body=body, if_match=etag
        )
        if user.get("id"):
            self.sight.wrote(user, names, self.now())
        return user

    def delete(self, native_id: NativeId) -> None:
        """Delete a user: twenty days later nobody can bring it back. Raises Refused."""
        self._wire.call(Scope.USERS, "DELETE", f"/users/{part(native_id)}")
        self.sight.forget(native_id)

    def undelete(self, native_id: NativeId, unit: str) -> None:
        """Bring a deleted user back, with its mailbox. Raises Refused."""
        self._wire.call(Scope.USERS, "POST", f"/users/{part(native_id)}/undelete", body={"orgUnitPath": unit or "/"})
        self.sight.made(native_id, self.now())

    def add_alias(self, native_id: NativeId, alias: str) -> None:
        """Let mail to another address reach a user; that it does so already is no error. Raises Refused."""
        try:
            self._wire.call(Scope.USERS, "POST", f"/users/{part(native_id)}/aliases", body={"alias": alias})
        except Refused as refused:
            holder = self.get(alias) if refused.meaning is Meaning.EXISTS else None
            if holder is None or holder["id"] != native_id:
                raise

    def remove_alias(self, native_id: NativeId, alias: str) -> None:
        """Mail to this address reaches the user no longer; that it does not is no error. Raises Refused."""
        try:
            self._wire.call(Scope.USERS, "DELETE", f"/users/{part(native_id)}/aliases/{part(alias)}")
        except Refused as refused:
            if refused.meaning is not Meaning.NOT_FOUND:
                raise

    # --- not yet ------------------------------------------------------------------------------------------------------

    def is_fresh(self, native_id: NativeId) -> bool:
        """Whether we made it so short a time ago that Google may not know it everywhere."""
        return self.sight.is_fresh(native_id, self.now(), self._wire.config.patience)

    def patiently(self, native_id: NativeId, ask: Callable[[], Told]) -> Told:
        """The answer, asked for again while a user made just now is still unknown somewhere. Raises Refused."""
        return self.until(lambda: self.is_fresh(native_id), ask)

    def until(self, is_fresh: Callable[[], bool], ask: Callable[[], Told], also: Collection[Meaning] = ()) -> Told:
        """The answer, asked for again while something is fresh and Google says it does not know, allow or have it yet."""
        begun, pause, unanswered = self.now(), 1.0, False
        while True:
            try:
                return ask()
            except Refused as refused:
                unanswered = refused.unanswered = unanswered or refused.unanswered
                waited = self.now() - begun
                too_long = refused.meaning is Meaning.MAY_NOT and waited > _FORBIDDEN
                if refused.meaning not in _NOT_YET.union(also) or too_long or not is_fresh():
                    raise
            self._wire.quota.timing.sleep(pause)
            pause = min(2 * pause, _LONGEST_WAIT)
