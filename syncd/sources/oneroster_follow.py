"""A delivery told by its differences from the last one: what a changed roster costs is what changed in it.

Every file is still read once, for its digest; of one that differs, only the lines that do become rows. Whenever something about a
delivery is out of the ordinary (a bad row, another header, a small table that differs, half a school moved), this says Lost before
it has written anything, and the delivery is read whole, by the code that has an error for everything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from syncd.core.model import SourceKey, Subject, SubjectKey
from syncd.errors import EndpointError
from syncd.sources import lockstep, sameness, tabular
from syncd.sources.lockstep import Lost, Piece
from syncd.sources.oneroster_copy import JOIN_COLUMNS, Delivery, Terms, columns_of, shape_of, tokeniser
from syncd.sources.oneroster_grounds import split_list
from syncd.sources.oneroster_part import CLASS, OWN, PERSON, keys_of, owner
from syncd.sources.sameness import LINES, Mark
from syncd.sources.spool import Difference, SpoolWriter
from syncd.sources.spool_table import CutOff, Row, Said, Table, crc
from syncd.sources.supplement import REJECT_COLUMNS, REJECTS, Supplement

_FOLLOWED = frozenset({"users", "roles", "enrollments", "demographics", "userProfiles", "classes"})
"""The tables whose differences are told row by row. The others are small and seldom differ: then everybody may be touched."""


@dataclass
class _Difference:
    """How one table differs: its pieces, and those rows of them that were or are otherwise, by their own keys."""

    base: Table
    scan: tabular.Scan
    pieces: list[Piece]
    said: Said
    marks: dict[int, list[Mark]]  # of a piece, by its first line
    before: dict[str, list[str]]
    after: dict[str, list[str]]

    @cached_property
    def changed(self) -> list[tuple[list[str] | None, list[str] | None]]:
        """Every row that was, is, or is now otherwise: as it was and as it is."""
        keys = {**self.before, **self.after}
        told = ((self.before.get(key), self.after.get(key)) for key in keys)
        return [(was, now) for was, now in told if was != now]

    @property
    def told(self) -> Difference:
        """The same, as the spool wants to know it."""
        gone = [was for was, _ in self.changed if was is not None]
        return Difference(gone, [now for _, now in self.changed if now is not None], self.scan.told)


class Follower:
    """One delivery and the spool before it: `compare` first, and `write` if that did not find it to be the same."""

    def __init__(
        self,
        terms: Terms,
        delivery: Delivery,
        scans: Mapping[str, tabular.Scan],
        spool: SpoolWriter,
        supplements: Collection[Supplement],
        digest_row: Callable[[bytes], int],
    ) -> None:
        self._terms = terms
        self._delivery = delivery
        self._scans = scans
        self._spool = spool
        self._supplements = supplements
        self._digest_row = digest_row
        self._same: list[Table] = []
        self._subjects: set[SubjectKey] = set()
        self._differences: dict[str, _Difference] = {}

    def compare(self) -> dict[str, Said]:
        """What every table says; nothing is written yet. Raises Lost, also where the spool before cannot be read any more."""
        try:
            return self._compared()
        except (EndpointError, CutOff, OSError) as error:
            raise Lost from error

    def _compared(self) -> dict[str, Said]:
        previous = self._spool.previous
        if previous is None or not previous.sound or any(True for _ in previous.rows(REJECTS)):
            raise Lost
        said: dict[str, Said] = {}
        for table, scan in sorted(self._scans.items()):
            base = self._base(table)
            if base.look is None:
                raise Lost  # an older version of this program did not count
            if base.said.in_order == scan.in_order:
                self._same.append(base)
                said[table] = base.said
            else:
                self._differences[table] = self._difference(table, scan, base)
                said[table] = self._differences[table].said
        self._same += [self._base(supplement.table) for supplement in self._supplements]
        if self._supplements:
            self._check_joins()
        self._check_roles()
        self._subjects = self._touched()
        return said

    def write(self) -> None:
        """Fill the spool, and say who may be told otherwise in it. After `compare`."""
        assert self._spool.previous is not None  # noqa: S101 — `compare` has seen it
        self._spool.sound = True
        with self._spool.table(REJECTS, REJECT_COLUMNS):
            pass
        for same in self._same:
            self._spool.keep(same)
        for table, difference in self._differences.items():
            self._write(table, difference)
        for note in self._spool.previous.notes:
            self._spool.note(note)
        self._spool.differs(self._subjects)

    # --- comparing ------------------------------------------------------------------------------------------------

    def _base(self, table: str) -> Table:
        base = self._spool.base(table)
        if base is None or not base.indexed:
            raise Lost
        base.blocks()  # whether they can still be read is found out now
        return base

    def _difference(self, table: str, scan: tabular.Scan, base: Table) -> _Difference:
        if table not in _FOLLOWED or not base.said.header:
            raise Lost
        package, name, blocks = self._delivery.package, f"{table}.csv", base.blocks()
        with package.open(name) as file:
            header = f"{scan.encoding} {self._digest_row(lockstep.header(file)):032x}"
        if header != base.said.header:
            raise Lost
        found = _Difference(base, scan, [], Said(), {}, {}, {})
        every: list[Mark] = []
        seen: set[str] = set()
        replaced: set[tuple[int, int]] = set()
        count = base.rows
        with self._opened(table, scan, base) as opened, package.open(name) as file:
            tokenise = tokeniser(self._terms, base.columns)
            for piece in lockstep.pieces(file, blocks):
                found.pieces.append(piece)
                old = blocks[piece.first : piece.end]
                if piece.lines is None:
                    every += (block.mark for block in old if block.mark)
                    continue
                found.marks[piece.line] = [sameness.mark(one, self._digest_row) for one in _cut(piece.lines)]
                every += found.marks[piece.line]
                replaced.update((block.file, block.offset) for block in old)
                before = {row[0]: row for _, row in base.of(old)}
                rows = [row for _, row in _rows(opened, piece, tokenise)]
                after = {row[0]: row for row in rows}
                if "" in after or len(after) < len(rows) or not seen.isdisjoint(after):
                    raise Lost
                seen |= after.keys()
                count += len(after) - len(before)
                found.before |= {key: row for key, row in before.items() if after.get(key) != row}
                found.after |= {key: row for key, row in after.items() if before.get(key) != row}
        self._check_repeated(base, found.after.keys() - found.before.keys(), replaced)
        if count < max(1, self._terms.floors.get(table, 0)):
            raise Lost
        found.said = Said(scan.in_order, header, f"{scan.encoding} {sameness.said(header.partition(' ')[2], every)}")
        return found

    @contextmanager
    def _opened(self, table: str, scan: tabular.Scan, base: Table) -> Iterator[tabular.Table]:
        shape = shape_of(self._terms, self._delivery, table)
        with tabular.open_table(self._delivery.package, f"{table}.csv", scan, shape) as opened:
            if columns_of(self._terms, table, opened) != base.columns:
                raise Lost
            yield opened

    def _check_repeated(self, base: Table, keys: Collection[str], replaced: Collection[tuple[int, int]]) -> None:
        """Lost where a new row has the key of one that stayed: two rows claim to be the same one."""
        found = base.found({crc(key, OWN) for key in keys}) if keys else []
        stayed = base.of(block for block in found if (block.file, block.offset) not in replaced)
        if any(row[0] in keys for _, row in stayed):
            raise Lost

    def _check_joins(self) -> None:
        """Lost where a supplement might find somebody else now than it did."""
        for table, wanted in (
            ("users", {JOIN_COLUMNS[one.config.joins] for one in self._supplements} | {"sourcedId", "role"}),
            ("roles", {"userSourcedId", "role"}),
        ):
            difference = self._differences.get(table)
            if difference is None:
                continue
            places = [place for place, column in enumerate(difference.base.columns) if column in wanted]
            for was, now in difference.changed:
                if was is None or now is None or any(was[place] != now[place] for place in places):
                    raise Lost

    def _check_roles(self) -> None:
        """Lost where a role may be nobody's now: then everybody without one may be the one it was meant for."""
        users, roles = self._differences.get("users"), self._differences.get("roles")
        left = {was[0] for was, now in users.changed if was is not None and now is None} if users else set()
        come = {now[0] for was, now in users.changed if was is None and now is not None} if users else set()
        table = self._spool.base("roles")
        if left and table is not None:
            whose = owner("roles", table.columns)
            gone = {was[0] for was, now in roles.changed if was is not None and now is None} if roles else set()
            held = table.of(table.found({crc(user) for user in left}))
            if any(row[whose] in left and row[0] not in gone for _, row in held):
                raise Lost
        if roles is not None:
            whose = owner("roles", roles.base.columns)
            new = {now[whose] for was, now in roles.changed if now is not None and (was is None or was[whose] != now[whose])}
            there = {row[0] for row in self._found("users", new - come - left)}
            if not new - come <= there:
                raise Lost

    def _found(self, table: str, keys: Collection[str], kind: int = PERSON) -> list[list[str]]:
        """The rows of the spool before that are about these, and some others."""
        base = self._spool.base(table)
        found = base.of(base.found({crc(key, kind) for key in keys})) if base is not None and keys else ()
        return [row for _, row in found]

    def _changed(self, table: str) -> list[list[str]]:
        """The rows of a table that differ, as they were and as they are."""
        difference = self._differences.get(table)
        return [row for both in difference.changed for row in both if row is not None] if difference else []

    # --- who is touched -------------------------------------------------------------------------------------------

    def _touched(self) -> set[SubjectKey]:
        """Everybody whose digest may be another one now. Lost where a row is about nobody: it may be about anybody (R3)."""
        persons: set[str] = set()
        classes: set[str] = set()
        for table, difference in self._differences.items():
            whose = owner(table, difference.base.columns)
            told = {row[whose] for row in self._changed(table)}
            if "" in told:
                raise Lost
            if table == "classes":
                classes |= told
            else:
                persons |= told
        enrolments = self._spool.base("enrollments")
        if enrolments is not None:
            user, group, role = (enrolments.columns.index(name) for name in ("userSourcedId", "classSourcedId", "role"))
            # Whether a class can be used decides whether its enrolments count; whether there is a teacher, whether they teach.
            persons |= {row[user] for row in self._found("enrollments", classes, CLASS) if row[group] in classes}
            theirs = [*self._changed("enrollments"), *self._found("enrollments", persons)]
            classes |= {row[group] for row in theirs if row[role].lower() == "teacher" and row[user] in persons}
        persons |= self._agents(persons)
        return {SubjectKey(Subject.PERSON, SourceKey(one)) for one in persons} | {
            SubjectKey(Subject.CLASS, SourceKey(one)) for one in classes
        }

    def _agents(self, persons: Collection[str]) -> set[str]:
        """Whom the rows of these name: a row that cannot be used does not count for them."""
        base = self._spool.base("users")
        if base is None or "agentSourcedIds" not in base.columns:
            return set()
        agents = base.columns.index("agentSourcedIds")
        rows = [*self._changed("users"), *(row for row in self._found("users", persons) if row[0] in persons)]
        return {agent for row in rows for agent in split_list(row[agents])}

    # --- writing --------------------------------------------------------------------------------------------------

    def _write(self, table: str, difference: _Difference) -> None:
        base = difference.base
        tokenise = tokeniser(self._terms, base.columns)
        with (
            self._opened(table, difference.scan, base) as opened,
            self._spool.table_upon(base, keys_of(table, base.columns), difference.said, difference.told) as writer,
        ):
            for piece in difference.pieces:
                if piece.lines is None:
                    writer.keep(base.blocks()[piece.first], piece.line)
                    continue
                first, waiting = piece.line, _rows(opened, piece, tokenise)
                row = next(waiting, None)
                for mark in difference.marks[piece.line]:
                    mine: list[Row] = []
                    while row is not None and row[0] < first + mark.lines:
                        mine.append(row)
                        row = next(waiting, None)
                    writer.put(mine, first, mark)
                    first += mark.lines


def _rows(opened: tabular.Table, piece: Piece, tokenise: Callable[[list[str]], None] | None) -> Iterator[Row]:
    """The rows of new lines, claim facts already tokens. Raises Lost on one that is none."""
    for item in opened.read(piece.lines or [], piece.line):
        if isinstance(item, tabular.BadRow):
            raise Lost
        if tokenise is not None:
            tokenise(item[1])
        yield item


def _cut(lines: list[bytes]) -> Iterable[list[bytes]]:
    return (lines[start : start + LINES] for start in range(0, len(lines), LINES))
