"""The record of every call: what was asked, by whom, about whom, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """One call. A batch is one per part, and none for its envelope."""

    number: int
    at: float
    method: str
    """The method's id in Google's document; `unknown` when nothing answers to the path."""
    status: int
    """What was answered; what would have been, when the connection was cut."""
    reason: str
    subject: str
    """The id of the user, group, unit or device it was about; empty where none is known."""
    actor: str
    """The address of the administrator."""
    cut: bool = False
    """The client got no answer."""
    done: bool = False
    """Something was changed, whatever was answered."""
    part: bool = False
    """It came in a batch."""
    wire: str = ""
    """Verb and path, with the query, as they came."""


class Journal:
    """All calls, and sums over them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def write(self, call: Call) -> None:
        """One more."""
        self.calls.append(call)

    def count(self, method: str = "", *, status: int | None = None, since: int = 0) -> int:
        """How many calls to a method, or to all whose id starts like that (`directory.users.`), ended with a status."""
        return sum(1 for _ in self.matching(method, status=status, since=since))

    def matching(self, method: str = "", *, status: int | None = None, since: int = 0) -> Iterator[Call]:
        """The calls themselves, those from number `since` on."""
        for call in self.calls[since:]:
            named = call.method == method or (not method or (method.endswith(".") and call.method.startswith(method)))
            if named and (status is None or call.status == status):
                yield call

    def per_method(self, since: int = 0) -> Counter[str]:
        """Method → calls."""
        return Counter(call.method for call in self.calls[since:])

    def per_subject(self, method: str = "", since: int = 0) -> Counter[str]:
        """Id → calls about it. Calls about nobody known are under the empty id."""
        return Counter(call.subject for call in self.matching(method, since=since))

    def outcomes(self, since: int = 0) -> Counter[tuple[str, int, str]]:
        """(Method, status, reason) → calls."""
        return Counter((call.method, call.status, call.reason) for call in self.calls[since:])

    def ever_sent(self, method: str) -> bool:
        """Whether a method was ever called, refused or not."""
        return any(True for _ in self.matching(method))
