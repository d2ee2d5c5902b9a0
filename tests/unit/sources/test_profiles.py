"""What is counted of files while they are spooled: by every kind of source, read whole or told by its differences."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from syncd.core.model import SourceName
from syncd.core.profile import ASCII, MARKED_UTF_8, REPEATED, UTF_8, UTF_16, WINDOWS, Profile
from syncd.sources import Spool, build, extract, lockstep, oneroster_follow, sameness, spool_table
from syncd.sources.csv import CsvConfig, CsvTable
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.sources.supplement import SupplementConfig
from syncd.vault import Vault
from tests.fixtures.broken_rosters import NOW, SIS, Delivery, healthy, rows_of, write_zip
from tests.properties.test_follow import grown, write

VAULT = Vault(b"a key for tests, nothing else...")


def read(folder: Path, delivery: Delivery, last: Spool | None = None, **options: object) -> Spool:
    """The spool of a OneRoster delivery."""
    config = OneRosterCsvConfig(write_zip(delivery, folder / "roster.zip"), **options)  # type: ignore[arg-type]  # callers spell them
    return extract(SIS, build("oneroster_csv", SIS, config, VAULT), folder / "spools", VAULT, last and last.id, NOW)


def test_a_file_is_told_by_its_header_rows_cells_and_keys(tmp_path: Path) -> None:
    """Columns in use only; no cell of what is never or ordinarily empty; of people's keys, which rows repeat one."""
    delivery = healthy()
    users = rows_of(delivery, "users")
    users[2][users[0].index("identifier")] = "901"
    found = read(tmp_path, delivery).profiles
    assert set(found) == {name.removesuffix(".csv") for name in delivery if name != "manifest.csv"}
    one = found["users"]
    assert (one.file, one.header, one.encoding, one.rows) == ("users.csv", tuple(users[0]), UTF_8, 6)
    assert {column: one.filled[column] for column in ("givenName", "grades", "identifier", "middleName", "phone")} == {
        "givenName": 6,
        "grades": 3,
        "identifier": 5,
        "middleName": 1,
        "phone": 0,
    }
    assert one.repeated == {"identifier": 1, "userMasterIdentifier": 0, "username": 0}
    assert one.filled.keys().isdisjoint({"sourcedId", "status", "dateLastModified", "password"})
    assert (found["enrollments"].filled, found["enrollments"].repeated) == ({"beginDate": 4}, {})
    assert one.lacks == ()


def test_columns_that_would_be_used_and_are_not_there_are_lacked_unless_they_may(tmp_path: Path) -> None:
    """`may_lack` says that nobody waits for them; one that nothing reads is not missed."""
    delivery = healthy()
    users = rows_of(delivery, "users")
    for column in ("grades", "phone", "password"):
        place = users[0].index(column)
        for row in users:
            del row[place]
    assert read(tmp_path, delivery).profiles["users"].lacks == ("phone", "grades")
    assert read(tmp_path, delivery, may_lack=("users.phone",)).profiles["users"].lacks == ("grades",)


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [
        ("Zoe", "utf-8", ASCII),
        ("Zoë", "utf-8", UTF_8),
        ("Zoe", "utf-8-sig", MARKED_UTF_8),
        ("Zoë", "utf-16", UTF_16),
        ("Zoë", "cp1252", WINDOWS),
    ],
)
def test_the_encoding_is_told_as_people_call_it(tmp_path: Path, text: str, encoding: str, told: str) -> None:
    """A file without any accent could be either."""
    path = tmp_path / "people.csv"
    path.write_bytes(f"Id,First\n1,{text}\n2,Ann\n".encode(encoding))
    found = plain(tmp_path, CsvConfig(CsvTable(path, "Id", {"given": "First"}, {"role": "student", "campus": "012"})))
    assert found.profiles["people"].encoding == told


def plain(folder: Path, options: CsvConfig) -> Spool:
    """The spool of plain CSV files."""
    return extract(SIS, build("csv", SIS, options, VAULT), folder / "spools", VAULT, None, NOW)


def test_plain_files_and_supplements_are_told_by_their_own_names(tmp_path: Path) -> None:
    """What a column means may be configured: a cell that means nothing is empty, and one that is constant is in no column."""
    (tmp_path / "people.csv").write_text("Id,First,No,Left,Note\na,Ann,1,x,\nb,Bo,1,,\nc,Cy,none,,\n", "utf-8")
    (tmp_path / "jobs.csv").write_text("Id,Where,What,Ends\na,012,student,2027-01-01\na,013,student,\nb,,student,\n", "utf-8")
    (tmp_path / "facts.csv").write_text("No,Born\n1,\nx,2012-02-03\n", "utf-8")
    options = CsvConfig(
        CsvTable(
            tmp_path / "people.csv",
            "Id",
            {"given": "First", "student_number": "No", "exit_reason": "Left"},
            {"extra.kind": "k"},
            {"student_number": {"none": ""}},
        ),
        roles=CsvTable(tmp_path / "jobs.csv", "Id", {"campus": "Where", "role": "What", "end": "Ends"}),
        supplements=(SupplementConfig("facts", tmp_path / "facts.csv", "No", {"birth_date": "Born"}, "key", floor=0),),
    )
    header = ("Id", "First", "No", "Left", "Note")
    found = plain(tmp_path, options).profiles
    assert found["people"] == Profile("people.csv", header, ASCII, 3, {"First": 3, "No": 2}, {"No": 1})
    assert found["roles"] == Profile("jobs.csv", ("Id", "Where", "What", "Ends"), ASCII, 3, {"Where": 2, "What": 3})
    assert found["supplement.facts"] == Profile("facts.csv", ("No", "Born"), ASCII, 0, {"Born": 0})


