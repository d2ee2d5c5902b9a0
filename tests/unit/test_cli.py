"""The command line: exit codes, what is printed, and what is never printed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.cli.letters import neutral
from syncd.demo.district import District
from syncd.demo.tour import settle_in, write_roster

STUDENTS, STAFF = 30, 6


@pytest.fixture
def district(tmp_path: Path) -> District:
    """A small district with its settings in `tmp_path`, whose target lives in memory."""
    made = District.generate(7, 1, STUDENTS, STAFF)
    settle_in(tmp_path, None, made, lambda _: None)
    return made


@pytest.fixture
def folder(tmp_path: Path, district: District) -> Path:
    """The folder of that district."""
    assert (tmp_path / "roster" / "oneroster.zip").is_file(), district
    return tmp_path


def run(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def first_apply(folder: Path) -> None:
    """A district whose accounts are all there."""
    assert run(folder, "plan") == Exit.DONE
    assert run(folder, "apply", "r1", "--first") == Exit.DONE


# --- exit codes ---


@pytest.mark.parametrize("words", [["no-such-verb"], ["plan", "--no-such-option"], ["apply"], ["plan", "--most", "many"], []])
def test_a_usage_error_is_64(words: list[str]) -> None:
    """Typer's 2 would be read as "changes pending"."""
    assert main(words) == Exit.USAGE


