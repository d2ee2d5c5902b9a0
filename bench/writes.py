"""create_* and modify_*: the production path into slapd over LDAPS, against C ldapadd and ldapmodify over the same TLS.

Inside syncd's clock, from the first person on: naming, mapping, asking the directory before every create (R7), comparing, judging
and storing the plan; then accepting it, sealing passwords, journal and preconditions, until the last outcome is committed. Before
it: reading the roster and resolving it to records of known persons. Inside C's clock: its whole process.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from statistics import median

from bench.clock import before_first_person, uncollected
from bench.figures import Figure, Part
from bench.inputs import SEED
from bench.scratch import TWELVE, Place, settled, slapd
from syncd.assembly import Running, opened, utc_now
from syncd.core.model import Kind
from syncd.demo.district import District
from syncd.demo.oneroster_writer import write_oneroster
from syncd.demo.slapd import SERVICE_DN, SUFFIX, Binaries, PrivateSlapd
from syncd.demo.tour import PIPELINE, TARGET
from syncd.engine.planned import Planned
from syncd.errors import EndpointError
from syncd.settings import load
from syncd.store.history import password_context

CAMPUSES = 10
CREATED, MODIFIED = 5_000, 10_000
_CHANGED = "initials"


@dataclass(frozen=True, slots=True)
class Landed:
    """One plan and its apply: how many changes landed, and the seconds of both; `before` is the part of the plan off the clock."""

    operations: int
    before: float
    plan: float
    apply: float

    @property
    def clock(self) -> float:
        """From the first person decided to the last committed outcome."""
        return self.plan - self.before + self.apply


@dataclass(frozen=True, slots=True)
class Timed:
    """One round of one figure: what syncd did, and the seconds the C tool took for the same."""

    ours: Landed
    reference: float


def measure(binaries: Binaries, wanted: Collection[str], scale: float, rounds: int) -> list[Figure]:
    """Those of the four figures that are wanted: medians of interleaved rounds, each with fresh servers and a fresh store."""
    chosen = [name for name in _FIGURES if name in wanted]
    timed: dict[str, list[Timed]] = {name: [] for name in chosen}
    for _ in range(rounds):
        for name in chosen:
            measured, people, _, nosync = _FIGURES[name]
            timed[name].append(measured(binaries, max(20, round(people * scale)), nosync=nosync))
    return [figure_of(name, _FIGURES[name][2], timed[name]) for name in chosen]


def figure_of(name: str, against: str, rounds: list[Timed]) -> Figure:
    """The figure that some rounds come to."""

    def rate(seconds: Callable[[Timed], float]) -> float:
        return median(one.ours.operations / seconds(one) for one in rounds)

    return Figure(
        name,
        rate(lambda one: one.ours.clock),
        "/s",
        rate(lambda one: one.reference),
        against,
        parts=(
            Part("before the first person", median(one.ours.before for one in rounds), "s"),
            Part("plan, from the first person", median(one.ours.plan - one.ours.before for one in rounds), "s"),
            Part("apply", median(one.ours.apply for one in rounds), "s"),
            Part("apply alone", rate(lambda one: one.ours.apply), "/s"),
            Part("reading included", rate(lambda one: one.ours.plan + one.ours.apply), "/s"),
            Part("operations", median(one.ours.operations for one in rounds), ""),
        ),
    )


def district_of(people: int) -> District:
    """That many persons with accounts, nine in ten of them students; everybody has a middle name, and nobody is a guardian."""
    staff = max(1, people // 10)
    made = District.generate(SEED, CAMPUSES, max(1, people - staff), staff, first_day=utc_now().date())
    return with_middle_names(replace(made, roster=replace(made.roster, parents={})), "First")


def with_middle_names(district: District, stem: str) -> District:
    """The district in which everybody's middle name begins so: one attribute of every account."""
    roster = district.roster
    students = [replace(one, middle=f"{stem} {one.number}") for one in roster.students.values()]
    staff = [replace(one, middle=f"{stem} {one.number}") for one in roster.staff.values()]
    return replace(district, roster=roster.with_students(*students).with_staff(*staff))


def _creates(binaries: Binaries, people: int, *, nosync: bool) -> Timed:
    with settled(binaries, district_of(people), TWELVE, nosync=nosync) as place, slapd(binaries, nosync=nosync) as other:
        with opened(load(place.folder)) as running:
            tree = set(entries_of(place.server))
            landed = run(running, Kind.CREATE, first=True)
            made = [entry for entry in entries_of(place.server) if entry not in tree]
            timed = Timed(landed, _c(other, "ldapadd", _with_passwords(made, running)))
        _same(place, other)
    return timed


