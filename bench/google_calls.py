"""What a run asked of Google, counted from the double's record of every request: calls for each account, member and licence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from urllib.parse import unquote

from rich.table import Table

from tests.doubles.google import Call

_SLOWER = frozenset({"userRateLimitExceeded", "quotaExceeded", "rateLimitExceeded", "backendError"})
"""How the double words the refusals that are nobody's fault."""


@dataclass(frozen=True, slots=True)
class Row:
    """Calls for one kind of thing. `made`: how many things; `bound`: calls one may take, without the refused where told."""

    what: str
    made: int
    calls: int
    refused: int  # at random, or the answer was lost: asked again
    not_yet: int  # Google did not know its own write yet, or the token was too old: asked again
    bound: float | None = None
    counts_refused: bool = True

    @property
    def each(self) -> float:
        """Calls for one thing, with all that were asked again."""
        return self.calls / self.made if self.made else float(self.calls)

    @property
    def judged(self) -> float:
        """Calls for one thing, as the bound counts them."""
        calls = self.calls if self.counts_refused else self.calls - self.refused
        return calls / self.made if self.made else float(calls)

    @property
    def ok(self) -> bool:
        """Whether the bound is kept; without one it always is."""
        return self.bound is None or self.judged <= self.bound


def row(what: str, made: int, calls: Iterable[Call], bound: float | None = None) -> Row:
    """The calls summed up."""
    told = list(calls)
    answered = [call for call in told if not call.cut and call.reason not in _SLOWER]
    not_yet = sum(call.status >= 400 for call in answered)  # noqa: PLR2004 — RFC 9110, 15.5
    return Row(what, made, len(told), len(told) - len(answered), not_yet, bound)


def of(calls: Iterable[Call], *methods: str) -> list[Call]:
    """Those of the calls whose method begins like one of these."""
    return [call for call in calls if call.method.startswith(methods)]


def rate(calls: Iterable[Call]) -> float:
    """Users made in a second of the double's time, from the first attempt to the last success."""
    asked = [call for call in calls if call.method == "directory.users.insert"]
    made = [call.at for call in asked if call.done]
    return (len(made) - 1) / (max(made) - min(call.at for call in asked)) if len(made) > 1 else 0.0


def first_run(calls: Collection[Call], made: Callable[[str], int], bound: float | None = 1.1) -> list[Row]:
    """Of the run that makes everybody. `made` says how many of `users`, `units`, `groups`, `members`, `licences` were made."""
    listing = of(calls, "directory.users.list")
    creating = [call for call in of(calls, "directory.users.") if call.method != "directory.users.list"]
    return [
        row("users created: users.* in all", made("users"), [*creating, *listing], bound),
        row("  of it users.insert", made("users"), of(calls, "directory.users.insert")),
        row("  of it users.list, asking who is there", made("users"), listing),
        row("members added", made("members"), of(calls, "directory.members.insert", "directory.members.delete")),
        row("licences given", made("licences"), of(calls, "licensing.")),
        row("groups made and asked for", made("groups"), of(calls, "directory.groups.", "directory.members.list")),
        row("units made and asked for", made("units"), of(calls, "directory.orgunits.")),
    ]


def later_run(calls: Collection[Call], made: Callable[[str], int], before: Collection[str], changed: Collection[str]) -> list[Row]:
    """Of a run after that. `before`: ids of the users there were; `changed`: those among them of whom something was to change."""
    users = [call for call in of(calls, "directory.users.") if call.method != "directory.users.list"]
    whose = {call.number: _key(call) for call in users}
    old = [call for call in users if whose[call.number] in before]
    new = [call for call in users if whose[call.number] not in before]
    touched = [call for call in old if whose[call.number] in changed]
    still = [call for call in old if whose[call.number] not in changed]
    return [
        replace(row("changes of users there were", made("changes"), touched, 1.0), counts_refused=False),
        replace(row("users of whom nothing changed", len(before) - len(changed), still), bound=0.0),
        row("users created", made("users"), new),
        row("users.list, asking who is there", 0, of(calls, "directory.users.list")),
        row("members added and removed", made("members"), of(calls, "directory.members.insert", "directory.members.delete")),
        row("licences given and taken back", made("licences"), of(calls, "licensing.")),
        row("groups made and asked for", made("groups"), of(calls, "directory.groups.", "directory.members.list")),
        row("units made and asked for", made("units"), of(calls, "directory.orgunits.")),
    ]


def _key(call: Call) -> str:
    """The id or address of the user in a call's path; a refused call is told of nobody else in the record. Empty for an insert."""
    path = call.wire.partition(" ")[2].partition("?")[0]
    return unquote(path.partition("/users/")[2].partition("/")[0])


def as_table(title: str, rows: Iterable[Row]) -> Table:
    """The rows, to be printed."""
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for name in ("how many", "calls", "refused", "not yet", "calls for each", "bound"):
        table.add_column(name, justify="right")
    for one in rows:
        bound = "" if one.bound is None else f"≤ {one.bound:g}" + ("" if one.counts_refused else f" ({one.judged:.3f})")
        each = f"{one.each:.3f}" if one.made else ""
        cells = (one.what, f"{one.made:,}", f"{one.calls:,}", f"{one.refused:,}", f"{one.not_yet:,}", each, bound)
        table.add_row(*cells, style="" if one.ok else "red")
    return table
