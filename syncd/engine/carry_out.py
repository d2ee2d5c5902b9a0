"""Carry out a plan: intention before, outcome after, in small batches, so that a kill at any instant loses and repeats nothing.

Nothing is decided here but what a miss demands: an unanswered change is resolved by reading (R17), a person whose account was
changed meanwhile is reread and replanned once (R18), and what waits on something that failed is not sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from syncd import telemetry
from syncd.core import order, plan, quarantine
from syncd.core.addresses import FormerAddress
from syncd.core.guard import Cell
from syncd.core.mapping import Wanted
from syncd.core.model import Change, Failure, Kind, NativeId, Outcome, PersonId, Result, RunId
from syncd.core.plan import Desired, Holding
from syncd.engine import passwords, places
from syncd.engine.resolve import asked_for, moves, resolve
from syncd.errors import EndpointError, StoreError, TransientError
from syncd.store import Intention, Store
from syncd.store.history import password_context
from syncd.targets import ById, Chosen, OneTime, Scope, Seats
from syncd.targets.target import Target
from syncd.vault import Vault

_log = telemetry.logger("engine")

_STOPPED = "not sent: the program was told to end; the next run does it"
_LOCKED = "not sent: somebody locked this person; unlock lets the next run do it"

BATCH = 500
"""Changes journalled in one transaction, together with the outcomes of those before. Measured: fewer cost, more gain nothing."""

STANDING = frozenset({Kind.CREATE, Kind.ENABLE, Kind.DISABLE, Kind.PARK, Kind.DELETE})
"""The steps that make a lifecycle state true."""

PASSWORD_DAYS = 60
"""How long a sealed first password waits to be handed out."""


@dataclass(slots=True)
class Report:
    """What came of a plan on one target."""

    results: Counter[Result] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)  # of what landed
    failures: list[Outcome] = field(default_factory=list)
    unsettled: set[PersonId] = field(default_factory=set)  # somebody who must be looked at again (R5)
    owed: Counter[PersonId] = field(default_factory=Counter)  # steps that open or close an account and have not landed
    stopped: EndpointError | TransientError | None = None
    cut_short: bool = False  # the program was told to end before everything was sent
    waiting: int = 0  # people whose outcome on another target comes first, and is not there
    left_alone: int = 0  # after so many refusals, the error budget, nothing more was sent; 0 while it lasted
    seats: dict[str, str] = field(default_factory=dict)  # licences of which none was left in the middle, and what that means
    beyond: dict[str, str] = field(default_factory=dict)  # parts of the target that could not be used, and why

    @property
    def complete(self) -> bool:
        """True when every change was tried: none was left unsent, or waits for another."""
        return self.stopped is None and not self.cut_short and not any(one.failure is Failure.WAITS for one in self.failures)


@dataclass(frozen=True, slots=True)
class KeepOut:
    """Who is locked at this moment, and how what was opened to them meanwhile is closed again (R33)."""

    locked: Callable[[], frozenset[PersonId]] = frozenset
    close: Callable[[], object] = lambda: None


class CarryOut:
    """One target's part of one run."""

    def __init__(
        self,
        target: Target,
        store: Store,
        vault: Vault,
        run: RunId,
        scope: Scope,
        clock: Callable[[], datetime],
        stopping: Callable[[], bool] = lambda: False,
        cells_of: Callable[[Change], Collection[Cell]] = lambda _: (),
        keep_out: KeepOut = KeepOut(),
    ) -> None:
        """Once `stopping` says so, nothing more is sent; what is under way is awaited and recorded.

        `cells_of` tells where a change that was made counts against the limits of the runs to come (R12).
        """
        self._target = target
        self._store = store
        self._vault = vault
        self._run = run
        self._scope = scope
        self._clock = clock
        self._stopping = stopping
        self._cells_of = cells_of
        self._keep_out = keep_out
        self._firsts = passwords.OfOneRun()
        self._spent: Counter[Cell] = Counter()  # and not recorded yet
        self._counted: set[tuple[Cell, PersonId]] = set()
        self._uncounted: frozenset[PersonId] = frozenset()  # who is locked: no limit counts that (R33)
        self._log = _log.bind(run=run, target=target.name)
        self._created: dict[PersonId, NativeId] = {}
        self._stale: set[PersonId] = set()
        self._moves: dict[PersonId, Change] = {}  # as they are meant: one of a ring is sent in two steps
        self._unmade: set[str] = set()  # groups that were not even asked for: nobody is sent into one
        self._missing: dict[PersonId, list[Change]] = {}  # what has not landed of somebody: what depends on it is not sent
        self.report = Report()

    def apply(
        self,
        changes: Sequence[Change],
        wants: Mapping[PersonId, Desired],
        wanted: Mapping[PersonId, Wanted],
        told: Callable[[Outcome], None] = lambda _: None,
        retried: Collection[PersonId] = (),
        firsts: passwords.OfOneRun | None = None,
    ) -> Report:
        """Apply everything that can be; `told` hears each outcome as it comes. Raises only StoreError.

        `retried` have something that was refused before: they come last, with an error budget of their own, so that what is known
        to fail takes nothing from the others. `firsts` are the first passwords of the run, on whatever target.
        """
        self._firsts = firsts or self._firsts
        self._uncounted = frozenset(person for person, want in wants.items() if want.locked)
        self.report.owed.update(change.person for change in changes if change.person is not None and change.kind in STANDING)
        before = self._seats(changes)
        try:
            again = [change for change in changes if change.person in retried]
            self._part([change for change in changes if change.person not in retried], wants, wanted, told)
            if self._target.exhausted:
                self.report.left_alone = self._target.failed
                self.report.unsettled |= {change.person for change in again if change.person is not None}
            else:
                self._part(again, wants, wanted, told)
        except StoreError:
            raise  # what was sent and is not recorded is looked up by the next run
        except (EndpointError, TransientError) as error:
            self.report.stopped = error
            self.report.unsettled |= {change.person for change in changes if change.person is not None}
        if self.report.stopped is None:
            self._count_seats(before, self._seats(changes))
        return self.report

    def _seats(self, changes: Sequence[Change]) -> Mapping[str, Seats]:
        """How many are left of the licences that these changes give."""
        names = {change.group for change in changes if change.kind is Kind.ADD_MEMBER and change.group is not None}
        try:
            return self._target.seats_left(names - self._target.out_of_reach(names).keys())
        except (EndpointError, TransientError):
            return {}  # the next run asks again

    def _count_seats(self, before: Mapping[str, Seats], after: Mapping[str, Seats]) -> None:
        """Note of the licences that were given how it is now: they ran out, whatever was said to be left, or are there again."""
        without = Counter(one.change.group or "" for one in self.report.failures if one.change.kind is Kind.ADD_MEMBER)
        for name, known in after.items():
            self.report.seats[name] = places.of_seats(without[name], known)
            if known.left <= 0 < without[name] and (name not in before or before[name].left > 0):
                told = f"no seat was left in the middle of run {self._run}, and {without[name]:,} people go without"
                self.report.seats[name] = f"{told}: buy more, or reclaim some"

    def _part(
        self,
        changes: Sequence[Change],
        wants: Mapping[PersonId, Desired],
        wanted: Mapping[PersonId, Wanted],
        told: Callable[[Outcome], None],
    ) -> None:
        """Apply some of the changes, with a whole error budget."""
        self._target.begin()
        self._waves(changes, wants, wanted, told)
        if self._stale:
            again = self._replanned(wants)
            self._stale.clear()
            self._waves(again, wants, wanted, told, last=True)

    def _waves(
        self,
        changes: Sequence[Change],
        wants: Mapping[PersonId, Desired],
        wanted: Mapping[PersonId, Wanted],
        told: Callable[[Outcome], None],
        *,
        last: bool = False,
    ) -> None:
        moves = (change for change in changes if change.kind in (Kind.MOVE, Kind.PARK))
        self._moves |= {change.person: change for change in moves if change.person is not None}
        for wave in order.waves(changes):
            if self._stopping():
                self.report.cut_short = True
                self.report.unsettled |= {change.person for change in wave if change.person is not None}
                continue
            ready = [self._filled(change) for change in wave if self._may_go(change)]
            if ready:
                self._send(ready, wants, wanted, told, last=last)
                if self._keep_out.locked() & {change.person for change in ready}:
                    self._keep_out.close()

    def _may_go(self, change: Change) -> bool:
        if change.person is None:
            return True
        if change.person in self._stale:
            return False
        if change.kind is Kind.ADD_MEMBER and change.group in self._unmade:
            self._miss(change)
            return False
        if any(quarantine.depends(change, other) for other in self._missing.get(change.person, ())):
            self._miss(change)
            return False
        return change.native_id is not None or change.kind is Kind.CREATE or change.person in self._created

    def _miss(self, change: Change) -> None:
        """A change has not landed: whoever it belongs to is looked at again (R5), and what depends on it is not sent."""
        if change.person is not None:
            self.report.unsettled.add(change.person)
            self._missing.setdefault(change.person, []).append(change)

    def _filled(self, change: Change) -> Change:
        if change.native_id is None and change.person in self._created:
            return replace(change, native_id=self._created[change.person])
        return change

    def _send(
        self,
        ready: Sequence[Change],
        wants: Mapping[PersonId, Desired],
        wanted: Mapping[PersonId, Wanted],
        told: Callable[[Outcome], None],
        *,
        last: bool,
    ) -> None:
        seqs: dict[int, int] = {}  # id of a change in flight -> its place in the journal
        secrets: dict[int, str] = {}
        done: list[tuple[int, Outcome]] = []
        unknown: list[Intention] = []

        def feed() -> Iterator[Change]:
            for start in range(0, len(ready), BATCH):
                batch = ready[start : start + BATCH]
                sealed = self._passwords(batch, wants, wanted, secrets)
                replaced = [address for change in batch for address in self._replaced(change, wanted)]
                numbers = self._store.intend(
                    self._run, batch, sealed, self._clock(), after=done, spent=self._spent, replaced=replaced
                )
                done.clear()
                self._spent.clear()
                # Not before: whoever locks somebody now sees what is journalled, and whoever did before is seen here.
                locked = self._keep_out.locked()
                for change, seq in zip(batch, numbers, strict=True):
                    if (unsent := self._unsent(change, locked)) is not None:
                        done.append((seq, unsent))
                        continue
                    seqs[id(change)] = seq
                    yield change
                if self._stopping():
                    self.report.cut_short = True
                    left = ready[start + BATCH :]
                    self.report.unsettled |= {change.person for change in left if change.person is not None}
                    return

        def flush() -> None:
            if done:
                self._store.record(self._run, done, self._clock(), self._spent)
                done.clear()
                self._spent.clear()

        try:
            for outcome in self._target.apply(feed(), lambda change: secrets.get(id(change))):
                seq = seqs.pop(id(outcome.change))
                if outcome.result is Result.UNKNOWN:
                    unknown.append(Intention(seq, self._run, outcome.change))
                    continue
                final = self._ours(self._second_miss(outcome) if last else outcome)
                done.append((seq, self._as_meant(final)))
                self._note(final)
                told(final)
                if len(done) >= BATCH:  # the last answers come when everything has been sent, and no next batch takes them along
                    flush()
        finally:
            flush()
        done += self._found_out(unknown, told)
        flush()

    def _found_out(self, unknown: Sequence[Intention], told: Callable[[Outcome], None]) -> Iterator[tuple[int, Outcome]]:
        """What came of changes without an answer, as far as the target can be asked; the others stay open, and wait."""
        left = {one.seq: one.change for one in unknown}
        for seq, outcome in resolve(self._target, self._scope, unknown, self._store):
            del left[seq]
            yield seq, self._as_meant(outcome)
            self._note(outcome)
            told(outcome)
        for change in left.values():
            self._miss(change)

    def _unsent(self, change: Change, locked: Collection[PersonId]) -> Outcome | None:
        """What came of a change that was journalled and must not be sent now; None where it may."""
        if change.person is not None and change.person in locked and change.kind is not Kind.DISABLE:
            self.report.unsettled.add(change.person)
            return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=_LOCKED)
        if self._stopping():
            outcome = Outcome(change, Result.FAILED, failure=Failure.WAITS, why=_STOPPED)
            self._note(outcome)
            return outcome
        return None

    def _as_meant(self, outcome: Outcome) -> Outcome:
        """What came of a step, as it is remembered: where the way out of a ring was refused, so was the move it was a part of."""
        change = outcome.change
        whole = self._moves.get(change.person) if change.person is not None else None
        if outcome.landed or whole is None or change.kind is not whole.kind or change.after == whole.after:
            return outcome
        return replace(outcome, change=whole)

    def _ours(self, outcome: Outcome) -> Outcome:
        """What is so already is done where it was asked for before, and carried out after the one who asked had died."""
        change = outcome.change
        if outcome.result is not Result.ALREADY or change.kind is not Kind.ADD_MEMBER or change.person is None:
            return outcome
        asked = asked_for(self._store, change.target, [change.person])
        return replace(outcome, result=Result.DONE) if (change.person, change.group) in asked else outcome

    def _second_miss(self, outcome: Outcome) -> Outcome:
        if outcome.failure is Failure.STALE:
            return replace(outcome, failure=Failure.OTHER, why=f"changed by somebody else twice while being written: {outcome.why}")
        return outcome

    def _passwords(
        self, batch: Sequence[Change], wants: Mapping[PersonId, Desired], wanted: Mapping[PersonId, Wanted], secrets: dict[int, str]
    ) -> dict[int, tuple[bytes, datetime]]:
        """New passwords for the creates and returners of a batch, sealed; in the clear they are only in `secrets`.

        Whoever is locked gets one that nobody is ever told; whoever has claimed an account has chosen one, which may wait for this.
        """
        sealed: dict[int, tuple[bytes, datetime]] = {}
        chosen = self._chosen(batch)
        for index, change in enumerate(batch):
            if change.person is None:
                continue
            if change.kind is Kind.ENABLE and change.person in chosen:
                secrets[id(change)] = Chosen(chosen[change.person])
                continue
            if change.kind is Kind.DISABLE and change.person in wants and wants[change.person].locked:
                secrets[id(change)] = passwords.random()
            if change.person not in wanted:
                continue
            returns = change.kind is Kind.ENABLE and wants[change.person].reset
            spec = wanted[change.person].password
            if spec is not None and (change.kind is Kind.CREATE or returns):
                password = self._firsts.of(change.person, spec.initial)
                secrets[id(change)] = OneTime(password) if spec.change_at_first_login else password
                context = password_context(change.target, change.person)
                sealed[index] = (self._vault.seal(password.encode(), context), self._clock() + timedelta(days=PASSWORD_DAYS))
        return sealed

    def _chosen(self, batch: Sequence[Change]) -> dict[PersonId, str]:
        """The passwords that wait for accounts which are opened now."""
        opened = [change.person for change in batch if change.kind is Kind.ENABLE and change.person is not None]
        waiting = self._store.claims.waiting(self._clock(), opened) if opened else ()
        return {one.person: one.password for one in waiting if one.target == self._target.name}

    def _replaced(self, change: Change, wanted: Mapping[PersonId, Wanted]) -> Iterator[FormerAddress]:
        """The addresses that go with this change and go on as aliases for a while."""
        before, after = change.before, change.after
        if change.person is None or change.person not in wanted or before is None or after is None:
            return
        of = {rule.of for rule in wanted[change.person].aliases.values()}
        if change.kind is Kind.MOVE and before.rdn != after.rdn:
            for attribute in filter(self._target.is_name, sorted(of)):
                yield FormerAddress(change.person, change.target, attribute, before.rdn, self._clock().date())
        for attribute in of & after.attributes.keys() if change.kind is Kind.UPDATE else ():
            for value in before.attributes.get(attribute, ()):
                if value not in after.attributes[attribute]:
                    yield FormerAddress(change.person, change.target, attribute, value, self._clock().date())

    def _note(self, outcome: Outcome) -> None:
        report, person = self.report, outcome.change.person
        self._log.info(
            "change.applied", person=person, kind=str(outcome.change.kind), result=str(outcome.result),
            failure=outcome.failure and str(outcome.failure),
        )  # fmt: skip
        report.results[outcome.result] += 1
        if outcome.result is Result.DONE and person is not None and person not in self._uncounted:
            self._spend(outcome.change, person)
        if outcome.landed:
            report.kinds[outcome.change.kind] += 1
            if person is not None and outcome.change.kind in STANDING:
                report.owed[person] -= 1
            if outcome.native_id is not None and person is not None:
                self._created[person] = outcome.native_id
        elif outcome.failure is Failure.STALE:
            if person is not None:
                self._stale.add(person)
        else:
            report.failures.append(outcome)
            self._miss(outcome.change)
            if outcome.failure is Failure.WAITS and outcome.change.kind is Kind.CREATE_GROUP:
                self._unmade.add(outcome.change.group or "")
            if outcome.beyond is not None:
                report.beyond[outcome.beyond.part] = outcome.beyond.why

    def _spend(self, change: Change, person: PersonId) -> None:
        """Count a change that was made: a person once in each cell, a membership each time."""
        for cell in self._cells_of(change):
            if change.group is not None or (cell, person) not in self._counted:
                self._counted.add((cell, person))
                self._spent[cell] += 1

    def _replanned(self, wants: Mapping[PersonId, Desired]) -> list[Change]:
        """New steps for everybody whose account was not as we knew it, from what the target says now."""
        name = self._target.name
        known = self._store.known(name, self._stale)
        asked = [ById(one.native_id) for one in known.values()]
        now = {observed.native_id: observed for _, observed in self._target.lookup(asked, self._scope)} if asked else {}
        changes: list[Change] = []
        self._target.follow(moves(name, known.values(), now))  # groups may hold their old names yet
        for person in sorted(self._stale):
            one = known.get(person)
            observed = now.get(one.native_id) if one is not None else None
            if one is None or observed is None or person not in wants:
                self.report.unsettled.add(person)
                continue
            seen = replace(observed.account, groups=one.account.groups)
            self._store.link(self._run, [replace(one, account=seen)])
            ours = observed.account.enabled or one.disabled_by_us
            changes += plan.steps(name, wants[person], Holding(one.native_id, seen, ours))
        return self._not_refused(changes)

    def _not_refused(self, changes: Sequence[Change]) -> list[Change]:
        """The changes but for those that were refused lately, in this run or before: they wait, and what depends on them."""
        now = self._clock()
        refused = {one.slot: one.wanted for one in self._store.quarantine.refused([self._target.name]) if one.next > now}
        left: list[Change] = []
        for change in changes:
            key = quarantine.slot(change)
            if key is not None and refused.get(key) == quarantine.wanted(change):
                self._miss(change)
            else:
                left.append(change)
        return left
