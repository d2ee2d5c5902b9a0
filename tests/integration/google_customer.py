"""A customer of Google's for tests: the double, a credential file for it, and a connector whose clock is the double's."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syncd.targets.google import Google
from syncd.targets.google_config import GoogleConfig
from syncd.targets.google_quota import Timing, time_runs_by
from syncd.vault import Credentials
from tests.doubles.google import SCOPES, GoogleDouble, Quirks, SimulatedClock

DOMAIN = "district.example"
SCHEMAS_READ = "https://www.googleapis.com/auth/admin.directory.userschema.readonly"
ALL_SCOPES = (*SCOPES, SCHEMAS_READ)
CREDENTIAL = "google_key"


@dataclass(frozen=True)
class Customer:
    """The double and the folder with the key to it."""

    google: GoogleDouble
    folder: Path

    def config(self, **told: object) -> GoogleConfig:
        """A configuration that leads to the double."""
        wanted = {"credential": CREDENTIAL, "admin": self.google.admin, "domains": (DOMAIN,), "api": self.google.url, **told}
        return GoogleConfig(**wanted)  # type: ignore[arg-type]  # spelled out by the callers

    def connector(self, **told: object) -> Google:
        """A connector for it; the caller closes it."""
        return Google("t", self.config(**told), Credentials(self.folder))


class EagerClock(SimulatedClock):
    """Time that passes as soon as anybody sleeps, whoever else is busy: quick, and of no use to measure how fast something goes."""

    def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        self.advance(max(seconds, 0))


@contextmanager
def customer(quirks: Quirks | None = None, clock: SimulatedClock | None = None, **told: object) -> Iterator[Customer]:
    """A customer with the units Students, Staff and Disabled, in simulated time: nobody waits."""
    clock = clock or EagerClock()
    with tempfile.TemporaryDirectory() as folder, GoogleDouble(quirks, clock=clock, scopes=ALL_SCOPES, **told) as google:  # type: ignore[arg-type]  # as above
        google.plant("/Students", "/Staff", "/Disabled")
        google.write_key_file(Path(folder) / CREDENTIAL)
        with time_runs_by(Timing(clock.monotonic, clock.sleep)):
            yield Customer(google, Path(folder))
