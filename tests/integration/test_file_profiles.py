"""What files look like: a column nobody fills any more, keys that stand there twice, another header or encoding; and what is life.

The district has sixty students at two campuses. Limits of signs are wide open: what is held here is held for its file.
"""

from __future__ import annotations

import csv
import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.guard import Shape, Share
from syncd.engine.planned import Applied, Planned
from syncd.sources.csv import CsvConfig, CsvTable
from tests.fixtures.engine_world import MAIN, SIS, World, found, roster_of, world
from tests.fixtures.health_states import health_of

STUDENTS = 60
SPOILED = range(1, 60, 2)  # thirty of them: all of campus 012
SPREAD = range(1, 31)  # thirty of them, at both campuses
FEW = (1, 3, 5, 7)

Rows = list[list[str]]
Edit = Callable[[Rows], object]


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Sixty students, files as the program is shipped to look at them, and the rosters of two days."""
    with world(tmp_path, roster_of(students=STUDENTS)) as one:
        one.begin()
        sis = one.config.sources[SIS]
        shape = Shape(floor=1, shrink_percent=5, older_at_least=1000, signs=sis.shape.signs)
        one.reopen(replace(one.config, sources={SIS: replace(sis, shape=shape)}))
        yield one


def export(district: World, file: str, edit: Edit = lambda _: None, encoding: str = "utf-8", turn: int = 0) -> None:
    """The next morning's delivery, in which one student has married, and one file is edited and written in an encoding."""
    day = district.clock.advance()
    district.students(replace(district.roster.students["s60"], family=f"Married{day}{turn}"))
    again(district, file, edit, encoding)


def again(district: World, file: str, edit: Edit, encoding: str = "utf-8") -> None:
    """The delivery of this morning, in which one file is edited."""
    path = district.drop / file
    archive = district.drop / "oneroster.zip"
    if path.exists():
        path.write_bytes(written(path.read_bytes(), edit, encoding))
        return
    with zipfile.ZipFile(archive) as before:
        members = {name: before.read(name) for name in before.namelist()}
    members[file] = written(members[file], edit, encoding)
    with zipfile.ZipFile(archive, "w") as after:
        for name, content in members.items():
            after.writestr(name, content)


