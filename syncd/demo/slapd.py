"""A private slapd on loopback, in a folder of its own: for the demo and for tests. No root, no system service.

The server comes from the distribution's packages, unpacked into a cache folder; else it is the installed one; else there is none,
and the caller says so. Its tree is a small district: people, groups, a password policy, and the account syncd binds as.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from syncd.demo.certificates import write_certificates
from syncd.demo.packages import INSTALL, Binaries, find_binaries
from syncd.errors import EndpointError

__all__ = ["ADMIN_DN", "CLAIMS_DN", "INSTALL", "SERVICE_DN", "SUFFIX", "Binaries", "PrivateSlapd", "find_binaries"]

SUFFIX = "dc=district,dc=test"
SERVICE_DN = f"cn=syncd,{SUFFIX}"
ADMIN_DN = f"cn=admin,{SUFFIX}"
CLAIMS_DN = f"cn=claims,{SUFFIX}"

_PATIENCE = 20.0


@dataclass(slots=True)
class PrivateSlapd:
    """One slapd with its own configuration, certificates and data below `folder`. Starts empty but for the tree of `_tree()`.

    Three secrets are made at random and lie in files with mode 0600: `service.password` (what syncd binds with), `claims.password`
    (what it carries out claims with, and may set passwords and enable among the students only) and `admin.password`.
    """

    folder: Path
    binaries: Binaries
    nosync: bool = False
    certificate_names: tuple[str, ...] = ("127.0.0.1", "localhost")
    ports: tuple[int, int] = field(default=(0, 0), init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """Where StartTLS is spoken."""
        return f"ldap://127.0.0.1:{self.ports[0]}"

    @property
    def secure_url(self) -> str:
        """Where LDAPS is spoken."""
        return f"ldaps://127.0.0.1:{self.ports[1]}"

    @property
    def ca_file(self) -> Path:
        """The certificate that signed the server's."""
        return self.folder / "ca.pem"

    @property
    def credentials(self) -> Path:
        """The folder in which the credential `service.password` lies."""
        return self.folder

    def password(self, name: str = "service") -> str:
        """The password of the `service`, `claims` or `admin` account."""
        return (self.folder / f"{name}.password").read_text()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._running().pid

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise EndpointError("private slapd", "is not running", "start() it first")
        return self._process

    def start(self) -> None:
        """Serving when this returns. Configures on the first start; later ones keep the data. Raises EndpointError with its log."""
        if not (self.folder / "conf").is_dir():
            self._configure()
        for _ in range(5):  # a free port may be taken between asking and listening
            if self.ports == (0, 0):
                self.ports = (_free_port(), _free_port())
            if self._listen():
                return
            self.ports = (0, 0)
        raise EndpointError("private slapd", f"does not start: {(self.folder / 'slapd.log').read_text()[-2000:]}")

    def _listen(self) -> bool:
        urls = f"{self.url}/ {self.secure_url}/"
        with (self.folder / "slapd.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 — our own path and arguments
                [self.binaries.slapd, "-d", "0", "-F", str(self.folder / "conf"), "-h", urls],
                env=self.binaries.environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            if self._process.poll() is not None:
                return False
            if self._answers(end):
                return True
            time.sleep(0.01)
        self.kill()
        return False

    def _answers(self, end: float) -> bool:
        """Whether this very server serves: a port that was free a moment ago may be another's by now, who answers as well.

        It is known by its certificate; it opens both ports or none. Its own end of the connection is waited for, so that nothing of
        this visit is left for the first client to meet.
        """
        anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE  # compared below, and nothing is said to it
        ours = ssl.PEM_cert_to_DER_cert((self.folder / "server.pem").read_text())
        try:
            with socket.create_connection(("127.0.0.1", self.ports[1]), 1) as connection:
                connection.settimeout(max(end - time.monotonic(), 0.01))
                with anybody.wrap_socket(connection) as secure:
                    known = secure.getpeercert(binary_form=True) == ours
                    secure.unwrap().recv(1)
                    return known
        except OSError:
            return False

    def stop(self) -> None:
        """End it in good order; idempotent."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE)
            self._process = None

    def restart(self) -> None:
        """Stop (if it runs) and serve again, on the same ports and data."""
        self.stop()
        self.start()

    def suspend(self) -> None:
        """Stop answering without closing anything; when this returns, no thread of it runs any more."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Answer again."""
        self._running().send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ldapsearch_line(self, condition: str = "(objectClass=inetOrgPerson)") -> str:
        """The line to type into a shell in order to look."""
        libraries = f"LD_LIBRARY_PATH={self.binaries.libraries} " if self.binaries.root else ""
        return (
            f"{libraries}LDAPTLS_CACERT={self.ca_file} {self.binaries.tool('ldapsearch')} -LLL -x -H {self.secure_url} "
            f"-D {SERVICE_DN} -y {self.folder / 'service.password'} -b {SUFFIX} '{condition}'"
        )

    # --- configuration ------------------------------------------------------------------------------------------------

    def _configure(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        (self.folder / "db").mkdir(exist_ok=True)
        (self.folder / "conf").mkdir()
        write_certificates(self.folder, self.certificate_names)
        for name in ("service", "claims", "admin"):
            path = self.folder / f"{name}.password"
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(18))
        for number, text in (("0", self._config()), ("1", self._tree())):
            ldif = self.folder / f"{number}.ldif"
            ldif.write_text(text)
            ldif.chmod(0o600)
            run = subprocess.run(  # noqa: S603 — our own path and arguments
                [self.binaries.slapd, "-Tadd", f"-n{number}", "-F", str(self.folder / "conf"), "-l", str(ldif)],
                env=self.binaries.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if run.returncode:
                shutil.rmtree(self.folder / "conf", ignore_errors=True)
                raise EndpointError("private slapd", f"its configuration is refused: {run.stderr[-2000:]}")

    def _config(self) -> str:
        root, modules = self.binaries.root, ("back_mdb", "memberof", "refint", "ppolicy", "unique")
        loads = "\n".join(f"olcModuleLoad: {{{index}}}{name}.so" for index, name in enumerate(modules))
        schemas = "\n".join(
            f"include: file://{root}/etc/ldap/schema/{name}.ldif" for name in ("core", "cosine", "nis", "inetorgperson")
        )
        return _CONFIG.format(
            d=self.folder,
            modules=f"{root}/usr/lib/ldap",
            loads=loads,
            schemas=schemas,
            suffix=SUFFIX,
            service=SERVICE_DN,
            claims=CLAIMS_DN,
            admin=ADMIN_DN,
            admin_hash=_hashed(self.password("admin")),
            nosync="TRUE" if self.nosync else "FALSE",
        )

    def _tree(self) -> str:
        hashes = {f"{name}_hash": _hashed(self.password(name)) for name in ("service", "claims")}
        return _TREE.format(suffix=SUFFIX, service=SERVICE_DN, claims=CLAIMS_DN, **hashes)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _hashed(password: str) -> str:
    salt = os.urandom(8)
    digest = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324 — {SSHA} is the scheme every slapd build knows; a random secret
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


_CONFIG = """dn: cn=config
objectClass: olcGlobal
cn: config
olcLogLevel: none
olcSizeLimit: unlimited
olcTLSCACertificateFile: {d}/ca.pem
olcTLSCertificateFile: {d}/server.pem
olcTLSCertificateKeyFile: {d}/server.key
olcTLSVerifyClient: never

dn: cn=module{{0}},cn=config
objectClass: olcModuleList
cn: module{{0}}
olcModulePath: {modules}
{loads}

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

{schemas}

dn: olcDatabase={{-1}}frontend,cn=config
objectClass: olcDatabaseConfig
objectClass: olcFrontendConfig
olcDatabase: {{-1}}frontend
olcPasswordHash: {{SSHA}}
olcAccess: to dn.base="" by * read
olcAccess: to dn.base="cn=Subschema" by * read

dn: olcDatabase={{0}}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {{0}}config
olcAccess: to * by * none

dn: olcDatabase={{1}}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {{1}}mdb
olcSuffix: {suffix}
olcRootDN: {admin}
olcRootPW: {admin_hash}
olcDbDirectory: {d}/db
olcDbMaxSize: 4294967296
olcDbNoSync: {nosync}
olcSecurity: simple_bind=128
olcDbIndex: objectClass,entryUUID,entryCSN eq
olcDbIndex: cn,sn,uid,mail,member,memberOf,employeeNumber eq
olcAccess: {{0}}to dn.subtree="ou=policies,{suffix}" by dn.exact="{service}" read by * none
olcAccess: {{1}}to dn.exact="{service}" attrs=userPassword by anonymous auth by * none
olcAccess: {{2}}to dn.exact="{service}" by self read by * none
olcAccess: {{3}}to dn.exact="{claims}" by anonymous auth by * none
olcAccess: {{4}}to dn.subtree="ou=Students,{suffix}" attrs=userPassword
  by dn.exact="{service}" =w by dn.exact="{claims}" =w by self =w by anonymous auth by * none
olcAccess: {{5}}to dn.subtree="ou=Students,{suffix}" attrs=pwdAccountLockedTime
  by dn.exact="{service}" write by dn.exact="{claims}" write by users read by * none
olcAccess: {{6}}to attrs=userPassword by dn.exact="{service}" =w by self =w by anonymous auth by * none
olcAccess: {{7}}to * by dn.exact="{service}" write by users read by * none

dn: olcOverlay={{0}}memberof,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcMemberOfConfig
olcOverlay: {{0}}memberof
olcMemberOfDangling: ignore
olcMemberOfRefInt: TRUE

dn: olcOverlay={{1}}refint,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcRefintConfig
olcOverlay: {{1}}refint
olcRefintAttribute: member
olcRefintAttribute: manager
olcRefintNothing: {suffix}

dn: olcOverlay={{2}}ppolicy,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: {{2}}ppolicy
olcPPolicyDefault: cn=default,ou=policies,{suffix}
olcPPolicyHashCleartext: TRUE
olcPPolicyUseLockout: TRUE

dn: olcOverlay={{3}}unique,olcDatabase={{1}}mdb,cn=config
objectClass: olcOverlayConfig
objectClass: olcUniqueConfig
olcOverlay: {{3}}unique
olcUniqueURI: ldap:///ou=Students,{suffix}?uid,mail?sub
olcUniqueURI: ldap:///ou=Staff,{suffix}?uid,mail?sub

"""

_TREE = """dn: {suffix}
objectClass: dcObject
objectClass: organization
dc: district
o: District

dn: ou=Students,{suffix}
objectClass: organizationalUnit
ou: Students

dn: ou=Staff,{suffix}
objectClass: organizationalUnit
ou: Staff

dn: ou=Groups,{suffix}
objectClass: organizationalUnit
ou: Groups

dn: ou=Disabled,{suffix}
objectClass: organizationalUnit
ou: Disabled

dn: ou=policies,{suffix}
objectClass: organizationalUnit
ou: policies

dn: cn=default,ou=policies,{suffix}
objectClass: pwdPolicy
objectClass: device
cn: default
pwdAttribute: userPassword
pwdMinLength: 8
pwdCheckQuality: 1
pwdLockout: TRUE
pwdMaxFailure: 5
pwdLockoutDuration: 300

dn: {service}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: syncd
description: what syncd binds as
userPassword: {service_hash}

dn: {claims}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: claims
description: what syncd carries out claims as
userPassword: {claims_hash}

"""
