"""OneRoster CSV 1.1 and 1.2, zip or folder, bulk or delta: from the delivery to a complete spool.

The delivery is judged as a whole (manifest, file names, headers, duplicate keys, floors) and is refused or copied. What its
rows mean, and which of them cannot be used, is `oneroster`'s business, which reads the spool. A delta is merged onto the last
accepted spool, so that every spool is full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from syncd.core.fields import CLAIM_FACTS
from syncd.core.model import Record, Reject, SourceKey, SourceName, SubjectKey
from syncd.errors import EndpointError
from syncd.sources import oneroster, tabular
from syncd.sources.archive import Package, open_package
from syncd.sources.oneroster_layout import GUARDIANS, LAYOUTS, STATUS, Layout
from syncd.sources.spool import Spool, SpoolWriter, TableWriter
from syncd.sources.supplement import REJECT_COLUMNS, REJECTS, Joins, Supplement, SupplementConfig
from syncd.sources.values import EXTRA, MANAGER, Facts, claim_problem, target_problem
from syncd.vault import Vault

VERSIONS = ("1.1", "1.2")
_MODES = ("bulk", "delta", "absent")
_MEANING = 1
"""Part of every content digest: raised when the same files would be spooled otherwise than before."""

_JOIN_COLUMNS: Mapping[str, str] = {
    "key": "sourcedId", "student_number": "identifier", "staff_number": "identifier",
    "state_id": "userMasterIdentifier", "sis_username": "username", "email": "email",
}  # fmt: skip


@dataclass(frozen=True)
class OneRosterCsvConfig:
    """Where a OneRoster CSV delivery lies and how strictly it is read."""

    path: Path = field(metadata={"doc": "the zip file, or the folder with the CSV files"})
    headers: Literal["lenient", "strict"] = field(
        default="lenient",
        metadata={
            "doc": "strict: manifest, file names, column names and order exactly as the standard has them. "
            "lenient: columns in any order, unknown ones ignored, no manifest needed; a misspelled column is an error in both"
        },
    )
    version: Literal["auto", "1.1", "1.2"] = field(
        default="auto", metadata={"doc": "the version; auto believes the manifest, else looks for roles.csv"}
    )
    encoding: Literal["auto", "utf-8", "utf-16", "latin-1"] = field(
        default="auto", metadata={"doc": "how the files are encoded; auto looks at each"}
    )
    floors: Mapping[str, int] = field(
        default_factory=dict, metadata={"doc": "file: fewest rows it may have, as in users: 25000; fewer is an error"}
    )
    metadata: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"doc": "field: metadata column of users.csv, as in extra.bus: metadata.bus. Others are not even spooled"},
    )
    profiles: Mapping[str, str] = field(
        default_factory=dict, metadata={"doc": "extra.NAME: profileType whose username it takes from userProfiles.csv"}
    )
    grades: Mapping[str, str] = field(
        default_factory=dict, metadata={"doc": "grade as the roster writes it: as syncd does (PK, KG, 01 to 12)"}
    )
    supplements: tuple[SupplementConfig, ...] = field(default=(), metadata={"doc": "CSV files that add columns to these persons"})

    def __post_init__(self) -> None:
        """Raise ValueError where a column feeds no field or a floor names no file."""
        problems = [target_problem(name, (MANAGER,)) for name in self.metadata]
        problems.append(claim_problem(self.metadata))
        problems += [f"profiles may feed {EXTRA}NAME only, not {name!r}" for name in self.profiles if not name.startswith(EXTRA)]
        problems += [
            f"floors: no file {name!r}; files are {', '.join(LAYOUTS['1.2'])}" for name in self.floors if name not in LAYOUTS["1.2"]
        ]
        names = [supplement.name for supplement in self.supplements]
        problems += [f"two supplements are called {name!r}" for name in sorted({name for name in names if names.count(name) > 1})]
        found = [problem for problem in problems if problem]
        if found:
            raise ValueError("; ".join(found))

    @property
    def extra_fields(self) -> frozenset[str]:
        """The `extra.*` fields this source tells."""
        names = [*self.metadata, *self.profiles, *(name for one in self.supplements for name in one.columns)]
        return frozenset(name for name in names if name.startswith(EXTRA))


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A package whose manifest has been read: version, and per table whether its file is bulk, delta or absent."""

    package: Package
    version: str
    modes: Mapping[str, str]

    @property
    def is_delta(self) -> bool:
        return "delta" in self.modes.values()


