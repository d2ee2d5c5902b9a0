"""What a run sees of a target's accounts: all of them, or what others changed since the last look. Not read is not gone.

A bookmark is taken before a read and remembered with what the read showed, in one transaction (R5): what happens meanwhile, and
whatever a plan that nobody applied had seen, is told again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from syncd import telemetry
from syncd.core.mapping import TargetMapping
from syncd.core.model import NativeId, Observed, PersonId, TargetName
from syncd.core.spelling import parent
from syncd.errors import EndpointError, TransientError
from syncd.store import Known, Store
from syncd.targets import ById, Scope
from syncd.targets.target import Target

_NOT_FEW = 5
"""Linked accounts that are gone at once, with nobody left beside them: by hand that is rare, by a lost right the rule."""
_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: of a whole read everybody, else the linked accounts that are not as we knew them.

    `missing` are linked accounts that are not in scope, those `strayed` among them still on the target; after a whole read the
    others are `gone`. `persons` are those whose accounts are not as we knew, or missing, where not everybody is looked at anyway.
    """

    listing: Mapping[NativeId, Observed]
    missing: frozenset[NativeId]
    strayed: frozenset[NativeId]
    bookmark: str
    persons: frozenset[PersonId] = frozenset()
    gone: frozenset[NativeId] | None = None


def read(target: Target, scope: Scope, known: Mapping[PersonId, Known], store: Store) -> Sight:
    """Everybody on the target. Raises EndpointError where nobody is shown, though accounts are linked."""
    bookmark = target.bookmark()
    listing = {observed.native_id: observed for observed in target.read(scope)}
    _must_show_somebody(target.name, len(listing), len(known))
    missing = frozenset(one.native_id for one in known.values() if one.native_id not in listing)
    strayed = _strayed(target, scope, missing)
    _must_not_be_hidden(target, known, listing.values(), missing - strayed, store)
    return Sight(listing, missing, strayed, bookmark, gone=missing - strayed)


def look(
    names: Iterable[TargetName],
    targets: Mapping[TargetName, Target],
    mappings: Mapping[TargetName, TargetMapping],
    store: Store,
    stopped: dict[TargetName, EndpointError | TransientError],
) -> dict[TargetName, Sight]:
    """What changed on those of the targets that tell. One that cannot be used goes to `stopped`."""
    sights: dict[TargetName, Sight] = {}
    for name in names:
        bookmark = store.bookmark(name)
        if not bookmark:  # it never told one, or was not read since it could: no connector is built for it
            continue
        try:
            seen = _changed(targets[name], Scope(mappings[name].attributes), bookmark, store)
        except (EndpointError, TransientError) as error:
            stopped[name] = error
        else:
            if seen is not None:
                sights[name] = seen
    return sights


def _changed(target: Target, scope: Scope, bookmark: str, store: Store) -> Sight | None:
    name = target.name
    changes = target.changed_since(bookmark, scope)
    if changes is None:
        return None
    told = {observed.native_id: observed for observed in changes.accounts}
    linked = store.linked(name, None if changes.whole else {*told, *changes.elsewhere})
    known = store.known(name, None if changes.whole else linked.values())
    if changes.whole:
        _must_show_somebody(name, len(told), len(known))
    listing: dict[NativeId, Observed] = {}
    for one in known.values():
        observed = told.get(one.native_id)
        if observed is not None and replace(observed.account, groups=one.account.groups) != one.account:
            listing[one.native_id] = observed
    missing = frozenset(linked.keys() - told.keys())
    strayed = _strayed(target, scope, missing)
    if changes.whole:
        _must_not_be_hidden(target, known, changes.accounts, missing - strayed, store)
    persons = frozenset(linked[native_id] for native_id in (*listing, *missing))
    told_of = "everybody" if changes.whole else "changes"
    _log.info("target.looked", target=name, kind=told_of, count=len(told), touched=len(persons))
    return Sight(listing, missing, strayed, changes.bookmark, persons, missing - strayed if changes.whole else None)


def _must_show_somebody(name: TargetName, shown: int, linked: int) -> None:
    if linked and not shown:
        raise EndpointError(
            name,
            f"reported no account at all, but {linked:,} are linked",
            "check the read rights of the account syncd binds with; nothing was planned",
        )


def _must_not_be_hidden(
    target: Target, known: Mapping[PersonId, Known], shown: Iterable[Observed], gone: Collection[NativeId], store: Store
) -> None:
    """Raises EndpointError for a branch that shows nobody, where everybody linked is gone at once, and these are not few.

    A server that may not tell of anybody there says "success, and nobody". Who was gone already is not missed again.
    """
    if len(gone) < _NOT_FEW:
        return
    before = store.gone(target.name)
    stood = [(one.account.container, one.native_id in gone) for one in known.values() if one.native_id not in before]
    linked = Counter(branch for container, _ in stood for branch in _branches(container))
    lost = Counter(branch for container, is_gone in stood if is_gone for branch in _branches(container))
    inhabited = {branch for container in {one.account.container for one in shown} for branch in _branches(container)}
    allowed = target.may_be_empty()
    for branch in sorted(lost.keys() - inhabited, key=lambda name: (name.count(","), name)):
        if lost[branch] == linked[branch] >= _NOT_FEW and not allowed.intersection(_branches(branch)):
            raise EndpointError(
                target.name,
                f"{lost[branch]:,} linked accounts of {branch or 'the base'} are not shown any more, and it shows nobody else",
                "give the account we bind as the right to list and read it; if others deleted them all, say so with may_be_empty",
            )


@lru_cache(maxsize=4096)  # the same few hundred, for every account
def _branches(container: str) -> tuple[str, ...]:
    """The container and all above it, down to the base."""
    return (container, *_branches(parent(container))) if container else ("",)


def _strayed(target: Target, scope: Scope, missing: Collection[NativeId]) -> frozenset[NativeId]:
    """Those of the accounts that are still on the target (R8)."""
    found = target.lookup([ById(native_id) for native_id in sorted(missing)], scope) if missing else ()
    return frozenset(question.native_id for question, _ in found if isinstance(question, ById))
