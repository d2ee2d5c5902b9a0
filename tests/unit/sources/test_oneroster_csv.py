"""OneRoster CSV: what the rows of a delivery become, and how a delta is merged."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Record, Reject, SourceKey, Subject
from syncd.errors import EndpointError
from syncd.sources import Source, Spool, build, extract
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.vault import Vault
from tests.contract.source_contract import summed
from tests.contract.test_sources import as_11
from tests.fixtures.broken_rosters import (
    NOW,
    SIS,
    Delivery,
    Rows,
    broken,
    cell,
    delta,
    drop_column,
    every,
    header,
    healthy,
    manifest,
    only_header,
    row,
    rows_of,
    without,
    write_zip,
)

VAULT = Vault(b"a key for tests, nothing else...")
SAMPLES = Path(__file__).parents[4] / "shared" / "contracts" / "specs"


class District:
    """A folder to deliver into, and the last accepted spool."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.source: Source = build("oneroster_csv", SIS, OneRosterCsvConfig(folder / "roster.zip", **options), VAULT)
        self.accepted: str | None = None

    def deliver(self, *changes: Callable[[Delivery], None]) -> Spool:
        """Deliver the healthy roster with these changes; what was read is accepted."""
        broken(*changes)(self.folder)
        spool = extract(SIS, self.source, self.folder / "spools", VAULT, self.accepted, NOW)
        self.accepted = spool.id
        return spool

    def records(self, *changes: Callable[[Delivery], None]) -> dict[str, Record]:
        """The records of a delivery."""
        return {str(one.key): one for one in self.source.records(self.deliver(*changes), None) if isinstance(one, Record)}


@pytest.fixture
def district(tmp_path: Path) -> District:
    """A district with the plain options."""
    return District(tmp_path)


def test_a_student_is_told_with_campus_classes_and_guardian(district: District) -> None:
    """One record holds what seven files say about a student."""
    student = district.records()["s1"]
    assert student.fields | {"grade_index": 7} == student.fields
    expected = {"given": "Anna", "family": "Brown", "preferred_given": "Annie", "student_number": "1001", "state_id": "88001"}
    assert student.fields | expected | {"grade": "07", "enabled": True} == student.fields
    assert [(role.campus.code, role.role, role.primary) for role in student.roles] == [("012", "student", True)]
    assert [(one.section.code, one.section.kind, one.section.course, one.begin) for one in student.enrolments] == [
        ("HR7", "homeroom", "Homeroom", date(2026, 8, 15)), ("ALG1", "scheduled", "Algebra", date(2026, 8, 15)),
    ]  # fmt: skip
    assert [guardian.guardian for guardian in student.guardians] == ["g1"]
    assert student.related == {"homeroom.teacher": "t1"}
    assert {str(one) for one in student.rows} == {
        "users.csv:4",
        "roles.csv:4",
        "demographics.csv:2",
        "enrollments.csv:4",
        "enrollments.csv:5",
    }


def test_class_dates_come_from_its_terms(district: District) -> None:
    """A class runs from its first term's begin to its last term's end; with a term unknown it is not bounded."""
    section = district.records()["s1"].enrolments[0].section
    assert (section.begin, section.end) == (date(2026, 8, 15), date(2027, 5, 28))
    unknown = district.records(cell("classes", "k1", "termSourcedIds", "y27,y99"))["s1"].enrolments[0].section
    assert (unknown.begin, unknown.end) == (None, None)


def test_staff_have_a_staff_number_and_no_grade(district: District) -> None:
    """`identifier` is the student number of students and the staff number of staff; a teacher's grades are what they teach."""
    teacher = district.records(cell("users", "t1", "grades", "07,08"))["t1"]
    assert (teacher.fields["staff_number"], teacher.fields["student_number"], teacher.fields["grade"]) == ("901", "", "")


def test_the_primary_teacher_comes_first(district: District) -> None:
    """`primary` decides among several teachers of a class, else who came last, else the key."""

    def two(primary: str) -> list[Callable[[Delivery], None]]:
        return [
            row("enrollments", "e9", "", "", "k1", "o1", "t2", "teacher", primary, "", ""),
            cell("enrollments", "e1", "primary", "false"),
        ]

    assert district.records(*two("true"))["s1"].related["homeroom.teacher"] == "t2"
    assert district.records(*two("false"))["s1"].enrolments[0].section.teachers == ("t1", "t2")


