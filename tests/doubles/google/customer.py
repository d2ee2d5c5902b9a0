"""The customer itself, its domains, and the custom schemas of its users."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import condition, duplicate, invalid, not_found, required
from tests.doubles.google.tenant import Anything, Asked, moment

FIELD_TYPES = ("STRING", "INT64", "BOOL", "DOUBLE", "EMAIL", "PHONE", "DATE")
ACCESS = ("ALL_DOMAIN_USERS", "ADMINS_AND_SELF")
MOST_SCHEMAS, MOST_FIELDS = 100, 100  # [K]
_NAME = re.compile(r"[A-Za-z0-9_\-]{1,63}")


def _own(asked: Asked, key: str) -> None:
    if asked.path[key] not in ("my_customer", asked.tenant.customer):
        raise not_found("customer")


def get_customer(asked: Asked) -> Json:
    _own(asked, "customerKey")
    tenant = asked.tenant
    told = {"id": tenant.customer, "customerDomain": tenant.primary_domain, "language": "en", "customerCreationTime": moment(0)}
    return {"kind": "admin#directory#customer", "etag": '"customer"', **told}


def _domain(asked: Asked, name: str, verified: bool) -> Json:
    primary = name == asked.tenant.primary_domain
    return {
        "kind": "admin#directory#domain",
        "etag": f'"{name}"',
        "domainName": name,
        "isPrimary": primary,
        "verified": verified,
        "creationTime": "1500000000000",
    }


def get_domain(asked: Asked) -> Json:
    _own(asked, "customer")
    name = asked.path["domainName"].lower()
    if name not in asked.tenant.domains:
        raise not_found("domain")
    return _domain(asked, name, asked.tenant.domains[name])


def list_domains(asked: Asked) -> Json:
    _own(asked, "customer")
    told = [_domain(asked, name, verified) for name, verified in asked.tenant.domains.items()]
    return {"kind": "admin#directory#domains", "etag": '"list"', "domains": told}


# --- schemas ---


def _seen(asked: Asked) -> Json:
    _own(asked, "customerId")
    key = asked.path["schemaKey"]
    for schema in asked.tenant.schemas.values():
        if key in (schema["schemaName"], schema["schemaId"]):
            asked.subject = schema["schemaId"]
            return schema
    raise not_found("schemaKey")


def _fields(asked: Asked, told: list[Json], standing: Json | None = None) -> list[Json]:
    before = {field["fieldName"]: field for field in (standing or {}).get("fields", ())}
    made = []
    for spec in told:
        for key in ("fieldName", "fieldType"):
            if not spec.get(key):
                raise required(f"fields.{key}")
        if spec["fieldType"] not in FIELD_TYPES or not _NAME.fullmatch(spec["fieldName"]):
            raise invalid(f"field {spec['fieldName']}")
        if spec.get("readAccessType", ACCESS[0]) not in ACCESS:
            raise invalid("readAccessType")
        known = before.get(spec["fieldName"])
        if known and (known["fieldType"], known.get("multiValued")) != (spec["fieldType"], spec.get("multiValued", False)):
            raise invalid(f"the type of {spec['fieldName']} cannot change")
        made.append(
            {
                "kind": "admin#directory#schema#fieldspec",
                "etag": asked.tenant.numbers.etag(),
                "fieldId": known["fieldId"] if known else asked.tenant.numbers.opaque("F"),
                "displayName": spec.get("displayName") or spec["fieldName"],
                "indexed": True,
                "readAccessType": ACCESS[0],
                "multiValued": False,
                **{key: value for key, value in spec.items() if key not in ("fieldId", "etag", "kind") and value is not None},
            }
        )
    if len({field["fieldName"] for field in made}) != len(made) or not made or len(made) > MOST_FIELDS:
        raise invalid("fields")
    return made


def insert_schema(asked: Asked) -> Json:
    _own(asked, "customerId")
    tenant, name = asked.tenant, asked.body["schemaName"]
    if not _NAME.fullmatch(name):
        raise invalid("schemaName")
    if name in tenant.schemas:
        raise duplicate()
    if len(tenant.schemas) >= MOST_SCHEMAS:
        raise condition("Limit reached: schemas")
    made: Json = {
        "kind": "admin#directory#schema",
        "schemaId": tenant.numbers.opaque("S"),
        "etag": tenant.numbers.etag(),
        "schemaName": name,
        "displayName": asked.body.get("displayName") or name,
        "fields": _fields(asked, asked.body["fields"]),
    }
    tenant.schemas[name] = made
    asked.subject = made["schemaId"]
    return made


def update_schema(asked: Asked) -> Json:
    """PUT and PATCH replace the list of fields; one that users have values in cannot go."""
    schema, tenant = _seen(asked), asked.tenant
    if asked.body.get("schemaName", schema["schemaName"]) != schema["schemaName"]:
        raise invalid("schemaName")
    changed = {**schema, "etag": tenant.numbers.etag()}
    if asked.body.get("displayName"):
        changed["displayName"] = asked.body["displayName"]
    if asked.body.get("fields") is not None:
        changed["fields"] = _fields(asked, asked.body["fields"], schema)
        gone = {field["fieldName"] for field in schema["fields"]} - {field["fieldName"] for field in changed["fields"]}
        name = schema["schemaName"]
        if any(gone & account.resource.get("customSchemas", {}).get(name, {}).keys() for account in tenant.users.values()):
            raise condition("Field is in use.")
    tenant.schemas[schema["schemaName"]] = changed
    return changed


def delete_schema(asked: Asked) -> None:
    schema, tenant = _seen(asked), asked.tenant
    if any(schema["schemaName"] in account.resource.get("customSchemas", {}) for account in tenant.users.values()):
        raise condition("Schema is in use.")
    del tenant.schemas[schema["schemaName"]]


def list_schemas(asked: Asked) -> Json:
    _own(asked, "customerId")
    told: Json = {"kind": "admin#directory#schemas", "etag": '"list"'}
    return {**told, "schemas": list(asked.tenant.schemas.values())} if asked.tenant.schemas else told


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.customers.get": get_customer,
    "directory.domains.get": get_domain,
    "directory.domains.list": list_domains,
    "directory.schemas.get": _seen,
    "directory.schemas.list": list_schemas,
    "directory.schemas.insert": insert_schema,
    "directory.schemas.update": update_schema,
    "directory.schemas.patch": update_schema,
    "directory.schemas.delete": delete_schema,
}
