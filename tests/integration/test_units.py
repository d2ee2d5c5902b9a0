"""The units systemd is given: as tight as can be, valid, and in agreement with the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from syncd.cli.exits import Exit
from syncd.daemon import PATIENCE, TICK
from syncd.settings import Control, PortalFile
from syncd.web.portal.serving import LIFE_SECONDS

UNITS = Path(__file__).parents[2] / "systemd"
EXPOSURE = 1.5


@pytest.fixture(scope="module")
def analyze() -> str:
    """Systemd's own judge of units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.fail("systemd-analyze is missing: apt-get install systemd")
    return program


def values(unit: str, key: str) -> list[str]:
    """What a unit says of one key."""
    return re.findall(rf"(?m)^{key}=(.*)$", (UNITS / unit).read_text(encoding="utf-8"))


@pytest.mark.parametrize("unit", ["syncd.service", "syncd-portal.service", "syncd-backup.service"])
def test_a_service_is_exposed_as_little_as_systemd_can_measure(analyze: str, unit: str) -> None:
    """systemd-analyze's overall exposure, from 0 (safe) to 10."""
    told = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", str(UNITS / unit)], capture_output=True, text=True, check=True
    )
    overall = re.search(r"Overall exposure level for \S+: ([\d.]+)", told.stdout)
    assert overall is not None, told.stdout
    assert float(overall[1]) <= EXPOSURE


def test_the_units_are_valid_in_a_root_that_has_the_program(analyze: str, tmp_path: Path) -> None:
    """systemd-analyze verify says nothing of them."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    for path in [*UNITS.glob("*.service"), *UNITS.glob("*.timer")]:
        shutil.copy(path, units)
    for program in ("usr/bin/syncd", "bin/sh", "bin/kill"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).touch(mode=0o755)
    for unit in ("basic", "shutdown", "sysinit", "network-online", "nss-lookup", "multi-user", "timers", "time-sync", "time-set"):
        (units / f"{unit}.target").write_text("[Unit]\nDescription=a target\n")
    for unit in ("system.slice", "-.slice", "-.mount", "tmp.mount"):
        (units / unit).write_text("[Unit]\nDescription=a unit\n" + ("[Mount]\nWhat=x\nWhere=/tmp\n" if unit == "tmp.mount" else ""))
    command = [
        analyze,
        "verify",
        f"--root={tmp_path}",
        "syncd.service",
        "syncd-portal.service",
        "syncd-backup.service",
        "syncd-backup.timer",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in told.stderr.splitlines() if "syncd" in line]
    assert (told.returncode, complaints) == (0, []), told.stderr


def test_the_unit_agrees_with_the_program() -> None:
    """It waits longer for the end than the daemon does, hears of its life often enough, and knows what no restart mends."""
    (stop,), (watchdog,) = values("syncd.service", "TimeoutStopSec"), values("syncd.service", "WatchdogSec")
    assert int(stop) > PATIENCE
    assert int(watchdog) > 2 * TICK
    assert values("syncd.service", "Type") == ["notify"]
    assert values("syncd.service", "ExecReload") == ["/bin/kill -HUP $MAINPID"]
    (prevented,) = values("syncd.service", "RestartPreventExitStatus")
    assert {int(code) for code in prevented.split()} == {Exit.USAGE, Exit.NO_PERMISSION, Exit.CONFIG}


def test_the_groups_that_come_with_the_package_are_those_of_the_settings() -> None:
    """Whoever puts somebody into `syncd-approve` need not edit a file."""
    groups = re.findall(r"(?m)^g\s+(\S+)\s+-$", (UNITS / "syncd.sysusers").read_text(encoding="utf-8"))
    assert groups == list(astuple(Control()))


def test_the_daemon_sees_who_asks_it() -> None:
    """In a user namespace of its own everybody else would be nobody, and who signed in would be hidden with their processes."""
    assert values("syncd.service", "PrivateUsers") == ["no"]
    assert values("syncd.service", "ProtectProc") == ["default"]
    assert values("syncd.service", "RuntimeDirectory") == ["syncd"]
    assert values("syncd.service", "RuntimeDirectoryMode") == ["0755"]


def test_the_portal_is_another_user_who_sees_nothing_of_the_daemons() -> None:
    """Of the settings one file; no state, no roster, no credential; and the daemon can give it the socket."""
    (user,) = values("syncd-portal.service", "User")
    web = {one.name: one.default for one in fields(PortalFile)}
    assert user == web["user"]
    assert values("syncd.service", "User") != [user]
    assert values("syncd-portal.service", "TemporaryFileSystem") == ["/etc/syncd:ro"]
    assert values("syncd-portal.service", "BindReadOnlyPaths") == ["/etc/syncd/config/portal.yaml"]
    assert values("syncd-portal.service", "InaccessiblePaths") == ["-/var/lib/syncd"]
    assert values("syncd-portal.service", "LoadCredential") == []
    socket = Path(str(web["socket"]))
    folder = re.findall(rf"(?m)^d +{socket.parent} +(\S+) (\S+) (\S+) -$", (UNITS / "syncd.tmpfiles").read_text(encoding="utf-8"))
    assert folder == [("2750", "syncd", user)]
    assert values("syncd.service", "ReadWritePaths") == [f"-{socket.parent}"]
    (watchdog,) = values("syncd-portal.service", "WatchdogSec")
    assert int(watchdog) > 2 * LIFE_SECONDS


def test_every_line_of_a_unit_is_explained() -> None:
    """A comment stands above each group of settings: whoever loosens one knows what it held."""
    for path in UNITS.iterdir():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("# "), path
        for number, line in enumerate(lines):
            if line.startswith("["):
                continue
            if "=" in line and not line.startswith("#") and lines[number - 1] == "":
                pytest.fail(f"{path.name}:{number + 1}: nothing explains {line}")