def _modifies(binaries: Binaries, people: int, *, nosync: bool) -> Timed:
    with settled(binaries, district_of(people), TWELVE, nosync=nosync) as place, slapd(binaries, nosync=nosync) as other:
        with opened(load(place.folder)) as running:
            tree = set(entries_of(place.server))
            run(running, Kind.CREATE, first=True)
            _c(other, "ldapadd", (entry for entry in entries_of(place.server) if entry not in tree))
            write_oneroster(with_middle_names(place.district, "Second"), place.rosters / "oneroster.zip")
            landed = run(running, Kind.UPDATE)
            timed = Timed(landed, _c(other, "ldapmodify", _modifications(entries_of(place.server))))
        _same(place, other)
    return timed


_FIGURES = {
    "create_nosync": (_creates, CREATED, "C ldapadd", True),
    "create_fsync": (_creates, CREATED, "C ldapadd", False),
    "modify_nosync": (_modifies, MODIFIED, "C ldapmodify", True),
    "modify_fsync": (_modifies, MODIFIED, "C ldapmodify", False),
}


def run(running: Running, kind: Kind, *, first: bool = False) -> Landed:
    """Plan and apply; `operations` are the changes of that kind that landed. Raises where anything was refused."""
    with uncollected():
        started = time.perf_counter()
        planned: Planned = running.engine.plan(PIPELINE)
        between = time.perf_counter()
        applied = running.engine.apply(planned, first=first)
        ended = time.perf_counter()
    if applied is None or applied.failed:
        why = "; ".join(outcome.why for outcome in applied.failures[:3]) if applied else planned.verdict.findings
        raise EndpointError("bench", f"the run was held or partly refused: {why}", "this is a bug")
    landed = applied.reports[TARGET].kinds[kind]
    return Landed(landed, before_first_person(planned), between - started, ended - between)


# --- the C side -------------------------------------------------------------------------------------------------------


def entries_of(server: PrivateSlapd) -> list[str]:
    """Every entry as LDIF, in the order in which it was made, without passwords: those nobody may read."""
    words = ["-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, "(objectClass=*)"]
    return [entry for entry in client(server, "ldapsearch", words).split("\n\n") if entry.strip()]


def _with_passwords(entries: list[str], running: Running) -> Iterator[str]:
    """The entries with the very first passwords syncd gave them: the server has to hash them for either side."""
    passwords = first_passwords(running)
    for entry in entries:
        name = _value(entry, "uid")
        yield f"{entry}\nuserPassword: {passwords[name]}" if name else entry


def first_passwords(running: Running) -> dict[str, str]:
    """The first passwords by the names of the accounts they are for."""
    known = running.store.known(TARGET)
    return {
        known[sealed.person].account.rdn: running.vault.open(sealed.sealed, password_context(sealed.target, sealed.person)).decode()
        for sealed in running.store.sealed_passwords(utc_now(), TARGET)
    }


def _modifications(entries: list[str]) -> Iterator[str]:
    """The updates syncd has just written, as ldapmodify wants them; it knows no preconditions for single changes."""
    for entry in entries:
        value = _value(entry, _CHANGED)
        if value:
            yield f"{entry.splitlines()[0]}\nchangetype: modify\nreplace: {_CHANGED}\n{_CHANGED}: {value}\n-"


def _value(entry: str, attribute: str) -> str:
    mark = f"{attribute}: "
    return next((line.removeprefix(mark) for line in entry.splitlines() if line.startswith(mark)), "")


def _c(server: PrivateSlapd, tool: str, entries: Iterator[str]) -> float:
    """The seconds a C tool takes for these entries, from the start of its process to its end."""
    ldif = server.folder / f"{tool}.ldif"
    ldif.touch(mode=0o600)
    ldif.write_text("\n\n".join(entries) + "\n", encoding="utf-8")
    started = time.perf_counter()
    client(server, tool, ["-f", str(ldif)])
    return time.perf_counter() - started


def client(server: PrivateSlapd, tool: str, words: list[str]) -> str:
    """What one of OpenLDAP's own clients prints, signed in as syncd is."""
    bound = ["-x", "-H", server.secure_url, "-D", SERVICE_DN, "-y", str(server.folder / "service.password")]
    ended = subprocess.run(
        [server.binaries.tool(tool), *bound, *words],
        env={**os.environ, **server.binaries.environment, "LDAPTLS_CACERT": str(server.ca_file), "LDAPTLS_REQCERT": "demand"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise EndpointError("bench", f"{tool} ended with {ended.returncode}: {ended.stderr[-500:]}", "this is a bug")
    return ended.stdout


def _same(place: Place, other: PrivateSlapd) -> None:
    """Both servers must hold the same in the end, or the comparison says nothing."""
    ours, theirs = (sorted(map(_sorted_lines, entries_of(server))) for server in (place.server, other))
    if ours != theirs:
        raise EndpointError("bench", "the two servers do not hold the same entries", "this is a bug")


def _sorted_lines(entry: str) -> list[str]:
    return sorted(entry.splitlines())
