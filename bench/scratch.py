"""Where one measurement keeps its things: a made-up district, its settings and a private slapd, gone again at the end."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd.assembly import opened, opened_store
from syncd.core.model import Kind, RunId
from syncd.demo.district import District
from syncd.demo.slapd import INSTALL, Binaries, PrivateSlapd, find_binaries
from syncd.demo.tour import PIPELINE, settle_in
from syncd.errors import EndpointError
from syncd.settings import load

_HERE = Path(__file__).resolve().parent
_TOOLS = ("ldapadd", "ldapmodify", "ldapsearch")
SHIPPED: Mapping[str, str] = {}
TWELVE: Mapping[str, str] = {"ldap.yaml": "ldap.yaml"}


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with settings, credentials, store and roster for `district`, and the server they name."""

    folder: Path
    server: PrivateSlapd
    district: District

    @property
    def rosters(self) -> Path:
        """Where the source looks for its files."""
        return self.folder / "roster"

    @property
    def settings(self) -> Path:
        """The file that says where rosters come from and accounts go."""
        return self.folder / "config" / "syncd.yaml"


def find_servers() -> Binaries:
    """A slapd with the C tools beside it. Raises EndpointError, saying what to install, where there is none."""
    binaries = find_binaries(_HERE.parent / ".cache" / "slapd")
    missing = [name for name in _TOOLS if binaries is None or not Path(binaries.tool(name)).is_file()]
    if binaries is None or missing:
        raise EndpointError("bench", f"there is no slapd with {', '.join(missing)} to compare with on this machine", INSTALL)
    return binaries


@contextmanager
def slapd(binaries: Binaries, *, nosync: bool = True) -> Iterator[PrivateSlapd]:
    """A fresh, empty slapd. With `nosync` it does not wait for the disk, which then does not decide the comparison."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder, PrivateSlapd(Path(folder), binaries, nosync=nosync) as server:
        yield server


@contextmanager
def settled(
    binaries: Binaries, district: District, mappings: Mapping[str, str] = SHIPPED, *, nosync: bool = True
) -> Iterator[Place]:
    """The district moved in, nothing synced yet. `mappings`: files of bench/mappings that stand in for shipped ones, by name."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder, slapd(binaries, nosync=nosync) as server:
        place = Place(Path(folder), server, district)
        settle_in(place.folder, server, district, lambda _: None)
        for name, ours in mappings.items():
            shutil.copy(_HERE / "mappings" / ours, place.folder / "mappings" / name)
        if mappings:  # everybody changes at once: that is held unless it is allowed
            place.settings.write_text(freely(place.settings.read_text("utf-8")), "utf-8")
        yield place


def freely(settings: str) -> str:
    """Settings under which everybody may be made and updated at once."""
    update = "    limits:\n      update: { percent: 100000, campus_percent: 100000 }\n"
    create = "create: { percent: 100000, campus_percent: 100000 }"
    return settings.replace("    limits:\n", update).replace("create: { percent: 20 }", create)


def first_apply(folder: Path) -> tuple[int, int]:
    """Apply the first plan of the district in `folder`: how many accounts there are, and how many changes that took."""
    with opened(load(folder)) as running:
        applied = running.engine.apply(running.engine.plan(PIPELINE), first=True)
    if applied is None or applied.failed:
        raise EndpointError("bench", "the first apply was held or partly refused", "this is a bug")
    return sum(report.kinds[Kind.CREATE] for report in applied.reports.values()), applied.landed


def landed(folder: Path, before: RunId | None = None) -> tuple[RunId | None, int]:
    """The newest run of the district in `folder`, and how many changes it landed; none where it is still the run of `before`."""
    with opened_store(load(folder)) as store:
        newest = next(iter(store.runs(1)), None)
    if newest is None or newest.id == before:
        return before, 0
    return newest.id, newest.summary.get("landed", 0)


def load_offline(server: PrivateSlapd, entries: Iterable[str]) -> None:
    """Put LDIF entries into a server with slapadd, which takes a second where the wire would take ten. The server is restarted."""
    ldif = server.folder / "before.ldif"
    with ldif.open("w", encoding="utf-8") as file:
        file.writelines(f"{entry}\n\n" for entry in entries)
    server.stop()
    words = ["-Tadd", "-q", "-n1", "-F", str(server.folder / "conf"), "-l", str(ldif)]
    ended = subprocess.run(
        [server.binaries.slapd, *words], env=server.binaries.environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise EndpointError("bench", f"slapadd ended with {ended.returncode}: {ended.stderr[-500:]}", "this is a bug")
    server.start()
