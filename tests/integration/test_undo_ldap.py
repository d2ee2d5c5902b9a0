"""A wave of disables in a real slapd is taken back: the directory is, entry by entry, what it was, and stays so."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.slapd import PrivateSlapd
from syncd.demo.tour import settle_in, write_roster
from tests.conftest import as_admin

Said = pytest.CaptureFixture[str]
STUDENTS, GONE = 120, 60
OWNED = ("cn", "sn", "givenName", "displayName", "mail", "uid", "employeeNumber", "description", "pwdAccountLockedTime", "memberOf")
WIDE = "{ percent: 100, at_least: 100000, campus_percent: 100, campus_at_least: 100000 }"


def ldif(server: PrivateSlapd) -> list[str]:
    """Every account with what the mapping owns, its lock and its groups, as the server's own client tells it."""
    found = as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "dc=district,dc=test", "(employeeNumber=*)", *OWNED)
    return sorted("\n".join(sorted(entry.splitlines())) for entry in found.split("\n\n") if entry.strip())


def syncd(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def test_a_wave_of_disables_is_taken_back_entry_by_entry(tmp_path: Path, own_slapd: PrivateSlapd, capsys: Said) -> None:
    """Half of the students are gone from one roster; the undo restores accounts, locks and groups, and three runs keep it."""
    today = datetime.now(ZoneInfo("America/Chicago")).date()  # the district's
    whole = District.generate(13, 2, STUDENTS, 12, guardians=0, first_day=today - timedelta(days=30))
    folder = tmp_path / "d"
    folder.mkdir()
    settle_in(folder, own_slapd, whole, lambda _: None)
    settings = folder / "config" / "syncd.yaml"
    text = re.sub(r"disable: \{[^}]*\}", f"disable: {WIDE}\n      enable: {WIDE}\n      member: {WIDE}", settings.read_text())
    settings.write_text(re.sub(r"shrink_percent: \d+", "shrink_percent: 90", text).replace("floor: 66", "floor: 1"))
    assert syncd(folder, "plan") == Exit.DONE
    assert syncd(folder, "apply", "r1", "--first") == Exit.DONE
    before = ldif(own_slapd)

    gone = list(whole.roster.students.values())[:GONE]
    yesterday = today - timedelta(days=1)
    left = whole.roster.with_students(*(replace(one, exit=yesterday) for one in gone))
    write_roster(replace(whole, roster=left), folder / "roster")
    assert syncd(folder, "sync") == Exit.DONE
    disabled = ldif(own_slapd)
    assert sum("pwdAccountLockedTime" in entry for entry in disabled) > GONE * 3 // 4
    capsys.readouterr()
    assert syncd(folder, "runs", "--most", "1") == Exit.DONE
    run = capsys.readouterr().out.splitlines()[1].split("\t")[0]

    assert syncd(folder, "undo", run) == Exit.DONE
    plan = capsys.readouterr().out.rsplit("syncd apply ", 1)[1].split()[0]
    assert syncd(folder, "apply", plan) == Exit.DONE
    assert ldif(own_slapd) == before
    for words in (("sync",), ("sync", "--reconcile"), ("sync",)):
        assert syncd(folder, *words) == Exit.DONE
        assert ldif(own_slapd) == before
    capsys.readouterr()
    assert syncd(folder, "shelved") == Exit.DONE
    assert len(capsys.readouterr().out.splitlines()) > GONE * 3 // 4
