"""Where disasters happen: a district in a real slapd, set up once, put back in a moment, and looked at with ldapsearch.

The folder, the store and the server's data are copied after the first apply; before each disaster the copies are put in place. What
the directory holds is told by the server's own client, what is right by the good roster, and what people hear by the daemon's own
health and notification.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import ClassVar, cast

from bench.exports import Export, slim, tell_settings
from bench.truth import Seen
from syncd.assembly import Running, opened
from syncd.core.health import Freshness, Kind
from syncd.daemon.herald import Herald
from syncd.demo.district import District
from syncd.demo.slapd import ADMIN_DN, SUFFIX, Binaries, PrivateSlapd
from syncd.demo.tour import PIPELINE, TARGET, Server, settle_in
from syncd.engine import DELTA, RECONCILE
from syncd.engine.health import Health, as_json, health
from syncd.engine.planned import Applied, Planned
from syncd.errors import EndpointError, SyncdError
from syncd.settings import Config, load

FIRST_DAY = date(2026, 10, 5)
"""A Monday in the middle of the term."""
HIT = "org-002"
"""The campus that disasters of one campus befall."""
_NIGHT = timedelta(hours=9)  # UTC: the small hours in Texas
_ATTRIBUTES = ("entryUUID", "uid", "employeeNumber", "sn", "givenName", "mail", "pwdAccountLockedTime")
_CHANGED = "Truly-Changed"


@dataclass(frozen=True, slots=True)
class Extent:
    """How large the district is that disasters befall."""

    campuses: int
    students: int
    staff: int


FULL = Extent(60, 25_000, 3_000)
REDUCED = Extent(4, 336, 40)


@dataclass
class Site:
    """The folder and server of all disasters, and copies of both as they were after the first apply."""

    data: ClassVar[tuple[str, ...]] = ("db", "conf")  # the folders of the server that hold what it knows

    folder: Path
    server: Server
    extent: Extent
    binaries: Binaries
    district: District = field(init=False)
    config: Config = field(init=False)  # as nobody has edited it

    def __post_init__(self) -> None:
        """Set up the district and apply its first plan."""
        one = self.extent
        self.district = slim(District.generate(20261005, one.campuses, one.students, one.staff, guardians=0, first_day=FIRST_DAY))
        place = self.folder / "d"
        place.mkdir()
        self._move_in(place)
        self._write_settings(place)
        Export.of(self.district).write(place / "roster")
        clock = Clock(FIRST_DAY)
        self.config = load(place)
        with opened(self.config, clock=clock) as running:
            applied = running.engine.apply(running.engine.plan(PIPELINE), first=True)
            if applied is None or applied.failed:
                raise EndpointError("bench", "the first apply was held or partly refused", "this is a bug")
            for number in range(1, 4):  # a few ordinary nights, so that there is a history
                clock.now += timedelta(days=1)
                export = Export.of(self._on(number))
                export.write(place / "roster")
                running.engine.sync(PIPELINE, RECONCILE)
            running.store.set_freshness([Freshness(Kind.BACKUP, "", clock.now)])
        self.server.stop()
        shutil.copytree(place, self.folder / "kept", symlinks=True)
        for name in self.data:
            _copied(self.server.folder / name, self.folder / f"kept-{name}")

    def _move_in(self, place: Path) -> None:
        """Settings for the district in that folder, nothing synced yet."""
        settle_in(place, self.server, self.district, lambda _: None)

    def _at(self, place: Path) -> Ground:
        """The district in that folder, on the morning after its first nights."""
        return Ground(self, place, self._on(3))

    def _on(self, number: int) -> District:
        """The district so many days after the first: one child more each day, so that every roster is another."""
        come = self.district.roster
        pupils = list(come.students.values())
        news = [replace(pupils[-1 - n], middle=f"Day {number}") for n in range(number)]
        return replace(self.district, today=FIRST_DAY + timedelta(days=number), roster=come.with_students(*news))

    def _write_settings(self, place: Path) -> None:
        settings = place / "config" / "syncd.yaml"
        tell_settings(settings)
        text = settings.read_text("utf-8")
        teller = place / "tell"
        teller.write_text(f'#!/bin/sh\ncat >> "{place / "told"}"; echo >> "{place / "told"}"\n', "utf-8")
        teller.chmod(0o700)
        text = text.replace("  command: []", f'  command: ["{teller}"]')
        if self.extent.campuses < 20:  # noqa: PLR2004 — one campus of a few is a large share of them all
            text = text.replace("shrink_percent: 5", "shrink_percent: 45")
        settings.write_text(text, "utf-8")
        years = "years:\n  - first_day: 2026-08-10\n    last_day: 2027-05-28\n"
        (place / "config" / "calendar.yaml").write_text(years, "utf-8")

    @contextmanager
    def fresh(self) -> Iterator[Ground]:
        """The district as it was after its first nights, on the next morning."""
        place = self.folder / "d"
        shutil.rmtree(place)
        shutil.copytree(self.folder / "kept", place, symlinks=True)
        for name in self.data:
            shutil.rmtree(self.server.folder / name)
            _copied(self.folder / f"kept-{name}", self.server.folder / name)
        self.server.start()
        ground = self._at(place)
        try:
            yield ground
        finally:
            ground.close()
            self.server.stop()


class Clock:
    """The time, until it is turned."""

    def __init__(self, day: date) -> None:
        self.now = datetime.combine(day, datetime.min.time(), UTC) + _NIGHT

    def __call__(self) -> datetime:
        """The time, as everything is told."""
        return self.now


@dataclass(frozen=True, slots=True)
class Night:
    """What one run came to: a plan, or the error it ended with."""

    planned: Planned | None
    applied: Applied | None
    error: SyncdError | None = None

    @property
    def held(self) -> int:
        """How many cells, or whole runs, are held."""
        return len(self.planned.verdict.findings) + len(self.planned.verdict.first) if self.planned else 0


class Ground:
    """One district that a disaster befalls. `good` is what the roster should say; what is delivered may be something else."""

    def __init__(self, site: Site, folder: Path, district: District) -> None:
        self.site = site
        self.folder = folder
        self.server = site.server
        self.district = district
        self.clock = Clock(district.today)
        self.random = Random(7)  # noqa: S311 — to be drawn again
        self.good = Export.of(district)
        self.changed: dict[str, str] = {}
        self.nights: list[Night] = []
        self._closing = ExitStack()
        self._running: Running | None = None
        self._edited = False

    def close(self) -> None:
        """Close the store and the connection."""
        self._running = None
        self._closing.close()

    @property
    def running(self) -> Running:
        """The open district, opened when it is first asked for. Raises SyncdError where that cannot be."""
        if self._running is None:
            self._running = self._closing.enter_context(opened(self.config, clock=self.clock))
        return self._running

    @property
    def config(self) -> Config:
        """The settings, read anew where somebody has edited them. Raises ConfigError where they are wrong."""
        return load(self.folder) if self._edited else self.site.config

    # --- what happens -------------------------------------------------------------------------------------------------

    def live(self, days: int = 1) -> None:
        """The next morning: at every campus but the one that is hit one child's family has another name, and somebody moved."""
        self.clock.now += timedelta(days=days)
        roster, number = self.district.roster, (self.clock.now.date() - FIRST_DAY).days
        planted = {key for keys in self.district.planted.values() for key in keys}
        changed = []
        for campus in sorted(roster.schools):
            if campus != HIT:
                pupil = [one for one in roster.students.values() if one.schools == (campus,) and one.key not in planted][number]
                changed.append(replace(pupil, family=f"{pupil.family}-{_CHANGED}"))
                self.changed[pupil.number] = changed[-1].family
        self.district = replace(self.district, today=self.clock.now.date(), roster=roster.with_students(*changed))
        self.good = Export.of(self.district)
        self.deliver(self.good)

    def deliver(self, export: Export) -> None:
        """Put an export where the source looks for it."""
        export.write(self.folder / "roster")

    def spoil(self, spoil: Callable[[Export], object]) -> None:
        """Deliver what the good roster becomes when it is spoiled."""
        bad = self.good.copy()
        spoil(bad)
        self.deliver(bad)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace a text in a settings or mapping file; it is read at the next opening."""
        path = self.folder / file
        text = path.read_text("utf-8")
        if old not in text:
            raise EndpointError("bench", f"{file} does not say {old!r}", "this is a bug")
        self.rewrite(file, text.replace(old, new))

    def rewrite(self, file: str, text: str) -> None:
        """Another text in a settings or mapping file."""
        (self.folder / file).write_text(text, "utf-8")
        self._edited = True
        self.close()

    def sync(self, kind: str = DELTA) -> Night:
        """One run as the daemon's scheduler calls it."""
        try:
            planned, applied = self.running.engine.sync(PIPELINE, kind, trigger="schedule")
            night = Night(planned, applied)
        except SyncdError as error:
            night = Night(None, None, error)
        self.nights.append(night)
        return night

    # --- looking ------------------------------------------------------------------------------------------------------

    admin: ClassVar[str] = ADMIN_DN

    def as_admin(self, tool: str, *words: str, ldif: str = "") -> str:
        """What a client program prints when the directory's administrator runs it."""
        binaries = self.site.binaries
        bound = ["-x", "-H", self.server.secure_url, "-D", self.admin, "-w", self.server.password("admin")]
        command = [binaries.tool(tool), *bound]
        settings = {**os.environ, **binaries.environment, "LDAPTLS_CACERT": str(self.server.ca_file)}
        ended = subprocess.run([*command, *words], env=settings, input=ldif, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise EndpointError("bench", f"{tool} ended with {ended.returncode}: {ended.stderr[-300:]}", "this is a bug")
        return ended.stdout

    def seen(self) -> dict[str, Seen]:
        """Every account by its entryUUID, as ldapsearch tells it."""
        words = ("-LLL", "-o", "ldif-wrap=no", "-E", "pr=1000/noprompt", "-b", SUFFIX, "(objectClass=inetOrgPerson)")
        return {one["entryUUID"]: _seen(one) for one in entries(self.as_admin("ldapsearch", *words, *_ATTRIBUTES))}

    def accounts(self, campus: str = HIT, population: str = "students") -> list[str]:
        """The DNs of the accounts of one campus, in order."""
        code = self.district.roster.schools[campus].code
        words = (
            "-LLL",
            "-o",
            "ldif-wrap=no",
            "-b",
            f"ou={code},ou={population.capitalize()},{SUFFIX}",
            "(objectClass=inetOrgPerson)",
        )
        return sorted(one["dn"] for one in entries(self.as_admin("ldapsearch", *words, "uid")))

    def reconfigure_server(self, old: str, new: str) -> None:
        """Another setting of slapd, as its administrator makes it by mistake; it is served anew."""
        self.close()
        self.server.stop()
        found = False
        for path in (self.server.folder / "conf").rglob("*.ldif"):
            text = path.read_text("utf-8")
            unfolded = text.replace("\n ", "")
            if old in unfolded:
                found = True
                path.write_text(unfolded.replace(old, new), "utf-8")
        if not found:
            raise EndpointError("bench", f"the server's configuration does not say {old!r}", "this is a bug")
        self.server.start()

    def health(self) -> Health:
        """How the district is, beside a daemon that runs."""
        running = self.running
        return health(running.config, running.store, self.clock.now, "bench", {}, alive=True)

    def heard(self) -> tuple[str, str]:
        """The reasons in /health, and what the notification says; both as text."""
        running = self.running
        told = self.folder / "told"
        told.unlink(missing_ok=True)
        Herald(lambda: running, self.health, self.clock).tell()
        picture = as_json(self.health())
        reasons = cast("list[dict[str, str]]", picture["reasons"])
        lines = [f"{one['where']}: {one['why']}" for one in reasons]
        for pipeline in cast("dict[str, dict[str, dict[str, list[str]]]]", picture["pipelines"]).values():
            lines += (pipeline["last_run"] or {}).get("held", [])
        message = ""
        with suppress(FileNotFoundError):
            message = "\n".join(f"{one['subject']}\n{one['text']}" for one in map(json.loads, told.read_text("utf-8").splitlines()))
        return "\n".join(lines), message


def _seen(entry: dict[str, str]) -> Seen:
    rdn, _, rest = entry["dn"].partition(",")
    container = rest.lower().removesuffix(SUFFIX).removesuffix(",")
    return Seen(
        rdn.partition("=")[2],
        container,
        "pwdAccountLockedTime" not in entry,
        *(entry.get(name, "") for name in ("employeeNumber", "sn", "givenName", "mail")),
    )


_BYTES = ("objectGUID",)


def entries(ldif: str) -> Iterator[dict[str, str]]:
    """Each entry's values by attribute, the last of several; one of bytes as it stands there."""
    for block in ldif.split("\n\n"):
        entry = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            if value.startswith(":") and name not in _BYTES:
                entry[name] = base64.b64decode(value[1:].strip()).decode()
            elif value and not line.startswith("#"):
                entry[name] = value.strip()
        if "dn" in entry:
            yield entry


def _copied(old: Path, new: Path) -> None:
    """A folder copied with its holes: slapd's data file is mostly one."""
    subprocess.run(["cp", "-a", "--sparse=always", str(old), str(new)], check=True)


@contextmanager
def site(binaries: Binaries, folder: Path, extent: Extent) -> Iterator[Site]:
    """A district set up in a folder, with a server of its own."""
    server = PrivateSlapd(folder / "slapd", binaries, nosync=True)
    with server:
        yield Site(folder, server, extent, binaries)


__all__ = ["FULL", "HIT", "REDUCED", "TARGET", "Extent", "Ground", "Night", "Site", "site"]
