"""Org units: a tree with names that are the same in any case."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import Refusal, condition, duplicate, invalid
from tests.doubles.google.tenant import Anything, Asked, Tenant, Unit

KIND = "admin#directory#orgUnit"
DEPTH = 35
MOST = 40_000


def root(tenant: Tenant) -> Unit:
    """The top of the tree, which is there from the start."""
    resource = {"kind": KIND, "name": "", "orgUnitPath": "/", "orgUnitId": "id:root", "etag": tenant.numbers.etag()}
    unit = Unit("id:root", resource)
    tenant.units["/"] = unit
    return unit


def plant(tenant: Tenant, path: str) -> Unit:
    """An org unit with its parents, as if it had always been there."""
    if known := tenant.unit(path):
        return known
    parent = plant(tenant, path.rpartition("/")[0] or "/")
    return _put(tenant, parent, path.rpartition("/")[2], {})


def _put(tenant: Tenant, parent: Unit, name: str, told: Json, ready_at: float = 0.0) -> Unit:
    path = f"{parent.path.rstrip('/')}/{name}"
    resource: Json = {
        "kind": KIND,
        "etag": tenant.numbers.etag(),
        "name": name,
        "description": told.get("description") or "",
        "orgUnitPath": path,
        "orgUnitId": tenant.numbers.opaque("id:03ph8a2z"),
        "parentOrgUnitPath": parent.path,
        "parentOrgUnitId": parent.id,
    }
    unit = Unit(resource["orgUnitId"], resource, ready_at)
    tenant.units[path.lower()] = unit
    return unit


def _seen(asked: Asked) -> Unit:
    told = asked.path["orgUnitPath"]
    unit = asked.tenant.unit(told if told.startswith(("id:", "/")) else f"/{told}")
    if unit is None or asked.now < unit.ready_at:
        raise Refusal(404, "notFound", "Org unit not found")
    asked.subject = unit.id
    return unit


def _parent(asked: Asked) -> Unit:
    path, id_ = asked.body.get("parentOrgUnitPath"), asked.body.get("parentOrgUnitId")
    told = path if path is not None else id_
    unit = asked.tenant.unit(told) if isinstance(told, str) else None
    if unit is None or asked.now < unit.ready_at or (path is not None and not path.startswith("/")):
        raise Refusal(400, "invalid", "Invalid Parent Orgunit Id")
    return unit


def _named(told: object) -> str:
    if not isinstance(told, str) or not told.strip() or "/" in told or told != told.strip():
        raise Refusal(400, "invalid", "Invalid Ou Id")
    return told


def _taken(asked: Asked) -> Refusal:
    if asked.quirks.duplicate_unit_conflicts:
        return duplicate()
    return Refusal(400, "invalid", "Invalid Ou Id")


def insert(asked: Asked) -> Json:
    tenant = asked.tenant
    parent, name = _parent(asked), _named(asked.body["name"])
    if tenant.unit(f"{parent.path.rstrip('/')}/{name}") is not None:
        raise _taken(asked)
    if len(tenant.units) > MOST or parent.path.count("/") >= DEPTH:
        raise condition("Limit reached: org units")
    unit = _put(tenant, parent, name, asked.body, asked.now + asked.quirks.within(asked.quirks.unit_lag))
    asked.subject = unit.id
    return unit.resource


def get(asked: Asked) -> Json:
    return _seen(asked).resource


def listed(asked: Asked) -> Json:
    told = asked.query.get("orgUnitPath", "/")
    top = asked.tenant.unit(told if told.startswith(("/", "id:")) else f"/{told}")
    if top is None:
        raise Refusal(404, "notFound", "Org unit not found")
    kind = asked.query.get("type", "children")
    found = [unit for unit in asked.tenant.below(top.path) if asked.now >= unit.ready_at]
    if kind == "children":
        found = [unit for unit in found if unit.resource["parentOrgUnitId"] == top.id]
    if kind == "allIncludingParent":
        found = [top, *found]
    answer: Json = {"kind": "admin#directory#orgUnits", "etag": '"list"'}
    units = [unit.resource for unit in sorted(found, key=lambda unit: unit.path.lower())]
    return {**answer, "organizationUnits": units} if units else answer


def update(asked: Asked) -> Json:
    unit, tenant, body = _seen(asked), asked.tenant, asked.body
    if unit.path == "/":
        raise invalid("INVALID_OU_ID")
    resource = dict(unit.resource)
    if "description" in body:
        resource["description"] = body["description"] or ""
    name = _named(body["name"]) if "name" in body else resource["name"]
    moved = body.get("parentOrgUnitPath") is not None or body.get("parentOrgUnitId") is not None
    parent = _parent(asked) if moved else tenant.units[resource["parentOrgUnitPath"].lower()]
    path = f"{parent.path.rstrip('/')}/{name}"
    if parent is unit or parent.path.lower().startswith(unit.path.lower() + "/"):
        raise invalid("INVALID_OU_ID")
    standing = tenant.unit(path)
    if standing is not None and standing is not unit:
        raise _taken(asked)
    resource |= {"name": name, "parentOrgUnitPath": parent.path, "parentOrgUnitId": parent.id, "etag": tenant.numbers.etag()}
    before = unit.path
    unit.resource = resource
    if path != before:
        _move(asked, unit, before, path)
    return unit.resource


def _move(asked: Asked, unit: Unit, before: str, after: str) -> None:
    """A unit goes elsewhere with everything in it."""
    tenant = asked.tenant
    inner = list(tenant.below(before))
    for each in (unit, *inner):
        del tenant.units[each.path.lower() if each is not unit else before.lower()]
    unit.resource = {**unit.resource, "orgUnitPath": after}
    for each in inner:
        path, parent = after + each.path[len(before) :], after + each.resource["parentOrgUnitPath"][len(before) :]
        each.resource = {**each.resource, "orgUnitPath": path, "parentOrgUnitPath": parent}
    for each in (unit, *inner):
        tenant.units[each.path.lower()] = each
    old = before.lower()
    for account in tenant.users.values():
        path = account.resource["orgUnitPath"]
        if path.lower() == old or path.lower().startswith(old + "/"):
            account.resource = {**account.resource, "orgUnitPath": after + path[len(before) :], "etag": tenant.numbers.etag()}
            tenant.publish(account, asked.quirks, asked.now)
    for device, held in tenant.devices.items():
        if held["orgUnitPath"].lower() == old or held["orgUnitPath"].lower().startswith(old + "/"):
            tenant.devices[device] = {**held, "orgUnitPath": after + held["orgUnitPath"][len(before) :]}


def delete(asked: Asked) -> None:
    unit, tenant = _seen(asked), asked.tenant
    path = unit.path.lower()
    inhabited = any(account.resource["orgUnitPath"].lower() == path for account in tenant.users.values())
    equipped = any(device["orgUnitPath"].lower() == path for device in tenant.devices.values())
    if path == "/" or inhabited or equipped or any(True for _ in tenant.below(path)):
        raise condition("Org unit is not empty")
    del tenant.units[path]


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.orgunits.insert": insert,
    "directory.orgunits.get": get,
    "directory.orgunits.list": listed,
    "directory.orgunits.update": update,
    "directory.orgunits.patch": update,
    "directory.orgunits.delete": delete,
}
