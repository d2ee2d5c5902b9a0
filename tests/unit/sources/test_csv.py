"""Plain CSV: what a configuration says the columns mean is what the records hold."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.model import Record, Reject, SourceKey
from syncd.errors import EndpointError
from syncd.sources import build, extract
from syncd.sources.csv import CsvConfig, CsvTable
from syncd.sources.tabular import clean
from tests.contract.source_contract import summed
from tests.fixtures.broken_rosters import NOW, SIS, text_of
from tests.unit.sources.test_oneroster_csv import VAULT


def told(folder: Path, options: CsvConfig) -> tuple[dict[str, Record], list[Reject]]:
    """Records by key, and rejects."""
    source = build("csv", SIS, options, VAULT)
    spool = extract(SIS, source, folder / "spools", VAULT, None, NOW)
    both = list(source.records(spool, None))
    rejects = [one for one in source.digests(spool) if isinstance(one, Reject)]
    assert sorted(map(str, rejects)) == sorted(str(one) for one in both if isinstance(one, Reject))
    return {str(one.key): one for one in both if isinstance(one, Record)}, rejects


def people(folder: Path, text: str, **columns: str) -> CsvTable:
    """A people file with these columns."""
    path = folder / "people.csv"
    path.write_text(text, encoding="utf-8")
    return CsvTable(path, "id", columns)


def test_columns_values_constants_and_dates(tmp_path: Path) -> None:
    """One file of people, everything said in the configuration."""
    table = people(
        tmp_path,
        "id\tfirst\tlast\tkind\tsite\tleft\n1\tAda\tLove\tF\t012\t31.08.2026\n",
        given="first",
        family="last",
        role="kind",
        campus="site",
        exit_date="left",
    )
    options = CsvConfig(
        CsvTable(table.path, table.key, table.columns, {"enabled": "yes"}, {"role": {"F": "Teacher"}}), date_formats=("%d.%m.%Y",)
    )
    found, rejects = told(tmp_path, options)
    assert not rejects
    assert found["1"].fields == {"given": "Ada", "family": "Love", "exit_date": date(2026, 8, 31), "enabled": True}
    assert [(role.role, role.campus.code, role.primary) for role in found["1"].roles] == [("teacher", "012", True)]


def test_a_role_without_a_campus_is_a_field(tmp_path: Path) -> None:
    """Where no campus is known, the role still says which population somebody is of."""
    found, _ = told(tmp_path, CsvConfig(people(tmp_path, "id,first,kind\n1,Ada,Student\n", given="first", role="kind")))
    assert found["1"].fields["roles"] == ("student",)


def test_managers_are_relations(tmp_path: Path) -> None:
    """`manager` names another row."""
    found, _ = told(tmp_path, CsvConfig(people(tmp_path, "id,first,boss\n1,Ada,2\n2,Bob,\n", given="first", manager="boss")))
    assert (found["1"].related, found["2"].related) == ({"manager": "2"}, {})


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("id,first,left\n1,Ada,soon\n2,Bob,\n", "1", "exit_date: 'soon' is not a date"),
        ("id,first,left\n1,Ada\n2,Bob,\n", None, "has 2 cells, the header has 3"),
        ("id,first,left\n,Ada,\n2,Bob,\n", None, "id is empty"),
    ],
)
def test_a_bad_row_is_a_reject(tmp_path: Path, text: str, key: str | None, why: str) -> None:
    """The others go on."""
    found, rejects = told(tmp_path, CsvConfig(people(tmp_path, text, given="first", exit_date="left")))
    assert list(found) == ["2"]
    assert [(one.key, why in one.why) for one in rejects] == [(key, True)]


def test_a_second_row_for_one_person_is_refused(tmp_path: Path) -> None:
    """Two rows that claim to be the same person: nobody guesses which."""
    with pytest.raises(EndpointError, match=r"people.csv:3: repeats id '1' of row 2"):
        told(tmp_path, CsvConfig(people(tmp_path, "id,first\n1,Ada\n1,Bob\n", given="first")))


def test_a_file_below_its_floor_is_refused(tmp_path: Path) -> None:
    """Header only is below every floor."""
    with pytest.raises(EndpointError, match="fewer than its floor of 1"):
        told(tmp_path, CsvConfig(people(tmp_path, "id,first\n", given="first")))


@pytest.mark.parametrize(
    ("columns", "why"),
    [({"givn": "first"}, "did you mean 'given'"), ({"zzz": "first"}, "for a column of your own say extra.zzz")],
)
def test_options_that_feed_nothing_are_refused(columns: dict[str, str], why: str) -> None:
    """A misspelled field is found when the configuration is loaded."""
    with pytest.raises(ValueError, match=why):
        CsvConfig(CsvTable(Path("x.csv"), "id", columns))


def district(folder: Path, more: str, roles: str) -> CsvConfig:
    """Three people in one file, a bus in a second, a role in a third."""
    (folder / "people.csv").write_text("id,first\n1,Ada\n2,Bob\n3,Cy\n")
    (folder / "more.csv").write_text(more)
    (folder / "roles.csv").write_text(roles)
    return CsvConfig(
        CsvTable(folder / "people.csv", "id", {"given": "first"}),
        joins=(CsvTable(folder / "more.csv", "id", {"extra.bus": "bus"}),),
        roles=CsvTable(folder / "roles.csv", "id", {"campus": "site", "role": "kind"}),
    )


MORE, ROLES = "id,bus\n1,10\n2,20\n3,30\n", "id,site,kind\n1,012,student\n2,012,student\n3,012,teacher\n"


def test_several_files_are_joined_by_key(tmp_path: Path) -> None:
    """Order does not matter, and whoever a file leaves out has none of its fields."""
    found, rejects = told(tmp_path, district(tmp_path, "id,bus\n3,30\n1,10\n", ROLES))
    assert not rejects
    assert {key: one.fields.get("extra.bus") for key, one in found.items()} == {"1": "10", "2": None, "3": "30"}
    assert [role.role for role in found["3"].roles] == ["teacher"]


@pytest.mark.parametrize(
    ("more", "roles", "file"),
    [
        (MORE.replace("\n1", "\n001").replace("\n2", "\n002").replace("\n3", "\n003"), ROLES, "more.csv"),
        (MORE, ROLES.replace("\n1", "\n001").replace("\n2", "\n002").replace("\n3", "\n003"), "roles.csv"),
    ],
)
def test_a_file_about_nobody_is_refused(tmp_path: Path, more: str, roles: str, file: str) -> None:
    """A key written otherwise in one file would empty what that file tells of everybody."""
    with pytest.raises(EndpointError, match=f"{file}: none of its 3 rows is about anybody in people.csv"):
        told(tmp_path, district(tmp_path, more, roles))


def test_a_role_of_nobody_shields_whoever_has_none(tmp_path: Path) -> None:
    """R3: one mistyped key among the roles; the person it was meant for has no role now and must not count as leaving."""
    found, rejects = told(tmp_path, district(tmp_path, MORE, ROLES.replace("\n2,", "\n22,")))
    assert set(found) == {"1", "3"}
    assert {str(one.key) for one in rejects} == {"2", "22"}
    options = district(tmp_path, MORE, ROLES.replace("\n2,", "\n22,"))
    source = build("csv", SIS, options, VAULT)
    spool = extract(SIS, source, tmp_path / "spools", VAULT, None, NOW)
    assert [type(one) for one in source.records(spool, [SourceKey("2")])] == [Reject]


def test_row_order_does_not_matter(tmp_path: Path) -> None:
    """A shuffled export tells the same of everybody (R4), also where its rows about a class do not agree."""
    seats = [
        "1,h2,South,student,homeroom,",
        "1,h1,North,student,homeroom,",
        "2,h1,North Wing,teacher,homeroom,yes",
        "3,h2,South,teacher,homeroom,",
        "2,h2,South,teacher,homeroom,",
    ]
    roles = ["1,012,student", "1,007,student", "2,012,teacher", "3,012,teacher"]

    def records(folder: Path, order: int) -> dict[str, Record]:
        folder.mkdir()
        options = district(folder, MORE, "\n".join(["id,site,kind", *roles[::order], ""]))
        (folder / "seats.csv").write_text("\n".join(["id,class,name,who,sort,first", *seats[::order], ""]))
        columns = {"class": "class", "title": "name", "role": "who", "kind": "sort", "primary": "first"}
        found, rejects = told(folder, replace(options, enrolments=CsvTable(folder / "seats.csv", "id", columns)))
        assert not rejects
        return {key: replace(one, rows=()) for key, one in found.items()}

    one, other = records(tmp_path / "one", 1), records(tmp_path / "other", -1)
    assert one == other
    assert one["1"].related == {"homeroom.teacher": "2"}


rosters = st.dictionaries(
    st.sampled_from(["1", "2", "3", "4", "5"]),
    st.tuples(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), st.text("ab \u200f", max_size=3)),
    min_size=1,
)


@settings(deadline=None)  # each example waits for the disk
@given(rosters, rosters)
def test_exactly_those_whose_used_cells_differ_are_touched(
    one: dict[str, tuple[str, str]], other: dict[str, tuple[str, str]]
) -> None:
    """A digest differs when a used cell differs as people read it, and never because of an unused column."""

    def digests(folder: Path, roster: dict[str, tuple[str, str]], unused: str) -> dict[str, int]:
        folder.mkdir()
        rows = [["id", "first", "bus", "noise"], *([key, *cells, unused] for key, cells in roster.items())]
        (folder / "people.csv").write_bytes(text_of(rows).encode())
        options = CsvConfig(CsvTable(folder / "people.csv", "id", {"given": "first", "extra.bus": "bus"}), delimiter=",")
        source = build("csv", SIS, options, VAULT)
        spool = extract(SIS, source, folder / "spools", VAULT, None, NOW)
        return {str(subject.key): digest for subject, digest in summed(source, spool).items()}

    with tempfile.TemporaryDirectory() as folder:
        old, new = digests(Path(folder) / "old", one, "x"), digests(Path(folder) / "new", other, "y")
    read = [{key: tuple(map(clean, cells)) for key, cells in roster.items()} for roster in (one, other)]
    differ = {key for key in one.keys() | other.keys() if read[0].get(key) != read[1].get(key)}
    assert {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)} == differ
