"""Where a person stands, from pending and active to parked and deletable: from dates, evidence, claims and `today`.

Two rules. Time and evidence come in as arguments, so every decision can be made again. And nothing is taken away on weak evidence:
vanishing needs days *and* snapshots (R13), an unread person stays exactly as they are (R1, R3), while an explicit exit acts on its
date (R36). Which accounts exist is not known here; what a target should hold for each state is.

Who claimed their account is a local fact (R6): nothing here takes a claim back but a return after a long absence (R41).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum

from syncd.core.model import PersonId

ONE_DAY = timedelta(days=1)


class State(StrEnum):
    """Where a person stands in their life at the district."""

    PENDING = "pending"  # no account: not yet, or not any more because none was ever made
    WAITING = "waiting"  # the account exists, disabled, until the person begins
    UNCLAIMED = "unclaimed"  # the account exists, disabled, until its owner claims it
    ACTIVE = "active"
    GRACE = "grace"  # vanished from the source; nothing happens yet
    DISABLED = "disabled"  # left: access has ended
    PARKED = "parked"  # left, and moved out of the way
    DELETABLE = "deletable"  # left so long ago that the district wants the account gone


LEFT = frozenset({State.DISABLED, State.PARKED, State.DELETABLE})
"""The stages of somebody who left. `since` is the same day in all three: the day access ended."""

IN_USE = frozenset({State.ACTIVE, State.GRACE})
"""The states in which the account is enabled."""


ANY = "*"
"""In a Keep: every other exit reason, every other target."""

VANISHED = "vanished"
"""The exit reason of somebody whose grace ended: no source told them to leave."""


@dataclass(frozen=True, slots=True)
class Keep:
    """How long accounts on a target stay as they are after access would have ended, for one exit reason (R36).

    So many `days`, or until the next `month_day` on or after that day.
    """

    reason: str
    target: str
    days: int = 0
    month_day: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class LifecycleSpec:
    """What a population's `lifecycle:` says, in days. None: that step does not exist."""

    create_before_start: int | None = field(
        default=None, metadata={"doc": "days before the start date on which the account is made; without it, at once"}
    )
    enable_before_start: int | None = field(
        default=None, metadata={"doc": "days before the start date on which the account is enabled; without it, when it is made"}
    )
    grace_days: int = field(
        default=10, metadata={"doc": "days a person must be missing from the source before the account is disabled"}
    )
    grace_snapshots: int = field(
        default=3, metadata={"doc": "distinct accepted snapshots a person must be missing from before the account is disabled"}
    )
    park_after: int | None = field(
        default=None,
        metadata={"doc": "days after access ended on which the account moves to `park_container`; without it, never"},
    )
    park_container: str | None = field(default=None, metadata={"doc": "container for the accounts of people who left"})
    delete_after: int | None = field(
        default=None, metadata={"doc": "days after access ended on which the account may be deleted; without it, never"}
    )
    reset_after: int = field(default=30, metadata={"doc": "days without access after which a returning person gets a new password"})
    claim: bool = field(default=False, metadata={"doc": "an account that syncd makes stays disabled until its owner claims it"})
    keeps: tuple[Keep, ...] = field(
        default=(), metadata={"doc": "accounts that outlive access, by exit reason and target; a reason's own lines decide alone"}
    )


@dataclass(frozen=True, slots=True)
class Presence:
    """What the sources say of a person's being here.

    `exit` is the last day (inclusive). `missing_since` and `absences` count accepted snapshots without the person. `as_of` is the
    day up to which the source's evidence reaches: grace stops while it lags behind (R13). `shielded`: a reject or an unread source.
    """

    present: bool = True
    start: date | None = None
    exit: date | None = None
    enabled: bool = True
    missing_since: date | None = None
    absences: int = 0
    shielded: bool = False
    as_of: date = date.max


@dataclass(frozen=True, slots=True)
class PersonState:
    """What the store remembers of one person.

    `due` is the next date on which time alone changes something. `likeness` is the birth date's index token with the folded family
    name, `given` the folded given name (R35). `campus` is the code of the last active primary campus. `claimed`: the owner claimed
    the account, or it was adopted (R41).
    """

    id: PersonId
    population: str | None = None
    state: str = State.PENDING
    since: date | None = None
    due: date | None = None
    likeness: str = ""
    given: str = ""
    campus: str = ""
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person stands today, and what that means for their accounts.

    `exists`: there should be an account; it is False for `pending` (make none) and `deletable` (may be removed).
    `frozen`: leave everything exactly as it is. `reset`: this is a return after so long that a new password is wanted; it is said
    once, by the decision that ends the absence. `claimed` is whether the account counts as claimed from now on.
    """

    state: State
    since: date
    due: date | None
    exists: bool
    enabled: bool
    parked: bool
    frozen: bool
    why: str
    reset: bool = False
    claimed: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    """One person's case: everything a decision may look at."""

    spec: LifecycleSpec
    presence: Presence
    before: State
    since: date  # in `before` since
    today: date
    claimed: bool

    @property
    def ends(self) -> date | None:
        """The first day without access, where an exit is still to come."""
        return None if self.presence.exit is None else _shifted(self.presence.exit, 1)

    def stands(self, state: State, due: date | None, why: str) -> Standing:
        return _standing(state, self.since if state is self.before else self.today, due, why)


