"""A roster that is replaced while it is read is the old one or the new one, or an error: never a part of each."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from syncd.core.model import Record, SourceName
from syncd.errors import EndpointError
from syncd.sources import Source, extract
from syncd.sources.csv import Csv, CsvConfig, CsvTable
from syncd.sources.oneroster_csv import OneRosterCsv, OneRosterCsvConfig
from syncd.vault import Vault

SIS = SourceName("sis")
VAULT = Vault(b"k" * 32)
PEOPLE, READS = 1_500, 12
COLUMNS = {"given": "given", "family": "family"}

Deliver = Callable[[int], None]


def users(edition: int) -> str:
    """Everybody, with the number of the edition in their family name."""
    head = "sourcedId,enabledUser,orgSourcedIds,role,username,givenName,familyName\n"
    return head + "".join(f"u{number},true,s1,student,name{number},Ada,Edition{edition}\n" for number in range(PEOPLE))


def plain(edition: int) -> str:
    """The same as one CSV file."""
    return "id,given,family\n" + "".join(f"u{number},Ada,Edition{edition}\n" for number in range(PEOPLE))


def tables(edition: int) -> dict[str, str]:
    """A OneRoster 1.1 delivery."""
    return {
        "orgs.csv": f"sourcedId,name,type\ns1,Edition{edition},school\n",
        "users.csv": users(edition),
        "classes.csv": "sourcedId,title,courseSourcedId,classType,schoolSourcedId,termSourcedIds\nc1,Art,k1,scheduled,s1,t1\n",
        "courses.csv": "sourcedId,title,orgSourcedId\nk1,Art,s1\n",
        "academicSessions.csv": "sourcedId,title,type,startDate,endDate,schoolYear\nt1,Year,term,2026-08-01,2027-06-01,2027\n",
        "enrollments.csv": "sourcedId,classSourcedId,schoolSourcedId,userSourcedId,role\n"
        + "".join(f"e{number},c1,s1,u{number},student\n" for number in range(PEOPLE)),
    }


def zipped(path: Path, edition: int) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in tables(edition).items():
            archive.writestr(name, text)


def zip_by_rename(folder: Path) -> tuple[Source, Deliver]:
    path = folder / "roster.zip"

    def deliver(edition: int) -> None:
        zipped(folder / "new.zip", edition)
        (folder / "new.zip").rename(path)

    return OneRosterCsv(SIS, OneRosterCsvConfig(path), VAULT), deliver


def zip_in_place(folder: Path) -> tuple[Source, Deliver]:
    path = folder / "roster.zip"
    return OneRosterCsv(SIS, OneRosterCsvConfig(path), VAULT), lambda edition: zipped(path, edition)


def folder_by_rename(folder: Path) -> tuple[Source, Deliver]:
    path, editions = folder / "roster", count()
    path.mkdir()

    def deliver(edition: int) -> None:
        new, old = folder / f"new{edition}", folder / f"old{next(editions)}"
        new.mkdir()
        for name, text in tables(edition).items():
            (new / name).write_text(text)
        path.rename(old)
        new.rename(path)

    return OneRosterCsv(SIS, OneRosterCsvConfig(path), VAULT), deliver


def csv_by_rename(folder: Path) -> tuple[Source, Deliver]:
    path = folder / "people.csv"

    def deliver(edition: int) -> None:
        (folder / "new.csv").write_text(plain(edition))
        (folder / "new.csv").rename(path)

    return Csv(SIS, CsvConfig(people=CsvTable(path=path, key="id", columns=COLUMNS)), VAULT), deliver


def csv_in_place(folder: Path) -> tuple[Source, Deliver]:
    path = folder / "people.csv"

    def deliver(edition: int) -> None:
        with path.open("w") as file:  # empty at first, then growing
            for line in plain(edition).splitlines(keepends=True):
                file.write(line)

    return Csv(SIS, CsvConfig(people=CsvTable(path=path, key="id", columns=COLUMNS)), VAULT), deliver


@contextmanager
def delivered_again_and_again(deliver: Deliver) -> Iterator[None]:
    """While this lasts, one edition follows the other, with pauses of all lengths."""
    over = threading.Event()

    def work() -> None:
        for edition in count(1):
            deliver(edition)
            if over.wait(edition % 7 * 0.02):
                return

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


WAYS = [zip_by_rename, zip_in_place, folder_by_rename, csv_by_rename, csv_in_place]


@pytest.mark.parametrize("way", WAYS)
def test_a_roster_replaced_while_it_is_read_is_one_edition_or_an_error(
    tmp_path: Path, way: Callable[[Path], tuple[Source, Deliver]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R1: whenever the read falls, every person of the snapshot is of the same edition, and all are there."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # the pauses between attempts; the deliveries wait by themselves
    source, deliver = way(tmp_path)
    deliver(0)
    with delivered_again_and_again(deliver):
        for _ in range(READS):
            try:
                spool = extract(SIS, source, tmp_path / "spools", VAULT, None, datetime.now(UTC))
            except EndpointError:
                continue  # never still: an error is a right answer, a mixture is not
            records = [one for one in source.records(spool, None) if isinstance(one, Record)]
            assert len(records) == PEOPLE
            assert len({record.fields["family"] for record in records}) == 1
    spool = extract(SIS, source, tmp_path / "spools", VAULT, None, datetime.now(UTC))
    assert len({record.fields["family"] for record in source.records(spool, None) if isinstance(record, Record)}) == 1