def test_a_supplement_that_is_lost_keeps_its_look_with_its_values(tmp_path: Path) -> None:
    """The file is not there, so nothing is said of it that was not said before."""
    facts = tmp_path / "facts.csv"
    facts.write_text("No,Room\n1001,7\n1002,\n", "utf-8")
    supplements = (SupplementConfig("facts", facts, "No", {"extra.room": "Room"}, "student_number"),)
    first = read(tmp_path, healthy(), supplements=supplements)
    facts.unlink()
    second = read(tmp_path, healthy(), first, supplements=supplements)
    assert second.id != first.id
    assert second.profiles["supplement.facts"] == first.profiles["supplement.facts"]
    assert first.profiles["supplement.facts"].filled == {"Room": 1}


def test_whose_cells_are_empty_or_repeated_is_told(tmp_path: Path) -> None:
    """By the key of the person; of classes nobody can say."""
    delivery = healthy()
    users, enrolments = rows_of(delivery, "users"), rows_of(delivery, "enrollments")
    users[2][users[0].index("identifier")] = "901"
    enrolments[4][enrolments[0].index("beginDate")] = ""
    spool = read(tmp_path, delivery)

    def told(table: str, column: str, what: str) -> set[str]:
        look = spool.look(table)
        assert look is not None
        return look.owners(spool.rows(table), column, what)

    assert told("users", "grades", "empty") == {"t1", "t2", "g1"}
    assert told("users", "identifier", REPEATED) == {"t1", "t2"}
    assert told("enrollments", "beginDate", "empty") == {"t1", "t2", "s1"}
    of_people = {}
    for table, column in (("users", "grades"), ("classes", "title"), ("demographics", "birthDate")):
        look = spool.look(table)
        of_people[column] = look is not None and look.is_of_people(column)
    assert of_people == {"grades": True, "title": False, "birthDate": False}


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sameness, spool_table, oneroster_follow):
        monkeypatch.setattr(module, "LINES", 4)
    monkeypatch.setattr(lockstep, "_REACHES", (2, 4, 8))


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("seed", range(12))
def test_a_delivery_told_by_its_differences_counts_as_one_that_is_read_whole(tmp_path: Path, seed: int) -> None:
    """Over several deliveries, rows that come, go and change; numbers that are given twice, and taken back."""
    chance = Random(seed)
    source = build("oneroster_csv", SourceName("sis"), OneRosterCsvConfig(tmp_path / "roster.zip"), VAULT)
    delivery = grown()
    write(delivery, tmp_path / "roster.zip", chance)
    last = extract(SIS, source, tmp_path / "followed", VAULT, None, NOW)
    followed = 0
    for _ in range(6):
        for change in chance.sample((renumber, blank, come, leave), 2):
            change(delivery, chance)
        write(delivery, tmp_path / "roster.zip", chance)
        whole = extract(SIS, source, tmp_path / "whole", VAULT, None, NOW)
        last, before = extract(SIS, source, tmp_path / "followed", VAULT, last.id, NOW), last
        followed += before.id in last.differs
        assert last.profiles == whole.profiles
    assert followed


def renumber(delivery: Delivery, chance: Random) -> None:
    """Somebody has another number, often somebody else's."""
    users = rows_of(delivery, "users")
    chance.choice(users[1:])[users[0].index("identifier")] = chance.choice(("1001", "1002", "1001-1", "new", "", "901"))


def blank(delivery: Delivery, chance: Random) -> None:
    """Cells are emptied, or filled."""
    users = rows_of(delivery, "users")
    for _ in range(3):
        chance.choice(users[1:])[users[0].index("middleName")] = chance.choice(("", "", "Lee"))


def come(delivery: Delivery, chance: Random) -> None:
    """Somebody new, who may have the number of another."""
    users = rows_of(delivery, "users")
    row = chance.choice(users[1:])
    users.insert(chance.randrange(1, len(users)), [f"new{chance.randrange(10**6)}", *row[1:]])


def leave(delivery: Delivery, chance: Random) -> None:
    """A parent is not told of any more."""
    users = rows_of(delivery, "users")
    gone = [row for row in users if row[0].startswith("new")]
    if gone:
        users.remove(chance.choice(gone))
