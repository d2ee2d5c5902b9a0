"""A domain to test against: one private Samba per test process, one container of its own per test."""

from __future__ import annotations

import io
import json
import select
import shlex
import ssl
import struct
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

from ldap3 import MODIFY_REPLACE, NONE, Connection, Server, Tls

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.samba import DOMAIN, ROOM, SERVICE, SUFFIX, PrivateSamba
from syncd.targets.ldap_ad import ActiveDirectoryConfig
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.ldap_ad_delegation import OPTIONAL
from syncd.targets.ldap_ad_values import sid_text
from syncd.vault import STATE_KEY
from tests.conftest import write_secret

EVERYTHING = """
target: ad
accounts:
  people:
    container: "ou={{ campus.code }},ou=Students"
    rdn: "{{ student_number }}"
    attributes:
      sAMAccountName: student_number
      userPrincipalName: student_number
      givenName: given
      sn: family
      displayName: display_name
      mail: email
      employeeNumber: student_number
      telephoneNumber: phone
      description: grade
      department: campus.code
      thumbnailPhoto: "'eA=='"
      accountExpires: exit_date
      proxyAddresses: { aliases_of: mail, keep: 30 days }
      manager: { person: manager }
    groups:
      - { name: "cn=All,ou=Groups", create: true }
    password: {}
"""
"""A mapping that writes what any test of Active Directory writes, and nothing else."""
_MASKS = {"LC": 0x04, "LCRP": 0x14}  # list children, read property: [MS-ADTS] 5.1.3.2, Access Rights
_PEOPLE = """
populations:
  people: { when: "true" }
lifecycle:
  people: { delete: { after: 400 days } }
"""
_RIGHTS_ONLY = ("1.2.840.113556.1.4.801", True, b"\x30\x03\x02\x01\x04")  # [MS-ADTS] 3.1.1.3.4.1.11: the DACL, no owner