def decide(
    spec: LifecycleSpec,
    presence: Presence,
    previous: PersonState | None,
    today: date,
    *,
    has_account: bool = False,
    unopened: bool = False,
) -> Standing:
    """Where this person stands today. Pure, and monotone: more evidence of leaving never leaves more access.

    `previous` is what the last decision made of them; None is a person never seen before. `has_account`: an account is linked
    though we never decided on one (adoption, R34), or were killed before we could remember it; `unopened`: it is one that we made,
    and is still disabled.
    """
    before = _before(previous, has_account=has_account, unopened=unopened)
    had = previous is not None and previous.claimed
    # No later than today: what was decided by a clock that was ahead holds from today on.
    since = min(previous.since, today) if previous is not None and previous.since is not None else today
    if presence.shielded:
        # `due` is carried on: what fell due behind the shield is looked at again until the shield is gone.
        why = "could not be read in the source: left exactly as it is"
        frozen = _standing(before, since, previous.due if previous is not None else None, why)
        return replace(frozen, frozen=True, claimed=had)
    long_away = before in LEFT and today - since >= timedelta(days=spec.reset_after)
    # An account in use has nothing left to claim. Whoever was away for long, or whose account may be gone, claims again (R41).
    claimed = not long_away and before is not State.DELETABLE and (had or (spec.claim and before in IN_USE))
    standing = _decided(_Case(spec, presence, before, since, today, claimed))
    if before in LEFT and standing.state in LEFT:
        return replace(standing, claimed=had)
    return replace(standing, claimed=claimed, reset=long_away)


def on_target(spec: LifecycleSpec, standing: Standing, reason: str, target: str, today: date) -> Standing:
    """Where somebody who left for this reason stands on one target: frozen while the account there is kept, then as everywhere.

    Parking and deleting count from the day to which the account was kept. Whoever did not leave stands there as everywhere.
    """
    until = kept_until(spec, standing.since, reason, target)
    if until is None or standing.frozen or standing.state not in LEFT:
        return standing
    if today < until:
        why = f"{standing.why}; kept on {target} until {until}"
        return replace(standing, state=State.DISABLED, due=until, exists=True, parked=False, frozen=True, why=why)
    parks, deletes = _later(until, spec.park_after), _later(until, spec.delete_after)
    # Never further than the person is anywhere: whoever is announced to return is not deleted first.
    parked = standing.parked and parks is not None and parks <= today
    deletable = standing.state is State.DELETABLE and deletes is not None and deletes <= today
    left = State.PARKED if parked else State.DISABLED
    return replace(
        standing,
        state=State.DELETABLE if deletable else left,
        due=min((day for day in (standing.due, parks, deletes) if day is not None and day > today), default=None),
        exists=not deletable,
        parked=parked,
        why=f"{standing.why}; kept on {target} until {until}",
    )


def kept_until(spec: LifecycleSpec, since: date, reason: str, target: str) -> date | None:
    """The day on which access to this target ends for somebody who left on `since`; None where it ends at once.

    The lines of the reason decide alone, those of ANY only for a reason without lines; the same among a reason's targets.
    """
    lines = [keep for keep in spec.keeps if keep.reason == reason] or [keep for keep in spec.keeps if keep.reason == ANY]
    chosen = {keep.target: keep for keep in lines}
    keep = chosen.get(target) or chosen.get(ANY)
    if keep is None:
        return None
    if keep.month_day is None:
        return since + timedelta(days=keep.days) if keep.days else None
    month, day = keep.month_day
    this_year = date(since.year, month, day)
    return this_year if this_year >= since else date(since.year + 1, month, day)


def rises_to_staff(before: str | None, after: str | None, staff: Collection[str] = frozenset({"staff"})) -> bool:
    """True for a change of population that is always held for a human (R40): a known person who becomes staff.

    Populations have the names a district gave them, so `staff` lists those that are staff; from whichever other one somebody
    comes, a student's above all, a human looks first.
    """
    return before is not None and after in staff and before not in staff


@dataclass(frozen=True, slots=True, order=True)
class Rise:
    """That somebody known as one of a population would become one of another, which is staff."""

    before: str
    after: str

    def digest(self, person: PersonId) -> str:
        """What an approval of this person's rise is known by (R15): it says nothing of any other person or population."""
        return f"{self.operation} {person} {self.before}"

    @property
    def operation(self) -> str:
        """As it is called where it is counted."""
        return f"{BECOME} {self.after}"


BECOME = "become"
"""How the operation of a cell begins whose people would become staff."""


