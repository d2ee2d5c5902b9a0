"""Reading one CSV table completely, or saying in one sentence why it cannot be.

A first pass over the bytes finds the encoding, NUL bytes and the digest; a second one yields rows. Both stream. What damages a
whole table (a broken quote, a mixed encoding, a header typo) is an EndpointError naming file and row; what damages one row is
handed to the caller as a `BadRow`. The meaning of a column is not known here.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from operator import itemgetter
from typing import Protocol

from syncd.core.profile import ASCII, MARKED_UTF_8, UTF_8, UTF_16, WINDOWS
from syncd.sources.archive import Package
from syncd.sources.sameness import InOrder, Mark, RowSum
from syncd.sources.spool_table import Said

ENCODINGS = ("auto", "utf-8", "utf-16", "latin-1")
DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}

_MARKED = re.compile(rb"\xc3[\xa0-\xbf]")
"""What the small letters of Latin-1 with an accent are in UTF-8. In Latin-1 it would be a capital A with a tilde before a sign."""

_BLOCK = 1024 * 1024
_LIMIT = 131072
"""No cell of a roster is longer. Set here as well as being Python's default, since another library may raise it."""


class Rows(Protocol):
    """What a csv reader offers."""

    @property
    def line_num(self) -> int:
        """The line read last, counted from 1."""

    def __iter__(self) -> Iterator[list[str]]: ...


class _Part:
    """A csv reader of some lines in the middle of a file."""

    def __init__(self, lines: Rows, first: int) -> None:
        self._lines = lines
        self._before = first - 1

    @property
    def line_num(self) -> int:
        return self._before + self._lines.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return iter(self._lines)


