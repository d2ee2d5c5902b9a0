"""ad_*: the production path into a real domain controller (Samba's) over LDAPS, against C ldapadd, and reading what changed.

The clocks of `ad_create` and `ad_create_password` are those of the other creates (see `writes`). The server hashes each password
for either side; where there is none, everybody's start date has not come yet, so that the accounts are made disabled.
`ad_delta_read` reads a large domain whole, and then what somebody changed of fifty of its accounts: the second against the first.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.figures import Figure, Part
from bench.scratch import freely
from bench.writes import Timed, district_of, figure_of, first_passwords, run
from syncd.assembly import opened
from syncd.core.model import Kind
from syncd.demo.district import District
from syncd.demo.samba import DOMAIN, ROOM, SERVICE, PrivateSamba, missing
from syncd.demo.slapd import Binaries
from syncd.demo.tour import settle_in
from syncd.errors import EndpointError
from syncd.settings import load
from syncd.targets import Needs, Scope
from syncd.targets.ldap_ad import ActiveDirectory, ActiveDirectoryConfig
from syncd.targets.ldap_ad_apply import quoted
from syncd.targets.target import Target
from syncd.vault import Credentials

DELTA_READ, CREATE, CREATE_PASSWORD = IDS = ("ad_delta_read", "ad_create", "ad_create_password")
ACCOUNTS, CHANGED = 20_000, 50
CREATED, CREATED_PASSWORD = 3_000, 500
CACHE = Path.home() / ".cache" / "syncd" / "samba"
"""Where the archive of a domain is kept, which takes ten seconds to make."""

_HERE = Path(__file__).resolve().parent
_AHEAD = timedelta(days=10)  # the shipped lifecycle makes accounts by then, and enables nobody's
_LONGEST_SN = 64  # rangeUpper of Surname, [MS-ADA3]
ATTRIBUTES = (
    *("sAMAccountName", "userPrincipalName", "sn", "givenName", "displayName", "employeeNumber", "employeeType", "department"),
    *("physicalDeliveryOfficeName", "mail", "initials", "description"),
)
_TOLD = ("objectClass", "userAccountControl", *ATTRIBUTES)
_UNITS = ("Students", "Staff", "Groups", "Disabled")


def measure(binaries: Binaries, wanted: Collection[str], scale: float, rounds: int) -> list[Figure]:
    """Those of the three figures that are wanted: medians of interleaved rounds. Raises EndpointError where there is no server."""
    if why := missing():
        raise EndpointError("bench", why)
    figures = []
    if DELTA_READ in wanted:
        figures.append(_delta_read(binaries, max(100, round(ACCOUNTS * scale)), rounds))
    for name, people in ((CREATE, CREATED), (CREATE_PASSWORD, CREATED_PASSWORD)):
        if name in wanted:
            size = max(20, round(people * scale))
            timed = [_creates(binaries, size, passwords=name == CREATE_PASSWORD) for _ in range(rounds)]
            figures.append(figure_of(name, "C ldapadd", timed))
    return figures


@contextmanager
def _samba(binaries: Binaries) -> Iterator[tuple[PrivateSamba, _Client]]:
    """A fresh domain with the containers of a district."""
    with TemporaryDirectory(prefix="syncd-bench-") as folder, PrivateSamba(Path(folder) / "dc", CACHE) as server:
        _delegate(server)
        client = _Client(server, binaries)
        client.run("ldapadd", (f"dn: OU={name},{ROOM}\nobjectClass: organizationalUnit" for name in _UNITS))
        yield server, client


def _delegate(server: PrivateSamba) -> None:
    """Give the account that both sides sign in with the rights a mapping of all these attributes needs, as `ad-delegation` does."""
    needs = Needs(frozenset(ATTRIBUTES), frozenset({"ou"}), joins_groups=True, makes_groups=True, moves=True, deletes=True)
    with closing(ActiveDirectory("ad", _config(server), Credentials(server.folder))) as connector:
        for line in connector.delegation(needs)["samba"]:
            server.tool(*shlex.split(line)[1:])


def _config(server: PrivateSamba) -> ActiveDirectoryConfig:
    return ActiveDirectoryConfig(
        urls=(server.secure_url,),
        ca_file=str(server.ca_file),
        bind_dn=SERVICE,
        credential="service.password",
        base=ROOM,
        protect_containers=False,
    )


class _Client:
    """OpenLDAP's own clients, signed in as syncd is."""

    def __init__(self, server: PrivateSamba, binaries: Binaries) -> None:
        self._server = server
        self._binaries = binaries

    def run(self, tool: str, entries: Iterable[str]) -> float:
        """The seconds a tool takes for these entries, from the start of its process to its end."""
        ldif = self._server.folder / f"{tool}.ldif"
        ldif.touch(mode=0o600)
        ldif.write_text("\n\n".join(entries) + "\n", encoding="utf-8")
        started = time.perf_counter()
        self._called(tool, "-f", str(ldif))
        return time.perf_counter() - started

    def entries(self) -> dict[str, str]:
        """Every entry as LDIF by its name, containers first; without passwords, which nobody may read."""
        words = ("-LLL", "-o", "ldif-wrap=no", "-b", ROOM, "(objectClass=*)", *_TOLD)
        told = (entry.strip() for entry in self._called("ldapsearch", *words).split("\n\n"))
        found = {entry.splitlines()[0]: entry for entry in told if entry.startswith("dn:")}
        return dict(sorted(found.items(), key=lambda one: (one[0].count(","), one[0])))

    def _called(self, tool: str, *words: str) -> str:
        bound = ["-x", "-H", self._server.secure_url, "-D", SERVICE, "-y", str(self._server.folder / "service.password")]
        trusted = {"LDAPTLS_CACERT": str(self._server.ca_file), "LDAPTLS_REQCERT": "demand"}
        ended = subprocess.run(
            [self._binaries.tool(tool), *bound, *words],
            env={**os.environ, **self._binaries.environment, **trusted},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise EndpointError("bench", f"{tool} ended with {ended.returncode}: {ended.stderr[-500:]}", "this is a bug")
        return ended.stdout


# --- creates ----------------------------------------------------------------------------------------------------------------


def _creates(binaries: Binaries, people: int, *, passwords: bool) -> Timed:
    district = fitting(district_of(people))
    with _samba(binaries) as (server, client), _samba(binaries) as (_, other), TemporaryDirectory(prefix="syncd-bench-") as place:
        folder = Path(place) / "district"
        _settle(folder, district if passwords else yet_to_come(district), server, passwords=passwords)
        tree = client.entries()
        with opened(load(folder)) as running:
            landed = run(running, Kind.CREATE, first=True)
            made = [entry for name, entry in client.entries().items() if name not in tree]
            known = first_passwords(running) if passwords else {}
        timed = Timed(landed, other.run("ldapadd", (_with_password(entry, known) for entry in made)))
        ours, theirs = (sorted(sorted(entry.splitlines()) for entry in one.entries().values()) for one in (client, other))
        if ours != theirs:
            raise EndpointError("bench", "the two domains do not hold the same entries", "this is a bug")
    return timed


def fitting(district: District) -> District:
    """The district without the one family name that a domain does not take: an `sn` has at most 64 characters."""
    roster = district.roster
    students = [replace(one, family=one.family[:_LONGEST_SN]) for one in roster.students.values()]
    staff = [replace(one, family=one.family[:_LONGEST_SN]) for one in roster.staff.values()]
    return replace(district, roster=roster.with_students(*students).with_staff(*staff))


def yet_to_come(district: District) -> District:
    """The district in which everybody begins in some days: their accounts are made, and nobody may use one yet."""
    roster, start = district.roster, district.today + _AHEAD
    students = [replace(one, start=start) for one in roster.students.values()]
    staff = [replace(one, start=start) for one in roster.staff.values()]
    return replace(district, roster=roster.with_students(*students).with_staff(*staff))


def _settle(folder: Path, district: District, server: PrivateSamba, *, passwords: bool) -> None:
    """The district moved in, nothing synced yet, and everything allowed at once."""
    folder.mkdir()
    settle_in(folder, None, district, lambda _: None)
    settings, people, mapping = (
        folder / "config" / "syncd.yaml",
        *(folder / "mappings" / name for name in ("people.yaml", "ldap.yaml")),
    )
    text = settings.read_text("utf-8")
    before, _, rest = text.partition("\n    kind: memory\n")
    target = {
        "kind": "active_directory",
        "urls": [server.secure_url],
        "ca_file": str(server.ca_file),
        "bind_dn": SERVICE,
        "credential": "ad_bind",
        "base": ROOM,
    }
    lines = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in target.items())
    settings.write_text(freely(f"{before}\n{lines}{rest.partition(chr(10))[2]}"), "utf-8")
    people.write_text(people.read_text("utf-8").replace("unique_in: [uid]", "unique_in: [sAMAccountName]"), "utf-8")
    ours = (_HERE / "mappings" / "ad.yaml").read_text("utf-8")
    mapping.write_text(ours if passwords else re.sub(r"\n    password:(\n      .*)+", "", ours), "utf-8")
    shutil.copy(server.folder / "service.password", folder / "credentials" / "ad_bind")


