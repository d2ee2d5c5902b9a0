"""Devices as a daemon sees them: a process that runs by itself, and that monitors ask."""

from __future__ import annotations

from pathlib import Path

from tests.integration.chromebooks import district
from tests.integration.test_daemon import serving, waited_for


def test_a_daemon_tells_monitors_that_roster_or_scope_of_the_devices_is_missing_and_that_it_is_there_again(tmp_path: Path) -> None:
    """The accounts go on, and `/health` says what is wrong with the devices and what to click, until it is right."""
    with district(tmp_path, edits={"pipelines:": 'health: { listen: "127.0.0.1:0" }\npipelines:'}) as here:
        here.row("CB1", here.pupil(1))
        here.row("CB2", here.pupil(2))
        for serial in ("CB1", "CB2"):
            here.google.add_device(serial)
        here.begin()
        (tmp_path / "devices.csv").unlink()
        with serving(tmp_path) as service:

            def devices() -> str:
                return " ".join(reason for reason in service.reasons() if reason.startswith("devices on google:"))

            service.run_now()
            waited_for(lambda: "could not be looked after" in devices())
            assert "devices.csv" in devices()
            here.deliver()
            service.run_now()
            waited_for(lambda: not devices())
            here.google.delegate(scope for scope in here.google.robot.delegated or () if "chromeos" not in scope)
            here.google.expire_tokens()
            here.pupil(3)
            here.row("CB3", "100003")
            here.deliver()
            service.run_now()
            waited_for(devices)
            assert "admin.directory.device.chromeos is not delegated" in devices()
            assert "Manage domain-wide delegation: client 104857600000000000001, add this scope" in devices()
            assert len(here.google.users()) == 3  # and the accounts went on