def test_primary_org_decides_which_role_is_primary(district: District) -> None:
    """The user's own primaryOrgSourcedId is the system's primary flag; `roleType` counts where it is empty."""
    second = (
        row("orgs", "o2", "", "", "South", "school", "013", "d"),
        row("roles", "r9", "", "", "s1", "secondary", "student", "", "", "o2", ""),
    )
    roles = district.records(*second, cell("users", "s1", "primaryOrgSourcedId", "o2"))["s1"].roles
    assert {role.campus.code: role.primary for role in roles} == {"012": False, "013": True}
    roles = district.records(*second, cell("users", "s1", "primaryOrgSourcedId", ""))["s1"].roles
    assert {role.campus.code: role.primary for role in roles} == {"012": True, "013": False}


def test_a_guardian_who_points_at_the_child_is_found(district: District) -> None:
    """`agentSourcedIds` may stand on either side, and either side's row touches the child."""
    before = district.deliver()
    after = district.deliver(cell("users", "g1", "agentSourcedIds", "s2"))
    assert [one.guardian for one in next(iter(district.source.records(after, [SourceKey("s2")]))).guardians] == ["g1"]  # type: ignore[union-attr]  # a healthy record
    old, new = summed(district.source, before), summed(district.source, after)
    assert {subject.key for subject in new if old.get(subject) != new[subject]} == {"g1", "s2"}


def test_birth_dates_are_tokens_equal_for_equal_dates(district: District) -> None:
    """The fact can be compared across persons and is nowhere in clear (R23)."""
    records = district.records(cell("demographics", "s2", "birthDate", "2013-04-05"))
    assert records["s1"].facts["birth_date"] == records["s2"].facts["birth_date"] != records["s3"].facts["birth_date"]
    assert "2013" not in records["s1"].facts["birth_date"]
    spool = district.deliver()
    assert "2013-04-05" not in repr(list(spool.rows("demographics")))


def test_columns_not_in_use_are_not_spooled(district: District) -> None:
    """Passwords, sex and race are not even copied (R38)."""
    spool = district.deliver(every("users", "password", "hunter2"), every("demographics", "sex", "female"))
    assert "password" not in spool.columns("users")
    assert spool.columns("demographics") == ("sourcedId", "status", "dateLastModified", "birthDate")


PROFILES: Rows = [
    ["sourcedId", "status", "dateLastModified", "userSourcedId", "profileType", "vendorId", "applicationId", "description",
     "credentialType", "username", "password"],
    ["p1", "", "", "s1", "library", "v", "a", "", "", "anna.reads", "hunter2"],
    ["p2", "", "", "s2", "other", "v", "a", "", "", "bo.elsewhere", "hunter2"],
]  # fmt: skip


def with_profiles(delivery: Delivery) -> None:
    """The delivery has user profiles too."""
    delivery["userProfiles.csv"] = [list(line) for line in PROFILES]
    manifest("file.userProfiles", "bulk")(delivery)


def test_user_profiles_are_read_where_a_field_is_made_of_them(tmp_path: Path) -> None:
    """The username of a declared profile feeds its field; without one the file is not even copied (R38)."""
    (tmp_path / "told").mkdir()
    (tmp_path / "plain").mkdir()
    told = District(tmp_path / "told", profiles={"extra.library": "library"}).records(with_profiles)
    assert (told["s1"].fields["extra.library"], "extra.library" in told["s2"].fields) == ("anna.reads", False)
    assert "userProfiles" not in District(tmp_path / "plain").deliver(with_profiles).counts


