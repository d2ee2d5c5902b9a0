"""Accounts that others moved on a real slapd, or a run that was killed: their groups follow, whatever the server does (R19)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.roster import Student
from syncd.demo.slapd import SUFFIX, PrivateSlapd
from syncd.demo.tour import settle_in, write_roster
from tests.conftest import as_admin


def synced(folder: Path, *words: str) -> None:
    """One call of `syncd` about that folder, which does everything."""
    assert main(["--config", str(folder), *words]) == Exit.DONE


def place(server: PrivateSlapd, student: Student) -> str:
    """The DN of a student's account."""
    told = as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, f"(employeeNumber={student.number})", "1.1")
    return told.removeprefix("dn: ").strip()


def groups(server: PrivateSlapd, dn: str) -> set[str]:
    """The groups that hold this member."""
    told = as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, f"(member={dn})", "1.1")
    return {line.removeprefix("dn: ") for line in told.splitlines() if line}


@pytest.mark.parametrize("transfers", [True, False], ids=["and who transfers leaves the old ones", "and are kept"])
def test_groups_that_hold_the_old_name_are_seen_to_before_anybody_counts_members(
    tmp_path: Path, own_slapd: PrivateSlapd, monkeypatch: pytest.MonkeyPatch, transfers: bool
) -> None:
    """A rename whose client was killed, or that slapd was restarted behind: the account has moved, its groups hold the old name."""
    monkeypatch.setattr("syncd.targets.ldap_groups._PATIENCE", 0.2)
    today = datetime.now(ZoneInfo("America/Chicago")).date()  # the district's
    town = District.generate(13, 2, 60, 6, guardians=0, first_day=today - timedelta(days=30))
    folder = tmp_path / "d"
    folder.mkdir()
    settle_in(folder, own_slapd, town, lambda _: None)
    synced(folder, "plan")
    synced(folder, "apply", "r1", "--first")
    student = next(one for one in town.roster.students.values() if one.lessons and place(own_slapd, one))
    old = place(own_slapd, student)
    before = groups(own_slapd, old)
    first, _, _ = old.partition(",")
    new = f"{first},ou=Students,{SUFFIX}"
    as_admin(
        own_slapd,
        "ldapmodify",
        ldif=f"dn: {old}\nchangetype: modrdn\nnewrdn: {first}\ndeleteoldrdn: 0\nnewsuperior: ou=Students,{SUFFIX}\n\n",
    )
    as_admin(  # as if slapd had never come to it
        own_slapd,
        "ldapmodify",
        ldif="".join(
            f"dn: {one}\nchangetype: modify\ndelete: member\nmember: {new}\n-\nadd: member\nmember: {old}\n\n" for one in before
        ),
    )
    assert groups(own_slapd, new) == set()
    if transfers:
        other = next(key for key in town.roster.schools if key not in student.schools)
        town = replace(town, roster=town.roster.with_students(replace(student, schools=(other,), lessons=())))
        write_roster(town, folder / "roster")
    synced(folder, "sync", "--reconcile")
    now = place(own_slapd, student)
    assert groups(own_slapd, old if now != old else new) == set()
    if transfers:
        kept = {one for one in before if "All Students" in one}
        assert groups(own_slapd, now) & before == kept
        assert len(kept) == 1
    else:
        assert now == old
        assert groups(own_slapd, now) == before
