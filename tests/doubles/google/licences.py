"""Licences: so many seats of a product's SKU, assigned to users one by one.

The two refusals of an assignment, 412 with the words below, are those that administrators' tools look for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import condition, invalid, not_found
from tests.doubles.google.tenant import Account, Anything, Asked

EXHAUSTED = "There aren't enough available licenses for the specified product-SKU pair"
HELD = "User already has a license for the specified product and SKU"


def _sku(asked: Asked, sku: str | None = None) -> tuple[str, str]:
    pair = (asked.path["productId"], sku if sku is not None else asked.path["skuId"])
    if pair not in asked.tenant.seats:
        raise not_found("sku" if any(product == pair[0] for product, _ in asked.tenant.seats) else "product")
    return pair


def _user(asked: Asked, key: str) -> Account:
    account = asked.tenant.account(key, asked.now)
    if account is None or asked.now < account.ready_at:
        raise not_found("userId")
    asked.subject = account.id
    return account


def _shown(asked: Asked, pair: tuple[str, str], user: str) -> Json:
    """An assignment, under the user's address of today."""
    account = asked.tenant.users[user]
    return {**asked.tenant.licences[pair][user], "userId": account.email}


def _assign(asked: Asked, pair: tuple[str, str], account: Account) -> Json:
    tenant = asked.tenant
    assigned = tenant.licences.setdefault(pair, {})
    if account.id in assigned:
        raise condition(HELD)
    if len(assigned) >= tenant.seats[pair]:
        raise condition(EXHAUSTED)
    product, sku = pair
    assigned[account.id] = {
        "kind": "licensing#licenseAssignment",
        "etags": tenant.numbers.etag(),
        "productId": product,
        "skuId": sku,
        "productName": product,
        "skuName": sku,
        "selfLink": f"/apps/licensing/v1/product/{product}/sku/{sku}/user/{account.id}",
    }
    return _shown(asked, pair, account.id)


def insert(asked: Asked) -> Json:
    pair = _sku(asked)
    return _assign(asked, pair, _user(asked, asked.body["userId"]))


def get(asked: Asked) -> Json:
    pair, account = _sku(asked), _user(asked, asked.path["userId"])
    if account.id not in asked.tenant.licences.get(pair, {}):
        raise not_found("userId")
    return _shown(asked, pair, account.id)


def delete(asked: Asked) -> Json:
    pair, account = _sku(asked), _user(asked, asked.path["userId"])
    if asked.tenant.licences.get(pair, {}).pop(account.id, None) is None:
        raise not_found("userId")
    return {}


def update(asked: Asked) -> Json:
    """Move a user from one SKU of a product to another; the seat there must be free."""
    pair, account = _sku(asked), _user(asked, asked.path["userId"])
    held = asked.tenant.licences.get(pair, {})
    if account.id not in held:
        raise not_found("userId")
    target = _sku(asked, asked.body.get("skuId") or pair[1])
    if target == pair:
        return _shown(asked, pair, account.id)
    made = _assign(asked, target, account)
    del held[account.id]
    return made


def _list(asked: Asked, pairs: list[tuple[str, str]]) -> Json:
    if asked.query["customerId"] not in ("my_customer", asked.tenant.customer, asked.tenant.primary_domain):
        raise invalid("customerId")

    def entries() -> list[Json]:
        found = [_shown(asked, pair, user) for pair in pairs for user in asked.tenant.licences.get(pair, {})]
        return sorted(found, key=lambda each: (each["userId"], each["skuId"]))

    return asked.paged("items", entries, "licensing#licenseAssignmentList")


def list_product(asked: Asked) -> Json:
    pairs = [pair for pair in asked.tenant.seats if pair[0] == asked.path["productId"]]
    if not pairs:
        raise not_found("product")
    return _list(asked, pairs)


def list_sku(asked: Asked) -> Json:
    return _list(asked, [_sku(asked)])


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "licensing.licenseAssignments.insert": insert,
    "licensing.licenseAssignments.get": get,
    "licensing.licenseAssignments.delete": delete,
    "licensing.licenseAssignments.update": update,
    "licensing.licenseAssignments.patch": update,
    "licensing.licenseAssignments.listForProduct": list_product,
    "licensing.licenseAssignments.listForProductAndSku": list_sku,
}
