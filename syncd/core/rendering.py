"""A plan as a person reads it: like a diff, grouped by what is done, with counts. Yields styled lines and prints nothing.

A person marked confidential is shown by number only: what is in their account is masked wherever a plan is shown (R37).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from syncd.core.model import DEVICE_KINDS, KIND_ORDER, Account, Change, Kind, PersonId
from syncd.core.plan import Plan, digest

Masked = Callable[[PersonId | None], bool]
MASK = "•••"

_SIGN = {
    Kind.CREATE_CONTAINER: "+",
    Kind.CREATE_GROUP: "+",
    Kind.CREATE: "+",
    Kind.ENABLE: "+",
    Kind.ADD_MEMBER: "+",
    Kind.SET_GROUP: "~",
    Kind.UPDATE: "~",
    Kind.REFER: "~",
    Kind.MOVE: "~",
    Kind.PARK: "~",
    Kind.DISABLE: "-",
    Kind.REMOVE_MEMBER: "-",
    Kind.DELETE: "-",
    Kind.DISABLE_DEVICE: "-",
    Kind.ENABLE_DEVICE: "+",
    Kind.ANNOTATE_DEVICE: "~",
    Kind.MOVE_DEVICE: "~",
}
_STYLE = {"+": "green", "-": "red", "~": "yellow"}
_ALSO = {"update": (Kind.REFER,), "member": (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER)}  # the words limits are configured in


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text and how to show it where there are colours."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which changes of a plan are wanted on the screen; empty wants all."""

    person: PersonId | None = None
    campuses: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()

    def wants(self, change: Change) -> bool:
        """True when this change passes every filter given."""
        return (
            (self.person is None or change.person == self.person)
            and (not self.campuses or change.campus in self.campuses)
            and (not self.kinds or change.kind in self.kinds)
        )


def kinds_named(words: Collection[str]) -> frozenset[Kind]:
    """The kinds behind `--kind` words: a kind as plans print it, or an operation as limits name it. Raises ValueError."""
    found: set[Kind] = set()
    known = [kind for kind in Kind if kind not in DEVICE_KINDS]  # these have plans of their own
    for word in words:
        exact = {kind for kind in known if kind.value == word}
        if not exact and word not in _ALSO:
            raise ValueError(f"no kind of change is called {word!r}; there are: {', '.join(known)}, member")
        found |= exact | set(_ALSO.get(word, ()))
    return frozenset(found)


def lines(plan: Plan, wanted: Filter, masked: Masked, most: int, about: str = "") -> Iterator[Line]:
    """The plan as text, `most` changes of each kind (0: all); `about` stands before the target."""
    changes = [change for change in plan.changes if wanted.wants(change)]
    shown = "" if len(changes) == len(plan.changes) else f"{len(changes):,} of "
    total = len(plan.changes)
    yield Line(f"{about}target {plan.target}: {shown}{total:,} change{'' if total == 1 else 's'}  (plan {plan.digest})", "bold")
    ordered = sorted(changes, key=lambda change: KIND_ORDER[change.kind])
    for kind, group in groupby(ordered, key=lambda change: change.kind):
        same = list(group)
        yield Line(f"  {kind}: {len(same):,}", "bold")
        entries = list(
            _memberships(kind, same, masked) if kind in (Kind.ADD_MEMBER, Kind.REMOVE_MEMBER) else _entries(same, masked)
        )
        for entry in entries[: most or None]:
            yield from entry
        if most and len(entries) > most:
            yield Line(f"    … and {len(entries) - most:,} more (--most 0 shows all)", "dim")


def _entries(changes: Iterable[Change], masked: Masked) -> Iterator[list[Line]]:
    for change in changes:
        sign = _SIGN[change.kind]
        style = _STYLE[sign]
        hidden = masked(change.person)
        entry = [Line(f"    {sign} {_headline(change, hidden=hidden)}", style)]
        entry += [Line(f"        {text}", _STYLE.get(text[0], style)) for text in _attributes(change, hidden=hidden)]
        yield entry


def _headline(change: Change, *, hidden: bool) -> str:
    if change.person is None:
        return change.group or ""
    if hidden:
        return f"{change.person} (confidential)"
    before, after = change.before, change.after
    account = after or before
    where = place(account) if account else ""
    if change.kind in (Kind.MOVE, Kind.PARK) and before and after:
        where = f"{place(before)}  →  {place(after)}"
    about = ", ".join(part for part in (change.population, change.campus and f"campus {change.campus}") if part)
    return f"{change.person} {where}" + (f"  [{about}]" if about else "") + (f"  {change.reason}" if change.reason else "")


def _attributes(change: Change, *, hidden: bool) -> Iterator[str]:
    old = change.before.attributes if change.before else {}
    new = change.after.attributes if change.after else {}
    if change.kind is Kind.DELETE:
        return
    for name in sorted({*old, *new}):
        for sign, values in (("-", old.get(name, ())), ("+", new.get(name, ()))):
            for value in [MASK] if hidden and values else values:
                yield f"{name}: {value}" if change.kind is Kind.CREATE else f"{sign} {name}: {value}"


def _memberships(kind: Kind, changes: Sequence[Change], masked: Masked) -> Iterator[list[Line]]:
    """One line per group, since a class of thirty is one thing to a reader. Confidential members are counted, not named."""
    sign = _SIGN[kind]
    ordered = sorted(changes, key=lambda change: change.group or "")
    for group, edges in groupby(ordered, key=lambda change: change.group):
        members = [edge.person for edge in edges]
        people = [person or "" for person in members if not masked(person)]
        hidden = len(members) - len(people)
        people += [f"{hidden:,} confidential"] if hidden else []
        few = 6
        names = ", ".join(people[:few]) + (f", … {len(people) - few:,} more" if len(people) > few else "")
        yield [Line(f"    {sign} {group}: {names}", _STYLE[sign])]


def place(account: Account) -> str:
    """Where an account stands, most specific first."""
    return f"{account.rdn},{account.container}" if account.container else account.rdn


def where(change: Change) -> str:
    """Where a change takes place: the account's place after it, or the group."""
    account = change.after or change.before
    return change.group or (place(account) if account else "")


def as_json(change: Change, masked: Masked) -> dict[str, object]:
    """One change as `--json` tells it: everything approval is about (R15), by the same digest."""
    hidden = masked(change.person)
    return {
        "digest": digest(change),
        "kind": change.kind.value,
        "person": change.person,
        "group": None if hidden else change.group,
        "campus": None if hidden else change.campus,
        "population": None if hidden else change.population,
        "reason": None if hidden else change.reason,
        "confidential": hidden,
        "before": _account(change.before, hidden=hidden),
        "after": _account(change.after, hidden=hidden),
    }


def _account(account: Account | None, *, hidden: bool) -> dict[str, object] | None:
    if account is None:
        return None
    if hidden:
        return {"enabled": account.enabled, "attributes": sorted(account.attributes)}
    return {
        "rdn": account.rdn,
        "container": account.container,
        "enabled": account.enabled,
        "attributes": {name: list(values) for name, values in sorted(account.attributes.items())},
    }
