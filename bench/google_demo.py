"""script/demo --google: a district of 28,000 moves to a Google Workspace customer that lags, limits and refuses at random.

Everything of syncd's is the production path: settings, store, engine, connector, HTTP. The customer is the double of
tests/doubles/google; it counts Google's quotas, and its clock is the connector's, so that hours pass in minutes. Then the
customer's own state is held against what the roster's files say must be there, and every request that was sent is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.google_calls import Row, as_table, first_run, later_run, rate
from bench.google_truth import DOMAIN, GROUPS, STUDENTS, Verdict, judge
from bench.inputs import SEED
from syncd.assembly import Running, opened
from syncd.cli.voice import Printed
from syncd.core import order
from syncd.core.model import Kind, Outcome, TargetName
from syncd.demo.district import District, Rates
from syncd.demo.domain import BUG, write_into
from syncd.demo.tour import PIPELINE, Night, Voice, settle_in, write_roster
from syncd.engine.planned import Applied, Planned
from syncd.errors import EndpointError, SyncdError
from syncd.settings import load
from syncd.targets.google_config import CREATIONS_PER_SECOND, LICENCE
from syncd.targets.google_quota import Timing, time_runs_by
from tests.doubles.google import SCOPES, GoogleDouble, Quirks, SimulatedClock
from tests.oracle import Oracle

TARGET, CREDENTIAL = TargetName("google"), "google_key"
SKU = ("101031", "1010310008")
STUDENTS_WANTED, STAFF_WANTED, CAMPUSES = 25_010, 3_000, 40
"""Ten students more than 25,000: the planted ones of whom no account is due yet, or who are disputed, are no users."""
CONNECTIONS = 20
ENOUGH = 0.95  # of the creation quota
CALLS_EACH = 1.1  # of users.*, for a user made
_FEW = 1_000  # below so many students no speed is judged: the first and last seconds, and units nobody knows yet, are most of it
_PATIENCE = 0.1  # real seconds in which nothing at all happens before time goes on nevertheless
_WEEK = 7
_WIDTH = 130  # as wide in a file as on a screen
_UNAVAILABLE = 69
_MAPPING = Path(__file__).with_name("mappings") / "google.yaml"
_SCHEMAS = "https://www.googleapis.com/auth/admin.directory.userschema.readonly"
_OF_USERS = (Kind.UPDATE, Kind.REFER, Kind.MOVE, Kind.PARK, Kind.ENABLE, Kind.DISABLE, Kind.DELETE)


def as_bad_as_google() -> Quirks:
    """Google's limits, two calls of a hundred refused, a few answers lost, and nothing known at once."""
    return Quirks.as_google_is(
        faults=0.02,
        lost_responses=0.001,
        late_errors=0.001,
        user_lag=(0.5, 20.0),
        group_lag=(0.5, 20.0),
        unit_lag=(0.5, 20.0),
        update_lag=(0.0, 20.0),
        list_lag=(0.0, 60.0),
        search_lag=(0.0, 3600.0),
        latency=(0.05, 0.4),
    )


@dataclass(frozen=True, slots=True)
class Options:
    """What the demonstration is asked for."""

    students: int = STUDENTS_WANTED
    staff: int = STAFF_WANTED
    campuses: int = CAMPUSES
    seed: int = SEED
    folder: Path | None = None


