"""Users: created, read, changed, renamed, suspended, deleted and brought back."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google import fields, search
from tests.doubles.google.documents import Json, read_only
from tests.doubles.google.refusals import condition, duplicate, forbidden, incomplete, invalid, not_found, required
from tests.doubles.google.tenant import Account, Anything, Asked, Holder, moment

KIND = "admin#directory#user"
_NEVER_SENT = frozenset(("password", "hashFunction"))
_MERGED = frozenset(("name", "customSchemas"))
_PUBLIC = frozenset(
    [
        "kind",
        "id",
        "etag",
        "primaryEmail",
        "name",
        "emails",
        "organizations",
        "phones",
        "relations",
        "thumbnailPhotoUrl",
        "locations",
        "externalIds",
    ]
)
_SHADOW = ".test-google-a.com"
"""Every account of Google's has an address in this shadow of its domain, which nobody can take away."""


def seen(asked: Asked, *, reading: bool = False) -> Account:
    """The user that the path names, unless Google does not know of it yet."""
    account = asked.tenant.account(asked.path["userKey"], asked.now)
    if account is None:
        raise not_found("userKey")
    asked.subject = account.id
    if asked.now < account.ready_at:
        match asked.quirks.one_of(asked.quirks.lag_answers):
            case "404":
                raise not_found("userKey")
            case "403":
                raise forbidden()
            case "412":
                raise incomplete()
            case _ if not reading:
                raise incomplete()
    if not reading and account.resource["isAdmin"] and not asked.superadmin:
        raise forbidden()
    return account


# --- reading ---


def projected(resource: Json, query: Json) -> Json:
    """As much of a user as was asked for."""
    shown = resource
    if query.get("viewType") == "domain_public":
        return {key: value for key, value in shown.items() if key in _PUBLIC}
    projection = query.get("projection", "basic")
    if projection == "custom" and not query.get("customFieldMask"):
        raise required("customFieldMask")
    if "customSchemas" not in shown or projection == "full":
        return shown
    shown = {key: value for key, value in shown.items() if key != "customSchemas"}
    if projection == "custom":
        wanted = query["customFieldMask"].split(",")
        kept = {name: told for name, told in resource["customSchemas"].items() if name in wanted}
        if kept:
            shown["customSchemas"] = kept
    return shown


def get(asked: Asked) -> Json:
    account = seen(asked, reading=True)
    shown = account.resource
    if account.stale is not None and asked.now < account.stale_until:
        shown = account.stale
    if asked.now < account.ready_at:
        shown = {key: value for key, value in shown.items() if key not in ("name", "customSchemas")}
    return projected(shown, asked.query)


def listed(asked: Asked) -> Json:
    query, tenant = asked.query, asked.tenant
    if "customer" not in query and "domain" not in query:
        raise required("domain or customer")
    if query.get("customer", "my_customer") not in ("my_customer", tenant.customer):
        raise not_found("customer")
    domain = query.get("domain", "").lower()
    if domain and domain not in tenant.domains:
        raise not_found("domain")
    if query.get("showDeleted", "false") not in ("true", "false"):
        raise invalid("showDeleted")
    page = asked.paged("users", lambda: _living(asked, domain), "admin#directory#users")
    if "users" in page:
        page["users"] = [projected(each, query) for each in page["users"]]
    return page


def _living(asked: Asked, domain: str) -> list[Json]:
    """The users a list is of, in its order."""
    query, tenant = asked.query, asked.tenant
    if query.get("showDeleted") == "true":
        found = [each.resource for each in list(tenant.deleted.values()) if tenant.holder(each.email, asked.now) is not None]
    else:
        found = list((tenant.search if query.get("query") else tenant.listing).at(asked.now).values())
    if domain:
        found = [each for each in found if each["primaryEmail"].endswith("@" + domain)]
    if query.get("query"):
        matches = search.users(query["query"])
        found = [each for each in found if matches(each)]
    found.sort(key=_order(query.get("orderBy", "email")), reverse=query.get("sortOrder") == "DESCENDING")
    return found


def _order(by: str) -> Callable[[Json], str]:
    if by == "email":
        return lambda each: str(each["primaryEmail"])
    return lambda each: str(each["name"].get(by, "")).lower()


# --- writing ---


def _unit_path(asked: Asked, told: object) -> tuple[str, str]:
    """The org unit's path in its own spelling, and its id."""
    path = told if isinstance(told, str) else ""
    unit = asked.tenant.unit(path)
    if unit is None or not path.startswith(("/", "id:")) or asked.now < unit.ready_at:
        raise invalid("INVALID_OU_ID")
    return unit.path, unit.id


def _free(asked: Asked, told: object, own: str = "") -> str:
    """An address that may be given."""
    address = fields.address(told, "primary_user_email")
    asked.tenant.owned_domain(address)
    held = asked.tenant.holder(address, asked.now)
    if held is not None and not (own and held.id == own and held.kind == "user"):
        raise duplicate()
    return address


