"""The written files: exactly the standard's headers, the same bytes every time, and deltas that add up."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from syncd.core.model import Record, Reject, SourceName
from syncd.demo.district import District, Rates
from syncd.demo.oneroster_writer import Version, write_oneroster, write_supplements
from syncd.sources import build, extract
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.vault import Vault

Table = list[dict[str, str]]
LIVELY = Rates(new=30, moved=30, vanished=30, exited=30, staff_left=40, homeroom_teacher=40, campus_renamed=1)

SHARED_HEADERS = {
    "academicSessions": "sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear",
    "orgs": "sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId",
    "courses": ("sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes"),
    "classes": (
        "sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,"
        "termSourcedIds,subjects,subjectCodes,periods"
    ),
    "enrollments": (
        "sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate"
    ),
    "demographics": (
        "sourcedId,status,dateLastModified,birthDate,sex,americanIndianOrAlaskaNative,asian,blackOrAfricanAmerican,"
        "nativeHawaiianOrOtherPacificIslander,white,demographicRaceTwoOrMoreRaces,hispanicOrLatinoEthnicity,"
        "countryOfBirthCode,stateOfBirthAbbreviation,cityOfBirth,publicSchoolResidenceStatus"
    ),
}
HEADERS: dict[Version, dict[str, str]] = {
    "1.1": SHARED_HEADERS
    | {
        "users": (
            "sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,"
            "middleName,identifier,email,sms,phone,agentSourcedIds,grades,password"
        )
    },
    "1.2": SHARED_HEADERS
    | {
        "users": (
            "sourcedId,status,dateLastModified,enabledUser,username,userIds,givenName,familyName,middleName,identifier,"
            "email,sms,phone,agentSourcedIds,grades,password,userMasterIdentifier,preferredGivenName,preferredMiddleName,"
            "preferredFamilyName,primaryOrgSourcedId,pronouns"
        ),
        "roles": (
            "sourcedId,status,dateLastModified,userSourcedId,roleType,role,beginDate,endDate,orgSourcedId,userProfileSourcedId"
        ),
    },
}
ABSENT = {"1.1": 6, "1.2": 13}
ROLES_11 = {"administrator", "aide", "guardian", "parent", "proctor", "relative", "student", "teacher"}
versions = pytest.mark.parametrize("version", ["1.1", "1.2"])


@pytest.fixture(scope="module")
def district() -> District:
    """A small district in which much happens."""
    return District.generate(11, students=300, staff=40, rates=LIVELY)


def tables(path: Path) -> dict[str, Table]:
    """What the zip file holds: its rows by file, without the .csv."""
    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(archive.read(name).decode("utf-8"), newline="")))
            for name in archive.namelist()
        }


@versions
def test_headers_are_exactly_the_standards(district: District, tmp_path: Path, version: Version) -> None:
    """Every file has the version's columns in the version's order, and no byte order mark."""
    with zipfile.ZipFile(write_oneroster(district, tmp_path / "roster.zip", version)) as archive:
        first = {name: archive.read(name).split(b"\r\n", 1)[0].decode("ascii") for name in archive.namelist()}
    assert first.pop("manifest.csv") == "propertyName,value"
    assert {f"{name}.csv": header for name, header in HEADERS[version].items()} == first


@versions
@pytest.mark.parametrize("mode", ["bulk", "delta"])
def test_manifest_lists_what_is_there_and_what_is_not(district: District, tmp_path: Path, version: Version, mode: str) -> None:
    """Every file of the standard is named: bulk or delta where it is in the zip, absent where it is not."""
    previous = district if mode == "delta" else None
    told = tables(write_oneroster(district.advance(), tmp_path / "roster.zip", version, previous))
    manifest = {row["propertyName"]: row["value"] for row in told.pop("manifest")}
    files = {name: how for name, how in manifest.items() if name.startswith("file.")}
    assert (manifest["manifest.version"], manifest["oneroster.version"]) == ("1.0", version)
    assert {f"file.{name}" for name in told} == {name for name, how in files.items() if how == mode}
    assert sum(how == "absent" for how in files.values()) == ABSENT[version]
    assert set(files.values()) == {mode, "absent"}


@versions
def test_references_hold_and_keys_are_unique(district: District, tmp_path: Path, version: Version) -> None:
    """No row names a user, class, org, course, session or agent that is not there; no sourcedId stands twice in a file."""
    told = tables(write_oneroster(district.day(5), tmp_path / "roster.zip", version))
    keys = {name: {row["sourcedId"] for row in rows} for name, rows in told.items() if name != "manifest"}
    assert all(len(keys[name]) == len(told[name]) for name in keys)
    assert all(re.fullmatch(r"[0-9A-Za-z.\-_/@]{1,255}", key) for found in keys.values() for key in found)
    references = {
        "userSourcedId": "users",
        "classSourcedId": "classes",
        "schoolSourcedId": "orgs",
        "orgSourcedId": "orgs",
        "orgSourcedIds": "orgs",
        "primaryOrgSourcedId": "orgs",
        "courseSourcedId": "courses",
        "termSourcedIds": "academicSessions",
        "schoolYearSourcedId": "academicSessions",
        "agentSourcedIds": "users",
    }
    for rows in told.values():
        for row in rows:
            for column, file in references.items():
                assert set(filter(None, row.get(column, "").split(","))) <= keys[file]


@versions
def test_a_full_file_leaves_status_and_change_time_blank(district: District, tmp_path: Path, version: Version) -> None:
    """Bulk rows carry no status and no dateLastModified, as the strict reading of 1.2 asks."""
    told = tables(write_oneroster(district, tmp_path / "roster.zip", version))
    assert {row.get("status", "") + row.get("dateLastModified", "") for rows in told.values() for row in rows} == {""}


def test_version_1_1_knows_one_role_of_its_own_words(district: District, tmp_path: Path) -> None:
    """In 1.1 roles are single and limited; the second school of a person stands in orgSourcedIds."""
    users = tables(write_oneroster(district, tmp_path / "roster.zip", "1.1"))["users"]
    (dual, *_) = district.planted["dual_enrolment"]
    assert {row["role"] for row in users} <= ROLES_11
    assert [row["orgSourcedIds"].count(",") for row in users if row["sourcedId"] == dual] == [1]


def test_version_1_2_has_one_primary_role_per_user(district: District, tmp_path: Path) -> None:
    """Every user's primary role is at the primary school of their row."""
    told = tables(write_oneroster(district, tmp_path / "roster.zip"))
    primary = {row["userSourcedId"]: row["orgSourcedId"] for row in told["roles"] if row["roleType"] == "primary"}
    assert primary == {row["sourcedId"]: row["primaryOrgSourcedId"] for row in told["users"]}