def test_declared_metadata_columns_feed_fields_and_facts(tmp_path: Path) -> None:
    """`metadata.*` columns are read where declared, claim facts among them as tokens; an unreadable opt-out is an opt-out (R37)."""
    district = District(
        tmp_path, metadata={"extra.bus": "metadata.bus", "ssn4": "metadata.ssn", "directory_optout": "metadata.ferpa"}
    )

    def add(delivery: Delivery) -> None:
        users = rows_of(delivery, "users")
        for place, line in enumerate(users):
            line.extend(
                ["metadata.bus", "metadata.ssn", "metadata.ferpa"] if place == 0 else [f"{place}", "123-45-6789", "perhaps"]
            )

    student = district.records(add)["s1"]
    assert (student.fields["extra.bus"], student.fields["directory_optout"]) == ("3", True)
    assert student.facts["ssn4"].startswith("t1:")


def test_explicitly_deleted_users_exit_on_that_day(district: District) -> None:
    """`tobedeleted` with a day is an explicit exit (R36), the roles still telling who it was; without one the person is gone."""
    gone = district.records(
        cell("users", "s1", "status", "tobedeleted"),
        cell("users", "s1", "dateLastModified", "2026-09-10T03:00:00.000Z"),
        cell("roles", "r3", "status", "tobedeleted"),
    )
    assert gone["s1"].fields["exit_date"] == date(2026, 9, 10)
    assert [role.role for role in gone["s1"].roles] == ["student"]
    undated = district.deliver(cell("users", "s1", "status", "tobedeleted"))
    assert "s1" not in {subject.key for subject in summed(district.source, undated)}
    assert not [one for one in district.source.digests(undated) if isinstance(one, Reject)]


def test_modified_dates_alone_touch_nobody(district: District) -> None:
    """Exports that stamp every row every night do not make everybody dirty."""
    before = district.deliver()
    stamps = [
        every(table, "dateLastModified", "2026-09-02T00:00:00.000Z")
        for table in ("users", "roles", "enrollments", "orgs", "classes")
    ]
    after = district.deliver(*stamps)
    assert before.id != after.id
    assert summed(district.source, before) == summed(district.source, after)


@pytest.mark.parametrize(
    ("change", "touched"),
    [
        (cell("orgs", "o1", "name", "South"), {"o1"}),
        (cell("courses", "c2", "title", "Geometry"), {"k2"}),
        (cell("academicSessions", "y27", "endDate", "2027-06-30"), {"k1", "k2"}),
        (cell("enrollments", "e3", "endDate", "2026-12-01"), {"s1"}),
        (cell("enrollments", "e1", "primary", "false"), {"t1", "k1"}),
        (cell("roles", "r4", "role", "aide"), {"s2"}),
        (cell("demographics", "s3", "birthDate", "2012-08-10"), {"s3"}),
        (cell("users", "t1", "password", "new"), set()),
        (cell("classes", "k1", "location", "Room 9"), set()),
        (without("enrollments", "e6"), {"s3"}),
    ],
)  # fmt: skip
def test_a_digest_changes_exactly_with_what_is_used(
    district: District, change: Callable[[Delivery], None], touched: set[str]
) -> None:
    """A changed row touches whom it feeds, an unused column nobody."""
    old = summed(district.source, district.deliver())
    new = summed(district.source, district.deliver(change))
    assert {subject.key for subject in old.keys() | new.keys() if old.get(subject) != new.get(subject)} == touched


def test_row_order_does_not_matter(district: District) -> None:
    """A shuffled export is the same roster: no digest differs and no record, or what is not dirty would have changed (R4)."""

    def shuffle(delivery: Delivery) -> None:
        for rows in delivery.values():
            if isinstance(rows, list) and rows[0][0] == "sourcedId":
                rest = rows[1:]
                random.Random(4).shuffle(rest)
                rows[1:] = rest

    second = (
        row("orgs", "o0", "", "", "South", "school", "013", "d"),
        row("roles", "r0", "", "", "s1", "primary", "student", "", "", "o0", ""),
    )
    spools = district.deliver(*second), district.deliver(*second, shuffle)
    assert summed(district.source, spools[0]) == summed(district.source, spools[1])
    told = [
        {one.key: replace(one, rows=()) for one in district.source.records(spool, None) if isinstance(one, Record)}
        for spool in spools
    ]
    assert told[0] == told[1]


# --- deltas -------------------------------------------------------------------------------------------------------------