class OneRosterCsv:
    """The source for one OneRoster CSV delivery."""

    def __init__(self, name: SourceName, options: OneRosterCsvConfig, vault: Vault) -> None:
        self._name = name
        self._options = options
        self._vault = vault
        self._supplements = tuple(Supplement(config, name, vault) for config in options.supplements)
        self._roster = oneroster.Rules(name, options.metadata, options.profiles, options.grades, self._supplements, vault)

    def fetch(self, spool: SpoolWriter) -> None:
        """Copy the delivery into the spool, merged onto the previous one where it is a delta."""
        with open_package(self._options.path, f"source {self._name}") as package:
            delivery = self._judge(package)
            if delivery.is_delta and spool.previous is None:
                self._refuse(
                    f"{package.label} is a delta and there is no accepted full delivery to merge it onto",
                    "ask for a bulk export first",
                )
            scans = {
                table: tabular.scan(package, f"{table}.csv", self._options.encoding)
                for table, mode in delivery.modes.items()
                if mode != "absent"
            }
            if spool.content(self._digest(delivery, scans), onto_previous=delivery.is_delta):
                return
            with ExitStack() as stack:
                rejects = stack.enter_context(spool.table(REJECTS, REJECT_COLUMNS))
                copier = _Copier(self, delivery, scans, spool, rejects)
                for table in delivery.modes:
                    copier.copy(table)
                for supplement in self._supplements:
                    supplement.spool(spool, rejects, copier.index)

    def digests(self, spool: Spool) -> Iterator[tuple[SubjectKey, int] | Reject]:
        """See `oneroster.Rules.digests`."""
        return self._roster.digests(spool)

    def records(self, spool: Spool, keys: Collection[SourceKey] | None) -> Iterator[Record | Reject]:
        """See `oneroster.Rules.records`."""
        return self._roster.records(spool, keys)

    # --- the delivery as a whole ---------------------------------------------------------------------------------

    def _refuse(self, why: str, remedy: str) -> NoReturn:
        raise EndpointError(f"source {self._name}", why, remedy)

    def _digest(self, delivery: _Delivery, scans: Mapping[str, tabular.Scan]) -> str:
        """Equal for equal files under an equal configuration and key."""
        said = [str(_MEANING), repr(self._options), self._vault.key_id, delivery.version, repr(dict(delivery.modes))]
        said += [f"{table} {found.digest}" for table, found in sorted(scans.items())]
        said += [f"{supplement.table} {supplement.mark()}" for supplement in self._supplements]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def _judge(self, package: Package) -> _Delivery:
        """Version and modes; every problem of the manifest and the file names in one message."""
        names = set(package.names)
        strict = self._options.headers == "strict"
        properties: dict[str, str] = {}
        problems: list[str] = []
        if "manifest.csv" in names:
            properties = self._manifest(package)
        elif strict or any(name.lower() == "manifest.csv" for name in names):
            problems.append("manifest.csv is missing")
        version = self._options.version
        if version == "auto":
            version = properties.get("oneroster.version") or ("1.2" if "roles.csv" in names else "1.1")  # type: ignore[assignment]  # checked below
        if version not in VERSIONS:
            self._refuse(f"{package.label}: manifest.csv says oneroster.version {version!r}", "export OneRoster CSV 1.1 or 1.2")
        modes = {table: self._mode(table, names, properties, problems) for table in LAYOUTS[version]}
        problems += self._file_problems(names, modes, version)
        if strict:
            problems += self._strict_problems(names, properties, version)
        if problems:
            self._refuse(f"{package.label}: " + "; ".join(problems), "have the export corrected and sent again")
        return _Delivery(package, version, modes)

    def _mode(self, table: str, names: Collection[str], properties: Mapping[str, str], problems: list[str]) -> str:
        """What the manifest says of a file; without a manifest, whether it is there."""
        if not properties:
            return "bulk" if f"{table}.csv" in names else "absent"
        mode = properties.get(f"file.{table}", "")
        if mode not in _MODES:
            said = f"says {mode!r} for" if mode else "has no value for"
            problems.append(f"manifest.csv {said} file.{table}, it must be bulk, delta or absent")
        return mode

    def _file_problems(self, names: Collection[str], modes: Mapping[str, str], version: str) -> Iterator[str]:
        """Where the files and what is said of them differ."""
        folded = {name.lower(): name for name in names}
        for table, mode in modes.items():
            file = f"{table}.csv"
            if file not in names and file.lower() in folded:
                yield f"holds {folded[file.lower()]}, which must be called {file}"
            elif mode in ("bulk", "delta") and file not in names:
                yield f"{file} is missing, although manifest.csv says {mode}"
            elif mode == "absent" and file in names:
                yield f"{file} is there, although manifest.csv says absent"
            elif mode == "absent" and LAYOUTS[version][table].needed and "delta" not in modes.values():
                yield f"{file} is missing"

    def _strict_problems(self, names: Collection[str], properties: Mapping[str, str], version: str) -> list[str]:
        allowed = {f"{name.removeprefix('file.')}.csv" for name in properties if name.startswith("file.")} | {"manifest.csv"}
        problems = [f"{name} is not listed in manifest.csv" for name in sorted(set(names) - allowed)]
        if properties and properties.get("manifest.version") != "1.0":
            problems.append(f"manifest.csv says manifest.version {properties.get('manifest.version', '')!r}, it must be 1.0")
        if properties and properties.get("oneroster.version") != version:
            problems.append(f"manifest.csv says oneroster.version {properties.get('oneroster.version', '')!r}, not {version}")
        return problems

    def _manifest(self, package: Package) -> dict[str, str]:
        shape = tabular.Shape(("propertyName", "value"), frozenset({"propertyName", "value"}), ("propertyName", "value"))
        found = tabular.scan(package, "manifest.csv", self._options.encoding)
        properties: dict[str, str] = {}
        with tabular.open_table(package, "manifest.csv", found, shape) as table:
            for item in table.rows:
                if isinstance(item, tabular.BadRow):
                    package.refuse(f"manifest.csv:{item.line}:", item.why, "each row is propertyName,value")
                line, (name, value) = item
                if name in properties:
                    package.refuse(f"manifest.csv:{line}:", f"says {name} twice")
                properties[name] = value.lower() if name.startswith("file.") else value
        return properties

    def shape(self, table: str, version: str) -> tuple[tabular.Shape, tuple[str, ...]]:
        """What a file's header should be, and the names of the declared columns behind the standard ones."""
        layout = LAYOUTS[version][table]
        declared = dict(self._options.metadata) if table == "users" else {}
        shape = tabular.Shape(
            layout.known,
            layout.required | frozenset(declared.values()),
            (*layout.wanted, *declared.values()),
            strict=self._options.headers == "strict",
        )
        return shape, tuple(declared)

    @property
    def floors(self) -> Mapping[str, int]:
        """The fewest rows each file may have."""
        return self._options.floors

    def facts(self) -> Facts:
        """Tokens for this source's claim facts."""
        return Facts(self._vault, self._name)


