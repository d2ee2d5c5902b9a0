"""Administrators: what each method takes, which roles there are, and who has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.doubles.google.documents import Json
from tests.doubles.google.refusals import duplicate, forbidden, invalid, not_found
from tests.doubles.google.tenant import Account, Anything, Asked, Tenant

SUPER = "_SEED_ADMIN_ROLE"
DIRECTORY_SERVICE, GROUPS_SERVICE, CHROME_SERVICE, LICENSING_SERVICE = (
    "00haapch16h1ysv",
    "01ci93xb3tmzyin",
    "03hv69ve4bjwe54",
    "02okretq0z8zsn8",
)
_TREE: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "USERS_ALL": (
        DIRECTORY_SERVICE,
        (
            "USERS_RETRIEVE",
            "USERS_CREATE",
            "USERS_UPDATE",
            "USERS_DELETE",
            "USERS_MOVE",
            "USERS_RENAME",
            "USERS_SUSPEND",
            "USERS_RESET_PASSWORD",
            "USERS_ALIAS",
        ),
    ),
    "ORGANIZATION_UNITS_ALL": (
        DIRECTORY_SERVICE,
        ("ORGANIZATION_UNITS_RETRIEVE", "ORGANIZATION_UNITS_CREATE", "ORGANIZATION_UNITS_UPDATE", "ORGANIZATION_UNITS_DELETE"),
    ),
    "USER_SECURITY_ALL": (DIRECTORY_SERVICE, ()),
    "SCHEMA_MANAGEMENT": (DIRECTORY_SERVICE, ("SCHEMA_RETRIEVE",)),
    "DOMAIN_MANAGEMENT": (DIRECTORY_SERVICE, ()),
    "GROUPS_ALL": (DIRECTORY_SERVICE, ("GROUPS_RETRIEVE", "GROUPS_CREATE", "GROUPS_UPDATE", "GROUPS_DELETE")),
    "MANAGE_GROUP_SETTINGS": (GROUPS_SERVICE, ()),
    "MANAGE_DEVICES": (CHROME_SERVICE, ("MANAGE_DEVICES_READONLY",)),
    "LICENSING": (LICENSING_SERVICE, ("LICENSING_READ",)),
}
"""Privileges and those inside them. The names of the directory's are Google's; those of the other services are [K]."""
SYNC_ROLE = (
    "USERS_ALL",
    "ORGANIZATION_UNITS_ALL",
    "SCHEMA_MANAGEMENT",
    "GROUPS_ALL",
    "MANAGE_GROUP_SETTINGS",
    "MANAGE_DEVICES",
    "LICENSING",
)
"""What a service account needs that syncs everything: no right to make administrators, to change domains or to sign people out."""
_ANY_ADMINISTRATOR = ""
_NEEDS: Mapping[str, str] = {
    "directory.users.get": "USERS_RETRIEVE",
    "directory.users.list": "USERS_RETRIEVE",
    "directory.users.insert": "USERS_CREATE",
    "directory.users.update": "USERS_UPDATE USERS_MOVE USERS_RENAME USERS_SUSPEND USERS_RESET_PASSWORD",
    "directory.users.patch": "USERS_UPDATE USERS_MOVE USERS_RENAME USERS_SUSPEND USERS_RESET_PASSWORD",
    "directory.users.delete": "USERS_DELETE",
    "directory.users.undelete": "USERS_CREATE",
    "directory.users.signOut": "USER_SECURITY_ALL",
    "directory.users.aliases.list": "USERS_RETRIEVE",
    "directory.users.aliases.insert": "USERS_ALIAS",
    "directory.users.aliases.delete": "USERS_ALIAS",
    "directory.orgunits.get": "ORGANIZATION_UNITS_RETRIEVE",
    "directory.orgunits.list": "ORGANIZATION_UNITS_RETRIEVE",
    "directory.orgunits.insert": "ORGANIZATION_UNITS_CREATE",
    "directory.orgunits.update": "ORGANIZATION_UNITS_UPDATE",
    "directory.orgunits.patch": "ORGANIZATION_UNITS_UPDATE",
    "directory.orgunits.delete": "ORGANIZATION_UNITS_DELETE",
    "directory.groups.get": "GROUPS_RETRIEVE",
    "directory.groups.list": "GROUPS_RETRIEVE",
    "directory.groups.insert": "GROUPS_CREATE",
    "directory.groups.update": "GROUPS_UPDATE",
    "directory.groups.patch": "GROUPS_UPDATE",
    "directory.groups.delete": "GROUPS_DELETE",
    "directory.groups.aliases.list": "GROUPS_RETRIEVE",
    "directory.groups.aliases.insert": "GROUPS_UPDATE",
    "directory.groups.aliases.delete": "GROUPS_UPDATE",
    "directory.members.get": "GROUPS_RETRIEVE",
    "directory.members.list": "GROUPS_RETRIEVE",
    "directory.members.hasMember": "GROUPS_RETRIEVE",
    "directory.members.insert": "GROUPS_UPDATE",
    "directory.members.update": "GROUPS_UPDATE",
    "directory.members.patch": "GROUPS_UPDATE",
    "directory.members.delete": "GROUPS_UPDATE",
    "groupsSettings.groups.get": "MANAGE_GROUP_SETTINGS GROUPS_ALL",
    "groupsSettings.groups.update": "MANAGE_GROUP_SETTINGS GROUPS_ALL",
    "groupsSettings.groups.patch": "MANAGE_GROUP_SETTINGS GROUPS_ALL",
    "directory.schemas.get": "SCHEMA_RETRIEVE",
    "directory.schemas.list": "SCHEMA_RETRIEVE",
    "directory.schemas.insert": "SCHEMA_MANAGEMENT",
    "directory.schemas.update": "SCHEMA_MANAGEMENT",
    "directory.schemas.patch": "SCHEMA_MANAGEMENT",
    "directory.schemas.delete": "SCHEMA_MANAGEMENT",
    "directory.chromeosdevices.get": "MANAGE_DEVICES_READONLY",
    "directory.chromeosdevices.list": "MANAGE_DEVICES_READONLY",
    "admin.customer.devices.chromeos.countChromeOsDevices": "MANAGE_DEVICES_READONLY",
    "admin.customer.devices.chromeos.commands.get": "MANAGE_DEVICES_READONLY",
    "directory.customers.get": _ANY_ADMINISTRATOR,
    "directory.domains.get": _ANY_ADMINISTRATOR,
    "directory.domains.list": _ANY_ADMINISTRATOR,
    "directory.roles.get": _ANY_ADMINISTRATOR,
    "directory.roles.list": _ANY_ADMINISTRATOR,
    "directory.roleAssignments.get": _ANY_ADMINISTRATOR,
    "directory.roleAssignments.list": _ANY_ADMINISTRATOR,
    "directory.privileges.list": _ANY_ADMINISTRATOR,
    "licensing.licenseAssignments.get": "LICENSING_READ",
    "licensing.licenseAssignments.listForProduct": "LICENSING_READ",
    "licensing.licenseAssignments.listForProductAndSku": "LICENSING_READ",
}
_NEEDS_BY_INTERFACE = {
    "licensing": "LICENSING",
    "directory.chromeosdevices": "MANAGE_DEVICES",
    "admin.customer.devices": "MANAGE_DEVICES",
}


def privileges_of(tenant: Tenant, account: Account) -> frozenset[str]:
    """What an account may, by the roles assigned to it or to a group it is in; each privilege with those inside it."""
    if account.id in tenant.rights:
        return tenant.rights[account.id]
    groups = tenant.memberships.get(account.id, set())
    held: set[str] = set()
    for assignment in tenant.assignments.values():
        if assignment["assignedTo"] == account.id or assignment["assignedTo"] in groups:
            held |= {each["privilegeName"] for each in tenant.roles[assignment["roleId"]]["rolePrivileges"]}
    for whole, (_, parts) in _TREE.items():
        if whole in held:
            held |= set(parts)
    return tenant.rights.setdefault(account.id, frozenset(held))


def authorised(asked: Asked, method: str) -> None:
    """Refuse what the administrator has no privilege for. What is not listed takes a super-administrator."""
    if asked.superadmin:
        return
    needs = _NEEDS.get(method)
    if needs is None:
        needs = next((told for start, told in _NEEDS_BY_INTERFACE.items() if method.startswith(start)), None)
    if needs is None or not (asked.privileges & set(needs.split()) if needs else asked.privileges):
        raise forbidden()


def privilege_list(asked: Asked) -> Json:
    _customer(asked)

    def told(name: str, service: str, parts: tuple[str, ...]) -> Json:
        inner = [told(part, service, ()) for part in parts]
        made: Json = {"kind": "admin#directory#privilege", "privilegeName": name, "serviceId": service, "isOuScopable": True}
        return {**made, "childPrivileges": inner} if inner else made

    items = [told(name, service, parts) for name, (service, parts) in _TREE.items()]
    return {"kind": "admin#directory#privileges", "etag": '"list"', "items": items}


def role_of(tenant: Tenant, name: str, privileges: tuple[str, ...], *, system: bool = False) -> Json:
    """A new role."""
    made: Json = {
        "kind": "admin#directory#role",
        "etag": tenant.numbers.etag(),
        "roleId": tenant.numbers.whole(),
        "roleName": name,
        "roleDescription": name,
        "rolePrivileges": [{"privilegeName": each, "serviceId": _service(each)} for each in privileges],
        "isSystemRole": system,
        "isSuperAdminRole": name == SUPER,
    }
    tenant.roles[made["roleId"]] = made
    return made


def _service(privilege: str) -> str:
    for whole, (service, parts) in _TREE.items():
        if privilege == whole or privilege in parts:
            return service
    raise invalid(f"privilege {privilege}")


def assign(tenant: Tenant, role: Json, assignee: str, scope: str = "CUSTOMER") -> Json:
    """Give a role to a user or a group, by id."""
    made: Json = {
        "kind": "admin#directory#roleAssignment",
        "etag": tenant.numbers.etag(),
        "roleAssignmentId": tenant.numbers.whole(),
        "roleId": role["roleId"],
        "assignedTo": assignee,
        "assigneeType": "group" if assignee in tenant.groups else "user",
        "scopeType": scope,
    }
    tenant.assignments[made["roleAssignmentId"]] = made
    tenant.rights.clear()
    if (account := tenant.users.get(assignee)) is not None:
        flag = "isAdmin" if role["isSuperAdminRole"] else "isDelegatedAdmin"
        account.resource = {**account.resource, flag: True, "etag": tenant.numbers.etag()}
    return made


def _customer(asked: Asked) -> None:
    if asked.path["customer"] not in ("my_customer", asked.tenant.customer):
        raise not_found("customer")


def list_roles(asked: Asked) -> Json:
    _customer(asked)
    return asked.paged("items", lambda: list(asked.tenant.roles.values()), "admin#directory#roles")


def get_role(asked: Asked) -> Json:
    _customer(asked)
    role: Json | None = asked.tenant.roles.get(asked.path["roleId"])
    if role is None:
        raise not_found("roleId")
    return role


def insert_role(asked: Asked) -> Json:
    _customer(asked)
    name, told = asked.body["roleName"], asked.body["rolePrivileges"]
    if any(role["roleName"] == name for role in asked.tenant.roles.values()):
        raise duplicate()
    return role_of(asked.tenant, name, tuple(each["privilegeName"] for each in told))


def list_assignments(asked: Asked) -> Json:
    _customer(asked)
    tenant, query = asked.tenant, asked.query
    if query.get("userKey") and query.get("roleId"):
        raise invalid("userKey and roleId exclude each other")
    wanted = None
    if query.get("userKey"):
        member = tenant.account(query["userKey"], asked.now) or tenant.gathering(query["userKey"])
        if member is None:
            raise not_found("userKey")
        indirect = tenant.memberships.get(member.id, set()) if query.get("includeIndirectRoleAssignments") else set()
        wanted = {member.id, *indirect}

    def entries() -> list[Json]:
        return [
            each
            for each in tenant.assignments.values()
            if (wanted is None or each["assignedTo"] in wanted) and query.get("roleId", each["roleId"]) == each["roleId"]
        ]

    return asked.paged("items", entries, "admin#directory#roleAssignments")


def get_assignment(asked: Asked) -> Json:
    _customer(asked)
    found: Json | None = asked.tenant.assignments.get(asked.path["roleAssignmentId"])
    if found is None:
        raise not_found("roleAssignmentId")
    return found


def insert_assignment(asked: Asked) -> Json:
    _customer(asked)
    role = asked.tenant.roles.get(asked.body.get("roleId") or "")
    assignee = asked.body.get("assignedTo") or ""
    if role is None or (assignee not in asked.tenant.users and assignee not in asked.tenant.groups):
        raise invalid("role assignment")
    return assign(asked.tenant, role, assignee, asked.body.get("scopeType") or "CUSTOMER")


def delete_assignment(asked: Asked) -> None:
    found = get_assignment(asked)
    tenant = asked.tenant
    del tenant.assignments[found["roleAssignmentId"]]
    tenant.rights.clear()
    account = tenant.users.get(found["assignedTo"])
    if account is not None:
        left = [tenant.roles[each["roleId"]] for each in tenant.assignments.values() if each["assignedTo"] == account.id]
        flags = {
            "isAdmin": any(r["isSuperAdminRole"] for r in left),
            "isDelegatedAdmin": any(not r["isSuperAdminRole"] for r in left),
        }
        account.resource = {**account.resource, **flags, "etag": tenant.numbers.etag()}


METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    "directory.privileges.list": privilege_list,
    "directory.roles.list": list_roles,
    "directory.roles.get": get_role,
    "directory.roles.insert": insert_role,
    "directory.roleAssignments.list": list_assignments,
    "directory.roleAssignments.get": get_assignment,
    "directory.roleAssignments.insert": insert_assignment,
    "directory.roleAssignments.delete": delete_assignment,
}
