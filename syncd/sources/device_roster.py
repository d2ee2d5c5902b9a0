"""The roster of devices: one CSV file that says which student has which device. Read completely, or refused with a sentence.

What a row means for a device is not known here, and nothing of it is kept: a device is compared with what the target tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from syncd.core.devices import Row
from syncd.errors import EndpointError, TransientError
from syncd.sources import tabular
from syncd.sources.archive import Package, open_file

SERIAL, ASSET, STUDENT, ADDRESS, POOL, STATUS = "serial", "asset", "student_number", "address", "pool", "status"
_FIELDS = (SERIAL, ASSET, STUDENT, ADDRESS, POOL, STATUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRoster:
    """Where the roster of devices is, and which of its columns says what."""

    path: Path = field(metadata={"doc": "the CSV file"})
    columns: Mapping[str, str] = field(
        metadata={
            "doc": "field: column. Fields: `serial` or `asset` (by which the device is found), `student_number` or `address` "
            "(whose it is), `pool` (such as loaner), `status`"
        }
    )
    lost: tuple[str, ...] = field(
        default=("lost", "stolen", "missing"),
        metadata={"doc": "what the `status` column says of a device that is lost, whatever the case; anything else is not lost"},
    )
    floor: int = field(default=1, metadata={"doc": "fewer rows than this are an error: nothing is done"})
    encoding: Literal["auto", "utf-8", "utf-16", "latin-1"] = field(
        default="auto", metadata={"doc": "how the file is encoded; auto looks"}
    )
    delimiter: str = field(default="", metadata={"doc": "what separates cells; empty looks for one"})

    def __post_init__(self) -> None:
        """Raises ValueError naming the key that cannot work."""
        for name in self.columns:
            if name not in _FIELDS:
                raise ValueError(f"columns: no field '{name}'; there are: {', '.join(_FIELDS)}")
        if SERIAL not in self.columns and ASSET not in self.columns:
            raise ValueError("columns: name the column of the `serial` number, or of the `asset` tag")
        if STUDENT not in self.columns and ADDRESS not in self.columns:
            raise ValueError("columns: name the column of the `student_number`, or of the `address`")
        if self.floor < 1:
            raise ValueError("floor: must be at least 1: an empty roster is never believed")
        if self.delimiter and self.delimiter not in tabular.DELIMITERS:
            raise ValueError(f"delimiter: {self.delimiter!r} is none of , ; | or tab")


@dataclass(frozen=True, slots=True)
class Told:
    """What a file tells: its rows, and a digest of its bytes."""

    rows: tuple[Row, ...]
    digest: str


def read(config: DeviceRoster, endpoint: str) -> Told:
    """The roster. Raises EndpointError where it is missing, damaged, without its columns, or shorter than its floor.

    A row with too many cells may be about any device that one of them names: then nobody knows which is shielded, so the whole file
    is refused, as a cell that moved could give a device to somebody else.
    """
    try:
        with open_file(config.path, endpoint) as package:
            told = _read(config, package)
    except TransientError as error:
        raise EndpointError(endpoint, str(error), "it is read again with the next run") from error
    if len(told.rows) < config.floor:
        name, count = config.path.name, len(told.rows)
        raise EndpointError(
            endpoint, f"{name} has {count:,} rows, fewer than its floor of {config.floor:,}; nothing is done", "look at the export"
        )
    return told


def _read(config: DeviceRoster, package: Package) -> Told:
    name = package.names[0]
    wanted = tuple(dict.fromkeys(config.columns.values()))
    shape = tabular.Shape(wanted, frozenset(wanted), wanted, delimiter=config.delimiter)
    found = tabular.scan(package, name, config.encoding)
    rows: list[Row] = []
    lost = {word.casefold() for word in config.lost}
    with tabular.open_table(package, name, found, shape) as table:
        for item in table.rows:
            if isinstance(item, tabular.BadRow):
                package.refuse(
                    f"{name}:{item.line}:", item.why, "have the export corrected: nobody knows whose device that row means"
                )
            line, cells = item
            by_column = dict(zip(table.columns, cells, strict=True))
            told = {fed: by_column.get(column, "") for fed, column in config.columns.items()}
            rows.append(
                Row(
                    line,
                    told.get(SERIAL, ""),
                    told.get(ASSET, ""),
                    told.get(STUDENT, ""),
                    told.get(ADDRESS, ""),
                    told.get(POOL, ""),
                    lost=told.get(STATUS, "").casefold() in lost,
                )
            )
    return Told(tuple(rows), found.digest)
