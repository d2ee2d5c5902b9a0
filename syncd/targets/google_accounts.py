"""One account made, or changed from how the plan knows it to how it wants it. Everything here is about one change.

Google guards no write against what others wrote meanwhile (that it honours If-Match is not documented). So a change is held against
what was last seen of the account; where the two do not agree, the account is asked for and the change judged by what it is now. An
etag goes along all the same: where it is honoured, nothing is overwritten that nobody saw.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from syncd.core.model import Account, Change, Failure, Kind, NativeId
from syncd.errors import ChangeError
from syncd.targets import Chosen, OneTime
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_fields import ALIASES, NAMING, Body, User, field_of, mark_of
from syncd.targets.google_hash import crypted
from syncd.targets.google_people import People
from syncd.targets.google_units import Units
from syncd.targets.google_users import Spelling, address, is_open, place_of, tops
from syncd.targets.google_verdicts import Settled, already, unfit
from syncd.targets.google_wire import Wire

_TRUSTED = 3600.0  # seconds for which what was seen of an account is believed: others change accounts, too
_ATTEMPTS = 7
_SWITCHES = frozenset({Kind.ENABLE, Kind.DISABLE})
_PLACES = frozenset({Kind.MOVE, Kind.PARK})
_NEVER = "1970"  # how Google writes the year of a sign-in that has not been


class Accounts:
    """Makes and changes the accounts of one customer."""

    def __init__(self, wire: Wire, people: People, units: Units, spelling: Spelling) -> None:
        self._wire = wire
        self._people = people
        self._units = units
        self._spelling = spelling

    # --- making -------------------------------------------------------------------------------------------------------

    def create(self, change: Change, secret: str | None) -> NativeId:
        """Make an account; its id. Raises Refused, ChangeError or Settled."""
        after, person = told(change.after), change.person or ""
        self._people.asks(tops(after.attributes))
        body = self._spelling.insert(after, self._units.spelled(after.container), person, secret, self._schemas(after.attributes))
        user = self._inserted(body, after.container, person)
        native_id = NativeId(str(user["id"]))
        for alias in self._wanted_aliases(after, str(body[NAMING])):
            self._people.patiently(native_id, lambda alias=alias: self._people.add_alias(native_id, alias))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        return native_id

    def _inserted(self, body: Body, container: str, person: str) -> User:
        """The user, made once however often Google had to be asked (R17)."""
        unanswered = 0
        while True:
            try:
                with self._units.one_tries(container):
                    return self._people.until(
                        lambda: self._units.is_fresh(container), lambda: self._people.insert(body), {Meaning.NO_UNIT}
                    )
            except Refused as refused:
                if refused.meaning is Meaning.EXISTS:
                    return self._whose(body, person, refused, may_be_ours=unanswered > 0)
                if refused.meaning is not Meaning.LATER:
                    raise
                unanswered += 1
                if unanswered >= _ATTEMPTS:
                    raise
                self._wire.wait(unanswered, refused)
                found = self._glance(str(body[NAMING]))  # it may have been made before the answer was lost
                if found is not None and _is_made_for(found, person, body):
                    self._people.known(found)
                    return found

    def _whose(self, body: Body, person: str, refused: Refused, *, may_be_ours: bool) -> User:
        """The account that has the address already, where it is the one we meant to make; else Settled says whose it is."""
        wanted, found = str(body[NAMING]), None
        begun, pause = self._people.now(), 1.0
        while True:
            found = self._glance(wanted)
            if found is not None or not may_be_ours or self._people.now() - begun > self._wire.config.patience:
                break
            self._wire.quota.timing.sleep(pause)  # made by the request whose answer was lost, and not known everywhere yet
            pause = min(2 * pause, 16.0)
        if found is None:
            return self._brought_back(body, person, refused)
        if not _is_made_for(found, person, body):
            raise unfit(
                Failure.NAME_TAKEN, f"{wanted} belongs to the account {found['id']}, which is not this person's: {refused.told}"
            )
        if may_be_ours:
            self._people.known(found)
            return found
        if not str(found.get("lastLoginTime", _NEVER)).startswith(_NEVER):
            words = f"{wanted} is the account {found['id']}, made for this person and in use; say so: syncd resolve"
            raise unfit(Failure.NAME_TAKEN, words)
        self._people.update(NativeId(str(found["id"])), _without(body, NAMING))  # made by a run that was cut short
        return found

    def _glance(self, key: str) -> User | None:
        """The user with this address, as far as Google knows it already."""
        try:
            return self._people.get(key)
        except Refused as refused:
            if refused.meaning in (Meaning.MAY_NOT, Meaning.UNFINISHED):
                return None
            raise

    def _brought_back(self, body: Body, person: str, refused: Refused) -> User:
        """The person's own account, undeleted: Google keeps one for twenty days. Raises Settled where it is another's."""
        wanted = str(body[NAMING])
        same = [user for user in self._people.deleted() if str(user.get(NAMING, "")).lower() == wanted]
        mine = next((user for user in same if mark_of(user) == person), None)
        if mine is None:
            held = f"a deleted account ({', '.join(str(user.get('id')) for user in same)})" if same else "a group or something else"
            raise unfit(Failure.NAME_TAKEN, f"{wanted} belongs to {held}: {refused.told}")
        native_id = NativeId(str(mine["id"]))
        self._people.undelete(native_id, str(body["orgUnitPath"]))
        return self._people.patiently(native_id, lambda: self._people.update(native_id, _without(body, NAMING)))

    # --- changing -----------------------------------------------------------------------------------------------------

    def change(self, change: Change, secret: str | None) -> None:
        """Carry out a change of an account that exists. Raises Refused, ChangeError, or Settled where nothing was done."""
        if change.native_id is None:
            raise unfit(Failure.WAITS, "the account this change is about has not been created")
        native_id = change.native_id
        self._people.asks(tops(told(change.after or change.before).attributes))
        user, etag = self._seen(change)
        if user is not None:
            try:
                self._judge(change, user)
            except Settled:
                user = None  # as it was seen; what it is now, decides
        if user is None:
            user, etag = self._as_it_is(change)
            self._judge(change, user)
        now = user
        try:
            self._people.patiently(native_id, lambda: self._write(change, now, secret, etag))
        except Refused as refused:
            if refused.meaning is not Meaning.CHANGED:
                raise self._gone(change, refused) from refused
            user, etag = self._as_it_is(change)
            self._judge(change, user)
            self._write(change, user, secret, etag)

    def _seen(self, change: Change) -> tuple[User | None, str]:
        """What was last seen of the account, where that is enough to go by."""
        glimpse = self._people.sight.of(change.native_id) if change.native_id is not None else None
        needed = tops([*told(change.before).attributes, *told(change.after or change.before).attributes])
        if glimpse is None or change.kind is Kind.DELETE or not needed <= glimpse.asked:
            return None, ""
        if self._people.now() - glimpse.moment > _TRUSTED:
            return None, ""
        return glimpse.user, glimpse.etag if glimpse.settled else ""

    def _as_it_is(self, change: Change) -> tuple[User, str]:
        native_id = change.native_id or NativeId("")
        user = self._people.patiently(native_id, lambda: self._people.get(native_id))
        if user is None and (glimpse := self._people.sight.of(native_id)) is not None and self._people.is_fresh(native_id):
            return glimpse.user, ""
        if user is None:
            raise already() if change.kind is Kind.DELETE else unfit(Failure.NO_SUCH_OBJECT, "no account has this id any more")
        seen = self._people.sight.of(native_id)
        return user, seen.etag if seen is not None and seen.settled else ""  # asked too soon, Google told what was before our write

    def _judge(self, change: Change, user: User) -> None:
        """Raises Settled where the change is so already, must not be made, or the account is not as the plan knows it (R18)."""
        if self._spelling.is_privileged(user):
            raise unfit(Failure.OUT_OF_SCOPE, "the account is an administrator's, or configured as privileged (R40)")
        before, after = told(change.before), told(change.after or change.before)
        place = str(user[NAMING]).lower(), place_of(user)
        if change.kind in _SWITCHES and is_open(user) is after.enabled:
            raise already()
        if change.kind in _PLACES and place == (address(after.rdn), after.container):
            raise already()
        if change.kind in (Kind.UPDATE, Kind.REFER):
            self._judge_values(user, before, after)
        if place != (address(before.rdn), before.container):
            raise unfit(Failure.STALE, "the account is not where the plan expects it")
        if change.kind is Kind.DELETE and is_open(user) and not before.enabled:
            raise unfit(Failure.STALE, "the account was opened by somebody since it was planned to go")

    def _judge_values(self, user: User, before: Account, after: Account) -> None:
        own = str(user[NAMING]).lower()
        is_so = fits = True
        for name, values in after.attributes.items():
            one = field_of(name)
            now, wanted, was = one.values(user), one.canonical(values), one.canonical(before.attributes.get(name, ()))
            if one.name == ALIASES:  # the address an account is about to lose becomes an alias by itself, when it does
                wanted = tuple(value for value in wanted if value != own)
            is_so &= now == wanted
            fits &= now == was
        if is_so:
            raise already()
        if not fits:
            raise unfit(Failure.STALE, "somebody else changed what this change writes")

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self, change: Change, user: User, secret: str | None, etag: str) -> None:
        native_id, before, after = NativeId(str(user["id"])), told(change.before), told(change.after or change.before)
        match change.kind:
            case Kind.DELETE:
                self._people.delete(native_id)
            case Kind.ENABLE | Kind.DISABLE:
                self._people.update(native_id, _switch(after, user, secret), etag)
            case Kind.MOVE | Kind.PARK:
                self._move(change.kind, native_id, before, after, user, etag)
            case _:
                self._update(native_id, after, user, etag)

    def _move(self, kind: Kind, native_id: NativeId, before: Account, after: Account, user: User, etag: str) -> None:
        body: Body = {}
        if address(after.rdn) != address(before.rdn):
            body[NAMING] = self._spelling.usable(after.rdn)
        if after.container != before.container:
            body["orgUnitPath"] = self._units.spelled(after.container)
        if kind is Kind.PARK and self._wire.config.archive_parked and not user.get("archived"):
            body["archived"] = True
        try:
            self._people.until(
                lambda: self._units.is_fresh(after.container), lambda: self._people.update(native_id, body, etag), {Meaning.NO_UNIT}
            )
        except Refused as refused:
            if refused.meaning is not Meaning.EXISTS or NAMING not in body:
                raise
            holder = self._people.get(body[NAMING])
            if holder is None or holder["id"] != native_id:
                raise unfit(Failure.NAME_TAKEN, f"{body[NAMING]} belongs to somebody else: {refused.told}") from refused
            self._people.remove_alias(native_id, body[NAMING])  # its own, from when it was called so before
            self._people.update(native_id, body)

    def _update(self, native_id: NativeId, after: Account, user: User, etag: str) -> None:
        plain = {name: values for name, values in after.attributes.items() if field_of(name).name != ALIASES}
        if body := self._spelling.update(plain, user, self._schemas(plain)):
            self._people.update(native_id, body, etag)
        if len(plain) < len(after.attributes):
            own, now = str(user[NAMING]).lower(), set(field_of(ALIASES).values(user))
            wanted = self._wanted_aliases(after, own)
            for alias in sorted(wanted - now):
                self._people.add_alias(native_id, alias)
            for alias in sorted(now - wanted):
                self._people.remove_alias(native_id, alias)

    @staticmethod
    def _wanted_aliases(after: Account, own: str) -> set[str]:
        return {
            alias for name, values in after.attributes.items() if field_of(name).name == ALIASES for alias in values if alias != own
        }

    def _schemas(self, attributes: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
        return self._people.schemas() if any(field_of(name).kind == "schema" for name in attributes) else {}

    def _gone(self, change: Change, refused: Refused) -> Exception:
        """What a refused write means: an account that is not there any more is forgotten."""
        if refused.meaning is Meaning.NOT_FOUND and change.native_id is not None:
            self._people.sight.forget(change.native_id)
            return already() if change.kind is Kind.DELETE else unfit(Failure.NO_SUCH_OBJECT, "no account has this id any more")
        return refused


def told(account: Account | None) -> Account:
    """The account a change must speak of."""
    if account is None:
        raise ChangeError("invalid value", "the change does not say which account it is about")
    return account


def _switch(after: Account, user: User, secret: str | None) -> Body:
    body: Body = {"suspended": not after.enabled}
    if after.enabled and user.get("archived"):
        body["archived"] = False
    if isinstance(secret, Chosen):
        body |= {"password": crypted(secret), "hashFunction": "crypt", "changePasswordAtNextLogin": False}
    elif secret is not None:
        body |= {"password": secret, "changePasswordAtNextLogin": isinstance(secret, OneTime)}
    return body


def _is_made_for(user: User, person: str, body: Body) -> bool:
    """Whether an account is the one we made, or meant to make, for a person under this address."""
    return bool(person) and mark_of(user) == person and str(user.get(NAMING, "")).lower() == body[NAMING]


def _without(body: Body, name: str) -> Body:
    return {key: value for key, value in body.items() if key != name}


__all__ = ["Accounts", "told"]
