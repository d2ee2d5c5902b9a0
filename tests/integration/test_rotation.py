"""The rotation of the state key (R23): everything opens under the new key, nothing under the old, and nobody notices."""

from __future__ import annotations

import gc
import io
import logging
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, LargeBinary, select, update
from sqlalchemy.exc import IntegrityError

from syncd import telemetry
from syncd.assembly import opened_store, rotate_key, vault_of
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.facts import FactKind
from syncd.core.model import Account, Change, Kind, NativeId, Outcome, Result, RunId, SourceKey
from syncd.engine.lock import DAEMON, exclusive
from syncd.engine.rotation import Rotated
from syncd.errors import EndpointError
from syncd.sources.rekeying import STAGED
from syncd.sources.spool import open_spool, stored
from syncd.store import Store, audit, rotation, tables
from syncd.store.database import transaction
from syncd.store.history import password_context
from syncd.store.rotation import is_under
from syncd.vault import NEXT_KEY, STATE_KEY, Vault, keys_in
from tests.conftest import NIGHTLY, write_secret
from tests.crash import INJECTED, recorded
from tests.fixtures.engine_world import FIRST_DAY, KEY, LDAP, MAIN, SIS, World, pupil, world
from tests.integration.postgres import PrivatePostgres
from tests.properties.machine_world import SCRATCH
from tests.properties.test_crash_points import chosen

