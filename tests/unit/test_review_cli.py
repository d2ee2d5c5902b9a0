"""What the command line must never print, and how it ends when its output or its user goes away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.roster import Student
from syncd.demo.tour import settle_in


@pytest.fixture
def district(tmp_path: Path) -> District:
    """A small district with its settings in `tmp_path`, whose target lives in memory."""
    made = District.generate(7, 1, 30, 6)
    settle_in(tmp_path, None, made, lambda _: None)
    return made


@pytest.fixture
def folder(tmp_path: Path, district: District) -> Path:
    """The folder of that district, one of whose students is confidential."""
    student = confidential(district)
    (tmp_path / "roster" / "ferpa.csv").write_text(f"student_number,directory_optout,confidential\n{student.number},no,yes\n")
    return tmp_path


def confidential(district: District) -> Student:
    """The student who must not be shown."""
    return next(iter(sorted(district.roster.students.items())))[1]


def told(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What one call prints."""
    capsys.readouterr()
    main(["--config", str(folder), *words])
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [["ledger"], ["ledger", "--json"], ["disputes"], ["rejects"], ["explain", "p1"]])
def test_a_confidential_person_is_masked_before_anything_was_applied(
    folder: Path, district: District, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """R37: a plan has read them and reserved their names; what looks at the store then must not tell who they are."""
    plan = json.loads(told(folder, capsys, "plan", "--json"))
    hidden = {change["person"] for target in plan["targets"] for change in target["changes"] if change["confidential"]}
    assert hidden
    shown = told(folder, capsys, *words)
    student = confidential(district)
    family = student.family.lower().split()[0]
    lines = [line for line in shown.splitlines() if any(person in line.split() + line.split("\t") for person in hidden)]
    assert [line for line in lines if family in line.lower()] == []


def test_a_plan_as_json_tells_no_more_of_a_confidential_person_than_the_screen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R37: neither campus nor class group nor reason; the digest stays, for approval is about it."""
    plan = json.loads(told(folder, capsys, "plan", "--json"))
    changes = [change for target in plan["targets"] for change in target["changes"] if change["confidential"]]
    assert changes
    assert {(change["campus"], change["population"], change["group"], change["reason"]) for change in changes} == {
        (None, None, None, None)
    }
    assert all(change["digest"] for change in changes)


def test_the_screen_does_not_say_which_groups_a_confidential_person_is_in(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """R37: a class list with a number that other lines call confidential says where a protected child can be found."""
    plan = json.loads(told(folder, capsys, "plan", "--json"))
    hidden = {change["person"] for target in plan["targets"] for change in target["changes"] if change["confidential"]}
    shown = told(folder, capsys, "plan", "--most", "0")
    lines = [line for line in shown.splitlines() if "cn=" in line]
    assert lines
    assert [line for line in lines if any(person in line.replace(",", " ").split() for person in hidden)] == []


def call(folder: Path, *words: str, **environment: str) -> subprocess.Popen[bytes]:
    """`syncd` as its own process."""
    command = [sys.executable, "-m", "syncd", "--config", str(folder), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment})


def test_a_reader_that_goes_away_is_no_failure(folder: Path) -> None:
    """`syncd plan | head`: silent, and as a shell expects it of a program whose pipe broke."""
    process = call(folder, "plan", "--most", "0")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr as said:
        complaint = said.read().decode()
    assert (process.wait(60), complaint) == (Exit.PIPE, "")


@pytest.mark.parametrize("words", [["plan", "--most", "0"], ["plan", "--json"]])
def test_a_terminal_without_utf8_is_no_bug(folder: Path, words: list[str]) -> None:
    """Names have accents everywhere: what cannot be shown is escaped, and JSON stays JSON."""
    process = call(folder, *words, PYTHONIOENCODING="ascii")
    out, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint.decode()) == (Exit.DONE, "")
    if "--json" in words:
        assert json.loads(out)["targets"]


def test_letters_that_cannot_be_finished_leave_no_passwords_behind(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up half-way: no file with half of the passwords, and all of them can be handed out again."""
    assert main(["--config", str(folder), "plan"]) == Exit.DONE
    assert main(["--config", str(folder), "apply", "r1", "--first"]) == Exit.DONE
    letters = folder / "letters.csv"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("syncd.cli.letters.os.fsync", full)
        assert main(["--config", str(folder), "letters", "--csv", str(letters)]) == Exit.IO
    assert not letters.exists()
    assert main(["--config", str(folder), "letters", "--csv", str(letters)]) == Exit.DONE
    assert len(letters.read_text().splitlines()) > 1
    assert capsys.readouterr()
