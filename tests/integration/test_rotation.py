"""The rotation of the state key (R23): everything opens under the new key, nothing under the old, and nobody notices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, select

from syncd.assembly import opened_store, rotate_key, vault_of
from syncd.core.facts import FactKind
from syncd.core.model import RunId
from syncd.engine.lock import DAEMON, exclusive
from syncd.engine.rotation import Rotated
from syncd.errors import EndpointError
from syncd.sources.spool import open_spool, stored
from syncd.store import Store, rotation, tables
from syncd.store.database import transaction
from syncd.store.history import password_context
from syncd.vault import NEXT_KEY, STATE_KEY, Vault, keys_in
from tests.conftest import write_secret
from tests.fixtures.engine_world import FIRST_DAY, KEY, LDAP, MAIN, SIS, World, pupil, world

NEXT = "the next state key of a test, nothing else"
OLD_ID, NEXT_ID = Vault(KEY.encode()).key_id, Vault(NEXT.encode()).key_id
BIRTH = date(2011, 7, 23)
SPELT = ("2011-07-23", "07/23/2011", "7/23/2011", "20110723", "23.07.2011", "23 Jul")
SSN, S_NUMBER = "8317", "9241"
ACTOR = "root (uid 0)"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff with accounts, a leaver in grace, a newer roster, a sponsored person, a plan that waits."""
    with world(tmp_path) as made:
        made.roster = made.roster.with_students(pupil(1, birth=BIRTH, ssn4=SSN, s_number4=S_NUMBER))
        made.begin()
        made.leave("s6")
        made.day()
        made.students(pupil(2, family="Other"))
        made.day()
        sponsored = {"given": "Sam", "family": "Sub", "population": "staff", "campus": "001", "birth_date": BIRTH.isoformat()}
        made.engine.facts.sponsor(sponsored, made.person("t1"), made.clock.today + timedelta(days=30), ACTOR, "a substitute")
        made.day()
        made.engine.plan(MAIN)
        yield made


def rotated(district: World, key: str = NEXT) -> Rotated:
    """The key is rotated by the program, the new file takes the old one's place, and a new process goes on."""
    write_secret(district.folder / "credentials" / NEXT_KEY, key)
    district.store.close()
    try:
        done = rotate_key(district.config, ACTOR, clock=district.clock)
    finally:
        goes_on(district)
    (district.folder / "credentials" / NEXT_KEY).rename(district.folder / "credentials" / STATE_KEY)
    return done


def goes_on(district: World) -> None:
    """A new process, under whatever key the store is now."""
    district.vault = vault_of(district.config)
    district.store = Store.open(district.config.store, district.vault)
    district.reopen()


def everything_opens(district: World) -> None:
    """Whatever is sealed in the store opens, each spool can be read, the chain verifies, and first passwords are those given."""
    with transaction(district.store._engine) as connection:
        for (name, column), context in rotation.CONTEXTS.items():
            for row in connection.execute(select(tables.metadata.tables[name])):
                if getattr(row, column):
                    district.store._vault.open(getattr(row, column), context(row))
    spools = district.state / "spools"
    for spool in stored(spools, SIS):
        opened = open_spool(spools, SIS, spool, district.vault)
        assert [row for name in opened.counts for row in opened.rows(name)]
    assert district.store.audit.verify().problems == ()
    waiting = district.store.sealed_passwords(district.clock())
    known = district.store.known(LDAP)
    assert {one.person for one in waiting} <= known.keys()
    for one in waiting:
        password = district.vault.open(one.sealed, password_context(one.target, one.person)).decode()
        assert password == district.memory.passwords[known[one.person].native_id]