class _Copier:
    """Copies one delivery's tables into one spool, and remembers what supplements join by."""

    def __init__(
        self, source: OneRosterCsv, delivery: _Delivery, scans: Mapping[str, tabular.Scan], spool: SpoolWriter, rejects: TableWriter
    ) -> None:
        self._source = source
        self._delivery = delivery
        self._scans = scans
        self._spool = spool
        self._rejects = rejects
        self._facts = source.facts()
        self._users: tuple[str, ...] = ()
        self._joins: list[list[str]] = []
        self._role_places: tuple[int, int] | None = None
        self._students: set[str] = set()
        self._staff: set[str] = set()

    def copy(self, table: str) -> None:
        """One table: its bulk file, its delta merged onto the previous rows, or the previous rows where a delta leaves it out."""
        mode = self._delivery.modes[table]
        if mode == "bulk":
            self._copy_bulk(table)
        elif mode == "delta":
            self._merge(table)
        elif self._delivery.is_delta:
            self._keep(table)

    def index(self, joins: Joins) -> Mapping[str, SourceKey | None]:
        """The persons by what a supplement joins on; None where two share it."""
        if _JOIN_COLUMNS[joins] not in self._users:
            return {}
        place, found = self._users.index(_JOIN_COLUMNS[joins]), dict[str, SourceKey | None]()
        # Students and staff are numbered apart: the same number in both is two persons, not a doubt.
        among = {"student_number": self._students, "staff_number": self._staff}.get(joins)
        for row in self._joins:
            if row[place] and (among is None or row[0] in among):
                found[row[place]] = None if row[place] in found else SourceKey(row[0])
        return found

    def _copy_bulk(self, table: str) -> None:
        shape, declared = self._source.shape(table, self._delivery.version)
        name = f"{table}.csv"
        with tabular.open_table(self._delivery.package, name, self._scans[table], shape) as opened:
            columns = _columns(opened.columns, declared)
            rows = self._rows(table, columns, opened)
            with self._spool.table(table, columns) as written:
                write = written.write
                self._remember(table, columns)
                learns = table in ("users", "roles")
                for line, row in rows:
                    if learns:
                        self._learn(table, row)
                    write(row, line)
                written.flush()
        self._check_floor(table, written.rows)

    def _rows(self, table: str, columns: tuple[str, ...], opened: tabular.Table) -> Iterator[tuple[int, list[str]]]:
        """The usable rows, claim facts already tokens; the others go to the rejects. A repeated key refuses the delivery."""
        seen: dict[str, int] = {}
        name = f"{table}.csv"
        tokenise = self._tokeniser(columns)
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

    def _tokeniser(self, columns: tuple[str, ...]) -> Callable[[list[str]], None] | None:
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
                row[place] = self._facts.token(fact, SourceKey(row[0]), row[place])

        return tokenise

    def _reject(self, layout: Layout, name: str, line: int, key: str, why: str) -> None:
        """A row of cells nobody can trust. Its own key is the first cell; whose enrolment or role it is cannot be known."""
        shielded = "" if layout.belongs_to_another else key
        self._rejects.write((name, key, layout.subject, shielded, why), line)

    def _remember(self, table: str, columns: tuple[str, ...]) -> None:
        """Note where a table about to be copied keeps what supplements join by."""
        if table == "users":
            self._users = columns
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
        floor = self._source.floors.get(table, 0)
        if rows < floor:
            self._delivery.package.refuse(
                name,
                f"has {rows} rows, fewer than its floor of {floor}",
                f"if that is right, lower `floors: {table}`; else export again",
            )

    # --- delta ---------------------------------------------------------------------------------------------------

    def _previous(self, table: str, columns: tuple[str, ...]) -> Spool:
        """The spool to merge onto, if it has the same columns."""
        previous = self._spool.previous
        assert previous is not None  # noqa: S101 — a delta without one was refused before anything was copied
        before = previous.columns(table)
        if before and before != columns:
            unlike = sorted(set(before) ^ set(columns))
            self._delivery.package.refuse(
                f"{table}.csv",
                f"is a delta with other columns than the full file had ({', '.join(unlike)})",
                "ask for a bulk export",
            )
        return previous

    def _merge(self, table: str) -> None:
        shape, declared = self._source.shape(table, self._delivery.version)
        name = f"{table}.csv"
        with tabular.open_table(self._delivery.package, name, self._scans[table], shape) as opened:
            columns = _columns(opened.columns, declared)
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
        self._remember(table, columns)
        previous = self._previous(table, columns)
        modified = columns.index("dateLastModified") if "dateLastModified" in columns else None
        with self._spool.table(table, columns) as written:
            for line, row in previous.rows(table):
                newer = changed.pop(row[0], None)
                if newer is not None and modified is not None and newer[1][modified] < row[modified]:
                    newer = None  # an older delta delivered late: ISO times compare as text
                self._write(table, written, *(newer or (line, row)))
            for line, row in changed.values():
                self._write(table, written, line, row)
        self._carry_rejects(previous, name, delivered=changed)
        self._check_floor(table, written.rows)

    def _write(self, table: str, written: TableWriter, line: int, row: list[str]) -> None:
        if table in ("users", "roles"):
            self._learn(table, row)
        written.write(row, line)

    def _learn(self, table: str, row: list[str]) -> None:
        """Keep what supplements join by: the users, and who of them is a student or staff."""
        if table == "users":
            self._joins.append(row)
        if self._role_places is not None:
            role = row[self._role_places[1]].lower()
            if role == "student":
                self._students.add(row[self._role_places[0]])
            elif role not in GUARDIANS:
                self._staff.add(row[self._role_places[0]])

    def _keep(self, table: str) -> None:
        previous = self._spool.previous
        assert previous is not None  # noqa: S101 — as in _previous
        columns = previous.columns(table)
        if columns:
            _, declared = self._source.shape(table, self._delivery.version)
            if set(declared) - set(columns):
                self._delivery.package.refuse(
                    f"{table}.csv",
                    f"is left out, and the full file was read without {', '.join(declared)}",
                    "ask for a bulk export",
                )
            self._remember(table, columns)
            with self._spool.table(table, columns) as written:
                for line, row in previous.rows(table):
                    self._write(table, written, line, row)
            self._carry_rejects(previous, f"{table}.csv", delivered={})

    def _carry_rejects(self, previous: Spool, name: str, delivered: Collection[str]) -> None:
        """A row that could not be used stays unusable until it is sent again: its person stays shielded."""
        for line, row in previous.rows(REJECTS):
            if row[0] == name and row[1] not in delivered:
                self._rejects.write(row, line)


def _columns(found: tuple[str, ...], declared: tuple[str, ...]) -> tuple[str, ...]:
    """The columns as spooled: declared ones, which come last, under the name of the field they feed."""
    return (*found[: len(found) - len(declared)], *declared)