def _with_password(entry: str, known: dict[str, str]) -> str:
    """The entry with the very first password syncd gave it; one that has none as it is."""
    name = next((line.partition(": ")[2] for line in entry.splitlines() if line.startswith("sAMAccountName: ")), "")
    return f"{entry}\nunicodePwd:: {base64.b64encode(quoted(known[name])).decode()}" if name in known else entry


# --- what changed ---------------------------------------------------------------------------------------------------------------


def _delta_read(binaries: Binaries, accounts: int, rounds: int) -> Figure:
    """ad_delta_read: against one server that holds so many accounts."""
    whole, changed, fresh, by_number = list[float](), list[float](), list[float](), list[float]()
    with _samba(binaries) as (server, client):
        loading = client.run("ldapadd", (account(number) for number in range(accounts)))
        for turn in range(rounds):
            with closing(_target(server)) as target:
                bookmark, started = target.bookmark(), time.perf_counter()
                read = sum(1 for _ in target.read(_SCOPE))
                whole.append(time.perf_counter() - started)
                _must_be(read, accounts)
                step = accounts // CHANGED
                client.run("ldapmodify", (modified(number * step, turn) for number in range(CHANGED)))
                changed.append(_seconds(target, bookmark))
                by_number.append(_seconds(target, json.dumps({**json.loads(bookmark), "cookie": ""})))
            with closing(_target(server)) as another:
                fresh.append(_seconds(another, bookmark))
    return Figure(
        DELTA_READ,
        median(changed),
        "s",
        median(whole),
        "all read",
        parts=(
            Part("by uSNChanged", median(by_number), "s"),
            Part("in a new process' first connection", median(fresh), "s"),
            Part("changed", CHANGED, ""),
            Part("accounts", accounts, ""),
            Part("C ldapadd before", accounts / loading, "/s"),
        ),
    )


