"""The main job on a made-up district and a private directory server, OpenLDAP or a domain controller, told as it happens.

Everything is the production path: the starting settings with the server's address filled in, TLS, the store, the engine, real
rosters. Only the clock is the demo's own, because three weeks must pass in a minute. How it is printed is the caller's business.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from syncd.assembly import Running, migrate_store, opened
from syncd.core.lifecycle import State
from syncd.core.model import Outcome, PersonId, SourceName, TargetName
from syncd.demo import domain
from syncd.demo.district import District, Event
from syncd.demo.domain import BUG
from syncd.demo.oneroster_writer import write_oneroster, write_supplements
from syncd.demo.samba import PrivateSamba, missing
from syncd.demo.slapd import INSTALL, SERVICE_DN, SUFFIX, PrivateSlapd, find_binaries
from syncd.engine import RECONCILE
from syncd.engine.explain import Explanation
from syncd.engine.planned import Applied, Planned
from syncd.errors import EndpointError
from syncd.settings import load, write_starting_set
from syncd.vault import STATE_KEY

SOURCE, TARGET, PIPELINE = SourceName("sis"), TargetName("ldap"), "main"
WEEKS = 3
_SMALL = 300
_ENOUGH = (signal.SIGINT, signal.SIGTERM)
_TELLING = ("moved", "renamed", "preferred", "returned")  # what makes an account worth explaining, best first
_NIGHT = time(8, 0)  # UTC: the small hours in Texas


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo is asked for."""

    students: int = 1200
    staff: int = 150
    campuses: int = 3
    seed: int = 1
    keep: bool = False
    folder: Path | None = None
    ad: bool = False
    cache: Path | None = None  # where servers are kept that were unpacked or made
    first_day: date = date(2026, 9, 1)


Server = PrivateSlapd | PrivateSamba


class Voice(Protocol):
    """How the demo speaks."""

    def title(self, text: str) -> None:
        """A new part begins."""

    def say(self, text: str = "") -> None:
        """One line."""

    def plan(self, planned: Planned, district: Running, most: int) -> None:
        """A plan, `most` changes of each kind."""

    def applied(self, applied: Applied, district: Running) -> None:
        """What came of a plan."""

    def story(self, explanation: Explanation) -> None:
        """Why an account is as it is."""

    def progress(self, what: str, of: int) -> AbstractContextManager[Callable[[Outcome], None]]:
        """Something to call with each outcome as it comes in."""


class Night:
    """The demo's clock: it stands still until the next night is wanted."""

    def __init__(self, day: date) -> None:
        self.now = datetime.combine(day, _NIGHT, UTC)

    def __call__(self) -> datetime:
        """The time, as everything in the demo is told."""
        return self.now

    def turn_to(self, day: date) -> None:
        """It is the night of that day now."""
        self.now = datetime.combine(day, _NIGHT, UTC)


def tour(options: Options, voice: Voice) -> None:
    """Show it all, and clean up. Ends by itself, unless the server is to be kept: then at Ctrl-C."""
    with ExitStack() as closing:
        if options.folder is None:
            folder = Path(closing.enter_context(TemporaryDirectory(prefix="syncd-demo-")))
        else:
            folder = options.folder.absolute()
            folder.mkdir(parents=True, exist_ok=True)
        voice.title("Setting up")
        cache = options.cache or _cache()
        server = _domain(folder, cache) if options.ad else _server(folder, cache, voice)
        if server is not None:
            closing.enter_context(server)
            what = "Active Directory domain controller (Samba's)" if options.ad else "OpenLDAP server"
            voice.say(f"A private {what} listens on {server.secure_url}, with a certificate of its own.")
        roster = District.generate(options.seed, options.campuses, options.students, options.staff, first_day=options.first_day)
        settle_in(folder, server, roster, voice.say)
        if isinstance(server, PrivateSamba):
            domain.make_units(server)
            domain.delegate(folder, server, voice.say)
        clock = Night(roster.today)
        district = closing.enter_context(opened(load(folder), clock=clock))
        story = _Tour(district, clock, folder / "roster", roster, server, voice)
        if isinstance(server, PrivateSamba):
            story.target, story.own = TargetName(domain.NAME), tuple(domain.users(server))
        story.run()
        if options.keep and server is not None:
            voice.say(f"\nThe server stays up until Ctrl-C; everything is in {folder}.")
            signal.pthread_sigmask(signal.SIG_BLOCK, _ENOUGH)
            signal.sigwait(_ENOUGH)


# --- setting up -------------------------------------------------------------------------------------------------------


def _cache() -> Path:
    """Where servers are kept: a clone keeps what it unpacks; an installed syncd uses the user's cache."""
    here = Path(__file__).resolve().parents[2]
    return here / ".cache" if (here / "pyproject.toml").is_file() else Path.home() / ".cache" / "syncd"


def _domain(folder: Path, cache: Path) -> PrivateSamba:
    if why := missing():
        raise EndpointError("demo", why)
    return PrivateSamba(folder / "samba", cache / "samba")


