"""A school year through the engine as the daemon runs it: what is held though nothing is wrong, and what bad rosters get through.

The district of `bench.school_life` exports on every weekday; the shipped settings decide. On days that the seed picks the export is
spoiled (`bench.calamities`); on the next weekday it is right again. What was held wrongly is approved, as an administrator would.
The target is the memory directory, so that a year takes minutes; source, store, guard and engine are the real ones.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from bench import school_life
from bench.calamities import KINDS, SMALLEST, WHOLE, Scene
from bench.exports import Export, File, tell_settings
from bench.school_life import Life
from bench.truth import Seen, due, numbers_of, wrongly_touched
from syncd import sources
from syncd.assembly import opened_store, vault_of
from syncd.core.model import Account, PersonId
from syncd.demo.district import District
from syncd.demo.tour import PIPELINE, SOURCE, TARGET, settle_in
from syncd.engine import DELTA, RECONCILE, Engine
from syncd.engine.planned import Applied, Planned
from syncd.errors import EndpointError
from syncd.settings import Config, load
from syncd.store import Store
from syncd.targets.memory import Memory, MemoryConfig
from syncd.targets.target import Target

TUNING, SCORING = 20260720, 3319
"""Thresholds are fixed on the one, and judged on the other (R31)."""
PROBES = (0.01, 0.02, 0.03, 0.04, 0.06)
"""Shares of a campus below what must be caught, tried once for each kind: planned only, never applied."""
BELIEVED = 5
"""So many may vanish anywhere at once: who came to the campus that very day is counted where they were."""
SHARES = (SMALLEST, 0.12, 0.25, 0.6)
_NIGHT = time_of_day(9, 0)  # UTC: the small hours in Texas
_EARLIER = 25  # exports that are kept, of which one may be delivered again
_PLACES = ("ou=Students", "ou=Staff", "ou=Groups", "ou=Disabled")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a year is simulated."""

    campuses: int
    students: int
    staff: int
    until: date = school_life.END
    disasters: int = 48
    reconcile_every: int = 20  # weekdays
    probes: bool = True  # whether shares below what must be caught are tried


FULL = Size(60, 25_000, 3_000)
REDUCED = Size(4, 1_680, 160, date(2026, 9, 18), disasters=12, probes=False)


@dataclass(frozen=True, slots=True)
class Held:
    """Something was held on a day on which nothing was wrong."""

    day: date
    what: str


@dataclass(frozen=True, slots=True)
class Planted:
    """One disaster, what it hit, and what became of it."""

    kind: str
    day: date
    share: float
    people: int
    caught: bool
    how: str
    touched: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Score:
    """What came of a year."""

    seed: int
    size: Size
    school_days: int = 0
    runs: int = 0
    changes: int = 0
    false_holds: list[Held] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    smallest: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    slowest: float = 0.0

    @property
    def missed(self) -> list[Planted]:
        """The disasters that got through."""
        return [one for one in self.planted if not one.caught]


Told = Callable[[str], None]