_SCOPE = Scope(frozenset(ATTRIBUTES))


def _target(server: PrivateSamba) -> Target:
    return Target("ad", ActiveDirectory("ad", _config(server), Credentials(server.folder)))


def _seconds(target: Target, bookmark: str) -> float:
    started = time.perf_counter()
    told = target.changed_since(bookmark, _SCOPE)
    ended = time.perf_counter()
    if told is None or told.whole:
        raise EndpointError("bench", "the server told no changes", "this is a bug")
    _must_be(len(told.accounts), CHANGED)
    return ended - started


def _must_be(found: int, expected: int) -> None:
    if found != expected:
        raise EndpointError("bench", f"{found} accounts were told instead of {expected}", "this is a bug")


def account(number: int) -> str:
    """An account that somebody else made, as LDIF."""
    values = (
        f"u{number}",
        f"u{number}@{DOMAIN}",
        f"Family{number}",
        f"Given{number}",
        f"Given{number} Family{number}",
        str(number),
    )
    rest = ("student", "101", "North Elementary", f"u{number}@old.example.org", "x", "Made by hand")
    told = "\n".join(f"{name}: {value}" for name, value in zip(ATTRIBUTES, (*values, *rest), strict=True))
    return f"dn: CN=u{number},OU=Students,{ROOM}\nobjectClass: user\nuserAccountControl: 514\n{told}"


def modified(number: int, turn: int) -> str:
    """Another value in that account, as LDIF."""
    return f"dn: CN=u{number},OU=Students,{ROOM}\nchangetype: modify\nreplace: givenName\ngivenName: Another{turn}\n-"
