"""What is found in a directory that others have kept until now: whose account is which, and what is nobody's.

Tells only: whose an account is was decided by the run that read the target (`owners`), and links are what that run makes true.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from syncd.core.adoption import is_managed, is_within, values
from syncd.core.likeness import Alike, Bearers, NameAttributes, names_of
from syncd.core.mapping import TargetMapping
from syncd.core.model import Kind, NativeId, Observed, PersonId, TargetName
from syncd.core.release import ADOPTING
from syncd.core.rendering import place
from syncd.core.spelling import plain
from syncd.engine.matching import Manner
from syncd.engine.planned import Applied, Planned
from syncd.store import Said, Store
from syncd.targets import Use
from syncd.targets.target import Target

_ROUNDS = 4  # one links nearly everybody, the next what that has settled
ADOPTED = "adopted"
"""The kind of entry that an adoption is on the audit's chain."""


class Found(StrEnum):
    """What is said of a person, or of an account."""

    MATCHED = "matched"  # a person, whose account is found by a key
    DISPUTED = "disputed"  # a person, whose account it may be; a human decides
    WITHOUT = "without account"  # a person, for whom nothing was found
    SET_ASIDE = "set aside"  # a person, of whom it cannot be said what should be
    ORPHANED = "orphaned"  # an account that looks like a person's, and is nobody's of the roster
    DUPLICATE = "duplicate"  # an account beside another one of the same person
    STALE = "stale"  # an enabled account that was not used for long


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a report: what is found, of whom or which account, why, and which accounts it may be about.

    `persons` are all whom it tells of: where one of them is confidential, the line is masked (R37).
    """

    found: Found
    why: str
    person: PersonId | None = None
    account: Observed | None = None
    candidates: Mapping[str, str] = field(default_factory=dict)
    persons: frozenset[PersonId] = frozenset()
    last: datetime | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What one target holds, against the roster. `counts` tell of accounts that no row does."""

    target: TargetName
    rows: tuple[Row, ...]
    people: int  # who should have an account here
    linked: int  # of them, before
    accounts: int
    left_alone: int  # accounts that look like nobody's in particular: of services, rooms and the like
    privileged: int
    tells_use: bool
    names: int  # found on the target, all of which the ledger is to know

    @property
    def by(self) -> dict[str, int]:
        """How many persons were matched, by what matched them."""
        counts = Counter(row.why for row in self.rows if row.found is Found.MATCHED)
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def of(self, found: Found) -> list[Row]:
        """The rows of one kind."""
        return [row for row in self.rows if row.found is found]


class Adopting:
    """Looks at what the targets of a district hold, and links it."""

    def __init__(
        self,
        run: Callable[[str, Manner, str, Callable[[Planned], Said | None] | None], tuple[Planned, Applied | None]],
        store: Store,
        targets: Mapping[TargetName, Target],
        mappings: Mapping[TargetName, TargetMapping],
        clock: Callable[[], datetime],
    ) -> None:
        """`run` is a run of a pipeline in some manner, by whom it was triggered, and what is decided on its plan."""
        self._run = run
        self._store = store
        self._targets = targets
        self._mappings = mappings
        self._clock = clock

    def survey(self, pipeline: str, unused: timedelta) -> tuple[Planned, list[Survey]]:
        """What the targets hold, against the roster. Writes to no target and links nobody; only new persons get their ids.

        An account that was not used for so long is stale.
        """
        listings: dict[TargetName, Mapping[NativeId, Observed]] = {}
        ready, _ = self._run(pipeline, Manner(lambda _: ADOPTING, listings.__setitem__), "adopt --report", None)
        since = self._clock() - unused
        return ready, [self._surveyed(ready, name, listings[name], since) for name in sorted(listings) if name in ready.matched]

    def _surveyed(self, ready: Planned, name: TargetName, listing: Mapping[NativeId, Observed], since: datetime) -> Survey:
        return _Looked(ready, self._mappings[name], listing, self._store.linked(name), self._targets[name].uses()).survey(since)

    def adopt(self, pipeline: str, actor: str, because: str) -> list[tuple[Planned, Applied | None]]:
        """Link existing accounts to their owners, and nothing else (R34): runs to which nothing is released.

        More than one: what was linked may settle what was disputed, such as whose name a namesake's account has. The last one tells
        what is disputed then; where it is held, there is None beside its plan.
        """
        done: list[tuple[Planned, Applied | None]] = []
        for _ in range(_ROUNDS):
            ready, applied = self._run(
                pipeline, Manner(lambda _: ADOPTING), f"adoption asked by {actor}", lambda ready: said(ready, actor, because)
            )
            done.append((ready, applied))
            if applied is None or not any(one.owners.adopted for one in ready.matched.values()):
                break
        return done


