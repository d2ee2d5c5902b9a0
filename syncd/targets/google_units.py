"""Organizational units: which there are, as Google spells them, and how one is made."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from syncd.core.model import Failure
from syncd.core.spelling import STEP, parent
from syncd.errors import ChangeError
from syncd.targets.google_errors import Meaning, Refused
from syncd.targets.google_people import People
from syncd.targets.google_places import above, canonical_place, spelled_place
from syncd.targets.google_quota import Cost
from syncd.targets.google_verdicts import unfit
from syncd.targets.google_wire import Scope, Wire, part


class Units:
    """The organizational units of one customer."""

    def __init__(self, wire: Wire, people: People) -> None:
        self._wire = wire
        self._people = people
        self._there: dict[str, str] | None = None  # canonical -> as Google spells it
        self._written: dict[str, str] = {}  # canonical -> as the mapping spells it, for what we make
        self._made: dict[str, float] = {}
        self._tried: set[str] = set()  # of those, the ones that were found to be known
        self._trying: set[str] = set()  # into which somebody is being put, to find out
        self._first = threading.Lock()
        self._lock = threading.RLock()

    def canonical(self, name: str) -> str:
        """The one spelling of a unit's path; how it was written is remembered. Raises ChangeError."""
        told = canonical_place(name)
        if told not in self._written or self._written[told] == told:
            for place, written in zip(above(told), above(spelled_place(name)), strict=True):
                self._written.setdefault(place, written)
                if self._written[place] == place:
                    self._written[place] = written
        return told

    def spelled(self, place: str) -> str:
        """A unit's path as Google spells it, else as the mapping does; the root is a slash."""
        there = self._known()
        return there.get(place) or self._written.get(place) or place or STEP

    def missing(self, names: Collection[str]) -> set[str]:
        """Those of the units, the ones above them included, that do not exist."""
        there = self._listed()
        return {place for name in names for place in above(self.canonical(name)) if place not in there}

    def is_fresh(self, place: str) -> bool:
        """Whether we made it so short a time ago that Google may not know it everywhere."""
        return self._people.now() - self._made.get(place, float("-inf")) < self._wire.config.patience

    @contextmanager
    def one_tries(self, place: str) -> Iterator[None]:
        """Of those who put somebody into a unit made just now one goes first: all others would only learn that it is not known yet.

        Whoever leaves without an error has found that it is.
        """
        while self.is_fresh(place) and place not in self._tried:
            with self._first:
                goes_first = place not in self._trying
                self._trying.add(place)
            if goes_first:
                try:
                    yield
                    self._tried.add(place)
                finally:
                    self._trying.discard(place)
                return
            self._wire.quota.timing.sleep(_PAUSE)
        yield

    def create(self, name: str) -> bool:
        """Make a unit; False where it is there already. Raises Refused, and Settled where the unit above it is missing."""
        place = self.canonical(name)
        with self._lock:  # Google allows one at a time, and a parent must be there before its children
            there = self._known()
            if place in there:
                return False
            over = parent(place)
            if over and over not in there and over not in self._listed():
                raise unfit(Failure.NO_CONTAINER, f"there is no organizational unit {over}")
            written = self._written.get(place, place)
            body = {"name": written.rpartition(STEP)[2], "parentOrgUnitPath": self.spelled(over)}
            if not self._inserted(place, over, body):
                return False
            self._made[place] = self._people.now()
            if self._there is not None:
                self._there[place] = f"{'' if not over else self.spelled(over)}{STEP}{body['name']}"
        return True

    def _inserted(self, place: str, over: str, body: dict[str, str]) -> bool:
        """Whether the unit was made by us now; False where it is there already. Raises Refused."""
        begun, unanswered = self._people.now(), False

        def insert() -> bool:
            nonlocal unanswered
            try:
                self._wire.call(Scope.UNITS, "POST", self._path(), body=body, cost=Cost.UNIT)
            except Refused as refused:
                unanswered |= refused.unanswered
                if refused.meaning in _TAKEN and place in self._listed():
                    return unanswered
                raise
            return True

        def may_come() -> bool:
            """The unit above it is new, or a request without an answer made this one, and it is not listed yet."""
            return self.is_fresh(over) or (unanswered and self._people.now() - begun < self._wire.config.patience)

        return self._people.until(may_come, insert, _TAKEN)

    def _known(self) -> dict[str, str]:
        """The units as they were last listed; listed now where they never were."""
        if self._there is None:
            with self._lock:
                if self._there is None:
                    self._listed()
        return self._there or {}

    def _listed(self) -> dict[str, str]:
        told = self._wire.read(Scope.UNITS, self._path(), "listing the organizational units", {"type": "all", "fields": _FIELDS})
        there: dict[str, str] = {}
        for unit in told.get("organizationUnits") or ():
            try:
                there[canonical_place(str(unit["orgUnitPath"]))] = str(unit["orgUnitPath"])
            except ChangeError:
                continue  # a unit whose path we could not write either is nobody's place here
        fresh = {place: path for place, path in (self._there or {}).items() if place not in there and self.is_fresh(place)}
        self._there = {**there, **fresh}
        return self._there

    def _path(self) -> str:
        return f"/customer/{part(self._wire.config.customer)}/orgunits"


_PAUSE = 0.5
_TAKEN = frozenset({Meaning.EXISTS, Meaning.NO_UNIT})  # Google has said either
_FIELDS = "organizationUnits(orgUnitPath)"