def _server(folder: Path, cache: Path, voice: Voice) -> PrivateSlapd | None:
    binaries = find_binaries(cache / "slapd")
    if binaries is None:
        voice.say(f"There is no slapd here and none can be unpacked ({INSTALL} would do): the demo writes into memory instead.")
        return None
    return PrivateSlapd(folder / "slapd", binaries)


def settle_in(folder: Path, server: Server | None, roster: District, say: Callable[[str], None]) -> None:
    """Everything `syncd init` and an administrator would do: settings, credentials, store, the first roster."""
    people = len(roster.roster.students) + len(roster.roster.staff)
    small = people < _SMALL  # one leaver of a small school is a large share of it
    answers = {
        "sources.sis.shape.floor": people // 2,
        "sources.sis.shape.shrink_percent": 30 if small else 5,
        "targets.ldap.bind_dn": SERVICE_DN,
        "targets.ldap.base": SUFFIX,
        "targets.ldap.ca_file": str(server.ca_file) if server else "",
    }
    write_starting_set(folder, {"config/syncd.yaml": answers})
    if isinstance(server, PrivateSamba):
        domain.write_into(folder, domain.target(server), domain.mapping())
    else:
        _name_the_server(folder / "config" / "syncd.yaml", server)
    credentials = folder / "credentials"
    credentials.mkdir(mode=0o700)
    _write_secret(credentials / STATE_KEY, secrets.token_hex(32))
    if server is not None:
        _write_secret(credentials / (domain.CREDENTIAL if isinstance(server, PrivateSamba) else "ldap_bind"), server.password())
    migrate_store(load(folder))
    (folder / "roster").mkdir()
    write_roster(roster, folder / "roster")
    campuses, students, staff = (len(rows) for rows in (roster.roster.schools, roster.roster.students, roster.roster.staff))
    say(f"A district was made up: {campuses} campuses, {students:,} students, {staff:,} staff, and it exports OneRoster.")
    say(f"Its settings, mappings, rosters and state are in {folder}.")


def _name_the_server(settings: Path, server: PrivateSlapd | None) -> None:
    """What cannot be answered value by value: the list of servers, or another kind of target altogether."""
    text = settings.read_text(encoding="utf-8")
    if server is not None:
        shipped = next(line for line in text.splitlines() if line.strip().startswith("urls:"))
        text = text.replace(shipped, f'    urls: ["{server.secure_url}"]')
    else:
        before, _, rest = text.partition("\n    # An LDAP directory")
        _, _, after = rest.partition("\n    # How much may change in 24 hours.")
        kept = json.dumps(str(settings.parents[1] / "directory.json"))
        text = f"{before}\n    kind: memory\n    path: {kept}\n    # How much may change in 24 hours.{after}"
    settings.write_text(text, encoding="utf-8")


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)


def write_roster(roster: District, folder: Path) -> None:
    """What the student information system exports at night."""
    write_oneroster(roster, folder / "oneroster.zip")
    write_supplements(roster, folder)


