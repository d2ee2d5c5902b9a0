"""Who did something, in the words in which it is kept: `alice (uid 1001)`. Where they come from, the kernel says (R39)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"\(uid (\d+)\)$|^uid (\d+)$")


@dataclass(frozen=True, slots=True)
class Actor:
    """A human, by the number of their account on this machine. Not `certain`: an account that anybody may stand behind."""

    uid: int
    name: str = ""
    certain: bool = True

    def __str__(self) -> str:
        number = f"uid {self.uid}" + ("" if self.certain else ", nobody signed in")
        return f"{self.name} ({number})" if self.name else number


def human_in(text: str) -> int | None:
    """The number of the human that a text ends with, such as `undo of r3 by alice (uid 1001)`; None where it names nobody."""
    found = _NUMBER.search(text)
    return int(found[1] or found[2]) if found else None