def test_a_delta_gives_what_the_full_file_would(district: District) -> None:
    """Merged onto the last accepted delivery, a delta is a full one: changed, new and deleted rows, others as they were."""
    changes = [cell("users", "s1", "givenName", "Anne"), cell("enrollments", "e6", "classSourcedId", "k1")]
    whole = district.deliver(*changes)
    full = {one.key: one for one in district.source.records(whole, None) if isinstance(one, Record)}
    district.deliver()

    def only_changed(delivery: Delivery) -> None:
        delta("users", "enrollments")(delivery)
        for table, key in (("users", "s1"), ("enrollments", "e6")):
            delivery[f"{table}.csv"] = [rows_of(delivery, table)[0], *(line for line in rows_of(delivery, table) if line[0] == key)]

    merged = district.deliver(*changes, only_changed)
    assert merged.counts["users"] == 6
    found = {one.key: one for one in district.source.records(merged, None) if isinstance(one, Record)}
    assert {key: (one.fields, one.roles, one.enrolments) for key, one in found.items()} == {
        key: (one.fields, one.roles, one.enrolments) for key, one in full.items()
    }


def test_the_same_delta_again_changes_nothing(district: District) -> None:
    """A delta delivered twice is recognised."""
    district.deliver()
    once = district.deliver(delta("users"))
    assert district.deliver(delta("users")).id == once.id


def test_an_older_delta_does_not_undo_a_newer_row(district: District) -> None:
    """A row is replaced only by one modified later."""
    district.deliver()
    district.deliver(
        cell("users", "s1", "givenName", "Newer"), delta("users"), every("users", "dateLastModified", "2026-09-05T00:00:00.000Z")
    )
    found = district.records(cell("users", "s1", "givenName", "Older"), delta("users"))
    assert found["s1"].fields["given"] == "Newer"


def test_a_delta_does_not_forget_whom_to_shield(district: District) -> None:
    """A row that could not be used stays a Reject until it is sent again."""
    district.deliver(without("users", "s3"), row("users", "s3", "", "", "true"))
    spool = district.deliver(delta("users"), without("users", "s3"))
    assert "s3" in {one.key for one in district.source.digests(spool) if isinstance(one, Reject)}
    mended = district.deliver(delta("users"), cell("users", "s3", "givenName", "Cyd"))
    assert not [one for one in district.source.digests(mended) if isinstance(one, Reject)]


def test_a_row_that_was_broken_once_counts_again_when_it_is_sent_again(district: District) -> None:
    """A delta may break a row the full file had; the next delta that holds it whole ends the shield."""
    district.deliver()
    short = district.deliver(delta("users"), without("users", "s1"), row("users", "s1", "active", "2026-08-30T00:00:00.000Z"))
    assert {one.key for one in district.source.digests(short) if isinstance(one, Reject)} == {"s1"}
    mended = district.deliver(delta("users"), cell("users", "s1", "givenName", "Anne"))
    assert not [one for one in district.source.digests(mended) if isinstance(one, Reject)]
    told = {one.key: one for one in district.source.records(mended, None) if isinstance(one, Record)}
    assert told[SourceKey("s1")].fields["given"] == "Anne"


@pytest.mark.parametrize(
    ("before", "after", "newer"),
    [
        ("2026-08-30T00:00:00.000Z", "", True),
        ("9/5/2026", "9/10/2026", True),
        ("2026-08-30T00:00:00Z", "2026-08-30T00:00:00.500Z", True),
        ("2026-08-30T06:00:00+05:00", "2026-08-30T02:00:00Z", True),
        ("2026-08-30", "2026-08-30T02:00:00Z", True),
        ("2026-08-30T02:00:00Z", "2026-08-30T02:00:00Z", True),
        ("2026-08-30T02:00:00Z", "2026-08-30T01:00:00Z", False),
        ("2026-08-30T02:00:00.000Z", "2026-08-30T04:00:00+05:00", False),
    ],
)
def test_a_delta_row_is_dropped_only_when_it_is_surely_older(district: District, before: str, after: str, *, newer: bool) -> None:
    """Times are compared as times; a row whose time is missing or unreadable is taken: to send it is to say it is new."""
    district.deliver(every("users", "dateLastModified", before))
    told = district.records(
        cell("users", "s1", "givenName", "Anne"), delta("users"), cell("users", "s1", "dateLastModified", after)
    )
    assert told["s1"].fields["given"] == ("Anne" if newer else "Anna")


