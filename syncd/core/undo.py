"""The way back from what a run did: from before-images to the changes that restore them (R22). Pure.

What has changed since is left alone and listed. A deleted account and a handed-out password do not come back; an account that was
made is disabled and parked, never deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.model import Account, Change, Kind, NativeId, PersonId, TargetName
from syncd.core.plan import Desired, Holding, steps


@dataclass(frozen=True, slots=True)
class Undone:
    """What restores one person's account on one target, and which of the run's changes are not undone, each with the reason."""

    changes: tuple[Change, ...]
    skipped: tuple[tuple[Change, str], ...]


@dataclass(slots=True)
class _Back:
    """One account on its way back: what it is to be, as far as the changes looked at so far say.

    Each method takes one kind of change back, and says why that cannot be, or nothing.
    """

    account: Account
    by_us: bool  # if it is disabled, syncd did it
    enabled: bool
    touched: dict[str, tuple[str, ...]] = field(default_factory=dict)  # attributes as they are to be
    referring: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of these, those that name other accounts
    made: bool = False  # the run made this account: it is closed instead
    skipped: list[tuple[Change, str]] = field(default_factory=list)

    def take_back(self, change: Change) -> None:
        """Take one change back, or remember why not."""
        how = _HOW.get(change.kind)
        why = how(self, change) if how else "this cannot be taken back"
        if why:
            self.skipped.append((change, why))

    def creation(self, _: Change) -> str:
        self.made, self.enabled = True, False
        self.touched.clear()  # it is closed as it is
        self.referring.clear()
        return ""

    def update(self, change: Change) -> str:
        before, after = change.before, change.after
        if before is None or after is None:
            return _EXPIRED
        if any(self.account.attributes.get(name, ()) != values for name, values in after.attributes.items()):
            return "what it wrote has been changed since"
        old = {name: before.attributes.get(name, ()) for name in after.attributes}
        self.touched |= old
        if change.kind is Kind.REFER:
            self.referring |= old
        kept = {name: values for name, values in {**self.account.attributes, **old}.items() if values}
        self.account = replace(self.account, attributes=kept)
        return ""

    def move(self, change: Change) -> str:
        before, after = change.before, change.after
        if before is None or after is None:
            return _EXPIRED
        if (self.account.rdn, self.account.container) != (after.rdn, after.container):
            return "it has been moved or renamed since"
        self.account = replace(self.account, rdn=before.rdn, container=before.container)
        return ""

    def enable(self, _: Change) -> str:
        if not self.enabled:
            return "it has been disabled since"
        self.enabled = False
        return ""

    def disable(self, _: Change) -> str:
        if self.enabled:
            return "it has been enabled since"
        if not self.by_us:
            return "somebody else has disabled it since"
        self.enabled = True
        return ""

    def membership(self, change: Change) -> str:
        groups, group = self.account.groups, change.group
        if group is None:
            return _EXPIRED
        if (group in groups) is not (change.kind is Kind.ADD_MEMBER):
            return "it is in the group again" if group in groups else "it is not in the group any more"
        self.account = replace(self.account, groups=groups - {group} if group in groups else groups | {group})
        return ""


_EXPIRED = "what it was before has expired (retention.before_images)"
_HOW: Mapping[Kind, Callable[[_Back, Change], str]] = {
    Kind.CREATE: _Back.creation,
    Kind.UPDATE: _Back.update,
    Kind.REFER: _Back.update,
    Kind.MOVE: _Back.move,
    Kind.PARK: _Back.move,
    Kind.ENABLE: _Back.enable,
    Kind.DISABLE: _Back.disable,
    Kind.ADD_MEMBER: _Back.membership,
    Kind.REMOVE_MEMBER: _Back.membership,
}


def undo(
    target: TargetName,
    person: PersonId,
    done: Sequence[Change],
    now: tuple[NativeId, Account, bool] | None,
    reason: str,
    park: str | None = None,
) -> Undone:
    """What takes back `done`, which landed in this order on one account, from what the account is `now`.

    `now` is its id, the account as last known, and whether syncd disabled it; None where there is none any more. `park` is where
    closed accounts of this person's population go.
    """
    if now is None:
        return Undone((), tuple((change, "the account is not there any more") for change in done))
    native_id, have, by_us = now
    back = _Back(have, by_us, have.enabled)
    for change in reversed(done):
        back.take_back(change)
    return Undone(tuple(_changes(target, person, done, native_id, have, back, reason, park)), tuple(reversed(back.skipped)))


def _changes(
    target: TargetName,
    person: PersonId,
    done: Sequence[Change],
    native_id: NativeId,
    have: Account,
    back: _Back,
    reason: str,
    park: str | None,
) -> Iterable[Change]:
    campus, population = done[-1].campus, done[-1].population
    want = Desired(
        person,
        replace(back.account, enabled=have.enabled or back.enabled, attributes={**have.attributes, **back.touched}),
        policies={name: "enforce" for name in back.touched if name not in back.referring},
        refers=dict(back.referring),
        campus=campus,
        population=population,
        reason=reason,
    )
    made = steps(target, want, Holding(native_id, have, disabled_by_us=True))
    yield from made
    place = replace(have, attributes={}, groups=frozenset())
    for change in made:
        if change.after is not None:
            place = replace(place, rdn=change.after.rdn, container=change.after.container, enabled=change.after.enabled)
    for kind, closed in _closing(place, enabled=back.enabled, park=park if back.made else None):
        yield Change(target, kind, reason, person, native_id, before=place, after=closed, campus=campus, population=population)
        place = closed


def _closing(place: Account, *, enabled: bool, park: str | None) -> Iterable[tuple[Kind, Account]]:
    """The steps that close an account that is to be closed."""
    if place.enabled and not enabled:
        place = replace(place, enabled=False)
        yield Kind.DISABLE, place
    if park is not None and place.container != park and not enabled:
        yield Kind.PARK, replace(place, container=park)
