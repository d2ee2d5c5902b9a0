"""A table says the same exactly when its rows are the same, however they are ordered, quoted and cut into blocks."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from random import Random

from hypothesis import example, given
from hypothesis import strategies as st

from syncd.sources.sameness import InOrder, RowSum

CELLS = st.text(st.sampled_from('ab,"; é\x00\x1f'), max_size=4)
TABLES = st.lists(st.lists(CELLS, min_size=2, max_size=3).map(tuple), max_size=6)
QUOTED = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)
Row = tuple[str, ...]


def digest(row: bytes) -> int:
    """A keyed digest, as the vault gives one."""
    return int.from_bytes(hashlib.blake2b(row, digest_size=16, key=b"k").digest(), "big")


def written(rows: Sequence[Row], quoting: int, ending: str) -> bytes:
    """The rows under a header, as a csv writer writes them."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=ending).writerows(rows)
    return b"one,two" + ending.encode() + text.getvalue().encode()


def told(table: bytes, block: int = 1 << 20) -> str:
    """What the table says, read in blocks of so many bytes."""
    rows = RowSum(digest)
    for start in range(0, len(table), block):
        rows.feed(table[start : start + block])
    return rows.told()


@given(
    rows=TABLES,
    others=TABLES,
    quoting=st.sampled_from(QUOTED),
    ending=st.sampled_from(["\n", "\r\n"]),
    block=st.integers(1, 40),
    seed=st.integers(0, 9),
)
@example(rows=[("a,b", "c")], others=[("a", "b", "c")], quoting=csv.QUOTE_ALL, ending="\n", block=3, seed=0)
@example(rows=[("", "")], others=[], quoting=csv.QUOTE_ALL, ending="\r\n", block=1, seed=0)
@example(rows=[("", ""), (',"', "")], others=[], quoting=csv.QUOTE_ALL, ending="\n", block=1, seed=0)
@example(rows=[("a", "b"), ("a", "b")], others=[], quoting=csv.QUOTE_MINIMAL, ending="\n", block=9, seed=0)
def test_the_same_rows_are_the_same_however_they_are_written(
    rows: list[Row], others: list[Row], quoting: int, ending: str, block: int, seed: int
) -> None:
    """Order, quotes, line ends and blocks do not count; one cell more, less or different does."""
    shuffled = rows[:]
    Random(seed).shuffle(shuffled)
    first = told(written(rows, csv.QUOTE_MINIMAL, "\r\n"))
    assert first
    assert told(written(shuffled, quoting, ending), block) == first
    assert (told(written(others, quoting, ending), block) == first) is (Counter(others) == Counter(rows))


def in_order(table: bytes, block: int = 1 << 20) -> str:
    """The digest of the rows in their order, read in blocks of so many bytes."""
    rows = InOrder()
    for start in range(0, len(table), block):
        rows.feed(table[start : start + block])
    return rows.told()


def parsed(table: bytes) -> list[list[str]]:
    """The rows as whoever reads the table gets them."""
    return list(csv.reader(io.StringIO(table.decode("latin-1"), newline="")))


@given(rows=TABLES, quoting=st.sampled_from(QUOTED), ending=st.sampled_from(["\n", "\r\n"]), block=st.integers(1, 40))
def test_rows_in_order_are_known_whatever_their_quotes_and_blocks(rows: list[Row], quoting: int, ending: str, block: int) -> None:
    """Needless quotes do not count; line ends and how the bytes came do not either."""
    assert in_order(written(rows, quoting, ending), block) == in_order(written(rows, csv.QUOTE_MINIMAL, "\n"))


@given(
    one=st.binary(max_size=14).map(lambda told: bytes(b'ab,"\n\r"'[byte % 7] for byte in told)),
    other=st.binary(max_size=14).map(lambda told: bytes(b'ab,"\n\r"'[byte % 7] for byte in told)),
    block=st.integers(1, 9),
)
@example(one=b'"a,"",b"', other=b'"a,,b"', block=9)
@example(one=b'"a,","b"', other=b'"a,",b', block=9)
@example(one=b'a\n"b"', other=b"a\nb", block=1)
@example(one=b'"a,"b",c"', other=b'"a,b,c"', block=9)
@example(one=b'"a\nb,"",c\nd"', other=b'"a\nb,,c\nd"', block=9)
@example(one=b'a"b,"c\n"d"', other=b'a"b,"c\nd', block=9)
@example(one=b'""\na', other=b"\na", block=9)
def test_bytes_that_count_as_the_same_rows_are_read_as_the_same_rows(one: bytes, other: bytes, block: int) -> None:
    """Whatever the bytes, proper or not: nothing that is read differently is ever taken for the same."""
    if in_order(one, block) == in_order(other):
        assert parsed(one) == parsed(other)


def test_a_line_too_long_for_a_table_is_known_by_its_bytes_alone() -> None:
    """It is not held whole, so nobody can say which quote in it opens a cell."""
    assert in_order(b"a,b\n" + b"x" * (5 << 20)) == ""
    assert in_order(b"a,b\n" + b"x" * (3 << 20)) != ""


def test_the_last_line_end_does_not_count_and_the_header_does() -> None:
    """A file may end with or without a line end; another header is another table."""
    table = written([("a", "b")], csv.QUOTE_MINIMAL, "\r\n")
    assert told(table.removesuffix(b"\r\n")) == told(table)
    assert told(b"one,two") == told(b"one,two\n")
    assert told(table.replace(b"one", b"eno")) != told(table)


def test_what_is_no_plain_table_says_nothing() -> None:
    """A line break inside a cell, a lone carriage return beside quotes, a line without end: known by the bytes alone."""
    assert told(written([("a\nb", "c")], csv.QUOTE_MINIMAL, "\r\n")) == ""
    assert told(b'one,two\na\rb,"c"\n') == ""
    assert told(b"one,two\n" + b"x" * (9 << 20), 1 << 20) == ""
    assert told(b"") == ""


def test_what_a_strict_reader_refuses_is_never_the_same() -> None:
    """Text behind a closing quote, a quote that is never closed: whoever reads the table must see it."""
    assert told(b'one,two\n"a"b,c\n') == ""
    assert told(b'one,two\n"a,b\n') == ""
