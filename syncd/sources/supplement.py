"""A CSV that adds columns to the persons of another source: claim facts, opt-outs, exit reasons, columns of the district's own.

A supplement is the weaker half of a delivery: when its file is missing or damaged, the values of the last accepted spool stay,
with a note, and no attribute is emptied. Only on first contact, when there is nothing to keep, is a missing one an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from syncd.core.fields import CLAIM_FACTS
from syncd.core.model import Reject, RowRef, SourceKey, SourceName, Subject, Value
from syncd.errors import EndpointError
from syncd.sources import tabular
from syncd.sources.archive import open_file
from syncd.sources.profiles import Look, look
from syncd.sources.spool import Readable, Spool, SpoolWriter
from syncd.sources.spool_table import Writer, crc
from syncd.sources.values import CAREFUL_FLAGS, MANAGER, Facts, claim_problem, put_fields, target_problem
from syncd.vault import Vault

Joins = Literal["key", "student_number", "staff_number", "state_id", "sis_username", "email"]

REJECTS = "rejects"
REJECT_COLUMNS = ("file", "id", "subject", "key", "why")
"""The table every tabular source keeps its unusable rows in; an empty key is one that could not be read."""

PREFIX = "supplement."
"""What the tables of supplements are called by, before their names."""
_CASELESS: frozenset[Joins] = frozenset({"sis_username", "email"})


@dataclass(frozen=True)
class SupplementConfig:
    """One supplement of a source."""

    name: str = field(metadata={"doc": "what messages call it; letters, digits, - and _"})
    path: Path = field(metadata={"doc": "the CSV file"})
    key: str = field(metadata={"doc": "the column that says whose row it is"})
    columns: Mapping[str, str] = field(
        metadata={"doc": "field: column. A field is a canonical one, a claim fact, extra.NAME, or manager (told as `joins` says)"}
    )
    joins: Joins = field(default="key", metadata={"doc": "what `key` is compared with: the source's own key, or a field"})
    values: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict, metadata={"doc": "field: {what the file says: what it means}"}
    )
    date_formats: tuple[str, ...] = field(default=(), metadata={"doc": "how dates are written besides YYYY-MM-DD, as in %m/%d/%Y"})
    floor: int = field(
        default=1,
        metadata={"doc": "fewer rows than this count as a missing file. With 0 the first one may be about nobody in the roster"},
    )
    everyone: bool = field(
        default=False,
        metadata={"doc": "true where every person must have a row: one without counts as opted out and confidential"},
    )
    encoding: Literal["auto", "utf-8", "utf-16", "latin-1"] = field(
        default="auto", metadata={"doc": "how the file is encoded; auto looks"}
    )
    delimiter: str = field(default="", metadata={"doc": "what separates cells; empty looks for one"})

    def __post_init__(self) -> None:
        """Raise ValueError where a column feeds no field."""
        if not self.name or not self.name.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"supplement name {self.name!r}: use letters, digits, - and _")
        for name in (*self.columns, *self.values):
            problem = target_problem(name, (MANAGER,))
            if problem:
                raise ValueError(f"supplement {self.name}: {problem}")
        exposed = claim_problem(self.columns, self.key)
        if exposed:
            raise ValueError(f"supplement {self.name}: {exposed}")
        if self.delimiter and self.delimiter not in tabular.DELIMITERS:
            raise ValueError(f"supplement {self.name}: delimiter {self.delimiter!r} is none of , ; | or tab")


def joined(joins: Joins, text: str) -> str:
    """The text as it is compared when joining: usernames and addresses whatever their case."""
    return text.casefold() if joins in _CASELESS else text


@dataclass(frozen=True, slots=True)
class Supplement:
    """One supplement at work for one source."""

    config: SupplementConfig
    source: SourceName
    vault: Vault = field(repr=False)

    @property
    def table(self) -> str:
        """Its table in the spool."""
        return f"{PREFIX}{self.config.name}"

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it feeds, in the order of the configuration."""
        return tuple(self.config.columns)

    def mark(self) -> str:
        """A digest of the file; a missing or unreadable one has a mark too."""
        with suppress(EndpointError), open_file(self.config.path, self._endpoint) as package:
            return tabular.scan(package, package.names[0], self.config.encoding).digest
        return "unreadable"

    def spool(self, writer: SpoolWriter, rejects: Writer, index: Callable[[Joins], Mapping[str, SourceKey | None]]) -> None:
        """Write its table: from its file, or else as the previous spool has it. `index` finds persons; None is two of them."""
        try:
            rows, bad, strangers, seen = self._read(index(self.config.joins))
            if not rows and not bad:
                self._check_strangers(strangers, writer.previous)
        except EndpointError as error:
            self._keep(writer, rejects, error)
            return
        if strangers:
            writer.note(f"supplement {self.config.name}: {strangers} rows belong to nobody in the roster")
        with writer.table(self.table, ("key", *self.fields), _keys, look=seen) as table:
            for line, row in rows:
                table.write(row, line)
        for line, reject in bad:
            rejects.write(reject, line)

    @property
    def _endpoint(self) -> str:
        return f"source {self.source}, supplement {self.config.name}"

    def _read(
        self, index: Mapping[str, SourceKey | None]
    ) -> tuple[list[tuple[int, list[str]]], list[tuple[int, tuple[str, ...]]], int, Look]:
        config = self.config
        wanted = (config.key, *config.columns.values())
        shape = tabular.Shape(tuple(dict.fromkeys(wanted)), frozenset(wanted), wanted, delimiter=config.delimiter)
        facts = Facts(self.vault, self.source, config.date_formats)
        rows: list[tuple[int, list[str]]] = []
        bad: list[tuple[int, tuple[str, ...]]] = []
        seen: dict[str, int] = {}
        strangers = count = 0
        with open_file(config.path, self._endpoint) as package:
            name = package.names[0]
            found = tabular.scan(package, name, config.encoding)
            with tabular.open_table(package, name, found, shape) as table:
                seen_so = look(name, table, found, ("key", *self.fields), ("", *config.columns.values()), owner=0)
                for item in table.rows:
                    count += 1
                    if isinstance(item, tabular.BadRow):
                        # Which of its cells is the key nobody knows: whoever any of them names is shielded.
                        owners = sorted({owner for cell in item.cells if (owner := index.get(joined(config.joins, cell)))})
                        bad += [(item.line, (name, "", Subject.PERSON, owner, item.why)) for owner in owners or [SourceKey("")]]
                        continue
                    line, cells = item
                    theirs = joined(config.joins, cells[0])
                    key = index.get(theirs, SourceKey(""))
                    if theirs in seen:
                        package.refuse(
                            f"{name}:{line}:",
                            f"repeats {config.key} {theirs!r} of row {seen[theirs]}",
                            "each person may have one row",
                        )
                    if not theirs or key is None:
                        why = f"{config.key} is empty" if not theirs else f"two persons have {config.joins} {theirs!r}"
                        bad.append((line, (name, theirs, Subject.PERSON, "", why)))
                        continue
                    seen[theirs] = line
                    if not key:
                        strangers += 1
                        continue
                    rows.append((line, [key, *self._cells(key, cells[1:], facts, index)]))
        if count < config.floor:
            raise EndpointError(self._endpoint, f"{name} has {count} rows, fewer than its floor of {config.floor}")
        nobodys = next(((line, why) for line, (_, _, _, key, why) in bad if not key), None)
        if nobodys is not None and not set(CAREFUL_FLAGS).isdisjoint(config.columns):
            # Without the row its owner would count as neither opted out nor confidential (R37).
            package.refuse(f"{name}:{nobodys[0]}:", f"{nobodys[1]}, so that nobody knows whom it hides", "correct that row")
        return rows, bad, strangers, seen_so

    def _check_strangers(self, strangers: int, previous: Spool | None) -> None:
        """Refuse what is about nobody: where as many rows as ever match nobody, it is the key that is written otherwise now."""
        before = previous.counts.get(self.table) if previous is not None else None
        least = 2  # one row alone may well be about somebody who left
        doubtful = before <= strangers if before else before is None and self.config.floor > 0
        if doubtful and strangers >= least and (before is None or before >= least):
            raise EndpointError(
                self._endpoint,
                f"none of its {strangers} rows is about anybody in the roster",
                "look at `key` and `joins`, and at how the file writes its key",
            )

    def _cells(self, key: SourceKey, cells: list[str], facts: Facts, index: Mapping[str, SourceKey | None]) -> Iterator[str]:
        """The cells as they may lie at rest; a manager by the source's own key, none where the roster has no such person."""
        for name, cell in zip(self.fields, cells, strict=True):
            translated = self.config.values.get(name, {}).get(cell, cell)
            if name in CLAIM_FACTS:
                yield facts.token(name, key, translated)
            elif name == MANAGER:
                yield index.get(joined(self.config.joins, translated)) or ""
            else:
                yield translated

    def _keep(self, writer: SpoolWriter, rejects: Writer, error: EndpointError) -> None:
        """Copy the last good values, or raise where there are none."""
        previous = writer.previous
        columns = ("key", *self.fields)
        if previous is None or not set(columns) <= set(previous.columns(self.table)):
            remedy = error.remedy or "deliver it once; later a missing one keeps the last good values"
            raise EndpointError(error.endpoint, f"{error.why}, and no earlier copy holds its columns", remedy) from error
        writer.note(f"supplement {self.config.name} keeps the values of {previous.fetched_at:%Y-%m-%d}: {error.why}")
        places = [previous.columns(self.table).index(column) for column in columns]
        seen = previous.look(self.table) if previous.columns(self.table) == columns else None
        with writer.table(self.table, columns, _keys, look=seen) as table:
            for line, row in previous.rows(self.table):
                table.write([row[place] for place in places], line)
        for line, row in previous.rows(REJECTS):
            if row[0] == self.config.path.name:
                rejects.write(row, line)

    # --- reading back ---------------------------------------------------------------------------------------------

    def rows(self, spool: Readable) -> Iterator[tuple[int, SourceKey, list[str]]]:
        """Its spooled rows: line, whose they are, and the cells in the order of `fields`."""
        columns = spool.columns(self.table)
        for name in self.fields:
            if name not in columns:
                raise EndpointError(self._endpoint, f"spool {spool.id} lacks {name}", "run the source again before a replay")
        places = [columns.index(name) for name in self.fields]
        for line, row in spool.rows(self.table):
            yield line, SourceKey(row[0]), [row[place] for place in places]

    def put(self, cells: list[str], fields: dict[str, Value], facts: dict[str, str], related: dict[str, SourceKey]) -> None:
        """Add one row's cells to a record. Raises ValueError naming the field."""
        said = dict(zip(self.fields, cells, strict=True))
        manager = said.pop(MANAGER, "")
        if manager:
            related[MANAGER] = SourceKey(manager)
        put_fields(fields, facts, said, self.config.date_formats)

    def absent(self, fields: dict[str, Value]) -> None:
        """What a person without a row has: not opted out, unless everyone must have a row."""
        for name in CAREFUL_FLAGS:
            if name in self.config.columns:
                fields[name] = self.config.everyone

    def row_ref(self, line: int) -> RowRef:
        """The place of one of its rows."""
        return RowRef(self.config.path.name, line)


def _keys(row: Sequence[str]) -> tuple[int]:
    """What a row is found by: whose it is."""
    return (crc(row[0]),)


def stored_rejects(spool: Readable) -> Iterator[Reject]:
    """The rows that could not even be spooled as rows."""
    for line, (file, _, subject, key, why) in spool.rows(REJECTS):
        yield Reject(spool.source, RowRef(file, line), why, SourceKey(key) if key else None, Subject(subject))