class Domain:
    """A running domain controller, and its administrator's connection to it: what somebody else does.

    syncd's account has the rights that `syncd ad-delegation` asks for on the container of all rooms, and no others.
    """

    def __init__(self, server: PrivateSamba) -> None:
        self.server = server
        self._admin = self._as(server.admin_dn, server.password("admin"))

    @property
    def admin(self) -> Connection:
        """The administrator's connection: another one where the server ended it: it does after 15 idle minutes."""
        # What can be read though nothing was asked is the server's farewell.
        if self._admin.closed or not self._admin.bound or select.select([self._admin.socket], [], [], 0)[0]:
            self._admin = self._as(self.server.admin_dn, self.server.password("admin"))
            assert self._admin.bind(), self._admin.result
        return self._admin

    def open_rooms(self) -> None:
        """Give syncd's account its rights where the tests work, for both classes of accounts."""
        for each in ("user", "inetOrgPerson"):
            self.delegate(EVERYTHING, base=ROOM, account_class=each)

    def delegate(self, mapping: str, people: str = _PEOPLE, *, protect: bool = False, **target: object) -> list[str]:
        """Run what `syncd ad-delegation` prints for this mapping and these settings of the target: the commands, as printed.

        Those that are optional only where told to `protect`.
        """
        with TemporaryDirectory() as place:
            return self.delegate_as(self.settings(Path(place), mapping, people, **target), protect=protect)

    def delegate_as(self, folder: Path, *, protect: bool = False) -> list[str]:
        """As delegate(), for the settings in a folder."""
        with redirect_stdout(io.StringIO()) as told:
            assert main(["--config", str(folder), "ad-delegation", "ad", "--for", "samba"]) == Exit.DONE
        granting, _, protecting = told.getvalue().partition(OPTIONAL)
        commands = [*granting.splitlines(), *(protecting.split("\n")[1:-1] if protect else ())]
        for command in commands:
            program, *words = shlex.split(command)
            assert program == "samba-tool"
            self.server.tool(*words)
        return commands

    def settings(self, folder: Path, mapping: str, people: str = _PEOPLE, **target: object) -> Path:
        """Settings of a district whose target is this domain, with some keys of the target changed; nothing else of it exists."""
        told = {
            "kind": "active_directory",
            "urls": [self.server.secure_url],
            "ca_file": str(self.server.ca_file),
            "bind_dn": SERVICE,
            "credential": "service.password",
            **target,
        }
        everything = {
            "district": {"name": "Test", "timezone": "America/Chicago"},
            "credentials": str(self.server.folder),
            "sources": {"sis": {"kind": "oneroster_csv", "path": "roster"}},
            "targets": {"ad": told},
            "pipelines": {"main": {"sources": ["sis"], "targets": ["ad"]}},
            "retention": {"spools": "30 days", "plans": "30 days", "before_images": "30 days"},
        }
        (folder / "roster").mkdir(exist_ok=True)
        write_secret(self.server.folder / STATE_KEY, "00" * 32)
        for name, text in (
            ("config/syncd.yaml", json.dumps(everything)),
            ("mappings/people.yaml", people),
            ("mappings/ad.yaml", mapping),
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    def sign_in(self, name: str, password: str) -> str:
        """The server's words where it does not let somebody in with this password; empty where it does."""
        connection = self._as(name, password)
        try:
            return "" if connection.bind() else str(connection.result["message"])
        finally:
            connection.unbind()

    def _as(self, name: str, password: str) -> Connection:
        tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(self.server.ca_file))
        server = Server(self.server.address, port=636, use_ssl=True, tls=tls, get_info=NONE)
        return Connection(server, name, password, auto_referrals=False)

    def does(self, done: bool) -> None:
        """Raises AssertionError with the server's words where the administrator was refused."""
        assert done, self.admin.result

    def room(self) -> str:
        """A new container with Students, Staff, Groups and Disabled in it, below which syncd's account may do anything."""
        base = f"OU=t{uuid.uuid4().hex[:12]},{ROOM}"
        for unit in (base, *(f"OU={name},{base}" for name in ("Students", "Staff", "Groups", "Disabled"))):
            self.does(self.admin.add(unit, "organizationalUnit"))
        return base

    def ordinary(self) -> dict[str, str]:
        """A new ordinary account without any rights, as settings name it: `bind_dn`, and the `credential` with its password."""
        name, word = f"o{uuid.uuid4().hex[:12]}", f"{uuid.uuid4()}-Aa1"
        told = {"sAMAccountName": name, "userAccountControl": "512", "unicodePwd": quoted(word)}
        self.does(self.admin.add(f"CN={name},CN=Users,{SUFFIX}", "user", {**told, "userPrincipalName": f"{name}@{DOMAIN}"}))
        write_secret(self.server.folder / name, word)
        return {"bind_dn": f"{name}@{DOMAIN}", "credential": name}

    def grant(self, dn: str, sddl: str, to: str) -> None:
        """Lines of rights on an entry, by hand: `{sid}` in them is the account of this sign-in name."""
        sid = sid_text(self.entry(f"CN={to.partition('@')[0]},CN=Users,{SUFFIX}", "objectSid")["objectSid"][0])
        self.server.tool("dsacl", "set", f"--objectdn={dn}", f"--sddl={sddl.format(sid=sid)}", *self._there())

    def rights_on(self, dn: str) -> bytes:
        """The security descriptor there, as the administrator reads it: the list of rights only."""
        self.does(self.admin.search(dn, "(objectClass=*)", "BASE", attributes=["nTSecurityDescriptor"], controls=[_RIGHTS_ONLY]))
        found: bytes = self.admin.response[0]["raw_attributes"]["nTSecurityDescriptor"][0]
        return found

    def set_rights(self, dn: str, descriptor: bytes) -> None:
        """Put another list of rights there."""
        self.does(self.admin.modify(dn, {"nTSecurityDescriptor": [(MODIFY_REPLACE, [descriptor])]}, controls=[_RIGHTS_ONLY]))

    @contextmanager
    def denied(self, dn: str, rights: str) -> Iterator[None]:
        """While it lasts, syncd's account is denied these rights (as SDDL spells them) on the entry; the server runs on.

        What stands below it already keeps its own rights: this Samba hands nothing down afterwards.
        """
        service = self.entry(f"CN={SERVICE.partition('@')[0]},CN=Users,{SUFFIX}", "objectSid")["objectSid"][0]
        before = self.rights_on(dn)
        self.set_rights(dn, _with_denial(before, _MASKS[rights], service))
        try:
            yield
        finally:
            self.set_rights(dn, before)

    @contextmanager
    def denied_below(self, dn: str, rights: str) -> Iterator[None]:
        """While it lasts, syncd's account is denied these rights (as SDDL spells them) on the entry and on all below it."""
        before = self.rights_on(dn)
        self.grant(dn, f"(D;CI;{rights};;;{{sid}})", SERVICE)
        try:
            yield
        finally:
            self.set_rights(dn, before)

    def _there(self) -> tuple[str, ...]:
        return "-H", f"{self.server.folder}/private/sam.ldb"

    def entry(self, dn: str, *attributes: str) -> dict[str, list[bytes]]:
        """What the administrator reads there: raw values."""
        self.does(self.admin.search(dn, "(objectClass=*)", "BASE", attributes=list(attributes)))
        raw: dict[str, list[bytes]] = self.admin.response[0]["raw_attributes"]
        return raw

    def config(self, base: str, **changed: object) -> ActiveDirectoryConfig:
        """A configuration that works below the base over LDAPS, with some fields changed."""
        told: dict[str, object] = {
            "urls": (self.server.secure_url,),
            "ca_file": str(self.server.ca_file),
            "bind_dn": SERVICE,
            "credential": "service.password",
            "base": base,
            "receive_timeout": 30,
        }
        return ActiveDirectoryConfig(**{**told, **changed})  # type: ignore[arg-type]  # the callers spell the fields

    def close(self) -> None:
        """Hang up."""
        self._admin.unbind()


