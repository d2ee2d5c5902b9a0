"""First passwords: made once, sealed with the intention to create, handed out in a letter (R21).

Two forms, both from the operating system's random source: a passphrase a child can type, and a random one. Each has at least
50 bits; neither is ever the same for two people, nor made from anything known about them.
"""

from __future__ import annotations

import secrets

from syncd.core.model import PersonId

_CONSONANTS = "bdfghjkmnprstvz"
_VOWELS = "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_NUMBERS = 90
_PLAIN = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # without l, 1, I, O, 0: they are read wrong from paper


def passphrase() -> str:
    """Four pronounceable words of four letters and a number, such as `Tavo-miru-zeka-penu-47`: 56 bits."""
    drawn, number = divmod(secrets.randbelow(len(_SYLLABLES) ** 8 * _NUMBERS), _NUMBERS)  # asked once: the source is slow
    syllables = []
    for _ in range(8):
        drawn, place = divmod(drawn, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    words = ["".join(syllables[at : at + 2]) for at in range(0, 8, 2)]
    return "-".join([words[0].capitalize(), *words[1:], f"{number + 10}"])


def random() -> str:
    """Sixteen characters with upper case, lower case and a digit, none of them easily misread: over 85 bits."""
    while True:
        made = "".join(secrets.choice(_PLAIN) for _ in range(16))
        if any(c.isdigit() for c in made) and any(c.isupper() for c in made) and any(c.islower() for c in made):
            return made


KINDS = {"passphrase": passphrase, "random": random}


class OfOneRun:
    """The first passwords of one run: whoever gets several accounts in it gets one password for all that ask for the same kind."""

    def __init__(self) -> None:
        self._made: dict[tuple[PersonId, str], str] = {}

    def of(self, person: PersonId, kind: str) -> str:
        """The password of this kind of a person, made where this run has made none yet."""
        if (person, kind) not in self._made:
            self._made[person, kind] = KINDS[kind]()
        return self._made[person, kind]
