"""A roster of a million people, written as fast as text can be joined: OneRoster 1.2 with orgs.csv, users.csv and roles.csv.

Every person is a function of their number, so nothing is kept. One in 200 is staff; one in 1,000, all of them staff, has a middle
name that is another one in every version of the roster. The same arguments give the same bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random

from syncd.demo.names import BOYS, FAMILIES, GIRLS, MIDDLES

STAFF_EVERY, CHANGED_EVERY = 200, 1_000
_CAMPUSES = 500
_CHUNK = 20_000
_GIVEN = (*GIRLS, *BOYS)
_GRADES = ("KG", *(f"{grade:02}" for grade in range(1, 13)))

_ORGS = "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId"
_USERS = (
    "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,"
    "agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,preferredFamilyName,"
    "primaryOrgSourcedId,pronouns"
)
_ROLES = "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"


@dataclass(frozen=True, slots=True)
class Edition:
    """One export. `version` is in the middle names of those who change; `shuffle` is the seed of another order of rows, 0 for none.

    `quoted` exports hold the same rows in other bytes: the first cell of the last row stands in quotation marks.
    """

    people: int
    version: int = 0
    shuffle: int = 0
    quoted: bool = False


def write(edition: Edition, path: Path) -> Path:
    """The export as a zip file at `path`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        _write(archive, "orgs.csv", _ORGS, map(_org, range(_CAMPUSES)), edition)
        _write(archive, "users.csv", _USERS, (_user(n, edition.version) for n in _order(edition, 1)), edition)
        _write(archive, "roles.csv", _ROLES, map(_role, _order(edition, 2)), edition)
    return path


def _order(edition: Edition, file: int) -> Sequence[int]:
    """The persons in the order in which this file lists them: no two files of a shuffled export agree."""
    if not edition.shuffle:
        return range(edition.people)
    order = list(range(edition.people))
    Random(edition.shuffle * 10 + file).shuffle(order)  # noqa: S311 — an order to be had again, no secret
    return order


def _write(archive: zipfile.ZipFile, name: str, header: str, rows: Iterator[str], edition: Edition) -> None:
    last = ""
    with archive.open(name, "w", force_zip64=True) as file:
        file.write(f"{header}\r\n".encode())
        while chunk := list(islice(rows, _CHUNK)):
            file.write("".join([f"{row}\r\n" for row in ([last] if last else []) + chunk[:-1]]).encode())
            last = chunk[-1]
        cell, comma, rest = last.partition(",")
        file.write((f'"{cell}"{comma}{rest}' if edition.quoted else last).encode() + b"\r\n")


def _key(n: int) -> str:
    """Keys as roster systems make them: long, and in no order that means anything."""
    mixed = n * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    return f"{mixed >> 32:08x}-{mixed >> 16 & 0xFFFF:04x}-4{n >> 20 & 0xFFF:03x}-{mixed & 0xFFFF:04x}-{n:012x}"


def _org(n: int) -> str:
    return f"campus-{n:03},,,Campus {n:03},school,{n:03},"


def _user(n: int, version: int) -> str:
    staff = n % STAFF_EVERY == 0
    given, family = _GIVEN[n % len(_GIVEN)], FAMILIES[n * 7 % len(FAMILIES)]
    middle = f"Version {version} {n}" if n % CHANGED_EVERY == 0 else MIDDLES[n % len(MIDDLES)]
    number = f"{n + 10_000_000}"
    grade = "" if staff else _GRADES[n % len(_GRADES)]
    mail = f"{number}@home.example.org"
    return (
        f"{_key(n)},,,true,{number},,{given},{family},{middle},{number},{mail},,,,{grade},,{number},,,,campus-{n % _CAMPUSES:03},"
    )


def _role(n: int) -> str:
    role = "teacher" if n % STAFF_EVERY == 0 else "student"
    return f"role-{n:08},,,{_key(n)},primary,{role},,,campus-{n % _CAMPUSES:03},"
