"""Chromebooks: listed, noted, moved, disabled and enabled again. Wire work only.

Every write says how a device is to be, not what to do to it, so each may be repeated. Google does not say whether a move of fifty
devices of which one is refused moves the others (its reference is silent); a refused batch is therefore halved until the culprit is
alone. Nothing in here can deprovision a device: the words for that are not in this program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

from syncd.core.device_rules import ASSET, LOCATION, NOTES, USER
from syncd.core.devices import Device, Status
from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, Result
from syncd.core.spelling import STEP
from syncd.errors import ChangeError, EndpointError, TransientError
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_places import canonical_place
from syncd.targets.google_units import Units
from syncd.targets.google_wire import Scope, Wire, part

AT_ONCE = 50
"""The most devices that one move, or one change of status, may name."""
_PAGES = (
    "300",
    "100",
)  # the discovery document says 300, the limits page (read 2026-04-23) 100: where the first is refused, the other
_TOLD: Mapping[str, tuple[str, int]] = MappingProxyType(
    {USER: ("annotatedUser", 100), ASSET: ("annotatedAssetId", 200), LOCATION: ("annotatedLocation", 200), NOTES: ("notes", 500)}
)
"""What is noted, as Google calls it, and how long it may be; of the asset tag Google does not say how long."""
_FIELDS = ",".join(["deviceId", "serialNumber", "status", "orgUnitPath", "model", *(name for name, _ in _TOLD.values())])
_STATUSES = {"ACTIVE": Status.ACTIVE, "DISABLED": Status.DISABLED}
_ACTIONS = {
    Kind.DISABLE_DEVICE: "CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_DISABLE",
    Kind.ENABLE_DEVICE: "CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_REENABLE",
}
_TROUBLE = (Refused, EndpointError, TransientError)
_CULPRIT = frozenset({Meaning.NOT_FOUND, Meaning.INVALID, Meaning.CHANGED, Meaning.EXISTS})
_NOT_FOUND, _PRECONDITION = 5, 9  # google.rpc.Code


class Devices:
    """The Chromebooks of one customer."""

    def __init__(self, wire: Wire, units: Units) -> None:
        self._wire = wire
        self._units = units

    def _path(self, *parts: str) -> str:
        above = f"/customer/{part(self._wire.config.customer)}/devices/chromeos"
        return "/".join([above, *map(part, parts)])

    # --- reading ------------------------------------------------------------------------------------------------------

    def list(self) -> Iterator[Device]:
        """Every device, page by page. Raises unless the last page was reached.

        Asked for is the full projection, cut down to the fields that are read: what the basic one leaves out is said nowhere.
        """
        query = {"projection": "FULL", "orderBy": "serialNumber", "fields": f"nextPageToken,chromeosdevices({_FIELDS})"}
        page = self._first_page(query)
        while True:
            for told in page.get("chromeosdevices") or ():
                yield _device(told)
            if not page.get("nextPageToken"):
                return
            query["pageToken"] = str(page["nextPageToken"])
            page = self._wire.read(Scope.DEVICES, self._path(), "listing the devices", query)

    def _first_page(self, query: dict[str, str]) -> dict[str, Any]:
        for size in _PAGES:
            query["maxResults"] = size
            try:
                return self._wire.call(Scope.DEVICES, "GET", self._path(), query=query)
            except Refused as refused:
                if refused.meaning is not Meaning.INVALID or size == _PAGES[-1]:
                    raise self._wire.unread(Scope.DEVICES, refused, "listing the devices") from refused
        raise AssertionError("there is a last size")

    # --- writing ------------------------------------------------------------------------------------------------------

    def apply(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """One outcome for each change; moves and changes of status many at once. Raises only where nobody can sign in."""
        self._wire.token(Scope.DEVICES)
        noted = [change for change in changes if change.kind is Kind.ANNOTATE_DEVICE]
        if noted:
            with ThreadPoolExecutor(self._wire.config.connections, thread_name_prefix="devices") as pool:
                yield from pool.map(self._annotate, noted)
        for kind in _ACTIONS:
            for batch in _batches([change for change in changes if change.kind is kind]):
                yield from self._switch(kind, batch)
        units: dict[str, list[Change]] = {}
        for change in changes:
            if change.kind is Kind.MOVE_DEVICE and change.after is not None:
                units.setdefault(change.after.container, []).append(change)
        for unit, moved in sorted(units.items()):
            for batch in _batches(moved):
                yield from self._move(unit, batch)

    def _annotate(self, change: Change) -> Outcome:
        """Say only what differs. `patch`, for only of that the reference says that what is not told stays as it is."""
        body: dict[str, str] = {}
        for name, values in (change.after.attributes if change.after else {}).items():
            theirs, longest = _TOLD[name]
            body[theirs] = "".join(values)
            if len(body[theirs]) > longest:
                why = f"{theirs} has {len(body[theirs])} characters, and Google takes {longest}"
                return Outcome(change, Result.FAILED, failure=Failure.INVALID, why=why)
        try:
            query = {"fields": "deviceId"}
            self._wire.call(Scope.DEVICES, "PATCH", self._path(change.native_id or ""), query=query, body=body)
        except _TROUBLE as trouble:
            return _troubled(change, trouble)
        return Outcome(change, Result.DONE)

    def _move(self, unit: str, batch: Sequence[Change]) -> Iterator[Outcome]:
        body = {"deviceIds": [str(change.native_id) for change in batch]}
        try:
            path = self._units.spelled(unit) or STEP
            self._wire.call(Scope.DEVICES, "POST", f"{self._path()}/moveDevicesToOu", query={"orgUnitPath": path}, body=body)
        except _TROUBLE as trouble:
            if isinstance(trouble, Refused) and trouble.meaning in _CULPRIT and len(batch) > 1:
                half = len(batch) // 2
                yield from self._move(unit, batch[:half])
                yield from self._move(unit, batch[half:])
            else:
                yield from (_troubled(change, trouble) for change in batch)
            return
        yield from (Outcome(change, Result.DONE) for change in batch)

    def _switch(self, kind: Kind, batch: Sequence[Change]) -> Iterator[Outcome]:
        ids = [str(change.native_id) for change in batch]
        body = {"deviceIds": ids, "changeChromeOsDeviceStatusAction": _ACTIONS[kind]}
        try:
            told = self._wire.call(Scope.DEVICES, "POST", f"{self._path()}:batchChangeStatus", body=body)
        except _TROUBLE as trouble:
            yield from (_troubled(change, trouble) for change in batch)
            return
        results = {str(one.get("deviceId")): one for one in told.get("changeChromeOsDeviceStatusResults") or ()}
        for change in batch:
            yield _switched(change, results.get(str(change.native_id)))


def _switched(change: Change, told: Mapping[str, Any] | None) -> Outcome:
    """What became of one of a batch. One of which nothing is told, or which was so already, is read before anything is decided."""
    if told is None:
        return Outcome(change, Result.UNKNOWN, why="Google did not say what became of it")
    error = told.get("error")
    if not error:
        return Outcome(change, Result.DONE)
    code, words = error.get("code"), str(error.get("message") or "no words")
    if code == _PRECONDITION:  # also when an answer was lost, and what was asked again had been done
        return Outcome(change, Result.UNKNOWN, why=words)
    failure = Failure.NO_SUCH_OBJECT if code == _NOT_FOUND else Failure.REFUSED
    return Outcome(change, Result.FAILED, failure=failure, why=f"{words} (code {code})")


def _troubled(change: Change, trouble: Refused | EndpointError | TransientError) -> Outcome:
    """What becomes of a change that Google refused, or that could not be sent since nobody can sign in any more."""
    if not isinstance(trouble, Refused):
        return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {trouble}")
    if trouble.meaning is Meaning.LATER:
        return Outcome(change, Result.UNKNOWN, why=trouble.told)
    return Outcome(change, Result.FAILED, failure=trouble.failure, why=trouble.told)


def _batches(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    for start in range(0, len(changes), AT_ONCE):
        yield changes[start : start + AT_ONCE]


def _device(told: Mapping[str, Any]) -> Device:
    try:
        unit = canonical_place(str(told.get("orgUnitPath") or STEP))
    except ChangeError:
        unit = str(told.get("orgUnitPath"))  # one that we could not write either is nobody's unit here
    return Device(
        NativeId(str(told["deviceId"])),
        str(told.get("serialNumber") or ""),
        _STATUSES.get(str(told.get("status")), Status.OUT),
        unit,
        {name: str(told.get(theirs) or "") for name, (theirs, _) in _TOLD.items()},
        str(told.get("model") or ""),
    )
