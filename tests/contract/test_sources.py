"""Every shipped source keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.sources import REGISTRY, Source, build, config_type
from syncd.sources.csv import CsvConfig, CsvTable
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from tests.contract.source_contract import NAME, VAULT, SourceContract
from tests.fixtures.broken_rosters import Delivery, cell, healthy, rows_of, text_of, write_zip


def two_people(given: str) -> Delivery:
    """The healthy delivery, two of its students called a and b."""
    delivery = healthy()
    cell("users", "s1", "givenName", given)(delivery)
    cell("users", "s1", "agentSourcedIds", "")(delivery)  # a guardian is touched with the child, rightly
    for table in ("users", "roles", "enrollments", "demographics"):
        for row in rows_of(delivery, table):
            row[:] = [{"s1": "a", "s2": "b"}.get(one, one) for one in row]
    return delivery


def as_11(delivery: Delivery) -> Delivery:
    """The same roster as OneRoster 1.1."""
    users, roles = rows_of(delivery, "users"), rows_of(delivery, "roles")
    held = {row[3]: (row[8], row[5]) for row in roles[1:]}
    head = [*users[0][:4], "orgSourcedIds", "role", *users[0][4:16]]
    delivery["users.csv"] = [head, *([*row[:4], *held[row[0]], *row[4:16]] for row in users[1:])]
    del delivery["roles.csv"]
    manifest = [row for row in rows_of(delivery, "manifest") if row[0] not in ("file.roles", "file.userProfiles")]
    delivery["manifest.csv"] = [[name, "1.1" if name == "oneroster.version" else value] for name, value in manifest]
    return delivery


class TestOneRoster12Zip(SourceContract):
    """OneRoster 1.2 as a zip."""

    @pytest.fixture
    def deliver(self, tmp_path: Path) -> Callable[[str], None]:
        return lambda given: write_zip(two_people(given), tmp_path / "roster.zip") and None

    @pytest.fixture
    def withdraw(self, tmp_path: Path) -> Callable[[], None]:
        return lambda: (tmp_path / "roster.zip").write_bytes((tmp_path / "roster.zip").read_bytes()[:99]) and None

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return build("oneroster_csv", NAME, OneRosterCsvConfig(tmp_path / "roster.zip", headers="strict"), VAULT)


class TestOneRoster11Folder(SourceContract):
    """OneRoster 1.1 as a folder."""

    @pytest.fixture
    def deliver(self, tmp_path: Path) -> Callable[[str], None]:
        (tmp_path / "roster").mkdir()

        def write(given: str) -> None:
            for name, rows in as_11(two_people(given)).items():
                assert not isinstance(rows, bytes)
                (tmp_path / "roster" / name).write_bytes(text_of(rows).encode())

        return write

    @pytest.fixture
    def withdraw(self, tmp_path: Path) -> Callable[[], None]:
        return (tmp_path / "roster" / "users.csv").unlink

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        return build("oneroster_csv", NAME, OneRosterCsvConfig(tmp_path / "roster", headers="strict"), VAULT)


class TestCsv(SourceContract):
    """Plain CSV: people, a joined file, roles, enrolments and campuses."""

    @pytest.fixture
    def deliver(self, tmp_path: Path) -> Callable[[str], None]:
        def write(given: str) -> None:
            (tmp_path / "people.csv").write_text(
                f"ID;First;Last;Born\na;{given};Brown;04/05/2013\nb;Bo;O'Neil;06/07/2013\nt;Tea;Cher;\n"
            )
            (tmp_path / "more.csv").write_text("ID;Grd;Bus\na;7;12\nb;K;\nt;;\n")
            (tmp_path / "roles.csv").write_text("ID;School;Type\na;012;S\nb;012;S\nt;012;T\n")
            (tmp_path / "classes.csv").write_text("ID;Class;Who;School\na;k1;S;012\nb;k1;S;012\nt;k1;T;012\n")
            (tmp_path / "schools.csv").write_text("School;Name\n012;North Middle\n")

        return write

    @pytest.fixture
    def withdraw(self, tmp_path: Path) -> Callable[[], None]:
        return (tmp_path / "more.csv").unlink

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        kinds = {"S": "student", "T": "teacher"}
        options = CsvConfig(
            people=CsvTable(tmp_path / "people.csv", "ID", {"given": "First", "family": "Last", "birth_date": "Born"}),
            joins=(CsvTable(tmp_path / "more.csv", "ID", {"grade": "Grd", "extra.bus": "Bus"}),),
            roles=CsvTable(tmp_path / "roles.csv", "ID", {"campus": "School", "role": "Type"}, values={"role": kinds}),
            enrolments=CsvTable(
                tmp_path / "classes.csv",
                "ID",
                {"class": "Class", "role": "Who", "campus": "School"},
                {"kind": "homeroom"},
                {"role": kinds},
            ),
            campuses=CsvTable(tmp_path / "schools.csv", "School", {"name": "Name"}),
            date_formats=("%m/%d/%Y",),
        )
        return build("csv", NAME, options, VAULT)


def test_every_kind_can_be_loaded() -> None:
    """Each line of the registry names a class and an options type that exist."""
    for kind in REGISTRY:
        assert config_type(kind).__doc__