def addressed(resource: Json, gone: str = "") -> None:
    """Fill in what follows from the addresses: Google lists the account's own among its e-mails, after what was told."""
    local, _, domain = resource["primaryEmail"].partition("@")
    resource["nonEditableAliases"] = [f"{local}@{domain}{_SHADOW}"]
    if not resource.get("aliases"):
        resource.pop("aliases", None)
    own = [resource["primaryEmail"], *resource.get("aliases", ()), *resource["nonEditableAliases"]]
    entries = resource.get("emails", ())
    told = [each for each in entries if not each.get("address", "").endswith(_SHADOW) and each.get("address") not in (*own, gone)]
    resource["emails"] = [*told, {"address": own[0], "primary": True}, *({"address": each} for each in own[1:])]


def _merge(asked: Asked, resource: Json, body: Json) -> None:
    """Write a body into a new version: null clears, lists are replaced whole, names and custom schemas are merged."""
    for key, told in body.items():
        if key in _READ_ONLY or key in _NEVER_SENT or key in ("id", "primaryEmail", "isGuestUser", "guestAccountInfo"):
            continue
        if key == "name":
            name = {**resource.get("name", {}), **(told or {})}
            name = {each: value for each, value in name.items() if value is not None}
            fields.name(name)
            resource["name"] = {**name, "fullName": f"{name['givenName']} {name['familyName']}"}
        elif key == "customSchemas":
            _merge_custom(asked, resource, told)
        elif key == "orgUnitPath":
            resource[key], _ = _unit_path(asked, told)
        elif key == "emails":
            resource[key] = told or []
        elif told is None or told == [] or (key in ("recoveryPhone", "recoveryEmail") and told == ""):
            resource.pop(key, None)
            if key in _DEFAULTS:
                resource[key] = _DEFAULTS[key]
        else:
            resource[key] = told


def _merge_custom(asked: Asked, resource: Json, told: Json | None) -> None:
    merged: Json = {name: dict(held) for name, held in resource.get("customSchemas", {}).items()} if told is not None else {}
    for schema, values in (told or {}).items():
        held = merged.setdefault(schema, {})
        if values is None:
            held.clear()
        for field, value in (values or {}).items():
            if value is None:
                held.pop(field, None)
            else:
                held[field] = value
    merged = {name: held for name, held in merged.items() if held}
    fields.custom(merged, asked.tenant.schemas)
    if merged:
        resource["customSchemas"] = merged
    else:
        resource.pop("customSchemas", None)


_READ_ONLY = read_only("User")
_DEFAULTS: Mapping[str, object] = {
    "suspended": False,
    "archived": False,
    "changePasswordAtNextLogin": False,
    "ipWhitelisted": False,
    "includeInGlobalAddressList": True,
}


def insert(asked: Asked) -> Anything:
    body, tenant = asked.body, asked.tenant
    fields.password(body)
    fields.values(body)
    email = _free(asked, body["primaryEmail"])
    if email in tenant.unmanaged:
        return _conflicting(asked, email)
    if tenant.user_limit is not None and len(tenant.users) >= tenant.user_limit:
        raise condition("Domain user limit exceeded.")
    now = moment(asked.now)
    resource: Json = {
        "kind": KIND,
        "id": tenant.numbers.person(),
        "etag": tenant.numbers.etag(),
        "primaryEmail": email,
        "isAdmin": False,
        "isDelegatedAdmin": False,
        "lastLoginTime": "1970-01-01T00:00:00.000Z",
        "creationTime": now,
        "agreedToTerms": False,
        **_DEFAULTS,
        "languages": [{"languageCode": "en", "preference": "preferred"}],
        "customerId": tenant.customer,
        "orgUnitPath": "/",
        "isMailboxSetup": True,
        "isEnrolledIn2Sv": False,
        "isEnforcedIn2Sv": False,
    }
    _merge(asked, resource, body)
    _suspension(asked, resource, was=False)
    _archival(asked, resource, was=False)
    addressed(resource)
    ready = asked.now + asked.quirks.within(asked.quirks.user_lag)
    account = Account(resource["id"], resource, ready_at=ready)
    _set_password(account, body)
    tenant.users[account.id] = account
    tenant.addresses[email] = Holder("user", account.id)
    tenant.publish(account, asked.quirks, asked.now)
    asked.subject = account.id
    return projected(resource, {"projection": "full"})


def _conflicting(asked: Asked, email: str) -> Anything:
    """Somebody has a private account by that address; with `resolveConflictAccount` they are asked to join."""
    if not asked.query.get("resolveConflictAccount", False):
        raise duplicate()
    return 202, {"kind": KIND, "primaryEmail": email}


def _set_password(account: Account, body: Json) -> None:
    if body.get("password") is not None:
        account.password = body["password"]
        account.hash_function = body.get("hashFunction") or ""
        account.passwords_set += 1


def _suspension(asked: Asked, resource: Json, *, was: bool) -> None:
    if resource["suspended"] and not was:
        resource["suspensionReason"] = "ADMIN"
        resource["suspensionTime"] = moment(asked.now)
    elif not resource["suspended"]:
        resource.pop("suspensionReason", None)
        resource.pop("suspensionTime", None)


