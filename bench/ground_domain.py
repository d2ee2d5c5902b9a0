"""Where disasters happen to a domain: the same district in a private Active Directory domain (Samba's), put back in a moment.

What the domain holds is told by OpenLDAP's client, signed in as the domain's administrator; what its administrators do by mistake
is done with Samba's own tool and modules. syncd's account has the rights that `syncd ad-delegation` prints, and no others.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, cast

from bench.exports import Export
from bench.ground import HIT, Extent, Ground, Site, entries
from bench.truth import Seen
from syncd.demo import domain
from syncd.demo.roster import Roster
from syncd.demo.samba import SERVICE, SUFFIX, PrivateSamba, missing
from syncd.demo.slapd import Binaries
from syncd.demo.tour import settle_in
from syncd.errors import EndpointError

FULL = Extent(20, 4_000, 500)
"""A controller of Samba's makes forty accounts with a password a second."""
REDUCED = Extent(3, 90, 12)
CACHE = Path.home() / ".cache" / "syncd" / "samba"
"""Where the archive of a domain is kept, which takes ten seconds to make."""

_DISABLED = 0x2  # ADS_UF_ACCOUNTDISABLE in userAccountControl: [MS-ADTS] 2.2.16
_PEOPLE = "(&(objectCategory=person)(objectClass=user))"
_TOLD = ("objectGUID", "userAccountControl", "employeeNumber", "sn", "givenName", "mail")
_PAGED = ("-LLL", "-o", "ldif-wrap=no", "-E", "pr=500/noprompt")


@dataclass
class DomainSite(Site):
    """The folder and the domain controller of all disasters, and copies of both as they were after the first apply."""

    data = ("private",)

    def _move_in(self, place: Path) -> None:
        server = cast("PrivateSamba", self.server)
        settle_in(place, server, self.district, lambda _: None)
        domain.make_units(server)
        domain.delegate(place, server, lambda _: None)

    def _at(self, place: Path) -> DomainGround:
        return DomainGround(self, place, self._on(3))


