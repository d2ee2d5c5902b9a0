"""What lies on disk is complete, sealed, and exactly what was written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.model import SourceKey, SourceName, Subject, SubjectKey
from syncd.errors import EndpointError, TransientError
from syncd.sources import extract, spool_table
from syncd.sources.sameness import mark
from syncd.sources.spool import OLDEST, Spool, SpoolWriter, open_spool, purge, row_bytes, stored
from syncd.sources.spool_table import Said, crc
from syncd.vault import Vault

SIS = SourceName("sis")
VAULT = Vault(b"a key for tests, nothing else...")
NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)
rows = st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=20)


def written(folder: Path, table: list[list[str]], previous: Spool | None = None) -> Spool:
    """A spool of one table."""
    writer = SpoolWriter(SIS, folder, VAULT, previous, NOW)
    writer.content("digest")
    with writer.table("people", ("key", "name")) as out:
        for line, row in enumerate(table, 2):
            out.write(row, line)
    return writer.commit()


@settings(deadline=None)  # each example waits for the disk
@given(rows)
def test_any_text_comes_back_as_written(table: list[list[str]]) -> None:
    """Whatever the cells hold: what is read is what was written, in order, with its lines."""
    with tempfile.TemporaryDirectory() as folder:
        made = written(Path(folder), table)
        found = open_spool(Path(folder), SIS, made.id, VAULT)
        assert list(found.rows("people")) == [(line, row) for line, row in enumerate(table, 2)]
        assert found.counts == {"people": len(table)}


@given(st.lists(st.text(), min_size=3, max_size=3), st.lists(st.text(), min_size=3, max_size=3))
def test_two_rows_are_digested_alike_only_when_they_are_alike(one: list[str], other: list[str]) -> None:
    """No cell can imitate the border between two cells."""
    assert (row_bytes("t", one) == row_bytes("t", other)) == (one == other)


def test_a_cell_with_the_separator_in_it_is_another_row() -> None:
    """The border between cells cannot be moved by writing it into a cell."""
    assert row_bytes("t", ["a\x1fb", "c"]) != row_bytes("t", ["a", "b\x1fc"])


def test_many_rows_span_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are an affair of the disk only."""
    monkeypatch.setattr(spool_table, "LINES", 3)
    table = [[str(number), "x"] for number in range(10)]
    assert [row for _, row in written(tmp_path, table).rows("people")] == table


def test_nothing_lies_there_in_clear(tmp_path: Path) -> None:
    """Names cannot be read off the disk, and nobody else may read the files (R38)."""
    written(tmp_path, [["s1", "Unmistakable"]])
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
        if path.is_file():
            assert b"Unmistakable" not in path.read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "swap"])
def test_a_damaged_spool_is_an_error(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool is whole or refused: never a shorter one."""
    monkeypatch.setattr(spool_table, "LINES", 2)
    made = written(tmp_path, [["1", "a"], ["2", "b"], ["3", "c"], ["4", "d"]])
    path = tmp_path / "sis" / made.id / "0.rows"
    plain = path.read_bytes()
    half = len(plain) // 2
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": plain[:half], "flip": plain[:-1] + bytes([plain[-1] ^ 1]), "swap": plain[half:] + plain[:half]}[damage]
        )
    with pytest.raises(EndpointError):
        list(open_spool(tmp_path, SIS, made.id, VAULT).rows("people"))


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    """A spool hangs on the state key."""
    made = written(tmp_path, [])
    with pytest.raises(EndpointError, match="state_key"):
        open_spool(tmp_path, SIS, made.id, Vault(b"quite another key for tests ...."))


def crcs(row: Sequence[str]) -> tuple[int, ...]:
    """What the rows of these tests are found by."""
    return (crc(row[0]),)


def marked(folder: Path, table: list[list[str]]) -> Spool:
    """A spool of one table that can be built upon: blocks of two rows, and one row by its key."""
    writer = SpoolWriter(SIS, folder, VAULT, None, NOW)
    writer.content("digest")
    lines = [",".join(row).encode() for row in table]
    marks = [mark(lines[start : start + 2], len) for start in range(0, len(lines), 2)]
    with writer.table("people", ("key", "name"), crcs, Said("a", "b", "c"), marks) as out:
        for line, row in enumerate(table, 2):
            out.write(row, line)
    return writer.commit()


def upon(folder: Path, before: Spool, *, days: int = 0, oldest: timedelta = OLDEST) -> Spool | None:
    """A spool that keeps all blocks but the second of an earlier one, behind a new row; None where it may not."""
    writer = SpoolWriter(SIS, folder, VAULT, before, NOW + timedelta(days=days), oldest)
    writer.content(f"{before.content}+")
    base = writer.base("people")
    if base is None:
        return None
    with writer.table_upon(base, crcs, Said("a", "b", "d")) as out:
        out.put([(2, ["0", "new"])], 2, mark([b"0,new"], len))
        for block in (block for place, block in enumerate(base.blocks()) if place != 1):
            out.keep(block, block.line + 1)
    writer.differs({SubjectKey(Subject.PERSON, SourceKey("0"))})
    return writer.commit()


FOUR = [["1", "a"], ["2", "b"], ["3", "c"], ["4", "d"], ["5", "e"]]


@pytest.fixture
def _two_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two lines."""
    monkeypatch.setattr(spool_table, "LINES", 2)


@pytest.mark.usefixtures("_two_lines")
@pytest.mark.parametrize("linked", [True, False])
def test_a_spool_built_upon_another_stands_when_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    """What it keeps is its own too, also on a disk that knows no links; lines have moved with what was put in above."""
    if not linked:
        monkeypatch.setattr(os, "link", _no_links)
    first = marked(tmp_path, FOUR)
    second = upon(tmp_path, first)
    assert second is not None
    purge(tmp_path, SIS, {second.id})
    found = open_spool(tmp_path, SIS, second.id, VAULT)
    assert list(found.rows("people")) == [(2, ["0", "new"]), (3, ["1", "a"]), (4, ["2", "b"]), (7, ["5", "e"])]
    assert found.counts == {"people": 4}
    assert found.differs == {first.id: {SubjectKey(Subject.PERSON, SourceKey("0"))}}


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "not permitted")


