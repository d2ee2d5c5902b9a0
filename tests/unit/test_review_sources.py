"""Deliveries that would hang us, unmask somebody, or leave what must stay secret in clear."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncd import telemetry
from syncd.core.model import Record, Reject
from syncd.errors import EndpointError, SyncdError
from syncd.sources.archive import open_package
from syncd.sources.csv import CsvConfig, CsvTable
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.sources.supplement import SupplementConfig
from tests.unit.sources.test_supplement import School


def in_time(work: Callable[[], object], seconds: float = 5) -> BaseException | None:
    """What the work raised; fails where it does not end."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except SyncdError as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "waits for ever"
    return raised[0] if raised else None


def opened(path: Path, name: str) -> None:
    """Read one file of a delivery."""
    with open_package(path, "source sis") as package, package.open(name) as file:
        file.read()


def test_a_pipe_in_a_drop_folder_is_refused(tmp_path: Path) -> None:
    """Whoever may write there could otherwise keep every run waiting for ever."""
    os.mkfifo(tmp_path / "users.csv")
    assert isinstance(in_time(lambda: opened(tmp_path, "users.csv")), EndpointError)


def test_a_pipe_instead_of_a_zip_is_refused(tmp_path: Path) -> None:
    """The same, where the whole delivery is one."""
    os.mkfifo(tmp_path / "roster.zip")
    assert isinstance(in_time(lambda: opened(tmp_path / "roster.zip", "users.csv")), EndpointError)


FERPA = "number,hide\n1001,yes\n1002,no\n"


def test_a_broken_row_does_not_unmask_a_confidential_person(tmp_path: Path) -> None:
    """R37: a flag that cannot be read any more counts as before, or as true; never as false."""
    school = School(tmp_path, columns={"confidential": "hide"})
    assert school.records(FERPA)["s1"].fields["confidential"] is True
    spool = school.deliver("number,hide\n1001,yes,because of her father\n1002,no\n")
    told = {str(one.key): one for one in school.source.records(spool, None) if isinstance(one, Record)}
    shielded = {str(one.key) for one in school.source.records(spool, None) if isinstance(one, Reject)}
    assert "s1" in shielded or told["s1"].fields["confidential"] is True


@pytest.mark.parametrize(
    "make",
    [
        lambda: SupplementConfig("s", Path("s.csv"), "ssn", {"ssn4": "ssn"}),
        lambda: SupplementConfig("s", Path("s.csv"), "number", {"birth_date": "dob", "extra.dob": "dob"}),
        lambda: CsvConfig(CsvTable(Path("p.csv"), "id", {"birth_date": "dob", "extra.dob": "dob"})),
        lambda: CsvConfig(CsvTable(Path("p.csv"), "ssn", {"ssn4": "ssn"})),
        lambda: OneRosterCsvConfig(Path("r.zip"), metadata={"ssn4": "metadata.ssn", "extra.ssn": "metadata.ssn"}),
    ],
)
def test_a_column_with_a_claim_fact_feeds_nothing_else(make: Callable[[], object]) -> None:
    """R23: the same column under a second name would lie in the spool, the store and the directory in clear."""
    with pytest.raises(ValueError, match="claim fact"):
        make()


# --- logs ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Logging to memory, and as it was afterwards."""
    root = logging.getLogger()
    before = list(root.handlers), root.level
    out = io.StringIO()
    telemetry.configure(out, json=True)
    yield out
    root.handlers[:], root.level = before[0], before[1]


@pytest.mark.parametrize(
    "dn", ["cn=Maria Lopez Garcia,ou=x", "CN=Lopez\\, Maria,ou=x", "mail=maria.lopez,ou=x", "displayName=Maria Lopez"]
)
def test_a_whole_name_inside_a_distinguished_name_is_masked(stream: io.StringIO, dn: str) -> None:
    """Names have blanks and commas in them."""
    telemetry.logger("test").info("endpoint.failed", endpoint=f"ldap {dn}")
    assert json.loads(stream.getvalue())
    assert not [word for word in ("maria", "lopez", "garcia") if word in stream.getvalue().lower()]


def test_the_words_of_an_exception_are_not_logged(stream: io.StringIO) -> None:
    """Where it happened and what kind it was is for the log; what it quotes may be anybody's name or number."""
    quoted = "Maria Lopez, born 2012-05-04, 123456789"
    try:
        int(quoted)
    except ValueError:
        telemetry.logger("test").exception("run.failed", run="r1")
    line = json.loads(stream.getvalue())
    assert "ValueError" in line["exception"]
    assert "test_review_sources.py" in line["exception"]
    assert not [word for word in ("Maria", "2012-05-04", "123456789") if word in stream.getvalue()]


def test_the_words_of_a_library_are_not_logged(stream: io.StringIO) -> None:
    """A library may say anything: that it warned, and where, is all we pass on."""
    logging.getLogger("somelib.deep").warning("could not write %s", "Maria Lopez")
    line = json.loads(stream.getvalue())
    assert "Maria" not in stream.getvalue()
    assert (line["logger"], line["level"]) == ("somelib.deep", "warning")