@versions
def test_same_state_same_bytes(district: District, tmp_path: Path, version: Version) -> None:
    """Written twice, at any time, a state gives the same file."""
    one = write_oneroster(district, tmp_path / "one.zip", version)
    two = write_oneroster(District.generate(11, students=300, staff=40, rates=LIVELY), tmp_path / "two.zip", version)
    assert one.read_bytes() == two.read_bytes()


@versions
def test_full_file_with_the_deltas_after_it_is_the_later_full_file(district: District, tmp_path: Path, version: Version) -> None:
    """Applying five daily deltas in turn to the first full file gives the rows of the last day's full file."""
    days = list(district.days(6))
    rows = {
        (name, row["sourcedId"]): row
        for name, table in tables(write_oneroster(days[0], tmp_path / "full.zip", version)).items()
        if name != "manifest"
        for row in table
    }
    for before, after in pairwise(days):
        for name, table in tables(write_oneroster(after, tmp_path / "delta.zip", version, before)).items():
            for row in table if name != "manifest" else ():
                stamp, status = row["dateLastModified"], row["status"]
                assert stamp == f"{after.today}T04:00:00.000Z"
                if status == "tobedeleted":
                    del rows[name, row["sourcedId"]]
                else:
                    assert status == "active"
                    rows[name, row["sourcedId"]] = row | {"status": "", "dateLastModified": ""}
    last = tables(write_oneroster(days[-1], tmp_path / "last.zip", version))
    assert rows == {(name, row["sourcedId"]): row for name, table in last.items() if name != "manifest" for row in table}


