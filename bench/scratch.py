"""Where one measurement keeps its things: a made-up district, its settings and a private slapd, gone again at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd.demo.district import District
from syncd.demo.slapd import INSTALL, Binaries, PrivateSlapd, find_binaries
from syncd.demo.tour import settle_in
from syncd.errors import EndpointError

_HERE = Path(__file__).resolve().parent
_TOOLS = ("ldapadd", "ldapmodify", "ldapsearch")


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


def find_servers() -> Binaries:
    """A slapd with the C tools beside it. Raises EndpointError, saying what to install, where there is none."""
    binaries = find_binaries(_HERE.parent / ".cache" / "slapd")
    missing = [name for name in _TOOLS if binaries is None or not Path(binaries.tool(name)).is_file()]
    if binaries is None or missing:
        raise EndpointError("bench", f"there is no slapd with {', '.join(missing)} to compare with on this machine", INSTALL)
    return binaries


@contextmanager
def slapd(binaries: Binaries) -> Iterator[PrivateSlapd]:
    """A fresh, empty slapd without fsync (nosync): then the disk does not decide the comparison."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder, PrivateSlapd(Path(folder), binaries, nosync=True) as server:
        yield server


@contextmanager
def settled(binaries: Binaries, district: District, *, twelve: bool) -> Iterator[Place]:
    """The district moved in, nothing synced yet. `twelve`: under the bench's own mapping, else under the shipped one."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder, slapd(binaries) as server:
        place = Place(Path(folder), server, district)
        settle_in(place.folder, server, district, lambda _: None)
        if twelve:
            shutil.copy(_HERE / "mappings" / "ldap.yaml", place.folder / "mappings" / "ldap.yaml")
            settings = place.folder / "config" / "syncd.yaml"  # everybody changes at once: that is held unless it is allowed
            settings.write_text(
                settings.read_text("utf-8").replace("    limits:\n", "    limits:\n      update: { percent: 100 }\n")
            )
        yield place