def test_a_delta_of_a_file_the_full_delivery_did_not_have_is_refused(district: District) -> None:
    """R1: merged onto nothing it would pass for the whole file."""

    def without_birth_dates(delivery: Delivery) -> None:
        del delivery["demographics.csv"]
        manifest("file.demographics", "absent")(delivery)

    district.deliver(without_birth_dates)
    with pytest.raises(EndpointError, match=r"demographics\.csv is a delta, and the last full delivery had no such file"):
        district.deliver(delta("demographics"))


# --- what was there before and is missing now ---------------------------------------------------------------------------


def absent(table: str) -> Callable[[Delivery], None]:
    """The delivery says that it leaves out a file."""

    def change(delivery: Delivery) -> None:
        del delivery[f"{table}.csv"]
        manifest(f"file.{table}", "absent")(delivery)

    return change


LOST = [
    (absent("enrollments"), "enrollments", r"enrollments\.csv is missing; the last delivery had 6 rows of it"),
    (only_header("enrollments"), "enrollments", r"enrollments\.csv holds no usable row; the last delivery had 6"),
    (absent("demographics"), "demographics", r"demographics\.csv is missing; the last delivery had 3 rows of it"),
    (only_header("classes"), "classes", r"classes\.csv holds no usable row; the last delivery had 2"),
    (drop_column("users", "email"), "users.email", r"users\.csv: column 'email' is missing; the last delivery had it"),
    (drop_column("users", "grades"), "users.grades", r"users\.csv: column 'grades' is missing; the last delivery had it"),
]  # fmt: skip


@pytest.mark.parametrize(("lose", "name", "why"), LOST, ids=[f"{name} {number}" for number, (_, name, _) in enumerate(LOST)])
def test_what_the_last_delivery_had_may_not_go_missing(
    tmp_path: Path, lose: Callable[[Delivery], None], name: str, why: str
) -> None:
    """R1: an optional file or column that was there is an error when it is not, unless `may_lack` says so."""
    for may_lack in ((), (name,)):
        district = District(tmp_path / "-".join(("d", *may_lack)), may_lack=may_lack)
        district.folder.mkdir()
        before = district.deliver()
        if not may_lack:
            with pytest.raises(EndpointError, match=why) as refused:
                district.deliver(lose)
            assert f"may_lack: [{name}]" in refused.value.remedy
        else:
            assert district.deliver(lose).id != before.id


@pytest.mark.parametrize(
    ("table", "message"), [("roles", "no usable row"), ("orgs", "no usable row"), ("users", "a header and no user")]
)
def test_a_roster_without_people_roles_or_schools_is_refused_at_first_contact(district: District, table: str, message: str) -> None:
    """Zero is a number to be suspicious of: without roles everybody would leave."""
    with pytest.raises(EndpointError, match=rf"{table}\.csv holds {message}"):
        district.deliver(only_header(table))


def test_what_may_be_lacking_must_be_a_file_or_a_column() -> None:
    """A misspelled name is found when the settings are loaded, and what nobody can do without cannot be named."""
    with pytest.raises(ValueError, match=r"may_lack: no file or column 'users\.mail'"):
        OneRosterCsvConfig(Path("x"), may_lack=("users.mail",))
    with pytest.raises(ValueError, match=r"may_lack: no roster can do without 'users'"):
        OneRosterCsvConfig(Path("x"), may_lack=("users",))


# --- the rest -----------------------------------------------------------------------------------------------------------


def test_without_manifest_the_version_shows(district: District) -> None:
    """Lenient reading needs no manifest: roles.csv is the mark of 1.2."""
    assert len(district.records(lambda delivery: delivery.pop("manifest.csv") and None)) == 6


def as_version_11(delivery: Delivery) -> None:
    """The same roster as OneRoster 1.1."""
    as_11(delivery)


