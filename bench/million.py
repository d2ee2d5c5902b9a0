"""nochange_1m, nochange_1m_shuffled, changed_1k_of_1m and identical_1m: `syncd sync` over a roster of a million people.

The state they start from is syncd's own: the roster is planned and applied, in ten growing deliveries. Everybody is known by then,
with keys, records, names and digests; the mapping gives an account to the staff only, one in 200, so that filling a directory does
not take an hour. Those whose rows change are staff: their accounts are updated in slapd.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.figures import Figure, Part
from bench.inputs import SEED, bare_pass
from bench.million_roster import CHANGED_EVERY, STAFF_EVERY, Edition, write
from bench.process import Process, python, syncd
from bench.scratch import Place, landed, settled
from syncd.assembly import utc_now
from syncd.demo.district import District
from syncd.demo.slapd import Binaries
from syncd.errors import EndpointError

PEOPLE, STEP = 1_000_000, 100_000
NOCHANGE, SHUFFLED, CHANGED, IDENTICAL = "nochange_1m", "nochange_1m_shuffled", "changed_1k_of_1m", "identical_1m"
MAPPINGS = {"people.yaml": "million_people.yaml", "ldap.yaml": "million_ldap.yaml"}
_BEGIN, _END = "    # Files your roster system does not export", "    # What the roster must look like"


def measure(binaries: Binaries, wanted: Collection[str], scale: float, rounds: int) -> list[Figure]:
    """Those of the four figures that are wanted: medians of interleaved rounds over one accepted state."""
    people = max(1, round(PEOPLE * scale / CHANGED_EVERY)) * CHANGED_EVERY
    somebody = District.generate(SEED, 1, 10, 2, first_day=utc_now().date())  # only so that there are settings to begin with
    with settled(binaries, somebody, MAPPINGS) as place:
        _without_supplements(place)
        run = _Rounds(place, Edition(people))
        accepted = run.accept()
        for _ in range(rounds):
            run.one(wanted)
        return [figure for figure in _figures(run, accepted) if figure.id in wanted]


def _without_supplements(place: Place) -> None:
    """The settings for a roster that comes alone."""
    before, _, rest = place.settings.read_text("utf-8").partition(_BEGIN)
    place.settings.write_text(f"{before}{_END}{rest.partition(_END)[2]}", "utf-8")
    for path in place.rosters.glob("*.csv"):
        path.unlink()


class _Rounds:
    """The same sequence again and again. Before and after each, the accepted roster is the newest version in its plain order."""

    def __init__(self, place: Place, edition: Edition) -> None:
        self.edition = edition
        self.rows = 0
        self.bare: list[float] = []
        self.runs: dict[str, list[Process]] = {NOCHANGE: [], SHUFFLED: [], CHANGED: [], IDENTICAL: []}
        self._folder = place.folder
        self._roster = place.rosters / "oneroster.zip"
        self._shuffles = 0

    def accept(self) -> list[Process]:
        """The runs in which syncd met everybody. The roster grows delivery by delivery: no run holds all of them in memory."""
        runs: list[Process] = []
        people = self.edition.people
        for grown in (*range(STEP, people, STEP), people):
            self.edition = replace(self.edition, people=grown)
            self.deliver()
            runs.append(syncd(self._folder, "sync") if runs else python("bench.apart.acceptor", str(self._folder)))
        return runs

    def deliver(self, *, shuffle: int = 0, quoted: bool = False) -> Path:
        """The present version lies where the source looks for it."""
        return write(replace(self.edition, shuffle=shuffle, quoted=quoted), self._roster)

    def one(self, wanted: Collection[str]) -> None:
        """One round: what is wanted of it, and what that needs."""
        if IDENTICAL in wanted:
            self._sync(IDENTICAL)
        self.deliver(quoted=True)
        self._sync(NOCHANGE)
        self.rows, seconds = bare_pass([self._roster])
        self.bare.append(seconds)
        self.edition = replace(self.edition, version=self.edition.version + 1)
        self.deliver()
        self._sync(CHANGED, lands=self.edition.people // CHANGED_EVERY)
        if SHUFFLED in wanted:
            self._shuffles += 1
            self.deliver(shuffle=self._shuffles)
            self._sync(SHUFFLED)
            self.deliver()
            syncd(self._folder, "sync")  # off the clock: back to the plain order, from which the next round starts

    def _sync(self, name: str, lands: int = 0) -> None:
        before, _ = landed(self._folder)
        self.runs[name].append(syncd(self._folder, "sync"))
        _, found = landed(self._folder, before)
        if found != lands:
            raise EndpointError("bench", f"{name}: {found} changes landed, not {lands}", "this is a bug")


def _figures(run: _Rounds, accepted: Sequence[Process]) -> list[Figure]:
    bare = median(run.bare)
    seconds = {name: median(one.seconds for one in runs) for name, runs in run.runs.items() if runs}
    memory = {name: median(one.megabytes for one in runs) for name, runs in run.runs.items() if runs}
    against = {CHANGED: (seconds[NOCHANGE], NOCHANGE)}
    parts = {
        NOCHANGE: (
            Part("persons", run.edition.people, ""),
            Part("rows in the files", run.rows, ""),
            Part("accounts", run.edition.people // STAFF_EVERY, ""),
            Part("accepting everybody first", sum(one.seconds for one in accepted), "s"),
            Part("accepting, peak memory", max(one.megabytes for one in accepted), "MB"),
        ),
        CHANGED: (Part("accounts updated", run.edition.people // CHANGED_EVERY, ""),),
    }
    return [
        Figure(
            name,
            seconds[name],
            "s",
            *against.get(name, (bare, "bare csv.reader")),
            memory[name],
            parts.get(name, ()),
        )
        for name in seconds
    ]