def test_every_sealed_column_is_known_to_the_rotation() -> None:
    """A new column of bytes is sealed under a context that is written down, or somebody has said that it is no contents."""
    sealed = {
        (table.name, column.name)
        for table in tables.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert sealed == rotation.CONTEXTS.keys() | rotation.UNSEALED
    assert rotation.COMMITTED <= rotation.CONTEXTS.keys()


def test_everything_opens_under_the_new_key_and_nothing_under_the_old(district: World) -> None:
    """R23: before-images, outcomes, plans, records, passwords, spools; and `syncd undo` still knows what was before."""
    journal, head = district.store.journal(), district.store.audit.head()
    records, findings = district.store.records(), district.store.findings()
    plan = district.store.plan(RunId("r5"))
    told = rotated(district)
    assert (told.key_id, told.rows > 50, told.spools > 1) == (NEXT_ID, True, True)
    everything_opens(district)
    assert district.store.journal() == journal
    assert district.store.findings() == findings
    assert district.store.plan(RunId("r5")) == plan is not None
    now = district.store.records()
    assert {one: [replace(each, facts={}, sealed={}) for each in all_] for one, all_ in now.items()} == {
        one: [replace(each, facts={}, sealed={}) for each in all_] for one, all_ in records.items()
    }
    assert district.store.audit.verify(head).problems == ()
    assert district.store.audit.entries()[-1].kind == rotation.ROTATED
    old = Vault(KEY.encode())
    with pytest.raises(EndpointError, match="cannot open witness"):
        Store.open(district.config.store, old)
    with transaction(district.store._engine) as connection:
        for (name, column), context in rotation.CONTEXTS.items():
            for row in connection.execute(select(tables.metadata.tables[name])):
                with pytest.raises(EndpointError):
                    old.open(getattr(row, column) or b"nothing", context(row))
    for spool in stored(district.state / "spools", SIS):
        with pytest.raises(EndpointError):
            open_spool(district.state / "spools", SIS, spool, old)


def test_a_rotation_makes_nobody_dirty_and_changes_nothing(district: World) -> None:
    """The same roster, read again under the new key, is no news: no change, nobody looked at, no day more of absence."""
    before, absent = district.everything(), district.store.missing(SIS)
    rotated(district)
    planned, applied = district.sync()
    assert planned.changes == applied.landed == 0
    assert planned.readings[SIS].changed == {}
    assert planned.readings[SIS].fresh
    assert not planned.readings[SIS].evident
    assert district.store.missing(SIS) == absent
    assert district.store.rotation.pending() == {}
    again = district.plan()
    assert not again.readings[SIS].fresh
    for kind in ("everything", "reconcile"):
        assert district.plan(kind).changes == 0
    assert district.everything() == before


def test_what_a_roster_changes_beside_the_key_is_done_and_nothing_else(district: World) -> None:
    """One student has a new name, another's digits are others: the first is news, the second is not, and both are told anew."""
    rotated(district)
    district.students(pupil(3, family="Newname"), pupil(4, ssn4="1111"))
    planned, _ = district.sync()
    assert {key.key for key in planned.readings[SIS].changed} == {"s3"}
    assert planned.readings[SIS].evident
    assert {change.person for one in planned.plans.values() for change in one.changes} == {district.person("s3")}
    (record,) = district.store.records([district.person("s4")])[district.person("s4")]
    assert record.facts["ssn4"] == district.vault.fact_token("1111", source=SIS, key="s4", fact="ssn4")
    assert district.store.rotation.pending() == {}


def test_digits_are_pending_until_a_complete_roster_and_those_of_absent_people_go(district: World) -> None:
    """Birth dates are under the new key at once; of digits it is told how many wait, and whose roster it is that must tell them."""
    gone = district.person("s6")
    told = rotated(district)
    assert {source: sum(keys.values()) for source, keys in told.facts.items()} == {SIS: 7}  # six students' ssn4, one s_number4
    assert set(told.facts[SIS]) == {OLD_ID}
    for records in district.store.records().values():
        for record in records:
            if "birth_date" in record.facts:
                assert keys_in([record.facts["birth_date"], record.sealed["birth_date"]]) == [NEXT_ID, NEXT_ID]
    assert "ssn4" in district.store.records([gone])[gone][0].facts
    district.sync()
    assert district.store.rotation.pending() == {}
    left = district.store.records([gone])[gone][0]
    assert set(left.facts) == {"birth_date"}
    facts = [token for records in district.store.records().values() for one in records for token in one.facts.values()]
    assert len(facts) > 6
    assert set(keys_in(facts)) == {NEXT_ID}


def test_a_source_that_cannot_be_read_leaves_its_facts_pending(district: World) -> None:
    """What stands in for it is the last copy, under the new key; everybody stays as they are."""
    rotated(district)
    district.break_roster()
    planned, _ = district.sync()
    assert planned.readings[SIS].failed
    assert planned.changes == 0
    assert district.store.rotation.pending() == {SIS: {OLD_ID: 7}}
    district.deliver()
    district.sync()
    assert district.store.rotation.pending() == {}


def test_a_second_rotation_before_the_roster_came_counts_both_keys(district: World) -> None:
    """Facts under the first key wait as those under the second would; what was committed to long ago still verifies."""
    head = district.store.audit.head()
    rotated(district)
    third = "a third state key of a test, nothing else"
    rotated(district, third)
    assert district.store.rotation.pending() == {SIS: {OLD_ID: 7}}
    everything_opens(district)
    assert district.store.audit.verify(head).problems == ()
    district.day()
    assert district.store.rotation.pending() == {}


def test_who_resembles_whom_is_known_under_the_new_key(district: World) -> None:
    """R35: a newcomer with the birth date and name of somebody who left is asked about, before any roster was read again."""
    rotated(district)
    twin = pupil(6, key="s66", number="19999", given="Finn", family="Ford", birth=pupil(6).birth)
    district.students(twin)
    planned = district.plan()
    assert [finding.subject for finding in planned.findings if finding.kind == "disputed"] != []
    (sponsored,) = [fact for fact in district.store.facts.listed() if fact.kind is FactKind.SPONSOR]
    assert keys_in([sponsored.values["birth_date"]]) == [NEXT_ID]


def test_a_forgotten_name_stays_taken_under_every_key(district: World) -> None:
    """R9: tombstones cannot be put under another key, and are asked for under each there ever was."""
    district.students(pupil(5, exit=FIRST_DAY))
    district.day()
    district.leave("s5", "s6")
    district.day()
    person = district.person("s5")
    (name,) = [one.value for kind, one in district.store.names([person])[person].items() if kind == "username"]
    district.store.lives.forget(person, ACTOR, "asked", district.clock())
    rotated(district)
    assert district.store.holders([name]) == {name: "forgotten"}
    assert district.store.audit.verify().problems == ()


# --- what lies where ------------------------------------------------------------------------------------------------------


def holding(folder: Path, *texts: str) -> list[tuple[str, str]]:
    """Which of the texts, as words of their own, stands in which file of a folder."""
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(kept) > 2
    return [
        (path.name, text)
        for text in texts
        for path, content in kept.items()
        if re.search(rb"(?<![0-9A-Za-z])" + re.escape(text.encode()) + rb"(?![0-9A-Za-z])", content)
    ]
