"""Disputes are decided by people, one by one or by a file, and the next run does what follows."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.cli import main
from syncd.cli.cells import neutral, plain
from syncd.cli.dispute_file import rows as dispute_rows
from syncd.cli.dispute_file import write
from syncd.cli.exits import Exit
from syncd.core.model import Kind
from syncd.core.resolution import Verb
from syncd.engine.deciding import Answer
from syncd.errors import EndpointError
from syncd.store import Acceptance, Finding
from tests.conftest import NIGHTLY
from tests.fixtures.engine_world import LDAP, World, found, kinds, pupil, roster_of, world
from tests.integration.test_engine_identity import holding

Said = pytest.CaptureFixture[str]
ADA = pupil(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """The URL of the store on PostgreSQL; empty for a file in the district's folder."""
    if request.param == "sqlite":
        return ""
    url: str = request.getfixturevalue("postgres").fresh(request.getfixturevalue("migrated_database"))
    return url


@pytest.fixture
def district(tmp_path: Path, database: str) -> Iterator[World]:
    """Six students and three staff, with their accounts; on both databases."""
    with world(tmp_path, database=database) as made:
        made.begin()
        yield made


@pytest.fixture
def new_number(district: World) -> World:
    """Ada left under one key and is back under another; she is disputed."""
    district.leave("s1")
    district.students(replace(ADA, key="n1", number="70001"))
    district.day()
    return district


def decide(district: World, subject: str, verb: Verb, candidate: str = "", because: str = "seen") -> list[str]:
    """Somebody decides; what was wrong with that."""
    deciding = district.engine.deciding
    checked = deciding.check([Answer(subject, verb, candidate, because)], "ana (uid 1)")
    if not checked.problems:
        deciding.remember(checked.answers)
    return [problem.why for problem in checked.problems]


def disputed(district: World) -> list[str]:
    return [one.subject for one in district.engine.deciding.questions()]


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_child_under_a_new_number_keeps_the_account(new_number: World) -> None:
    """R35, R6: merged with who they were, and the next delta run says so, though nothing new was read."""
    person, native = new_number.person("s1"), new_number.native("s1")
    assert disputed(new_number) == ["sis/n1"]
    assert decide(new_number, "sis/n1", Verb.MERGE) == []
    new_number.sync()
    assert (new_number.person("n1"), new_number.native("n1")) == (person, native)
    assert new_number.account("n1").enabled
    assert new_number.account("n1").attributes["employeeNumber"] == ("70001",)
    assert disputed(new_number) == []


def test_two_people_who_are_alike_are_two_people_for_ever(new_number: World) -> None:
    """Ignored: an account of their own, and nobody asks again, in delta runs as in reconciles."""
    assert decide(new_number, "sis/n1", Verb.IGNORE) == []
    new_number.sync()
    assert holding(new_number, "70001") != []
    assert new_number.person("n1") != new_number.person("s1")
    for kind in ("delta", "reconcile"):
        planned = new_number.day(kind=kind)
        assert found(planned, "disputed") == []


def test_a_decision_is_told_by_explain(new_number: World) -> None:
    """Who said it, and why."""
    decide(new_number, "sis/n1", Verb.MERGE, because="birth certificate")
    new_number.sync()
    [story] = new_number.engine.explain("n1")
    [one] = story.decisions
    assert (one.verb, one.candidate, one.actor, one.because) == (Verb.MERGE, "p1", "ana (uid 1)", "birth certificate")


def test_a_decision_is_taken_back_until_a_run_has_applied_it(new_number: World) -> None:
    """And then asked again; afterwards it cannot be taken apart, and says so."""
    deciding = new_number.engine.deciding
    decide(new_number, "sis/n1", Verb.MERGE)
    assert [one.candidate for one in deciding.withdraw("sis/n1", "bob (uid 2)", "wrong child")] == ["p1"]
    new_number.sync()
    assert disputed(new_number) == ["sis/n1"]
    decide(new_number, "sis/n1", Verb.MERGE)
    new_number.sync()
    with pytest.raises(EndpointError, match="belongs to p1 since a run applied it"):
        deciding.withdraw("sis/n1", "bob (uid 2)", "wrong child")


def test_whoever_gets_a_second_record_is_still_made_from_all_of_them(district: World) -> None:
    """A merge touches nobody's other records: they are read anew, though nothing in them has changed."""
    district.students(replace(ADA, key="n1", number="70001", lessons=()))
    district.sync()
    assert decide(district, "sis/n1", Verb.MERGE) == []
    planned, _ = district.sync()
    assert set(kinds(planned)) == {Kind.UPDATE}  # the number, and no class is left
    [story] = district.engine.explain("s1")
    assert {record.key for record in story.records} == {"s1", "n1"}


