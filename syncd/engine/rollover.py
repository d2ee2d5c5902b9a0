"""Rollover mode: which one is under way, how people begin and end it, and what will happen when it ends.

A rollover stands in the calendar, or somebody starts it and says until when. Nobody can start one without an end.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from syncd.core.lifecycle import IN_USE, LifecycleSpec, PersonState
from syncd.core.mapping import compile_people
from syncd.core.model import PersonId, PopulationName
from syncd.core.rollover import Rolling, keeping
from syncd.engine.gather import People
from syncd.errors import EndpointError
from syncd.settings import Config, extra_fields
from syncd.store import Store

LONGEST = timedelta(days=92)
"""How long a rollover may be: for longer nobody would be found to have left."""
ROLLING = "(rollover)"
"""Where a row would be of whoever is missing and kept as they are."""
_TOLD = "rollover"


def under_way(config: Config, store: Store, today: date) -> tuple[Rolling, ...]:
    """The rollovers of this day, those of the calendar first."""
    return going(config, store.meta(_TOLD), today)


def going(config: Config, remembered: str, today: date) -> tuple[Rolling, ...]:
    """The same, from what the store remembers."""
    told = config.calendar.rollover(today)
    planned = (Rolling(told.last, frozenset(told.campuses), "it stands in config/calendar.yaml"),) if told is not None else ()
    return (*planned, *(one for one in _read(remembered) if one.until >= today))


def start(store: Store, today: date, until: date, campuses: Collection[str], because: str) -> Rolling:
    """Begin a rollover. Raises EndpointError where the end is past, or too far away."""
    if not today <= until <= today + LONGEST:
        raise EndpointError("rollover", f"cannot end on {until}", f"name a day from {today} to {today + LONGEST}")
    one = Rolling(until, frozenset(campuses), because)
    _remember(store, [*(other for other in _started(store) if other.until >= today and other.campuses != one.campuses), one])
    return one


def end(store: Store, today: date, campuses: Collection[str]) -> list[Rolling]:
    """End what somebody started, everywhere or (where named) for these campuses; what went on until now."""
    going = [one for one in _started(store) if one.until >= today]
    asked = frozenset(campuses)
    ended = [one for one in going if not asked or one.campuses & asked]
    left = [one for one in going if one not in ended]
    left += [replace(one, campuses=one.campuses - asked) for one in ended if asked and one.campuses - asked]
    if ended:
        _remember(store, left)
    return ended


def _started(store: Store) -> list[Rolling]:
    return _read(store.meta(_TOLD))


def _read(remembered: str) -> list[Rolling]:
    return [
        Rolling(date.fromisoformat(until), frozenset(campuses), because)
        for until, campuses, because in json.loads(remembered or "[]")
    ]


def _remember(store: Store, rolling: Collection[Rolling]) -> None:
    store.set_meta(_TOLD, json.dumps([[one.until.isoformat(), sorted(one.campuses), one.because] for one in rolling]))


def paused(people: People, rolling: Collection[Rolling], staff: Collection[str]) -> People:
    """The people, of whom nobody's grace runs on in a rollover: it begins anew, days and rosters, when that ends (R13)."""
    for person, state in people.states.items() if rolling else ():
        mine = keeping(rolling, state.campus, state.population or "", staff)
        if mine is None or state.state not in IN_USE:
            continue
        again = mine.until + timedelta(days=1)
        for place, key in enumerate(people.keys.get(person, [])):
            if key.missing_since is not None:
                later = replace(key, missing_since=max(again, key.missing_since), absences=0)
                people.keys[person][place] = later
                people.changed_keys[:] = [
                    *(one for one in people.changed_keys if (one.source, one.key) != (key.source, key.key)),
                    later,
                ]
    return people


@dataclass(frozen=True, slots=True)
class Preview:
    """What will happen when the rollovers of a day end: who of the missing begins grace where, and when access could end first."""

    rolling: tuple[Rolling, ...]
    missing: Mapping[str, int] = field(default_factory=dict)  # by campus
    first_disable: date | None = None


def preview(config: Config, store: Store, today: date) -> Preview:
    """What will happen when the rollovers of today end, if the last accepted roster is the last word."""
    specs = compile_people(config.people, extra_fields(config.sources)).lifecycle
    rolling = under_way(config, store, today)
    missing = missing_of(config, store, today)
    last = max((one.until for one in rolling), default=None)
    counts = Counter(state.campus for state in missing.values())
    if last is None or not missing:
        return Preview(rolling, counts)
    grace = min(specs.get(PopulationName(one.population or ""), LifecycleSpec()).grace_days for one in missing.values())
    return Preview(rolling, counts, last + timedelta(days=1 + grace))


def missing_of(config: Config, store: Store, today: date) -> dict[PersonId, PersonState]:
    """Who is missing from a roster and kept as they are by a rollover, or waits for their grace to begin anew."""
    kept = {one.person for one in store.findings("reject") if one.person and one.subject.startswith(f"{ROLLING}:")}
    later = {
        key.person
        for source in config.sources
        for key in store.missing(source).values()
        if key.missing_since and key.missing_since > today
    }
    return {person: state for person, state in store.persons(kept | later).items() if state.state in IN_USE}
