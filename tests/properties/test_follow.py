"""A delivery told by its differences says exactly what the same delivery says that is read whole."""

from __future__ import annotations

import csv
import io
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from syncd.core.model import Record, Reject, SourceKey, Subject, SubjectKey
from syncd.errors import EndpointError
from syncd.sources import Source, Spool, build, extract, lockstep, oneroster_follow, sameness, spool_table
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.sources.supplement import SupplementConfig
from syncd.vault import Vault
from tests.conftest import NIGHTLY
from tests.fixtures.broken_rosters import NOW, SIS, Delivery, healthy, rows_of

VAULT = Vault(b"a key for tests, nothing else...")
COPIES = 12
EDITED = ("users", "users", "roles", "enrollments", "enrollments", "demographics", "classes")
VALUES = {
    "status": ["", "", "active", "tobedeleted"],
    "dateLastModified": ["", "2026-08-30", "someday"],
    "givenName": ["Ann", "Bo", "", 'A "B", C'],
    "familyName": ["Lee", "Ng", ""],
    "grades": ["07", "08", "seven", ""],
    "identifier": ["1", "77", ""],
    "agentSourcedIds": ["g1", "g1-3", "g1,g1-4", "nobody", ""],
    "userSourcedId": ["s1", "s2-5", "t1-2", "g1", "nobody", ""],
    "role": ["student", "teacher", "parent", "tutor", ""],
    "roleType": ["primary", "secondary", "other"],
    "classSourcedId": ["k1", "k2-3", "nowhere"],
    "schoolSourcedId": ["o1", "nowhere"],
    "orgSourcedId": ["o1", "nowhere", ""],
    "title": ["Algebra", "Art"],
    "beginDate": ["", "2026-08-16", "soon"],
    "primary": ["true", "false", "perhaps"],
    "birthDate": ["2013-04-05", "2012-01-02", "05/04/2013"],
    "enabledUser": ["true", "false", ""],
    "metadata.bus": ["7", "8"],
}


def grown() -> Delivery:
    """The healthy delivery a dozen times over, in one school."""
    delivery = healthy()
    for name in ("users", "roles", "enrollments", "demographics", "classes"):
        rows = rows_of(delivery, name)
        places = [
            place
            for place, column in enumerate(rows[0])
            if column in ("sourcedId", "userSourcedId", "classSourcedId", "agentSourcedIds")
        ]
        body = rows[1:]
        for copy in range(1, COPIES):
            for row in body:
                more = row[:]
                for place in places:
                    more[place] = f"{row[place]}-{copy}" if row[place] else ""
                rows.append(more)
    return delivery


def edit(delivery: Delivery, chance: Random) -> None:
    """Something changes: mostly one cell, sometimes a row; what comes of it may be right or wrong."""
    name = chance.choice(EDITED)
    rows = rows_of(delivery, name)
    place = chance.randrange(1, len(rows))
    how = chance.random()
    if how < 0.7 and rows[place]:
        column = chance.choice([one for one in rows[0] if one in VALUES])
        rows[place][rows[0].index(column)] = chance.choice(VALUES[column])
    elif how < 0.8 and len(rows) > 3:
        del rows[place]
    elif how < 0.93 and rows[place]:
        rows.insert(chance.randrange(1, len(rows) + 1), [f"new{chance.randrange(10**6)}", *rows[place][1:]])
    elif how < 0.95:
        rows.insert(chance.randrange(1, len(rows) + 1), rows[place][:])
    elif how < 0.97:
        rows.insert(chance.randrange(1, len(rows)), rows.pop(place))
    elif how < 0.99:
        rows.insert(place, [])
    else:
        rows[place].append("one too many")


def write(delivery: Delivery, path: Path, chance: Random) -> None:
    """The delivery as a zip, now and then with other quotes and line ends."""
    quoting: Literal[0, 1] = csv.QUOTE_ALL if chance.random() < 0.3 else csv.QUOTE_MINIMAL
    ending = chance.choice(("\r\n", "\r\n", "\n"))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in delivery.items():
            out = io.StringIO()
            assert not isinstance(content, bytes)
            csv.writer(out, quoting=quoting, lineterminator=ending).writerows(content)
            archive.writestr(name, out.getvalue().encode())


@dataclass
class Said:
    """Everything a source says of a spool."""

    digests: dict[SubjectKey, int]
    rejects: list[Reject]
    records: dict[SourceKey, Record]

    @staticmethod
    def of(source: Source, spool: Spool, only: Collection[SubjectKey] | None = None) -> Said:
        """All of it, or what concerns these."""
        digests: dict[SubjectKey, int] = defaultdict(int)
        rejects: list[Reject] = []
        for item in source.digests(spool, only):
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                digests[item[0]] = (digests[item[0]] + item[1]) % 2**128
        keys = None if only is None else {one.key for one in only if one.subject is Subject.PERSON}
        records = {one.key: one for one in source.records(spool, keys) if isinstance(one, Record)}
        return Said(dict(digests), rejects, records)


def extracted(source: Source, folder: Path, last: str | None) -> tuple[Spool | None, str]:
    """The spool, or why there is none."""
    try:
        return extract(SIS, source, folder, VAULT, last, NOW), ""
    except EndpointError as error:
        return None, str(error)


def contents(spool: Spool) -> dict[str, tuple[tuple[str, ...], list[tuple[int, list[str]]]]]:
    """Every table with its columns and rows."""
    return {name: (spool.columns(name), list(spool.rows(name))) for name in sorted(spool.counts)}


def sorted_rejects(rejects: Collection[Reject]) -> list[str]:
    """For comparison."""
    return sorted(map(repr, rejects))