def written(content: bytes, edit: Edit, encoding: str) -> bytes:
    """A file as it comes after this edit."""
    rows = list(csv.reader(io.StringIO(content.decode())))
    edit(rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(encoding)


def emptied(column: str, numbers: range | tuple[int, ...]) -> Edit:
    """The column is not filled for these students."""
    return put(column, numbers, lambda _: "")


def put(column: str, numbers: range | tuple[int, ...], value: Callable[[int], str]) -> Edit:
    """These students have something else in a column."""

    def edit(rows: Rows) -> None:
        place, whose = rows[0].index(column), 0
        known = {f"s{number}": number for number in numbers} | {f"1{number:04}": number for number in numbers}
        for row in rows[1:]:
            if row[whose] in known:
                row[place] = value(known[row[whose]])

    return edit


def synced(district: World, kind: str = "delta") -> tuple[Planned, Applied]:
    """A run; it is not held as a whole."""
    planned, applied = district.engine.sync(MAIN, kind)
    assert applied is not None, planned.verdict
    return planned, applied


def flows(district: World) -> bool:
    """Whether the truly changed student of this morning has been updated."""
    return district.account("s60").attributes["sn"][0].startswith(f"Married{district.clock.today}")


def accounts(district: World, numbers: range | tuple[int, ...]) -> list[object]:
    """The accounts of these students."""
    return [district.account(f"s{number}") for number in numbers]


# --- a column is not filled any more ----------------------------------------------------------------------------------


def test_who_is_told_of_by_a_column_that_was_emptied_waits_and_everybody_else_goes_on(district: World) -> None:
    """Not that day, nor in the next run of the same roster, nor with the next; and health says which column, then and now."""
    before = accounts(district, SPOILED)
    export(district, "users.csv", emptied("givenName", SPOILED))
    _, applied = synced(district)
    (finding,) = applied.findings
    assert finding.where == "campus 012, students, source sis"
    assert finding.what.startswith(
        "column givenName of users.csv has a value in 33 of 63 rows, and had one in 63 of 63 in the last ten school days; "
        "sources.sis.shape.empty allows at most 10 % to have become empty. 30 who are told of so and otherwise than before wait"
    )
    assert accounts(district, SPOILED) == before
    assert flows(district)
    assert any("column givenName of users.csv" in reason.why for reason in health_of(district).reasons)
    for kind in ("delta", "reconcile"):
        assert len(synced(district, kind)[1].findings) == 1, kind
    export(district, "users.csv", emptied("givenName", SPOILED))
    assert len(synced(district)[1].findings) == 1
    assert accounts(district, SPOILED) == before
    assert flows(district)


def test_it_does_not_wear_off_with_the_days(district: World) -> None:
    """Three weeks later no roster of the last ten school days had the column filled, and still none of these was believed."""
    before = accounts(district, SPOILED)
    for _ in range(4):
        export(district, "users.csv", emptied("givenName", SPOILED))
        assert len(synced(district)[1].findings) == 1
        district.clock.advance(6)
    assert accounts(district, SPOILED) == before


def test_when_the_column_is_filled_again_nothing_is_left_of_it(district: World) -> None:
    """Nobody waits, and what was not believed was never compared with."""
    before = accounts(district, SPOILED)
    export(district, "users.csv", emptied("givenName", SPOILED))
    synced(district)
    export(district, "users.csv")
    assert synced(district)[0].verdict.clear
    assert accounts(district, SPOILED) == before
    assert not synced(district, "reconcile")[0].changes
    export(district, "users.csv", emptied("givenName", SPOILED))
    assert len(synced(district)[1].findings) == 1


def test_a_human_lets_it_go_and_it_is_not_asked_about_again(district: World) -> None:
    """R15: what was seen is done with the next run; the days before are not held against the rosters that follow."""
    before = accounts(district, SPOILED)
    export(district, "users.csv", emptied("givenName", SPOILED))
    planned, _ = synced(district)
    district.engine.approve(planned.run, "administrator", "it is right so")
    assert synced(district)[0].verdict.clear
    assert all(was != now for was, now in zip(before, accounts(district, SPOILED), strict=True))
    district.roster = district.roster.with_students(replace(district.roster.students["s1"], family="Wed"))
    export(district, "users.csv", emptied("givenName", SPOILED))
    assert synced(district)[0].verdict.clear
    assert district.account("s1").attributes["sn"] == ("Wed",)


def test_a_few_cells_without_a_value_are_life(district: World) -> None:
    """The benign twin, day after day."""
    for number in FEW:
        export(district, "users.csv", emptied("givenName", range(1, number + 1)))
        assert synced(district)[0].verdict.clear
        assert flows(district)


def test_new_people_without_a_value_are_no_loss(district: World) -> None:
    """Thirty newcomers whose name is entered later: no cell was emptied, and none of the others is held for theirs."""
    district.roster = roster_of(students=STUDENTS + 30)
    export(district, "users.csv", emptied("givenName", range(STUDENTS + 1, STUDENTS + 31)))
    assert synced(district)[0].verdict.clear


def test_a_column_that_nothing_is_made_of_holds_nobody(district: World) -> None:
    """No account shows a middle name here: the roster is believed, and is what the next one is compared with."""
    district.students(*(replace(one, middle=f"M{one.number}") for one in district.roster.students.values()))
    synced(district)
    export(district, "users.csv", emptied("middleName", SPOILED))
    assert synced(district)[0].verdict.clear
    export(district, "users.csv", emptied("middleName", SPOILED))
    assert synced(district)[0].verdict.clear


def test_a_column_emptied_almost_everywhere_is_said_once(district: World) -> None:
    """Thirty students of both campuses are told of so; a district of two campuses names both."""
    export(district, "users.csv", emptied("givenName", SPREAD))
    _, applied = synced(district)
    assert [finding.where for finding in applied.findings] == [
        "campus 001, students, source sis",
        "campus 012, students, source sis",
    ]
    assert [finding.what.count("who are told of so") for finding in applied.findings] == [1, 1]


@pytest.mark.parametrize(("file", "column"), [("claim_facts.csv", "birth_date"), ("demographics.csv", "birthDate")])
def test_claim_facts_that_vanish_hold_the_run_until_a_human_lets_this_roster_go(district: World, file: str, column: str) -> None:
    """No account shows a birth date, and without them namesakes are not told apart and nobody can claim: the roster waits."""
    export(district, file, emptied(column, FEW))
    synced(district)
    export(district, file, emptied(column, SPOILED))
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    (finding,) = planned.verdict.findings
    assert f"column {column} of {file} has a value in 30 of 60 rows" in finding.what
    approved = district.engine.approve(planned.run, "administrator", "they are kept elsewhere")
    assert (approved.people, approved.changes) == (0, 1)
    assert synced(district)[0].verdict.clear
    export(district, file, emptied(column, SPOILED))
    assert synced(district)[0].verdict.clear


def test_an_opt_out_that_vanishes_is_seen_though_nobody_is_emptied(district: World) -> None:
    """A flag without a value reads as false, which no sign sees: forty families would be shown in the address book."""
    district.students(*(replace(one, optout=True) for one in list(district.roster.students.values())[:40]))
    synced(district)
    hidden = [key for key in district.roster.students if not district.account(key).attributes.get("displayName")]
    assert len(hidden) == 40
    export(district, "ferpa.csv", emptied("directory_optout", range(1, STUDENTS + 1)))
    _, applied = synced(district)
    assert {finding.cell.operation for finding in applied.findings if finding.cell} == {
        "empty directory_optout of ferpa.csv",
    }
    assert not any(district.account(key).attributes.get("displayName") for key in hidden)


def test_a_column_of_a_file_that_tells_of_nobody_holds_the_run(district: World) -> None:
    """Titles of classes: whose they are is in another file."""
    lessons = district.roster.lessons
    many = {f"x{n}": replace(lessons["k1"], key=f"x{n}", code=f"X{n}", teachers=()) for n in range(40)}
    district.roster = replace(district.roster, lessons={**lessons, **many})
    export(district, "classes.csv")
    assert synced(district)[0].verdict.clear

    def blank(rows: Rows) -> None:
        for row in rows[1:]:
            row[rows[0].index("classCode")] = ""

    export(district, "classes.csv", blank)
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert "column classCode of classes.csv has a value in 0 of 46 rows" in planned.verdict.findings[0].what


# --- keys -------------------------------------------------------------------------------------------------------------


def test_numbers_that_stand_there_twice_hold_whoever_has_them(district: World) -> None:
    """A number was filled by drawing it down; until it is right again, thirty accounts stay as they are."""
    before = accounts(district, SPOILED)
    export(district, "users.csv", put("identifier", SPOILED, lambda _: "10001"))
    _, applied = synced(district)
    assert {finding.cell.operation for finding in applied.findings if finding.cell} == {"repeated identifier of users.csv"}
    assert "column identifier of users.csv repeats a value of another row in 29 of 63 rows" in applied.findings[0].what
    assert accounts(district, SPOILED) == before
    assert flows(district)
    export(district, "users.csv")
    assert synced(district)[0].verdict.clear


def test_two_students_with_one_number_are_two(district: World) -> None:
    """The benign twin."""
    export(district, "users.csv", put("identifier", (1, 3), lambda _: "10001"))
    assert synced(district)[0].verdict.clear
    assert flows(district)


# --- header and encoding ----------------------------------------------------------------------------------------------


def more(rows: Rows) -> None:
    """A column more, at the end."""
    for number, row in enumerate(rows):
        row.append("metadata.locker" if not number else str(number))


def turned(rows: Rows) -> None:
    """The columns stand in another order, header and cells alike."""
    for row in rows:
        row[1:] = reversed(row[1:])


def unread(rows: Rows) -> None:
    """A column that nothing reads is gone."""
    place = rows[0].index("password")
    for row in rows:
        del row[place]


def test_another_header_is_told_and_holds_nothing(district: World) -> None:
    """For as long as that roster is the newest; then the new header is the one that is known."""
    edits: list[Edit] = []

    def edited(rows: Rows) -> None:
        for edit in edits:
            edit(rows)

    for edit, told in (
        (more, "has a column more: metadata.locker"),
        (turned, "has its columns in another order"),
        (unread, "has a column less: password"),
    ):
        edits.append(edit)
        export(district, "users.csv", edited)
        planned, _ = synced(district)
        assert planned.verdict.clear
        assert found(planned, "source note") == [f"users.csv {told}. That holds nothing"]
        assert flows(district)
    assert found(synced(district, "reconcile")[0], "source note") == ["users.csv has a column less: password. That holds nothing"]
    export(district, "users.csv", edited)
    assert not found(synced(district)[0], "source note")


def test_another_encoding_is_told_and_holds_nothing(district: World) -> None:
    """Read rightly, it changes nobody; the twin has lost its last accent, which says nothing of the export."""
    district.students(replace(district.roster.students["s5"], given="Zoë"))
    synced(district)
    was = "UTF-8"
    for encoding, told in (("utf-8-sig", "UTF-8 with a byte order mark"), ("utf-16", "UTF-16"), ("cp1252", "Windows-1252")):
        export(district, "users.csv", encoding=encoding)
        planned, _ = synced(district)
        assert planned.verdict.clear
        assert found(planned, "source note") == [f"users.csv is written as {told}, and was as {was}. That holds nothing"]
        assert district.account("s5").attributes["givenName"] == ("Zoë",)
        was = told
    export(district, "users.csv", put("givenName", (5,), lambda _: "Zoe"))
    assert not found(synced(district)[0], "source note")
    assert district.account("s5").attributes["givenName"] == ("Zoe",)


def test_a_column_in_use_that_is_gone_is_an_error_and_holds_the_run_where_no_copy_can_tell(district: World) -> None:
    """The last roster stands in; and after a restore, which brings no copies of rosters, the store still knows the column."""

    def gone(rows: Rows) -> None:
        place = rows[0].index("grades")
        for row in rows:
            del row[place]

    before = accounts(district, SPOILED)
    export(district, "users.csv", gone)
    planned, _ = synced(district)
    assert "column 'grades' is missing" in found(planned, "source failed")[0]
    shutil.rmtree(district.state / "spools")
    planned, applied = district.engine.sync(MAIN)
    assert applied is None
    assert planned.verdict.findings[0].what.startswith(
        "column grades of users.csv is gone; it had a value in 60 of 63 rows. Look at the file: an export that was set up anew"
    )
    assert accounts(district, SPOILED) == before
    export(district, "users.csv")
    assert synced(district)[0].verdict.clear


# --- other sources, and who must be there -----------------------------------------------------------------------------


def test_plain_csv_is_looked_at_alike(district: World) -> None:
    """The people file: its own column names are told, and what a column means may be configured."""
    path = district.drop / "people.csv"
    columns = {"given": "First", "family": "Last", "student_number": "Number", "grade": "Year", "campus": "School"}
    people = CsvTable(path, "Id", columns, {"role": "student"})
    options = CsvConfig(people)
    sis = district.config.sources[SIS]

    def deliver(spoiled: range | tuple[int, ...], family: str) -> None:
        district.clock.advance()
        rows = [["Id", *columns.values()]]
        for key, one in district.roster.students.items():
            given = "" if int(key[1:]) in spoiled else one.given
            rows.append([key, given, family if key == "s60" else one.family, one.number, one.grade, one.schools[0]])
        path.write_text("\n".join(map(",".join, rows)), encoding="utf-8")

    shape = replace(sis.shape, shrink_percent=99, campus_percent=100, rows_percent=100)
    district.reopen(replace(district.config, sources={SIS: replace(sis, kind="csv", options=options, shape=shape)}))
    deliver((), "Other")
    district.engine.sync(MAIN)
    deliver((), "Known")
    synced(district)
    before = accounts(district, SPOILED)
    deliver(SPOILED, "Later")
    _, applied = synced(district)
    assert {finding.cell.operation for finding in applied.findings if finding.cell} == {"empty First of people.csv"}
    assert accounts(district, SPOILED) == before
    assert district.account("s60").attributes["sn"] == ("Later",)
    deliver(FEW, "Latest")
    assert synced(district)[0].verdict.clear


def test_limits_are_settings(district: World) -> None:
    """A number, whatever the share, and a share: each holds by itself."""
    sis = district.config.sources[SIS]
    for share, holds in ((Share(percent=50, at_least=2), False), (Share(percent=50, absolute=29, at_least=2), True)):
        district.reopen(replace(district.config, sources={SIS: replace(sis, shape=replace(sis.shape, empty=share))}))
        export(district, "users.csv", emptied("givenName", SPOILED))
        assert bool(synced(district)[1].findings) is holds
        export(district, "users.csv")
        synced(district)


def test_a_required_person_who_is_in_no_roster_is_told_of(district: World) -> None:
    """Nothing is held for it, and health knows how many; who is there is not told of."""
    sis = district.config.sources[SIS]
    district.reopen(replace(district.config, sources={SIS: replace(sis, required=("s1", "s3"))}))  # type: ignore[arg-type]  # keys are text
    export(district, "users.csv")
    assert not found(synced(district)[0], "required")
    district.roster = district.roster.without_students(["s3"])
    export(district, "users.csv")
    planned, _ = synced(district)
    assert planned.verdict.clear
    (why,) = found(planned, "required")
    assert why.startswith("1 of the 2 persons in sources.sis.required is not in the roster")
    reasons = [reason for reason in health_of(district).reasons if reason.where == "source sis"]
    assert [str(reason.level.name) for reason in reasons] == ["WARNING"]