@dataclass(frozen=True, slots=True)
class Scan:
    """What the first pass found: the encoding to read with, a digest of the bytes, and one of the rows in order (`sameness`).

    `told` is the encoding as people call it.
    """

    encoding: str
    digest: str
    in_order: str
    told: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table should look like. `known` in the standard's order; `wanted` are the columns to return, in that order."""

    known: tuple[str, ...]
    required: frozenset[str]
    wanted: tuple[str, ...]
    strict: bool = False
    delimiter: str = ","  # "" looks for one


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that has another number of cells than the header."""

    line: int
    cells: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Table:
    """An open table: the wanted columns it really has, its rows, and how to read other lines as rows of it.

    `header` are all its columns, as they are written there.
    """

    header: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]] | BadRow]
    read: Callable[[Sequence[bytes], int], Iterator[tuple[int, list[str]] | BadRow]]
    """Takes whole lines and the number of the first."""


def scan(package: Package, name: str, encoding: str = "auto") -> Scan:
    """The encoding and the digests of a file.

    Raises EndpointError on NUL bytes and on bytes that no one encoding explains.
    """
    rows = InOrder()
    digest = hashlib.sha256()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = is_ascii = True
    first = b""
    nul = False
    with package.open(name) as file:
        while block := file.read(_BLOCK):
            first = first or block[:4]
            digest.update(block)
            rows.feed(block)
            nul = nul or b"\0" in block
            is_ascii = is_ascii and block.isascii()
            if is_utf8:
                try:
                    utf8.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
        if is_utf8:
            try:
                utf8.decode(b"", final=True)
            except UnicodeDecodeError:
                is_utf8 = False
    if not first:
        package.refuse(name, "is empty", "it must hold at least its header")
    found = _encoding(package, name, encoding, first, is_utf8=is_utf8, nul=nul)
    told = rows.told() if found != "utf-16" else ""
    called = _called(found, first, is_ascii=is_ascii)
    return Scan(found, digest.hexdigest(), f"{found} {told}" if told else digest.hexdigest(), called)


def _called(encoding: str, first: bytes, *, is_ascii: bool) -> str:
    """An encoding as people call it."""
    if encoding == "utf-16":
        return UTF_16
    if is_ascii:
        return ASCII
    if encoding == "cp1252":
        return WINDOWS
    return MARKED_UTF_8 if first.startswith(codecs.BOM_UTF8) else UTF_8


def said(package: Package, name: str, scan: Scan, digest_row: Callable[[bytes], int]) -> tuple[Said, list[Mark]]:
    """What a comma-separated file says, in whatever order and quotes, and the marks of its lines.

    What is no plain table is known by its bytes alone, and has no header and no marks (`sameness`).
    """
    rows = RowSum(digest_row)
    with package.open(name) as file:
        while block := file.read(_BLOCK):
            rows.feed(block)
    told = rows.told() if scan.encoding != "utf-16" else ""
    if not told:
        return Said(scan.in_order, "", scan.digest), []
    return Said(scan.in_order, f"{scan.encoding} {rows.header()}", f"{scan.encoding} {told}"), rows.marks()


def _encoding(package: Package, name: str, wanted: str, first: bytes, *, is_utf8: bool, nul: bool) -> str:
    if wanted == "utf-16" or first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if nul:
        if first[1:2] == b"\0" or first[:1] == b"\0":
            package.refuse(name, "looks like UTF-16 without its mark", "set `encoding: utf-16`, or save it as CSV UTF-8")
        row = _first_row(package, name, lambda line: b"\0" in line)
        package.refuse(f"{name}:{row}:", "holds a NUL byte: the file is damaged", "have it exported again")
    if wanted == "latin-1":
        return _latin(package, name)
    if is_utf8:
        return "utf-8-sig"
    if wanted == "utf-8":
        row = _first_row(package, name, lambda line: not _is_utf8(line))
        package.refuse(f"{name}:{row}:", "is not UTF-8", "save it as CSV UTF-8, or set `encoding: auto`")
    plain = _first_row(package, name, lambda line: not _is_utf8(line))
    both = _first_row(package, name, lambda line: _MARKED.search(line) is not None and not _is_utf8(line))
    if both:
        package.refuse(f"{name}:{both}:", "mixes UTF-8 and Latin-1 in one row", "have it exported in one piece, as UTF-8")
    marked = _first_row(package, name, lambda line: not line.isascii() and _is_utf8(line))
    if marked:
        package.refuse(
            f"{name}:{max(plain, marked)}:",
            f"has another encoding than row {min(plain, marked)}: UTF-8 and Latin-1 are mixed in one file",
            "have it exported in one piece, as UTF-8",
        )
    return _latin(package, name)


def _latin(package: Package, name: str) -> str:
    """Windows exports say Latin-1 and mean code page 1252, where 0x80 to 0x9F are quotes and dashes, not controls."""
    unassigned = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))
    row = _first_row(package, name, lambda line: any(byte in line for byte in unassigned))
    if row:
        package.refuse(f"{name}:{row}:", "is neither UTF-8 nor Latin-1", "save it as CSV UTF-8")
    return "cp1252"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _first_row(package: Package, name: str, matches: Callable[[bytes], bool]) -> int:
    """The first line for which this holds, counted from 1; 0 where none."""
    with package.open(name) as file:
        return next((number for number, line in enumerate(file, 1) if matches(line)), 0)


@contextmanager
def open_table(package: Package, name: str, found: Scan, shape: Shape) -> Iterator[Table]:
    """The table with its header checked; its rows are read while it is open."""
    csv.field_size_limit(_LIMIT)
    delimiter = _delimiter(package, name, found, shape)
    with package.open(name) as raw:
        text = io.TextIOWrapper(raw, found.encoding, newline="")
        try:
            lines = csv.reader(text, delimiter=delimiter, strict=True)
            header = next(_guarded(package, name, lines), [])
            columns, positions, width = _header(package, name, header, shape)
            widths = width, max(width, len(header))

            def read(own: Sequence[bytes], first: int) -> Iterator[tuple[int, list[str]] | BadRow]:
                encoding = found.encoding.removesuffix("-sig")  # a mark stands at the beginning of a file, and only there
                part = _Part(csv.reader((line.decode(encoding) for line in own), delimiter=delimiter, strict=True), first)
                return _rows(_guarded(package, name, part), part, positions, widths)

            named = tuple(cell.strip() for cell in header[:width])
            yield Table(named, columns, _rows(_guarded(package, name, lines), lines, positions, widths), read)
        finally:
            text.detach()


def _delimiter(package: Package, name: str, found: Scan, shape: Shape) -> str:
    """The delimiter under which the header shows most known columns; refuses when that is not the one agreed on."""
    with package.open(name) as raw:
        head = raw.read(_BLOCK).decode(found.encoding, errors="ignore").splitlines()
    line = head[0] if head else ""
    known = {column.lower() for column in shape.known}

    def shown(delimiter: str) -> int:
        return sum(cell.strip(' "').lower() in known for cell in line.split(delimiter))

    best = max(DELIMITERS, key=shown)
    if not shape.delimiter:
        return best
    if shown(best) > shown(shape.delimiter) and shown(best) > 1:
        package.refuse(
            f"{name}:1:",
            f"is separated by {DELIMITERS[best]}, not by {DELIMITERS[shape.delimiter]}",
            "a spreadsheet re-saved it: use the export as the system wrote it",
        )
    return shape.delimiter


def _guarded(package: Package, name: str, lines: Rows) -> Iterator[list[str]]:
    """The rows of a csv reader, its errors in our words."""
    try:
        yield from lines
    except csv.Error as error:
        text = str(error)
        where = f"{name}:{lines.line_num}:"
        if "field larger" in text:
            package.refuse(
                where, f"holds a cell of more than {_LIMIT} characters", "a closing quote is missing, or the file is damaged"
            )
        if "unexpected end" in text:
            package.refuse(where, "ends inside a quoted cell", "a closing quote is missing, or the file was cut off")
        package.refuse(where, f"breaks the quoting rules ({text})", "a quote inside a quoted cell must be doubled")
    except UnicodeError:
        package.refuse(
            f"{name}:{lines.line_num + 1}:",
            "does not go on in the encoding it began with",
            "the file was cut off or damaged; have it exported again",
        )


def _header(package: Package, name: str, header: Sequence[str], shape: Shape) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Which wanted columns there are and where, and how many cells a row has. Every problem of the header in one message."""
    cells = [cell.strip() for cell in header]
    while cells and not cells[-1] and not shape.strict:
        cells.pop()
    by_fold = {column.lower(): column for column in shape.known}
    names = cells if shape.strict else [by_fold.get(cell.lower(), cell) for cell in cells]
    problems: list[str] = []
    if not any(column in names for column in shape.known):
        package.refuse(
            f"{name}:1:", "is not the header: it names none of the expected columns", f"expected {', '.join(shape.known[:4])}, …"
        )
    twice = sorted({column for column in names if column and names.count(column) > 1 and column in shape.known + shape.wanted})
    problems += [f"column {column!r} stands there twice" for column in twice]
    absent = [column for column in shape.known + shape.wanted if column not in names]
    strangers = [column for column in names if column and column not in shape.known and column not in shape.wanted]
    for column in dict.fromkeys(absent):
        near = get_close_matches(column.lower(), [stranger.lower() for stranger in strangers], n=1, cutoff=0.85)
        written = next((stranger for stranger in strangers if near and stranger.lower() == near[0]), None)
        if written is not None:
            problems.append(f"unknown column {written!r}; did you mean {column!r}?")
        elif column in shape.required:
            problems.append(f"column {column!r} is missing")
    if shape.strict and not problems:
        problems += _strict_problems(names, shape)
    if problems:
        package.refuse(f"{name}:1:", "; ".join(problems), "correct the header in the export")
    columns = tuple(column for column in shape.wanted if column in names)
    return columns, tuple(names.index(column) for column in columns), len(names)


