"""A private PostgreSQL for tests: made in a temporary folder, reached only through a socket in it, gone afterwards."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

INSTALL = "apt-get install -y postgresql"
_CLUSTERS = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class PrivatePostgres:
    """A running server; each `fresh()` is an empty database of its own."""

    binaries: Path
    socket: Path
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fresh(self, template: str = "template0") -> str:
        """The SQLAlchemy URL of a new database: an empty one, or a copy of one that nobody is connected to."""
        name = f"t{next(self._numbers)}"
        _run([str(self.binaries / "createdb"), "-h", str(self.socket), "-T", template, name])
        return self.url(name)

    def url(self, name: str) -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg:///{name}?host={self.socket}&user=postgres"


@contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """The newest installed PostgreSQL, running. Fails the test, with how to install one, where there is none."""
    binaries = _newest_binaries()
    if binaries is None:
        pytest.fail(f"no PostgreSQL server found under {_CLUSTERS}; install one: {INSTALL}")
    folder = Path(tempfile.mkdtemp(prefix="syncd-pg-"))  # not below pytest's own folder, which only root may enter
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        _run([str(binaries / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
        # durability is not what these tests are about: without fsync they run in seconds
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=40"
        control = [str(binaries / "pg_ctl"), "-D", str(data), "-w", "-s"]
        _run([*control, "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield PrivatePostgres(binaries, folder)
        finally:
            _run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _newest_binaries() -> Path | None:
    found = [path.parent for path in _CLUSTERS.glob("*/bin/initdb") if path.parts[-3].isdecimal()]
    return max(found, key=lambda path: int(path.parts[-2]), default=None)


def _run(command: Sequence[str]) -> None:
    """Run a program of PostgreSQL, as its own user where we are root: initdb and the server refuse root."""
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.fail(f"no user `postgres` to run the server as; install one: {INSTALL}")
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGUSER": "postgres"}
    # the server inherits these streams: a pipe would never end
    with tempfile.TemporaryFile("w+") as said:
        run = subprocess.run(
            command, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=60, check=False
        )
        said.seek(0)
        assert run.returncode == 0, said.read()
