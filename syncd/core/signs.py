"""What a roster tells otherwise of people than the last accepted one did, and whether it is told of too many at once. Pure.

Where a whole campus is suddenly told to have no grade, or to be called by its family names, no target need be asked: the roster is
wrong. One such person is life. Which changes a mapping makes of it does not matter here, and an edited mapping makes no sign.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from syncd.core.guard import Cell, Finding, Limit, Shape, during
from syncd.core.model import PersonId, Record, SourceKey, SourceName, TargetName, Value

EMPTIED, NAMES, NUMBERS, GRADE, CAMPUS, POPULATION = "emptied", "names", "numbers", "grade", "campus", "population"

_NAMES = ("given", "family")
_NUMBERS = ("student_number", "staff_number", "state_id", "sis_username")
MAY_EMPTY = frozenset({"exit_date", "exit_reason", "start_date", "roles", "prior_number", "enabled"})
"""Fields without a value are ordinary here, or told of otherwise."""
_TOLD = {
    NAMES: "have another given or family name",
    NUMBERS: "have another number or username",
    GRADE: "are in another grade",
    CAMPUS: "are at another campus",
    POPULATION: "are in another population",
}
_LOOKS = {
    EMPTIED: "a column that is not filled any more",
    NAMES: "columns that are swapped, or read with the wrong encoding",
    NUMBERS: "columns that slipped, or people who were entered once more",
    GRADE: "a year that was closed in the middle of it",
    CAMPUS: "campuses that are mixed up",
    POPULATION: "roles that are mixed up",
}


@dataclass(frozen=True, slots=True, order=True)
class Sign:
    """One thing that a source tells otherwise of one person, counted at these campuses, in the population they were in."""

    source: SourceName
    what: str  # EMPTIED with the field, as in "emptied grade", or one of the other words
    person: PersonId
    campuses: tuple[str, ...]
    population: str

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Where it is counted: in the sum of its source, and at its campuses."""
        source = TargetName(self.source)
        return (Cell(source, self.what), *(Cell(source, self.what, campus, self.population) for campus in self.campuses))


def told_otherwise(
    before: Sequence[Record], now: Sequence[Record], gone: Collection[tuple[SourceName, SourceKey]] = ()
) -> Iterator[tuple[SourceName, str]]:
    """What is told otherwise of one person, by source: of each record now, against the one that it follows.

    `gone` are keys that the last accepted roster told of no more: those of a roster system that was left, for one.
    """
    by_key = {(record.source, record.key): record for record in before}
    for record in now:
        earlier = by_key.get((record.source, record.key)) or _followed(before, record.source, {one.key for one in now}, gone)
        if earlier is not None:
            for what in sorted(_compared(earlier.fields, record.fields)):
                yield record.source, what


def _followed(
    before: Iterable[Record], source: SourceName, keys: set[SourceKey], gone: Collection[tuple[SourceName, SourceKey]]
) -> Record | None:
    """The one record of that source which is told no more: under another key now, of a person who was recognised."""
    left = [record for record in before if record.source == source and record.key not in keys]
    left = [record for record in left if (source, record.key) not in gone] or left
    return left[0] if len(left) == 1 else None


def _compared(before: Mapping[str, Value], now: Mapping[str, Value]) -> set[str]:
    found = {
        f"{EMPTIED} {name}"
        for name, value in before.items()
        if name not in MAY_EMPTY and _says(value) and not _says(now.get(name)) and name != "grade_index"
    }
    for what, names in ((NAMES, _NAMES), (NUMBERS, _NUMBERS), (GRADE, ("grade",))):
        if any(_says(before.get(name)) and _says(now.get(name)) and before[name] != now[name] for name in names):
            found.add(what)
    return found


def _says(value: Value) -> bool:
    return value not in (None, "", ())


def limit_of(shape: Shape, what: str) -> tuple[str, Limit]:
    """The key of the limit for a sign, and the limit."""
    name = what.partition(" ")[0]
    limit: Limit = getattr(shape.signs, name)
    return name, limit


def judge_signs(
    source: SourceName,
    shape: Shape,
    signs: Iterable[Sign],
    people_at: Callable[[], Mapping[tuple[str, str], int]],
    day: Mapping[Cell, int],
    week: Mapping[Cell, int],
    season: str,
) -> Iterator[Finding]:
    """Which of these signs are too many at once: all over the source, or else at each campus that has too many.

    `day` and `week` count those believed in the last 24 hours and seven days. Who is held by one is held with all their changes.
    """
    mine = sorted((one for one in signs if one.source == source), key=lambda one: (one.what, one.person))
    for what, each in groupby(mine, key=lambda one: one.what):
        where: dict[Cell, set[PersonId]] = {}
        for sign in each:
            for cell in sign.cells:
                where.setdefault(cell, set()).add(sign.person)
        name, limit = limit_of(shape, what)
        spans = (("in 24 hours", limit, day), ("in seven days", limit.weekly(), week))
        whole = Cell(TargetName(source), what)
        broken: dict[Cell, tuple[str, int]] = {}
        for cell, persons in where.items():
            for span, bound, before in spans:
                count = len(persons) + before.get(cell, 0)
                if cell == whole:
                    excess = bound.excess(count, sum(people_at().values())) if count > bound.at_least else None
                    excess = excess and excess.replace(" accounts", " people")
                elif count > bound.campus_at_least:
                    excess = bound.campus_excess(count, people_at().get((cell.campus, cell.population), 0))
                else:
                    excess = None
                if excess:
                    broken.setdefault(cell, (f"{excess} {span}", before.get(cell, 0)))
        for cell in [whole] if whole in broken else sorted(broken):
            allowed, spent = broken[cell]
            at_all = f"sources.{source}.shape.signs.{name}"
            key = at_all if cell == whole else f"{at_all}.campus_percent"
            yield _finding(what, cell, frozenset(where[cell]), f"{key} allows {allowed}{during(season)}", spent)


def _finding(what: str, cell: Cell, persons: frozenset[PersonId], allowed: str, before: int) -> Finding:
    kind, _, field = what.partition(" ")
    told = f"have no {field} any more" if field else _TOLD[kind]
    already = f", after {before:,} of late" if before else ""
    whole = cell == Cell(cell.target, what)
    at = "" if whole else f"campus {cell.campus or '(none)'}, {cell.population or 'people'}, "
    look = "syncd plan" + (f" --campus {cell.campus}" if cell.campus else "")
    return Finding(
        f"{at}source {cell.target}",
        f"{len(persons):,} {told}{already}, but {allowed}. They wait; everybody else goes on. "
        f"Look at the file: {_LOOKS[kind]} would look like this. If it is right, approve it. See them with: {look}",
        cell,
        persons,
    )
