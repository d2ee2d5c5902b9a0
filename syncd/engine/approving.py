"""What humans decide about held changes: let them go exactly as they were seen (R15), or turn them down.

Knows who may not decide where two must (R39): whoever asked for the run, and the author of the configuration in force. Who they
are is the caller's word, as the kernel gave it.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from os import strerror
from typing import NamedTuple

from syncd import telemetry
from syncd.core import plan
from syncd.core.actor import human_in
from syncd.core.guard import Cell
from syncd.core.mapping import TargetMapping
from syncd.core.model import Change, Kind, PersonId, PopulationName, RunId, TargetName
from syncd.engine import shapes
from syncd.engine.planned import StoredPlan
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.store import Approval, Store

AUTHOR = "configuration author"
"""Under which the store remembers the files in force, by their digest, and who took them up."""
TWO = 2
_PLAN = "plan "  # how the trigger of a run begins that applies a stored plan
_FOLLOWED = 5  # a plan of a plan of a plan: nobody goes further

_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Approved:
    """What an approval came to: of how many people and changes, and whether they go now or wait for another human."""

    people: int
    changes: int
    given: int
    needed: int
    expires: datetime

    @property
    def lets_go(self) -> bool:
        """True where nobody else is needed."""
        return self.given >= self.needed


class Rejected(NamedTuple):
    """What a rejection came to: of how many people and changes, and how many names are free again that were never sent (R9)."""

    people: int = 0
    changes: int = 0
    names: int = 0


@dataclass(frozen=True, slots=True)
class HeldCell:
    """What a plan holds in one cell: of whom, how much of what, and who has approved how many of the changes so far."""

    cell: Cell | None
    persons: frozenset[PersonId]
    kinds: Mapping[str, int]
    digests: int
    approvals: tuple[tuple[Approval, int], ...] = ()
    let_go: int = 0


class Approving:
    """The decisions about the held changes of one district."""

    def __init__(self, config: Config, store: Store, clock: Callable[[], datetime], unnamed: Callable[[Change], str]) -> None:
        """`unnamed` tells what an account to be made is known by, whatever it would be called."""
        self._unnamed = unnamed
        self._config = config
        self._store = store
        self._clock = clock

    def approve(self, run: RunId, kept: StoredPlan, actor: str, because: str, campuses: Collection[str]) -> Approved:
        """Remember that somebody lets the held changes of this plan go, all or those of some campuses.

        Raises EndpointError where it holds nobody there, or where this human may not be one of the two.
        """
        told = self._chosen(kept, kept.held, campuses)
        digests = told.keys() | (frozenset() if campuses else kept.shapes)
        if not digests:
            raise EndpointError(f"plan {run}", "holds nobody back" + (" there" if campuses else ""), "see `syncd holds`")
        return self.let_go(run, digests, len(set(told.values())), actor, because)

    def let_go(self, run: RunId, digests: Collection[str], subjects: int, actor: str, because: str) -> Approved:
        """Remember that somebody lets what has these digests go, of so many people or devices.

        Raises EndpointError where this human may not be one of the two.
        """
        rule, now = self._config.approvals, self._clock()
        barred = self._barred(run, actor) if rule.approvers == TWO else frozenset[int]()
        approval = Approval(run, now, now + timedelta(days=rule.expire_after), actor, because)
        given = self._store.decisions.approve(approval, digests, rule.approvers, barred)
        _log.info("plan.approved", run=run, persons=subjects, changes=len(digests), count=given)
        return Approved(subjects, len(digests), given, rule.approvers, approval.expires)

    def tighten(self) -> None:
        """Where two humans must agree by now, what one let go waits for the other. To be called under a new configuration."""
        if self._config.approvals.approvers == TWO:
            author = human_in(self._store.meta(AUTHOR))
            self._store.decisions.count_again(TWO, () if author is None else (author,))

    def may_apply(self, run: RunId, actor: str) -> None:
        """Raises EndpointError where two humans must agree, and this one is not another than who asked for the plan (R39)."""
        if self._config.approvals.approvers == TWO:
            self._barred(run, actor)

    def may_release(self, actor: str) -> None:
        """Raises EndpointError where two humans must agree, and this one is the author of the configuration in force, or nobody."""
        if self._config.approvals.approvers == TWO:
            self._known(actor)

    def reject(
        self,
        run: RunId,
        kept: StoredPlan,
        actor: str,
        because: str,
        campuses: Collection[str] = (),
        persons: Collection[PersonId] = (),
    ) -> Rejected:
        """Turn changes of this plan down: what it holds, or whatever it has of some persons.

        They are not made and not offered again until they are others, until somebody releases them, or for as long as
        `approvals.rejected_for` says.
        """
        told = self._chosen(kept, frozenset(persons) or kept.held, campuses)
        if not told:
            return Rejected()
        now, whose = self._clock(), set(told.values())
        rejection = Approval(run, now, now + timedelta(days=self._config.approvals.rejected_for), actor, because)
        made = [
            change for one in kept.plans.values() for change in one.changes if change.kind is Kind.CREATE and change.person in whose
        ]
        unnamed = {self._unnamed(change): change.person for change in made if change.person}
        names = self._store.decisions.reject(rejection, told | unnamed, set(unnamed.values()))
        _log.info("plan.rejected", run=run, persons=len(whose), changes=len(told))
        return Rejected(len(whose), len(told), names)

    def _chosen(self, kept: StoredPlan, persons: Collection[PersonId], campuses: Collection[str]) -> dict[str, PersonId]:
        """The digests of what a plan has of these people, each with whose it is."""
        changes = [change for one in kept.plans.values() for change in one.changes if change.person in persons]
        chosen = {change.person for change in changes if change.person and (not campuses or change.campus in campuses)}
        told = {plan.digest(change): change.person for change in changes if change.person in chosen and change.person}
        # Whoever is held without a change has vanished from a roster, or would become staff: that is what is decided about.
        gone = self._store.persons((kept.held & frozenset(persons)) - {change.person for change in changes})
        absent = sorted(person for person, state in gone.items() if not campuses or state.campus in campuses)
        rises = shapes.rise_digests(kept.cells)
        return told | {rises.get(person) or shapes.vanish_digest(person): person for person in absent}

    # --- two humans ---------------------------------------------------------------------------------------------------

    def _barred(self, run: RunId, actor: str) -> frozenset[int]:
        """Whose approval does not count as one of two. Raises EndpointError where this human's does not, or nobody can tell."""
        asked = self._asked_for(run)
        if asked is not None and human_in(actor) == asked:
            raise _refused(f"{actor} asked for {run}, and two others must approve it", "let them run: syncd approve")
        author = self._known(actor)
        return frozenset(one for one in (author, asked) if one is not None)

    def _known(self, actor: str) -> int:
        """The author of the configuration in force. Raises EndpointError where that is this human, or nobody can tell."""
        who, author = human_in(actor), human_in(self._store.meta(AUTHOR))
        if who is None:
            raise _refused(
                f"{actor} is an account behind which anybody may stand", "sign in under a name of your own, then approve"
            )
        if author is None:
            raise _refused(
                "nobody can tell who took up the configuration in force, and that human must not approve",
                "whoever answers for it runs: syncd reload",
            )
        if who == author:
            raise _refused(
                f"{actor} took up the configuration in force, and others must approve what is done under it",
                "let them run: syncd approve",
            )
        return author

    def _asked_for(self, run: RunId) -> int | None:
        """The human who asked for a run, or for the plan it applies; None where it was the schedule."""
        for _ in range(_FOLLOWED):
            row = self._store.run(run)
            if row is None:
                return None
            if not row.trigger.startswith(_PLAN) or human_in(row.trigger) is not None:
                return human_in(row.trigger)
            run = RunId(row.trigger.removeprefix(_PLAN))
        return None

    # --- what is held -------------------------------------------------------------------------------------------------

    def cells(self, kept: StoredPlan) -> list[HeldCell]:
        """What a stored plan holds, by cell; a person stands in each cell that holds them, with all their changes there."""
        changes: dict[PersonId, list[Change]] = {}
        for one in kept.plans.values():
            for change in one.changes:
                if change.person in kept.held and change.person is not None:
                    changes.setdefault(change.person, []).append(change)
        cells = kept.cells or ((None, kept.held),)
        return [self._held_in(cell, persons, changes) for cell, persons in cells if persons]

    def _held_in(self, cell: Cell | None, persons: frozenset[PersonId], changes: Mapping[PersonId, list[Change]]) -> HeldCell:
        mine = [change for person in persons for change in changes.get(person, ())]
        digests = {plan.digest(change) for change in mine}
        rises = shapes.rise_digests([(cell, persons)])
        digests |= {rises.get(person) or shapes.vanish_digest(person) for person in persons if person not in changes}
        now, decisions = self._clock(), self._store.decisions
        given: Counter[Approval] = Counter(one for each in decisions.approvals(digests, now).values() for one in each)
        return HeldCell(
            cell,
            persons,
            dict(sorted(Counter(str(change.kind) for change in mine).items())),
            len(digests),
            tuple(sorted(given.items(), key=lambda pair: (pair[0].at, pair[0].actor))),
            len(decisions.approved(digests, now)),
        )


def unnamed(mappings: Mapping[TargetName, TargetMapping], change: Change) -> str:
    """What an account to be made is known by, whatever it would be called and on whatever day it is made.

    Somebody who was turned down has no name any more, and may have another one in the next plan (R9).
    """
    rules, after = mappings.get(change.target), change.after
    if rules is None or after is None:
        return plan.digest(change)
    own = rules.accounts.get(PopulationName(change.population))
    once = {name for name, policy in own.policies.items() if policy == "initial"} if own is not None else set[str]()
    aside = {name.casefold() for name in rules.carriers | once}
    told = {name: values for name, values in after.attributes.items() if name.casefold() not in aside}
    place = replace(after, rdn="" if rules.rdn_carries else after.rdn, attributes=told)
    return f"unnamed {plan.digest(replace(change, after=place))}"


def _refused(why: str, remedy: str) -> EndpointError:
    """An error that a human's rights are the cause of."""
    error = EndpointError("approval", why, remedy)
    error.__cause__ = PermissionError(errno.EPERM, strerror(errno.EPERM))
    return error
