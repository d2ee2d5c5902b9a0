"""Aliases of users: further addresses, under which they get mail and can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google import fields
from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import condition, duplicate, not_found
from tests.doubles.google.tenant import Account, Anything, Asked, Holder
from tests.doubles.google.users import addressed, replace, seen


def list_aliases(asked: Asked) -> Json:
    account = seen(asked, reading=True)
    told: Json = {"kind": "admin#directory#aliases", "etag": account.resource["etag"]}
    aliases = [_alias(account, each) for each in account.resource.get("aliases", ())]
    return {**told, "aliases": aliases} if aliases else told


def _alias(account: Account, alias: str) -> Json:
    return {"kind": "admin#directory#alias", "id": account.id, "primaryEmail": account.email, "alias": alias}


def insert_alias(asked: Asked) -> Json:
    account, tenant = seen(asked), asked.tenant
    alias = fields.address(asked.body.get("alias"), "resource_email")
    tenant.owned_domain(alias)
    if tenant.holder(alias, asked.now) is not None:
        raise duplicate()
    aliases = account.resource.get("aliases", [])
    if len(aliases) >= fields.ALIASES:
        raise condition("Limit reached: aliases of a user")
    resource = {**account.resource, "aliases": [*aliases, alias], "etag": tenant.numbers.etag()}
    tenant.addresses[alias] = Holder("user", account.id)
    addressed(resource)
    replace(asked, account, resource)
    return _alias(account, alias)


def delete_alias(asked: Asked) -> None:
    account, alias = seen(asked), asked.path["alias"].lower()
    aliases = account.resource.get("aliases", [])
    if alias not in aliases:
        raise not_found("resource_id")
    resource = {**account.resource, "aliases": [each for each in aliases if each != alias], "etag": asked.tenant.numbers.etag()}
    del asked.tenant.addresses[alias]
    addressed(resource, gone=alias)
    replace(asked, account, resource)


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.users.aliases.list": list_aliases,
    "directory.users.aliases.insert": insert_alias,
    "directory.users.aliases.delete": delete_alias,
}
