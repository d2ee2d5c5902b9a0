"""What is wrong with a password that somebody chose, as codes: the pages put them into words. Pure.

How strong it is in general the page judges, which has what was typed in front of it. Here stands what must hold whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from syncd.core.claiming import words

LONGEST = 128
"""Characters: more than any directory compares, and fewer than would cost anything."""
_SHORTEST_WORD = 4
_DIGITS = 4
_KINDS = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """One demand, or one that a password breaks: its code, and the number in it."""

    code: str
    n: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What is demanded: so many characters and, where `kinds`, three of upper case, lower case, digits and signs."""

    shortest: int
    kinds: bool = False

    @property
    def told(self) -> tuple[Fault, ...]:
        """Every demand, as it is told beforehand."""
        kinds = (Fault("kinds", _KINDS),) if self.kinds else ()
        return (Fault("min_length", self.shortest), *kinds, Fault("no_name"), Fault("no_birth_year"), Fault("no_digits"))


def faults(
    password: str, rules: Rules, names: Collection[str], birth_year: str, are_theirs: Callable[[str], bool]
) -> tuple[Fault, ...]:
    """What a password breaks, in the order in which it is told; nothing for one that may be sent to the directory.

    `are_theirs` says of four digits whether they proved the claim. Names shorter than four letters are in too many words to count.
    """
    found = [Fault("min_length", rules.shortest)] if len(password) < rules.shortest else []
    found += [Fault("max_length", LONGEST)] if len(password) > LONGEST else []
    found += [Fault("characters")] if not password.isprintable() else []
    found += [Fault("kinds", _KINDS)] if rules.kinds and len(_kinds(password)) < _KINDS else []
    plain = "".join(words(password[:LONGEST]))
    theirs = {word for name in names for word in (*words(name), "".join(words(name))) if len(word) >= _SHORTEST_WORD}
    found += [Fault("no_name")] if any(word in plain for word in theirs) else []
    found += [Fault("no_birth_year")] if birth_year and birth_year in password else []
    runs = {run[at : at + _DIGITS] for run in re.findall(r"[0-9]{4,}", password) for at in range(len(run) - _DIGITS + 1)}
    found += [Fault("no_digits")] if any(map(are_theirs, sorted(runs))) else []
    return tuple(found)


def _kinds(password: str) -> set[str]:
    return {"upper" if one.isupper() else "lower" if one.islower() else "digit" if one.isdigit() else "sign" for one in password}