def test_a_user_of_1_1_without_a_school_is_shielded(district: District) -> None:
    """An empty `orgSourcedIds` is a row that cannot be used, not a person without a role: they must not count as leaving."""
    spool = district.deliver(as_version_11, cell("users", "s1", "orgSourcedIds", ""), cell("users", "g1", "orgSourcedIds", ""))
    rejects = [one for one in district.source.digests(spool) if isinstance(one, Reject)]
    assert [(one.key, str(one.row), one.why) for one in rejects] == [("s1", "users.csv:4", "orgSourcedIds is empty")]


def test_facts_of_nobody_are_passed_over_in_digests_and_records_alike(district: District) -> None:
    """A birth date that cannot be read, of somebody who is not in the roster, shields nobody and is no finding."""
    spool = district.deliver(row("demographics", "s9", "", "", "2013-13-01", *[""] * 12))
    assert not [one for one in district.source.digests(spool) if isinstance(one, Reject)]
    assert not [one for one in district.source.records(spool, None) if isinstance(one, Reject)]


def test_an_empty_reference_is_called_empty(district: District) -> None:
    """Nobody looks for an org called ''."""
    spool = district.deliver(cell("roles", "r3", "orgSourcedId", ""))
    assert [one.why for one in district.source.digests(spool) if isinstance(one, Reject)] == ["orgSourcedId is empty"]


def test_unknown_columns_are_ignored(district: District) -> None:
    """A vendor's own column is no reason to refuse a roster, unless it looks like a misspelled one."""

    def add(delivery: Delivery) -> None:
        for place, line in enumerate(rows_of(delivery, "users")):
            line.append("x" if place else "ext_region")

    assert len(district.records(add)) == 6


def test_strict_reading_accepts_the_standard(tmp_path: Path) -> None:
    """The healthy delivery is standard to the letter."""
    assert len(District(tmp_path, headers="strict").records()) == 6


def test_problems_of_a_delivery_come_together(district: District) -> None:
    """What is wrong with manifest and file names is said at once, not one export at a time."""
    with pytest.raises(EndpointError, match=r"userProfiles.*must be called|no value for file.users"):
        district.deliver(
            lambda delivery: delivery.update({"userprofiles.csv": b"x"}),
            manifest("file.userProfiles", ""),
            manifest("file.users", ""),
        )


def test_options_that_feed_nothing_are_refused() -> None:
    """A misspelled field in the configuration is found when it is loaded."""
    with pytest.raises(ValueError, match="did you mean 'directory_optout'"):
        OneRosterCsvConfig(Path("x"), metadata={"directory_optut": "metadata.x"})


def published(version: str) -> list[Path]:
    """The samples of other makers, where their folder is present."""
    return sorted(SAMPLES.glob(f"oneroster-{version}/moodle-samples/*.zip"))


def test_published_samples_of_1_1_load(tmp_path: Path) -> None:
    """Whoever made them, they are read to their end and everybody in them is told."""
    for sample in published("1.1"):
        source = build("oneroster_csv", SIS, OneRosterCsvConfig(sample), VAULT)
        told = list(source.records(extract(SIS, source, tmp_path, VAULT, None, NOW), None))
        assert told, sample
        assert not [one for one in told if isinstance(one, Reject) and one.subject is Subject.PERSON]


