"""One person's data: told whole, told in order, destroyed whole; and whose data went where (R9, R24, R37, R38)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, select

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.facts import LOCAL, Fact, FactKind
from syncd.core.lifecycle import PersonState
from syncd.core.model import Account, Change, Kind, NativeId, Outcome, PersonId, Record, Result, SourceKey, SourceName, TargetName
from syncd.core.naming import IssuedName
from syncd.core.resolution import Resolution, Verb
from syncd.errors import ChangeError
from syncd.store import Acceptance, Finding, Known, KnownKey, Store, lives, tables
from syncd.store.database import transaction
from syncd.targets.memory import MemoryConfig
from syncd.vault import Vault
from tests.fixtures.engine_world import FIRST_DAY, MAIN, PLACES, World, pupil, world

NOW = datetime(2026, 8, 20, 6, 0, tzinfo=UTC)
SIS, AD = SourceName("sis"), TargetName("ad")
P1, P2 = PersonId("p1"), PersonId("p2")
ANA = ("Quetzalcoatl", "aquetz", "key-of-ana", "ana-native", "Room 101")
BO = ("Bobwhite", "bbobwhite", "key-of-bo", "bo-native", "Room 202")


def settle(store: Store, *, left: bool = True) -> None:
    """Two people with everything a store can hold of somebody; the first has left, unless told otherwise."""
    store.mint([(SIS, SourceKey(ANA[2])), (SIS, SourceKey(BO[2]))])
    run = store.begin_run(MAIN, "delta", "timer", NOW)
    changes = []
    for person, (family, name, key, _, room) in ((P1, ANA), (P2, BO)):
        store.reserve(run, {name: person}, NOW)
        after = Account(family, "ou=Students", enabled=True, attributes={"sn": (family,), "roomNumber": (room,)})
        changes.append(Change(AD, Kind.CREATE, f"new {family}", person, after=after, campus="001"))
        store.accept(
            run,
            Acceptance(
                records=(Record(SIS, SourceKey(key), {"family": family}, facts={"birth_date": "t1:secret"}),),
                persons=(PersonState(person, "students", "active", likeness="token", campus="001"),),
                names={person: (IssuedName("username", name, "b"),)},
                dirty=[person],
            ),
            NOW,
        )
    disputed = tuple(Finding("disputed", who[2], f"why {who[0]}", person) for person, who in ((P1, ANA), (P2, BO)))
    store.accept(run, Acceptance(findings=disputed), NOW)
    store.save_plan(run, json.dumps({"plans": {}}).encode(), {}, "planned")
    passwords = {number: (b"sealed password", NOW + timedelta(days=60)) for number in range(2)}
    seqs = store.intend(run, changes, passwords, NOW)
    done = [Outcome(one, Result.DONE, NativeId(native)) for one, native in zip(changes, (ANA[3], BO[3]), strict=True)]
    store.record(run, list(zip(seqs, done, strict=True)), NOW)
    refused = [replace(one, kind=Kind.UPDATE, before=one.after, native_id=NativeId("n")) for one in changes]
    seqs = store.intend(run, refused, {}, NOW)
    store.record(
        run, [(seq, Outcome(one, Result.FAILED, why=f"no {one.reason}")) for seq, one in zip(seqs, refused, strict=True)], NOW
    )
    store.audit.append("locked", "root (uid 0)", {"because": f"parents of {ANA[0]} asked"}, NOW, person=P1)
    wish = Fact(0, P1, FactKind.OVERRIDE, NOW, "root (uid 0)", f"{ANA[0]} wishes so", "family", values={"value": ANA[0]})
    store.facts.end([store.facts.add(wish).id], NOW, "root (uid 0)", f"{ANA[0]} wishes no more")
    store.facts.add(replace(wish, person=P2, because="also", values={"value": "Other"}))
    same = (f"{SIS}/{BO[2]}", f"{SIS}/{ANA[2]}"), (f"{SIS}/{BO[2]}", "p99"), ("p2", f"{AD}:{ANA[3]}")
    store.resolutions.decide([Resolution(Verb.IGNORE, one, other, NOW, "root (uid 0)", "seen both") for one, other in same])
    if left:
        gone = Acceptance(
            keys=(KnownKey(SIS, SourceKey(ANA[2]), P1, NOW.date(), 3),),
            links=(
                Known(P1, AD, NativeId(ANA[3]), "created", Account(ANA[0], "", enabled=False, attributes={}), disabled_by_us=True),
            ),
        )
        store.accept(run, gone, NOW)


def everything_in(store: Store) -> str:
    """All the store holds, opened wherever it opens, as text."""
    told: list[object] = [store.journal(), store.findings(), store.quarantine.refused(), store.ledger(), store.records()]
    told += [store.facts.listed(), store.resolutions.all(), store.known(AD), store.audit.entries(), store.names(), store.keys_of()]
    with transaction(store._engine) as connection:
        told += [connection.execute(select(table)).all() for table in tables.metadata.sorted_tables]
    return repr(told)


def test_every_table_is_known_to_speak_of_people_or_not() -> None:
    """A new table is disclosed and forgotten by its column `person`, or somebody has said why not; what it seals can be opened."""
    for table in tables.metadata.sorted_tables:
        ways = ["person" in table.c, table.name in lives.KEYED, table.name in lives.IMPERSONAL]
        assert ways.count(True) == 1, table.name
        if table.name in lives.IMPERSONAL:
            continue
        sealed = {(table.name, column.name) for column in table.columns if isinstance(column.type, LargeBinary)}
        assert sealed <= lives.OPENERS.keys() | lives.UNOPENED, table.name


def test_a_disclosure_tells_everything_of_one_person_and_nothing_of_another(store: Store) -> None:
    """Records, names, accounts, images, findings, refusals and decisions, opened; no password, no claim fact, nobody else."""
    settle(store, left=False)
    told = store.lives.disclose(P1, "root (uid 0)", NOW)
    text = json.dumps(told)
    assert [word for word in ANA if word not in text] == []
    told.pop("resolutions")  # whom they were told from stands in it
    assert [word for word in BO if word in json.dumps(told)] == []
    assert "t1:secret" not in text
    assert "sealed password" not in text
    expected = {"audit", "dirty", "findings", "journal", "ledger", "links", "names", "passwords", "persons", "quarantine"}
    assert expected <= told.keys()
    assert {"records", "source_keys"} <= told.keys()


def test_a_disclosure_is_itself_audited(store: Store) -> None:
    """Who was told everything of a person is on the chain, whatever became of the file."""
    settle(store)
    store.lives.disclose(P1, "principal (uid 1001)", NOW)
    last = store.audit.entries(P1)[-1]
    assert (last.kind, last.actor) == ("disclosed", "principal (uid 1001)")
    assert store.audit.verify().problems == ()


def test_whoever_is_forgotten_is_nowhere_any_more_and_the_chain_verifies(store: Store) -> None:
    """R24: contents, keys and names are gone from every table; commitments stay; the other person is untouched."""
    settle(store)
    before = store.audit.head()
    assert all(word in everything_in(store) for word in ANA)
    other = store.lives.disclose(P2, "root (uid 0)", NOW)
    gone = store.lives.forget(P1, "root (uid 0)", "left ten years ago", NOW)
    assert [word for word in ANA if word in everything_in(store)] == []
    assert (gone.names, gone.accounts) == (1, ((AD, ANA[3]),))
    verified = store.audit.verify(before)
    assert verified.problems == ()
    assert verified.destroyed == 9  # two images, two outcomes, three decisions about them, two about others that name them
    assert [one.candidate for one in store.resolutions.all()] == ["p99"]
    about_both = ("audit", "resolutions")  # what was decided between the two
    untouched = store.lives.disclose(P2, "root (uid 0)", NOW)
    assert {**other, **dict.fromkeys(about_both)} == {**untouched, **dict.fromkeys(about_both)}


def test_a_forgotten_name_is_never_given_to_anybody(store: Store) -> None:
    """R9: the ledger holds a tombstone in its place, which answers whoever asks and is in no list."""
    settle(store)
    store.lives.forget(P1, "root (uid 0)", "left", NOW)
    name = ANA[1]
    assert store.holders([name, name.upper(), BO[1], "free"]) == {name: "forgotten", name.upper(): "forgotten", BO[1]: "p2"}
    run = store.begin_run(MAIN, "delta", "timer", NOW)
    with pytest.raises(ChangeError, match="forgotten"):
        store.reserve(run, {name: P2}, NOW)
    with pytest.raises(ChangeError, match="forgotten"):
        store.accept(run, Acceptance(names={P2: (IssuedName("username", name, "c"),)}), NOW)
    store.accept(run, Acceptance(found={name: f"{AD}:{ANA[3]}"}), NOW)
    assert [row.name for row in store.ledger() if name in row.name] == []


def test_an_account_left_behind_keeps_its_name_when_somebody_adopts_it(store: Store) -> None:
    """R34: a returner's own old account, found by its key, is linked and called what it is called; that counts as theirs."""
    settle(store)
    store.lives.forget(P1, "root (uid 0)", "left", NOW)
    run = store.begin_run(MAIN, "reconcile", "timer", NOW)
    store.accept(run, Acceptance(names={P2: (IssuedName("username", ANA[1], ""),)}), NOW)
    assert store.holders([ANA[1]]) == {ANA[1]: "p2"}
    store.accept(run, Acceptance(names={P2: (IssuedName("username", ANA[1], "b2"),)}), NOW)


