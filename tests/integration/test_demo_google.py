"""`script/demo --google`, small: a district moves to the double, and what it holds and was asked is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench.google_calls import first_run, later_run, rate
from bench.google_demo import SKU, Options, Told, demonstrate
from bench.google_truth import DOMAIN, STUDENTS, judge, wanted
from syncd.cli.voice import Printed
from tests.doubles.google import Call, GoogleDouble
from tests.oracle import Answer, Expected

GRADE = "001-grade-07@groups.lonestar.example.org"


def test_a_small_district_is_moved_with_nothing_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everybody once and as the roster says, no users.* call where nothing changed, one for each change of a week."""
    told = demonstrate(Options(students=140, staff=16, campuses=1, folder=tmp_path), Printed(), Console(width=130).print)
    printed = capsys.readouterr().out
    assert told.missed == []
    assert set(told.verdicts) == {"the first run", "the week"}
    for verdict in told.verdicts.values():
        assert verdict.right > 140
        assert min(verdict.members, verdict.licences) > 100
    assert told.per_second > 1
    assert {row.made > 0 for row in told.rows["the first run"]} == {True}
    changes, unchanged, *_ = told.rows["the week"]
    assert (changes.made > 0, unchanged.calls) == (True, 0)
    assert "0 users.* calls" in printed


# --- what judges it can find something ------------------------------------------------------------------------------------


def expected(number: str, uid: str, /, **changed: object) -> Expected:
    """A student's account as the oracle tells it, in LDAP's words."""
    attributes = {"sn": "Ruiz", "givenName": "Ana", "displayName": "Ana Ruiz", "employeeNumber": number, "employeeType": "student"}
    groups = frozenset({"cn=001 Grade 07,ou=Groups", "cn=Class ALG1,ou=Classes,ou=Groups"})
    one = Expected(uid, "ou=Grade 07,ou=001,ou=Students", True, {**attributes, "departmentNumber": "001"}, groups)  # noqa: FBT003 — enabled, as in the oracle
    return replace(one, **changed)  # type: ignore[arg-type]  # spelled out by the callers


def planted(google: GoogleDouble, number: str, uid: str) -> str:
    """The same student's account at the double, a member of the grade's group with a licence; the id."""
    google.plant("/Students/001/Grade 07")
    account = google.add_user(
        f"{uid}@{STUDENTS}",
        "Ana",
        "Ruiz",
        orgUnitPath="/Students/001/Grade 07",
        externalIds=[{"type": "organization", "value": number}],
        organizations=[{"primary": True, "title": "student", "department": "001"}],
    )
    return account.id


def test_duplicate_lost_strange_and_different_accounts_are_each_found() -> None:
    """Told by number; the customer is asked itself."""
    with GoogleDouble(domains=(DOMAIN, STUDENTS)) as google:
        google.sell(*SKU, 10)
        planted(google, "1", "aruiz")
        planted(google, "1", "aruiz2")
        planted(google, "2", "aruiz3")
        planted(google, "9", "aruiz9")
        answer = Answer(
            {
                "a": expected("1", "aruiz2"),
                "b": expected("2", "bruiz", groups=frozenset()),
                "c": expected("3", "aruiz4"),
            },
            frozenset(),
            frozenset(),
            frozenset(),
        )
        verdict = judge(answer, google, SKU)
        assert (verdict.duplicates, verdict.lost, verdict.strangers) == (["1"], ["3"], ["9"])
        assert verdict.different == [f"2: primaryEmail is 'aruiz3@{STUDENTS}', not 'bruiz@{STUDENTS}'"]
        assert [line.partition(": ")[0] for line in verdict.wrong_members] == [GRADE, "licence"]
        assert not verdict.ok


def test_an_account_is_told_in_googles_words() -> None:
    """Classes are no groups here; who opted out is listed nowhere; who is in no group any more has no licence."""
    told = dict(expected("1", "aruiz").attributes)
    del told["displayName"]
    one = wanted(Answer({"a": expected("1", "aruiz", attributes=told)}, frozenset(), frozenset(), frozenset()))["1"]
    assert (one.address, one.unit) == (f"aruiz@{STUDENTS}", "/Students/001/Grade 07")
    assert (one.groups, one.licensed, one.listed, one.suspended) == (frozenset({GRADE}), True, False, False)


def call(number: int, method: str, path: str = "", status: int = 200, reason: str = "", at: float = 0.0) -> Call:
    """One call as the double records it."""
    done = status == 200 and "insert" in method
    return Call(
        number, at, f"directory.{method}", status, reason, "", "admin", done=done, wire=f"POST /admin/directory/v1{path}?a=b"
    )


def test_calls_are_counted_with_what_was_asked_again_and_held_against_their_bounds() -> None:
    """A fault is no second call of ours for a change, and is one for a created user; a call about the unchanged is too many."""
    inserts = [call(n, "users.insert", "/users", at=n / 10) for n in range(10)]
    refused = [call(10 + n, "users.insert", "/users", 503, "backendError", at=1.0) for n in range(2)]
    created, *_ = first_run([*inserts, *refused], lambda what: 10 if what == "users" else 0)
    assert (created.each, created.refused, created.not_yet, created.ok) == (1.2, 2, 0, False)
    assert first_run(inserts, lambda _: 10)[0].ok
    assert rate(inserts) == pytest.approx(10)

    def week(*calls: Call) -> list[bool]:
        return [row.ok for row in later_run(calls, lambda what: 1 if what == "changes" else 0, {"7", "8"}, {"7"})[:2]]

    update, fault = call(0, "users.update", "/users/7"), call(1, "users.update", "/users/7", 403, "quotaExceeded")
    assert week(update, fault) == [True, True]
    assert week(update, call(1, "users.get", "/users/7")) == [False, True]
    assert week(update, call(1, "users.get", "/users/8")) == [True, False]


def test_what_was_missed_is_said_in_words() -> None:
    """Too slow, a customer that is not as it should be, calls though nothing had changed."""
    told = Told(per_second=9.4)
    told.idle["directory.users.get"] = 2
    assert told.missed == ["9.40 users made in a second, and not 9.50", "2 users.* calls though nothing had changed"]
