"""The private server that demo and tests run on: quick, separate, and gone without a trace when stopped."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

from syncd.demo.slapd import SUFFIX, Binaries, PrivateSlapd, find_binaries
from tests.conftest import as_admin


def test_the_printed_line_shows_the_directory(slapd: PrivateSlapd) -> None:
    """Pasted into a shell, it works as it is."""
    run = subprocess.run(slapd.ldapsearch_line("(ou=Students)"), shell=True, capture_output=True, text=True, check=False)  # noqa: S602 — it is a shell line
    assert f"dn: ou=Students,{SUFFIX}" in run.stdout, run.stderr


def test_a_restart_keeps_data_and_addresses(own_slapd: PrivateSlapd) -> None:
    """Killed or stopped, it comes back where it was with what it had."""
    before = own_slapd.secure_url
    as_admin(own_slapd, "ldapadd", ldif=f"dn: ou=kept,{SUFFIX}\nobjectClass: organizationalUnit\n\n")
    own_slapd.kill()
    own_slapd.start()
    assert own_slapd.secure_url == before
    assert f"dn: ou=kept,{SUFFIX}" in as_admin(own_slapd, "ldapsearch", "-LLL", "-b", SUFFIX, "(ou=kept)", "dn")


def test_two_servers_live_side_by_side(slapd: PrivateSlapd, own_slapd: PrivateSlapd) -> None:
    """Nothing is shared: no port, no folder, no process."""
    assert {*slapd.ports}.isdisjoint(own_slapd.ports)
    assert slapd.pid != own_slapd.pid


def test_secrets_are_for_the_owner_only(slapd: PrivateSlapd) -> None:
    """The folder, the passwords and the key."""
    names = ("", "service.password", "claims.password", "admin.password", "server.key", "0.ldif", "1.ldif")
    assert [name for name in names if stat.S_IMODE((slapd.folder / name).stat().st_mode) & 0o077] == []


def test_a_stopped_server_is_gone(slapd_binaries: Binaries, tmp_path: Path) -> None:
    """stop() waits for the end, and may be called again."""
    server = PrivateSlapd(tmp_path / "slapd", slapd_binaries)
    server.start()
    pid = server.pid
    server.stop()
    server.stop()
    assert not Path(f"/proc/{pid}").exists()


def test_unpacked_packages_are_found_again(slapd_binaries: Binaries) -> None:
    """The second call asks nobody."""
    if slapd_binaries.root:
        assert find_binaries(Path(slapd_binaries.root).parent) == slapd_binaries