def test_a_person_number_is_not_given_again(store: Store) -> None:
    """A PersonId is minted once, though nothing is left of whom it meant."""
    settle(store)
    store.lives.forget(P1, "root (uid 0)", "left", NOW)
    assert store.lives.ever(P1)
    assert store.mint([(SIS, SourceKey(ANA[2]))]) == {(SIS, ANA[2]): "p3"}


def test_a_sponsored_person_is_never_taken_for_one_who_is_there(store: Store) -> None:
    """A number that somebody forgotten leaves is nobody's else: the next who is sponsored is somebody new."""
    wish = Fact(0, P1, FactKind.SPONSOR, NOW, "root (uid 0)", "substitute")
    first, second = (store.facts.sponsor(wish).person for _ in range(2))
    (key,) = store.keys_of([first])[first]
    run = store.begin_run(MAIN, "delta", "timer", NOW)
    store.accept(run, Acceptance(keys=(KnownKey(LOCAL, key.key, first, NOW.date(), 3),)), NOW)
    store.lives.forget(first, "root (uid 0)", "left", NOW)
    assert store.facts.sponsor(wish).person not in {first, second}


@pytest.mark.parametrize(
    ("reason", "prepare"),
    [
        ("in the roster", lambda store: store.accept("r1", Acceptance(keys=(KnownKey(SIS, SourceKey(ANA[2]), P1),)), NOW)),
        (
            "an enabled account on ad",
            lambda store: store.link("r1", [Known(P1, AD, NativeId(ANA[3]), "c", Account("x", "", enabled=True, attributes={}))]),
        ),
        ("not known yet", lambda store: store.intend("r1", [Change(AD, Kind.DELETE, "old", P1, NativeId(ANA[3]))], {}, NOW)),
    ],
    ids=["in a roster", "enabled", "in doubt"],
)
def test_nobody_is_forgotten_who_has_not_left(store: Store, reason: str, prepare: Callable[[Store], object]) -> None:
    """A roster would tell of them again, an account would be nobody's, a change would be completed of nobody."""
    settle(store)
    prepare(store)
    before = everything_in(store)
    with pytest.raises(ChangeError, match=reason):
        store.lives.forget(P1, "root (uid 0)", "left", NOW)
    assert before == everything_in(store)


