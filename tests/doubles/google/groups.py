"""Groups, their members and their settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.doubles.google import fields, search
from tests.doubles.google.documents import SETTINGS, Json, document
from tests.doubles.google.refusals import condition, duplicate, invalid, not_found, required
from tests.doubles.google.tenant import Account, Anything, Asked, Gathering, Holder

KIND = "admin#directory#group"
MEMBER = "admin#directory#member"
DESCRIPTION = 4096
ROLES = ("OWNER", "MANAGER", "MEMBER")
DELIVERY = ("ALL_MAIL", "DAILY", "DIGEST", "DISABLED", "NONE")
_BOOLEAN_SETTINGS = frozenset(
    [
        "allowExternalMembers",
        "allowWebPosting",
        "archiveOnly",
        "isArchived",
        "includeInGlobalAddressList",
        "membersCanPostAsTheGroup",
        "enableCollaborativeInbox",
        "includeCustomFooter",
        "sendMessageDenyNotification",
    ]
)
_WORDS = {  # the values of the settings a district sets, from the reference of groups settings [K]
    "whoCanJoin": ("ANYONE_CAN_JOIN", "ALL_IN_DOMAIN_CAN_JOIN", "INVITED_CAN_JOIN", "CAN_REQUEST_TO_JOIN"),
    "whoCanViewMembership": ("ALL_IN_DOMAIN_CAN_VIEW", "ALL_MEMBERS_CAN_VIEW", "ALL_MANAGERS_CAN_VIEW", "ALL_OWNERS_CAN_VIEW"),
    "whoCanViewGroup": (
        "ANYONE_CAN_VIEW",
        "ALL_IN_DOMAIN_CAN_VIEW",
        "ALL_MEMBERS_CAN_VIEW",
        "ALL_MANAGERS_CAN_VIEW",
        "ALL_OWNERS_CAN_VIEW",
    ),
    "whoCanPostMessage": (
        "NONE_CAN_POST",
        "ALL_MANAGERS_CAN_POST",
        "ALL_MEMBERS_CAN_POST",
        "ALL_OWNERS_CAN_POST",
        "ALL_IN_DOMAIN_CAN_POST",
        "ANYONE_CAN_POST",
    ),
    "messageModerationLevel": ("MODERATE_ALL_MESSAGES", "MODERATE_NON_MEMBERS", "MODERATE_NEW_MEMBERS", "MODERATE_NONE"),
    "whoCanDiscoverGroup": ("ANYONE_CAN_DISCOVER", "ALL_IN_DOMAIN_CAN_DISCOVER", "ALL_MEMBERS_CAN_DISCOVER"),
    "whoCanLeaveGroup": ("ALL_MANAGERS_CAN_LEAVE", "ALL_OWNERS_CAN_LEAVE", "ALL_MEMBERS_CAN_LEAVE", "NONE_CAN_LEAVE"),
    "whoCanContactOwner": (
        "ALL_IN_DOMAIN_CAN_CONTACT",
        "ALL_MANAGERS_CAN_CONTACT",
        "ALL_MEMBERS_CAN_CONTACT",
        "ANYONE_CAN_CONTACT",
        "ALL_OWNERS_CAN_CONTACT",
    ),
}
_FIXED_SETTINGS = frozenset(("kind", "email", "name", "description"))


def _seen(asked: Asked, key: str = "groupKey") -> Gathering:
    group = asked.tenant.gathering(asked.path[key])
    if group is None or asked.now < group.ready_at:
        raise not_found("groupKey")
    asked.subject = group.id
    return group


def shown(group: Gathering) -> Json:
    """A group as it is sent, with its direct members counted."""
    return {**group.resource, "directMembersCount": str(len(group.members))}


def insert(asked: Asked) -> Json:
    body, tenant = asked.body, asked.tenant
    email = fields.address(body["email"], "resource_email", group=True)
    tenant.owned_domain(email)
    if tenant.holder(email, asked.now) is not None:
        raise duplicate()
    if len(body.get("description") or "") > DESCRIPTION:
        raise invalid("description")
    resource: Json = {
        "kind": KIND,
        "id": tenant.numbers.opaque("01egqt2p"),
        "etag": tenant.numbers.etag(),
        "email": email,
        "name": body.get("name") or email.partition("@")[0],
        "description": body.get("description") or "",
        "adminCreated": True,
        "nonEditableAliases": [f"{email}.test-google-a.com"],
    }
    group = Gathering(resource["id"], resource, ready_at=asked.now + asked.quirks.within(asked.quirks.group_lag))
    group.settings = {
        "allowExternalMembers": "false",
        "whoCanJoin": "CAN_REQUEST_TO_JOIN",
        "isArchived": "false",
        "archiveOnly": "false",
    }
    group.settings |= {"whoCanPostMessage": "ANYONE_CAN_POST", "whoCanViewMembership": "ALL_MEMBERS_CAN_VIEW"}
    group.settings |= {"includeInGlobalAddressList": "true", "whoCanViewGroup": "ALL_MEMBERS_CAN_VIEW"}
    tenant.groups[group.id] = group
    tenant.addresses[email] = Holder("group", group.id)
    asked.subject = group.id
    return shown(group)


def get(asked: Asked) -> Json:
    return shown(_seen(asked))


def update(asked: Asked) -> Json:
    group, body, tenant = _seen(asked), asked.body, asked.tenant
    resource = dict(group.resource)
    if body.get("email") and body["email"].lower() != resource["email"]:
        email = fields.address(body["email"], "resource_email", group=True)
        tenant.owned_domain(email)
        held = tenant.holder(email, asked.now)
        if held is not None and held.id != group.id:
            raise duplicate()
        resource["aliases"] = [each for each in [*resource.get("aliases", []), resource["email"]] if each != email]
        resource["email"] = email
        tenant.addresses[email] = Holder("group", group.id)
    if len(body.get("description") or "") > DESCRIPTION:
        raise invalid("description")
    for key in ("name", "description"):
        if key in body:
            resource[key] = body[key] or ""
    group.resource = {**resource, "etag": tenant.numbers.etag()}
    return shown(group)


def delete(asked: Asked) -> None:
    group, tenant = _seen(asked), asked.tenant
    for address in (group.resource["email"], *group.resource.get("aliases", ())):
        del tenant.addresses[address]
    for member in group.members:
        tenant.memberships.get(member, set()).discard(group.id)
    for outer in tenant.memberships.pop(group.id, set()):
        tenant.groups[outer].members.pop(group.id, None)
    del tenant.groups[group.id]
    tenant.rights.clear()


def listed(asked: Asked) -> Json:
    query, tenant = asked.query, asked.tenant
    if not query.keys() & {"customer", "domain", "userKey"}:
        raise required("domain or customer or userKey")
    if query.get("customer", "my_customer") not in ("my_customer", tenant.customer):
        raise not_found("customer")
    if query.get("domain", tenant.primary_domain).lower() not in tenant.domains:
        raise not_found("domain")
    return asked.paged("groups", lambda: _groups(asked), "admin#directory#groups")


def _groups(asked: Asked) -> list[Json]:
    query, tenant = asked.query, asked.tenant
    if key := query.get("userKey"):
        member = tenant.account(key, asked.now) or tenant.gathering(key)
        if member is None:
            raise not_found("userKey")
        found = [tenant.groups[id_] for id_ in tenant.memberships.get(member.id, ())]
    else:
        found = list(tenant.groups.values())
    told = [shown(group) for group in found if asked.now >= group.ready_at]
    if domain := query.get("domain"):
        told = [each for each in told if each["email"].endswith("@" + domain.lower())]
    if query.get("query"):
        matches = search.groups(query["query"])
        told = [each for each in told if matches(each)]
    return sorted(told, key=lambda each: str(each["email"]), reverse=query.get("sortOrder") == "DESCENDING")


# --- aliases ---


def list_aliases(asked: Asked) -> Json:
    group = _seen(asked)
    aliases = [_alias(group, each) for each in group.resource.get("aliases", ())]
    told: Json = {"kind": "admin#directory#aliases", "etag": group.resource["etag"]}
    return {**told, "aliases": aliases} if aliases else told


def _alias(group: Gathering, alias: str) -> Json:
    return {"kind": "admin#directory#alias", "id": group.id, "primaryEmail": group.resource["email"], "alias": alias}


def insert_alias(asked: Asked) -> Json:
    group, tenant = _seen(asked), asked.tenant
    alias = fields.address(asked.body.get("alias"), "resource_email", group=True)
    tenant.owned_domain(alias)
    if tenant.holder(alias, asked.now) is not None:
        raise duplicate()
    group.resource = {**group.resource, "aliases": [*group.resource.get("aliases", []), alias], "etag": tenant.numbers.etag()}
    tenant.addresses[alias] = Holder("group", group.id)
    return _alias(group, alias)


def delete_alias(asked: Asked) -> None:
    group, alias = _seen(asked), asked.path["alias"].lower()
    aliases = group.resource.get("aliases", [])
    if alias not in aliases:
        raise not_found("resource_id")
    group.resource = {**group.resource, "aliases": [each for each in aliases if each != alias]}
    del asked.tenant.addresses[alias]


# --- members ---


def member_shown(asked: Asked, member: Json) -> Json:
    """A member as it is sent: with its address of today, and whether it is suspended."""
    account = asked.tenant.users.get(member["id"])
    if account is not None:
        status = "SUSPENDED" if account.resource["suspended"] else "ACTIVE"
        return {**member, "email": account.email, "status": status}
    group = asked.tenant.groups.get(member["id"])
    return {**member, "email": group.resource["email"], "status": "ACTIVE"} if group is not None else member


def _candidate(asked: Asked) -> Json:
    """Who is to be a member."""
    body, tenant = asked.body, asked.tenant
    key = body.get("id") or body.get("email")
    if not key:
        raise required("memberKey")
    if body.get("id") is None:
        key = fields.address(key, "memberKey", group=True)
    account = tenant.account(key, asked.now)
    if account is not None:
        if asked.now < account.ready_at:
            raise not_found("memberKey")
        return {"id": account.id, "type": "USER"}
    if (group := tenant.gathering(key)) is not None:
        return {"id": group.id, "type": "GROUP"}
    if body.get("id") is not None or key.rpartition("@")[2] in tenant.domains:
        raise not_found("memberKey")
    return {"id": f"external-{key}", "type": "USER", "email": key}


def _role(body: Json, standing: str = "MEMBER") -> str:
    role = body.get("role") or standing
    if role not in ROLES:
        raise invalid("role")
    if (body.get("delivery_settings") or "ALL_MAIL") not in DELIVERY:
        raise invalid("delivery_settings")
    return str(role)


def insert_member(asked: Asked) -> Json:
    group, tenant = _seen(asked), asked.tenant
    candidate, role = _candidate(asked), _role(asked.body)
    if candidate["id"] in group.members:
        raise duplicate("Member already exists.")
    if candidate["id"].startswith("external-") and group.settings["allowExternalMembers"] != "true":
        raise condition("External members are not allowed in the group.")
    if candidate["type"] == "GROUP":
        if role not in {"MEMBER", "MANAGER"}:
            raise invalid("role: a group is no owner")
        if candidate["id"] == group.id or group.id in _inner(asked, candidate["id"]):
            raise condition("Cyclic memberships not allowed")
    member = {"kind": MEMBER, "etag": tenant.numbers.etag(), **candidate, "role": role}
    member["delivery_settings"] = asked.body.get("delivery_settings") or "ALL_MAIL"
    group.members[candidate["id"]] = member
    tenant.memberships.setdefault(candidate["id"], set()).add(group.id)
    tenant.rights.pop(candidate["id"], None)
    return member_shown(asked, member)


def _inner(asked: Asked, group: str) -> set[str]:
    """The ids of everything in a group, however deep."""
    found: set[str] = set()
    open_ = [group]
    while open_:
        for member in asked.tenant.groups[open_.pop()].members:
            if member not in found:
                found.add(member)
                if member in asked.tenant.groups:
                    open_.append(member)
    return found


def _member_id(asked: Asked) -> str:
    key = asked.path["memberKey"]
    known: Account | Gathering | None = asked.tenant.account(key, asked.now) or asked.tenant.gathering(key)
    return known.id if known is not None else f"external-{key.lower()}"


def _member(asked: Asked, group: Gathering) -> Json:
    member = group.members.get(_member_id(asked))
    if member is None:
        raise not_found("memberKey")
    return member


def get_member(asked: Asked) -> Json:
    return member_shown(asked, _member(asked, _seen(asked)))


def update_member(asked: Asked) -> Json:
    group = _seen(asked)
    member = _member(asked, group)
    changed = {**member, "role": _role(asked.body, member["role"]), "etag": asked.tenant.numbers.etag()}
    if asked.body.get("delivery_settings"):
        changed["delivery_settings"] = asked.body["delivery_settings"]
    group.members[member["id"]] = changed
    return member_shown(asked, changed)


def delete_member(asked: Asked) -> None:
    group = _seen(asked)
    member = _member(asked, group)
    del group.members[member["id"]]
    asked.tenant.memberships[member["id"]].discard(group.id)
    asked.tenant.rights.pop(member["id"], None)


def list_members(asked: Asked) -> Json:
    group = _seen(asked)
    roles = frozenset(asked.query["roles"].split(",")) if asked.query.get("roles") else None
    if roles is not None and not roles <= set(ROLES):
        raise invalid("roles")
    page = asked.paged("members", lambda: list(_members(asked, group, roles)), "admin#directory#members")
    if "members" in page:
        told = (
            {k: v for k, v in each.items() if k != "delivery_settings"} for each in page["members"]
        )  # only by get, insert, update
        page["members"] = [member_shown(asked, each) for each in told]
    return page


def _members(asked: Asked, group: Gathering, roles: frozenset[str] | None) -> Iterator[Json]:
    direct = [each for each in group.members.values() if roles is None or each["role"] in roles]
    yield from direct
    if asked.query.get("includeDerivedMembership"):
        listed_ = {each["id"] for each in direct}
        for id_ in sorted(_inner(asked, group.id) - listed_):
            holder = next(iter(asked.tenant.memberships[id_]))
            yield {**asked.tenant.groups[holder].members[id_], "role": "MEMBER"}


def has_member(asked: Asked) -> Json:
    group = _seen(asked)
    member = _member_id(asked)
    if member.startswith("external-") and member not in group.members:
        raise invalid("memberKey")
    return {"isMember": member in group.members or member in _inner(asked, group.id)}


# --- settings ---


def _settings(group: Gathering) -> Json:
    resource = group.resource
    fixed = {
        "kind": "groupsSettings#groups",
        "email": resource["email"],
        "name": resource["name"],
        "description": resource["description"],
    }
    return {**fixed, **group.settings}


def get_settings(asked: Asked) -> Json:
    return _settings(_seen(asked, "groupUniqueId"))


def update_settings(asked: Asked) -> Json:
    group = _seen(asked, "groupUniqueId")
    known = document(SETTINGS)["schemas"]["Groups"]["properties"]
    for key, told in asked.body.items():
        if key in _BOOLEAN_SETTINGS and told not in ("true", "false"):
            raise invalid(f"{key}: the strings true and false")
        if key in _WORDS and told not in _WORDS[key]:
            raise invalid(f"{key}: {told}")
        if key in known and key not in _FIXED_SETTINGS:
            group.settings[key] = told
    return _settings(group)


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.groups.insert": insert,
    "directory.groups.get": get,
    "directory.groups.list": listed,
    "directory.groups.update": update,
    "directory.groups.patch": update,
    "directory.groups.delete": delete,
    "directory.groups.aliases.list": list_aliases,
    "directory.groups.aliases.insert": insert_alias,
    "directory.groups.aliases.delete": delete_alias,
    "directory.members.insert": insert_member,
    "directory.members.get": get_member,
    "directory.members.list": list_members,
    "directory.members.update": update_member,
    "directory.members.patch": update_member,
    "directory.members.delete": delete_member,
    "directory.members.hasMember": has_member,
    "groupsSettings.groups.get": get_settings,
    "groupsSettings.groups.update": update_settings,
    "groupsSettings.groups.patch": update_settings,
}
