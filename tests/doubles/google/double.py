"""The double as a test holds it: a running server, its customer, its knobs, its record, and a robot with a key.

with GoogleDouble() as google:
    google.plant("/Students/Oak")
    file = google.key_file()          # what an administrator would download: token_uri is the double's
    …
    assert google.journal.count("directory.users.insert", status=200) == 1
    assert not google.journal.ever_sent("directory.users.delete")
"""

from __future__ import annotations

import copy
import json
import ssl
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.doubles.google import devices, roles, units
from tests.doubles.google.clock import Clock, SystemClock
from tests.doubles.google.documents import Json, document, routes
from tests.doubles.google.journal import Call, Journal
from tests.doubles.google.oauth import Endpoint, ServiceAccount
from tests.doubles.google.quirks import Quirks
from tests.doubles.google.refusals import Refusal
from tests.doubles.google.server import Listener
from tests.doubles.google.service import Scripted, Service
from tests.doubles.google.tenant import Account, Asked, Gathering, Tenant
from tests.doubles.google.users import insert as insert_user
from tests.doubles.google.users import update as update_user

_PREFIX = "https://www.googleapis.com/auth/"
SCOPES = tuple(
    _PREFIX + name
    for name in (
        "admin.directory.user",
        "admin.directory.userschema",
        "admin.directory.group",
        "admin.directory.orgunit",
        "admin.directory.device.chromeos",
        "admin.directory.customer.readonly",
        "admin.directory.domain.readonly",
        "admin.directory.rolemanagement.readonly",
        "apps.groups.settings",
        "apps.licensing",
    )
)
"""What the robot is allowed when nobody says otherwise: all that syncing takes."""
ROBOT = "syncd@district-sync.iam.gserviceaccount.com"
SUPER, ADMIN = "root", "sync-admin"
"""Local parts of the addresses that are there from the start: the super-administrator's, and of whom the robot acts for."""


