"""The Debian package, built from this tree and installed into a clean root by dpkg itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from syncd.cli.exits import Exit

ROOT = Path(__file__).parents[2]


def run(*words: str | Path, code: int = 0) -> str:
    """A program that ends with this code; what it printed."""
    ended = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, cwd="/")
    assert ended.returncode == code, (words, ended.stdout[-2000:], ended.stderr[-2000:])
    return ended.stdout


def needed(program: str, package: str) -> str:
    """A program of the distribution."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.fail(f"{program} is missing: apt-get install {package}")
    return path


def packed(root: Path, verb: str, what: str | Path) -> None:
    """Dpkg on that root, whose scripts run from outside it (DPKG_ROOT): there is nothing else in it."""
    options = (f"--root={root}", "--force-script-chrootless", "--force-depends", "--no-triggers")
    run(needed("dpkg", "dpkg"), *options, verb, what)


def build(out: Path) -> Path:
    """The package, with its list beside it."""
    quick = {"DPKG_DEB_COMPRESSOR_TYPE": "gzip", "DPKG_DEB_COMPRESSOR_LEVEL": "1"}  # dpkg-deb(1): there sooner, with the same in it
    run("env", *(f"{name}={value}" for name, value in quick.items()), ROOT / "script" / "package", out)
    (package,) = out.glob("*.deb")
    return package


def install(package: Path, root: Path) -> None:
    """Put it into a clean root."""
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log", "etc", "tmp"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    packed(root, "--install", package)


def test_the_package_installs_works_and_leaves_what_only_the_district_has(tmp_path: Path) -> None:
    """One life of the package, built once: its list, its place in a clean root, its program, and its end."""
    if os.getuid() != 0:
        pytest.fail("installing a package into a root takes root: run this test as root, or under fakeroot")
    needed("systemd-sysusers", "systemd")
    package, root = build(tmp_path / "dist"), tmp_path / "root"
    lists_everything_that_is_in_it(package)
    install(package, root)
    puts_everything_in_place(root)
    works_from_there(root)
    leaves_settings_and_state(root)


def puts_everything_in_place(root: Path) -> None:
    """The user without a login, folders that only the right ones read, units, documentation."""
    assert re.search(r"(?m)^syncd:.*:/var/lib/syncd:/usr/sbin/nologin$", (root / "etc/passwd").read_text())
    assert re.search(r"(?m)^syncd-portal:.*:/var/lib/syncd-portal:/usr/sbin/nologin$", (root / "etc/passwd").read_text())
    groups = (root / "etc/group").read_text()
    assert [name for name in ("view", "operate", "approve", "unlock") if not re.search(rf"(?m)^syncd-{name}:", groups)] == []
    private = ("etc/syncd", "etc/syncd/credentials", "var/lib/syncd")
    modes = {name: oct(stat.S_IMODE((root / name).stat().st_mode)) for name in private}
    assert modes == {"etc/syncd": "0o750", "etc/syncd/credentials": "0o700", "var/lib/syncd": "0o700"}
    assert (root / "lib/systemd/system/syncd.service").is_file()
    assert (root / "lib/systemd/system/syncd-portal.service").is_file()
    assert (root / "usr/lib/syncd/syncd/web/portal/templates/claim.html").is_file()
    assert (root / "usr/lib/syncd/syncd/web/portal/static/portal.css").is_file()
    assert (root / "usr/share/doc/syncd/how-to/run-the-daemon.md").is_file()
    assert list((root / "usr/lib/syncd/syncd").glob("__pycache__/*.pyc"))


def works_from_there(root: Path) -> None:
    """On the system's Python, with nothing of this tree: a starting set is written, and checked."""
    syncd = root / "usr/bin/syncd"
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run(syncd, "--version"))
    folder = root / "tmp/district"
    run(syncd, "init", folder)
    run(syncd, "--config", folder, "check", "--offline", code=Exit.CONFIG)  # rosters and a password are still to be put there
    assert "daemon" in run(syncd, "--help")


def lists_everything_that_is_in_it(package: Path) -> None:
    """CycloneDX: every pinned library with its version and a licence, and nothing else."""
    (path,) = package.parent.glob("*.cdx.json")
    bom = json.loads(path.read_text(encoding="utf-8"))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    pinned = re.findall(r"(?m)^([\w.-]+)==(\S+)", (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"))
    listed = {(one["name"], one["version"]) for one in bom["components"]}
    assert listed == {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in pinned}
    assert [one["name"] for one in bom["components"] if not one["licenses"]] == []
    assert [one["name"] for one in bom["components"] if not one["properties"]] == []


def leaves_settings_and_state(root: Path) -> None:
    """On purge as well; the program is gone with what was compiled."""
    (root / "var/lib/syncd/syncd.db").write_text("the only record")
    packed(root, "--purge", "syncd")
    assert (root / "var/lib/syncd/syncd.db").exists()
    assert (root / "etc/syncd").is_dir()
    assert not (root / "usr/lib/syncd").exists()
    assert not (root / "usr/bin/syncd").exists()