def test_a_stored_plan_that_means_them_goes_with_them(store: Store) -> None:
    """A plan is sealed as one: it is dropped whole, and the next run plans anew."""
    settle(store)
    runs = [store.begin_run(MAIN, "delta", "timer", NOW) for _ in range(2)]
    for run, person in zip(runs, (P1, P2), strict=True):
        change = ["ad", "delete", "old", person, "n1", None, None, None, "", ""]
        store.save_plan(run, json.dumps({"plans": {"ad": [change]}}, separators=(",", ":")).encode(), {}, "planned")
    assert [row["run"] for row in store.lives.disclose(P1, "a", NOW)["plans"]] == [runs[0]]
    assert store.lives.forget(P1, "root (uid 0)", "left", NOW).rows["plans"] == 1
    assert (store.plan(runs[0]), store.plan(runs[1]) is not None) == (None, True)


def test_what_was_forgotten_is_not_in_the_files_either(tmp_path: Path, store_vault: Vault) -> None:
    """SQLite leaves deleted rows in free pages and its log: those are overwritten as well."""
    store = Store.open(f"sqlite:///{tmp_path}/one.db", store_vault, migrate=True)
    try:
        settle(store)
        files = lambda: b"".join(path.read_bytes() for path in tmp_path.glob("one.db*"))  # noqa: E731 — the same look twice
        assert ANA[1].encode() in files()
        store.lives.forget(P1, "root (uid 0)", "left", NOW)
        assert [word for word in ANA if word.encode() in files()] == []
        assert BO[1].encode() in files()
    finally:
        store.close()


def test_a_life_is_told_in_order(store: Store) -> None:
    """Names, changes with their runs, refusals, decisions with who made them: oldest first, contents destroyed where they are."""
    settle(store)
    store.audit.append("unlocked", "root (uid 0)", {"because": "over"}, NOW + timedelta(days=1), person=P1)
    events = store.lives.history(P1)
    assert [event.at for event in events] == sorted(event.at for event in events)
    whats = [event.what for event in events]
    assert {"create done", "update failed", "name issued", "missing from sis", "refused first", "locked"} <= set(whats)
    assert (whats[-1], events[-1].actor, events[-1].detail) == ("unlocked", "root (uid 0)", "over")
    assert ANA[0] not in "".join(event.told for event in events)
    store.lives.forget(P1, "root (uid 0)", "left", NOW + timedelta(days=2))
    assert [(event.what, event.detail) for event in store.lives.history(P1)][-1][0] == "forgotten"
    assert "its contents were destroyed" in [event.told for event in store.lives.history(P1)]


