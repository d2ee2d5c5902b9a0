"""What a file looked like, counted while its rows are spooled: its columns, how many cells are empty, how many keys repeated.

Knows columns by their place in the spooled rows, and what the file calls them. Whether anything is wrong with it is decided in
`core.profile`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from syncd.core.fields import CLAIM_FACTS
from syncd.core.profile import REPEATED, Profile
from syncd.core.signs import MAY_EMPTY

if TYPE_CHECKING:
    from syncd.sources.tabular import Scan, Table

RECOGNISED_BY = frozenset({"student_number", "staff_number", "state_id", "sis_username"})
"""Fields by which people are recognised and joined, and which no two share. A family may have one address."""

_ROW = itemgetter(1)


class Look(NamedTuple):
    """How the file of a table looked, besides its rows.

    `names` are what the file calls the spooled columns, "" for one whose cells are not counted; the others tell places among them:
    of what people are recognised by, of claim facts, and of whom a row is about (-1: of nobody).
    """

    file: str
    header: tuple[str, ...]
    encoding: str
    names: tuple[str, ...]
    keys: tuple[int, ...] = ()
    facts: tuple[int, ...] = ()
    owner: int = -1
    lacks: tuple[str, ...] = ()

    @staticmethod
    def loaded(told: Sequence[object]) -> Look:
        """One that was kept as JSON."""
        return Look(*(tuple(one) if isinstance(one, list) else one for one in told))  # type: ignore[arg-type]  # as `Spool` wrote it

    @property
    def counted(self) -> list[int]:
        """The places whose cells are counted."""
        return [place for place, name in enumerate(self.names) if name]

    def is_of_people(self, column: str) -> bool:
        """Whether it can be said of whom the column tells, and that it is emptied changes what is made of them."""
        return self.owner >= 0 and column in self.names and self.names.index(column) not in self.facts

    def owners(self, rows: Iterable[tuple[int, list[str]]], column: str, what: str) -> set[str]:
        """Whose rows have no value there, or one that another row has as well."""
        place = self.names.index(column)
        if what != REPEATED:
            return {row[self.owner] for _, row in rows if not row[place]}
        by_value: dict[str, list[str]] = {}
        for _, row in rows:
            if row[place]:
                by_value.setdefault(row[place], []).append(row[self.owner])
        return {one for owners in by_value.values() if len(owners) > 1 for one in owners}


def look(
    file: str, opened: Table, scan: Scan, fields: Sequence[str], names: Sequence[str], *, owner: int = -1, lacks: Sequence[str] = ()
) -> Look:
    """How an open file looks; `fields` are what its spooled columns feed, `names` what the file calls them."""
    return Look(
        file,
        opened.header,
        scan.told,
        tuple("" if fed in MAY_EMPTY else name for fed, name in zip(fields, names, strict=True)),
        tuple(place for place, fed in enumerate(fields) if fed in RECOGNISED_BY and names[place]),
        tuple(place for place, fed in enumerate(fields) if fed in CLAIM_FACTS),
        owner,
        tuple(lacks),
    )


class Counts(NamedTuple):
    """What was counted of a table: rows with a value and rows with a repeated one, by place in `Look.counted` and `Look.keys`."""

    filled: tuple[int, ...]
    repeated: tuple[int, ...]


class Tally:
    """Counts the rows of a table as they are written."""

    def __init__(self, look: Look) -> None:
        self._filled = dict.fromkeys(look.counted, 0)
        self._values = {place: array("q") for place in look.keys}
        self._most = len(self._filled) * 2 > len(look.names)

    def add(self, rows: Sequence[tuple[int, Sequence[str]]]) -> None:
        """Some rows more, each with its line."""
        columns = list(zip(*map(_ROW, rows), strict=True)) if self._most else ()  # quicker than one by one, where most are wanted
        for place in self._filled:
            cells: Sequence[str] = columns[place] if columns else [row[place] for _, row in rows]
            self._filled[place] += len(cells) - cells.count("")
            if place in self._values:
                self._values[place].extend(map(hash, filter(None, cells)))

    def told(self) -> Counts:
        """What they come to."""
        repeated = (len(values) - len(set(values)) for values in self._values.values())
        return Counts(tuple(self._filled.values()), tuple(repeated))


def counts_upon(
    before: Counts,
    look: Look,
    gone: Collection[Sequence[str]],
    come: Collection[Sequence[str]],
    having: Callable[[int, Collection[str]], Iterable[Sequence[str]]],
) -> Counts:
    """The counts of a table of which some rows were replaced.

    `having` finds the rows that had one of these values in a place before, and maybe others.
    """
    filled = [
        number + sum(1 for row in come if row[place]) - sum(1 for row in gone if row[place])
        for place, number in zip(look.counted, before.filled, strict=True)
    ]
    repeated = []
    for place, number in zip(look.keys, before.repeated, strict=True):
        values = Counter(row[place] for row in come)
        values.subtract(row[place] for row in gone)
        differ = {value: more for value, more in values.items() if value and more}
        rows = having(place, differ.keys()) if differ else ()
        there = Counter(row[place] for row in rows if row[place] in differ)
        more_now = (max(there[value] + more - 1, 0) - max(there[value] - 1, 0) for value, more in differ.items())
        repeated.append(number + sum(more_now))
    return Counts(tuple(filled), tuple(repeated))


def profile(look: Look, counts: Counts, rows: int) -> Profile:
    """What the file looked like."""
    filled = {look.names[place]: number for place, number in zip(look.counted, counts.filled, strict=True)}
    repeated = {look.names[place]: number for place, number in zip(look.keys, counts.repeated, strict=True) if look.names[place]}
    return Profile(look.file, look.header, look.encoding, rows, filled, repeated, look.lacks)
