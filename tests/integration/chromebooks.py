"""A district with Chromebooks: students in a CSV, their accounts and devices in the double of Google, over real HTTP."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from syncd.assembly import Running, migrate_store, opened
from syncd.core.model import TargetName
from syncd.engine.devices import Planned, Report
from syncd.engine.health import health
from syncd.settings import load
from syncd.vault import STATE_KEY
from tests.doubles.google import GoogleDouble, Quirks
from tests.doubles.google.documents import Json
from tests.integration.google_customer import CREDENTIAL, DOMAIN, customer

GOOGLE, MAIN = TargetName("google"), "main"
FIRST_DAY = datetime(2026, 9, 1, 15, tzinfo=UTC)
SETTINGS = """
district: {{ name: "Test ISD", timezone: "America/Chicago" }}
sources:
  sis:
    kind: csv
    people:
      path: students.csv
      key: Key
      columns: {{ given: First, family: Last, student_number: Number, grade: Grade, campus: School, exit_date: Exit,
                 confidential: Secret }}
      constants: {{ role: student }}
    shape: {{ shrink_percent: 99, signs: {{ grade: {{ at_least: 100000, campus_at_least: 100000 }},
              campus: {{ at_least: 100000, campus_at_least: 100000 }} }} }}
targets:
  google:
    kind: google
    start: live
    credential: {credential}
    admin: {admin}
    domains: [{domain}]
    api: {api}
    limits:
      update: {{ percent: 100, at_least: 100000, campus_at_least: 100000 }}
      move: {{ percent: 100, at_least: 100000, campus_at_least: 100000 }}
      disable: {{ percent: 100, at_least: 100000, campus_at_least: 100000 }}
    devices:
      roster:
        path: devices.csv
        columns: {{ serial: Serial, asset: Asset, student_number: Student, pool: Pool, status: Status }}
pipelines:
  main: {{ sources: [sis], targets: [google] }}
retention: {{ spools: 30 days, plans: 30 days, before_images: 90 days }}
"""
PEOPLE = """
populations: { students: { when: "'student' in roles" } }
names:
  username:
    populations: { students: { try: ["{{ given }}.{{ family }}.{{ student_number }}"] }
    }
    keep: "."
    max_length: 40
lifecycle:
  students: { create_before_start: 14 days, enable_before_start: 3 days, delete: never }
"""
MAPPING = f"""
target: google
accounts:
  students:
    container: "/Students/{{{{ campus.code }}}}/Grade {{{{ grade }}}}"
    rdn: "{{{{ names.username }}}}@{DOMAIN}"
    attributes: {{ name.givenName: given, name.familyName: family }}
    password: {{ initial: random }}
devices:
  unit: "/Devices/{{{{ campus.code }}}}/Grade {{{{ grade }}}}"
  location: "'Campus ' ~ campus.code"
  spare: /Devices/Storeroom
  exclude: {{ pools: [loaner], assets: ["CART-*"], units: [/Devices/Carts] }}
"""
PUPIL = ("Key", "First", "Last", "Number", "Grade", "School", "Exit", "Secret")
DEVICE = ("Serial", "Asset", "Student", "Pool", "Status")


@dataclass
class District:
    """One district. Edit `pupils` and `roster`, `deliver()`, then `sync()`; look into `google`."""

    folder: Path
    google: GoogleDouble
    pupils: dict[str, list[str]] = field(default_factory=dict)
    roster: list[list[str]] = field(default_factory=list)
    now: datetime = FIRST_DAY

    # --- what is delivered --------------------------------------------------------------------------------------------

    def pupil(self, number: int, grade: str = "05", school: str = "001", exit_date: str = "", *, secret: str = "") -> str:
        """A student; their number."""
        told = f"1{number:05}"
        self.pupils[told] = [f"k{number}", f"Given{number}", f"Family{number}", told, grade, school, exit_date, secret]
        return told

    def row(self, serial: str, student: str = "", *, asset: str = "", pool: str = "", status: str = "") -> None:
        """A row of the roster of devices."""
        self.roster.append([serial, asset, student, pool, status])

    def deliver(self) -> None:
        """Write both rosters."""
        write(self.folder / "students.csv", PUPIL, list(self.pupils.values()))
        write(self.folder / "devices.csv", DEVICE, self.roster)

    # --- what is done -------------------------------------------------------------------------------------------------

    @contextmanager
    def running(self) -> Iterator[Running]:
        """The district, open, as a process has it."""
        with opened(load(self.folder), clock=lambda: self.now) as running:
            yield running

    def accounts(self, *, first: bool = False) -> None:
        """Everybody's account is as it should be."""
        with self.running() as district:
            planned = district.engine.plan(MAIN)
            applied = district.engine.apply(planned, first=first)
            assert applied is not None, (planned.verdict, planned.stopped)
            assert not applied.failed, applied.failures

    def plan(self) -> Planned:
        """What a run about devices would do."""
        with self.running() as district:
            return district.devices.plan(GOOGLE, "test")

    def apply(self, *, first: bool = False) -> Report:
        """A run about devices."""
        with self.running() as district:
            return district.devices.apply(GOOGLE, "test", first=first)

    def begin(self) -> Report:
        """Deliver, make the accounts, and apply to the devices for the first time."""
        self.deliver()
        self.accounts(first=True)
        return self.apply(first=True)

    def later(self, days: int = 1) -> None:
        """So many days pass."""
        self.now += timedelta(days=days)

    # --- what is there ------------------------------------------------------------------------------------------------

    def of_devices(self) -> list[str]:
        """What the health says of devices, with its level."""
        with self.running() as district:
            found = health(district.config, district.store, self.now, "0.1.0", {}, alive=True)
        return [f"{reason.level.name} {reason}" for reason in found.reasons if reason.where.startswith("devices ")]

    def device(self, serial: str) -> Json:
        """A device as it truly is."""
        return next(one for one in self.google.tenant.devices.values() if one["serialNumber"] == serial)

    def address(self, number: str) -> str:
        """The address of a student."""
        _, given, family, *_ = self.pupils[number]
        return f"{given}.{family}.{number}@{DOMAIN}".lower()


def write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A CSV file."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


@contextmanager
def district(folder: Path, quirks: Quirks | None = None, edits: Mapping[str, str] | None = None) -> Iterator[District]:
    """A district with nobody in it. `edits` replaces texts of its settings."""
    with customer(quirks) as google:
        settings = SETTINGS.format(credential=CREDENTIAL, admin=google.google.admin, domain=DOMAIN, api=google.google.url)
        mapping = MAPPING
        for old, new in (edits or {}).items():
            assert old in settings + mapping, old
            settings, mapping = settings.replace(old, new), mapping.replace(old, new)
        for name, text in (("config/syncd.yaml", settings), ("mappings/people.yaml", PEOPLE), ("mappings/google.yaml", mapping)):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        credentials = folder / "credentials"
        credentials.mkdir(mode=0o700)
        google.google.write_key_file(credentials / CREDENTIAL)
        (credentials / STATE_KEY).touch(mode=0o600)
        (credentials / STATE_KEY).write_text("a state key of a test, nothing else......", encoding="utf-8")
        migrate_store(load(folder))
        yield District(folder, google.google)
