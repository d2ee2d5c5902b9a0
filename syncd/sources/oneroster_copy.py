"""Copies the tables of one OneRoster delivery into a spool: bulk as they are, a delta merged onto the previous spool.

Judges each table as it passes: header, repeated keys, floors, and what the last delivery had and this one has not. Claim facts are
tokens before they are written. The rows' meaning is `oneroster`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter

from syncd.core.fields import CLAIM_FACTS
from syncd.core.model import SourceKey, Subject
from syncd.errors import EndpointError
from syncd.sources import tabular
from syncd.sources.archive import Package
from syncd.sources.oneroster_layout import FEEDS, GUARDIANS, LAYOUTS, MAY_EMPTY, STATUS, Layout
from syncd.sources.oneroster_part import keys_of, owner
from syncd.sources.profiles import Look, look
from syncd.sources.sameness import Mark
from syncd.sources.spool import Spool, SpoolWriter
from syncd.sources.spool_table import Said, Writer
from syncd.sources.supplement import REJECTS, Joins, joined
from syncd.sources.values import Facts

JOIN_COLUMNS: Mapping[str, str] = {
    "key": "sourcedId", "student_number": "identifier", "staff_number": "identifier",
    "state_id": "userMasterIdentifier", "sis_username": "username", "email": "email",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Terms:
    """What the district has agreed with itself about this roster."""

    strict: bool
    metadata: Mapping[str, str]
    floors: Mapping[str, int]
    may_lack: frozenset[str]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Delivery:
    """A package whose manifest has been read: version, and per table whether its file is bulk, delta or absent."""

    package: Package
    version: str
    modes: Mapping[str, str]

    @property
    def is_delta(self) -> bool:
        """True where some file holds changes only."""
        return "delta" in self.modes.values()


class Copier:
    """Copies one delivery's tables into one spool, and remembers what supplements join by.

    `said` tells what the tables say, where they came whole: then the next delivery can be told by its differences.
    """

    def __init__(
        self,
        terms: Terms,
        delivery: Delivery,
        scans: Mapping[str, tabular.Scan],
        said: Mapping[str, tuple[Said, Sequence[Mark]]],
        spool: SpoolWriter,
        rejects: Writer,
        joins: Collection[Joins],
    ) -> None:
        self._terms = terms
        self._delivery = delivery
        self._scans = scans
        self._said = said
        self._spool = spool
        self._rejects = rejects
        self._wanted = {JOIN_COLUMNS[one] for one in joins}
        self._joined: dict[str, int] = {}  # the columns of users that are kept, and their places among the kept cells
        self._joins: list[tuple[str, ...]] = []
        self._cells: Callable[[list[str]], tuple[str, ...]] = tuple  # those of a row of users
        self._keys: set[str] = set()
        self._role_places: tuple[int, int] | None = None
        self._students: set[str] = set()
        self._staff: set[str] = set()

    def check_headers(self) -> None:
        """Raise one EndpointError with every problem of every header, before anything is copied."""
        found: list[EndpointError] = []
        for table, scan in self._scans.items():
            try:
                shape = shape_of(self._terms, self._delivery, table)
                with tabular.open_table(self._delivery.package, f"{table}.csv", scan, shape):
                    pass
            except EndpointError as error:
                found.append(error)
        if found:
            remedies = dict.fromkeys(error.remedy for error in found if error.remedy)
            raise EndpointError(found[0].endpoint, "; ".join(error.why for error in found), "; ".join(remedies)) from found[0]

    def copy(self, table: str) -> None:
        """One table: its bulk file, its delta merged onto the previous rows, or the previous rows where a delta leaves it out."""
        mode = self._delivery.modes[table]
        if mode == "bulk":
            self._copy_bulk(table)
        elif mode == "delta":
            self._merge(table)
        elif self._delivery.is_delta:
            self._keep(table)
        else:
            self._check_lost_file(table)

    def index(self, joins: Joins) -> Mapping[str, SourceKey | None]:
        """The persons by what a supplement joins on; None where two share it."""
        if JOIN_COLUMNS[joins] not in self._joined:
            return {}
        place, found = self._joined[JOIN_COLUMNS[joins]], dict[str, SourceKey | None]()
        # Students and staff are numbered apart: the same number in both is two persons, not a doubt.
        among = {"student_number": self._students, "staff_number": self._staff}.get(joins)
        for row in self._joins:
            if row[place] and (among is None or row[0] in among):
                theirs = joined(joins, row[place])
                found[theirs] = None if theirs in found else SourceKey(row[0])
        return found

    def _copy_bulk(self, table: str) -> None:
        name = f"{table}.csv"
        shape = shape_of(self._terms, self._delivery, table)
        with tabular.open_table(self._delivery.package, name, self._scans[table], shape) as opened:
            columns = columns_of(self._terms, table, opened)
            self._check_lost_columns(table, columns)
            rows = self._rows(table, columns, opened)
            seen = self._look(table, columns, opened)
            with self._spool.table(table, columns, keys_of(table, columns), *self._said[table], seen) as written:
                write = written.write
                self._remember(table, columns)
                learns = table in ("users", "roles")
                for line, row in rows:
                    if learns:
                        self._learn(table, row)
                    write(row, line)
                written.flush()
        self._check_floor(table, written.rows)
        if written.rows == 0:
            self._check_lost_rows(table)

    def _look(self, table: str, columns: tuple[str, ...], opened: tabular.Table) -> Look:
        """How the file looks: what it calls its columns, what they feed, and which it could have and has not."""
        layout = LAYOUTS[self._delivery.version][table]
        declared, feeds = _declared(self._terms, table), FEEDS.get(table, {})
        owned = layout.subject is Subject.PERSON
        # A role or an enrolment without one of these is a Reject: it shields its owner, and is counted there.
        uncounted = MAY_EMPTY | (layout.required if owned and layout.belongs_to_another else frozenset())
        absent = (column for column in layout.wanted if column not in columns and column not in MAY_EMPTY)
        return look(
            f"{table}.csv",
            opened,
            self._scans[table],
            [feeds.get(column, column) for column in columns],
            ["" if column in uncounted else declared.get(column, column) for column in columns],
            owner=owner(table, columns) if owned else -1,
            lacks=[column for column in absent if f"{table}.{column}" not in self._terms.may_lack],
        )

    def _rows(self, table: str, columns: tuple[str, ...], opened: tabular.Table) -> Iterator[tuple[int, list[str]]]:
        """The usable rows, claim facts already tokens; the others go to the rejects. A repeated key refuses the delivery."""
        seen: dict[str, int] = {}
        name = f"{table}.csv"
        tokenise = tokeniser(self._terms, columns)
        layout = LAYOUTS[self._delivery.version][table]
        for item in opened.rows:
            if isinstance(item, tabular.BadRow):
                self._reject(layout, name, item.line, item.cells[0] if opened.columns[0] == "sourcedId" else "", item.why)
                continue
            line, row = item
            key = row[0]
            if key in seen:
                self._delivery.package.refuse(
                    f"{name}:{line}:",
                    f"repeats sourcedId {key!r} of row {seen[key]}",
                    "two rows claim to be the same one; have the export corrected",
                )
            if not key:
                self._reject(layout, name, line, "", "sourcedId is empty")
                continue
            seen[key] = line
            if tokenise is not None:
                tokenise(row)
            yield line, row

    def _reject(self, layout: Layout, name: str, line: int, key: str, why: str) -> None:
        """A row of cells nobody can trust. Its own key is the first cell; whose enrolment or role it is cannot be known."""
        shielded = "" if layout.belongs_to_another else key
        self._rejects.write((name, key, layout.subject, shielded, why), line)

    def _remember(self, table: str, columns: tuple[str, ...]) -> None:
        """Note where a table about to be copied keeps what supplements join by."""
        if table == "users":
            self._joined = {column: place for place, column in enumerate(("sourcedId", *sorted(self._wanted & {*columns[1:]})))}
            self._cells = itemgetter(*(columns.index(column) for column in self._joined), 0)
        if table == "roles":
            self._role_places = (columns.index("userSourcedId"), columns.index("role"))
        elif table == "users" and "role" in columns:
            self._role_places = (0, columns.index("role"))
        else:
            self._role_places = None

    def _check_floor(self, table: str, rows: int) -> None:
        name = f"{table}.csv"
        if table == "users" and rows == 0:
            self._delivery.package.refuse(name, "holds a header and no user", "an empty roster is never believed; export again")
        floor = self._terms.floors.get(table, 0)
        if rows < floor:
            self._delivery.package.refuse(
                name,
                f"has {rows} rows, fewer than its floor of {floor}",
                f"if that is right, lower `floors: {table}`; else export again",
            )

    # --- what the last delivery had ------------------------------------------------------------------------------

    def _rows_before(self, table: str) -> int:
        previous = self._spool.previous
        return previous.counts.get(table, 0) if previous is not None else 0

    def _check_lost_file(self, table: str) -> None:
        before = self._rows_before(table)
        if before and table not in self._terms.may_lack:
            self._delivery.package.refuse(f"{table}.csv", f"is missing; the last delivery had {before} rows of it", _remedy(table))

    def _check_lost_rows(self, table: str) -> None:
        """Zero is suspicious: always where nobody can be without, else where there was something before."""
        before = self._rows_before(table)
        if LAYOUTS[self._delivery.version][table].needed:
            self._delivery.package.refuse(f"{table}.csv", "holds no usable row", "nobody could be told without it; export again")
        if before and table not in self._terms.may_lack:
            self._delivery.package.refuse(
                f"{table}.csv",
                f"holds no usable row; the last delivery had {before}",
                _remedy(table),
            )

    def _check_lost_columns(self, table: str, columns: Collection[str]) -> None:
        """A column that is not there reads as empty, so one that went missing would empty what is made of it."""
        if not self._rows_before(table) or self._spool.previous is None:
            return
        known = LAYOUTS[self._delivery.version][table].known
        lost = [column for column in self._spool.previous.columns(table) if column in known and column not in columns]
        names = [f"{table}.{column}" for column in lost if f"{table}.{column}" not in self._terms.may_lack]
        if names:
            said = ", ".join(repr(name.partition(".")[2]) for name in names)
            which = f"column {said} is" if len(names) == 1 else f"columns {said} are"
            self._delivery.package.refuse(
                f"{table}.csv:", f"{which} missing; the last delivery had {'it' if len(names) == 1 else 'them'}",
                _remedy(*names),
            )  # fmt: skip

    # --- delta ---------------------------------------------------------------------------------------------------

    def _previous(self, table: str, columns: tuple[str, ...]) -> Spool:
        """The spool to merge onto, if it has the same columns."""
        previous = self._spool.previous
        assert previous is not None  # noqa: S101 — a delta without one was refused before anything was copied
        before = previous.columns(table)
        if not before:
            self._delivery.package.refuse(
                f"{table}.csv", "is a delta, and the last full delivery had no such file", "ask for a bulk export"
            )
        if before != columns:
            unlike = sorted(set(before) ^ set(columns))
            self._delivery.package.refuse(
                f"{table}.csv",
                f"is a delta with other columns than the full file had ({', '.join(unlike)})",
                "ask for a bulk export",
            )
        return previous

    def _merge(self, table: str) -> None:
        name = f"{table}.csv"
        shape = shape_of(self._terms, self._delivery, table)
        with tabular.open_table(self._delivery.package, name, self._scans[table], shape) as opened:
            columns = columns_of(self._terms, table, opened)
            changed: dict[str, tuple[int, list[str]]] = {}
            for line, row in self._rows(table, columns, opened):
                status = row[columns.index("status")].lower() if "status" in columns else ""
                if status not in STATUS[1:]:
                    said = f"status {status!r}" if status else "no status"
                    self._delivery.package.refuse(
                        f"{name}:{line}:",
                        f"has {said}: in a delta each row is active or tobedeleted",
                        "ask for a bulk export, or a delta with its status column filled",
                    )
                changed[row[0]] = (line, row)
            seen = self._look(table, columns, opened)
        self._remember(table, columns)
        previous = self._previous(table, columns)
        modified = columns.index("dateLastModified") if "dateLastModified" in columns else None
        delivered = frozenset(changed)
        with self._spool.table(table, columns, keys_of(table, columns), look=seen) as written:
            for line, row in previous.rows(table):
                newer = changed.pop(row[0], None)
                if newer is not None and modified is not None and _is_older(newer[1][modified], row[modified]):
                    newer = None  # an older delta delivered late
                self._write(table, written, *(newer or (line, row)))
            for line, row in changed.values():
                self._write(table, written, line, row)
        self._carry_rejects(previous, name, delivered=delivered)
        self._check_floor(table, written.rows)

    def _write(self, table: str, written: Writer, line: int, row: list[str]) -> None:
        if table in ("users", "roles"):
            self._learn(table, row)
        written.write(row, line)

    def _learn(self, table: str, row: list[str]) -> None:
        """Keep who there is, what supplements join by, and who is a student or staff; see whether every role is somebody's."""
        if table == "users":
            self._keys.add(row[0])
            if self._wanted:
                self._joins.append(self._cells(row))
        if self._role_places is not None:
            user = row[self._role_places[0]]
            if user not in self._keys:
                self._spool.sound = False
            if self._wanted:
                role = row[self._role_places[1]].lower()
                if role == "student":
                    self._students.add(user)
                elif role not in GUARDIANS:
                    self._staff.add(user)

    def _keep(self, table: str) -> None:
        previous = self._spool.previous
        assert previous is not None  # noqa: S101 — as in _previous
        columns = previous.columns(table)
        if columns:
            declared = _declared(self._terms, table)
            if declared.keys() - set(columns):
                self._delivery.package.refuse(
                    f"{table}.csv",
                    f"is left out, and the full file was read without {', '.join(declared)}",
                    "ask for a bulk export",
                )
            self._remember(table, columns)
            with self._spool.table(table, columns, keys_of(table, columns), look=previous.look(table)) as written:
                for line, row in previous.rows(table):
                    self._write(table, written, line, row)
            self._carry_rejects(previous, f"{table}.csv", delivered={})

    def _carry_rejects(self, previous: Spool, name: str, delivered: Collection[str]) -> None:
        """A row that could not be used stays unusable until it is sent again: its person stays shielded."""
        for line, row in previous.rows(REJECTS):
            if row[0] == name and row[1] not in delivered:
                self._rejects.write(row, line)


