"""Quiet hours, as the daemon keeps them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from syncd.daemon import Daemon
from syncd.settings import load
from tests.fixtures.engine_world import MAIN, begun_world


def test_no_scheduled_run_begins_in_quiet_hours_and_one_that_is_asked_for_does(tmp_path: Path) -> None:
    """By the district's clock: it is three in the morning in Texas, and eight in Greenwich."""
    with begun_world(tmp_path) as district:
        settings = tmp_path / "config" / "syncd.yaml"
        pipeline = "main: { sources: [sis], targets: [ldap]"
        told = settings.read_text(encoding="utf-8")
        settings.write_text(told.replace(pipeline, f'{pipeline}, schedule: {{ quiet: ["02:30-03:30"] }}'), encoding="utf-8")
        before = len(district.store.runs(100))
        daemon = Daemon(tmp_path, clock=district.clock)
        daemon._open(load(tmp_path))
        try:
            daemon._sync(MAIN, "delta")
            assert len(district.store.runs(100)) == before
            daemon._sync(MAIN, "delta", "signal")
            assert len(district.store.runs(100)) == before + 1
            district.clock.now += timedelta(minutes=30)
            daemon._sync(MAIN, "delta")
            assert len(district.store.runs(100)) == before + 2
        finally:
            daemon._closing.close()