@dataclass(slots=True)
class _Looked:
    """One target."""

    ready: Planned
    mapping: TargetMapping
    listing: Mapping[NativeId, Observed]
    linked: Mapping[NativeId, PersonId]
    uses: Mapping[NativeId, Use] | None

    def survey(self, since: datetime) -> Survey:
        """Everything there is to say."""
        name, matched = self.mapping.target, self.ready.matched[self.mapping.target]
        owners = matched.owners
        theirs: dict[NativeId, PersonId] = dict(self.linked) | {
            observed.native_id: person for person, (observed, _) in owners.adopted.items()
        }
        asked: dict[NativeId, set[PersonId]] = {}
        for person, (_, candidates) in owners.disputed.items():
            for candidate in candidates:
                asked.setdefault(NativeId(candidate.removeprefix(f"{name}:")), set()).add(person)
        free = {
            native_id: one
            for native_id, one in self.listing.items()
            if native_id not in theirs and native_id not in asked and not one.privileged
        }
        finds = sorted({each for rules in self.mapping.spec.accounts.values() for key in rules.find for each in key})
        called = {rules.called for rules in self.mapping.accounts.values()}
        managed = {
            native_id: one for native_id, one in free.items() if any(is_managed(one.account, finds, each) for each in called)
        }
        persons = {native_id: {person} for native_id, person in theirs.items()} | asked
        twins = dict(self._twins(theirs, managed)) | dict(self._sharing(theirs))
        rows = [
            *self._people(owners.adopted, owners.disputed),
            *self._nobodys(managed, twins, persons),
            *self._stale(persons, since),
        ]
        return Survey(
            name,
            tuple(rows),
            people=sum(name in one.wanted for one in self.ready.decided.values()),
            linked=sum(person in self.ready.decided for person in self.linked.values()),
            accounts=len(self.listing),
            left_alone=len(free) - len(managed),
            privileged=sum(one.privileged for one in self.listing.values()),
            tells_use=self.uses is not None,
            names=len(matched.found),
        )

    def _people(
        self,
        adopted: Mapping[PersonId, tuple[Observed, str]],
        disputed: Mapping[PersonId, tuple[str, Mapping[str, str]]],
    ) -> Iterator[Row]:
        """What is said of each person."""
        matched = self.ready.matched[self.mapping.target]
        nowhere = {change.person for change in (*matched.observed, *matched.changes) if change.kind is Kind.CREATE}
        for person, (observed, why) in adopted.items():
            yield Row(Found.MATCHED, why, person, observed, persons=frozenset({person}))
        for person, (why, candidates) in disputed.items():
            yield Row(Found.DISPUTED, why, person, candidates=candidates, persons=frozenset({person}))
        for person, one in self.ready.decided.items():
            if person in nowhere or person in matched.owners.waiting:
                yield Row(Found.WITHOUT, "no account is found; one would be made", person, persons=frozenset({person}))
            elif one.blocked and person not in adopted and person not in disputed and person not in self.linked.values():
                yield Row(Found.SET_ASIDE, one.blocked, person, persons=frozenset({person}))

    def _nobodys(
        self,
        managed: Mapping[NativeId, Observed],
        twins: Mapping[NativeId, tuple[str, set[PersonId]]],
        persons: Mapping[NativeId, Collection[PersonId]],
    ) -> Iterator[Row]:
        """What is said of accounts that are nobody's, and of those that somebody has twice."""
        for native_id, one in sorted(managed.items()):
            if native_id not in twins:
                yield Row(Found.ORPHANED, "nobody of the roster has it", account=one)
        for native_id, (why, others) in sorted(twins.items()):
            who = frozenset({*persons.get(native_id, ()), *others})
            yield Row(Found.DUPLICATE, why, account=self.listing[native_id], persons=who)

    def _sharing(self, theirs: Mapping[NativeId, PersonId]) -> Iterator[tuple[NativeId, tuple[str, set[PersonId]]]]:
        """Accounts that have a key together."""
        for rules in self.mapping.spec.accounts.values():
            bases = [plain(text.text) for text in rules.find_in]
            mine = [
                (native_id, one.account)
                for native_id, one in self.listing.items()
                if not one.privileged and is_within(one.account.container, bases)
            ]
            for attribute in {each for key in rules.find for each in key}:
                holders: dict[str, list[NativeId]] = {}
                for native_id, account in mine:
                    for value in values(account, attribute):
                        holders.setdefault(value.strip().casefold(), []).append(native_id)
                for value, together in holders.items():
                    others = {theirs[each] for each in together if each in theirs}
                    for each in together if len(together) > 1 else ():
                        yield each, (f"{attribute} {value} is on {len(together)} accounts", others)

    def _twins(
        self, theirs: Mapping[NativeId, PersonId], managed: Mapping[NativeId, Observed]
    ) -> Iterator[tuple[NativeId, tuple[str, set[PersonId]]]]:
        """Accounts without the surest key that bear the name of somebody who has another one."""
        surest = {name for rules in self.mapping.spec.accounts.values() for key in rules.find[:1] for name in key}
        keyless = [one for one in managed.values() if not any(values(one.account, name) for name in surest)]
        looks: dict[NameAttributes, Bearers] = {}
        for native_id, person in theirs.items() if keyless else ():
            one, account = self.ready.decided.get(person), self.listing.get(native_id)
            rules = self.mapping.accounts.get(one.population) if one is not None and one.population else None
            if one is None or one.person is None or account is None or rules is None:
                continue
            if rules.called not in looks:
                looks[rules.called] = Bearers(rules.called)
                for observed in keyless:
                    looks[rules.called].add(observed)
            for twin, (_, likeness) in looks[rules.called].like(names_of(one.person)).items():
                if likeness is Alike.SAME:
                    yield twin, (f"has no key, and the name of {person}, whose account is {place(account.account)}", {person})

    def _stale(self, persons: Mapping[NativeId, Collection[PersonId]], since: datetime) -> Iterator[Row]:
        """Enabled accounts that nobody used, or, where that is not told, changed since that day."""
        for native_id, use in sorted((self.uses or {}).items()):
            one, last = self.listing.get(native_id), use.used or use.changed
            if one is None or one.privileged or not one.account.enabled or last is None or last >= since:
                continue
            why = "not used since" if use.used else "never seen to be used, and not changed since"
            who = frozenset(persons.get(native_id, ()))
            yield Row(Found.STALE, f"{why} {last:%Y-%m-%d}", account=one, persons=who, last=last)


def said(ready: Planned, actor: str, because: str) -> Said | None:
    """The decision to adopt what a run found, with what stands for the links it makes; None where it makes none."""
    if not any(one.owners.adopted for one in ready.matched.values()):
        return None
    contents: dict[str, Any] = {"because": because}
    for name, one in ready.matched.items():
        links = sorted(f"{person} {observed.native_id}" for person, (observed, _) in one.owners.adopted.items())
        digest = hashlib.sha256("\n".join(links).encode()).hexdigest()
        contents[name] = {"links": len(links), "digest": digest, "disputed": len(one.owners.disputed)}
    return Said(ADOPTED, actor, contents)
