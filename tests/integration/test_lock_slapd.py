"""A lock against a real directory while a run is under way, and one that a daemon pays (R33)."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from bench.lock import measure
from syncd.assembly import opened_store
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.health import Level
from syncd.core.model import PersonId
from syncd.demo.district import District
from syncd.demo.slapd import Binaries, PrivateSlapd
from syncd.demo.tour import PIPELINE, TARGET, settle_in
from syncd.engine.health import health
from syncd.settings import load
from tests.conftest import as_admin, run_as
from tests.integration.test_daemon import edit, serving, waited_for

Said = pytest.CaptureFixture[str]
CHANGES, A_SECOND = 60, 1  # 5,000 by hand: python -m bench.lock


@pytest.fixture
def folder(tmp_path: Path, own_slapd: PrivateSlapd) -> Path:
    """A small district with accounts in a directory of its own."""
    folder = tmp_path / "district"
    folder.mkdir()
    settle_in(folder, own_slapd, District.generate(9, 1, 16, 4, guardians=0), lambda _: None)
    edit(folder, 'listen: "127.0.0.1:8470"', 'listen: "127.0.0.1:0"')
    edit(folder, 'delta: "*/15 * * * *"', 'delta: ""')
    edit(folder, 'reconcile: "30 2 * * *"', 'reconcile: ""')
    edit(folder, "    rdn_attribute: uid\n", "    rdn_attribute: uid\n    receive_timeout: 2\n")
    assert syncd(folder, "plan") == Exit.DONE
    assert syncd(folder, "apply", "r1", "--first") == Exit.DONE
    return folder


def syncd(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def somebody(folder: Path) -> tuple[PersonId, str]:
    """A person with an account, and its name."""
    with opened_store(load(folder)) as store:
        person, known = min(store.known(TARGET).items(), key=lambda one: int(one[0][1:]))
    return person, known.account.rdn


def entry(server: PrivateSlapd, name: str) -> str:
    """The account as the directory's administrator reads it."""
    return as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", "dc=district,dc=test", f"(uid={name})", "*", "+")


def closed(server: PrivateSlapd, name: str) -> bool:
    """Whether it is disabled."""
    return "pwdAccountLockedTime: 000001010000Z" in entry(server, name)


def may_enter(server: PrivateSlapd, name: str, password: str) -> bool:
    """Whether the directory lets its owner in."""
    dn = entry(server, name).splitlines()[0].removeprefix("dn: ")
    return run_as(server, dn, password, "ldapwhoami").returncode == 0


def letter(folder: Path, name: str) -> str:
    """The password that the letters hand out for this account."""
    path = folder / "letters.csv"
    assert syncd(folder, "letters", "--csv", str(path)) == Exit.DONE
    with path.open(encoding="utf-8-sig", newline="") as file:
        (found,) = [row["password"] for row in csv.DictReader(file) if row["account"] == name]
    path.unlink()
    return found


def test_a_lock_overtakes_a_run_under_way_and_outlasts_it(slapd_binaries: Binaries) -> None:
    """The verb is a process of its own: disabled within a minute, before the run has ended, and after it and a reconcile."""
    found = measure(slapd_binaries, CHANGES, A_SECOND, whole=False)
    assert found.code == Exit.DONE, found.said
    assert "ldap: disabled, and its password replaced" in found.said
    assert found.seconds < 60
    assert found.overtook
    assert (found.replaced, found.after_run, found.after_reconcile) == (True, True, True)


def test_the_old_password_opens_nothing_even_where_somebody_opens_the_account(folder: Path, own_slapd: PrivateSlapd) -> None:
    """The random one goes in with the disabling. After unlock a letter has the new one; a hand that opened it is overruled."""
    person, name = somebody(folder)
    first = letter(folder, name)
    assert may_enter(own_slapd, name, first)
    assert syncd(folder, "lock", person, "--because", "a stolen device") == Exit.DONE
    assert not may_enter(own_slapd, name, first)
    dn = entry(own_slapd, name).splitlines()[0]
    as_admin(own_slapd, "ldapmodify", ldif=f"{dn}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")
    assert not may_enter(own_slapd, name, first)
    assert syncd(folder, "sync", "--reconcile") == Exit.DONE
    assert closed(own_slapd, name)
    assert syncd(folder, "unlock", person, "--because", "found") == Exit.DONE
    assert syncd(folder, "sync") == Exit.DONE
    second = letter(folder, name)
    assert not closed(own_slapd, name)
    assert (may_enter(own_slapd, name, first), may_enter(own_slapd, name, second)) == (False, True)


def test_a_daemon_pays_a_lock_that_a_dead_directory_owes(folder: Path, own_slapd: PrivateSlapd, capsys: Said) -> None:
    """Exit 4 and critical while it is owed; without a run, without anybody asking, it is paid once the directory is back."""
    person, name = somebody(folder)
    own_slapd.kill()
    words = [sys.executable, "-m", "syncd", "--config", str(folder), "lock", person, "--because", "a stolen device"]
    told = subprocess.run(words, capture_output=True, text=True, check=False)
    assert told.returncode == Exit.PARTLY, told.stdout + told.stderr
    assert "what is still open is owed" in told.stdout
    assert name not in told.stdout
    config = load(folder)
    with opened_store(config) as store:
        found = health(config, store, store.runs(1)[0].started, "0", {}, alive=True)
        assert found.level is Level.CRITICAL
        assert "target ldap: an account of somebody locked is still open" in "; ".join(map(str, found.reasons))
    own_slapd.start()
    with serving(folder, watchdog=1.0) as service:
        waited_for(lambda: closed(own_slapd, name))
        waited_for(lambda: service.health()["local_facts"]["locks_owed"] == 0)  # type: ignore[index]  # plain JSON
        assert service.health()["local_facts"]["lock"] == 1  # type: ignore[index]  # as above
        assert not service.logged("run.planned")
        code, seconds = service.end()
    assert (code, seconds < 20) == (0, True)
    assert capsys.readouterr() is not None
    assert PIPELINE in config.pipelines
