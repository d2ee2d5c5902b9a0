"""Whether an account bears a person's name: a second opinion on what a find key found, and what raises a dispute where none did.

Decides nothing: nobody is linked by a name (R35). Names are compared folded, whichever of a person's names an account bears: legal,
preferred or shown. One of two family names is the family name, and a given name may be the beginning of the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from syncd.core.model import Account, NativeId, Observed, Person, Value
from syncd.core.naming import fold

GIVEN = frozenset({"given", "preferred_given", "display_given"})
FAMILY = frozenset({"family", "preferred_family", "display_family"})
FULL = frozenset({"display_name", "legal_name", "preferred_name"})
"""The fields from which an attribute takes one part of a person's name, or all of it."""

_BETWEEN = re.compile(r"[\s\-,.()]+")
_SHORTEST = 4  # of a name in which one letter may be wrong: Ana and Eva are two names
_FEWEST = 2  # letters that begin a given name: an initial is nobody's


class Alike(IntEnum):
    """How much the names on an account are those of a person, the more the higher."""

    OTHER = 0  # another given name, be the family name the same: a sibling's
    UNKNOWN = 1  # the account bears no name
    RENAMED = 2  # the given name, and another family name
    MISTYPED = 3  # but for one slip of the hand, or a family name cut short
    SHORTENED = 4  # of the given name only the beginning, or more of it
    SAME = 5


@dataclass(frozen=True, slots=True)
class NameAttributes:
    """The attributes of a target in which people's names stand, by what the mapping writes into them."""

    given: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    full: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """Somebody's names, folded: given names, and family names, each as the words it is made of.

    `perhaps` are words among which a given name may be: they may speak for somebody, and against nobody.
    """

    given: frozenset[str] = frozenset()
    family: frozenset[frozenset[str]] = frozenset()
    perhaps: frozenset[str] = frozenset()

    @property
    def keys(self) -> list[str]:
        """What these names are looked for under: two that are alike have one of them in common."""
        given = sorted(self.given | self.perhaps)
        return [*(f"given {one}" for one in given), *(f"family {word}" for word in sorted(_all(self.family)))]


def names_of(person: Person) -> Names:
    """What a person is or may be called."""
    given = (fold(_text(person.fields.get(name))) for name in GIVEN)
    family = (_words(_text(person.fields.get(name))) for name in FAMILY)
    return Names(frozenset(filter(None, given)), frozenset(filter(None, family)))


def names_on(account: Account, attributes: NameAttributes) -> Names:
    """What an account says its owner is called. A part that is told nowhere else is taken from a whole name that fits the other."""
    given = frozenset(filter(None, map(fold, _values(account, attributes.given))))
    family = frozenset(filter(None, map(_words, _values(account, attributes.family))))
    if given and family:
        return Names(given, family)
    wholes = [words for words in map(_words, _values(account, attributes.full)) if words]
    if family:
        rest = _all(words - own for words in wholes for own in family if own <= words)
        return Names(rest, family, frozenset() if rest else _all(wholes))
    rest = _all(words - given for words in wholes if given <= words)  # of nothing but a whole name each word may be either part
    return Names(given or rest, frozenset(frozenset({word}) for word in rest))


def alike(person: Names, borne: Names) -> Alike:
    """How much the names on an account are those of a person."""
    if not borne.given and not borne.family:
        return Alike.UNKNOWN
    given = any(_begins(one, other) for one in person.given for other in borne.given | borne.perhaps)
    family = any(one <= other or other <= one for one in person.family for other in borne.family)
    if given and family:
        return Alike.SAME if person.given & (borne.given | borne.perhaps) else Alike.SHORTENED
    nearly = given or not borne.given or any(near(one, other) for one in person.given for other in borne.given)
    if nearly and (family or any(_slips(one, other) for one in _all(person.family) for other in _all(borne.family))):
        return Alike.MISTYPED
    return Alike.RENAMED if given else Alike.OTHER


def near(one: str, other: str) -> bool:
    """True where a slip of the hand tells two names apart: one letter wrong, missing, too many, or two that changed places."""
    short, long = sorted((one, other), key=len)
    if len(long) < _SHORTEST or len(long) - len(short) > 1:
        return one == other
    at = next((place for place, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at : at + 2] == long[at : at + 2][::-1] and short[at + 2 :] == long[at + 2 :]
    return swapped or short[at + 1 :] == long[at + 1 :]


def _slips(one: str, other: str) -> bool:
    return near(one, other) or _begins(one, other)


def _begins(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return one == other or (len(short) >= _FEWEST and long.startswith(short))


def _words(name: str) -> frozenset[str]:
    return frozenset(filter(None, map(fold, _BETWEEN.split(name))))


def _all(families: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset[str]().union(*families)


def _text(value: Value) -> str:
    return value.strip() if isinstance(value, str) else ""


def _values(account: Account, attributes: Iterable[str]) -> Iterator[str]:
    for name in attributes:
        yield from account.attributes.get(name, ())


# --- many accounts ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Bearers:
    """Accounts by the names they bear, to be asked whose are like a person's without comparing everybody with everybody."""

    attributes: NameAttributes
    _named: dict[NativeId, tuple[Observed, Names]] = field(default_factory=dict)
    _by: dict[str, list[NativeId]] = field(default_factory=dict)

    def add(self, observed: Observed) -> None:
        """One more account; one that bears no name is like nobody's."""
        borne = names_on(observed.account, self.attributes)
        if keys := borne.keys:
            self._named[observed.native_id] = observed, borne
            for key in keys:
                self._by.setdefault(key, []).append(observed.native_id)

    def like(self, person: Names) -> dict[NativeId, tuple[Observed, Alike]]:
        """The accounts whose names are this person's, or nearly, or were."""
        asked = {native_id for key in person.keys for native_id in self._by.get(key, ())}
        found = {native_id: (self._named[native_id][0], alike(person, self._named[native_id][1])) for native_id in sorted(asked)}
        return {native_id: told for native_id, told in found.items() if told[1] >= Alike.RENAMED}