NOW = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
NEXT = "the next state key of a test, nothing else"
OLD_ID, NEXT_ID = Vault(KEY.encode()).key_id, Vault(NEXT.encode()).key_id
BIRTH = date(2011, 7, 23)
SPELT = ("2011-07-23", "07/23/2011", "7/23/2011", "20110723", "23.07.2011", "23 Jul")
SSN, S_NUMBER = "8317", "9241"
ACTOR = "root (uid 0)"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory, where there is room for it: a rotation has everything on the disk, a hundred times over."""
    with TemporaryDirectory(prefix="syncd-rotation-", dir=SCRATCH) as name:
        yield Path(name)


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
    assert rotation.CONTEXTS.keys() >= rotation.COMMITTED


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


def test_claim_facts_lie_nowhere_in_the_clear_before_during_and_after(
    district: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R23: neither digits nor birth dates stand in store, spools, journal, plans, backups or log, nor does either key."""
    planted = (SSN, S_NUMBER, *SPELT)
    stream = io.StringIO()
    with logged(stream):
        district.store.backup(tmp_path / "before.backup")
        assert holding(tmp_path / "state", *planted, KEY, NEXT) == []
        write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
        district.store.close()
        kept = shutil.copytree(district.state, tmp_path / "kept")
        with recorded() as recorder:
            rotate_key(district.config, ACTOR, clock=district.clock)
        for at in (len(recorder.events) * share // 100 for share in (20, 40, 60, 80, 90, 95)):
            back_to(kept, district.state)
            with recorded(at) as dead:
                rotate_key(district.config, ACTOR, clock=district.clock)
            assert dead.dead
            assert holding(tmp_path / "state", *planted, KEY, NEXT) == []
        rotate_key(district.config, ACTOR, clock=district.clock)
        goes_on(district)
        assert holding(tmp_path / "state", *planted, KEY, NEXT) == []
        district.store.backup(tmp_path / "after.backup")
        district.day()
        district.engine.plan(MAIN)
    assert holding(tmp_path / "state", *planted, KEY, NEXT) == []
    for name in ("before.backup", "after.backup"):
        assert not [text for text in (*planted, KEY, NEXT) if text.encode() in (tmp_path / name).read_bytes()]
    told = stream.getvalue() + "".join(capsys.readouterr())
    assert not [text for text in (*planted, KEY, NEXT) if re.search(rf"(?<![0-9a-f]){re.escape(text)}(?![0-9a-f])", told)]
    for text in planted:
        assert text not in repr(district.store.records()) + repr(district.store.journal()) + repr(district.engine.explain("s1"))


@contextmanager
def logged(stream: io.StringIO) -> Iterator[None]:
    """Everything is logged to the stream, as the daemon would, at the most talkative level."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("syncd").level
    telemetry.configure(stream, json=True, level=logging.DEBUG)
    try:
        yield
    finally:
        root.handlers[:], root.level = before[0], before[1]
        logging.getLogger("syncd").setLevel(before[2])


# --- killed ---------------------------------------------------------------------------------------------------------------

EVERY = 1 if NIGHTLY else 211
"""Of so many boundaries one is died at, and the first and the last of each kind that changes what is there."""
TELLING = frozenset({"os.link", "os.rename", "commit: before", "commit: after", "shutil.rmtree"})


def back_to(kept: Path, state: Path) -> None:
    """The state as it was kept."""
    shutil.rmtree(state)
    shutil.copytree(kept, state)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_rotation_killed_at_any_boundary_loses_nothing_and_is_ended_by_the_same_verb(district: World, tmp_path: Path) -> None:
    """Killed before it is decided, nothing has happened; killed after, runs are refused until the verb has done the rest."""
    write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
    district.store.close()
    kept = shutil.copytree(district.state, tmp_path / "kept")
    with recorded() as recorder:
        rotate_key(district.config, ACTOR, clock=district.clock)
    assert not recorder.unknown
    assert TELLING <= recorder.counts.keys() <= INJECTED
    old, ends = Vault(KEY.encode()), {"nothing has happened": 0, "half done": 0, "done": 0}
    for at in chosen(recorder.events, EVERY, TELLING):
        back_to(kept, district.state)
        with recorded(at) as dead:
            rotate_key(district.config, ACTOR, clock=district.clock)
        assert dead.dead, at
        gc.collect()  # what the dead process had open is closed, as the kernel does
        if not is_under(district.config.store, Vault(NEXT.encode())):
            ends["nothing has happened"] += 1
            district.vault, district.store = old, Store.open(district.config.store, old)
            everything_opens(district)
            district.store.close()
        else:
            ends[how_it_stands(district)] += 1
        rotate_key(district.config, ACTOR, clock=district.clock)
        goes_on(district)
        everything_opens(district)
        assert not [path for path in (district.state / "spools").iterdir() if path.name[:1] == "."]
        planned = district.plan()
        assert (planned.changes, planned.readings[SIS].changed) == (0, {})
        district.store.close()
    assert all(ends.values()), ends
    goes_on(district)


def how_it_stands(district: World) -> str:
    """Of a store under the new key: `done`, or `half done`, when nobody can use it and everybody is told what to do."""
    with suppress(EndpointError), opened_store(district.config):
        return "done"
    with pytest.raises(EndpointError, match="run: syncd rotate-key"), opened_store(district.config):
        pass
    return "half done"


KILLED = """
import os, signal, sys
from pathlib import Path
from syncd.assembly import rotate_key
from syncd.settings import load
from tests import crash
def hit(self, kind):
    self.events.append(kind)
    if len(self.events) == self.at:
        os.kill(os.getpid(), signal.SIGKILL)
crash.Recorder.hit = hit
with crash.recorded(int(sys.argv[2])):
    rotate_key(load(Path(sys.argv[1])), "root (uid 0)")
"""


@pytest.mark.parametrize("where", ["commit: before", "commit: after", "os.rename"] if NIGHTLY else ["commit: after"])
def test_a_rotation_killed_with_signal_9_is_ended_by_the_same_verb(district: World, tmp_path: Path, where: str) -> None:
    """A real kill around the one commit that decides, and between two folders that change places."""
    write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
    district.store.close()
    kept = shutil.copytree(district.state, tmp_path / "kept")
    with recorded() as recorder:
        rotate_key(district.config, ACTOR, clock=district.clock)
    events = recorder.events
    renamed = events.index("os.rename")

    def killed_at(number: int) -> bool:
        """Whether the store is under the new key after a kill at that event."""
        back_to(kept, district.state)
        words = [sys.executable, "-c", KILLED, str(district.folder), str(number)]
        told = subprocess.run(words, check=False, capture_output=True)
        assert told.returncode == -signal.SIGKILL, told.stderr
        return is_under(district.config.store, Vault(NEXT.encode()))

    commits = [number for number, kind in enumerate(events[:renamed], 1) if kind == "commit: before"]
    decided = next(number for number in reversed(commits) if not killed_at(number))  # what follows it only reads
    at = {"commit: before": decided, "commit: after": decided + 1, "os.rename": renamed + 2}[where]
    assert events[at - 1] == where
    assert killed_at(at) == (where != "commit: before")
    assert (district.state / "spools" / STAGED).exists()
    rotate_key(district.config, ACTOR, clock=district.clock)
    goes_on(district)
    everything_opens(district)
    assert district.plan().changes == 0


# --- at the command line --------------------------------------------------------------------------------------------------


def syncd(district: World, *words: str) -> int:
    """One call of the program."""
    return main(["--config", str(district.folder), *words])


def test_the_verb_says_what_it_did_and_what_is_still_to_do(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a next key it says where one is looked for; with one it rotates once; then it and `check` say what waits."""
    assert syncd(district, "rotate-key") == Exit.UNAVAILABLE
    assert NEXT_KEY in capsys.readouterr().err
    write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
    with exclusive(district.state, district.store, district.clock, DAEMON):
        assert syncd(district, "rotate-key") == Exit.UNAVAILABLE
    assert "systemctl stop syncd" in capsys.readouterr().err
    assert syncd(district, "rotate-key") == Exit.DONE
    out = capsys.readouterr().out
    pending = f"rotation pending: 7 facts of source sis are still under key {OLD_ID}"
    for words in (f"under key {NEXT_ID} now", pending, "mv ", "backups made before", "Keep the old key until then"):
        assert words in out
    assert syncd(district, "rotate-key") == Exit.DONE
    again = capsys.readouterr().out
    assert (f"everything that is sealed is under key {NEXT_ID}" in again, pending in again, "rows" in again) == (True, True, False)
    syncd(district, "check")
    told = capsys.readouterr().out
    assert pending in told
    assert "mv it over" in told
    assert syncd(district, "status") == 2
    assert "7 of its facts are still under key" in capsys.readouterr().out
    (district.folder / "credentials" / NEXT_KEY).rename(district.folder / "credentials" / STATE_KEY)
    assert syncd(district, "plan") == Exit.DONE
    capsys.readouterr()


def test_a_process_of_before_the_rotation_writes_nothing_any_more(district: World) -> None:
    """What it sealed nobody could open: its next transaction is refused, and it is told to begin anew."""
    write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
    before = Store.open(district.config.store, district.vault)
    rotate_key(district.config, ACTOR, clock=district.clock)
    with pytest.raises(EndpointError, match="under another state key since this process began"):
        before.audit.append("locked", ACTOR, {}, district.clock())
    with pytest.raises(EndpointError, match="start it again"):
        before.records()
    before.close()
    district.store.close()
    goes_on(district)
    assert district.store.audit.verify().problems == ()


def test_a_rotation_waits_for_whoever_is_writing_under_the_old_key(
    tmp_path: Path, postgres: PrivatePostgres, migrated_database: str
) -> None:
    """What is written meanwhile is under the old key: the rotation begins when it is there, and puts it under the new one.

    A process that asked for the store's key before the rotation and committed after it would leave what nobody can open. SQLite has
    one writer in any case.
    """
    with world(tmp_path, database=postgres.fresh(migrated_database)) as district:
        district.begin()
        write_secret(district.folder / "credentials" / NEXT_KEY, NEXT)
        with ThreadPoolExecutor(1) as pool, transaction(district.store._engine) as connection:
            turning = pool.submit(rotate_key, district.config, ACTOR, clock=district.clock)
            while not (turning.done() or _waits(connection)):
                time.sleep(0.05)
            audit.append(connection, district.store._vault, "locked", ACTOR, {"because": "a secret"}, district.clock())
        assert turning.result().key_id == NEXT_ID
        district.store.close()
        goes_on(district)
        with closing(district.store):
            everything_opens(district)
            assert [entry.kind for entry in district.store.audit.entries()][-2:] == ["locked", rotation.ROTATED]


def _waits(connection: Connection) -> bool:
    """Whether anybody waits for a lock in this database."""
    return bool(connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted").scalar())


def test_a_backup_of_after_the_rotation_is_restored_with_all_that_is_enclosed(district: World, tmp_path: Path) -> None:
    """The copy carries what was kept of earlier keys; one made before opens under its own key only, and says so."""
    district.store.backup(tmp_path / "before.backup")
    head = district.store.audit.head()
    rotated(district)
    district.store.backup(tmp_path / "after.backup")
    fresh = Store.open(f"sqlite:///{tmp_path}/fresh.db", Vault(NEXT.encode()), migrate=True)
    with pytest.raises(EndpointError, match="another state_key"):
        fresh.restore(tmp_path / "before.backup")
    fresh.restore(tmp_path / "after.backup")
    assert fresh.journal() == district.store.journal()
    assert fresh.audit.verify(head).problems == ()
    fresh.audit.append("restored", ACTOR, {}, district.clock())
    fresh.close()


def test_nobody_who_was_waiting_is_forgotten_by_a_rotation(district: World) -> None:
    """R5: whoever's row could not be used has no digest that is true, before and after; a corrected row is news."""
    district.students(pupil(3, grade="99", family="Newname"))
    district.day()
    rotated(district)
    assert not district.day().readings[SIS].evident
    district.students(pupil(3, family="Newname"))
    assert {change.person for one in district.day().plans.values() for change in one.changes} == {district.person("s3")}


def test_a_supplement_that_is_missing_keeps_its_facts_pending(district: World) -> None:
    """What the last copy told stays, under the key it was told under, until the file is there again."""
    rotated(district)
    (district.drop / "claim_facts.csv").rename(district.drop / "elsewhere.csv")
    district.day()
    assert district.store.rotation.pending() == {SIS: {OLD_ID: 7}}
    (district.drop / "elsewhere.csv").rename(district.drop / "claim_facts.csv")
    planned = district.day()
    assert planned.changes == 0
    assert district.store.rotation.pending() == {}


@pytest.mark.parametrize("kept", ["journal", "outcomes", "audit"])
def test_what_the_database_refuses_it_refuses_after_a_rotation_too(store: Store, kept: str) -> None:
    """The guards of the journal are lifted for one transaction only, on either database."""
    run = store.begin_run(MAIN, "delta", "timer", NOW)
    (person,) = store.mint([(SIS, SourceKey("1"))]).values()
    change = Change(LDAP, Kind.CREATE, "new", person, after=Account("x", "", enabled=True, attributes={}))
    secret = store._vault.seal(b"password", password_context(LDAP, person)), NOW + timedelta(days=60)
    (seq,) = store.intend(run, [change], {0: secret}, NOW)
    store.record(run, [(seq, Outcome(change, Result.DONE, NativeId("n1")))], NOW)
    store.save_plan(run, b"{}", {}, "done")
    store.audit.append("locked", ACTOR, {"because": "asked"}, NOW, person=person)
    keys = store.rotation.to(Vault(NEXT.encode()))
    assert store.rotation.rotate(keys, {}, ACTOR, NOW).rows == 6
    assert store.journal()[0].change == change
    (sealed,) = store.sealed_passwords(NOW)
    assert store._vault.open(sealed.sealed, password_context(LDAP, person)) == b"password"
    assert store.audit.verify().problems == ()
    column = {"journal": "kind", "outcomes": "sealed", "audit": "sealed"}[kept]
    otherwise = update(tables.metadata.tables[kept]).values({column: b"else" if column == "sealed" else "else"})
    with pytest.raises(IntegrityError, match="append-only"), transaction(store._engine) as connection:
        connection.execute(otherwise)
