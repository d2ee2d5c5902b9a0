"""Licences, which a mapping gives like groups: `licence:NAME`. Whoever leaves the population, or is closed, gives theirs back.

Google assigns them by address and tells no program how many were bought: `seats` in the configuration says so.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator

from syncd.core.model import Failure, NativeId, ObservedGroup
from syncd.targets import Seats
from syncd.targets.google_config import LICENCE, Licence
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_people import People
from syncd.targets.google_verdicts import unfit
from syncd.targets.google_wire import Scope, Wire, part

_PAGE = "1000"  # the most that Google gives


class Licences:
    """The licences that one target's configuration names."""

    def __init__(self, wire: Wire, people: People) -> None:
        self._wire = wire
        self._people = people
        self._customer = ""
        self._used: dict[str, int] = {}  # as last listed, and as changed since
        self._gone: set[str] = set()  # of which no seat was left when one was last asked for
        self._refused: set[str] = set()  # and that was a moment ago
        self._lock = threading.Lock()
        self._doubt = threading.Lock()

    def begin(self) -> None:
        """Somebody may have bought seats since: where none was left, one asks anew."""
        self._refused.clear()

    def read(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Who has each of the licences."""
        for name in sorted(names):
            addresses = list(self._assigned(name))
            self._used[name] = len(addresses)
            self._gone.discard(name)
            members = (self._who(address) for address in addresses)
            yield ObservedGroup(NativeId(name), name, frozenset(one for one in members if one is not None))

    def look(self, name: str) -> None:
        """Ask for one of those who have a licence, to see whether it can be asked for. Raises Refused."""
        query = {"customerId": self._whose(), "maxResults": "1", "fields": "items(userId)"}
        self._wire.call(Scope.LICENCES, "GET", f"{self._path(name)}/users", query=query)

    def _who(self, address: str) -> NativeId | None:
        held = self._people.sight.having("primaryEmail", address)
        if not held:
            try:
                user = self._people.get(address)
            except Refused as refused:
                raise self._wire.unread(Scope.USERS, refused, "asking who has a licence") from refused
            return NativeId(str(user["id"])) if user is not None else None
        return min(held)

    def _assigned(self, name: str) -> Iterator[str]:
        query = {"customerId": self._whose(), "maxResults": _PAGE, "fields": "nextPageToken,items(userId)"}
        path = f"{self._path(name)}/users"
        while True:
            page = self._wire.read(Scope.LICENCES, path, f"listing who has the {name}", query)
            yield from (str(one["userId"]).lower() for one in page.get("items") or ())
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])

    def _whose(self) -> str:
        """The customer's own id: this API knows no `my_customer`."""
        if self._wire.config.customer != "my_customer":
            return self._wire.config.customer
        if not self._customer:
            path = f"/users/{part(self._wire.config.admin)}"
            told = self._wire.read(Scope.USERS, path, "asking for the customer's id", {"fields": "customerId"})
            self._customer = str(told.get("customerId", ""))
        return self._customer

    def seats_left(self, names: Collection[str]) -> dict[str, Seats]:
        """How many of each licence are left: none where Google said so, else as the configuration tells how many were bought."""
        found: dict[str, Seats] = {}
        for name in names:
            licence = self._licence(name)
            if licence.seats and name not in self._used:
                self._used[name] = sum(1 for _ in self._assigned(name))
            if name in self._gone:
                found[name] = Seats(0, licence.warn_below)
            elif licence.seats:
                found[name] = Seats(licence.seats - self._used[name], licence.warn_below)
        return found

    def add(self, name: str, native_id: NativeId, address: str) -> bool:
        """Give a user a licence; False where it has one. Raises Refused, and Settled where none is left."""
        del native_id
        if name not in self._gone:
            return self._given(name, address)
        with self._doubt:  # one finds out whether there are any again: all others would be refused as well
            return self._given(name, address)

    def _given(self, name: str, address: str) -> bool:
        if name in self._refused:
            raise unfit(Failure.WAITS, f"not sent: no {name} was left for somebody before; buy seats, or reclaim some")
        try:
            self._wire.call(Scope.LICENCES, "POST", f"{self._path(name)}/user", body={"userId": address})
        except Refused as refused:
            if refused.meaning is Meaning.EXISTS or "already" in refused.words.lower():
                return self._counted(name, 1, was_done=refused.unanswered)
            if refused.meaning is Meaning.NO_SEAT:
                self._gone.add(name)
                self._refused.add(name)
                words = f"no {name} is left: {refused.told}; buy seats, or reclaim some, and say so in `seats`"
                raise unfit(Failure.NO_SEAT, words) from refused
            raise
        self._gone.discard(name)
        return self._counted(name, 1)

    def remove(self, name: str, native_id: NativeId, address: str) -> bool:
        """Take a licence back; False where the user has none. Raises Refused."""
        del native_id
        try:
            self._wire.call(Scope.LICENCES, "DELETE", f"{self._path(name)}/user/{part(address)}")
        except Refused as refused:
            if refused.meaning is not Meaning.NOT_FOUND:
                raise
            return self._counted(name, -1, was_done=refused.unanswered)
        self._gone.discard(name)
        self._refused.discard(name)
        return self._counted(name, -1)

    def _counted(self, name: str, more: int, *, was_done: bool = True) -> bool:
        """Whether something was done; if so it is counted among the seats."""
        with self._lock:
            if was_done and name in self._used:
                self._used[name] += more
        return was_done

    def _licence(self, name: str) -> Licence:
        return self._wire.config.licences[name.removeprefix(LICENCE)]

    def _path(self, name: str) -> str:
        one = self._licence(name)
        return f"/product/{part(one.product)}/sku/{part(one.sku)}"
