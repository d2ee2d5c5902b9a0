"""Cells and values: what is cleaned, what is understood, what is refused."""

from __future__ import annotations

import tempfile
import unicodedata
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import EndpointError
from syncd.sources import tabular
from syncd.sources.archive import open_file
from syncd.sources.tabular import clean
from syncd.sources.values import read_date, read_field, read_flag, read_grade
from tests.fixtures.broken_rosters import text_of

cells = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)


@settings(deadline=None)  # each example waits for the disk
@given(
    st.lists(st.tuples(cells, cells), min_size=1, max_size=8),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(",;\t|"),
)
def test_a_table_is_read_whatever_its_encoding_and_delimiter(rows: list[tuple[str, str]], encoding: str, delimiter: str) -> None:
    """Every cell comes back cleaned, in order, with its row number."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(
            text_of([["key", "name"], *([f"k{place}{one}", two] for place, (one, two) in enumerate(rows))], delimiter).encode(
                encoding
            )
        )
        shape = tabular.Shape(("key", "name"), frozenset(("key", "name")), ("key", "name"), delimiter="")
        with (
            open_file(path, "test") as package,
            tabular.open_table(package, "t.csv", tabular.scan(package, "t.csv"), shape) as table,
        ):
            found = list(table.rows)
        assert found == [(place + 2, [clean(f"k{place}{one}"), clean(two)]) for place, (one, two) in enumerate(rows)]


@given(st.text())
def test_cleaning_is_done_once(text: str) -> None:
    """A clean cell is clean, composed, and without outer blanks."""
    once = clean(text)
    assert clean(once) == once
    assert once == once.strip()
    assert not any(unicodedata.category(character) in ("Cc", "Cn") for character in once if not once.isascii())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  Ann ", "Ann"),
        ("\u202eann\u202c", "ann"),
        ("Jose\u0301", "José"),
        ("a\u00a0b", "a b"),
        ("a\nb", "a b"),
        ("क्\u200dष", "क्\u200dष"),
        ("\ufeffx", "x"),
    ],
)
def test_invisible_characters_go_and_spelling_stays(text: str, meant: str) -> None:
    """What nobody can see must not make two names differ."""
    assert clean(text) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [("7", ("07", 7)), ("07", ("07", 7)), ("7th", ("07", 7)),
     ("Grade 7", ("07", 7)), ("K", ("KG", 0)), ("pk", ("PK", -1)), ("EE", ("EE", -1)),
     ("UG", ("UG", None)), ("12", ("12", 12))],
)  # fmt: skip
def test_grades_are_two_characters_and_a_number(text: str, meant: tuple[str, int | None]) -> None:
    """Every usual spelling is the same grade."""
    assert read_grade(text) == meant


@pytest.mark.parametrize("text", ["0", "14", "seven", "-1", "1.0", "٧"])
def test_what_is_no_grade_is_refused(text: str) -> None:
    """A grade nobody knows must not become an OU."""
    with pytest.raises(ValueError, match="is not a grade"):
        read_grade(text)


def test_flags_and_dates() -> None:
    """The usual spellings, and nothing else."""
    assert [read_flag(text) for text in ("TRUE", "y", "1", "No", "f", "0")] == [True, True, True, False, False, False]
    assert read_date("2026-08-15T00:00:00.000Z") == read_date("08/15/2026", ("%m/%d/%Y",)) == date(2026, 8, 15)
    for text in ("2026-8-15", "20260815", "15.08.2026", "2026-02-30", ""):
        with pytest.raises(ValueError, match="is not a date"):
            read_date(text)


@pytest.mark.parametrize(("text", "meant"), [("", False), ("N", False), ("Y", True), ("perhaps", True), ("?", True)])
@pytest.mark.parametrize("name", ["directory_optout", "confidential"])
def test_careful_flags_are_true_when_in_doubt(name: str, text: str, *, meant: bool) -> None:
    """An unreadable opt-out is an opt-out (R37); an empty cell is none."""
    assert read_field(name, text) is meant


@pytest.mark.parametrize(
    ("row", "mixed"),
    [
        ("García,".encode() + "Muñoz".encode("latin-1"), True),
        ("García,Muñoz".encode("latin-1"), False),
        ("Strauß’ Straße,é".encode("cp1252"), False),
    ],
)
def test_a_row_in_two_encodings_is_refused_by_its_number(tmp_path: Path, row: bytes, *, mixed: bool) -> None:
    """One cell from a system that writes UTF-8 and one that does not: read either way, one of the two names is wrong."""
    (tmp_path / "t.csv").write_bytes(b"key,name\na,b\n" + row + b"\n")
    with open_file(tmp_path / "t.csv", "source sis") as package:
        if mixed:
            with pytest.raises(EndpointError, match=r"t\.csv:3: mixes UTF-8 and Latin-1"):
                tabular.scan(package, "t.csv")
            assert tabular.scan(package, "t.csv", "latin-1").encoding == "cp1252"
        else:
            assert tabular.scan(package, "t.csv").encoding == "cp1252"


def test_a_cell_may_hold_delimiters_quotes_and_line_breaks(tmp_path: Path) -> None:
    """RFC 4180: what is quoted is text; a line break inside reads as a blank, and rows are numbered as an editor shows them."""
    (tmp_path / "t.csv").write_text('key,name\r\n1,"Lee, ""Bo""\r\nJunior"\r\n2,Ann\r\n', newline="")
    shape = tabular.Shape(("key", "name"), frozenset(("key", "name")), ("key", "name"))
    with (
        open_file(tmp_path / "t.csv", "test") as package,
        tabular.open_table(package, "t.csv", tabular.scan(package, "t.csv"), shape) as table,
    ):
        assert list(table.rows) == [(3, ["1", 'Lee, "Bo" Junior']), (4, ["2", "Ann"])]