@pytest.mark.parametrize(
    ("verb", "candidate", "because", "problem"),
    [
        (Verb.MERGE, "p99", "seen", "p99 is nobody sis/n1 can be merged with"),
        (Verb.MERGE, "p1", " ", "say why"),
        (Verb.LINK, "ldap:x", "seen", "say whose it is first"),
        (Verb.IGNORE, "p2", "seen", "p2 is no candidate of sis/n1"),
        (Verb.LINK, "", "seen", "name the candidate to link"),
    ],
)
def test_a_wrong_answer_is_refused_with_the_reason(
    new_number: World, verb: Verb, candidate: str, because: str, problem: str
) -> None:
    """Nothing of it is remembered."""
    [why] = decide(new_number, "sis/n1", verb, candidate, because)
    assert problem in why
    assert new_number.store.resolutions.all() == []


def test_the_contrary_is_not_decided_beside_a_decision(new_number: World) -> None:
    """First the one is taken back."""
    decide(new_number, "sis/n1", Verb.IGNORE)
    [why] = decide(new_number, "sis/n1", Verb.MERGE)
    assert "the contrary was decided" in why


def test_all_numbers_are_new_and_nobody_notices(tmp_path: Path) -> None:
    """A new student information system: by state id everybody is who they were, in one delta run; nobody is held or disabled."""
    town = roster_of(students=40)
    numbered = [replace(one, state_id=f"U{one.number}") for one in town.students.values()]
    with world(tmp_path, town.with_students(*numbered)) as district:
        district.edit("config/syncd.yaml", "    stale_after: 3 days", "    match_on: [state_id]\n    stale_after: 3 days")
        district.begin()
        before = {one.number: district.native(one.key) for one in numbered}
        district.leave(*(one.key for one in numbered))
        district.students(*(replace(one, key=f"n{one.number}", number=f"7{one.number}") for one in numbered))
        planned = district.day()
        assert (found(planned, "disputed"), planned.verdict.held, planned.verdict.findings) == ([], frozenset(), ())
        assert {one.number: district.native(f"n{one.number}") for one in numbered} == before
        assert all(district.account(f"n{one.number}").enabled for one in numbered)
        assert not {Kind.CREATE, Kind.DISABLE} & set(kinds(planned))
        for _ in range(3):
            assert kinds(district.day()) == []
        for _ in range(20):
            district.clock.advance()
        assert kinds(district.day(kind="reconcile")) == []


# --- accounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_that_a_human_says_is_theirs_is_adopted(district: World, kind: str) -> None:
    """The link says by whom it was confirmed; nothing in the account is changed by that (R34)."""
    district.students(pupil(7))
    native = district.by_hand("ggray", cn="Somebody Else", sn="Gray")
    district.sync(kind)
    person = district.person("s7")
    assert disputed(district) == [person]
    assert decide(district, person, Verb.LINK, f"ldap:{native}") == []
    district.sync(kind)
    assert district.native("s7") == native
    assert district.store.known(LDAP, [person])[person].why == "confirmed by ana (uid 1)"
    [story] = district.engine.explain("s7")
    assert [one.verb for one in story.decisions] == [Verb.LINK]


@pytest.mark.parametrize("kind", ["delta", "reconcile"])
def test_an_account_that_is_not_theirs_leaves_them_the_next_name(district: World, kind: str) -> None:
    """R9: the name stays with the account that has it; the person gets an account of their own, and nobody asks again."""
    district.students(pupil(7))
    native = district.by_hand("ggray", cn="Somebody Else", sn="Gray")
    district.sync(kind)
    person = district.person("s7")
    assert decide(district, person, Verb.IGNORE) == []
    for _ in range(2):  # the first one learns that the name is taken, where no reconcile has told before
        district.sync(kind)
    assert district.native("s7") != native
    assert district.account("s7").rdn != "ggray"
    assert found(district.day(kind=kind), "disputed") == []
    assert native not in district.store.linked(LDAP)


def test_an_account_of_somebody_else_cannot_be_linked(district: World) -> None:
    """What is somebody's stays theirs."""
    district.students(pupil(7))
    district.by_hand("ggray", cn="Somebody Else", sn="Gray")
    district.sync()
    [why] = decide(district, district.person("s7"), Verb.LINK, f"ldap:{district.native('s1')}")
    assert f"is {district.person('s1')}'s" in why


# --- files ------------------------------------------------------------------------------------------------------------


def syncd(district: World, *words: str) -> int:
    """One call of `syncd` about this district."""
    return main(["--config", str(district.folder), *words])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def filled(path: Path, answers: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(answers[0]))
        writer.writeheader()
        writer.writerows(answers)


