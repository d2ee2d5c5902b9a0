"""Google's search language for users and devices: `field:value`, `field=value`, `field:value*`, joined by spaces that mean *and*.

Google reads the query forgivingly; we refuse a field or an operator that its "Search for users" page does not list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import invalid

Matches = Callable[[Json], bool]
_TERM = re.compile(r"""\s*([A-Za-z_][\w.]*)\s*(:|=)\s*(\{)?('(?:[^'\\]|\\.)*'|"[^"]*"|[^\s{}]+)(\})?(\*)?""")
_EQUAL_ONLY = frozenset(
    ["orgUnitPath", "phone", "isSuspended", "isArchived", "isAdmin", "isDelegatedAdmin", "isEnrolledIn2Sv", "isEnforcedIn2Sv"]
)


def terms(query: str) -> list[tuple[str, str, str]]:
    """Field, operator (`=`, `:` or `*`) and value of each condition."""
    found, at = [], 0
    while at < len(query.rstrip()):
        term = _TERM.match(query, at)
        if term is None:
            raise invalid("query")
        field, operator, _, value, _, star = term.groups()
        if value[0] in "'\"":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        elif value.endswith("*"):
            value, star = value[:-1], "*"
        found.append((field, "*" if star else operator, value))
        at = term.end()
    if not found:
        raise invalid("query")
    return found


def _of(resource: Json, key: str, inner: str) -> Iterable[str]:
    return (str(entry.get(inner, "")) for entry in resource.get(key, ()))


_USER: dict[str, Callable[[Json], Iterable[str]]] = {
    "email": lambda each: (entry["address"] for entry in each["emails"]),
    "givenName": lambda each: (each["name"]["givenName"],),
    "familyName": lambda each: (each["name"]["familyName"],),
    "name": lambda each: (each["name"]["fullName"],),
    "externalId": lambda each: _of(each, "externalIds", "value"),
    "orgName": lambda each: _of(each, "organizations", "name"),
    "orgTitle": lambda each: _of(each, "organizations", "title"),
    "orgDepartment": lambda each: _of(each, "organizations", "department"),
    "orgDescription": lambda each: _of(each, "organizations", "description"),
    "orgCostCenter": lambda each: _of(each, "organizations", "costCenter"),
    "orgUnitPath": lambda each: (each["orgUnitPath"],),
    "phone": lambda each: _of(each, "phones", "value"),
    "address": lambda each: _of(each, "addresses", "formatted"),
    "im": lambda each: _of(each, "ims", "im"),
    "manager": lambda each: (entry["value"] for entry in each.get("relations", ()) if entry.get("type") == "manager"),
    "directManager": lambda each: (entry["value"] for entry in each.get("relations", ()) if entry.get("type") == "manager"),
    "isSuspended": lambda each: (str(each["suspended"]).lower(),),
    "isArchived": lambda each: (str(each["archived"]).lower(),),
    "isAdmin": lambda each: (str(each["isAdmin"]).lower(),),
    "isDelegatedAdmin": lambda each: (str(each["isDelegatedAdmin"]).lower(),),
    "isEnrolledIn2Sv": lambda each: (str(each["isEnrolledIn2Sv"]).lower(),),
    "isEnforcedIn2Sv": lambda each: (str(each["isEnforcedIn2Sv"]).lower(),),
}


def users(query: str) -> Matches:
    """Whether a user answers the query."""
    return _all([_condition(field, operator, value) for field, operator, value in terms(query)])


def _all(conditions: list[Matches]) -> Matches:
    return lambda each: all(condition(each) for condition in conditions)


def _condition(field: str, operator: str, value: str) -> Matches:
    if "." in field:
        schema, _, name = field.partition(".")
        return _compare(lambda each: _custom(each, schema, name), operator, value)
    if field not in _USER or (field in _EQUAL_ONLY and operator != "="):
        raise invalid("query")
    if field == "orgUnitPath":
        path = value.lower()
        return lambda each: each["orgUnitPath"].lower() == path or each["orgUnitPath"].lower().startswith(path.rstrip("/") + "/")
    return _compare(_USER[field], operator, value)


def _custom(each: Json, schema: str, name: str) -> Iterable[str]:
    value = each.get("customSchemas", {}).get(schema, {}).get(name)
    if isinstance(value, list):
        return (str(entry["value"]) for entry in value)
    return () if value is None else (str(value).lower() if isinstance(value, bool) else str(value),)


def _compare(values: Callable[[Json], Iterable[str]], operator: str, value: str) -> Matches:
    wanted = value.lower()
    if operator == "=":
        return lambda each: any(held.lower() == wanted for held in values(each))
    if operator == "*":
        return lambda each: any(word.startswith(wanted) for held in values(each) for word in (held.lower(), *held.lower().split()))
    return lambda each: any(wanted == held.lower() or wanted in re.split(r"[\s@.]+", held.lower()) for held in values(each))


# --- groups and devices ---


def groups(query: str) -> Matches:
    """Whether a group answers: `email` and `name`."""
    conditions = []
    for field, operator, value in terms(query):
        if field not in ("email", "name"):
            raise invalid("query")
        conditions.append(_compare(lambda each, field=field: (each.get(field, ""),), operator, value))  # type: ignore[misc]  # the default binds the loop's value
    return _all(conditions)


_DEVICE = {
    "asset_id": "annotatedAssetId",
    "location": "annotatedLocation",
    "note": "notes",
    "user": "annotatedUser",
}
_STATUS = {"provisioned": "ACTIVE", "disabled": "DISABLED", "deprovisioned": "DEPROVISIONED"}


def devices(query: str) -> Matches:
    """Whether a device answers. A query without an operator looks for the serial number."""
    if re.fullmatch(r"[\w-]+", query.strip()):
        query = f"id:{query.strip()}"
    return _all([_device(field, value.lower()) for field, _, value in terms(query)])


def _device(field: str, value: str) -> Matches:
    match field:
        case "status" if value == "managed":
            return lambda each: each["status"] in ("ACTIVE", "DISABLED")
        case "status" if value in _STATUS:
            return lambda each: each["status"] == _STATUS[value]
        case "id" if len(value) >= 3:
            return lambda each: each["serialNumber"].lower().startswith(value)
        case "sync" | "register":
            key = "lastSync" if field == "sync" else "lastEnrollmentTime"
            start, _, end = value.partition("..")
            return lambda each: start <= each.get(key, "")[:10] <= (end or start)
        case _ if field in _DEVICE:
            return lambda each: value in each.get(_DEVICE[field], "").lower()
    raise invalid("query")
