"""A district's life on one directory, night after night, and what must hold after every run of it.

A history is a list of nights. Each night something happens to people, the roster is exported, and syncd runs, perhaps in bad
weather, perhaps killed at some boundary of its I/O, once or twice. What must hold is written in `Watch` and in `differences`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

from hypothesis import currently_in_test_context, event
from hypothesis import strategies as st

from syncd.engine import DELTA, RECONCILE
from syncd.settings import Config
from tests.crash import Recorder, bury, recorded
from tests.oracle import Expected
from tests.properties.machine_model import EDITS, Foresight, Town
from tests.properties.machine_world import FAIR, Directory, Entry, Process, Weather

CRASHES = 320  # about as many boundaries as the run of a whole tiny district has
PARK_SLACK = 45  # days: a leaver whose day was lost to bad weather is parked so much later at most


@dataclass(frozen=True)
class Night:
    """One night: what happened, and how the run goes. `edits` are places in EDITS with a seed each."""

    edits: tuple[tuple[int, int], ...] = ()
    days: int = 1  # since the night before
    kind: str = DELTA
    truncated: bool = False  # the zip arrives cut off
    crashes: tuple[int, ...] = ()  # boundaries at which the process dies, before it is started again
    weather: Weather = FAIR
    fair: bool = True  # whether a run in fair weather ends the night
    closed: bool = False  # somebody else disables an account in the morning, where the night ended well

    def __repr__(self) -> str:
        told = [f"{EDITS[edit].__name__}#{seed}" for edit, seed in self.edits]
        rest = {name: getattr(self, name) for name in ("days", "kind", "truncated", "crashes", "weather", "fair", "closed")}
        default = Night()
        told += [f"{name}={value}" for name, value in rest.items() if value != getattr(default, name)]
        return f"Night({', '.join(told)})"


WEATHER = st.one_of(
    st.just(FAIR),
    st.builds(Weather, refused=st.sampled_from([20, 60]), seed=st.integers(0, 99)),
    st.builds(Weather, lost=st.sampled_from([0, 40]), dropped=st.sampled_from([0, 40]), seed=st.integers(0, 99)),
    st.builds(Weather, lost=st.just(30), down_after=st.integers(0, 14), seed=st.integers(0, 99)),
    st.builds(Weather, refused=st.just(15), lost=st.just(15), dropped=st.just(15), seed=st.integers(0, 99)),
)
NIGHT = st.builds(
    Night,
    edits=st.lists(st.tuples(st.integers(0, len(EDITS) - 1), st.integers(0, 9999)), max_size=4).map(tuple),
    days=st.sampled_from([1, 1, 1, 1, 4, 11, 31]),
    kind=st.sampled_from([DELTA, DELTA, DELTA, RECONCILE]),
    truncated=st.sampled_from([False] * 7 + [True]),
    crashes=st.one_of(st.just(()), st.lists(st.integers(1, CRASHES), min_size=1, max_size=2).map(tuple)),
    weather=WEATHER,
    fair=st.sampled_from([True, True, False]),
    closed=st.sampled_from([False] * 9 + [True]),
)
HISTORY = st.lists(NIGHT, min_size=2, max_size=5)


# --- what must always hold --------------------------------------------------------------------------------------------


@dataclass
class Watch:
    """What must hold after every run, also one that was killed half-way."""

    names: dict[str, str] = field(default_factory=dict)  # user names and addresses ever seen -> employee number
    notes: dict[str, str] = field(default_factory=dict)  # employee number -> the description it was made with

    def look(self, entries: Sequence[Entry]) -> dict[str, Entry]:
        """The entries by number: nobody has two, no name ever had two holders, an initial value is never written again."""
        found: dict[str, Entry] = {}
        for entry in entries:
            number = entry.attributes["employeeNumber"]
            assert number not in found, f"{number} has two accounts: {found[number].uid} and {entry.uid}"
            found[number] = entry
            for name in filter(None, (entry.uid, entry.attributes.get("mail", "").partition("@")[0])):
                holder = self.names.setdefault(name.casefold(), number)
                assert holder == number, f"the name {name} was {holder}'s and is now {number}'s"
            told = self.notes.setdefault(number, entry.attributes["description"])
            assert entry.attributes["description"] == told, f"the initial description of {number} was written again"
        return found


def differences(expected: dict[str, Expected], found: dict[str, Entry], oracle: Foresight, today: date) -> Iterator[str]:
    """In what the directory differs from what the oracle says, in words."""
    places = {key: f"uid={one.uid},{one.container}".casefold() for key, one in expected.items()}
    numbers = {one.attributes["employeeNumber"]: key for key, one in expected.items()}
    yield from (f"{number} has an account and should have none" for number in found.keys() - numbers.keys())
    for number, key in sorted(numbers.items()):
        if key in oracle.refused:
            continue  # exactly as it was: that is watched by itself
        want, have = expected[key], found.get(number)
        if have is None:
            yield f"{key} ({number}) should have an account and has none"
            continue
        human = oracle.humans[key]
        container = want.container.casefold()
        late = key in oracle.delayed and human.state == "left" and (today - human.since).days + PARK_SLACK >= 30
        if late and have.container == "ou=disabled":
            container = "ou=disabled"
        told: list[tuple[str, object, object]] = [
            ("uid", want.uid, have.uid),
            ("container", container, have.container),
            ("enabled", want.enabled and key not in oracle.closed, have.enabled),
            ("groups", {name.casefold() for name in want.groups}, set(have.groups)),
        ]
        if human.state == "active" and key in oracle.here:
            told.append(("manager", places.get(want.manager, ""), have.manager))
        for name in (want.attributes.keys() | have.attributes.keys()) - {"description", "uid"}:
            told.append((name, want.attributes.get(name), have.attributes.get(name)))
        yield from (f"{key} {name}: should be {should}, is {value}" for name, should, value in told if should != value)


# --- a district's life ------------------------------------------------------------------------------------------------


class Life:
    """One district on one directory, night after night."""

    def __init__(self, folder: Path, config: Config, directory: Directory, people: int = 9) -> None:
        self.folder, self.config, self.directory = folder, config, directory
        self.town, self.oracle, self.watch = Town.founded(people), Foresight(), Watch()
        self.before: dict[str, Entry] = {}
        self.files = folder / "roster"

    def live(self, nights: Sequence[Night]) -> None:
        """Every night, then one clean run with a reconcile."""
        for number, night in enumerate(nights):
            self._night(night, first=number == 0)
        self.town.write(self.files)
        self.before = self.watch.look(self.directory.entries())
        self.oracle.night(self.town.today, self.files)
        self.clean(RECONCILE)

    def prepare(self, night: Night, *, first: bool = False) -> None:
        """What happens before syncd runs: the day passes, people change, the roster is exported, and the oracle reads it."""
        town = self.town
        town.today += timedelta(days=night.days)
        self.before = self.watch.look(self.directory.entries())
        for edit, seed in night.edits:
            EDITS[edit](town, Random(seed))
        truncated = night.truncated and not first
        town.write(self.files, truncated=truncated)
        if truncated:
            self.oracle.night_unread(town.today)
        else:
            self.oracle.night(town.today, self.files)

    def _night(self, night: Night, *, first: bool) -> None:
        self.prepare(night, first=first)
        for at in night.crashes:
            killed = self.run(night.kind, night.weather, at).dead
            if currently_in_test_context():
                event("killed" if killed else "the run ended before the kill")
        if not night.weather.is_fair:
            self.run(night.kind, night.weather)
        if night.fair or night.weather.is_fair:
            self.clean(night.kind)
            if night.closed:
                self._close()
        else:
            self.oracle.landed(self._standing())

    def run(self, kind: str, weather: Weather = FAIR, at: int = 0) -> Recorder:
        """One process, killed at a boundary or not; what it did at its boundaries."""
        with ExitStack() as kernel:  # closes what a process that was killed had open
            with recorded(at) as recorder:
                process = Process(self.config, self.directory, weather, self.town.today)
                kernel.callback(process.close)
                process.sync(kind)
                process.close()
        bury(recorder)
        self._look()
        return recorder

    def clean(self, kind: str) -> None:
        """A run in fair weather, after which the directory must be what the oracle says.

        Somebody has seen the weather clear, and has what was refused tried again at once.
        """
        process = Process(self.config, self.directory, FAIR, self.town.today)
        process.store.quarantine.retry()
        try:
            applied = process.sync(kind)
        finally:
            process.close()
        assert applied is not None, "a clean run was held"
        assert not applied.failed, f"a clean run failed: {applied.failures} {applied.reports}"
        found = self._look()
        wrong = list(differences(dict(self.oracle.answer.accounts), found, self.oracle, self.town.today))
        assert not wrong, "\n".join([f"after a {kind} run on {self.town.today}:", *wrong])

    def _look(self) -> dict[str, Entry]:
        """The directory now; nobody whose row cannot be read was touched."""
        found = self.watch.look(self.directory.entries())
        for key in self.oracle.refused & self.oracle.humans.keys():
            number = self.oracle.humans[key].row.number
            was, now = self.before.get(number), found.get(number)
            assert _without_manager(was) == _without_manager(now), f"{key} is unreadable and was touched: {was} is now {now}"
        return found

    def _standing(self) -> dict[str, Expected]:
        found = self._look()
        keys = {human.row.number: key for key, human in self.oracle.humans.items()}
        places = {f"uid={one.uid},{one.container}".casefold(): keys[number] for number, one in found.items()}
        return {
            keys[number]: Expected(one.uid, one.container, one.enabled, one.attributes, one.groups, places.get(one.manager, ""))
            for number, one in found.items()
        }

    def _close(self) -> None:
        """Somebody else disables an account; a reconcile run sees it and leaves it so (R33)."""
        numbers = sorted((human.row.number, key) for key, human in self.oracle.humans.items() if key not in self.oracle.refused)
        for number, key in numbers:
            if key not in self.oracle.closed and self.directory.close_account(number):
                self.oracle.closed.add(key)
                break
        self.clean(RECONCILE)


def _without_manager(entry: Entry | None) -> tuple[object, ...] | None:
    """A server that keeps references right rewrites the manager's place by itself."""
    return None if entry is None else (entry.uid, entry.container, entry.enabled, entry.attributes, entry.groups)