@pytest.mark.usefixtures("_two_lines")
def test_rows_are_found_by_their_keys_and_replaced_ones_are_not(tmp_path: Path) -> None:
    """Only the blocks that may hold them are opened."""
    first = marked(tmp_path, FOUR)
    second = upon(tmp_path, first)
    assert second is not None
    assert [row[0] for _, row in first.found("people", {crc("3"), crc("5")})] == ["3", "4", "5"]
    assert [row[0] for _, row in second.found("people", {crc("0"), crc("3"), crc("2")})] == ["0", "1", "2"]


@pytest.mark.usefixtures("_two_lines")
def test_rows_are_not_built_upon_for_ever(tmp_path: Path) -> None:
    """R38: what was replaced is gone from the disk in time: after a week, or the days that spools are kept; and files stay few."""
    first = marked(tmp_path, FOUR)
    assert upon(tmp_path, first, days=8) is None
    assert upon(tmp_path, first, days=3, oldest=timedelta(days=2)) is None
    spool: Spool | None = first
    count = 0
    while spool is not None:
        count, spool = count + 1, upon(tmp_path, spool)
    assert 5 < count < 20


@pytest.mark.usefixtures("_two_lines")
@pytest.mark.parametrize("name", ["0.blocks", "0.index"])
@pytest.mark.parametrize("damage", [lambda plain: plain[:9], lambda plain: plain[:-1] + bytes([plain[-1] ^ 1]), None])
def test_a_damaged_list_or_index_is_an_error(tmp_path: Path, name: str, damage: Callable[[bytes], bytes] | None) -> None:
    """A row that is not found must not be there: an index is whole, or refused."""
    path = tmp_path / "sis" / marked(tmp_path, FOUR).id / name
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EndpointError):
        list(open_spool(tmp_path, SIS, path.parent.name, VAULT).found("people", {crc("3")}))


class _Failing:
    """A source that fails so often, then says one row."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors

    def fetch(self, spool: SpoolWriter) -> None:
        if spool.content("v1"):
            return
        with spool.table("people", ("key",)) as out:
            out.write(["s1"], 2)
            if self.errors:
                raise self.errors.pop()

    def digests(self, spool: Spool) -> None: ...

    def records(self, spool: Spool, keys: object) -> None: ...


def test_a_source_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    """A half-read source cannot be planned from: there is no spool of it."""
    with pytest.raises(EndpointError):
        extract(SIS, _Failing([EndpointError("sis", "gone")]), tmp_path, VAULT, None, NOW)  # type: ignore[arg-type]  # a stub
    assert not stored(tmp_path, SIS)
    assert not list((tmp_path / "sis").iterdir())


def test_a_passing_trouble_is_tried_again(tmp_path: Path) -> None:
    """A TransientError is retried, and what the failed try wrote is not in the spool."""
    found = extract(SIS, _Failing([TransientError("busy", 0.0)]), tmp_path, VAULT, None, NOW)  # type: ignore[arg-type]  # a stub
    assert found.counts == {"people": 1}


def test_a_lasting_trouble_is_an_endpoint_error(tmp_path: Path) -> None:
    """What persists is named as such."""
    with pytest.raises(EndpointError, match="tried 4 times"):
        extract(SIS, _Failing([TransientError("busy", 0.0) for _ in range(9)]), tmp_path, VAULT, None, NOW)  # type: ignore[arg-type]  # a stub


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A full disk or a wrong right is an error of the run's own house, said so."""
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(EndpointError, match="spool cannot be written below"):
        extract(SIS, _Failing([]), tmp_path / "state", VAULT, None, NOW)  # type: ignore[arg-type]  # a stub


def test_unchanged_content_keeps_the_old_spool(tmp_path: Path) -> None:
    """An unchanged file is no new snapshot."""
    first = extract(SIS, _Failing([]), tmp_path, VAULT, None, NOW)  # type: ignore[arg-type]  # a stub
    assert extract(SIS, _Failing([]), tmp_path, VAULT, first.id, NOW).id == first.id  # type: ignore[arg-type]  # a stub
    assert stored(tmp_path, SIS) == [first.id]


def test_purging_keeps_what_is_named(tmp_path: Path) -> None:
    """Retention removes the rest, whole."""
    one, two = written(tmp_path, []), written(tmp_path, [])
    assert one.id != two.id
    assert purge(tmp_path, SIS, {two.id}) == [one.id]
    assert stored(tmp_path, SIS) == [two.id]