@dataclass(slots=True)
class Told:
    """What came of it."""

    per_second: float = 0.0
    enough: float = ENOUGH * CREATIONS_PER_SECOND
    rows: dict[str, list[Row]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    idle: Counter[str] = field(default_factory=Counter)  # calls of the run with nothing to do, by method

    @property
    def missed(self) -> list[str]:
        """What was not reached, in words."""
        slow = [f"{self.per_second:.2f} users made in a second, and not {self.enough:.2f}"] if self.per_second < self.enough else []
        wrong = [f"{part}: the customer is not as the roster says" for part, one in self.verdicts.items() if not one.ok]
        idle = sum(number for method, number in self.idle.items() if method.startswith("directory.users."))
        busy = [f"{idle} users.* calls though nothing had changed"] if idle else []
        return slow + wrong + busy + [f"{part}: {row.what}" for part, rows in self.rows.items() for row in rows if not row.ok]


def demonstrate(options: Options, voice: Voice, show: Callable[[object], None]) -> Told:
    """Show it all. Raises EndpointError where a plan is held, or a change refused for good."""
    with ExitStack() as closing:
        folder = options.folder
        if folder is None:
            folder = Path(closing.enter_context(TemporaryDirectory(prefix="syncd-demo-")))
        voice.title("Setting up")
        clock = SimulatedClock(patience=_PATIENCE)
        google = closing.enter_context(_customer(clock))
        voice.say(f"A double of Google Workspace, built from Google's discovery documents, listens on {google.url}.")
        rates = Rates() if options.students >= _FEW else _lively()
        roster = District.generate(options.seed, options.campuses, options.students, options.staff, rates=rates)
        settle_in(folder, None, roster, voice.say)
        _write_to(google, folder, options)
        closing.enter_context(time_runs_by(Timing(clock.monotonic, clock.sleep)))
        night = Night(roster.today)
        district = closing.enter_context(opened(load(folder), clock=night))
        return _Demonstration(google, clock, night, district, folder / "roster", roster, voice, show, options.students).run()


def _lively() -> Rates:
    """Four times as much as usually happens, so that something does in a small district."""
    return Rates(**{name: 4 * rate for name, rate in asdict(Rates()).items()})


@contextmanager
def _customer(clock: SimulatedClock) -> Iterator[GoogleDouble]:
    with GoogleDouble(clock=clock, domains=(DOMAIN, STUDENTS, GROUPS), scopes=(*SCOPES, _SCHEMAS)) as google:
        google.plant("/Students", "/Staff", "/Disabled")
        yield google


def _write_to(google: GoogleDouble, folder: Path, options: Options) -> None:
    """Have the settings in this folder write to the customer, as docs/how-to/google.md describes it."""
    google.write_key_file(folder / "credentials" / CREDENTIAL)
    seats = options.students + options.students // 10
    google.sell(*SKU, seats)
    keys = {
        "kind": "google",
        "credential": CREDENTIAL,
        "admin": google.admin,
        "api": google.url,
        "domains": [DOMAIN, STUDENTS],
        "accounts_in": ["/Students", "/Staff", "/Disabled"],
        "groups_in": [f"*@{GROUPS}"],
        "connections": CONNECTIONS,
        "licences": {"student": {"product": SKU[0], "sku": SKU[1], "seats": seats}},
    }
    told = "".join(f"    {key}: {json.dumps(value)}\n" for key, value in keys.items())
    mapping = _MAPPING.read_text(encoding="utf-8")
    write_into(folder, f"targets:\n  {TARGET}:\n{told}", mapping, TARGET, "primaryEmail")


@dataclass(slots=True)
class _Demonstration:
    """The parts of it, in order."""

    google: GoogleDouble
    clock: SimulatedClock
    night: Night
    district: Running
    rosters: Path
    roster: District
    voice: Voice
    show: Callable[[object], None]
    students: int
    oracle: Oracle = field(default_factory=Oracle)
    told: Told = field(default_factory=Told)

    def run(self) -> Told:
        """Show it all."""
        self.google.quirks.change(**{name: value for name, value in vars(as_bad_as_google()).items() if not name.startswith("_")})
        self.first_run()
        self.nothing_new()
        self.a_week_later()
        return self.told

    def first_run(self) -> None:
        """Everybody is made."""
        self.voice.title("The first run")
        planned = self.plan(2)
        since, began, begun = len(self.google.calls), time.perf_counter(), self.clock.time()
        self.apply(planned, first=True)
        calls = self.google.calls
        self.told.per_second = rate(calls)
        kinds = self.planned_kinds(planned)
        if self.students < _FEW:
            self.told.enough = 0.0
        rows = first_run(calls, lambda what: kinds[what], CALLS_EACH if self.students >= _FEW else None)
        self.told.rows["the first run"] = rows
        share = self.told.per_second / CREATIONS_PER_SECOND
        self.voice.say(
            f"\n{kinds['users']:,} users, {self.told.per_second:.2f} in a second:"
            f" {share:.1%} of Google's quota of {CREATIONS_PER_SECOND}."
            f" The run took {(self.clock.time() - begun) / 60:.0f} minutes of Google's time"
            f" and {time.perf_counter() - began:.0f} seconds of ours, for {len(calls) - since:,} requests."
        )
        self.judge("the first run")
        self.show(as_table("Calls of the first run, the plan's questions included", rows))

    def nothing_new(self) -> None:
        """A delta run with the roster as it was."""
        self.voice.title("A delta run in which nothing changed")
        since = len(self.google.calls)
        planned = self.plan(2)
        if planned.changes:
            raise EndpointError("demo", "there is something to do though nothing changed", BUG)
        self.apply(planned)
        self.told.idle = self.google.journal.per_method(since)
        users = sum(number for method, number in self.told.idle.items() if method.startswith("directory.users."))
        named = ", ".join(f"{number} {method}" for method, number in sorted(self.told.idle.items())) or "no call at all"
        self.voice.say(f"{users} users.* calls; what was sent: {named}.")

    def a_week_later(self) -> None:
        """What a week brings, in one run."""
        for _ in range(_WEEK):
            self.roster = self.roster.advance()
        write_roster(self.roster, self.rosters)
        self.night.turn_to(self.roster.today)
        self.clock.advance(_WEEK * 86_400.0)  # what was seen then is no longer believed
        self.voice.title(f"A week's changes: the roster of {self.roster.today:%d %B}")
        before = set(self.google.tenant.users)
        since = len(self.google.calls)
        planned = self.plan(3)
        self.apply(planned)
        kinds = self.planned_kinds(planned)
        changed = {
            str(change.native_id) for one in planned.plans.values() for change in one.changes if change.kind in _OF_USERS
        } & before
        rows = later_run(self.google.calls[since:], lambda what: kinds[what], before, changed)
        self.told.rows["the week"] = rows
        self.judge("the week")
        self.show(as_table("Calls of the week's run, the plan's questions included", rows))

    # --- steps ---

    def plan(self, most: int) -> Planned:
        """A plan of what is to be done, shown."""
        self.clock.employ(1)  # who plans, asks one question after the other
        planned = self.district.engine.plan(PIPELINE)
        self.voice.plan(planned, self.district, most)
        if planned.stopped:
            raise EndpointError("demo", str(planned.stopped[TARGET]), BUG)
        return planned

    def apply(self, planned: Planned, *, first: bool = False) -> Applied:
        """Apply a plan; one that is held, or partly refused, would be a fault of the demonstration."""
        waves = [(wave[0].kind, len(wave)) for wave in order.waves(planned.plans[TARGET].changes)]
        at_work = _at_work(waves)
        self.clock.employ(next(at_work, 1))
        with self.voice.progress("applying", planned.changes) as told:

            def heard(outcome: Outcome) -> None:
                self.clock.employ(next(at_work, 1))
                told(outcome)

            applied = self.district.engine.apply(planned, first=first, told=heard)
        if applied is None or applied.failed:
            why = "; ".join(f"{one.change.kind}: {one.why}" for one in applied.failures[:5]) if applied else str(planned.waits)
            raise EndpointError("demo", f"the plan was held or partly refused: {why}", BUG)
        return applied

    def planned_kinds(self, planned: Planned) -> Counter[str]:
        """How many users, units, groups, members, licences and changes of users a plan speaks of."""
        counted: Counter[str] = Counter()
        for change in (change for one in planned.plans.values() for change in one.changes):
            match change.kind:
                case Kind.CREATE:
                    counted["users"] += 1
                case Kind.CREATE_CONTAINER:
                    counted["units"] += 1
                case Kind.CREATE_GROUP:
                    counted["groups"] += 1
                case Kind.ADD_MEMBER | Kind.REMOVE_MEMBER:
                    counted["licences" if (change.group or "").startswith(LICENCE) else "members"] += 1
                case _:
                    counted["changes"] += 1
        return counted

    def judge(self, part: str) -> None:
        """Hold the customer's own state against the roster's files, and say what came of it."""
        answer = self.oracle.day(self.roster.today, self.rosters / "oneroster.zip", self.rosters)
        verdict = self.told.verdicts[part] = judge(answer, self.google, SKU)
        self.voice.say(
            f"The customer's own state against the roster's files: {verdict.right:,} accounts equal to the mapping,"
            f" {len(verdict.duplicates)} duplicates, {len(verdict.lost)} lost, {len(verdict.strangers)} of nobody,"
            f" {len({line.partition(':')[0] for line in verdict.different})} different;"
            f" {verdict.members:,} members and {verdict.licences:,} licences, {len(verdict.wrong_members)} lists of them wrong."
            f" No account is due of {len(answer.not_yet_due)} who have not begun,"
            f" nor of {len(answer.disputed)} whom nobody can tell apart."
        )
        for line in [*verdict.different[:5], *verdict.wrong_members[:5]]:
            self.voice.say(f"  {line}")


def _at_work(waves: Sequence[tuple[Kind, int]]) -> Iterator[int]:
    """How many of the connector's threads have something to do: at first, and after each outcome of each wave."""
    for kind, size in waves:
        # Units are made one by one, as Google wants it: who waits for another's unit waits for no clock.
        yield from (1 if kind is Kind.CREATE_CONTAINER else min(CONNECTIONS, left) for left in range(size, 0, -1))


def _arguments(words: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="script/demo --google", description=__doc__)
    parser.add_argument("--google", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--students", type=int, default=STUDENTS_WANTED, help=f"default {STUDENTS_WANTED:,}")
    parser.add_argument("--staff", type=int, help="default: three for every 25 students")
    parser.add_argument("--campuses", type=int, help="default: one for every 625 students")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where to keep everything; default: nowhere")
    told = parser.parse_args(words)
    students = max(1, told.students)
    staff = told.staff or max(1, students * STAFF_WANTED // 25_000)
    return Options(students, staff, told.campuses or max(1, students * CAMPUSES // 25_000), told.seed, told.folder)


def main(words: Sequence[str]) -> int:
    """The exit code: 0 all reached, 1 something missed, 69 a run that went wrong."""
    console = Console(highlight=False, width=_WIDTH)
    try:
        told = demonstrate(_arguments(words), Printed(), console.print)
    except SyncdError as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    for line in told.missed:
        console.print(f"missed: {line}", style="red")
    if not told.missed:
        console.print("\nNothing was missed: quota, accounts, members, licences and calls are as they must be.")
    return 1 if told.missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
