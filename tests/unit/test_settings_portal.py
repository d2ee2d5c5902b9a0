"""config/portal.yaml: what of it cannot be meant is told, all at once; the pages' own process reads nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd import settings
from syncd.errors import ConfigError
from syncd.settings import check, load, load_portal

GOOD = """
claims:
  populations: { students: { last4: [ssn4, s_number4] } }
  targets: { ldap: { credential: ldap_claims, bind_dn: "cn=claims,dc=lonestar,dc=example,dc=org" } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The starting set, in which students claim."""
    settings.write_starting_set(tmp_path)
    people = tmp_path / "mappings" / "people.yaml"
    people.write_text(people.read_text(encoding="utf-8").replace("    claim: false", "    claim: true"), encoding="utf-8")
    return tmp_path


def say(folder: Path, text: str) -> None:
    """What the file says."""
    (folder / "config" / "portal.yaml").write_text(text, encoding="utf-8")


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with it."""
    say(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return [str(one) for one in caught.value.problems]


def test_what_the_other_files_do_not_have_is_told_at_once(folder: Path) -> None:
    """A target or population nobody knows, one in which nobody claims, and a directory without an account for claims."""
    told = problems(
        folder,
        "claims:\n  populations:\n    pupils: {}\n    staff: {}\n"
        "  targets:\n    ldap: { credential: ldap_claims }\n    gogle: { credential: x }\n",
    )
    places = [one.partition(" ")[0] for one in told]
    assert places == [f"config/portal.yaml:{line}:{column}:" for line, column in ((3, 13), (4, 12), (6, 11), (7, 12))]
    assert "no population 'pupils'" in told[0]
    assert "nobody of 'staff' has anything to claim" in told[1]
    assert "`bind_dn` is needed" in told[2]
    assert "no target 'gogle'" in told[3]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("  limits: { tries: 5, close_after: 4 }", "close_after: must not be less than tries"),
        ("  limits: { lock: 2 days }", "lock: must be from 1 minute to 1 day"),
        ("  shortest_password: 7", "shortest_password: must be from 8 to 64"),
        ("web: { listen: here }", "listen: 'here' is no address"),
        ("web: { proxies: [10.0.0.1/8] }", "proxies: '10.0.0.1/8' is no address or network"),
        ("web: { certificate_file: a.pem }", "`certificate_file` and `key_credential` go together"),
    ],
)
def test_values_that_cannot_be_meant_are_told(tmp_path: Path, more: str, told: str) -> None:
    """To the pages' own process as to the daemon."""
    (tmp_path / "config").mkdir()
    say(tmp_path, GOOD + more)
    with pytest.raises(ConfigError, match=r"config/portal.yaml:\d+:\d+") as caught:
        load_portal(tmp_path)
    assert told in str(caught.value)


def test_the_pages_process_reads_nothing_else(tmp_path: Path) -> None:
    """Where no other file can be read, its own is enough; paths are told from the folder."""
    (tmp_path / "config").mkdir()
    say(tmp_path, GOOD + 'socket: "portal.sock"')
    portal = load_portal(tmp_path)
    assert (portal.socket, portal.web.state) == (tmp_path / "portal.sock", tmp_path / "portal")
    assert portal.claims.limits.district == 400


def test_claims_are_not_carried_out_with_the_account_of_the_runs(folder: Path) -> None:
    """Whoever takes the portal over could do then what a run can."""
    say(folder, GOOD.replace("ldap_claims", "ldap_bind"))
    assert "'ldap_bind' is what the runs sign in with" in "; ".join(one.what for one in check(load(folder)))
    say(folder, GOOD)
    assert "cannot read" in "; ".join(one.what for one in check(load(folder)) if one.where.startswith("config/portal.yaml"))
