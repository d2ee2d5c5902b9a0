"""Chromebooks: annotated, moved, disabled and given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google import search
from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import Refusal, condition, invalid, not_found, required
from tests.doubles.google.tenant import Anything, Asked, Tenant, Unit, moment

KIND = "admin#directory#chromeosdevice"
LENGTHS = {"annotatedUser": 100, "annotatedLocation": 200, "notes": 500, "annotatedAssetId": 200}
AT_ONCE = 50
_BASIC = frozenset(
    [
        "kind",
        "etag",
        "deviceId",
        "serialNumber",
        "status",
        "lastSync",
        "annotatedUser",
        "annotatedLocation",
        "annotatedAssetId",
        "notes",
        "orgUnitPath",
        "orgUnitId",
        "model",
        "osVersion",
        "supportEndDate",
        "macAddress",
        "bootMode",
        "lastEnrollmentTime",
    ]
)
_ACTION = "CHANGE_CHROME_OS_DEVICE_STATUS_ACTION_"
_REASONS = frozenset(("different_model_replacement", "retiring_device", "same_model_replacement", "upgrade_transfer"))


def enrol(tenant: Tenant, serial: str, unit: Unit, now: float, **told: object) -> Json:
    """A device that enrolled itself."""
    made: Json = {
        "kind": KIND,
        "etag": tenant.numbers.etag(),
        "deviceId": tenant.numbers.opaque("dev-"),
        "serialNumber": serial,
        "status": "ACTIVE",
        "orgUnitPath": unit.path,
        "orgUnitId": unit.id,
        "model": "Chromebook",
        "lastSync": moment(now),
        "lastEnrollmentTime": moment(now),
        **told,
    }
    tenant.devices[made["deviceId"]] = made
    return made


def _own(asked: Asked) -> None:
    if asked.path["customerId"] not in ("my_customer", asked.tenant.customer):
        raise not_found("customerId")


def _seen(asked: Asked, key: str = "deviceId") -> Json:
    _own(asked)
    device = asked.tenant.devices.get(asked.path[key])
    if device is None:
        raise not_found(key)
    asked.subject = device["deviceId"]
    return device


def _projected(asked: Asked, device: Json) -> Json:
    if asked.query.get("projection") == "BASIC":
        return {key: value for key, value in device.items() if key in _BASIC}
    return device


def _unit(asked: Asked, told: object) -> Unit:
    path = told if isinstance(told, str) else ""
    unit = asked.tenant.unit(path if path.startswith(("/", "id:")) else f"/{path}")
    if unit is None or asked.now < unit.ready_at:
        raise invalid("INVALID_OU_ID")
    return unit


def get(asked: Asked) -> Json:
    return _projected(asked, _seen(asked))


def listed(asked: Asked) -> Json:
    _own(asked)
    page = asked.paged("chromeosdevices", lambda: _devices(asked), "admin#directory#chromeosdevices")
    if "chromeosdevices" in page:
        page["chromeosdevices"] = [_projected(asked, each) for each in page["chromeosdevices"]]
    return page


def _devices(asked: Asked) -> list[Json]:
    query = asked.query
    found = _in_unit(asked, query)
    if query.get("query"):
        matches = search.devices(query["query"])
        found = [each for each in found if matches(each)]
    order = query.get("orderBy", "serialNumber")
    return sorted(found, key=lambda each: str(each.get(order, "")), reverse=query.get("sortOrder") == "DESCENDING")


def _in_unit(asked: Asked, query: Json) -> list[Json]:
    found = list(asked.tenant.devices.values())
    if query.get("includeChildOrgunits") and "orgUnitPath" not in query:
        raise required("orgUnitPath")
    if "orgUnitPath" in query:
        path = _unit(asked, query["orgUnitPath"]).path.lower()
        inside = path.rstrip("/") + "/"
        below = bool(query.get("includeChildOrgunits"))
        found = [
            each
            for each in found
            if each["orgUnitPath"].lower() == path or (below and each["orgUnitPath"].lower().startswith(inside))
        ]
    return found


def update(asked: Asked) -> Json:
    device = _seen(asked)
    changed = dict(device)
    for key, most in LENGTHS.items():
        if key in asked.body:
            told = asked.body[key] or ""
            if len(told) > most:
                raise invalid(f"{key} is longer than {most}")
            changed[key] = told
    if asked.body.get("orgUnitPath"):
        unit = _unit(asked, asked.body["orgUnitPath"])
        changed |= {"orgUnitPath": unit.path, "orgUnitId": unit.id}
    changed["etag"] = asked.tenant.numbers.etag()
    asked.tenant.devices[device["deviceId"]] = changed
    return _projected(asked, changed)


def _some(asked: Asked) -> list[str]:
    told = asked.body.get("deviceIds") or []
    if not told:
        raise required("deviceIds")
    if len(told) > AT_ONCE or len(set(told)) != len(told):
        raise invalid(f"deviceIds: at most {AT_ONCE}, each once")
    return list(told)


def move(asked: Asked) -> None:
    """All of them or, when one is unknown, none: Google does not say which [K], and a client must not rely on either."""
    _own(asked)
    unit, chosen = _unit(asked, asked.query["orgUnitPath"]), _some(asked)
    devices = asked.tenant.devices
    if any(id_ not in devices for id_ in chosen):
        raise not_found("deviceId")
    for id_ in chosen:
        devices[id_] = {**devices[id_], "orgUnitPath": unit.path, "orgUnitId": unit.id, "etag": asked.tenant.numbers.etag()}


def _change_status(asked: Asked, device: Json, action: str, reason: str | None) -> None:
    status = device["status"]
    match action:
        case "disable" if status == "ACTIVE":
            changed = {"status": "DISABLED"}
        case "reenable" if status == "DISABLED":
            changed = {"status": "ACTIVE"}
        case "deprovision" if status in ("ACTIVE", "DISABLED"):
            if not reason:
                raise required("deprovisionReason")
            changed = {"status": "DEPROVISIONED", "lastDeprovisionTimestamp": moment(asked.now)}
        case "disable" | "reenable" | "deprovision":
            raise condition(f"Illegal device state transition from {status}.")
        case _:
            raise invalid("action")
    asked.tenant.devices[device["deviceId"]] = {**device, **changed, "etag": asked.tenant.numbers.etag()}


def act(asked: Asked) -> None:
    reason = asked.body.get("deprovisionReason")
    if reason and reason not in _REASONS:
        raise invalid("deprovisionReason")
    _change_status(asked, _seen(asked, "resourceId"), asked.body["action"], reason)


def batch_status(asked: Asked) -> Json:
    """Each by itself: done, or refused with a status of its own."""
    _own(asked)
    action = asked.body.get("changeChromeOsDeviceStatusAction") or f"{_ACTION}UNSPECIFIED"
    if action.endswith("UNSPECIFIED"):
        raise required("changeChromeOsDeviceStatusAction")
    reason = asked.body.get("deprovisionReason")
    results: list[Json] = []
    for id_ in _some(asked):
        try:
            if id_ not in asked.tenant.devices:
                raise not_found("deviceId")
            _change_status(asked, asked.tenant.devices[id_], action.removeprefix(_ACTION).lower(), reason)
        except Refusal as refusal:
            code = {404: 5, 412: 9, 400: 3}[refusal.status]  # google.rpc.Code
            results.append({"deviceId": id_, "error": {"code": code, "message": refusal.message}})
        else:
            results.append({"deviceId": id_, "response": {}})
    return {"changeChromeOsDeviceStatusResults": results}


def count(asked: Asked) -> Json:
    _own(asked)
    found = _in_unit(asked, asked.query)
    if asked.query.get("filter"):
        matches = search.devices(asked.query["filter"])
        found = [each for each in found if matches(each)]
    return {"count": str(len(found))}


def issue_command(asked: Asked) -> Json:
    device = _seen(asked)
    kind = asked.body.get("commandType") or "COMMAND_TYPE_UNSPECIFIED"
    if kind == "COMMAND_TYPE_UNSPECIFIED":
        raise required("commandType")
    if device["status"] != "ACTIVE":
        raise condition("The device is not active.")
    made: Json = {"commandId": asked.tenant.numbers.whole(), "type": kind, "issueTime": moment(asked.now), "state": "PENDING"}
    asked.tenant.commands[made["commandId"]] = {**made, "deviceId": device["deviceId"]}
    return {"commandId": made["commandId"]}


def get_command(asked: Asked) -> Json:
    device = _seen(asked)
    made = asked.tenant.commands.get(asked.path["commandId"])
    if made is None or made["deviceId"] != device["deviceId"]:
        raise not_found("commandId")
    return {key: value for key, value in made.items() if key != "deviceId"}


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.chromeosdevices.get": get,
    "directory.chromeosdevices.list": listed,
    "directory.chromeosdevices.update": update,
    "directory.chromeosdevices.patch": update,
    "directory.chromeosdevices.moveDevicesToOu": move,
    "directory.chromeosdevices.action": act,
    "admin.customer.devices.chromeos.batchChangeStatus": batch_status,
    "admin.customer.devices.chromeos.countChromeOsDevices": count,
    "admin.customer.devices.chromeos.issueCommand": issue_command,
    "admin.customer.devices.chromeos.commands.get": get_command,
}
