"""What an administrator gets wrong, and what goes wrong under one: what is told, and with which exit code."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.district import District
from syncd.demo.tour import settle_in, write_roster

Said = pytest.CaptureFixture[str]


@pytest.fixture
def district(tmp_path: Path) -> District:
    """A small district with its settings in `tmp_path`, whose target lives in memory."""
    made = District.generate(7, 1, 30, 6)
    settle_in(tmp_path, None, made, lambda _: None)
    return made


@pytest.fixture
def folder(tmp_path: Path, district: District) -> Path:
    """The folder of that district, whose accounts are all there."""
    assert main(["--config", str(tmp_path), "plan"]) == Exit.DONE, district
    assert main(["--config", str(tmp_path), "apply", "r1", "--first"]) == Exit.DONE
    return tmp_path


def run(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def spoil(folder: Path) -> None:
    """The night's export was cut off."""
    (folder / "roster" / "oneroster.zip").write_bytes(b"PK\3\4 and no more")


# --- the wrong folder, the wrong key ---


def test_a_folder_without_settings_is_named(tmp_path: Path, capsys: Said) -> None:
    """Whoever stands in the wrong folder must see which one was looked at."""
    assert run(tmp_path / "elsewhere", "plan") == Exit.CONFIG
    assert f"2 problems in {tmp_path / 'elsewhere'}; nothing was started" in capsys.readouterr().err
    assert main(["init", str(tmp_path)]) == Exit.DONE
    assert main(["init", str(tmp_path)]) == Exit.CONFIG
    assert f"problems in {tmp_path};" in capsys.readouterr().err


def test_mappings_that_are_not_there_are_named_with_their_own_folder(folder: Path, tmp_path: Path, capsys: Said) -> None:
    """`--mappings` is looked for where it says, not where the settings are."""
    (tmp_path / "empty").mkdir()
    assert run(folder, "plan", "--mappings", str(tmp_path / "empty")) == Exit.CONFIG
    assert f"in {tmp_path / 'empty'} under the settings of {folder};" in capsys.readouterr().err


def test_syncing_somebody_nobody_knows_is_67(folder: Path, capsys: Said) -> None:
    """A mistyped key is not a person for whom there is nothing to do."""
    assert run(folder, "sync", "--person", "nobody-has-this-key") == Exit.NO_PERSON
    assert "nobody is known by 'nobody-has-this-key'" in capsys.readouterr().out


def test_syncing_somebody_who_is_new_tonight_is_possible(folder: Path, district: District, capsys: Said) -> None:
    """Their key is in no store yet, only in the roster that is read now."""
    later = district.day(14)
    key = next(iter(sorted(later.roster.students.keys() - district.roster.students.keys())))
    write_roster(later, folder / "roster")
    assert run(folder, "sync", "--person", key) == Exit.DONE
    assert "1 create" in capsys.readouterr().out


def test_a_roster_of_a_run_that_never_was_is_66(folder: Path, capsys: Said) -> None:
    """As for every other verb that takes a run."""
    assert run(folder, "plan", "--spool", "r77") == Exit.NO_INPUT
    assert "there is no run r77" in capsys.readouterr().out


def test_showing_the_last_run_where_there_was_none_says_so(tmp_path: Path, district: District, capsys: Said) -> None:
    """`last` is no name to look up in a list."""
    assert run(tmp_path, "show") == Exit.NO_INPUT, district
    assert "there was no run yet" in capsys.readouterr().out


def test_a_credential_that_others_can_read_is_refused(folder: Path, capsys: Said) -> None:
    """`check` names the key and the file; every other verb refuses to use it."""
    key = folder / "credentials" / "state_key"
    key.chmod(0o640)
    assert run(folder, "check", "--offline") == Exit.CONFIG
    assert run(folder, "sync") == Exit.UNAVAILABLE
    told = capsys.readouterr().err
    assert "config/syncd.yaml:" in told
    assert told.count(f"chmod 600 {key}") == 2


# --- explain ---


def test_explain_says_why_a_disputed_record_has_no_account(folder: Path, capsys: Said) -> None:
    """Whoever asks for somebody who is listed under `disputes` is told so, not that nobody is known."""
    run(folder, "disputes")
    subject = capsys.readouterr().out.splitlines()[1].split("\t")[0]
    for key in (subject, subject.partition("/")[2]):
        assert run(folder, "explain", key) == Exit.DONE
        assert f"{subject} is disputed" in capsys.readouterr().out
        assert run(folder, "plan", "--person", key) == Exit.NO_PERSON
        assert f"{subject} is disputed" in capsys.readouterr().out


def test_explain_shows_a_reference_as_the_directory_holds_it_and_by_which_rule(folder: Path, capsys: Said) -> None:
    """`manager` is as it should be: no difference is made up, and the line named is the one that says `person: manager`."""
    run(folder, "plan", "--reconcile")
    assert run(folder, "explain", "emp-0000002") == Exit.DONE
    told = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("manager"))
    assert "would have" not in told
    number = int(told.rsplit("ldap.yaml:", 1)[1].split(":")[0])
    assert "person: manager" in (folder / "mappings" / "ldap.yaml").read_text().splitlines()[number - 1]


