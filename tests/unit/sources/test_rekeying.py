"""Spools under another key say what they said, share what they shared, and say nothing to the key before."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import SourceName
from syncd.errors import EndpointError
from syncd.sources import spool_table
from syncd.sources.rekeying import FORMER, STAGED, Blind, clear, sources_in, stage, take_over
from syncd.sources.spool import Spool, open_spool, stored
from syncd.sources.spool_table import crc
from syncd.vault import Rekeying, Vault
from tests.unit.sources.test_spool import SIS, VAULT, marked, upon, written

NEW = Vault(b"the next key for tests, no other")
KEYS = Rekeying.between(VAULT, NEW)
BOUND = {"source": "sis", "fact": "birth_date"}


@pytest.fixture(autouse=True)
def blocks_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks in a small table."""
    monkeypatch.setattr(spool_table, "LINES", 2)


def born(number: int, vault: Vault = VAULT) -> str:
    """A birth date as it lies in a spool."""
    return vault.kept_fact(f"2012-01-{number:02}", key=str(number), **BOUND)


def rotated(folder: Path) -> dict[SourceName, list[str]]:
    """Everything is put under the new key."""
    names = stage(folder, KEYS)
    take_over(folder)
    return names


def told(spool: Spool) -> list[tuple[int, list[str]]]:
    """Every row of the one table."""
    return list(spool.rows("people"))


def test_a_spool_says_under_the_new_key_what_it_said_and_birth_dates_go_with_it(tmp_path: Path) -> None:
    """Digits, unreadable facts, and a text that only looks like a fact, stay as they are; the old key opens nothing."""
    digits = VAULT.fact_token("1234", source="sis", key="2", fact="ssn4")
    strange = "i1:00000000:0123456789abcdef0123456789abcdef01234567 s1:00000000:beef"
    rows = [["1", born(1)], ["2", digits], ["3", "?"], ["4", ""], ["5", born(9)], ["6", strange]]
    made = written(tmp_path, rows)
    assert rotated(tmp_path) == {SIS: [made.id]}
    found = open_spool(tmp_path, SIS, made.id, NEW)
    assert [row for _, row in told(found)] == [["1", born(1, NEW)], *rows[1:4], ["5", born(9)], ["6", strange]]
    assert (found.content, found.counts, found.fetched_at) == (made.content, made.counts, made.fetched_at)
    with pytest.raises(EndpointError):
        open_spool(tmp_path, SIS, made.id, VAULT)


def test_spools_that_share_files_share_them_afterwards_and_are_found_by_the_same_keys(tmp_path: Path) -> None:
    """Only offsets move: what an index finds, it finds, in both spools, and each file lies on the disk once."""
    first = marked(tmp_path, [[str(number), born(number)] for number in range(1, 8)])
    second = upon(tmp_path, first, days=1)
    assert second is not None
    before = {spool.id: (told(spool), list(spool.found("people", {crc("5")}))) for spool in (first, second)}
    rotated(tmp_path)
    assert stored(tmp_path, SIS) == [first.id, second.id]
    for name, (rows, found) in before.items():
        spool = open_spool(tmp_path, SIS, name, NEW)
        assert [(line, row[0]) for line, row in told(spool)] == [(line, row[0]) for line, row in rows]
        assert [(line, row[0]) for line, row in spool.found("people", {crc("5")})] == [(line, row[0]) for line, row in found]
        assert len(found) < len(rows)
    assert any(path.stat().st_nlink > 1 for path in (tmp_path / SIS).rglob("*.rows"))


@pytest.mark.parametrize("damage", ["cut", "gone", "head"])
def test_a_damaged_spool_is_left_behind_and_holds_no_other_up(tmp_path: Path, damage: str) -> None:
    """Nobody can read it, and the next roster is read whole; the spool that shares its good file is whole."""
    bad = written(tmp_path, [["1", "a"], ["2", "b"], ["3", "c"]])
    good = marked(tmp_path, [["1", "a"], ["2", "b"]])
    path = tmp_path / SIS / bad.id / ("head" if damage == "head" else "0.rows")
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:-1])
    assert rotated(tmp_path) == {SIS: [good.id]}
    assert stored(tmp_path, SIS) == [good.id]
    assert len(told(open_spool(tmp_path, SIS, good.id, NEW))) == 2


def test_a_change_of_places_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    """Between the two renames of a source there is no folder of its name; what is staged is what is meant."""
    made = written(tmp_path, [["1", "a"]])
    stage(tmp_path, KEYS)
    (tmp_path / FORMER).mkdir()
    (tmp_path / SIS).rename(tmp_path / FORMER / SIS)
    take_over(tmp_path)
    take_over(tmp_path)
    assert told(open_spool(tmp_path, SIS, made.id, NEW)) == [(2, ["1", "a"])]
    assert sorted(path.name for path in tmp_path.iterdir()) == [SIS]


def test_what_was_only_staged_is_thrown_away(tmp_path: Path) -> None:
    """Before it was decided nothing counts; the next attempt begins anew."""
    made = written(tmp_path, [["1", "a"]])
    stage(tmp_path, KEYS)
    assert sources_in(tmp_path) == [SIS]
    stage(tmp_path, KEYS)
    clear(tmp_path)
    assert not (tmp_path / STAGED).exists()
    assert told(open_spool(tmp_path, SIS, made.id, VAULT)) == [(2, ["1", "a"])]
    assert stage(tmp_path / "nothing", KEYS) == {}


def test_whoever_looks_past_the_digits_sees_that_there_are_some_and_no_more(tmp_path: Path) -> None:
    """Under two keys a row is the same but for digits; whether there are any, and whether they can be read, is told."""
    rows = [
        [["1", vault.fact_token("1234", source="sis", key="1", fact="ssn4")], ["2", ""], ["3", "?"], ["4", "t1:x"]]
        for vault in (VAULT, NEW)
    ]
    seen = [list(Blind(written(tmp_path / str(number), table)).rows("people")) for number, table in enumerate(rows)]
    assert seen[0] == seen[1] == [(2, ["1", "t1"]), (3, ["2", ""]), (4, ["3", "?"]), (5, ["4", "t1:x"])]