class DomainGround(Ground):
    """One district in a domain that a disaster befalls."""

    server: PrivateSamba
    admin: ClassVar[str] = f"CN=Administrator,CN=Users,{SUFFIX}"

    def seen(self) -> dict[str, Seen]:
        """Every account but the domain's own by its objectGUID, as ldapsearch tells it."""
        found = entries(self.as_admin("ldapsearch", *_PAGED, "-b", SUFFIX, _PEOPLE, *_TOLD))
        return {one["objectGUID"]: _seen(one) for one in found if not one["dn"].lower().endswith(f",cn=users,{SUFFIX.lower()}")}

    def accounts(self, campus: str = HIT, population: str = "students") -> list[str]:
        """The DNs of the accounts of one campus, in order."""
        base = self.unit(campus, population)
        return sorted(one["dn"] for one in entries(self.as_admin("ldapsearch", *_PAGED, "-b", base, _PEOPLE, "cn")))

    def unit(self, campus: str = HIT, population: str = "students") -> str:
        """The container of one campus."""
        return f"OU={self.district.roster.schools[campus].code},OU={population.capitalize()},{SUFFIX}"

    def units(self, *bases: str) -> list[str]:
        """Every container at and below these."""
        found = (self.as_admin("ldapsearch", *_PAGED, "-b", base, "(objectClass=organizationalUnit)", "ou") for base in bases)
        return sorted({one["dn"] for told in found for one in entries(told)})

    # --- who comes, and what changes -----------------------------------------------------------------------------------

    def enroll(self, number: int, campus: str = HIT) -> list[str]:
        """So many new children come to a campus; their family names."""
        roster, today = self.district.roster, self.clock.now.date()
        there = [one for one in roster.students.values() if one.schools == (campus,)]
        come = [
            replace(
                there[turn % len(there)],
                key=f"newcomer-{turn}",
                number=f"9{turn:05}",
                given="Nova",
                family=f"Newcomer{turn:03}",
                birth=there[turn % len(there)].birth.replace(day=1 + turn % 28),
                middle="",
                preferred_given="",
                email="",
                state_id="",
                start=today,
                exit=None,
                exit_reason="",
            )
            for turn in range(number)
        ]
        self._now_are(roster.with_students(*come))
        return [one.family for one in come]

    def rename(self, campus: str = HIT, population: str = "students") -> str:
        """One more family name at this campus is another one; the number of whose it is."""
        roster = self.district.roster
        planted = {key for keys in self.district.planted.values() for key in keys}
        people = roster.students if population == "students" else roster.staff
        somebody = [one for one in people.values() if one.schools == (campus,) and one.key not in planted][-1]
        renamed = replace(somebody, family=f"{somebody.family}-Too")
        self._now_are(roster.with_students(renamed) if population == "students" else roster.with_staff(renamed))
        self.changed[somebody.number] = renamed.family
        return somebody.number

    def _now_are(self, roster: Roster) -> None:
        self.district = replace(self.district, roster=roster)
        self.good = Export.of(self.district)
        self.deliver(self.good)

    # --- what the domain's administrators do ---------------------------------------------------------------------------

    def tool(self, *words: str) -> str:
        """`samba-tool` on the domain's own files; what runs on the server sees it at once."""
        return self.server.tool(*words, "-H", f"{self.server.folder}/private/sam.ldb")

    def rights(self, ace: str, units: Sequence[str], how: Literal["put", "take"] = "put") -> None:
        """One more line of rights on each of these entries, before all others, or one less. `{sid}` in it is syncd's account."""
        words = [str(self.server.folder / "smb.conf"), f"{self.server.folder}/private/sam.ldb", SERVICE.partition("@")[0], ace, how]
        ended = subprocess.run(
            ["/usr/bin/python3", "-c", _RIGHTS, *words, *units],
            env={"PATH": "/usr/bin", "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise EndpointError("bench", f"rights cannot be changed: {ended.stderr[-500:]}", "this is a bug")


def _seen(entry: dict[str, str]) -> Seen:
    rdn, _, rest = entry["dn"].partition(",")
    return Seen(
        rdn.partition("=")[2],
        rest.lower().removesuffix(SUFFIX.lower()).removesuffix(","),
        not int(entry["userAccountControl"]) & _DISABLED,
        *(entry.get(name, "") for name in ("employeeNumber", "sn", "givenName", "mail")),
    )


@contextmanager
def domain_site(binaries: Binaries, folder: Path, extent: Extent, cache: Path = CACHE) -> Iterator[DomainSite]:
    """A district set up in a folder, with a domain of its own. Raises EndpointError where there can be none."""
    if why := missing():
        raise EndpointError("bench", why)
    with PrivateSamba(folder / "samba", cache) as server:
        yield DomainSite(folder, server, extent, binaries)


# Run by the system's Python, which has Samba's modules.
_RIGHTS = """
import sys
import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB
from samba.sd_utils import SDUtils
configuration, place, name, ace, how, *units = sys.argv[1:]
loaded = LoadParm()
loaded.load(configuration)
sam = SamDB(place, session_info=system_session(), lp=loaded)
(found,) = sam.search(expression=f"(sAMAccountName={name})", attrs=["objectSid"])
sid = ndr_unpack(security.dom_sid, found["objectSid"][0])
rights, line = SDUtils(sam), ace.replace("{sid}", str(sid))
for dn in (ldb.Dn(sam, unit) for unit in units):
    if how == "put":
        rights.dacl_add_ace(dn, line)
        continue
    before = rights.get_sd_as_sddl(dn)
    if line not in before:
        sys.exit(f"{dn} has no {line}: {before}")
    rights.modify_sd_on_dn(dn, before.replace(line, "", 1))
"""
