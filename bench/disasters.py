"""Named disasters against a district in a real slapd: nobody but the truly changed may be touched, and people must be told.

Each disaster is a class: its docstring says which outage it guards against, `strike` brings it about, and `benign` brings about
something that looks like it and is right. `play` judges both. The same code runs small in the tests and at full size here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import ClassVar

from bench.ground import Ground, Night, Site
from bench.truth import Seen, due, wrongly_touched
from syncd.engine import DELTA

GROUPS = ("source", "target", "configuration", "host", "human")


class Disaster:
    """One disaster. `said` is what must stand in the health and in the notification, as a regular expression."""

    group: ClassVar[str] = ""
    said: ClassVar[str] = ""
    whole: ClassVar[bool] = False  # of a whole source, target or store: nobody can be updated
    refused: ClassVar[bool] = False  # the program does not begin at all, and says why: there is no health to ask
    quiet: ClassVar[bool] = False  # nothing has to be held or told, for nothing can go wrong
    kind: ClassVar[str] = DELTA

    @property
    def id(self) -> str:
        """What it is called."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    def strike(self, ground: Ground) -> None:
        """Bring it about, on a morning on which people at other campuses have truly changed."""
        raise NotImplementedError

    def benign(self, ground: Ground) -> None:
        """Bring about what looks like it, and is right."""
        raise NotImplementedError

    def act(self, ground: Ground) -> None:
        """The run that meets it."""
        ground.sync(self.kind)

    def act_benign(self, ground: Ground) -> None:
        """The run that meets the twin."""
        ground.sync(self.kind)

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """What else is wrong afterwards; nothing usually."""
        del before, after, ground
        yield from ()

    def heal(self, ground: Ground) -> bool:
        """Put right what was wrong. Whether that can be: the next night's run must then do all that was due, and nothing else."""
        del ground
        return False

    def wrong_healed(self, after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """What else is wrong after that night; nothing usually."""
        del after, ground
        yield from ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one disaster and its twin."""

    id: str
    group: str
    problems: tuple[str, ...]
    wrongly_touched: int
    held_cells: int
    updated: int
    to_update: int
    said: str = ""

    @property
    def ok(self) -> bool:
        """Whether all was as it must be."""
        return not self.problems


def registered() -> list[Disaster]:
    """Every disaster of a district in a slapd, by group."""
    from bench import disaster_hosts, disaster_humans, disaster_settings, disaster_sources, disaster_targets  # noqa: PLC0415 — they build on this module

    return _of(disaster_sources, disaster_targets, disaster_settings, disaster_hosts, disaster_humans)


def registered_in_a_domain() -> list[Disaster]:
    """Every disaster of a district in an Active Directory domain."""
    from bench import disaster_domain  # noqa: PLC0415 — as above

    return _of(disaster_domain)


def _of(*modules: ModuleType) -> list[Disaster]:
    return [
        one()
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type)
        and issubclass(one, Disaster)
        and one.__module__ == module.__name__
        and not one.__name__.startswith("_")
    ]


def play(site: Site, disaster: Disaster) -> Outcome:
    """Let it happen, and its twin, each to the district as it was."""
    problems: list[str] = []
    with site.fresh() as ground:
        ground.live()
        disaster.strike(ground)
        before = ground.seen()
        disaster.act(ground)
        after = ground.seen()
        wrong = wrongly_touched(before, after, due(ground.good, ground.clock.now.date()))
        problems += [f"{number} accounts: {how}" for how, number in Counter(wrong.values()).most_common(4)]
        problems += disaster.wrong(before, after, ground)
        updated = _updated(ground, after)
        if updated < len(ground.changed) and not (disaster.whole or disaster.refused):
            problems.append(f"only {updated} of {len(ground.changed)} truly changed people were updated")
        to_update = 0 if disaster.whole or disaster.refused else len(ground.changed)
        held = max((night.held for night in ground.nights), default=0)
        said, unsaid = _said(disaster, ground)
        problems += unsaid
        problems += [f"once it was put right: {problem}" for problem in _play_healed(disaster, ground, before)]
    problems += [f"twin: {problem}" for problem in _play_twin(site, disaster)]
    return Outcome(
        disaster.id,
        disaster.group,
        tuple(problems),
        len(wrong),
        held,
        updated,
        to_update,
        said,
    )


def _play_twin(site: Site, disaster: Disaster) -> Iterator[str]:
    with site.fresh() as ground:
        ground.live()
        disaster.benign(ground)
        before = ground.seen()
        disaster.act_benign(ground)
        after = ground.seen()
        yield from _held_up(ground.nights[-1])
        wrong = wrongly_touched(before, after, due(ground.good, ground.clock.now.date()))
        yield from (f"{number} accounts: {how}" for how, number in Counter(wrong.values()).most_common(4))
        updated = _updated(ground, after)
        if updated < len(ground.changed):
            yield f"only {updated} of {len(ground.changed)} truly changed people were updated"


def _play_healed(disaster: Disaster, ground: Ground, before: Mapping[str, Seen]) -> Iterator[str]:
    if not disaster.heal(ground):
        return
    ground.clock.now += timedelta(days=1)
    night = ground.sync(disaster.kind)
    yield from _held_up(night)
    after = ground.seen()
    wrong = wrongly_touched(before, after, due(ground.good, ground.clock.now.date()))
    yield from (f"{number} accounts: {how}" for how, number in Counter(wrong.values()).most_common(4))
    updated = _updated(ground, after)
    if updated < len(ground.changed):
        yield f"only {updated} of {len(ground.changed)} truly changed people were updated"
    yield from disaster.wrong_healed(after, ground)


def _held_up(night: Night) -> Iterator[str]:
    """What kept this night's run from doing all of it."""
    if night.error is not None:
        yield f"failed: {night.error}"
    if night.planned is not None:
        yield from (f"held: {finding}" for finding in night.planned.verdict.findings)
        yield from (f"refused: {reading.failed}" for reading in night.planned.readings.values() if reading.failed)
        if night.planned.verdict.first:
            yield "held as if it were the first apply"


def _updated(ground: Ground, after: Mapping[str, Seen]) -> int:
    shown = {one.number: one.family for one in after.values()}
    return sum(shown.get(number) == family for number, family in ground.changed.items())


def _said(disaster: Disaster, ground: Ground) -> tuple[str, list[str]]:
    """What was told, in short; and what is missing of it."""
    pattern = re.compile(disaster.said, re.IGNORECASE)
    if disaster.refused:
        errors = "\n".join(str(night.error) for night in ground.nights if night.error)
        return _line(pattern, errors), [] if pattern.search(errors) else [
            f"the refusal does not say {disaster.said!r}: {errors[:200]}"
        ]
    health, message = ground.heard()
    if ground.nights and ground.nights[-1].error and not pattern.search(health):
        health += f"\n(the run ended with: {ground.nights[-1].error})"
    if disaster.quiet:
        return "", [f"something is told: {health[:300]}"] if health else []
    problems = [
        f"{where} does not say {disaster.said!r}: {text[:300]}"
        for where, text in (("health", health), ("the notification", message))
        if not pattern.search(text)
    ]
    return _line(pattern, health), problems


def _line(pattern: re.Pattern[str], text: str) -> str:
    return next((line for line in text.splitlines() if pattern.search(line)), "")


def last_error(nights: Sequence[Night]) -> str:
    """What the newest run ended with, in words."""
    return str(nights[-1].error) if nights and nights[-1].error else ""


Told = Callable[[Outcome], None]


def play_all(site: Site, disasters: Sequence[Disaster], told: Told = lambda _: None) -> list[Outcome]:
    """These disasters, in order."""
    outcomes = []
    for disaster in disasters:
        outcomes.append(play(site, disaster))
        told(outcomes[-1])
    return outcomes
