"""A supplement adds to persons of another source, and its absence takes nothing away."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from syncd.core.model import Record, Reject
from syncd.errors import EndpointError
from syncd.sources import Spool, build, extract
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.sources.supplement import SupplementConfig
from tests.fixtures.broken_rosters import NOW, SIS, broken, cell
from tests.unit.sources.test_oneroster_csv import VAULT

COLUMNS = {"birth_date": "born", "ssn4": "ssn", "directory_optout": "optout", "exit_date": "left", "extra.bus": "bus"}
GOOD = "number,born,ssn,optout,left,bus\n1001,04/05/2013,123-45-6789,Y,,12\n1002,06/07/2013,,,12/31/2026,\n"


class School:
    """A healthy roster with one supplement beside it."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.folder = folder
        self.file = folder / "extra.csv"
        settings = {"joins": "student_number", "date_formats": ("%m/%d/%Y",), "columns": COLUMNS} | options
        config = SupplementConfig("extra", self.file, "number", **settings)  # type: ignore[arg-type]  # settings of this test
        self.source = build("oneroster_csv", SIS, OneRosterCsvConfig(folder / "roster.zip", supplements=(config,)), VAULT)
        self.accepted: str | None = None

    def deliver(self, text: str | None) -> Spool:
        """Deliver this supplement, or none."""
        broken(cell("users", "t1", "identifier", "1001"))(self.folder)
        self.file.unlink(missing_ok=True)
        if text is not None:
            self.file.write_text(text, encoding="utf-8")
        spool = extract(SIS, self.source, self.folder / "spools", VAULT, self.accepted, NOW)
        self.accepted = spool.id
        return spool

    def records(self, text: str | None) -> dict[str, Record]:
        """The records of a delivery."""
        return {str(one.key): one for one in self.source.records(self.deliver(text), None) if isinstance(one, Record)}


def test_it_joins_by_number_among_students_only(tmp_path: Path) -> None:
    """Values arrive at the student with that number, not at a teacher with the same one."""
    told = School(tmp_path).records(GOOD)
    assert told["s1"].fields["extra.bus"] == "12"
    assert told["s1"].fields["directory_optout"] is True
    assert told["s2"].fields["exit_date"] == date(2026, 12, 31)
    assert "extra.bus" not in told["t1"].fields


def test_facts_are_tokens_before_they_are_spooled(tmp_path: Path) -> None:
    """Neither date nor digits lie anywhere in the spool (R23)."""
    school = School(tmp_path)
    spool = school.deliver(GOOD)
    stored = repr([list(spool.rows(table)) for table in spool.counts])
    assert "6789" not in stored
    assert "2013" not in stored
    told = {one.key: one for one in school.source.records(spool, None) if isinstance(one, Record)}
    assert told["s1"].facts["ssn4"] == VAULT.fact_token("6789", source=SIS, key="s1", fact="ssn4")
    assert told["s1"].facts["birth_date"] == VAULT.index_token("2013-04-05", fact="birth_date")


@pytest.mark.parametrize("later", [None, "", "number,born\n", GOOD.split("\n", maxsplit=1)[0] + "\n", GOOD + "1001,,,,,\n", "\0"])
def test_a_missing_or_damaged_one_keeps_the_last_good_values(tmp_path: Path, later: str | None) -> None:
    """Nothing is emptied, and the spool says what happened."""
    school = School(tmp_path)
    before = school.records(GOOD)
    spool = school.deliver(later)
    after = {one.key: one for one in school.source.records(spool, None) if isinstance(one, Record)}
    assert after == before
    assert "supplement extra keeps the values of 2026-09-01" in spool.notes[0]
    again = school.deliver(later)
    assert again.id == spool.id


def test_without_an_earlier_copy_a_missing_one_is_an_error(tmp_path: Path) -> None:
    """At first contact there is nothing to keep: guessing "no opt-outs" would be worse than waiting."""
    with pytest.raises(EndpointError, match="no earlier copy"):
        School(tmp_path).deliver(None)


def test_persons_without_a_row_are_not_opted_out(tmp_path: Path) -> None:
    """A list of opt-outs names those who opted out; where everyone must have a row, a missing one counts as opted out."""
    assert School(tmp_path).records(GOOD)["s3"].fields["directory_optout"] is False
    assert School(tmp_path, everyone=True).records(GOOD)["s3"].fields["directory_optout"] is True


def test_a_bad_row_shields_its_person(tmp_path: Path) -> None:
    """A value that cannot be read is a Reject of that person, not of the file."""
    school = School(tmp_path)
    spool = school.deliver(GOOD.replace("12/31/2026", "31.12.2026"))
    found = [one for one in school.source.digests(spool) if isinstance(one, Reject)]
    assert [(one.key, str(one.row)) for one in found] == [("s2", "extra.csv:3")]
    assert "exit_date: '31.12.2026' is not a date like %m/%d/%Y" in found[0].why


def test_a_manager_is_found_by_what_the_rows_are_joined_by(tmp_path: Path) -> None:
    """`manager` holds a number of the same kind as the key, and becomes the other person's key."""
    school = School(tmp_path, joins="staff_number", columns={"manager": "boss"})
    assert school.records("number,boss\n902,1001\n1001,77\n")["t2"].related == {"manager": "t1"}


def test_rows_of_nobody_are_counted_not_kept(tmp_path: Path) -> None:
    """Facts of people who are not in the roster are not stored."""
    spool = School(tmp_path).deliver(GOOD + "7777,01/01/2010,1111,,,\n")
    assert spool.notes == ("supplement extra: 1 rows belong to nobody in the roster",)
    assert spool.counts["supplement.extra"] == 2


STRANGERS = GOOD.replace("1001", "0001001").replace("1002", "0001002")


def test_one_whose_key_changed_its_form_keeps_the_last_good_values(tmp_path: Path) -> None:
    """As many rows as ever and none about anybody in the roster: nobody is unmasked and nothing emptied (R37)."""
    school = School(tmp_path)
    before = school.records(GOOD)
    spool = school.deliver(STRANGERS)
    assert {str(one.key): one for one in school.source.records(spool, None) if isinstance(one, Record)} == before
    assert "none of its 2 rows is about anybody in the roster" in spool.notes[0]


def test_one_that_joins_by_the_wrong_field_is_an_error_at_first_contact(tmp_path: Path) -> None:
    """A mistake in `joins` is told before anybody has an account that should be hidden."""
    with pytest.raises(EndpointError, match="none of its 2 rows is about anybody in the roster") as refused:
        School(tmp_path, joins="state_id").deliver(GOOD)
    assert "`key` and `joins`" in refused.value.remedy


def test_a_list_may_become_one_of_people_who_are_gone(tmp_path: Path) -> None:
    """Fewer rows than there were people on it: some were taken off, the last one left the district; that is no damage."""
    school = School(tmp_path)
    school.deliver(GOOD)
    told = school.records(GOOD.split("\n", maxsplit=1)[0] + "\n7777,,,,,\n")
    assert told["s1"].fields["directory_optout"] is False
    assert "extra.bus" not in told["s1"].fields


@pytest.mark.parametrize("joins", ["email", "sis_username"])
def test_addresses_and_usernames_join_whatever_their_case(tmp_path: Path, joins: str) -> None:
    """Two systems seldom agree on capitals; what nobody writes apart is not told apart."""
    theirs = {"email": "MLopez@Example.org", "sis_username": "MLopez"}[joins]
    told = School(tmp_path, joins=joins, columns={"extra.bus": "bus"}).records(f"number,bus\n{theirs},7\n")
    assert told["t1"].fields["extra.bus"] == "7"
