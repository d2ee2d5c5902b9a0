"""A private Active Directory domain controller on loopback: Samba's, its directory service alone, in a folder of its own.

A domain is made once per version of Samba, which takes seconds, and kept as an archive in a cache folder; every server after that
is unpacked from it. Active Directory's ports are fixed, so each server has a loopback address to itself. Making a domain needs
root (its owner and rights are written into the file system), and so does listening on 389 and 636.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from syncd.demo.certificates import write_certificates
from syncd.errors import EndpointError

DOMAIN = "district.test"
SUFFIX = "DC=district,DC=test"
SERVICE = f"syncd@{DOMAIN}"
"""What syncd binds as: an ordinary account that nobody has given any rights yet. `syncd ad-delegation` prints how to."""
ROOM = f"OU=Room,{SUFFIX}"
"""The container that is made for it to work in."""
INSTALL = "apt-get install --no-install-recommends samba-ad-dc samba-ad-provision"
"""What a person types where the server is missing; nothing of it has to be running."""

_SERVER = "/usr/sbin/samba"
_TOOL = "/usr/bin/samba-tool"
_SCHEMA = "/usr/share/samba/setup/ad-schema"  # a package of its own
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TZ": "UTC"}  # its tools run on the system's Python, not on ours
_PATIENCE = 60.0
_PORTS = (389, 636)
_ADMINISTRATOR = f"CN=Administrator,CN=Users,{SUFFIX}"


def missing() -> str:
    """Why no domain controller can be started here, or the empty string."""
    if not all(map(os.path.exists, (_SERVER, _TOOL, _SCHEMA))):
        return f"there is no Samba domain controller; install one: {INSTALL}"
    if os.geteuid() != 0:
        return "a Samba domain controller needs root: its ports are below 1024, and it writes owners and rights into its files"
    return ""


@dataclass(slots=True)
class PrivateSamba:
    """One domain controller with its own certificates and data below `folder`, on a loopback address of its own.

    Two secrets lie in files with mode 0600: `service.password` (what syncd binds with) and `admin.password` (the domain's
    administrator). They come with the archive and are as old as it is.
    """

    folder: Path
    cache: Path
    address: str = ""
    also: tuple[str, ...] = ()  # other names or addresses its certificate is for
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where StartTLS is spoken."""
        return f"ldap://{self.address}"

    @property
    def secure_url(self) -> str:
        """Where LDAPS is spoken."""
        return f"ldaps://{self.address}"

    @property
    def ca_file(self) -> Path:
        """The certificate that signed the server's."""
        return self.folder / "ca.pem"

    @property
    def admin_dn(self) -> str:
        """The domain's administrator."""
        return _ADMINISTRATOR

    def password(self, name: str = "service") -> str:
        """The password of the `service` or `admin` account."""
        return (self.folder / f"{name}.password").read_text()

    # --- running --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Serving when this returns. Unpacks on the first start; later ones keep the data. Raises EndpointError with its log."""
        if not (self.folder / "private").is_dir():
            _unpack(_archive(self.cache), self.folder)
        if not self.address:
            self.address = free_address()
        if not self.ca_file.exists():
            write_certificates(self.folder, (self.address, f"dc1.{DOMAIN}", *self.also))
        self._listen()

    def _listen(self) -> None:
        configuration = _configured(self.folder, self.address)
        with (self.folder / "samba.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 — our own path and arguments
                [_SERVER, "-i", "-M", "single", "-s", str(configuration), "--debug-stdout"],
                env=_ENVIRONMENT,
                stdin=subprocess.PIPE,  # it ends when this is closed, and so with us, whatever becomes of us
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self._process.poll() is not None:
                break
            with ExitStack() as opened:
                try:
                    for port in _PORTS:
                        opened.enter_context(socket.create_connection((self.address, port), 1))
                except OSError:
                    time.sleep(0.02)
                else:
                    return
        self.kill()
        raise EndpointError("private samba", f"does not start: {(self.folder / 'samba.log').read_text(errors='replace')[-2000:]}")

    def stop(self) -> None:
        """End it in good order; idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would, its children with it."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _signal_all(process, signal.SIGCONT)
        _signal_all(process, how)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            _signal_all(process, signal.SIGKILL)
            process.wait(_PATIENCE)
        if process.stdin is not None:
            process.stdin.close()

    def restart(self) -> None:
        """Stop (if it runs) and serve again, on the same address and data."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def tool(self, *arguments: str) -> str:
        """What `samba-tool` prints when it works on this server's files, as root. Raises EndpointError with its complaint."""
        return _tool(*arguments, "-s", str(self.folder / "smb.conf"))


def _signal_all(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    try:
        os.killpg(process.pid, how)  # start_new_session made it the leader of its own group
    except ProcessLookupError:
        return


def free_address() -> str:
    """A loopback address on which nobody listens to Active Directory's ports; every address of 127/8 is this machine's."""
    numbers = random.SystemRandom()
    for _ in range(200):
        address = f"127.{numbers.randrange(64, 255)}.{numbers.randrange(256)}.{numbers.randrange(1, 255)}"
        with ExitStack() as opened:
            try:
                for port in _PORTS:
                    opened.enter_context(socket.socket()).bind((address, port))
            except OSError:
                continue
            return address
    raise EndpointError("private samba", f"no loopback address has the ports {_PORTS} free")


def _configured(folder: Path, address: str) -> Path:
    """The server's configuration, written anew for where it stands now: nothing else in a domain knows its folder."""
    for name in ("run", "run/ncalrpc", "run/winbindd", "log", "state", "cache", "lock"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    path = folder / "smb.conf"
    path.write_text(_CONFIGURATION.format(d=folder, address=address))
    return path


# --- the domain -----------------------------------------------------------------------------------------------------------


def _tool(*arguments: str) -> str:
    run = subprocess.run([_TOOL, *arguments], env=_ENVIRONMENT, capture_output=True, text=True, check=False)  # noqa: S603 — our own path
    if run.returncode:
        raise EndpointError("private samba", f"samba-tool {arguments[0]} {arguments[1]}: {(run.stderr + run.stdout)[-2000:]}")
    return run.stdout


def _archive(cache: Path) -> Path:
    """The domain of this version of Samba and of this module, made if there is none yet; several processes may ask at once."""
    version = subprocess.run([_SERVER, "-V"], env=_ENVIRONMENT, capture_output=True, check=False).stdout  # noqa: S603 — our own path
    key = hashlib.sha256(version + Path(__file__).read_bytes()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    archive = cache / f"domain-{key}.tar"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            making = cache / f"making-{key}"
            shutil.rmtree(making, ignore_errors=True)
            _provision(making)
            fresh = archive.with_suffix(".fresh")
            fresh.touch(mode=0o600)
            with tarfile.open(fresh, "w") as tar:  # not packed: that would take longer than what it saves to read
                tar.add(making, arcname=".")
            fresh.replace(archive)
            shutil.rmtree(making)
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")


def _provision(folder: Path) -> None:
    """A fresh domain, with the account syncd binds as and the container it is to write in."""
    folder.mkdir(mode=0o700)
    for name in ("service", "admin"):
        path = folder / f"{name}.password"
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(18) + "-A1")  # whatever was drawn, three kinds of characters are in it
    _tool(
        "domain",
        "provision",
        "--server-role=dc",
        "--use-rfc2307",
        "--dns-backend=NONE",
        f"--realm={DOMAIN.upper()}",
        f"--domain={DOMAIN.partition('.')[0].upper()}",
        "--host-name=dc1",
        "--host-ip=127.0.0.1",
        f"--adminpass={(folder / 'admin.password').read_text()}",
        f"--targetdir={folder}",
        "--backend-store=mdb",
        "--backend-store-size=8Gb",
        f"--option=posix:eadb={folder}/eadb.tdb",  # rights in a file, for file systems and containers that keep none
    )
    run = subprocess.run(  # noqa: S603 — our own program; samba-tool would do it in four calls of a second each
        ["/usr/bin/python3", "-c", _TREE, str(_configured(folder, "127.0.0.1")), f"{folder}/private/sam.ldb", ROOM, SERVICE],
        env=_ENVIRONMENT,
        input=(folder / "service.password").read_text(),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise EndpointError("private samba", f"its first account cannot be made: {run.stderr[-2000:]}")


# Run by the system's Python, which has Samba's modules.
_TREE = """
import sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
configuration, place, room, service = sys.argv[1:]
loaded = LoadParm()
loaded.load(configuration)
sam = SamDB(place, session_info=system_session(), lp=loaded)
user = service.partition("@")[0]
sam.newuser(user, sys.stdin.read())
sam.create_ou(room)
"""

_CONFIGURATION = """[global]
    netbios name = DC1
    workgroup = DISTRICT
    realm = DISTRICT.TEST
    server role = active directory domain controller
    server services = ldap
    dcerpc endpoint servers = -dnsserver
    interfaces = {address}/8
    bind interfaces only = yes
    private dir = {d}/private
    state directory = {d}/state
    cache directory = {d}/cache
    lock directory = {d}
    pid directory = {d}/run
    ncalrpc dir = {d}/run/ncalrpc
    winbindd socket directory = {d}/run/winbindd
    ntp signd socket directory = {d}/run/ntp_signd
    binddns dir = {d}/bind-dns
    log file = {d}/log/log.%m
    log level = 1
    logging = file
    max log size = 0
    idmap_ldb:use rfc2307 = yes
    ldb:nosync = true
    tls enabled = yes
    tls keyfile = {d}/server.key
    tls certfile = {d}/server.pem
    tls cafile = {d}/ca.pem
    load printers = no
    disable spoolss = yes
    panic action = /bin/true
    posix:eadb = {d}/eadb.tdb

[sysvol]
    path = {d}/state/sysvol
    read only = no

[netlogon]
    path = {d}/state/sysvol/district.test/scripts
    read only = no
"""