def test_a_published_malformed_sample_loads_when_what_is_said_is_done(tmp_path: Path) -> None:
    """It is refused twice, with every fault of manifest and names, then with every fault of the headers; mended so, it loads."""
    for sample in (one for one in published("1.2") if "full" in one.name):
        path = tmp_path / "roster.zip"
        source = build("oneroster_csv", SIS, OneRosterCsvConfig(path), VAULT)

        def refusal(files: dict[str, bytes], path: Path = path, source: Source = source) -> str:
            write_zip(dict(files), path)
            with pytest.raises(EndpointError) as refused:
                extract(SIS, source, tmp_path / "spools", VAULT, None, NOW)
            return str(refused.value)

        with zipfile.ZipFile(sample) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        said = refusal(files)
        assert "manifest.csv has no value for file.userProfiles, it must be bulk, delta or absent" in said
        assert "holds userprofiles.csv, which must be called userProfiles.csv" in said

        files["userProfiles.csv"] = files.pop("userprofiles.csv")
        files["manifest.csv"] = files["manifest.csv"].replace(b"userProfiles,", b"userProfiles,bulk")
        said = refusal(files)
        assert "users.csv:1: unknown column 'prefferedGivenName'; did you mean 'preferredGivenName'?" in said
        assert "roles.csv:1: unknown column 'dataLastModified'; did you mean 'dateLastModified'?" in said

        files["users.csv"] = files["users.csv"].replace(b"preffered", b"preferred")
        files["roles.csv"] = files["roles.csv"].replace(b"dataLastModified", b"dateLastModified")
        write_zip(dict(files), path)
        told = list(source.records(extract(SIS, source, tmp_path / "spools", VAULT, None, NOW), None))
        assert [one.fields["family"] for one in told if isinstance(one, Record)] == [
            "Doe",
            "Jones",
            "Jones",
            "Smith",
            "Jones",
            "Brown",
        ]


def test_a_published_delta_is_refused_alone_and_merged_onto_a_full_delivery(tmp_path: Path) -> None:
    """A clean delta of another maker adds its person to the roster there was."""
    for sample in (one for one in published("1.2") if "delta" in one.name):
        district = District(tmp_path)
        (tmp_path / "roster.zip").write_bytes(sample.read_bytes())
        with pytest.raises(EndpointError, match="ask for a bulk export first"):
            extract(SIS, district.source, tmp_path / "spools", VAULT, None, NOW)
        full = district.deliver()
        (tmp_path / "roster.zip").write_bytes(sample.read_bytes())
        spool = extract(SIS, district.source, tmp_path / "spools", VAULT, full.id, NOW)
        told = {str(one.key): one for one in district.source.records(spool, None) if isinstance(one, Record)}
        assert told["USER_0"].fields["family"] == "Wayne"
        assert len(told) == 7


def test_the_faults_of_all_headers_come_together(district: District) -> None:
    """Nobody should have to export once for every file with a misspelled column."""
    with pytest.raises(EndpointError) as refused:
        district.deliver(header("users", "familyName", "familyNmae"), header("orgs", "name", "nmae"), drop_column("roles", "role"))
    assert "users.csv:1: unknown column 'familyNmae'" in str(refused.value)
    assert "roles.csv:1: column 'role' is missing" in str(refused.value)
    assert "orgs.csv:1: column 'name' is missing" in str(refused.value)
    assert str(refused.value).count("correct the header in the export") == 1


def test_a_sample_of_every_fault_at_once_names_them(tmp_path: Path) -> None:
    """Wrong file name, blank manifest value, misspelled headers, nameless columns: a delivery as one was really published."""
    delivery = healthy()
    delivery["userprofiles.csv"] = delivery["roles.csv"]
    manifest("file.userProfiles", "")(delivery)
    header("roles", "dateLastModified", "dataLastModified")(delivery)
    path = write_zip(delivery, tmp_path / "roster.zip")
    source = build("oneroster_csv", SIS, OneRosterCsvConfig(path), VAULT)
    with pytest.raises(EndpointError) as refused:
        extract(SIS, source, tmp_path / "spools", VAULT, None, NOW)
    assert "holds userprofiles.csv, which must be called userProfiles.csv" in str(refused.value)
    assert "has no value for file.userProfiles" in str(refused.value)


def written_otherwise(delivery: Delivery) -> None:
    """The same rows from the last to the first, every cell in quotes, lines ended as Unix does."""
    for name, rows in delivery.items():
        if name != "manifest.csv" and not isinstance(rows, bytes):
            head, *body = [",".join(rows[0]), *(",".join(f'"{one}"' for one in cells) for cells in reversed(rows[1:]))]
            delivery[name] = "\n".join([head, *body, ""]).encode()


def test_the_same_rows_written_otherwise_are_the_same_spool(district: District) -> None:
    """R2: order, quotes and line ends are no news; one cell that differs is."""
    before = district.deliver()
    assert district.deliver(written_otherwise).id == before.id
    assert district.deliver(cell("users", "s1", "givenName", "Another"), written_otherwise).id != before.id
