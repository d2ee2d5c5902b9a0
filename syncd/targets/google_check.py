"""`syncd check` for Google: whether key, delegation, role, domains, schemas and seats are what a mapping needs.

Every failure says what to click, and too much is a failure as well (R40): a program that makes accounts needs no administrator who
can do everything. Nothing here writes. Of privileges only those of the directory have names that Google documents: whether the role
may see to licences, group settings and devices is tried by reading them, and what else it has is told by its name. Which scopes
are delegated Google tells nobody: those named here are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from syncd.errors import ChangeError, EndpointError, TransientError
from syncd.targets import Examined, Needs
from syncd.targets.google_config import LICENCE
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_fields import ALIASES, field_of
from syncd.targets.google_licences import Licences
from syncd.targets.google_people import People
from syncd.targets.google_wire import DELEGATION, Scope, Wire, part

_ALL = "https://www.googleapis.com/auth/"
TOO_MUCH = (
    "https://mail.google.com/",
    f"{_ALL}drive",
    f"{_ALL}drive.readonly",
    f"{_ALL}gmail.modify",
    f"{_ALL}gmail.readonly",
    f"{_ALL}gmail.send",
    f"{_ALL}gmail.settings.sharing",
    f"{_ALL}calendar",
    f"{_ALL}contacts",
    f"{_ALL}ediscovery",
    f"{_ALL}cloud-platform",
    f"{_ALL}admin.datatransfer",
    f"{_ALL}admin.directory.domain",
    f"{_ALL}admin.directory.rolemanagement",
    f"{_ALL}admin.directory.user.security",
)
"""Scopes that nothing here ever needs, and that let whoever steals the key read mail and files, or make administrators."""
IDLE = (
    f"{_ALL}admin.directory.customer",
    f"{_ALL}admin.directory.device.mobile",
    f"{_ALL}admin.directory.resource.calendar",
    f"{_ALL}admin.directory.userschema",
    f"{_ALL}admin.reports.audit.readonly",
    f"{_ALL}admin.reports.usage.readonly",
    f"{_ALL}classroom.courses",
    f"{_ALL}classroom.rosters",
    f"{_ALL}cloud-identity.groups",
)
"""Scopes that nothing here needs either, and that do less harm."""
ROLES = "Admin console > Account > Admin roles"
_DANGEROUS = {
    "USER_SECURITY_ALL": "Users > Security",
    "DOMAIN_MANAGEMENT": "Domain management",
    "ROLE_MANAGEMENT": "Admin roles",
    "APP_ADMIN": "Service settings",
}
_ALONE = {"LICENS": "licences", "SETTING": "group_settings", "DEVICE": "devices", "CHROME": "devices"}  # [K]
"""By what in its name a privilege of another service is known, and for what it is needed."""
_TICKS = {
    "licences": "License Management",
    "group_settings": "Groups",
    "devices": "Chrome Management > Manage ChromeOS devices",
}
_CLOCK = 60.0  # seconds by which clocks may differ


@dataclass(slots=True)
class Examination:
    """One look at everything."""

    wire: Wire
    people: People
    licences: Licences
    attributes: Collection[str]
    needs: Needs
    _wrong: list[str] = field(default_factory=list)
    _noted: list[str] = field(default_factory=list)

    def result(self) -> Examined:
        """What is there and what is wrong. Raises EndpointError where the key is none, TransientError where nobody answers."""
        self.wire.key()
        granted = self._granted()
        if Scope.USERS in granted:
            looks = (
                self._administrator,
                self._domains,
                self._schemas,
                self._licences,
                self._group_settings,
                self._devices,
                self._seats,
            )
            for look in looks:
                self._told(look, granted)
        self._excess()
        self._clock()
        return Examined(tuple(self._wrong), tuple(self._noted))

    def _told(self, look: Callable[[Collection[Scope]], Iterator[str]], granted: Collection[Scope]) -> None:
        try:
            self._wrong += look(granted)
        except Refused as refused:
            if refused.meaning in (Meaning.LATER, Meaning.UNSENT, Meaning.SLOWER):
                raise TransientError(f"{self.wire.name}: {refused.told}") from refused
            error = refused.as_endpoint("", look.__name__.strip("_").replace("_", " "))
            self._wrong.append(f"{error.why}; {error.remedy}")
        except EndpointError as error:
            self._wrong.append(f"{error.why}; {error.remedy}")

    # --- scopes -------------------------------------------------------------------------------------------------------

    def needed(self) -> dict[Scope, str]:
        """The scopes that the mapping and the configuration need, and what for."""
        config, told = self.wire.config, {Scope.USERS: "accounts", Scope.UNITS: "organizational units"}
        if self.needs.joins_groups:
            told[Scope.GROUPS] = "groups and their members"
        if any(name.lower().startswith("customschemas.") for name in self.attributes):
            told[Scope.SCHEMAS] = "custom schemas"
        if self.needs.devices:
            told[Scope.DEVICES] = "devices"
        if config.group_settings:
            told[Scope.SETTINGS] = "group_settings"
        if config.licences:
            told[Scope.LICENCES] = "licences"
        return told

    def _granted(self) -> set[Scope]:
        needed, granted = self.needed(), set[Scope]()
        for scope in Scope:
            try:
                self.wire.token(scope)
            except EndpointError as error:
                if scope in needed:
                    self._wrong.append(f"for {needed[scope]}: {error.why}; {error.remedy}")
                elif scope in (Scope.ROLES, Scope.DOMAINS):
                    what = "the role's privileges" if scope is Scope.ROLES else "the domains"
                    self._noted.append(f"not looked at: {what}, for the scope {scope} is not delegated")
            else:
                granted.add(scope)
                if scope not in needed and scope not in (Scope.ROLES, Scope.DOMAINS):
                    self._noted.append(f"delegated and not needed by this configuration: {scope}")
        return granted

    def _excess(self) -> None:
        client = self.wire.key().get("client_id", "of the service account")
        for scope in (*TOO_MUCH, *IDLE):
            try:
                self.wire.token(scope)
            except (EndpointError, TransientError):
                continue
            if scope in TOO_MUCH:
                self._wrong.append(f"the scope {scope} is delegated, and must not be; {DELEGATION}: client {client}, take it out")
            else:
                self._noted.append(f"delegated and not needed by syncd: {scope}")

    def _clock(self) -> None:
        if self.wire.skew is not None and abs(self.wire.skew) > _CLOCK:
            self._wrong.append(f"this machine's clock differs from Google's by {abs(self.wire.skew):.0f} seconds; set it by NTP")

    # --- who asks -----------------------------------------------------------------------------------------------------

    def _administrator(self, granted: Collection[Scope]) -> Iterator[str]:
        admin = self.wire.config.admin
        no_administrator = f"{admin} is no administrator; {ROLES}: assign a role with the rights this mapping needs to it"
        try:
            user = self.people.get(admin)
        except Refused as refused:
            if refused.meaning is not Meaning.MAY_NOT:
                raise
            yield no_administrator  # who may not even look at itself
            return
        if user is None:
            yield f"there is no account {admin}; correct `admin` in config/syncd.yaml"
        elif user.get("isAdmin"):
            yield (
                f"{admin} is a super administrator, and whoever steals the key would be one, too; {ROLES} > Create new role: "
                "give it what `syncd check` asks for, assign it to an account of its own, and name that account as `admin`"
            )
        elif not user.get("isDelegatedAdmin"):
            yield no_administrator
        elif Scope.ROLES in granted:
            yield from self._role()

    def _role(self) -> Iterator[str]:
        config = self.wire.config
        base = f"/customer/{part(config.customer)}"
        told = self.wire.call(Scope.ROLES, "GET", f"{base}/roleassignments", query={"userKey": config.admin})
        held: set[str] = set()
        names: list[str] = []
        for one in told.get("items") or ():
            role = self.wire.call(Scope.ROLES, "GET", f"{base}/roles/{part(str(one['roleId']))}")
            names.append(str(role.get("roleName", "")))
            held |= {str(each.get("privilegeName")) for each in role.get("rolePrivileges") or ()}
            if one.get("scopeType") == "ORG_UNIT":
                self._noted.append(
                    f"the role {names[-1]} holds for one organizational unit only: accounts elsewhere cannot be written"
                )
        click = f"{ROLES} > {', '.join(names) or 'the role'} > Privileges"
        missing = [f"{name} ({why})" for name, why in self._privileges().items() if not _has(held, name)]
        if missing:
            yield f"the role lacks {', '.join(missing)}; {click}: tick them"
        if dangerous := sorted(held & _DANGEROUS.keys()):
            yield f"the role has {', '.join(dangerous)}, which nothing here needs; {click}: take them away"
        if not self.needs.deletes and _has(held, "USERS_DELETE"):
            self._noted.append("the role may delete users, and the mapping never does: it could be taken away")
        if beyond := sorted(filter(self._is_beyond, held - _DANGEROUS.keys() - {"USERS_DELETE"})):
            self._noted.append(f"the role has more than this mapping needs: {', '.join(beyond)}; {click}: they could be taken away")

    def _is_beyond(self, privilege: str) -> bool:
        """Whether nothing here needs a privilege that the role has; one for all of a kind is needed where one of the kind is."""
        if any(_has([privilege], name) for name in self._privileges()):
            return False
        uses = {use for part_of_name, use in _ALONE.items() if part_of_name in privilege}
        return not uses & set(self._alone())

    def _alone(self) -> list[str]:
        """What is needed of other services than the directory."""
        config = self.wire.config
        wanted = {
            "licences": bool(config.licences),
            "group_settings": bool(config.group_settings),
            "devices": self.needs.devices,
        }
        return [name for name, is_needed in wanted.items() if is_needed]

    def _privileges(self) -> dict[str, str]:
        """Google's privileges that the mapping needs, and what for."""
        told = {
            "USERS_RETRIEVE": "read accounts",
            "USERS_CREATE": "make accounts",
            "USERS_UPDATE": "change accounts",
            "USERS_RENAME": "new addresses",
            "USERS_SUSPEND": "close and open accounts",
            "USERS_RESET_PASSWORD": "first passwords",
            "ORGANIZATION_UNITS_RETRIEVE": "read units",
        }
        wanted: Mapping[str, tuple[bool, str]] = {
            "USERS_MOVE": (self.needs.moves, "move accounts"),
            "USERS_DELETE": (self.needs.deletes, "delete accounts"),
            "USERS_ALIAS": (any(name.lower() == ALIASES for name in self.attributes), "aliases"),
            "ORGANIZATION_UNITS_CREATE": (bool(self.needs.makes_containers), "make units"),
            "GROUPS_RETRIEVE": (self.needs.joins_groups, "read groups"),
            "GROUPS_UPDATE": (self.needs.joins_groups, "members"),
            "GROUPS_CREATE": (self.needs.makes_groups, "make groups"),
            "SCHEMA_RETRIEVE": (any(name.lower().startswith("customschemas.") for name in self.attributes), "custom attributes"),
        }
        return told | {name: why for name, (is_needed, why) in wanted.items() if is_needed}

    # --- what the role may do elsewhere -------------------------------------------------------------------------------

    def _licences(self, granted: Collection[Scope]) -> Iterator[str]:
        """Whether each licence can be looked at: the right for it, and that there is such a product."""
        if Scope.LICENCES not in granted:
            return
        for name in self.wire.config.licences:
            try:
                self.licences.look(f"{LICENCE}{name}")
            except Refused as refused:
                if refused.meaning is Meaning.MAY_NOT:
                    yield self._may_not("licences")
                    return
                if refused.meaning not in (Meaning.INVALID, Meaning.NOT_FOUND):
                    raise
                yield f"licence {name}: Google knows no such product and SKU; correct `product` and `sku`: {refused.told}"

    def _group_settings(self, granted: Collection[Scope]) -> Iterator[str]:
        """Whether the settings of some group can be looked at."""
        if Scope.SETTINGS not in granted or Scope.GROUPS not in granted or not self.wire.config.group_settings:
            return
        query = {"customer": self.wire.config.customer, "maxResults": "1", "fields": "groups(email)"}
        found = self.wire.call(Scope.GROUPS, "GET", "/groups", query=query).get("groups") or ()
        if not found:
            self._noted.append("not looked at: whether the role may set group settings, for there is no group yet")
        for group in found:
            yield from self._tried("group_settings", Scope.SETTINGS, f"/{part(str(group['email']))}", {"alt": "json"})

    def _devices(self, granted: Collection[Scope]) -> Iterator[str]:
        if Scope.DEVICES in granted and self.needs.devices:
            path = f"/customer/{part(self.wire.config.customer)}/devices/chromeos"
            yield from self._tried("devices", Scope.DEVICES, path, {"maxResults": "1", "fields": "chromeosdevices(deviceId)"})

    def _tried(self, what: str, scope: Scope, path: str, query: Mapping[str, str]) -> Iterator[str]:
        try:
            self.wire.call(scope, "GET", path, query=query)
        except Refused as refused:
            if refused.meaning is not Meaning.MAY_NOT:
                raise
            yield self._may_not(what)

    def _may_not(self, what: str) -> str:
        return f"{self.wire.config.admin} may not see to {what}; {ROLES} > the role > Privileges > Services: tick {_TICKS[what]}"

    # --- what is there ------------------------------------------------------------------------------------------------

    def _domains(self, granted: Collection[Scope]) -> Iterator[str]:
        if Scope.DOMAINS not in granted:
            return
        config = self.wire.config
        told = self.wire.call(Scope.DOMAINS, "GET", f"/customer/{part(config.customer)}/domains")
        found: dict[str, Any] = {str(one.get("domainName", "")).lower(): one for one in told.get("domains") or ()}
        click = "Admin console > Account > Domains > Manage domains"
        for domain in config.domains:
            if domain not in found:
                yield f"the customer has no domain {domain}; {click}: add it, or correct `domains` in config/syncd.yaml"
            elif not found[domain].get("verified"):
                yield f"the domain {domain} is not verified; {click}: verify it"

    def _schemas(self, granted: Collection[Scope]) -> Iterator[str]:
        wanted = [name for name in self.attributes if name.lower().startswith("customschemas.")]
        if not wanted or Scope.SCHEMAS not in granted:
            return
        there = self.people.schemas()
        for name in sorted(wanted):
            try:
                _, schema, inner = field_of(name).path
            except ChangeError as error:
                yield error.why
                continue
            if inner not in there.get(schema, {}):
                click = "Admin console > Directory > Users > More options > Manage custom attributes"
                what = f"add a custom field {inner} to the category {schema}" if schema in there else f"add a category {schema}"
                how = "" if schema in there else f" with a custom field {inner}"
                kind = "text, one value, unless the mapping gives numbers, dates, yes or no, or several of them"
                yield f"the customer has no field {inner} in a custom schema {schema}; {click}: {what}{how} ({kind})"

    def _seats(self, granted: Collection[Scope]) -> Iterator[str]:
        if Scope.LICENCES not in granted:
            return
        names = [f"{LICENCE}{name}" for name in self.wire.config.licences]
        for name, (left, _) in sorted(self.licences.seats_left(names).items()):
            if left < 0:
                yield f"{-left:,} more people have a {name} than `seats` says were bought; correct it in config/syncd.yaml"
            else:
                self._noted.append(f"{name}: {left:,} seats left")


def _has(held: Collection[str], privilege: str) -> bool:
    """Whether a privilege is held, by itself or with all of its kind (`USERS_ALL`)."""
    kind = privilege.rpartition("_")[0]
    kinds = {kind, kind.rpartition("_")[0]}
    return privilege in held or any(f"{one}_ALL" in held for one in kinds if one)