@cache
def _spare_key(number: int) -> rsa.RSAPrivateKey:
    """A key; making one takes a tenth of a second, and no test cares which it is."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class GoogleDouble:
    """A Google Workspace customer on loopback."""

    def __init__(
        self,
        quirks: Quirks | None = None,
        *,
        clock: Clock | None = None,
        domains: Iterable[str] = ("district.example",),
        scopes: Iterable[str] = SCOPES,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.quirks = quirks or Quirks()
        self.clock: Clock = clock or SystemClock()
        self.tenant = Tenant(domains=dict.fromkeys(domains, True))
        self.endpoint = Endpoint(self.tenant)
        self.service = Service(self.tenant, self.quirks, self.clock, self.endpoint)
        self.robot = ServiceAccount("district-sync", ROBOT, "104857600000000000001", {"key-1": _spare_key(1)}, set(scopes))
        self.endpoint.accounts[ROBOT] = self.robot
        units.root(self.tenant)
        self._people(self.tenant.primary_domain)
        routes()  # read now, so that the first request is as quick as any
        self._listener = Listener(self.service.answer, self.clock, self._latency, self._under_way, tls)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._listener.port}"
        self.token_uri = f"{self.url}/token"
        self.endpoint.audience = self.token_uri

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop; idempotent."""
        self._listener.close()

    def _latency(self) -> float:
        return self.quirks.within(self.quirks.latency)

    def _under_way(self, change: int) -> None:
        self.service.quotas.under_way += change

    def _people(self, domain: str) -> None:
        """The two accounts that are there from the start."""
        boss = self.add_user(f"{SUPER}@{domain}", "Root", "Administrator")
        admin = self.add_user(f"{ADMIN}@{domain}", "Sync", "Administrator")
        roles.assign(self.tenant, roles.role_of(self.tenant, roles.SUPER, ("USERS_ALL",), system=True), boss.id)
        self.sync_role = roles.role_of(self.tenant, "Sync", roles.SYNC_ROLE)
        roles.assign(self.tenant, self.sync_role, admin.id)
        for account in (boss, admin):
            self.tenant.publish(account, Quirks(), self.clock.time())

    # --- credentials ---

    @property
    def admin(self) -> str:
        """The address of the administrator the robot acts for."""
        return f"{ADMIN}@{self.tenant.primary_domain}"

    @property
    def super_admin(self) -> str:
        """The address of the super-administrator."""
        return f"{SUPER}@{self.tenant.primary_domain}"

    def key_file(self, key_id: str = "key-1") -> dict[str, str]:
        """The service account's key as Google's console hands it out."""
        return self.robot.key_file(key_id, self.token_uri)

    def write_key_file(self, path: Path, key_id: str = "key-1") -> Path:
        """The same, as a credential file that only its owner reads."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.key_file(key_id)), encoding="utf-8")
        return path

    def add_key(self, key_id: str) -> None:
        """A second key, as for a rotation."""
        self.robot.keys[key_id] = _spare_key(len(self.robot.keys) + 1)

    def revoke_key(self, key_id: str = "key-1") -> None:
        """No assertion signed with it is good any more, nor the tokens it got."""
        with self.service.lock:
            del self.robot.keys[key_id]
            self.endpoint.tokens.clear()

    def delegate(self, scopes: Iterable[str] | None) -> None:
        """What the delegation says from now on; None: nothing was ever delegated. Tokens keep what they have, as Google's do."""
        self.robot.delegated = None if scopes is None else set(scopes)

    def expire_tokens(self) -> None:
        """Every token there is is too old."""
        self.endpoint.tokens.clear()

    # --- what is there without anybody having asked for it ---

    def plant(self, *paths: str) -> None:
        """Org units with their parents, as if they had always been there."""
        with self.service.lock:
            for path in paths:
                units.plant(self.tenant, path)

    def add_user(self, email: str, given: str = "Given", family: str = "Family", **told: object) -> Account:
        """A user who has been there for long."""
        body: Json = {"primaryEmail": email, "name": {"givenName": given, "familyName": family}, "password": "from before", **told}
        with self.service.lock:
            asked = Asked(
                self.tenant, Quirks(), self.clock.time(), {}, {}, body, Account("", {}), superadmin=True, privileges=frozenset()
            )
            made: Json = insert_user(asked)
            return self.tenant.users[made["id"]]

    def change_user(self, key: str, **told: object) -> None:
        """What somebody else does in the admin console: fields as the interface names them."""
        with self.service.lock:
            body: Json = dict(told)
            nobody = Account("", {})
            asked = Asked(
                self.tenant,
                self.quirks,
                self.clock.time(),
                {"userKey": key},
                {},
                body,
                nobody,
                superadmin=True,
                privileges=frozenset(),
            )
            self.account(key).ready_at = 0.0
            update_user(asked)

    def add_device(self, serial: str, unit: str = "/", **told: object) -> Json:
        """A device that enrolled itself."""
        with self.service.lock:
            return devices.enrol(
                self.tenant,
                serial,
                units.plant(self.tenant, unit) if unit != "/" else self.tenant.units["/"],
                self.clock.time(),
                **told,
            )

    def sell(self, product: str, sku: str, seats: int) -> None:
        """So many seats of a SKU from now on, whatever is assigned."""
        self.tenant.seats[product, sku] = seats

    def make_super_admin(self, email: str) -> None:
        """Give somebody the super-administrator's role."""
        role = next(role for role in self.tenant.roles.values() if role["isSuperAdminRole"])
        with self.service.lock:
            roles.assign(self.tenant, role, self.account(email).id)

    # --- what shall go wrong ---

    def next_call(self, method: str, refusal: Refusal | None, *, times: int = 1, after: bool = False) -> None:
        """Answer the next calls to a method with this refusal (None: cut the connection), before or after carrying them out."""
        self.service.scripted += [Scripted(method, refusal, after)] * times

    def close_quota(self, seconds: float, reason: str = "userRateLimitExceeded") -> None:
        """Every call is refused for so long."""
        self.quirks.change(closed_until=self.clock.time() + seconds, closed_reason=reason)

    def cut_connections(self) -> None:
        """Cut every connection, as a failing network would."""
        self._listener.cut_all()

    # --- what came of it ---

    @property
    def journal(self) -> Journal:
        """The record of every call."""
        return self.service.journal

    @property
    def calls(self) -> list[Call]:
        """Every call."""
        return self.service.journal.calls

    def account(self, key: str) -> Account:
        """The account by id, address or alias, whatever lag says; a deleted one by id."""
        held = self.tenant.addresses.get(key.lower())
        id_ = held.id if held is not None else key
        return self.tenant.users.get(id_) or self.tenant.deleted[id_]

    def user(self, key: str) -> Json:
        """The user as it truly is, all of it."""
        with self.service.lock:
            return copy.deepcopy(self.account(key).resource)

    def users(self) -> dict[str, Json]:
        """Every living user but the two administrators, by primary address, as it truly is."""
        with self.service.lock:
            own = (self.admin, self.super_admin)
            return {each.email: copy.deepcopy(each.resource) for each in self.tenant.users.values() if each.email not in own}

    def group(self, key: str) -> Gathering:
        """The group."""
        found = self.tenant.gathering(key)
        if found is None:
            raise KeyError(key)
        return found

    def members(self, group: str) -> set[str]:
        """The addresses of a group's direct members."""
        with self.service.lock:
            return {self._address(id_) for id_ in self.group(group).members}

    def _address(self, id_: str) -> str:
        if id_ in self.tenant.users:
            return self.tenant.users[id_].email
        return str(self.tenant.groups[id_].resource["email"]) if id_ in self.tenant.groups else id_.removeprefix("external-")

    def units(self) -> set[str]:
        """The paths of all org units but the root."""
        return {unit.path for unit in self.tenant.units.values() if unit.path != "/"}

    def licensed(self, product: str, sku: str) -> set[str]:
        """The addresses of those who have a seat."""
        with self.service.lock:
            return {self.tenant.users[id_].email for id_ in self.tenant.licences.get((product, sku), {})}

    def devices(self) -> dict[str, Json]:
        """Every device by serial number."""
        with self.service.lock:
            return {each["serialNumber"]: dict(each) for each in self.tenant.devices.values()}

    def discovery(self, name: str) -> Json:
        """A discovery document with the double's addresses: Google's client sends batches to `rootUrl`, not to `api_endpoint`."""
        told = copy.deepcopy(document(name))
        told["rootUrl"] = f"{self.url}/"
        told["baseUrl"] = f"{self.url}/{told['servicePath']}"
        return told