def test_help_imports_nothing_heavy() -> None:
    """`syncd --help` answers at once: no database, wire, validation or YAML library is loaded for it."""
    program = (
        "import sys; from syncd.cli import main; code = main(['--help']);"
        "heavy = {'sqlalchemy', 'alembic', 'ldap3', 'pydantic', 'ruamel', 'jinja2', 'cryptography', 'tenacity', 'structlog'};"
        "sys.exit(code or (f'loaded {heavy & sys.modules.keys()}' if heavy & sys.modules.keys() else 0))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_wrong_setting_is_78_and_every_problem_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem of every file at once, with file and line."""
    for file in ("config/syncd.yaml", "mappings/people.yaml"):
        path = folder / file
        path.write_text(path.read_text() + "\nsurprise: 1\n")
    assert run(folder, "check") == Exit.CONFIG
    told = capsys.readouterr().err
    assert "config/syncd.yaml:" in told
    assert "mappings/people.yaml:" in told


def test_a_folder_without_settings_is_78(tmp_path: Path) -> None:
    """There is a file to be written, so it is a configuration error."""
    assert run(tmp_path, "plan") == Exit.CONFIG


def test_an_unreadable_roster_is_69(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that was never read and cannot be read makes a plan impossible, and says which file."""
    (folder / "roster" / "oneroster.zip").write_bytes(b"PK not a zip")
    assert run(folder, "plan") == Exit.UNAVAILABLE
    assert "oneroster.zip" in capsys.readouterr().err


def test_a_bug_is_70_with_its_traceback() -> None:
    """What nobody raised on purpose is not hidden, and a timer can tell it from everything else."""
    program = (
        "import sys; from syncd.cli import main; from syncd.cli.app import app\n"
        "@app.command()\ndef boom() -> None: raise ZeroDivisionError\n"
        "sys.exit(main(['boom']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == Exit.BUG
    assert "ZeroDivisionError" in ended.stderr
    assert "bug in syncd" in ended.stderr


def test_an_unknown_person_is_67_and_an_unknown_plan_66(folder: Path) -> None:
    """A key nobody has and a plan nobody made are answers of their own."""
    first_apply(folder)
    assert run(folder, "explain", "nobody-has-this-key") == Exit.NO_PERSON
    assert run(folder, "plan", "--person", "nobody-has-this-key") == Exit.NO_PERSON
    assert run(folder, "apply", "r999") == Exit.NO_INPUT
    assert run(folder, "show", "r999") == Exit.NO_INPUT


# --- init ---


def test_init_writes_a_set_that_checks_and_a_private_key(tmp_path: Path) -> None:
    """What `init` writes loads as it is; the key is readable by its owner only."""
    assert main(["init", str(tmp_path)]) == Exit.DONE
    key = tmp_path / "credentials" / "state_key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) > 32


def test_init_never_overwrites(tmp_path: Path) -> None:
    """A second `init` changes nothing: settings are edited by hand and a key is never replaced."""
    assert main(["init", str(tmp_path)]) == Exit.DONE
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(["init", str(tmp_path)]) == Exit.CONFIG
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


# --- plan, apply, sync ---


def test_a_first_plan_is_pending_held_and_applied_only_as_first(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target without history is planned, shown and held until `--first` (R14); afterwards there is nothing to do."""
    assert run(folder, "plan", "--detailed-exitcode") == Exit.HELD
    assert "--first" in capsys.readouterr().out
    assert run(folder, "sync") == Exit.HELD
    assert run(folder, "apply", "r1") == Exit.HELD
    assert run(folder, "apply", "r1", "--first") == Exit.DONE
    capsys.readouterr()
    assert run(folder, "sync") == Exit.DONE
    assert run(folder, "plan", "--detailed-exitcode") == Exit.DONE
    assert "Nothing to do" in capsys.readouterr().out


def test_pending_changes_are_2_only_when_asked(folder: Path, district: District) -> None:
    """`--detailed-exitcode` tells a script that there is something to apply; without it a plan that could be made is a success."""
    first_apply(folder)
    write_roster(district.day(14), folder / "roster")
    assert run(folder, "plan") == Exit.DONE
    assert run(folder, "plan", "--detailed-exitcode") in (Exit.PENDING, Exit.HELD)


def test_a_plan_as_json_is_whole_and_filters_narrow_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` is one document with every change; each filter keeps exactly what it names."""
    run(folder, "plan", "--json")
    whole = json.loads(capsys.readouterr().out)["targets"][0]["changes"]
    assert len(whole) > STUDENTS
    assert len({change["digest"] for change in whole}) == len(whole)
    run(folder, "plan", "--json", "--kind", "create")
    creates = json.loads(capsys.readouterr().out)["targets"][0]["changes"]
    assert [change for change in whole if change["kind"] == "create"] == creates
    run(folder, "plan", "--json", "--kind", "member", "--campus", "no such campus")
    assert json.loads(capsys.readouterr().out)["targets"][0]["changes"] == []
    assert run(folder, "plan", "--kind", "explode") == Exit.USAGE


def test_the_plan_on_screen_says_how_much_it_leaves_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--most` shortens and says so; `--most 0` shows everything."""
    run(folder, "plan", "--most", "1")
    short = capsys.readouterr().out
    assert "more (--most 0 shows all)" in short
    run(folder, "plan", "--most", "0")
    assert "more (--most 0 shows all)" not in capsys.readouterr().out


def test_a_confidential_person_is_shown_by_number_only(
    folder: Path, district: District, capsys: pytest.CaptureFixture[str]
) -> None:
    """No verb prints the name, key, user name or place of a confidential person (R37)."""
    key, student = next(iter(sorted(district.roster.students.items())))
    ferpa = folder / "roster" / "ferpa.csv"
    ferpa.write_text(f"student_number,directory_optout,confidential\n{student.number},no,yes\n")
    run(folder, "plan", "--most", "0")
    shown = capsys.readouterr().out
    assert "(confidential)" in shown
    run(folder, "plan", "--json")
    shown += capsys.readouterr().out
    assert run(folder, "apply", "r1", "--first") == Exit.DONE
    for words in (["show", "last"], ["ledger"], ["explain", key], ["runs"], ["rejects"], ["disputes"]):
        run(folder, *words)
    shown += capsys.readouterr().out
    assert [word for word in (student.number, f"{student.given} {student.family}") if word in shown] == []


def test_another_mapping_can_be_tried_on_a_kept_roster(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`plan --spool RUN --mappings DIR` answers what that YAML would have done, and changes nothing."""
    first_apply(folder)
    other = folder / "other"
    other.mkdir()
    for path in (folder / "mappings").iterdir():
        (other / path.name).write_text(path.read_text().replace("employeeType: \"'student'\"", "employeeType: \"'pupil'\""))
    capsys.readouterr()
    assert run(folder, "plan", "--spool", "last", "--mappings", str(other), "--most", "1") == Exit.DONE
    assert "employeeType: pupil" in capsys.readouterr().out
    assert run(folder, "plan", "--detailed-exitcode") == Exit.DONE


# --- looking ---


def test_explain_names_row_rule_value_and_run(folder: Path, district: District, capsys: pytest.CaptureFixture[str]) -> None:
    """Why an account is as it is: the row, the rule's file and line, the value, and the run that wrote it."""
    first_apply(folder)
    with_account = next(key for key in sorted(district.roster.staff) if run(folder, "explain", key) == 0)
    capsys.readouterr()
    run(folder, "explain", with_account)
    told = capsys.readouterr().out
    assert "users.csv:" in told
    assert "mappings/ldap.yaml:" in told
    assert "create done" in told


def test_tables_are_tab_separated_in_a_pipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A list can be cut and sorted: one line each, tabs between, a header first."""
    first_apply(folder)
    capsys.readouterr()
    run(folder, "runs")
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "run\tpipeline\tkind\ttrigger\tstatus\tstarted (UTC)\ttook\twhat"
    assert rows
    assert {header.count("\t")} == {row.count("\t") for row in rows}


# --- letters, backup ---


def test_letters_are_handed_out_once_to_a_private_file(folder: Path) -> None:
    """Each new account's password is written once, to a new file only its owner can read; then it is gone."""
    first_apply(folder)
    letters = folder / "letters.csv"
    assert run(folder, "letters", "--csv", str(letters)) == Exit.DONE
    assert letters.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(letters.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) > STUDENTS / 2
    assert len({row["password"] for row in rows}) == len(rows)
    assert run(folder, "letters", "--csv", str(folder / "again.csv")) == Exit.DONE
    assert not (folder / "again.csv").exists()


def test_letters_never_overwrite_a_file(folder: Path) -> None:
    """A file that is there is left alone, and no password is spent on it."""
    first_apply(folder)
    taken = folder / "taken.csv"
    taken.write_text("mine")
    assert run(folder, "letters", "--csv", str(taken)) == Exit.CANNOT_CREATE
    assert taken.read_text() == "mine"
    assert run(folder, "letters", "--csv", str(folder / "letters.csv")) == Exit.DONE
    assert (folder / "letters.csv").exists()


@pytest.mark.parametrize("cell", ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_neutralised(cell: str) -> None:
    """A name from a roster is text, whatever it begins with (R42)."""
    assert f"'{cell}" == neutral(cell)


def test_a_backup_does_not_overwrite(folder: Path) -> None:
    """A backup is written to a new file; the last one is never spoilt by this one."""
    first_apply(folder)
    assert run(folder, "backup", str(folder / "store.backup")) == Exit.DONE
    assert run(folder, "backup", str(folder / "store.backup")) == Exit.CANNOT_CREATE