def _archival(asked: Asked, resource: Json, *, was: bool) -> None:
    if resource["archived"] and not was:
        seats = asked.tenant.archive_seats
        if seats is not None and sum(each.resource["archived"] for each in asked.tenant.users.values()) >= seats:
            raise condition("Insufficient archived user licenses.")
        resource["archivalTime"] = moment(asked.now)
    elif not resource["archived"]:
        resource.pop("archivalTime", None)


def update(asked: Asked) -> Json:
    """PUT as PATCH: both have patch semantics, says the document."""
    account, body, tenant = seen(asked), asked.body, asked.tenant
    before = account.resource
    if body.get("password") is not None or body.get("hashFunction") is not None:
        fields.password(body)
    fields.values(body)
    _may(asked, before, body)
    resource = dict(before)
    renamed = "primaryEmail" in body and str(body["primaryEmail"]).lower() != account.email
    if renamed:
        resource["primaryEmail"] = _free(asked, body["primaryEmail"], account.id)
        aliases = [each for each in resource.get("aliases", ()) if each != resource["primaryEmail"]]
        resource["aliases"] = [*aliases, account.email]
    _merge(asked, resource, body)
    _suspension(asked, resource, was=before["suspended"])
    _archival(asked, resource, was=before["archived"])
    addressed(resource)
    resource["etag"] = tenant.numbers.etag()
    if renamed:
        visible = asked.now + asked.quirks.within(asked.quirks.rename_lag)
        tenant.addresses[resource["primaryEmail"]] = Holder("user", account.id, visible)
    replace(asked, account, resource)
    _set_password(account, body)
    return projected(resource, {"projection": "full"})


def _may(asked: Asked, before: Json, body: Json) -> None:
    """What needs more than the right to update."""
    own = asked.actor.id == before["id"]
    if own and (body.get("suspended") or body.get("archived")):
        raise forbidden()
    needs = {
        "orgUnitPath": "USERS_MOVE",
        "password": "USERS_RESET_PASSWORD",
        "suspended": "USERS_SUSPEND",
        "primaryEmail": "USERS_RENAME",
    }
    for key, privilege in needs.items():
        changes = key == "password" or body.get(key) != before.get(key)
        if key in body and changes and not asked.superadmin and not asked.privileges & {privilege, "USERS_UPDATE", "USERS_ALL"}:
            raise forbidden()


def replace(asked: Asked, account: Account, resource: Json) -> None:
    """A new version takes the place of the old, which may be read for a while yet."""
    lag = asked.quirks.within(asked.quirks.update_lag)
    if lag:
        still = account.stale if account.stale is not None and asked.now < account.stale_until else account.resource
        account.stale, account.stale_until = still, asked.now + lag
    account.resource = resource
    asked.tenant.publish(account, asked.quirks, asked.now)


def delete(asked: Asked) -> None:
    account, tenant = seen(asked), asked.tenant
    if account.id == asked.actor.id:
        raise forbidden()
    account.deleted_at = asked.now
    account.resource = {**account.resource, "deletionTime": moment(asked.now), "etag": tenant.numbers.etag()}
    del tenant.users[account.id]
    tenant.deleted[account.id] = account
    for address in (account.email, *account.resource.get("aliases", ())):
        tenant.addresses[address] = Holder("deleted", account.id)
    for group in tenant.memberships.pop(account.id, set()):
        tenant.groups[group].members.pop(account.id, None)
    for assigned in tenant.licences.values():
        assigned.pop(account.id, None)
    tenant.rights.pop(account.id, None)
    tenant.publish(account, asked.quirks, asked.now)


def undelete(asked: Asked) -> None:
    tenant = asked.tenant
    account = tenant.deleted.get(asked.path["userKey"])  # by id only: addresses of the deleted name nobody
    if account is None or tenant.holder(account.email, asked.now) is None:
        raise not_found("userKey")
    asked.subject = account.id
    path, _ = _unit_path(asked, asked.body.get("orgUnitPath", "/"))
    resource = {**account.resource, "orgUnitPath": path, "etag": tenant.numbers.etag()}
    resource.pop("deletionTime")
    account.deleted_at, account.resource = None, resource
    del tenant.deleted[account.id]
    tenant.users[account.id] = account
    for address in (account.email, *resource.get("aliases", ())):
        tenant.addresses[address] = Holder("user", account.id)
    tenant.publish(account, asked.quirks, asked.now)


def make_admin(asked: Asked) -> None:
    account = seen(asked)
    if not asked.superadmin:
        raise forbidden()
    replace(asked, account, {**account.resource, "isAdmin": asked.body["status"], "etag": asked.tenant.numbers.etag()})


def sign_out(asked: Asked) -> None:
    seen(asked)


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.users.get": get,
    "directory.users.list": listed,
    "directory.users.insert": insert,
    "directory.users.update": update,
    "directory.users.patch": update,
    "directory.users.delete": delete,
    "directory.users.undelete": undelete,
    "directory.users.makeAdmin": make_admin,
    "directory.users.signOut": sign_out,
}
