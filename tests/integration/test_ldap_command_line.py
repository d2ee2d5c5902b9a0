"""The command line when the directory is away, silent or says no: what is told, and what the next run makes of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from syncd.assembly import opened
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import Outcome
from syncd.demo.district import District
from syncd.demo.slapd import PrivateSlapd
from syncd.demo.tour import PIPELINE, settle_in, write_roster
from syncd.engine import carry_out
from syncd.settings import load
from tests.conftest import NIGHTLY, as_admin

Said = pytest.CaptureFixture[str]
PEOPLE = "(&(objectClass=inetOrgPerson)(uid=*))"


@pytest.fixture
def district() -> District:
    """A small district."""
    return District.generate(9, 1, 150, 10)


@pytest.fixture
def folder(tmp_path: Path, own_slapd: PrivateSlapd, district: District) -> Path:
    """Its settings, with a first plan and a server of its own; nothing is waited for longer than two seconds."""
    folder = tmp_path / "district"
    folder.mkdir()
    settle_in(folder, own_slapd, district, lambda _: None)
    settings = folder / "config" / "syncd.yaml"
    settings.write_text(
        settings.read_text().replace("    rdn_attribute: uid\n", "    rdn_attribute: uid\n    receive_timeout: 2\n")
    )
    assert "receive_timeout: 2" in settings.read_text()
    assert run(folder, "plan") == Exit.DONE
    return folder


def run(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def accounts(server: PrivateSlapd) -> list[str]:
    """The names of all accounts, as the server's own client reads them."""
    told = as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "dc=district,dc=test", PEOPLE, "uid")
    return sorted(line.removeprefix("uid: ") for line in told.splitlines() if line.startswith("uid: "))


def test_a_directory_that_is_away_is_never_nothing_to_do(
    folder: Path, own_slapd: PrivateSlapd, district: District, capsys: Said
) -> None:
    """No verb says that all is well, none exits 0, and the stored plan still waits when the server is back."""
    assert run(folder, "apply", "r1", "--first") == Exit.DONE
    write_roster(district.day(14), folder / "roster")
    assert run(folder, "plan") == Exit.DONE
    plan = capsys.readouterr().out.rsplit("syncd apply ", 1)[1].strip()
    own_slapd.kill()
    for words in (["apply", plan], ["sync"], ["plan"], ["check"]):
        assert run(folder, *words) == Exit.UNAVAILABLE
        told = capsys.readouterr().out
        assert "Connection refused; is the server up" in told
        assert "every account is as it should be" not in told
        assert "not needed any more" not in told
    own_slapd.start()
    assert run(folder, "apply", plan) == Exit.DONE
    assert "create" in capsys.readouterr().out
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


def test_no_more_than_one_batch_of_outcomes_is_ever_unrecorded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memberships are answered when every intention has long been written: what came of them is recorded all the same."""
    monkeypatch.setattr(carry_out, "BATCH", 40)
    heard: list[Outcome] = []
    unrecorded: list[int] = []
    with opened(load(folder)) as district:
        planned = district.engine.plan(PIPELINE)

        def told(outcome: Outcome) -> None:
            heard.append(outcome)
            if len(heard) % 30 == 0:
                recorded = len(district.store.journal(planned.run)) - len(district.store.open_intentions())
                unrecorded.append(len(heard) - recorded)

        applied = district.engine.apply(planned, first=True, told=told)
    assert applied is not None
    assert not applied.failed
    assert len(unrecorded) > 10
    assert max(unrecorded) <= 40


def test_a_wrong_bind_password_is_told_once_and_not_tried_again(folder: Path, capsys: Said) -> None:
    """It would lock the account: one attempt, the server's words, and where the password is."""
    (folder / "credentials" / "ldap_bind").write_text("wrong")
    for words in (["check"], ["sync", "--reconcile"], ["plan"]):
        started = time.monotonic()
        assert run(folder, *words) == Exit.UNAVAILABLE
        assert "invalid credentials (49); check bind_dn and the credential" in capsys.readouterr().out
        assert time.monotonic() - started < 10


def test_an_apply_that_is_told_to_end_records_what_it_sent(folder: Path, own_slapd: PrivateSlapd, capsys: Said) -> None:
    """SIGTERM, as a service manager sends it: nothing is in doubt afterwards, and the next run does the rest."""
    command = [sys.executable, "-m", "syncd", "--config", str(folder), "apply", "r1", "--first"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("applying: ")
        process.terminate()
        told, complaint = process.communicate(timeout=60)
    assert process.returncode == Exit.TERMINATED, (told, complaint)
    assert "told to end; what was sent is recorded, the next run does the rest" in told
    assert run(folder, "resume") == Exit.DONE
    assert capsys.readouterr().out.endswith("no run was interrupted\n")
    assert run(folder, "sync") == Exit.DONE, capsys.readouterr()
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE, capsys.readouterr()
    names = accounts(own_slapd)
    assert len(names) == len(set(names))
    assert len(names) > 150


@pytest.mark.parametrize("trouble", ["kill", "suspend", "restart"] if NIGHTLY else ["suspend", "restart"])
def test_a_directory_that_fails_in_the_middle_of_an_apply_is_finished_by_the_next_run(
    folder: Path, own_slapd: PrivateSlapd, capsys: Said, trouble: str
) -> None:
    """Killed, suspended or restarted: no traceback, the code says that something is left, and afterwards nobody is there twice."""
    command = [sys.executable, "-m", "syncd", "--config", str(folder), "apply", "r1", "--first"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline().startswith("applying: ")
        getattr(own_slapd, trouble)()
        told, complaint = process.communicate(timeout=120)
    assert "Traceback" not in complaint
    if trouble == "restart":
        assert process.returncode in (Exit.PARTLY, Exit.DONE), (told, complaint)  # it may have met nothing but a new connection
    else:
        (own_slapd.start if trouble == "kill" else own_slapd.resume)()
        assert process.returncode == Exit.PARTLY, (told, complaint)
        assert "sat the rest of this run out" in told
    assert run(folder, "resume") == Exit.DONE
    assert run(folder, "sync") == Exit.DONE, capsys.readouterr()
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE, capsys.readouterr()
    names = accounts(own_slapd)
    assert len(names) == len(set(names))
    assert len(names) > 150
