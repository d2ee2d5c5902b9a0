"""What became of changes that were journalled but never answered, found out by reading the target (R17).

Effect is exactly once, sending need not be: a change whose effect can be seen is done, one whose effect cannot be seen was not,
and is planned anew. A create is told from somebody else's account at the same place by its content.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from syncd.core.model import Account, Change, Failure, Kind, NativeId, Observed, Outcome, PersonId, Result, TargetName
from syncd.errors import EndpointError, StoreError, TransientError
from syncd.store import Intention, Known, Store
from syncd.targets import ById, ByLocation, Question, Scope
from syncd.targets.target import Target

_RENAMES = frozenset({Kind.MOVE, Kind.PARK, Kind.DELETE})
NOT_SENT = "no effect of it is to be seen: it was never carried out"


def resolve(target: Target, scope: Scope, open_ones: Sequence[Intention], store: Store) -> Iterator[tuple[int, Outcome]]:
    """The outcome of each open intention. Raises EndpointError or TransientError where the target cannot be read.

    What is about a part of the target that is out of reach stays open, without an outcome.
    """
    if not open_ones:
        return
    beyond = target.out_of_reach({one.change.group for one in open_ones if one.change.group is not None})
    open_ones = [one for one in open_ones if one.change.group not in beyond]
    questions = {one.seq: question for one in open_ones if (question := _question(target, one.change)) is not None}
    found: dict[Question, Observed] = {}
    if questions:
        found = dict(target.lookup(sorted(set(questions.values()), key=repr), scope))
    about_groups = [one.change.group for one in open_ones if one.change.group is not None and one.change.kind is not Kind.SET_GROUP]
    containers = [name for one in open_ones if one.change.kind is Kind.CREATE_CONTAINER and (name := one.change.group)]
    no_container = target.missing_containers(containers) if containers else set()
    guarded = target.protect(sorted(set(containers) - no_container))  # who was killed after making one has not protected it
    moved = [one.change for one in open_ones if one.change.kind in _RENAMES and _seen(one, questions, found)]
    followed = target.follow(moved)  # who was killed after the rename has not seen to the groups that hold the old name (R19)
    groups = {group.name: group.members for group in target.read_groups(set(about_groups))} if about_groups else {}
    for one in open_ones:
        change = one.change
        if change.kind is Kind.CREATE_CONTAINER:
            outcome = _outcome(change, seen=change.group not in no_container)
            yield one.seq, replace(outcome, why=outcome.why or guarded.get(change.group or "", ""))
        elif change.kind is Kind.CREATE_GROUP:
            yield one.seq, _outcome(change, seen=change.group in groups)
        elif change.kind in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER):
            member = change.native_id in groups.get(change.group or "", ())
            yield one.seq, _outcome(change, seen=member == (change.kind is Kind.ADD_MEMBER))
        elif change.kind is Kind.CREATE:
            yield one.seq, _create(change, found.get(questions[one.seq]), store)
        else:
            outcome = _outcome(change, seen=_seen(one, questions, found))
            renamed = change.kind in _RENAMES and outcome.result is Result.DONE
            yield one.seq, replace(outcome, why=followed) if renamed else outcome


def asked_for(store: Store, target: TargetName, persons: Collection[PersonId]) -> set[tuple[PersonId, str]]:
    """Memberships of these that an earlier run of ours may have sent, and that nobody saw come about: by person and group.

    The server may have carried them out since, when its client was dead already: one that is there then is ours, and no stranger's.
    """
    return {
        (person, row.change.group)
        for person in store.past.joins_in_doubt(target, persons)
        for row in store.journal(person=person)
        if row.change.kind is Kind.ADD_MEMBER and row.why == NOT_SENT and row.change.target == target and row.change.group
    }


def moves(target: TargetName, known: Iterable[Known], there: Mapping[NativeId, Observed]) -> list[Change]:
    """How accounts that are found elsewhere than they were known came there, as changes: for Target.follow()."""
    return [
        Change(target, Kind.MOVE, "found there", one.person, one.native_id, one.account, found.account)
        for one in known
        if (found := there.get(one.native_id)) is not None
        and (found.account.container, found.account.rdn) != (one.account.container, one.account.rdn)
    ]


def _seen(one: Intention, questions: Mapping[int, Question], found: Mapping[Question, Observed]) -> bool:
    hit = found.get(questions[one.seq]) if one.seq in questions else None
    return _visible(one.change, hit.account if hit else None)


def resolve_all(
    targets: Mapping[TargetName, Target],
    scopes: Mapping[TargetName, Scope],
    open_ones: Sequence[Intention],
    store: Store,
    clock: Callable[[], datetime],
) -> tuple[int, dict[TargetName, EndpointError | TransientError]]:
    """How many open intentions were resolved, and the targets that could not be asked. What was found out is recorded."""
    stopped: dict[TargetName, EndpointError | TransientError] = {}
    count = 0
    for name in sorted({one.change.target for one in open_ones}):
        if name not in scopes:
            # Configured no more: nobody can say what came of these changes, and no pipeline waits for it.
            stopped[name] = EndpointError(name, "has changes in doubt, but is not configured any more", "configure it again")
            continue
        mine = [one for one in open_ones if one.change.target == name]
        try:
            outcomes = list(resolve(targets[name], scopes[name], mine, store))
        except StoreError:
            raise
        except (EndpointError, TransientError) as error:
            stopped[name] = error
            continue
        store.record(mine[0].run, outcomes, clock())
        count += len(outcomes)
        for run in {one.run for one in mine}:
            store.set_run(run, "interrupted", clock())
    return count, stopped


def _question(target: Target, change: Change) -> Question | None:
    if change.kind is Kind.CREATE and change.after is not None:
        place = target.canonical(change.after)
        return ByLocation(place.container, place.rdn)
    return ById(change.native_id) if change.native_id is not None and change.group is None else None


def _outcome(change: Change, *, seen: bool) -> Outcome:
    if seen:
        return Outcome(change, Result.DONE)
    return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=NOT_SENT)


def _create(change: Change, hit: Observed | None, store: Store) -> Outcome:
    if hit is None or change.after is None:
        return _outcome(change, seen=False)
    owner = store.linked(change.target, [hit.native_id]).get(hit.native_id)
    if owner not in (None, change.person) or not _holds(hit.account, change.after):
        why = "an account that is not ours stands there"
        return Outcome(change, Result.FAILED, failure=Failure.NAME_TAKEN, why=why)
    return Outcome(change, Result.DONE, native_id=hit.native_id)


def _visible(change: Change, account: Account | None) -> bool:
    """Whether the account shows what the change was to do to it."""
    if change.kind is Kind.DELETE:
        return account is None
    after = change.after
    if account is None or after is None:
        return False
    match change.kind:
        case Kind.ENABLE | Kind.DISABLE:
            return account.enabled == after.enabled
        case Kind.MOVE | Kind.PARK:
            return (account.rdn, account.container.casefold()) == (after.rdn, after.container.casefold())
        case _:
            return _holds(account, after)


def _holds(account: Account, after: Account) -> bool:
    return all(account.attributes.get(name, ()) == values for name, values in after.attributes.items())
