"""A real slapd refuses a value: its own words and the attribute are kept, the rest goes on, and the list is told by the verbs."""

from __future__ import annotations

import json
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
MAIL = "{{ names.username }}@{{ config.staff_domain }}"  # with another letter it is no IA5 string (RFC 4524), and slapd says so


def asked(capsys: Said, folder: Path, *words: str) -> tuple[int, str]:
    """One call of `syncd` about that folder: its exit code, and what it said."""
    capsys.readouterr()
    code = main(["--config", str(folder), *words])
    return code, capsys.readouterr().out


def test_a_refused_value_is_kept_in_the_servers_own_words(tmp_path: Path, own_slapd: PrivateSlapd, capsys: Said) -> None:
    """Staff get a mail address slapd does not take: set aside, while a student's change lands; mending the mapping clears it."""
    today = datetime.now(ZoneInfo("America/Chicago")).date()  # the district's
    town = District.generate(13, 1, 30, 3, guardians=0, first_day=today - timedelta(days=30))
    folder = tmp_path / "d"
    folder.mkdir()
    settle_in(folder, own_slapd, town, lambda _: None)
    settings = folder / "config" / "syncd.yaml"
    wide = "{ percent: 100, at_least: 1000, campus_percent: 100, campus_at_least: 1000 }"
    settings.write_text(re.sub(r"update: \{[^}]*\}", f"update: {wide}", settings.read_text()))
    assert asked(capsys, folder, "plan")[0] == Exit.DONE
    assert asked(capsys, folder, "apply", "r1", "--first")[0] == Exit.DONE
    mapping = folder / "mappings" / "ldap.yaml"
    good = mapping.read_text(encoding="utf-8")
    assert MAIL in good
    mapping.write_text(good.replace(MAIL, f"Ä{MAIL}"), encoding="utf-8")
    student = next(iter(town.roster.students.values()))
    town = replace(town, roster=town.roster.with_students(replace(student, given="Quentin")))
    write_roster(town, folder / "roster")
    assert asked(capsys, folder, "sync")[0] == Exit.PARTLY
    found = as_admin(
        own_slapd, "ldapsearch", "-LLL", "-b", "dc=district,dc=test", f"(employeeNumber={student.number})", "givenName"
    )
    assert "givenName: Quentin" in found
    code, said = asked(capsys, folder, "quarantine", "--json")
    rows = json.loads(said)
    assert (code, len(rows)) == (Exit.DONE, 3)
    assert {(row["kind"], row["attribute"], row["count"]) for row in rows} == {("update", "mail", "1")}
    assert all("mail: value #0 invalid per syntax" in row["words"] for row in rows)

    code, said = asked(capsys, folder, "sync")
    assert (code, "refused" in said) == (Exit.DONE, False)  # nothing is sent again
    assert asked(capsys, folder, "retry", "--target", "ldap") == (Exit.DONE, "the next run tries 3 changes again\n")
    assert asked(capsys, folder, "sync")[0] == Exit.PARTLY
    assert {row["count"] for row in json.loads(asked(capsys, folder, "quarantine", "--json")[1])} == {"2"}

    mapping.write_text(good, encoding="utf-8")
    assert asked(capsys, folder, "sync")[0] == Exit.DONE
    assert asked(capsys, folder, "quarantine")[1] == "nothing is in quarantine\n"