def _remedy(*names: str) -> str:
    return f"export again, or, if it is to stay like that, set `may_lack: [{', '.join(names)}]`"


def _is_older(text: str, than: str) -> bool:
    """True where both are times and the first is surely before the second. Exports write them in many ways, or not at all."""
    try:
        times = [datetime.fromisoformat(one) for one in (text, than)]
    except ValueError:
        return False
    one, other = (time if time.tzinfo else time.replace(tzinfo=UTC) for time in times)
    return one < other


def shape_of(terms: Terms, delivery: Delivery, table: str) -> tabular.Shape:
    """What a file's header should be."""
    layout = LAYOUTS[delivery.version][table]
    declared = tuple(_declared(terms, table).values())
    return tabular.Shape(layout.known, layout.required | frozenset(declared), (*layout.wanted, *declared), strict=terms.strict)


def columns_of(terms: Terms, table: str, opened: tabular.Table) -> tuple[str, ...]:
    """The columns as spooled: declared ones, which come last, under the name of the field they feed."""
    declared = _declared(terms, table)
    return (*opened.columns[: len(opened.columns) - len(declared)], *declared)


def _declared(terms: Terms, table: str) -> Mapping[str, str]:
    return terms.metadata if table == "users" else {}


def tokeniser(terms: Terms, columns: Sequence[str]) -> Callable[[list[str]], None] | None:
    """Replaces the claim facts of a row, in place; None where the table has none."""
    facts = [
        (place, "birth_date" if column == "birthDate" else column)
        for place, column in enumerate(columns)
        if column == "birthDate" or column in CLAIM_FACTS
    ]
    if not facts:
        return None

    def tokenise(row: list[str]) -> None:
        for place, fact in facts:
            row[place] = terms.facts.token(fact, SourceKey(row[0]), row[place])

    return tokenise