@versions
def test_a_week_of_strict_deltas_reads_as_the_last_full_delivery(district: District, tmp_path: Path, version: Version) -> None:
    """Through the source itself: a full delivery and daily deltas, each merged onto the one before, tell the same of everybody."""
    vault, name, now = Vault(b"a key for tests, nothing else..."), SourceName("sis"), datetime(2026, 9, 1, tzinfo=UTC)
    source = build("oneroster_csv", name, OneRosterCsvConfig(tmp_path / "roster.zip", headers="strict"), vault)

    def told(accepted: str | None) -> tuple[str, dict[str, Record]]:
        spool = extract(name, source, tmp_path / "spools", vault, accepted, now)
        items = list(source.records(spool, None))
        assert not [one for one in items if isinstance(one, Reject)]
        return spool.id, {one.key: replace(one, rows=()) for one in items if isinstance(one, Record)}

    before, accepted = None, None
    for day in district.days(6):
        write_oneroster(day, tmp_path / "roster.zip", version, before)
        accepted, merged = told(accepted)
        before = day
    write_oneroster(district.day(5), tmp_path / "roster.zip", version)
    _, full = told(None)
    assert {key: one for key, one in merged.items() if key in full} == full
    left = {key: one for key, one in merged.items() if key not in full}
    assert left
    assert all(one.fields["exit_date"] for one in left.values())


def test_delta_of_nothing_has_headers_only(district: District, tmp_path: Path) -> None:
    """Where nothing changed the delta file is complete and empty."""
    told = tables(write_oneroster(district, tmp_path / "delta.zip", previous=district))
    assert told.pop("manifest")
    assert not any(told.values())


def test_supplements_hold_facts_flags_exits_and_managers(district: District, tmp_path: Path) -> None:
    """The four files name people by number; dates of birth are spelled as Texas exports spell them."""
    day = district.day(3)
    files = write_supplements(day, tmp_path / "new" / "folder")
    told = {path.name: list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"), newline=""))) for path in files}
    students, staff = day.roster.students.values(), day.roster.staff
    assert [*told] == ["claim_facts.csv", "ferpa.csv", "exits.csv", "staff.csv"]
    births = {row["student_number"]: row["birth_date"] for row in told["claim_facts.csv"]}
    assert births == {one.number: one.birth.strftime("%m/%d/%Y") for one in students}
    assert all(bool(row["ssn4"]) != bool(row["s_number4"]) for row in told["claim_facts.csv"])
    assert {one.number for one in students if one.confidential} == {
        row["student_number"] for row in told["ferpa.csv"] if row["confidential"] == "Y"
    }
    assert {(one.number, one.exit.isoformat(), one.exit_reason) for one in students if one.exit} == {
        (row["student_number"], row["exit_date"], row["exit_reason"]) for row in told["exits.csv"] if row["exit_date"]
    }
    managers = {one.number: staff[one.manager].number if one.manager else "" for one in staff.values()}
    assert managers == {row["staff_number"]: row["manager"] for row in told["staff.csv"]}


def test_a_large_roster_is_written_whole(tmp_path: Path) -> None:
    """28,000 persons with more than 200,000 enrolments are generated, and every row of them is written."""
    large = District.generate(3, campuses=40, students=25_000, staff=3_000)
    path = write_oneroster(large, tmp_path / "large.zip")
    with zipfile.ZipFile(path) as archive, archive.open("enrollments.csv") as rows:
        assert sum(1 for _ in rows) > 200_000