class Year:
    """One simulated year."""

    def __init__(self, folder: Path, seed: int, size: Size, told: Told = lambda _: None) -> None:
        self._folder = folder
        self._told = told
        self._random = Random(f"year {seed}")  # noqa: S311 — to be drawn again
        self._life = Life(seed, size.campuses, size.students, size.staff)
        self.score = Score(seed, size)
        self._memory = Memory(TARGET, MemoryConfig(containers=_PLACES))
        self._now = datetime.combine(self._life.first.today, _NIGHT, UTC)
        self._written: dict[str, File] = {}
        self._earlier: list[Export] = []
        self._whose: dict[str, str] = {}  # by every number that was ever told
        self._config: Config
        self._store: Store
        self._engine: Engine

    def run(self) -> Score:
        """Live through it."""
        began = time.perf_counter()
        with ExitStack() as closing:
            self._settle()
            self._store = closing.enter_context(opened_store(self._config))
            self._open()
            self._live()
        self.score.seconds = time.perf_counter() - began
        return self.score

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        district = self._life.first
        settle_in(self._folder, None, district, lambda _: None)
        settings = self._folder / "config" / "syncd.yaml"
        lines = settings.read_text("utf-8").splitlines()
        lines = [line for line in lines if not (line.strip().startswith("path:") and "directory.json" in line)]
        settings.write_text("\n".join([*lines, ""]), "utf-8")
        tell_settings(settings)
        (self._folder / "config" / "calendar.yaml").write_text(calendar(), "utf-8")
        self._config = load(self._folder)

    def _open(self) -> None:
        vault = vault_of(self._config)
        read = {name: sources.build(one.kind, name, one.options, vault) for name, one in self._config.sources.items()}
        budget = self._config.targets[TARGET].error_budget
        self._engine = Engine(
            self._config, self._store, vault, lambda: self._now, read, {TARGET: Target(TARGET, self._memory, error_budget=budget)}
        )

    def _prepare_cut_over(self) -> None:
        """What the administrator does before a new roster system comes: students are known by state number, staff by address."""
        settings = self._folder / "config" / "syncd.yaml"
        text = settings.read_text("utf-8")
        settings.write_text(
            text.replace("    kind: oneroster_csv\n", "    kind: oneroster_csv\n    match_on: [state_id, email]\n"), "utf-8"
        )
        self._config = load(self._folder)
        self._open()

    # --- the year -----------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        district = self._life.first
        export = Export.of(district)
        export.write(self._folder / "roster", self._written)
        if self._engine.apply(self._engine.plan(PIPELINE), first=True) is None:
            raise EndpointError("bench", "the first apply was held", "this is a bug")
        planned = self._plan_disasters()
        for number, day in enumerate(self._life.days(self.score.size.until), 1):
            self._now = datetime.combine(day.today, _NIGHT, UTC)
            if day.today == school_life.CUT_OVER:
                self._prepare_cut_over()
                export = Export.of(day)
            else:
                export.follow(district.roster, day.roster)
            district = day
            self._whose |= numbers_of(export)
            self.score.school_days += school_life.is_school_day(day.today)
            disaster = planned.get(day.today)
            if disaster is not None:
                self._bad_day(export, district, *disaster)
            else:
                self._good_day(export, RECONCILE if number % self.score.size.reconcile_every == 0 else DELTA)
            self._earlier = [*self._earlier[-_EARLIER:], export.copy()]

    def _plan_disasters(self) -> dict[date, tuple[str, float]]:
        """By day: what befalls. A school day after another, never two days running."""
        days = [
            day
            for day in _weekdays(school_life.FIRST_DAY + timedelta(days=1), self.score.size.until)
            if school_life.is_school_day(day)
        ]
        chosen: list[date] = []
        pool = self._random.sample(days, len(days))
        while pool and len(chosen) < self.score.size.disasters:
            day = pool.pop()
            near = {day + timedelta(days=n) for n in range(-1, 2)} | (
                {day + timedelta(days=3), day - timedelta(days=3)} if day.weekday() in (0, 4) else set()
            )
            if not near & {*chosen, school_life.LAST_DAY, school_life.CUT_OVER}:
                chosen.append(day)
        kinds = list(KINDS)
        rounds = [
            (kind, SHARES[number // len(kinds) % len(SHARES)])
            for number, kind in enumerate(kinds * (len(chosen) // len(kinds) + 1))
        ]
        return dict(zip(chosen, rounds, strict=False))

    def _run(self, kind: str = DELTA) -> tuple[Planned, Applied | None]:
        began = time.perf_counter()
        planned, applied = self._engine.sync(PIPELINE, kind, trigger="schedule")
        seconds = time.perf_counter() - began
        self.score.runs += 1
        self.score.changes += applied.landed if applied else 0
        self.score.slowest = max(self.score.slowest, seconds)
        self._told(f"{self._now:%Y-%m-%d} {kind} {seconds:.1f} s, {planned.changes} changes, {len(planned.verdict.findings)} held")
        return planned, applied

    def _good_day(self, export: Export, kind: str) -> None:
        export.write(self._folder / "roster", self._written)
        planned, _ = self._run(kind)
        for again in range(3):
            if not planned.verdict.findings:
                return
            for finding in planned.verdict.findings:
                self.score.false_holds.append(Held(self._now.date(), str(finding)))
                self._told(f"  held: {finding}")
            self._now += timedelta(minutes=10)
            try:
                self._engine.approve(planned.run, "administrator", "it is right so")
            except EndpointError as error:
                self._told(f"  cannot be approved: {error}")
                return
            self._now += timedelta(minutes=10)
            planned, _ = self._run()
            del again

    def _bad_day(self, export: Export, district: District, kind: str, share: float) -> None:
        campuses = sorted(district.roster.schools)
        if self.score.size.probes:
            self._probe(export, district, kind)
        earlier = self._random.choice(self._earlier[:-1])
        turn = sum(one.kind == kind for one in self.score.planted)
        scene = Scene(self._random.choice(campuses), share, district.today, self._random, turn, earlier)
        bad = export.copy()
        hit = KINDS[kind](bad, scene)
        bad.write(self._folder / "roster", self._written)
        before = self._seen()
        planned, _ = self._run()
        wrong = wrongly_touched(before, self._seen(), due(export, district.today), self._whose)
        loose, how = self._loose(planned, hit)
        size = 1.0 if kind in WHOLE else share
        touched = Counter(wrong.values())
        if loose > BELIEVED:
            touched["vanishing believed"] += loose
        caught = not touched
        self.score.planted.append(Planted(kind, district.today, size, len(hit), caught, how, touched))
        self._told(
            f"  {kind} {size:.0%} of {scene.campus}, {len(hit)} people: {'caught' if caught else f'MISSED {dict(touched)}'} ({how})"
        )
        for finding in planned.verdict.findings[:2]:
            self._told(f"    {finding}")

    def _probe(self, export: Export, district: District, kind: str) -> None:
        """The smallest share of a campus that is caught, once for each kind; nothing is applied."""
        if kind in self.score.smallest or kind in WHOLE:
            self.score.smallest.setdefault(kind, 1.0)
            return
        random = Random(f"probe {kind} {self.score.seed}")  # noqa: S311 — to be drawn again
        smallest = SMALLEST
        for share in sorted(PROBES, reverse=True):
            bad = export.copy()
            scene = Scene(random.choice(sorted(district.roster.schools)), share, district.today, random)
            hit = KINDS[kind](bad, scene)
            bad.write(self._folder / "roster", self._written)
            planned = self._engine.plan(PIPELINE, stored=False)
            if self._loose(planned, hit)[0] > BELIEVED or self._would_touch(planned, hit):
                break
            smallest = share
        self.score.smallest[kind] = smallest

    # --- judging ------------------------------------------------------------------------------------------------------

    def _persons(self, keys: set[str]) -> set[PersonId]:
        known = self._store.keys(SOURCE)
        return {known[key].person for key in keys if key in known}  # type: ignore[index]  # a SourceKey is a str

    def _loose(self, planned: Planned, hit: set[str]) -> tuple[int, str]:
        """How many of those hit would begin to leave though they have not left, and how the rest were kept."""
        if planned.verdict.blocked:
            return 0, "run held"
        if any(reading.failed is not None for reading in planned.readings.values()):
            return 0, "file refused"
        persons = self._persons(hit)
        held = planned.verdict.held
        leaving = {
            person
            for person in persons - held
            if (one := planned.decided.get(person)) is not None
            and one.state.state in _LEAVING
            and (was := planned.people.states.get(person)) is not None
            and was.state not in _LEAVING
        }
        rejected = planned.people.unreadable
        how = [word for word, group in (("cell held", held), ("rows refused", rejected)) if persons & group]
        return len(leaving), ", ".join(how) or "nothing changed"

    def _would_touch(self, planned: Planned, hit: set[str]) -> bool:
        """Whether somebody hit, or somebody invented, would be touched by this plan."""
        if planned.verdict.blocked:
            return False
        persons = self._persons(hit)
        moving = {change.person for one in planned.plans.values() for change in one.changes} - planned.verdict.held
        return bool(moving & persons)

    def _seen(self) -> dict[str, Seen]:
        return {str(native): seen(account) for native, account in self._memory.accounts.items()}


_LEAVING = frozenset({"grace", "disabled", "parked", "deletable"})


def seen(account: Account) -> Seen:
    """An account of the memory directory as it is judged."""

    def first(name: str) -> str:
        return next(iter(account.attributes.get(name, ())), "")

    return Seen(
        account.rdn, account.container, account.enabled, first("employeeNumber"), first("sn"), first("givenName"), first("mail")
    )


def calendar() -> str:
    """config/calendar.yaml of the simulated year."""
    lines = ["years:", f"  - first_day: {school_life.FIRST_DAY}", f"    last_day: {school_life.LAST_DAY}", "    breaks:"]
    lines += [f"      - {{ first: {first}, last: {last} }}" for first, last in school_life.BREAKS]
    return "\n".join([*lines, ""])


def _weekdays(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        day = first + timedelta(days=number)
        if day.weekday() < 5:  # noqa: PLR2004 — Saturday
            yield day


def simulate(seed: int, size: Size, told: Told = lambda _: None) -> Score:
    """One year in a folder of its own."""
    with TemporaryDirectory(prefix="syncd-year-") as folder:
        return Year(Path(folder), seed, size, told).run()
