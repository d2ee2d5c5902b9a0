"""The verbs by which people decide, as an administrator calls them: what they say, how they end, and what no report tells."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.assembly import opened_store, utc_now
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import PersonId
from syncd.demo.district import District
from syncd.demo.tour import SOURCE, TARGET, settle_in
from syncd.settings import load

Said = pytest.CaptureFixture[str]
TILL = (utc_now() + timedelta(days=30)).date().isoformat()
WHY = ("--because", "a good reason")


class Desk:
    """An administrator at the command line of one small district."""

    def __init__(self, folder: Path, capsys: Said) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *words: str, ends: int = Exit.DONE) -> str:
        """What a call of `syncd` says; it must end with that code."""
        self._capsys.readouterr()
        code = main(["--config", str(self.folder), *words])
        told = self._capsys.readouterr()
        assert code == ends, told
        return told.out + " ".join(told.err.replace("│", " ").split())

    def account(self, key: str) -> tuple[PersonId, str, bool]:
        """Whose account the key means, its name, and whether it is enabled, as last known."""
        with opened_store(load(self.folder)) as store:
            person = store.keys(SOURCE)[key].person if key in store.keys(SOURCE) else PersonId(key)  # type: ignore[index,operator]  # a key is a str
            known = store.known(TARGET)[person]
        return person, known.account.rdn, known.account.enabled


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A district with accounts, in memory kept in a file; each test decides about somebody else."""
    folder = tmp_path_factory.mktemp("desk") / "district"
    folder.mkdir()
    settle_in(folder, None, District.generate(3, 1, 12, 4, guardians=0), lambda _: None)
    assert main(["--config", str(folder), "plan"]) == Exit.DONE
    assert main(["--config", str(folder), "apply", "r1", "--first"]) == Exit.DONE
    return folder


@pytest.fixture
def desk(folder: Path, capsys: Said) -> Desk:
    """Somebody at the keyboard."""
    return Desk(folder, capsys)


def some(desk: Desk, which: int) -> str:
    """The key of a student with an account."""
    with opened_store(load(desk.folder)) as store:
        linked = store.known(TARGET)
        return sorted(key for key, one in store.keys(SOURCE).items() if one.person in linked and key.startswith("stu-"))[which]


def test_lock_and_unlock(desk: Desk) -> None:
    """Closed at once, listed with who and why, told by plan, explain and status; given back with the next run."""
    key = some(desk, 0)
    person, _, _ = desk.account(key)
    told = desk("lock", key, *WHY)
    assert "(uid " in told
    assert "ldap: disabled, and its password replaced" in told
    assert desk.account(key)[2] is False
    assert "no account of theirs is open" in desk("lock", key, *WHY)
    assert "1 locked, such as" in desk("plan")
    assert "lock by" in desk("explain", key).replace("lock, by", "lock by")
    (row,) = [row for row in json.loads(desk("facts", "--json")) if row["person"] == person]
    assert (row["fact"], row["because"]) == ("lock", "a good reason")
    status = json.loads(desk("status", "--json", ends=2))
    assert (status["local_facts"]["lock"], status["local_facts"]["locks_owed"]) == (1, 0)
    assert person not in json.dumps(status)
    told = desk("unlock", key, *WHY)
    assert "syncd letters" in told
    desk("unlock", key, *WHY, ends=Exit.NO_INPUT)
    desk("sync")
    assert desk.account(key)[2] is True
    assert f"{person}\t" not in desk("facts")
    assert "ended" in desk("facts", key)
    assert "(lock)" in desk("runs")


def test_override_and_freeze(desk: Desk) -> None:
    """To a day, or until it is ended; a slip names what is near, and a call without a reason or an end is a wrong one."""
    key = some(desk, 1)
    assert f"to the end of {TILL}" in desk("override", key, "preferred_given", "Zed", "--until", TILL, *WHY)
    assert "override of preferred_given" in desk("explain", key)
    assert "did you mean 'preferred_given'" in desk(
        "override", key, "prefered_given", "Zed", "--until", TILL, *WHY, ends=Exit.USAGE
    )
    assert "say the last day" in desk("override", key, "given", "Zed", *WHY, ends=Exit.USAGE)
    assert "say why" in desk("freeze", key, "--until", TILL, "--because", " ", ends=Exit.USAGE)
    desk("override", key, "preferred_given", ends=Exit.USAGE)
    desk("override", key, "preferred_given", "--end", *WHY)
    desk("override", key, "preferred_given", "--end", *WHY, ends=Exit.NO_INPUT)
    desk("freeze", key, "--until", TILL, *WHY)
    desk("unfreeze", key, *WHY)
    desk("unfreeze", key, *WHY, ends=Exit.NO_INPUT)
    desk("freeze", "nobody", "--until", TILL, *WHY, ends=Exit.NO_PERSON)


def test_sponsor(desk: Desk) -> None:
    """Somebody of no roster: made by the next run, extended, ended."""
    key = some(desk, 2)
    with opened_store(load(desk.folder)) as store:
        code = next(iter(store.campuses()[SOURCE])).code
    new = ("sponsor", "Sam", "Okafor", "--population", "staff", "--campus", code, "--by", key, "--until", TILL, *WHY)
    told = desk(*new, "--field", "staff_number=S-77", "--birth-date", "1990-05-05")
    person = next(word for word in told.split() if word.startswith("p") and word[1:].isdigit())
    desk("sync")
    assert desk.account(person) == (person, "sam.okafor", True)
    assert "sponsor" in desk("explain", "sam.okafor")
    desk("sponsor", "--extend", person, "--until", TILL, *WHY)
    desk("sponsor", "--end", person, *WHY)
    desk("sync")
    assert desk.account(person)[2] is False
    desk(*new, "--field", "staff_number", ends=Exit.USAGE)
    assert "say who answers" in desk(*(word for word in new if word not in ("--by", key)), ends=Exit.USAGE)
    desk("sponsor", "Sam", "--until", TILL, *WHY, ends=Exit.USAGE)


def test_a_sealed_rename_leaves_the_old_name_in_no_report(desk: Desk) -> None:
    """Not in the plan that renames, not in what it did, not in lists or explanations; and nobody is found by it."""
    key = some(desk, 3)
    person, old, _ = desk.account(key)
    assert old not in desk("rename", key, "jriver", "--sealed", *WHY)
    said = [desk("plan"), desk("plan", "--json"), desk("sync", "--person", person), desk("show"), desk("runs"), desk("facts")]
    said += [desk("facts", key), desk("explain", key), desk("ledger"), desk("ledger", "--json"), desk("plan", "--reconcile")]
    for text in said:
        assert old not in text
    assert desk.account(key)[1] == "jriver"
    desk("explain", old, ends=Exit.NO_PERSON)
    with opened_store(load(desk.folder)) as store:
        assert old.replace(".", "") in {row.name for row in store.ledger(person)}


def test_a_plain_rename_says_what_it_was(desk: Desk) -> None:
    """Nobody else's name is taken."""
    key = some(desk, 4)
    _, old, _ = desk.account(key)
    assert f"from {old} to mriver" in desk("rename", key, "mriver", *WHY)
    desk("sync")
    assert desk.account(key)[1] == "mriver"
    with opened_store(load(desk.folder)) as store:
        other = next(known.account.rdn for known in store.known(TARGET).values() if known.account.rdn != "mriver")
    assert "belongs to" in desk("rename", key, other, *WHY, ends=Exit.PARTLY)
