"""Groups and their members. A group is called by its address; members are told and written by their permanent ids.

Only single members are added and removed: who else is in a group is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from syncd.core.model import Failure, NativeId, ObservedGroup
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_people import People
from syncd.targets.google_verdicts import unfit
from syncd.targets.google_wire import Scope, Wire, part

_PAGE = "200"  # the most that Google gives
_FEW = 25  # groups asked for one by one; for more, all are listed
_GROUP = "id,email,directMembersCount"


class Groups:
    """The groups of one customer."""

    def __init__(self, wire: Wire, people: People) -> None:
        self._wire = wire
        self._people = people
        self._made: dict[str, float] = {}

    # --- asking -------------------------------------------------------------------------------------------------------

    def missing(self, names: Collection[str]) -> set[str]:
        """Those of the groups that do not exist."""
        return set(names) - self._found(names).keys()

    def read(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the groups that exist, with the users among their members."""
        found = self._found(names)
        with ThreadPoolExecutor(self._wire.config.connections, thread_name_prefix="google") as pool:
            yield from pool.map(lambda name: self._read(name, found[name]), sorted(found))

    def _read(self, name: str, group: Mapping[str, Any]) -> ObservedGroup:
        native_id = NativeId(str(group.get("id", name)))
        if str(group.get("directMembersCount", "")) == "0" and not self._is_fresh(name):
            return ObservedGroup(native_id, name)
        members = self._people.until(lambda: self._is_fresh(name), lambda: list(self._members(name)))
        return ObservedGroup(native_id, name, frozenset(members))

    def _members(self, name: str) -> Iterator[NativeId]:
        query = {"maxResults": _PAGE, "fields": "nextPageToken,members(id,type)"}
        while True:
            try:
                page = self._wire.call(Scope.GROUPS, "GET", f"/groups/{part(name)}/members", query=query)
            except Refused as refused:
                if refused.meaning is Meaning.NOT_FOUND and self._is_fresh(name):
                    raise
                raise self._wire.unread(Scope.GROUPS, refused, f"listing the members of {name}") from refused
            for member in page.get("members") or ():
                if member.get("type") == "USER" and member.get("id"):
                    yield NativeId(str(member["id"]))
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])

    def _found(self, names: Collection[str]) -> dict[str, Mapping[str, Any]]:
        if len(names) > _FEW:
            listed = {str(group["email"]).lower(): group for group in self._listed()}
            found = {name: listed[name] for name in names if name in listed}
        else:
            found = {name: group for name in names if (group := self._get(name)) is not None}
        fresh: dict[str, Mapping[str, Any]] = {name: {} for name in names if name not in found and self._is_fresh(name)}
        return {**found, **fresh}

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        query = {"customer": self._wire.config.customer, "maxResults": _PAGE, "fields": f"nextPageToken,groups({_GROUP})"}
        while True:
            page = self._wire.read(Scope.GROUPS, "/groups", "listing the groups", query)
            yield from page.get("groups") or ()
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])

    def _get(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._wire.call(Scope.GROUPS, "GET", f"/groups/{part(name)}", query={"fields": _GROUP})
        except Refused as refused:
            if refused.meaning is Meaning.NOT_FOUND:
                return None
            raise self._wire.unread(Scope.GROUPS, refused, f"asking for the group {name}") from refused

    def _is_fresh(self, name: str) -> bool:
        return self._people.now() - self._made.get(name, float("-inf")) < self._wire.config.patience

    # --- changing -----------------------------------------------------------------------------------------------------

    def create(self, name: str) -> bool:
        """Make a group with the configured settings; False where it is there already. Raises Refused or Settled."""
        if self._is_fresh(name):
            return False
        if self._wire.config.group_settings:
            self._wire.token(Scope.SETTINGS)  # no group is made that could not be closed to strangers: it waits
        if not self._inserted(name):
            return False
        self._made[name] = self._people.now()
        self.set(name)
        return True

    def amiss(self, names: Collection[str]) -> dict[str, str]:
        """Of those of the groups that exist and are not set as configured, what differs. What is not configured is others'."""
        if not self._wire.config.group_settings:
            return {}
        with ThreadPoolExecutor(self._wire.config.connections, thread_name_prefix="google") as pool:
            told = zip(sorted(names), pool.map(self._differs, sorted(names)), strict=True)
            return {name: why for name, why in told if why}

    def _differs(self, name: str) -> str:
        wanted = self._wire.config.group_settings
        query = {"alt": "json", "fields": ",".join(sorted(wanted))}
        try:
            now = self._wire.call(Scope.SETTINGS, "GET", f"/{part(name)}", query=query)
        except Refused as refused:
            if refused.meaning is Meaning.NOT_FOUND:
                return ""
            raise self._wire.unread(Scope.SETTINGS, refused, f"asking for the settings of {name}") from refused
        pairs = ((key, str(now.get(key, "")), value) for key, value in sorted(wanted.items()))
        return ", ".join(f"{key} is {is_now or 'not set'}, not {value}" for key, is_now, value in pairs if is_now != value)

    def set(self, name: str) -> None:
        """Set a group as configured. Raises Refused."""
        if settings := self._wire.config.group_settings:
            path = f"/{part(name)}"
            self._people.until(
                lambda: self._is_fresh(name),
                lambda: self._wire.call(Scope.SETTINGS, "PATCH", path, query={"alt": "json"}, body=dict(settings)),
            )

    def _inserted(self, name: str) -> bool:
        """Whether the group was made by us now; False where it is there already. Raises Refused or Settled."""
        try:
            self._wire.call(Scope.GROUPS, "POST", "/groups", body={"email": name, "name": name.partition("@")[0]})
        except Refused as refused:
            if refused.meaning is not Meaning.EXISTS:
                raise
            if self._turns_up(name, may_be_ours=refused.unanswered):
                return refused.unanswered
            raise unfit(Failure.NAME_TAKEN, f"{name} is the address of something that is no group: {refused.told}") from refused
        return True

    def _turns_up(self, name: str, *, may_be_ours: bool) -> bool:
        """Whether there is such a group; one that a request without an answer may have made is waited for."""
        begun, pause = self._people.now(), 1.0
        while self._get(name) is None:
            if not may_be_ours or self._people.now() - begun > self._wire.config.patience:
                return False
            self._wire.quota.timing.sleep(pause)
            pause = min(2 * pause, 16.0)
        return True

    def add(self, name: str, native_id: NativeId, address: str) -> bool:
        """Make a user a member; False where others made it one. Raises Refused."""
        del address
        path, body = f"/groups/{part(name)}/members", {"id": native_id, "role": "MEMBER"}
        try:
            self._people.until(lambda: self._is_fresh(name), lambda: self._wire.call(Scope.GROUPS, "POST", path, body=body))
        except Refused as refused:
            if refused.meaning is Meaning.EXISTS:
                return refused.unanswered
            raise
        return True

    def remove(self, name: str, native_id: NativeId, address: str) -> bool:
        """Make a user no member; False where it is none. Raises Refused."""
        del address
        try:
            self._wire.call(Scope.GROUPS, "DELETE", f"/groups/{part(name)}/members/{part(native_id)}")
        except Refused as refused:
            if refused.meaning is Meaning.NOT_FOUND and "groupkey" not in refused.words.lower().replace(" ", ""):
                return refused.unanswered
            raise
        return True