def _strict_problems(names: Sequence[str], shape: Shape) -> list[str]:
    """The standard's own rule: exactly its columns in its order, then only `metadata.*`."""
    standard = list(names[: len(shape.known)])
    problems = [
        f"column {position} is {found!r}, not {wanted!r}"
        for position, (found, wanted) in enumerate(zip(standard, shape.known, strict=False), 1)
        if found != wanted
    ][:1]
    if len(names) < len(shape.known):
        problems.append(f"column {shape.known[len(names)]!r} is missing")
    return problems + [
        f"column {column!r} is not in the standard" for column in names[len(shape.known) :] if not column.startswith("metadata.")
    ]


def _rows(
    guarded: Iterator[list[str]], lines: Rows, positions: tuple[int, ...], widths: tuple[int, int]
) -> Iterator[tuple[int, list[str]] | BadRow]:
    """`widths`: how many cells a row has, and how many it may have where the header ends in nameless columns.

    Nothing more is forgiven, not even an empty cell too many: it is what an unquoted comma inside a name leaves behind.
    """
    width, widest = widths
    pick = itemgetter(*positions) if len(positions) > 1 else None
    for row in guarded:
        if len(row) != width:
            if not any(row):
                continue  # a blank line, or the row of bare delimiters spreadsheets leave at the end
            if not width < len(row) <= widest or any(row[width:]):
                yield BadRow(lines.line_num, tuple(map(clean, row)), f"has {len(row)} cells, the header has {width}")
                continue
        cells = list(pick(row)) if pick else [row[positions[0]]]
        joined = "".join(cells)
        if not joined:
            if any(row):
                yield lines.line_num, cells
            continue
        if not joined.isascii() or not joined.isprintable():
            cells = [clean(cell) for cell in cells]
        elif " " in joined:
            cells = [cell.strip() for cell in cells]
        yield lines.line_num, cells


def clean(cell: str) -> str:
    """The cell as people read it: composed (NFC), without control, direction and zero-width characters, without outer blanks.

    Invisible characters would make two names that look alike differ, and direction marks can make a name look like another.
    The joiners of Indic and Persian script (U+200C, U+200D) are spelling and stay.
    """
    if cell.isascii() and cell.isprintable():
        return cell.strip()
    kept = []
    for character in unicodedata.normalize("NFC", cell.replace("\r\n", "\n")):
        category = unicodedata.category(character)
        if category in ("Zs", "Zl", "Zp") or character in "\t\r\n":
            kept.append(" ")
        elif category[0] != "C" or character in "\u200c\u200d":
            kept.append(character)
    return "".join(kept).strip()