def test_an_exposure_says_whose_data_was_written_where(store: Store) -> None:
    """Per target, campus and attribute how many people; what failed was written nowhere; contents that expired are counted."""
    settle(store)
    found = store.lives.exposure(NOW - timedelta(hours=1))
    places = {"rdn": 2, "container": 2, "sn": 2, "roomNumber": 2}
    assert found.counts == {(AD, "001", name): 2 for name in sorted(places)}
    assert found.persons == {one: frozenset((AD, name) for name in places) for one in (P1, P2)}
    assert (dict(found.runs), found.expired) == ({"r1": 2}, 0)
    assert store.lives.exposure(NOW + timedelta(hours=1)).counts == {}
    assert store.lives.exposure(NOW, TargetName("other")).counts == {}
    store.expire(NOW + timedelta(days=400), NOW, NOW + timedelta(days=399))
    later = store.lives.exposure(NOW - timedelta(hours=1))
    assert later.expired == 2
    assert later.persons.keys() == {P1, P2}


# --- at the command line ----------------------------------------------------------------------------------------------


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """A district with its accounts; s1 is confidential and s2 has left, their account parked."""
    path = MemoryConfig(path=str(tmp_path / "directory.json"), containers=PLACES)
    with world(tmp_path, memory=path) as made:
        made.roster = made.roster.with_students(pupil(1, confidential=True))
        made.begin()
        made.students(pupil(2, exit=FIRST_DAY))
        made.day()
        yield made


def syncd(district: World, *words: str) -> int:
    """One call of the program."""
    district.connector.close()
    return main(["--config", str(district.folder), *words])


def test_a_history_masks_whoever_is_confidential(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """R37: their life is told by numbers, kinds and times; another's with names."""
    for key, shown in (("s1", False), ("s2", True)):
        for words in (("history", key), ("history", key, "--json")):
            assert syncd(district, *words) == Exit.DONE
            out = capsys.readouterr().out
            assert "create done" in out
            assert any(word in out for word in ("aabara", "Abara", "bbell", "Bell")) == shown, out


def test_disclose_writes_a_file_of_its_owner_and_no_other(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Mode 0600, never over a file that is there, and the chain says who asked."""
    out = district.folder / "s1.json"
    assert syncd(district, "disclose", "s1", "--out", str(out)) == Exit.DONE
    assert out.stat().st_mode & 0o777 == 0o600
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told["person"] == district.person("s1")
    assert "Abara" in out.read_text(encoding="utf-8")
    assert syncd(district, "disclose", "s1", "--out", str(out)) == Exit.CANNOT_CREATE
    assert syncd(district, "disclose", "nobody") == Exit.NO_PERSON
    assert [entry.kind for entry in district.store.audit.entries(district.person("s1"))] == ["disclosed"]
    capsys.readouterr()


def test_forget_refuses_who_is_here_and_says_what_it_cannot_reach(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Backups, rosters' copies and a disabled account are named; the runs afterwards give the old name to nobody."""
    person = district.person("s2")
    assert syncd(district, "forget", "s2", "--because", "asked") == Exit.PARTLY
    assert "is in the roster" in capsys.readouterr().err
    district.leave("s2")
    district.day()
    assert syncd(district, "forget", "s2", "--because", "asked by the family") == Exit.DONE
    out = capsys.readouterr().out
    for words in ("is forgotten", "tombstones", "a disabled account is still on ldap", "backups made before", "expire until"):
        assert words in out
    assert syncd(district, "history", person) == Exit.DONE
    assert "bbell" not in capsys.readouterr().out
    district.students(pupil(16, given="Bea", family="Bell"))
    planned = district.day()
    assert district.store.names([district.person("s16")])[district.person("s16")]["username"].value == "bbell2", planned
    assert syncd(district, "ledger") == Exit.DONE
    assert "bbell\t" not in capsys.readouterr().out
    assert district.store.audit.verify().problems == ()


def test_exposure_counts_by_place_and_lists_people_when_asked(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What a notice of a breach must tell; a confidential person's key is not listed."""
    assert syncd(district, "exposure", "--since", "2026-08-01", "--json") == Exit.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["persons"] == 9
    assert {"target": "ldap", "campus": "001", "attribute": "sn", "persons": "4"} in told["counts"]
    assert "people" not in told
    assert syncd(district, "exposure", "--since", "2026-08-01", "--persons") == Exit.DONE
    out = capsys.readouterr().out
    assert "sis/s2" in out
    assert "sis/s1" not in out
    assert syncd(district, "exposure", "--since", "2026-08-01", "--target", "nowhere") == Exit.USAGE
