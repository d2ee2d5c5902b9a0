"""OneRoster CSV: what the rows of a delivery become, and how a delta is merged."""

from __future__ import annotations

import random
from collections.abc import Callable
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
from tests.fixtures.broken_rosters import (
    NOW,
    SIS,
    Delivery,
    broken,
    cell,
    delta,
    every,
    header,
    healthy,
    manifest,
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
    """A shuffled export is the same roster."""

    def shuffle(delivery: Delivery) -> None:
        for rows in delivery.values():
            if isinstance(rows, list) and rows[0][0] == "sourcedId":
                rest = rows[1:]
                random.Random(4).shuffle(rest)
                rows[1:] = rest

    assert summed(district.source, district.deliver()) == summed(district.source, district.deliver(shuffle))


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


# --- the rest -----------------------------------------------------------------------------------------------------------


def test_without_manifest_the_version_shows(district: District) -> None:
    """Lenient reading needs no manifest: roles.csv is the mark of 1.2."""
    assert len(district.records(lambda delivery: delivery.pop("manifest.csv") and None)) == 6


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


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("oneroster-1.*/moodle-samples/*.zip")), ids=lambda path: path.name)
def test_published_samples_load_or_are_refused_in_plain_words(sample: Path, tmp_path: Path) -> None:
    """Samples of other makers: loaded leniently, or refused with what to correct."""
    source = build("oneroster_csv", SIS, OneRosterCsvConfig(sample), VAULT)
    if "v1p2" in sample.name:
        with pytest.raises(EndpointError) as refused:
            extract(SIS, source, tmp_path, VAULT, None, NOW)
        assert refused.value.remedy
        return
    told = list(source.records(extract(SIS, source, tmp_path, VAULT, None, NOW), None))
    assert told
    assert not [one for one in told if isinstance(one, Reject) and one.subject is Subject.PERSON]


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