# --- the story --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tour:
    """The parts of the story, in order."""

    district: Running
    clock: Night
    rosters: Path
    roster: District
    server: Server | None
    voice: Voice
    target: TargetName = TARGET
    own: tuple[str, ...] = ()  # the domain's own accounts, which were there before

    def run(self) -> None:
        """Tell it all."""
        self.first_run()
        self.read_back("The same night, once more")
        self.who_has_no_account()
        events = self.weeks()
        self.read_back("After three weeks, everything read back")
        self.one_account(events)
        self.where_to_look()

    def first_run(self) -> None:
        """A plan for a directory that syncd never wrote to, and its explicit first apply (R14)."""
        voice = self.voice
        voice.title("The first plan")
        voice.say("syncd reads the roster to its end, asks the directory what is there, and writes nothing:\n")
        planned = self.district.engine.plan(PIPELINE)
        voice.plan(planned, self.district, 2)
        voice.title("The first apply")
        voice.say(
            "Nothing runs unlimited because it is the first time. Somebody has looked at the plan, and says so with --first:\n"
        )
        self.apply(planned, first=True)

    def read_back(self, title: str) -> None:
        """The proof that what was written is what was wanted."""
        self.voice.title(title)
        self.voice.say("Every account and group is read back from the directory and compared with what the mapping wants:\n")
        planned = self.district.engine.plan(PIPELINE, RECONCILE)
        self.voice.plan(planned, self.district, 5)
        if planned.changes:
            raise EndpointError("demo", "the directory is not what was written", BUG)
        self.apply(planned)
        self.look_with_another_client()

    def weeks(self) -> list[Event]:
        """Three weeks of a district's life, a roster each week; all that happened."""
        happened: list[Event] = []
        for week in range(1, WEEKS + 1):
            events: list[Event] = []
            for _ in range(7):
                self.roster = self.roster.advance()
                events += self.roster.events
            happened += events
            write_roster(self.roster, self.rosters)
            self.clock.turn_to(self.roster.today)
            self.voice.title(f"Week {week}: the roster of {self.roster.today:%d %B}")
            counts = Counter(event.kind for event in events)
            told = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(counts.items()))
            self.voice.say(f"In the district: {told or 'nothing'}.\n")
            planned = self.district.engine.plan(PIPELINE)
            self.voice.plan(planned, self.district, 3)
            self.apply(planned)
        return happened

    def apply(self, planned: Planned, *, first: bool = False) -> None:
        """Apply what was shown; a held plan would be a fault of the demo, and ends it."""
        with self.voice.progress("applying", planned.changes) as told:
            applied = self.district.engine.apply(planned, first=first, told=told)
        if applied is not None and planned.changes:
            self.voice.applied(applied, self.district)
        if applied is None or applied.failed:
            raise EndpointError("demo", "the plan was held or partly refused", BUG)

    def who_has_no_account(self) -> None:
        """Accounts = persons - disputed - not yet due, each of the others with its reason."""
        self.voice.title("Who has no account, and why")
        keys = [*self.roster.roster.students, *self.roster.roster.staff]
        reasons = self.reasons(keys)
        accounts = len(keys) - len(reasons)
        counts = Counter(kind for _, kind, _ in reasons)
        without = "".join(f" - {number} {kind}" for kind, number in sorted(counts.items()))
        self.voice.say(f"{len(keys):,} persons{without} = {accounts:,} accounts")
        for key, kind, why in reasons:
            self.voice.say(f"  {key} {kind}: {why}")

    def reasons(self, keys: Sequence[str]) -> list[tuple[str, str, str]]:
        """For each key without an account: the key, what kind of reason, and the reason."""
        store = self.district.store
        known_keys = store.keys(SOURCE)
        owners = {str(key): known.person for key, known in known_keys.items()}
        known = store.known(self.target)
        states = store.persons()
        told = {finding.detail.get("key") or finding.person: finding for finding in store.findings()}
        found = []
        for key in keys:
            person: PersonId | None = owners.get(key)
            if person in known:
                continue
            finding = told.get(person) or told.get(key)
            if finding is not None:
                found.append((key, finding.kind, finding.why))
            elif person is not None and person in states:
                state = states[person]
                kind = "not yet due" if state.state == State.PENDING else str(state.state)
                found.append((key, kind, f"the account is made on {state.due}" if state.due else str(state.state)))
            else:
                found.append((key, "unknown", "no source speaks of them"))
        return sorted(found, key=lambda one: (one[1], one[0]))

    def one_account(self, events: Sequence[Event]) -> None:
        """Why one account is as it is: somebody who moved or was renamed, so that there is a history to tell."""
        self.voice.title("One account, explained")
        known = self.district.store.known(self.target)
        owners = {str(key): one.person for key, one in self.district.store.keys(SOURCE).items()}
        telling = sorted(
            (event for event in events if owners.get(event.key) in known),
            key=lambda event: _TELLING.index(event.kind) if event.kind in _TELLING else len(_TELLING),
        )
        key = telling[0].key if telling else next(key for key in owners if owners[key] in known)
        self.voice.say(f"$ syncd explain {key}\n")
        for explanation in self.district.engine.explain(key):
            self.voice.story(explanation)

    def where_to_look(self) -> None:
        """The line with which everybody can see for themselves."""
        if self.server is not None:
            self.voice.title("Look for yourself")
            self.voice.say("while the server is up; `--keep` leaves it up, until Ctrl-C:\n")
            server = self.server
            self.voice.say(domain.users_line(server) if isinstance(server, PrivateSamba) else server.ldapsearch_line())

    def look_with_another_client(self) -> None:
        """What somebody else's client sees must be what syncd remembers: accounts, and who belongs to which group."""
        if self.server is None:
            return
        known = self.district.store.known(self.target).values()
        memberships = sum(len(one.account.groups) for one in known)
        if isinstance(self.server, PrivateSamba):
            names = {one.account.attributes["sAMAccountName"][0] for one in known}
            self.voice.say(domain.counted(self.server, names, self.own, memberships))
            return
        seen = {
            "accounts": sum(line.startswith("dn:") for line in _ldapsearch(self.server, "(objectClass=inetOrgPerson)", "1.1")),
            "memberships": sum(
                line.startswith("member: uid=") for line in _ldapsearch(self.server, "(objectClass=groupOfNames)", "member")
            ),
        }
        remembered = {"accounts": len(known), "memberships": memberships}
        self.voice.say(f"ldapsearch finds {seen['accounts']:,} accounts and {seen['memberships']:,} memberships of them in groups.")
        if seen != remembered:
            raise EndpointError("demo", f"syncd remembers {remembered}, ldapsearch finds {seen}", BUG)


def _ldapsearch(server: PrivateSlapd, condition: str, attribute: str) -> list[str]:
    """The lines that the line the demo prints gets from the directory."""
    words = shlex.split(server.ldapsearch_line(condition))
    settings = dict(word.split("=", 1) for word in takewhile(re.compile(r"[A-Z_]+=").match, words))
    command = [*words[len(settings) :], "-o", "ldif-wrap=no", attribute]
    run = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=True)  # noqa: S603 — our own line
    return run.stdout.splitlines()
