"""OneRoster CSV 1.1 and 1.2, zip or folder, bulk or delta: from the delivery to a complete spool.

The delivery is judged as a whole (version, manifest, file names) and is refused or copied, which is `oneroster_copy`'s business.
What its rows mean, and which of them cannot be used, is `oneroster`'s, which reads the spool. A delta is merged onto an earlier
spool, so that every spool is full.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn

from syncd.core.model import Record, Reject, SourceKey, SourceName, SubjectKey
from syncd.errors import EndpointError
from syncd.sources import oneroster, tabular
from syncd.sources.archive import Package, open_package
from syncd.sources.lockstep import Lost
from syncd.sources.oneroster_copy import Copier, Delivery, Terms
from syncd.sources.oneroster_follow import Follower
from syncd.sources.oneroster_layout import LAYOUTS
from syncd.sources.spool import Readable, Spool, SpoolWriter
from syncd.sources.spool_table import Said
from syncd.sources.supplement import REJECT_COLUMNS, REJECTS, Supplement, SupplementConfig
from syncd.sources.values import EXTRA, MANAGER, Facts, claim_problem, target_problem
from syncd.vault import Vault

VERSIONS = ("1.1", "1.2")
_MODES = ("bulk", "delta", "absent")
_MEANING = 2
"""Part of every content digest: raised when the same files would be spooled otherwise than before."""


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
    may_lack: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "files (enrollments) and columns (users.email) the roster no longer has. "
            "Any other that the last delivery had and this one has not is an error, a file without rows too"
        },
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
        problems += map(_lack_problem, self.may_lack)
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


def _lack_problem(name: str) -> str | None:
    """Why the roster cannot lack this, or None where it can."""
    table, _, column = name.partition(".")
    layouts = [layout[table] for layout in LAYOUTS.values() if table in layout]
    if not layouts or (column and not any(column in layout.known for layout in layouts)):
        return f"may_lack: no file or column {name!r}; say a file, as in enrollments, or one of its columns, as in users.email"
    if any(column in layout.required if column else layout.needed for layout in layouts):
        return f"may_lack: no roster can do without {name!r}"
    return None


class OneRosterCsv:
    """The source for one OneRoster CSV delivery."""

    def __init__(self, name: SourceName, options: OneRosterCsvConfig, vault: Vault) -> None:
        self._name = name
        self._options = options
        self._vault = vault
        self._supplements = tuple(Supplement(config, name, vault) for config in options.supplements)
        self._terms = Terms(
            options.headers == "strict", options.metadata, options.floors, frozenset(options.may_lack), Facts(vault, name)
        )
        self._roster = oneroster.Rules(name, options.metadata, options.profiles, options.grades, self._supplements, vault)

    def fetch(self, spool: SpoolWriter) -> None:
        """Copy the delivery into the spool, merged onto the previous one where it is a delta."""
        with open_package(self._options.path, f"source {self._name}") as package:
            if spool.is_known(self._digest([package.fingerprint()])):
                return
            delivery = self._judge(package)
            if delivery.is_delta and spool.previous is None:
                self._refuse(
                    f"{package.label} is a delta and there is no accepted full delivery to merge it onto",
                    "ask for a bulk export first",
                )
            used = [table for table in delivery.modes if table != "userProfiles" or self._options.profiles]
            there = [table for table in used if delivery.modes[table] != "absent"]
            scans = {table: tabular.scan(package, f"{table}.csv", self._options.encoding) for table in there}
            told = [delivery.version, repr(dict(delivery.modes))]
            in_order = [f"{table} {one.in_order}" for table, one in sorted(scans.items())]
            if not delivery.is_delta and spool.is_in_order(self._digest([*told, *in_order])):
                return
            if spool.is_alike(self._digest(told)) and not delivery.is_delta and self._follow(spool, delivery, scans, told):
                return
            digest_row = self._vault.row_digest()
            said = {table: tabular.said(package, f"{table}.csv", one, digest_row) for table, one in sorted(scans.items())}
            content = self._content(told, {table: one for table, (one, _) in said.items()})
            if spool.content(content, onto_previous=delivery.is_delta):
                return
            with ExitStack() as stack:
                rejects = stack.enter_context(spool.table(REJECTS, REJECT_COLUMNS))
                joins = {supplement.config.joins for supplement in self._supplements}
                copier = Copier(self._terms, delivery, scans, said, spool, rejects, joins)
                copier.check_headers()
                spool.sound = not delivery.is_delta
                for table in used:
                    copier.copy(table)
                for supplement in self._supplements:
                    supplement.spool(spool, rejects, copier.index)

    def _follow(self, spool: SpoolWriter, delivery: Delivery, scans: Mapping[str, tabular.Scan], told: Collection[str]) -> bool:
        """Whether the delivery could be told by its differences from the last one."""
        follower = Follower(self._terms, delivery, scans, spool, self._supplements, self._vault.row_digest())
        try:
            said = follower.compare()
        except Lost:
            return False
        if not spool.content(self._content(told, said)):
            try:
                follower.write()
            except Lost:
                self._refuse(f"{delivery.package.label} changed while it was being read", "the next run reads it again")
        return True

    def _content(self, told: Collection[str], said: Mapping[str, Said]) -> str:
        """Equal for files that say the same, in whatever order and quotes."""
        return self._digest([*told, *(f"{table} {one.rows}" for table, one in sorted(said.items()))])

    def digests(self, spool: Readable, of: Collection[SubjectKey] | None = None) -> Iterable[tuple[SubjectKey, int] | Reject]:
        """See `oneroster.Rules.digests`."""
        return self._roster.digests_of(spool, of) if of is not None and isinstance(spool, Spool) else self._roster.digests(spool)

    def records(self, spool: Spool, keys: Collection[SourceKey] | None) -> Iterator[Record | Reject]:
        """See `oneroster.Rules.records`."""
        return self._roster.records(spool, keys)

    # --- the delivery as a whole ---------------------------------------------------------------------------------

    def _refuse(self, why: str, remedy: str) -> NoReturn:
        raise EndpointError(f"source {self._name}", why, remedy)

    def _digest(self, said: Collection[str]) -> str:
        """Equal where all this and the supplements are equal, under an equal configuration and key."""
        told = [str(_MEANING), repr(self._options), self._vault.key_id, *said]
        told += [f"{supplement.table} {supplement.mark()}" for supplement in self._supplements]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    def _judge(self, package: Package) -> Delivery:
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
        return Delivery(package, version, modes)

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
