"""What each file of a roster looked like, and whether one looks otherwise than in the last ten school days. Pure.

Signs (`core.signs`) see what is told of people; a profile sees the file: a column that nobody fills any more, whatever it feeds,
and keys that stand there twice. Another order of columns, one that nobody reads, or another encoding is told and holds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.guard import APPROVABLE, Cell, Finding, Shape, Share, spread
from syncd.core.model import PersonId, SourceName, TargetName

EMPTY, REPEATED, GONE = "empty", "repeated", "gone"

ASCII, UTF_8, MARKED_UTF_8, UTF_16, WINDOWS = "ASCII", "UTF-8", "UTF-8 with a byte order mark", "UTF-16", "Windows-1252"
"""Encodings of a file, in words."""
_WITHIN = ({ASCII, UTF_8}, {ASCII, WINDOWS})
"""Two that are one: whether a name with an accent is in the file today says nothing of the export."""

_LOOKS = {
    EMPTY: "a column that is not filled any more looks like this",
    REPEATED: "a join that went wrong, or a column filled by drawing it down, looks like this",
    GONE: "an export that was set up anew looks like this",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """What one file looked like when it was read. Columns are called as the file calls them.

    `filled` counts the rows with a value, by column in use; those that are ordinarily emptied are not in it. `repeated` counts the
    rows with a value that an earlier row has as well, by column that people are recognised by. `lacks` are the columns that would
    be used, were they there. `anew`: a human has let it go, or nobody minded; what came before it is not compared with any more.
    """

    file: str
    header: tuple[str, ...]
    encoding: str
    rows: int
    filled: Mapping[str, int] = field(default_factory=dict)
    repeated: Mapping[str, int] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """One column of a file that is not as it was: which, how (`EMPTY`, `REPEATED` or `GONE`), and in words how much of it."""

    table: str
    file: str
    column: str
    what: str
    why: str

    @property
    def operation(self) -> str:
        """What a cell is called by whose people are held for it."""
        return f"{self.what} {self.column} of {self.file}"


def judge_profile(
    source: SourceName, table: str, now: Profile, past: Sequence[Profile], shape: Shape, factor: float = 1
) -> Iterator[Broken]:
    """What of a file is not as it was; `past` are the profiles of the last ten school days, the last accepted one at the end.

    A column must have lost values both in number and in share: neither new rows without one nor rows that are gone are a loss.
    `factor`: so many times the share is allowed.
    """
    for column in now.lacks:
        if past and past[-1].filled.get(column):
            yield Broken(
                table, now.file, column, GONE,
                f"column {column} of {now.file} is gone; it had a value in {past[-1].filled[column]:,} of {past[-1].rows:,} rows",
            )  # fmt: skip
    for column, filled in sorted(now.filled.items()):
        known = [(one.filled[column], one.rows) for one in past if one.filled.get(column)]
        expected, was, rows = max(((min(1, now.rows / rows) * was, was, rows) for was, rows in known), default=(0, 0, 0))
        allowed = _excess(shape.empty, expected - filled, expected, factor)
        if allowed:
            yield Broken(
                table, now.file, column, EMPTY,
                f"column {column} of {now.file} has a value in {filled:,} of {now.rows:,} rows, and had one in {was:,} of {rows:,} "
                f"in the last ten school days; sources.{source}.shape.empty allows {allowed} to have become empty",
            )  # fmt: skip
    for column, repeated in sorted(now.repeated.items()):
        known = [(one.repeated[column], one.rows) for one in past if column in one.repeated]
        if not known:
            continue
        expected, was, rows = max((max(1, now.rows / rows) * was if rows else was, was, rows) for was, rows in known)
        allowed = _excess(shape.repeated, repeated - expected, now.rows, factor)
        if allowed:
            yield Broken(
                table, now.file, column, REPEATED,
                f"column {column} of {now.file} repeats a value of another row in {repeated:,} of {now.rows:,} rows, and did in at "
                f"most {was:,} of {rows:,} in the last ten school days; sources.{source}.shape.repeated allows {allowed} more",
            )  # fmt: skip


def _excess(share: Share, count: float, among: float, factor: float) -> str | None:
    return replace(share, percent=share.percent * factor).excess(count, among)


def of_roster(source: SourceName, broken: Broken) -> Finding:
    """What is said of a column that tells of nobody in particular: the run waits, until somebody lets this roster go (R15)."""
    return Finding(
        f"source {source}", f"{broken.why}. Look at the file: {_LOOKS[broken.what]}. If it is right, approve it", digest=APPROVABLE
    )


def of_people(
    source: SourceName,
    broken: Broken,
    groups: Mapping[tuple[str, str], Collection[PersonId]],
    people_at: Mapping[tuple[str, str], int],
) -> Iterator[Finding]:
    """What is said of people of whom a column tells so, by campus and population; of one that is met almost everywhere, once."""
    for campus, population, who, _ in spread(groups, people_at):
        at = f"campus {campus}, " if campus else ""
        look = "syncd plan" + (f" --campus {campus}" if campus else "")
        yield Finding(
            f"{at}{population or 'people'}, source {source}",
            f"{broken.why}. {len(who):,} who are told of so and otherwise than before wait; everybody else goes on. "
            f"Look at the file: {_LOOKS[broken.what]}. If it is right, approve it. See them with: {look}",
            Cell(TargetName(source), broken.operation, campus, population),
            who,
        )


def told_otherwise(now: Profile, before: Profile) -> str:
    """How a file is written otherwise than the one before, as far as nothing depends on it; "" where it is not."""
    told: list[str] = []
    come = [column for column in now.header if column not in before.header]
    gone = [column for column in before.header if column not in now.header]
    for columns, one, several in ((come, "a column more", "columns more"), (gone, "a column less", "columns less")):
        if columns:
            told.append(f"has {one if len(columns) == 1 else several}: {', '.join(columns)}")
    if [column for column in now.header if column not in come] != [column for column in before.header if column not in gone]:
        told.append("has its columns in another order")
    if now.encoding != before.encoding and {now.encoding, before.encoding} not in _WITHIN:
        told.append(f"is written as {now.encoding}, and was as {before.encoding}")
    return f"{now.file} {', '.join(told)}. That holds nothing" if told else ""
