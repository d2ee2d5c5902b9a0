"""`syncd audit` at the command line, and where else the chain's head is told (R24, R39)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.actor import actor
from syncd.cli.exits import Exit
from syncd.targets.memory import MemoryConfig
from tests.fixtures.engine_world import PLACES, World, pupil, world

Said = pytest.CaptureFixture[str]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """A district with its accounts, whose directory is kept in a file."""
    with world(tmp_path, memory=MemoryConfig(path=str(tmp_path / "directory.json"), containers=PLACES)) as made:
        made.clock.now = datetime.now(UTC)  # letters look at the real clock
        made.begin()
        yield made


def syncd(district: World, *words: str) -> int:
    """One call of the program."""
    district.connector.close()
    return main(["--config", str(district.folder), *words])


def by_hand(district: World, *statements: str) -> None:
    """Somebody who owns the file writes to it past its triggers."""
    with sqlite3.connect(district.state / "syncd.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_whole_chain_is_said_to_be_whole_and_leads_to_a_head_told_before(district: World, capsys: Said) -> None:
    """What `audit head` printed one day, `audit verify --head` proves the next."""
    assert syncd(district, "audit", "head") == Exit.DONE
    head = capsys.readouterr().out.strip()
    district.students(pupil(7))
    district.day()
    assert syncd(district, "audit", "verify", "--head", head) == Exit.DONE
    out = capsys.readouterr().out
    assert "the chain is whole and leads to the head that was told" in out
    assert f"head {district.store.audit.head()}" in out


def test_a_row_altered_by_hand_is_named(district: World, capsys: Said) -> None:
    """Whoever owns the file can write to it, and is found out."""
    by_hand(district, "UPDATE journal SET person = 2 WHERE seq = 1")
    assert syncd(district, "audit", "verify") == Exit.PARTLY
    out = capsys.readouterr().out
    assert "the journal rows of entry 1" in out
    assert "the chain is broken" in out


def test_an_end_that_was_cut_off_is_found_by_the_head_alone(district: World, capsys: Said) -> None:
    """A chain that was shortened is whole in itself: only the head that was kept elsewhere tells."""
    head = str(district.store.audit.head())
    by_hand(
        district,
        "PRAGMA foreign_keys=OFF",
        "DELETE FROM outcomes WHERE entry = (SELECT max(seq) FROM audit)",
        "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)",
    )
    assert syncd(district, "audit", "verify") == Exit.DONE
    assert "only a head kept elsewhere" in capsys.readouterr().out
    assert syncd(district, "audit", "verify", "--head", head) == Exit.PARTLY
    assert "cut off" in capsys.readouterr().out


def test_what_is_no_head_is_a_wrong_call(district: World, capsys: Said) -> None:
    """64, with how a head is written."""
    assert syncd(district, "audit", "verify", "--head", "12ab") == Exit.USAGE
    assert "syncd audit head" in capsys.readouterr().err


def test_decisions_at_the_command_line_are_on_the_chain_under_who_the_kernel_says(district: World, capsys: Said) -> None:
    """R39: letters handed out, copies made, held changes let go: each with its actor, none with a password in it."""
    assert syncd(district, "letters", "--csv", str(district.folder / "letters.csv")) == Exit.DONE
    assert syncd(district, "backup", str(district.folder / "copy")) == Exit.DONE
    told = {entry.kind: entry for entry in district.store.audit.entries()}
    assert {"letters", "backed up"} <= told.keys()
    assert {told[kind].actor for kind in ("letters", "backed up")} == {actor()}
    assert told["letters"].contents == {"file": str(district.folder / "letters.csv"), "passwords": 9}
    assert district.store.audit.verify().problems == ()
    capsys.readouterr()
