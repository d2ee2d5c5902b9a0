"""Whether a password can be guessed, by people who know its owner as by people who do not. Pure but for zxcvbn's own lists.

What the directory demands is its own business, and asked of it; this is what no directory asks.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from anyascii import anyascii
from zxcvbn import zxcvbn
from zxcvbn.matching import RANKED_DICTIONARIES

from syncd.core import claiming

LONGEST = 100
"""Characters: as many as every kind of target takes."""
JUDGED = 24
"""As many characters are judged. What zxcvbn needs for a text made to keep it busy grows with its length: 0.7 s at 24, 14 s at 72.

A password whose first 24 are hard to guess is; one with an easy beginning is turned down for all the length of its end.
"""
ENOUGH = 3
"""zxcvbn's score from which on 100 million guesses do not find it."""
_SHORTEST_WORD = 3  # "Al" is in every fifth password
_RUN = 4

_judging = threading.Lock()
"""zxcvbn keeps the words of whoever is judged in a table that all threads share."""


@dataclass(frozen=True, slots=True)
class Owner:
    """What somebody typed of themselves: legal names, and the year of birth."""

    given: str
    family: str
    born: int

    @property
    def words(self) -> tuple[str, ...]:
        """Their names, in small letters without accents."""
        return (*claiming.words(self.given), *claiming.words(self.family))


def faults(password: str, owner: Owner) -> Sequence[str]:
    """The codes of what is wrong with a password that this person would have; nothing for a good one."""
    return tuple(_faults(password, owner))


def _faults(password: str, owner: Owner) -> Iterator[str]:
    if not password.isprintable():
        yield "characters"
    plain = anyascii(password).lower()
    letters = re.sub(r"[^a-z0-9]", "", plain)
    personal = any(len(word) >= _SHORTEST_WORD and word in letters for word in owner.words)
    if personal:
        yield "no_name"
    if str(owner.born) in letters:
        yield "no_birth_year"
    if has_run(plain):
        yield "run"
    if plain in RANKED_DICTIONARIES["passwords"]:
        yield "common"
    elif not personal and _score(password[:JUDGED], owner) < ENOUGH:
        yield "guessable"


def has_run(text: str) -> bool:
    """Whether there are four digits in a row in it, each one more than the last, or each one less."""
    digits = [int(sign) if sign.isascii() and sign.isdigit() else None for sign in text]
    for step in (1, -1):
        length = 1
        for last, this in pairwise(digits):
            length = length + 1 if last is not None and this is not None and this - last == step else 1
            if length >= _RUN:
                return True
    return False


def _score(password: str, owner: Owner) -> int:
    told = [*owner.words, "".join(owner.words), str(owner.born)]
    with _judging:
        try:
            return int(zxcvbn(password, told)["score"])
        finally:
            RANKED_DICTIONARIES.pop("user_inputs", None)  # nobody's name stays behind