def _before(previous: PersonState | None, *, has_account: bool, unopened: bool) -> State:
    state = State.PENDING if previous is None else State(previous.state)
    if state is not State.PENDING or not has_account:
        return state
    # An account that was there before us is in use for all we know: a start date to come does not close it (R34). One that we made
    # ahead of a start date is not open yet, also where a kill kept us from remembering that we had made it.
    return State.WAITING if unopened else State.ACTIVE


def _decided(case: _Case) -> Standing:
    presence, today = case.presence, case.today
    if not presence.enabled:
        return _left(case, "the source marks the person as not to have access")
    if presence.exit is not None and presence.exit < today:
        return _left(case, f"the last day was {presence.exit}")
    if not presence.present:
        return _vanished(case)
    return _here(case)


def _here(case: _Case) -> Standing:
    """Where somebody stands whom the source has and who may have access: before, between or after the start's own dates."""
    spec, presence, today = case.spec, case.presence, case.today
    made, opened = _ahead(presence.start, spec.create_before_start), _ahead(presence.start, spec.enable_before_start)
    # Nobody is enabled before their account is due to be made.
    opens = max((day for day in (made, opened) if day is not None), default=today)
    if case.before in IN_USE or case.before is State.UNCLAIMED or opens <= today:
        # A start date opens and never closes: a new school year that moves it shuts nobody out.
        if spec.claim and not case.claimed:
            return case.stands(State.UNCLAIMED, case.ends, "in the source; waits to be claimed")
        return case.stands(State.ACTIVE, case.ends, "in the source")
    if case.before is State.WAITING or made is None or made <= today:
        return case.stands(State.WAITING, _earliest(opens, case.ends), f"begins on {presence.start}, enabled on {opens}")
    if case.before in LEFT:
        return _left(case, f"left, and begins again on {presence.start}", back=made)
    return case.stands(State.PENDING, _earliest(made, case.ends), f"begins on {presence.start}, made on {made}")


def _left(case: _Case, why: str, back: date | None = None) -> Standing:
    """Where somebody without access stands: how far they are parked and deletable, counted from the day access ended."""
    if case.before is State.PENDING:
        return case.stands(State.PENDING, back, f"{why}; no account was ever made")
    since = case.since if case.before in LEFT else case.today
    parks, deletes = _later(since, case.spec.park_after), _later(since, case.spec.delete_after)
    if back is not None:
        deletes = None  # whoever is announced to return is not deleted first
    parked = parks is not None and parks <= case.today
    state = State.PARKED if parked else State.DISABLED
    if deletes is not None and deletes <= case.today:
        state = State.DELETABLE
    ends = case.ends if back is not None else None  # an exit to come takes the announcement back
    ahead = (day for day in (parks, deletes, back, ends) if day is not None and day > case.today)
    return replace(_standing(state, since, min(ahead, default=None), why), parked=parked)


def _vanished(case: _Case) -> Standing:
    """Missing from the source without a word: grace, until days and snapshots are both enough (R13)."""
    spec, presence, today = case.spec, case.presence, case.today
    if case.before in LEFT:
        return _left(case, "missing from the source after leaving it")
    if case.before is State.PENDING:
        return case.stands(State.PENDING, None, "missing from the source before an account was made")
    missing = presence.missing_since
    over = None if missing is None else missing + timedelta(days=spec.grace_days)
    seen = min(presence.as_of, today)
    if over is not None and seen >= over and presence.absences >= spec.grace_snapshots:
        return _left(case, f"missing from the source since {missing}, in {presence.absences} snapshots")
    # Days that passed without enough evidence are looked at daily: what is awaited then is a snapshot, not a date.
    due = over if over is not None and over > today else today + ONE_DAY
    why = f"missing from the source since {missing}: waits for {spec.grace_days} days and {spec.grace_snapshots} snapshots"
    # Whoever is not open yet is not opened on the way out.
    state = State.GRACE if case.before in IN_USE else case.before
    return case.stands(state, _earliest(due, case.ends), why)


def _ahead(start: date | None, days: int | None) -> date | None:
    return None if start is None or days is None else _shifted(start, -days)


def _later(since: date, days: int | None) -> date | None:
    return None if days is None else since + timedelta(days=days)


def _shifted(told: date, days: int) -> date:
    """A day of a roster, so many days later, as far as there are days: sources write 9999-12-31 for `never`."""
    return date.fromordinal(max(date.min.toordinal(), min(told.toordinal() + days, date.max.toordinal())))


def _earliest(*days: date | None) -> date | None:
    return min((day for day in days if day is not None), default=None)


def _standing(state: State, since: date, due: date | None, why: str) -> Standing:
    return Standing(
        state=state,
        since=since,
        due=due,
        exists=state not in (State.PENDING, State.DELETABLE),
        enabled=state in IN_USE,
        parked=state is State.PARKED,
        frozen=False,
        why=why,
    )
