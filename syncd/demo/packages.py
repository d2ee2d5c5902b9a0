"""OpenLDAP's programs without installing them: the distribution's own packages, unpacked into a cache folder by an ordinary user.

Names of packages differ between releases, so they are asked for, not known: slapd, then the libraries it depends on, then theirs,
until the server starts. Nothing outside the cache folder is touched.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends slapd ldap-utils"
"""What a person types where nothing can be unpacked."""

_LIBRARIES = re.compile(r"^lib(?!c6$|perl|crypt1$|gcc)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where slapd and the client tools are: unpacked below `root`, or installed when it is empty."""

    root: str = ""

    @property
    def slapd(self) -> str:
        """The server."""
        return f"{self.root}/usr/sbin/slapd"

    @property
    def libraries(self) -> str:
        """What LD_LIBRARY_PATH must hold, empty for an installed server."""
        if not self.root:
            return ""
        return ":".join(str(path) for place in ("usr/lib", "lib") for path in sorted(Path(self.root, place).glob("*-linux-gnu*")))

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which the binaries run."""
        return {**os.environ, **({"LD_LIBRARY_PATH": self.libraries} if self.root else {})}

    def tool(self, name: str) -> str:
        """A client program such as ldapsearch."""
        return f"{self.root}/usr/bin/{name}"

    def works(self) -> bool:
        """True when the server starts at all, its libraries included."""
        if not Path(self.slapd).is_file():
            return False
        run = subprocess.run([self.slapd, "-VV"], env=self.environment, capture_output=True, check=False)  # noqa: S603 — our own path
        return b"OpenLDAP" in run.stderr + run.stdout


def find_binaries(cache: Path) -> Binaries | None:
    """A slapd that runs: unpacked earlier, unpacked now, or installed; else None. Downloads at most once per cache."""
    unpacked = Binaries(str(cache / "root"))
    if unpacked.works():
        return unpacked
    if shutil.which("apt-get") and shutil.which("dpkg") and _unpack(cache) and unpacked.works():
        return unpacked
    installed = Binaries()
    return installed if installed.works() else None


def _unpack(cache: Path) -> bool:
    """Fetch the packages and what they need into a fresh folder, then rename it into place: a killed download leaves nothing."""
    cache.mkdir(parents=True, exist_ok=True)
    work = cache / f"work-{os.getpid()}"
    root = work / "root"
    root.mkdir(parents=True, exist_ok=True)
    try:
        wanted = ["slapd", "ldap-utils"]
        fetched: set[str] = set()
        options = _package_lists(work)
        for _ in range(10):  # libraries of libraries: on a bare machine Debian 12 needs seven levels
            if not _fetch(work, wanted, options):
                return False
            fetched.update(wanted)
            if Binaries(str(root)).works():
                root.rename(cache / "root")
                return True
            wanted = [name for name in _dependencies(fetched, options) if name not in fetched]
            if not wanted:
                return False
    except OSError:  # somebody else's unpacking won the race, or the disk is full: the caller looks again
        return (cache / "root").is_dir()
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return False


def _apt(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 — fixed programs


def _package_lists(work: Path) -> list[str]:
    """The options under which apt knows slapd: none where the machine has lists, else those of lists of our own, fetched now."""
    if _apt(["apt-cache", "show", "slapd"], work).stdout:
        return []
    for folder in ("lists/partial", "apt/archives/partial"):
        (work / folder).mkdir(parents=True)
    options = ["-o", f"Dir::State::lists={work}/lists", "-o", f"Dir::Cache={work}/apt"]
    _apt(["apt-get", *options, "update"], work)
    return options


def _fetch(work: Path, packages: list[str], options: list[str]) -> bool:
    """Download and unpack."""
    if _apt(["apt-get", *options, "download", *packages], work).returncode:
        return False
    for package in work.glob("*.deb"):
        if _apt(["dpkg", "-x", str(package), str(work / "root")], work).returncode:
            return False
        package.unlink()
    return True


def _dependencies(packages: set[str], options: list[str]) -> list[str]:
    """The libraries these packages depend on, by the distribution's own names for them."""
    told = _apt(["apt-cache", *options, "depends", "--important", *sorted(packages)], Path("/")).stdout
    names = {line.split("Depends:")[1].strip() for line in told.splitlines() if "Depends:" in line}
    return sorted(name for name in names if _LIBRARIES.match(name))