def _with_denial(descriptor: bytes, mask: int, sid: bytes) -> bytes:
    """A security descriptor that holds a list of rights only, with one denial in front: [MS-DTYP] 2.4.6, 2.4.5 and 2.4.4.4."""
    ace = struct.pack("<BBHI", 1, 2, 8 + len(sid), mask) + sid
    (at,) = struct.unpack_from("<I", descriptor, 16)
    revision, size, count = struct.unpack_from("<HHH", descriptor, at)
    return descriptor[:at] + struct.pack("<HHHH", revision, size + len(ace), count + 1, 0) + ace + descriptor[at + 8 :]


def restored(server: PrivateSamba) -> None:
    """The stopped controller is another one from now on, as after a restore: it goes by another invocationId.

    Raises AssertionError with the complaint of Samba's own modules.
    """
    words = [str(server.folder / "smb.conf"), f"{server.folder}/private/sam.ldb", str(uuid.uuid4())]
    ended = subprocess.run(
        ["/usr/bin/python3", "-c", _REBORN, *words], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


# Run by the system's Python, which has Samba's modules.
_REBORN = """
import sys, ldb
from samba.auth import system_session
from samba.dcerpc import misc
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB
configuration, place, identity = sys.argv[1:]
loaded = LoadParm()
loaded.load(configuration)
sam = SamDB(place, session_info=system_session(), lp=loaded)
message = ldb.Message(ldb.Dn(sam, sam.get_dsServiceName()))
told = ndr_pack(misc.GUID(identity))
message["invocationId"] = ldb.MessageElement(told, ldb.FLAG_MOD_REPLACE, "invocationId")
sam.modify(message, ["relax:0"])
"""
