"""`syncd portal` as systemd runs it: with one file of settings, no credential, and none of the daemon's code."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.certificates import write_certificates
from tests.integration.test_daemon import serving, waited_for
from tests.portal import HOST, Browser, Portal

CLAIMS = """
socket: "portal.sock"
claims:
  populations: { students: {} }
  targets: { ldap: { credential: claims, bind_dn: "cn=claims,dc=test" } }
"""
WEB = """
web:
  listen: "127.0.0.1:0"
  hosts: [localhost]
  certificate_file: server.pem
  key_credential: server.key
  credentials: "."
  state: state
"""
LISTED = "import sys; from syncd.cli import main; code = main(); print('modules', *sys.modules, file=sys.stderr); sys.exit(code)"
NOT_THE_PORTALS = (
    "sqlalchemy",
    "alembic",
    "ldap3",
    "apscheduler",
    "syncd.store",
    "syncd.engine",
    "syncd.daemon",
    "syncd.assembly",
    "syncd.targets.ldap_wire",
)


def settings(folder: Path, text: str) -> Path:
    """A folder with nothing in it but config/portal.yaml."""
    (folder / "config").mkdir()
    (folder / "config" / "portal.yaml").write_text(text, encoding="utf-8")
    return folder


def test_the_process_lives_by_one_file_and_holds_nothing_of_the_daemons(tmp_path: Path) -> None:
    """It is ready without a daemon, gives signs of life, ends when told, and never loads what opens a store or a directory."""
    folder = settings(tmp_path, CLAIMS + WEB)
    write_certificates(folder, [HOST])
    with serving(folder, watchdog=60, program=("-c", LISTED), verb="portal") as service:
        port = service.logged("portal.ready")[0]["port"]
        there = Portal(int(str(port)), ssl.create_default_context(cafile=str(folder / "ca.pem")), folder / "state")
        page = Browser(there).get("/claim")
        assert (page.status, page.heading) == (503, "This does not work just now")
        there.connection.close()
        waited_for(lambda: service.has_said("WATCHDOG=1"))
        code, _ = service.end()
    assert code == 0
    assert service.has_said("STOPPING=1")
    (modules,) = (str(line["event"]).split()[1:] for line in service.log if str(line["event"]).startswith("modules "))
    assert "syncd.web.portal" in modules
    assert [name for name in NOT_THE_PORTALS if name in modules] == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("hosts: [localhost]", "hosts: []", "web.hosts: names no host"),
        ("certificate_file: server.pem\n  key_credential: server.key", 'listen: "0.0.0.0:8443"', "web.listen"),
        ("key_credential: server.key", "", "go together"),
        ("hosts: [localhost]", "hosts: [localhost]\n  contact: somebody", "neither mailto: nor https://"),
        (
            "hosts: [localhost]",
            'hosts: [localhost]\n  places: { ldap: { en: X, link: "http://x" } }',
            "does not begin with https://",
        ),
    ],
)
def test_settings_under_which_passwords_would_be_seen_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, told: str
) -> None:
    """With what to do about it, and before anything listens."""
    text = (CLAIMS + WEB).replace(old, new)
    if "listen" in new:
        text = text.replace('listen: "127.0.0.1:0"\n  ', "")
    assert main(["--config", str(settings(tmp_path, text)), "portal"]) == Exit.CONFIG
    assert told in capsys.readouterr().err


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is named."""
    folder = settings(tmp_path, CLAIMS + WEB)
    write_certificates(folder, [HOST])
    key = folder / "server.key"
    key.chmod(0o644)
    assert main(["--config", str(folder), "portal"]) == Exit.UNAVAILABLE
    assert "server.key can be read or written by others" in capsys.readouterr().err
    key.chmod(0o600)
    key.write_text("no key", encoding="utf-8")
    assert main(["--config", str(folder), "portal"]) == Exit.UNAVAILABLE
    assert "are no certificate and its key" in capsys.readouterr().err
