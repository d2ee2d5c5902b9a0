"""A whole OneRoster export as rows in memory: written as a folder, changed day by day, and spoiled.

What a made-up district exports, without making 25,000 people's rows anew where twenty are different. A spoiler edits the rows
before they are written, so that one disaster can befall a small district and a large one. First and last days, opt-outs and
managers stand in metadata columns of users.csv: a roster of one delivery is read by its differences.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from syncd.demo.district import District
from syncd.demo.oneroster_writer import ABSENT_12, STAMPED, Row, tables_of
from syncd.demo.roster import Employee, Roster, Student, index

VERSION = "1.2"
FOLDER = "oneroster"
METADATA = MappingProxyType(
    {
        "start_date": "metadata.startDate",
        "exit_date": "metadata.exitDate",
        "exit_reason": "metadata.exitReason",
        "directory_optout": "metadata.optOut",
        "confidential": "metadata.confidential",
        "manager": "metadata.manager",
    }
)
"""Fields, and the columns of users.csv that tell them: for `sources.SOURCE.metadata`."""
_BY_PERSON = ("demographics", "enrollments", "roles", "users")


@dataclass(slots=True)
class File:
    """One CSV file: its columns, its rows by their first cell, and whatever else stands behind them.

    `encoding` is how it is written; `raw`, where it is not None, is written instead of all that.
    """

    columns: Row
    rows: dict[str, Row]
    more: list[Row] = field(default_factory=list)
    encoding: str = "utf-8"
    raw: bytes | None = None

    def at(self, column: str) -> int:
        """The place of a column."""
        return self.columns.index(column)

    def cell(self, key: str, column: str) -> str:
        """One cell."""
        return self.rows[key][self.at(column)]

    def put(self, key: str, column: str, value: str) -> None:
        """Another value in one cell."""
        place, row = self.at(column), self.rows[key]
        self.rows[key] = (*row[:place], value, *row[place + 1 :])

    def bytes(self) -> bytes:
        """The file as it is written."""
        if self.raw is not None:
            return self.raw
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self.columns)
        writer.writerows(self.rows.values())
        writer.writerows(self.more)
        return text.getvalue().encode(self.encoding, "replace")

    def copy(self) -> File:
        """The same, to be changed apart."""
        return File(self.columns, dict(self.rows), list(self.more), self.encoding, self.raw)


@dataclass(slots=True)
class Export:
    """One delivery: files by name, `users.csv` and so on."""

    files: dict[str, File]
    mode: str = "bulk"

    @classmethod
    def of(cls, district: District) -> Export:
        """What this district exports today."""
        files = {}
        for name, (columns, _) in tables_of(VERSION).items():
            extra = tuple(METADATA.values()) if name == "users" else ()
            files[f"{name}.csv"] = File((*STAMPED, *columns, *extra), dict(_rows(name, district.roster)))
        return cls(files)

    def __getitem__(self, name: str) -> File:
        """The file of a table."""
        return self.files[f"{name}.csv"]

    def copy(self) -> Export:
        """The same, to be changed apart; the rows themselves are shared."""
        return Export({name: file.copy() for name, file in self.files.items()}, self.mode)

    def follow(self, before: Roster, now: Roster) -> None:
        """Bring the rows up to date. Costs what is different between the two rosters."""
        for key, person in (*before.students.items(), *before.staff.items()):
            same = now.students.get(key) or now.staff.get(key)
            if same is not person:
                self._drop(person, keep=same is not None)
        come = [one for key, one in now.students.items() if before.students.get(key) is not one]
        hired = [one for key, one in now.staff.items() if before.staff.get(key) is not one]
        few = replace(now, students=index(come), staff=index(hired), parents=MappingProxyType({}))
        if before.lessons is not now.lessons:  # who teaches is told by the classes
            taught = {f"{one.key}.{key}" for one in before.lessons.values() for key in one.teachers}
            for gone in taught - {f"{one.key}.{key}" for one in now.lessons.values() for key in one.teachers}:
                self["enrollments"].rows.pop(gone, None)
        for name in _BY_PERSON:
            self[name].rows.update(_rows(name, few))
        for name, old, new in (
            ("classes", before.lessons, now.lessons),
            ("courses", before.courses, now.courses),
            ("orgs", before.schools, now.schools),
        ):
            if old is not new:
                self[name].rows = dict(_rows(name, now))

    def _drop(self, person: Student | Employee, *, keep: bool) -> None:
        """Take out the rows of somebody who is different now; those that stay keep their place in the file."""
        if not keep:
            self["users"].rows.pop(person.key, None)
            self["demographics"].rows.pop(person.key, None)
        role = person.role if isinstance(person, Employee) else "student"
        for school in person.schools:
            self["roles"].rows.pop(f"{person.key}.{school}.{role}", None)
        for school in person.parent_at if isinstance(person, Employee) else ():
            self["roles"].rows.pop(f"{person.key}.{school}.parent", None)
        for lesson in person.lessons if isinstance(person, Student) else ():
            self["enrollments"].rows.pop(f"{lesson}.{person.key}", None)

    def write(self, rosters: Path, last: dict[str, File] | None = None) -> None:
        """Put the delivery in place below `rosters`. With `last`, what was written before, only the files that are different."""
        folder = rosters / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name, file in self.files.items():
            if last is None or not (folder / name).exists() or not _same(last.get(name), file):
                _replaced(folder / name, file.bytes())
                if last is not None:
                    last[name] = file.copy()
        for other in set(folder.glob("*.csv")) - {folder / name for name in self.files}:
            other.unlink()
        _replaced(folder / "manifest.csv", self._manifest().encode())

    def _manifest(self) -> str:
        told = dict.fromkeys((*ABSENT_12, *tables_of(VERSION)), "absent")
        told |= {name.removesuffix(".csv"): self.mode for name in self.files}
        lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{VERSION}"]
        lines += [f"file.{name},{how}" for name, how in sorted(told.items())]
        lines += ["source.systemName,syncd sample district", "source.systemCode,SAMPLE"]
        return "".join(f"{line}\r\n" for line in lines)

    # --- who is where -------------------------------------------------------------------------------------------------

    def students_at(self, campus: str) -> Iterator[str]:
        """The keys of the students of a campus, by its key, in the order of the file."""
        roles = self["roles"]
        user, role, org, kind = (roles.at(name) for name in ("userSourcedId", "role", "orgSourcedId", "roleType"))
        for row in roles.rows.values():
            if row[org] == campus and row[role] == "student" and row[kind] == "primary":
                yield row[user]

    def everybody_at(self, campus: str) -> Iterator[str]:
        """The keys of everybody whose primary place is a campus."""
        roles = self["roles"]
        user, org, kind = (roles.at(name) for name in ("userSourcedId", "orgSourcedId", "roleType"))
        for row in roles.rows.values():
            if row[org] == campus and row[kind] == "primary":
                yield row[user]

    def without(self, keys: set[str]) -> None:
        """Take these people out of every file."""
        for name, column in OWNERS.items():
            file = self[name]
            place = file.at(column)
            file.rows = {key: row for key, row in file.rows.items() if row[place] not in keys}


OWNERS = MappingProxyType(
    {"users": "sourcedId", "demographics": "sourcedId", "roles": "userSourcedId", "enrollments": "userSourcedId"}
)
"""The files that tell of persons, and the column that says of whom."""


def _rows(name: str, roster: Roster) -> Iterator[tuple[str, Row]]:
    for row in tables_of(VERSION)[name][1](roster):
        extra: Row = ()
        if name == "users":
            person = roster.students.get(row[0]) or roster.staff.get(row[0])
            extra = _metadata(person) if person is not None else ("",) * len(METADATA)
        yield row[0], (row[0], "", "", *row[1:], *extra)


def _metadata(person: Student | Employee) -> Row:
    start = person.start.isoformat() if person.start else ""
    if isinstance(person, Employee):
        return start, "", "", "false", "false", person.manager
    last = person.exit.isoformat() if person.exit else ""
    return start, last, person.exit_reason, str(person.optout).lower(), str(person.confidential).lower(), ""


def slim(district: District) -> District:
    """The same without guardians, and with one class for each section: what is held back depends on neither."""
    roster = district.roster
    lessons = {key: one for key, one in roster.lessons.items() if one.kind == "homeroom"}
    courses = {one.course for one in lessons.values()}
    students = [
        replace(one, lessons=tuple(key for key in one.lessons if key in lessons), guardians=()) for one in roster.students.values()
    ]
    kept = replace(
        roster,
        lessons=MappingProxyType(lessons),
        courses=MappingProxyType({key: one for key, one in roster.courses.items() if key in courses}),
        students=index(students),
        parents=MappingProxyType({}),
    )
    return replace(district, roster=kept)


def _same(before: File | None, now: File) -> bool:
    return before is not None and (before.columns, before.rows, before.more, before.encoding, before.raw) == (
        now.columns,
        now.rows,
        now.more,
        now.encoding,
        now.raw,
    )


def _replaced(path: Path, content: bytes) -> None:
    """As a good export does it: a reader sees the old file or the new one."""
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def tell_settings(settings: Path) -> None:
    """Have the shipped settings in this file read such exports: a folder, and no supplements."""
    text = settings.read_text("utf-8").replace('path: "roster/oneroster.zip"', f'path: "roster/{FOLDER}"')
    before, _, rest = text.partition("    supplements:\n")
    _, _, after = rest.partition("    # What the roster must look like to be believed.")
    told = ", ".join(f"{name}: {column}" for name, column in METADATA.items())
    settings.write_text(f"{before}    metadata: {{ {told} }}\n    # What the roster must look like to be believed.{after}", "utf-8")