@pytest.fixture(scope="module")
def _small() -> Iterator[None]:
    """Blocks of four lines, so that a small roster has many."""
    with ExitStack() as stack:
        for module in (sameness, spool_table, oneroster_follow):
            stack.enter_context(patch.object(module, "LINES", 4))
        stack.enter_context(patch.object(lockstep, "_REACHES", (2, 4, 8)))
        yield


@pytest.mark.usefixtures("_small")
@example(seed=40513680, supplemented=False)  # a row about nobody appears
@settings(max_examples=40 if NIGHTLY else 20, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9), supplemented=st.booleans())
def test_what_is_followed_is_what_is_read_whole(seed: int, supplemented: bool) -> None:
    """Whatever changes, over several deliveries: the same spool, the same digests, and nobody touched who is not said to be."""
    chance = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        extra = place / "extra.csv"
        extra.write_text("number,bus\n1001,7\n1003,9\n", "utf-8")
        more = (SupplementConfig("extra", extra, "number", {"extra.bus": "bus"}, joins="student_number"),)
        options = OneRosterCsvConfig(place / "roster.zip", supplements=more if supplemented else ())
        source = build("oneroster_csv", SIS, options, VAULT)
        delivery = grown()
        write(delivery, place / "roster.zip", chance)
        last = extract(SIS, source, place / "followed", VAULT, None, NOW)
        before = Said.of(source, last)
        for _ in range(5):
            for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
                edit(delivery, chance)
            write(delivery, place / "roster.zip", chance)
            whole, why = extracted(source, place / "whole", None)
            followed, refused = extracted(source, place / "followed", last.id)
            assert refused == why
            if whole is None or followed is None:
                event("refused")
                return
            assert followed.content == whole.content
            if followed.id == last.id:
                event("unchanged")
                continue
            assert contents(followed) == contents(whole)
            assert followed.sound == whole.sound
            said = Said.of(source, whole)
            differs = followed.differs.get(last.id)
            event("read whole" if differs is None else "followed")
            if differs is not None and all(one.key is not None for one in before.rejects):  # else everybody is compared
                others = said.digests.keys() | before.digests.keys()
                really = {one for one in others if said.digests.get(one) != before.digests.get(one)}
                assert really <= differs
                rejected = {SubjectKey(one.subject, one.key) for one in (*said.rejects, *before.rejects) if one.key is not None}
                asked = differs | {one for one in rejected if one.subject is Subject.PERSON}
                part = Said.of(source, followed, asked)
                assert part.digests == {one: digest for one, digest in said.digests.items() if one in asked}
                assert sorted_rejects(part.rejects) == sorted_rejects(said.rejects)
                earlier = Said.of(source, last, asked)
                assert len(said.digests) - len(before.digests) == len(part.digests) - len(earlier.digests)
                keys = {one.key for one in asked if one.subject is Subject.PERSON}
                assert part.records == {key: record for key, record in said.records.items() if key in keys}
            some = chance.sample(sorted(said.records), min(3, len(said.records)))
            one_by_one = {one.key: one for one in source.records(followed, some) if isinstance(one, Record)}
            assert one_by_one == {key: said.records[key] for key in some}
            last, before = followed, said


def one_change(place: Path) -> tuple[Source, Spool, Spool]:
    """Two deliveries, between which one student's name changed, and the source."""
    chance, delivery = Random(0), grown()
    source = build("oneroster_csv", SIS, OneRosterCsvConfig(place / "roster.zip"), VAULT)
    write(delivery, place / "roster.zip", chance)
    first = extract(SIS, source, place / "spools", VAULT, None, NOW)
    users = rows_of(delivery, "users")
    next(row for row in users if row[0] == "s1-3")[users[0].index("familyName")] = "Other"
    write(delivery, place / "roster.zip", chance)
    return source, first, extract(SIS, source, place / "spools", VAULT, first.id, NOW)


@pytest.mark.usefixtures("_small")
def test_of_one_change_only_those_it_is_about_are_looked_at(tmp_path: Path) -> None:
    """The student, and the guardian whose record lists them; of the files, the one block it lies in."""
    _, first, second = one_change(tmp_path)
    assert second.differs == {first.id: {SubjectKey(Subject.PERSON, SourceKey(key)) for key in ("s1-3", "g1-3")}}
    users = second.kept("users")
    assert users is not None
    assert [block.rows for block in users.blocks() if block.file == 1] == [4]
    assert all(len(table.files) == 1 for name in ("roles", "enrollments", "classes") if (table := second.kept(name)))


@pytest.mark.usefixtures("_small")
def test_a_roster_that_is_another_one_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a share of its lines, telling the differences would cost more than reading."""
    monkeypatch.setattr(lockstep, "_FEW", 3)
    monkeypatch.setattr(lockstep, "_SHARE", 40)
    _, _, second = one_change(tmp_path)
    assert second.differs == {}


@pytest.mark.usefixtures("_small")
def test_a_spool_that_cannot_be_read_any_more_is_not_built_upon(tmp_path: Path) -> None:
    """The delivery itself tells everything: it is read whole."""
    source, _, second = one_change(tmp_path)
    for path in (tmp_path / "spools" / "sis" / second.id).glob("*.blocks"):
        path.write_bytes(b"damaged")
    users = healthy_again(tmp_path / "roster.zip")
    third = extract(SIS, source, tmp_path / "spools", VAULT, second.id, NOW)
    assert third.differs == {}
    assert len(list(third.rows("users"))) == users


def healthy_again(path: Path) -> int:
    """The delivery as it was at first; how many users it has."""
    delivery = grown()
    write(delivery, path, Random(0))
    return len(rows_of(delivery, "users")) - 1