def test_disputes_are_decided_by_a_file(new_number: World, capsys: Said) -> None:
    """Written with candidates and what speaks for them, filled in, read back: once, and once more without effect."""
    path = new_number.folder / "disputes.csv"
    assert syncd(new_number, "disputes", "--csv", str(path)) == Exit.DONE
    assert path.stat().st_mode & 0o777 == 0o600
    [row] = rows(path)
    assert (row["subject"], row["name"], row["decision"]) == ("sis/n1", "Ada Abara", "")
    assert row["candidates"].startswith("p1 (Ada Abara, same birth date and family name")
    filled(path, [row | {"decision": "Merge", "because": "same child"}])
    capsys.readouterr()
    assert syncd(new_number, "resolve", "--from", str(path)) == Exit.DONE
    assert "decided 1. The next run" in capsys.readouterr().out
    assert syncd(new_number, "resolve", "--from", str(path)) == Exit.DONE
    assert "decided 0, 1 were decided before" in capsys.readouterr().out
    new_number.sync()
    assert new_number.person("n1") == new_number.person("s1")
    assert syncd(new_number, "resolve", "--from", str(path)) == Exit.DONE  # and after it was applied


def test_a_file_with_one_wrong_row_decides_nothing(new_number: World, capsys: Said) -> None:
    """Every problem is named by its line."""
    path = new_number.folder / "disputes.csv"
    syncd(new_number, "disputes", "--csv", str(path))
    [row] = rows(path)
    good = row | {"decision": "merge", "because": "same child"}
    filled(
        path, [good, row | {"decision": "perhaps"}, good | {"subject": "sis/n9"}, good | {"because": "", "subject": "sis/n1"}, row]
    )
    capsys.readouterr()
    assert syncd(new_number, "resolve", "--from", str(path)) == Exit.NO_INPUT
    said = capsys.readouterr().out
    assert f"{path}:3: the decision 'perhaps' is none of merge, ignore, link" in said
    assert f"{path}:4: name the candidate to merge sis/n9" in said or f"{path}:4: sis/n9 is not disputed" in said
    assert f"{path}:5: say why" in said
    assert new_number.store.resolutions.all() == []


def test_one_question_is_decided_by_words(new_number: World, capsys: Said) -> None:
    """By the key alone, for a person named by any key of theirs."""
    assert syncd(new_number, "resolve", "n1", "--merge", "s1", "--because", "same child") == Exit.DONE
    assert "sis/n1 merge p1" in capsys.readouterr().out
    assert syncd(new_number, "unresolve", "sis/n1", "--because", "no") == Exit.DONE
    assert syncd(new_number, "resolve", "n1", "--merge", "s1", "--ignore", "--because", "x") == Exit.USAGE
    assert syncd(new_number, "resolve", "n1", "--merge", "s1") == Exit.USAGE
    assert syncd(new_number, "unresolve", "sis/n1", "--because", "again") == Exit.UNAVAILABLE


@pytest.mark.parametrize("text", ["=1+1", "'=1", "''@x", "-s1", "plain", "'t Hooft", "+", "\t=x", ""])
def test_a_cell_comes_back_as_it_went_and_is_never_computed(text: str) -> None:
    """R42."""
    assert plain(neutral(text)) == text
    assert neutral(text)[:1] not in {"=", "+", "-", "@", "\t", "\r"}


def test_a_name_that_is_a_formula_is_not_computed(district: World) -> None:
    """R42: whoever enters a child's name does not run code on the registrar's computer."""
    district.students(pupil(7, given="Ada", family="Abara", birth=ADA.birth))
    district.sync()
    listed = district.engine.deciding.questions()
    assert [one.called for one in listed] == ["Ada Abara"]
    path = district.folder / "disputes.csv"
    write(dispute_rows([replace(listed[0], called="=HYPERLINK(1)", subject="sis/=1")], lambda _: ""), path)
    [row] = rows(path)
    assert (row["name"], row["subject"]) == ("'=HYPERLINK(1)", "sis/=1")


def test_a_killed_bulk_decision_is_whole_row_by_row_and_is_done_again(district: World) -> None:
    """Kill -9 after the first part: of every row all decisions are there or none, and a second reading does the rest."""
    count = 2_000 if NIGHTLY else 1_500
    run = district.store.begin_run("main", "delta", "test", district.clock.now)
    evidence = '{{"p1": "x", "sis/y{0}": "x"}}'
    listed = tuple(
        Finding("disputed", f"sis/x{n}", "alike", None, None, None, {"key": f"x{n}", "evidence": evidence.format(n)})
        for n in range(count)
    )
    district.store.accept(run, Acceptance(findings=listed), district.clock.now)
    path = district.folder / "disputes.csv"
    assert syncd(district, "disputes", "--csv", str(path)) == Exit.DONE
    filled(path, [row | {"decision": "ignore", "because": "two people"} for row in rows(path)])
    words = [sys.executable, "-m", "syncd", "--config", str(district.folder), "resolve", "--from", str(path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    while (line := process.stderr.readline()) and "deciding" not in line:
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    made = district.store.resolutions.all()
    subjects = [one.subject for one in made]
    assert 0 < len(made) < 2 * count
    assert all(subjects.count(f"sis/x{n}") in (0, 2) for n in range(0, count, 97))
    assert len(made) == 2 * len(set(subjects))
    assert syncd(district, "resolve", "--from", str(path)) == Exit.DONE
    made = district.store.resolutions.all()
    assert (len(made), len({one.told for one in made})) == (2 * count, 2 * count)
