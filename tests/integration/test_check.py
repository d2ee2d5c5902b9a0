"""`syncd check` against a real directory: what it asks, and what an administrator is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.slapd import PrivateSlapd
from syncd.demo.tour import settle_in

MAPPING = Path("mappings/ldap.yaml")


@pytest.fixture
def folder(tmp_path: Path, slapd: PrivateSlapd) -> Path:
    """A small district whose target is the private server."""
    settle_in(tmp_path, slapd, District.generate(7, 1, 30, 6), lambda _: None)
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    """Replace one text of the mapping."""
    path = folder / MAPPING
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_district_that_is_right_is_told_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files, golden people, store and target: each is named, and the exit code is 0."""
    assert main(["--config", str(folder), "check"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "settings, 1 mapping and golden people: right" in said
    assert "store: answers" in said
    assert "target ldap: answers" in said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "departmentNumber: campus.code",
            "departmentNumbr: campus.code",
            "no attribute departmentNumbr; did you mean departmentNumber?",
        ),
        (
            "- employeeNumber: staff_number",
            "- emploeeNumber: staff_number",
            "no attribute emploeeNumber; did you mean employeeNumber?",
        ),
    ],
)
def test_an_attribute_the_directory_does_not_know_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    """A misspelled attribute is found before the first run, with what was meant; offline nobody can know it."""
    edit(folder, old, new)
    assert main(["--config", str(folder), "check", "--offline"]) == Exit.DONE
    assert main(["--config", str(folder), "check"]) == Exit.UNAVAILABLE
    assert said in "".join(capsys.readouterr())


def test_a_directory_that_does_not_answer_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The store is asked and reported all the same."""
    settings = folder / "config" / "syncd.yaml"
    lines = settings.read_text(encoding="utf-8").splitlines()
    settings.write_text(
        "\n".join('    urls: ["ldaps://127.0.0.1:1"]' if "urls:" in line else line for line in lines), encoding="utf-8"
    )
    assert main(["--config", str(folder), "check"]) == Exit.UNAVAILABLE
    said = "".join(capsys.readouterr())
    assert "store: answers" in said
    assert "target ldap: " in said
