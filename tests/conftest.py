"""Servers that tests share: one private slapd per test process, one fresh part of its tree per test."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from syncd.demo.slapd import ADMIN_DN, INSTALL, SUFFIX, Binaries, PrivateSlapd, find_binaries
from syncd.targets.ldap import LdapConfig
from syncd.vault import Credentials

settings.register_profile("nightly", max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", derandomize=True, print_blob=True, max_examples=50)
"""Half as many examples as usual, always the same: a change is judged by what it changes. By night come new ones."""
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default"))

NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
"""Whether the tests that take minutes are to be run at their full size."""


SERVERS = {"slapd_binaries": "slapd", "samba_cache": "a Samba AD domain controller", "postgres": "PostgreSQL"}
"""The fixture that every test of a real server goes through, whatever else it asks for, and what the server is called."""


class Tally:
    """Counts the tests that ran against each real server; told as the last but one line. With several processes, in the first."""

    def __init__(self) -> None:
        self._ran: set[str] = set()
        self._alone = 0
        self._counted: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """What ran is told by the call; on which servers, once its fixtures were taken down."""
        if report.when == "call" and not report.skipped:
            self._ran.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid in self._ran:
            names = {str(value) for name, value in report.user_properties if name == "server"}
            self._counted.update(names)
            self._alone += not names

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """One line, where anything ran."""
        if self._ran:
            parts = [f"{self._counted[name]:,} on {name}" for name in SERVERS.values() if self._counted[name]]
            told = ", ".join(parts) or "none"
            terminalreporter.write_line(f"servers: of {len(self._ran):,} tests {told}; {self._alone:,} need none of these")


def pytest_configure(config: pytest.Config) -> None:
    """Have the tests counted that run against real servers."""
    config.pluginmanager.register(Tally(), "servers")


@pytest.fixture(autouse=True)
def servers_are_told(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Says in the test's report which servers it used, also those that a fixture asked for while it was made."""
    yield
    for fixture, name in SERVERS.items():
        if fixture in request.fixturenames:
            record_property("server", name)


@pytest.fixture(scope="session")
def openldap() -> Binaries:
    """OpenLDAP's programs, server and clients. A machine without them fails the test and is told how to get them."""
    binaries = find_binaries(Path.home() / ".cache" / "syncd" / "slapd")
    if binaries is None:
        pytest.fail(f"no slapd could be unpacked or found; install one: {INSTALL}")
    return binaries


@pytest.fixture(scope="session")
def slapd_binaries(openldap: Binaries) -> Binaries:
    """A slapd that runs: for a test that starts one, or has one started."""
    return openldap


@pytest.fixture(scope="session")
def slapd(slapd_binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSlapd]:
    """A running slapd for this test process. Leave it running: a test that stops or suspends one uses `own_slapd`."""
    with PrivateSlapd(tmp_path_factory.mktemp("slapd"), slapd_binaries, nosync=True) as server:
        yield server


@pytest.fixture
def own_slapd(slapd_binaries: Binaries, tmp_path: Path) -> Iterator[PrivateSlapd]:
    """A slapd of this test's own, to be killed, suspended and restarted."""
    with PrivateSlapd(tmp_path / "slapd", slapd_binaries, nosync=True) as server:
        yield server


@pytest.fixture
def credentials(slapd: PrivateSlapd) -> Credentials:
    """Where the password of syncd's account on `slapd` lies."""
    return Credentials(slapd.credentials)


Ldif = Callable[[str], None]
_NO_SUCH_OBJECT = 32  # RFC 4511, 4.1.9


def run_as(
    server: PrivateSlapd, dn: str, password: str, program: str, *arguments: str, ldif: str = ""
) -> subprocess.CompletedProcess[str]:
    """A client program of OpenLDAP, run as somebody over LDAPS."""
    command = [server.binaries.tool(program), "-x", "-H", server.secure_url, "-D", dn, "-w", password, *arguments]
    environment = {**server.binaries.environment, "LDAPTLS_CACERT": str(server.ca_file)}
    return subprocess.run(command, env=environment, input=ldif, capture_output=True, text=True, check=False)


def as_admin(server: PrivateSlapd, program: str, *arguments: str, ldif: str = "") -> str:
    """What a client program prints when run as the directory's administrator."""
    run = run_as(server, ADMIN_DN, server.password("admin"), program, *arguments, ldif=ldif)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def ldif(slapd: PrivateSlapd) -> Ldif:
    """Applies LDIF (changetype lines allowed) as the directory's administrator: what somebody else does."""
    return lambda text: void(as_admin(slapd, "ldapmodify", "-a", ldif=text))


def write_secret(path: Path, secret: str | bytes) -> None:
    """A credential file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_bytes(secret.encode() if isinstance(secret, str) else secret)


def void(_: object) -> None:
    """Nothing."""


def fresh_base(server: PrivateSlapd) -> str:
    """A new, empty part of the tree with the containers Students, Staff, Groups and Disabled.

    slapd 2.5.13 has answered "no such object" here for the child of what it had added a moment before (twice in some ten thousand,
    seen 2026-11; why is not known, its refint overlay at work in the background is suspected). Another part is begun then, once;
    nothing else is tried again.
    """
    for last in (False, True):
        base = f"ou=t{uuid.uuid4().hex[:12]},{SUFFIX}"
        units = [base, *(f"ou={name},{base}" for name in ("Students", "Staff", "Groups", "Disabled"))]
        ldif = "".join(f"dn: {unit}\nobjectClass: organizationalUnit\n\n" for unit in units)
        run = run_as(server, ADMIN_DN, server.password("admin"), "ldapadd", ldif=ldif)
        if run.returncode != _NO_SUCH_OBJECT or last:
            break
    assert run.returncode == 0, f"{run.stdout}{run.stderr}"
    return base


@pytest.fixture
def ldap_base(slapd: PrivateSlapd) -> str:
    """A part of the tree that is this test's own."""
    return fresh_base(slapd)


def config_for(server: PrivateSlapd, base: str, **changed: object) -> LdapConfig:
    """A configuration that works on the server over LDAPS, with some fields changed."""
    told: dict[str, object] = {
        "urls": (server.secure_url,),
        "ca_file": str(server.ca_file),
        "bind_dn": f"cn=syncd,{SUFFIX}",
        "credential": "service.password",
        "base": base,
        "receive_timeout": 10,
    }
    return LdapConfig(**{**told, **changed})  # type: ignore[arg-type]  # the callers spell the fields


@pytest.fixture
def ldap_config(slapd: PrivateSlapd, ldap_base: str) -> LdapConfig:
    """The configuration of this test's own part of the tree."""
    return config_for(slapd, ldap_base)