# --- a roster that cannot be read ---


def test_a_source_that_was_not_read_is_never_nothing_to_do(folder: Path, capsys: Said) -> None:
    """The last accepted roster stands in, but a timer learns of it, and nobody is told that all is well."""
    spoil(folder)
    for verb, code in ((["plan"], Exit.UNAVAILABLE), (["sync"], Exit.PARTLY), (["apply", "r1"], Exit.PARTLY)):
        assert run(folder, *verb) == code
        told = capsys.readouterr().out
        assert "source sis was not read" in told
        assert "oneroster.zip" in told
        assert "every account is as it should be" not in told


def test_check_reads_every_source_to_its_end(folder: Path, capsys: Said) -> None:
    """A roster that is there and cannot be used is found before the first run, with what a run would say of it."""
    assert run(folder, "check") == Exit.DONE
    assert re.search(r"(?m)^source sis: \d\d persons, 0 rows that cannot be used$", capsys.readouterr().out)
    kept = sorted(path.name for path in (folder / "state").rglob("*"))
    spoil(folder)
    assert run(folder, "check") == Exit.UNAVAILABLE
    assert "source sis: oneroster.zip is not a complete zip file" in capsys.readouterr().out
    assert sorted(path.name for path in (folder / "state").rglob("*")) == kept


def test_check_tells_a_roster_below_its_floor(folder: Path, capsys: Said) -> None:
    """A half export is a whole zip file."""
    path = folder / "config" / "syncd.yaml"
    path.write_text(path.read_text().replace("floor: 18", "floor: 1800"))
    assert run(folder, "check") == Exit.UNAVAILABLE
    assert "below the floor of 1,800" in capsys.readouterr().out


# --- ends ---


def syncd(folder: Path, *words: str) -> list[str]:
    """The command line of one call as its own process."""
    return [sys.executable, "-m", "syncd", "--config", str(folder), *words]


def test_ctrl_c_in_the_middle_of_an_apply_says_what_becomes_of_it(tmp_path: Path) -> None:
    """130, one line and no traceback; the next run completes what was sent and creates nobody twice."""
    settle_in(tmp_path, None, District.generate(9, 2, 200, 20), lambda _: None)
    assert run(tmp_path, "plan") == Exit.DONE
    settings = tmp_path / "config" / "syncd.yaml"
    as_ever = settings.read_text("utf-8")
    slow = as_ever.replace("    limits:\n", "    rate: 300\n    limits:\n", 1)  # so that it is not over before it is stopped
    settings.write_text(slow, "utf-8")
    # Whoever runs the tests in the background has this signal ignored, and so would the process.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(syncd(tmp_path, "apply", "r1", "--first"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"applying: ")
        process.send_signal(signal.SIGINT)
        told = process.stderr.read().decode()
    assert process.returncode == Exit.STOPPED
    complaint = [line for line in told.splitlines() if not line.startswith("applying: ")]
    assert len(complaint) == 1
    assert "stopped by Ctrl-C" in complaint[0]
    settings.write_text(as_ever, "utf-8")
    assert run(tmp_path, "resume") == Exit.DONE
    assert run(tmp_path, "sync") == Exit.DONE
    assert run(tmp_path, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


@pytest.mark.parametrize("words", [["runs"], ["plan"], ["plan", "--json"]])
def test_an_output_that_takes_no_more_is_74(folder: Path, words: list[str]) -> None:
    """A full disk behind `syncd plan > file` is told once, in words."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(syncd(folder, *words), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == Exit.IO
    assert ended.stderr == "a file, or standard output, could not be written: No space left on device\n"


def test_a_second_run_at_the_same_time_is_refused_by_name(folder: Path, capsys: Said) -> None:
    """Two runs on one store are never right; who has it is told."""
    import fcntl  # noqa: PLC0415 — only here

    with (folder / "state" / "run.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for words in (["plan"], ["sync"], ["apply", "r1"], ["resume"]):
            assert run(folder, *words) == Exit.UNAVAILABLE
            assert f"process {os.getpid()} is running on this store" in capsys.readouterr().err
        assert run(folder, "runs") == Exit.DONE


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines(folder: Path, district: District) -> None:
    """What moves on a terminal would be noise in a log; both tell how far it is."""
    write_roster(district.day(14), folder / "roster")
    master, slave = pty.openpty()
    with subprocess.Popen(syncd(folder, "sync"), stdout=slave, stderr=slave) as process:
        os.close(slave)
        shown = bytearray()
        try:
            while chunk := os.read(master, 65536):
                shown += chunk
        except OSError:  # how a pseudo-terminal says that nobody writes any more
            pass
    os.close(master)
    assert process.returncode == Exit.DONE
    assert b"syncing" in shown
    assert b"\x1b[" in shown
    piped = subprocess.run(syncd(folder, "plan"), capture_output=True, check=True)
    assert b"\x1b[" not in piped.stdout + piped.stderr
