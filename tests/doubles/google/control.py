"""What a test tells a double that runs as a process of its own: over HTTP, on paths no interface has, with a token of its own.

GET  /_double/calls?since=N    the record from call N on
GET  /_double/state            users, groups with members, units, devices and licences as they truly are
POST /_double/quirks           {"faults": 0.02, …}: turns knobs
POST /_double/clock            {"advance": 60}: lets simulated time pass
POST /_double/plant            {"units": […], "users": [{…}], "devices": [{"serial", "unit", …}], "seats": [[product, sku, n]]}
POST /_double/robot            {"revoke": "key-1"} or {"delegate": […]}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.doubles.google.clock import SimulatedClock
from tests.doubles.google.documents import Json
from tests.doubles.google.service import JSON_TYPE, Answer

if TYPE_CHECKING:
    from tests.doubles.google.double import GoogleDouble

START = "/_double/"
HEADER = "x-double-control"


class Control:
    """Answers on `/_double/` to whoever knows the token."""

    def __init__(self, double: GoogleDouble, token: str) -> None:
        self._double, self._token = double, token
        self._does: Mapping[tuple[str, str], Callable[[Json], object]] = {
            ("GET", "calls"): self._calls,
            ("GET", "state"): self._state,
            ("POST", "quirks"): lambda told: self._double.quirks.change(**told),
            ("POST", "clock"): self._clock,
            ("POST", "plant"): self._plant,
            ("POST", "robot"): self._robot,
        }

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What a test asked, done."""
        path, _, query = target.removeprefix(START).partition("?")
        does = self._does.get((verb, path))
        if headers.get(HEADER) != self._token or does is None:
            return Answer(404, [JSON_TYPE], b"{}")
        told: Json = json.loads(body or b"{}")
        if query:
            told |= dict(pair.split("=", 1) for pair in query.split("&"))
        try:
            answer = does(told)
        except (TypeError, ValueError, KeyError) as error:
            return Answer(400, [JSON_TYPE], json.dumps({"error": repr(error)}).encode())
        return Answer(200, [JSON_TYPE], json.dumps(answer).encode())

    def _calls(self, told: Json) -> list[Json]:
        return [asdict(call) for call in self._double.calls[int(told.get("since", 0)) :]]

    def _state(self, _: Json) -> Json:
        double, tenant = self._double, self._double.tenant
        return {
            "users": double.users(),
            "deleted": [account.resource for account in tenant.deleted.values()],
            "groups": {group.resource["email"]: sorted(double.members(group.id)) for group in tenant.groups.values()},
            "units": sorted(double.units()),
            "devices": double.devices(),
            "licences": [[*pair, sorted(double.licensed(*pair))] for pair in tenant.seats],
            "time": double.clock.time(),
        }

    def _clock(self, told: Json) -> float:
        if not isinstance(self._double.clock, SimulatedClock):
            raise TypeError("this double lives in real time")
        self._double.clock.advance(float(told["advance"]))
        return self._double.clock.time()

    def _plant(self, told: Json) -> None:
        self._double.plant(*told.get("units", ()))
        for user in told.get("users", ()):
            name = user.pop("name", {})
            email = user.pop("primaryEmail")
            self._double.add_user(email, name.get("givenName", "Given"), name.get("familyName", "Family"), **user)
        for device in told.get("devices", ()):
            self._double.add_device(device.pop("serial"), device.pop("unit", "/"), **device)
        for product, sku, seats in told.get("seats", ()):
            self._double.sell(product, sku, seats)

    def _robot(self, told: Json) -> None:
        if "revoke" in told:
            self._double.revoke_key(told["revoke"])
        if "delegate" in told:
            self._double.delegate(told["delegate"])
