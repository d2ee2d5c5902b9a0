"""What humans decided about records holds, is not asked again, and decides nothing else; and who somebody new may be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from syncd.core.identify import Identified, identify
from syncd.core.kinship import GUARDIAN, PRIOR_NUMBER, STATE_ID, Kin
from syncd.core.lifecycle import PersonState
from syncd.core.model import Guardianship, PersonId, Record, SourceKey, SourceName
from syncd.core.resolution import Resolution, Verb, account_of, decisions, record_of

SIS, HR = SourceName("sis"), SourceName("hr")
NOW = datetime(2026, 9, 1, tzinfo=UTC)
P1, P2 = PersonId("p1"), PersonId("p2")


def record(key: str, born: str = "t1", source: SourceName = SIS, guardian: str = "", **fields: str) -> Record:
    facts = {"birth_date": born} if born else {}
    guardians = (Guardianship(SourceKey(guardian), "mother"),) if guardian else ()
    told = {"given": "Ana", "family": "Ruiz"} | fields
    return Record(source, SourceKey(key), told, facts=facts, guardians=guardians)


def said(verb: Verb, subject: str, candidate: str, *, withdrawn: bool = False) -> Resolution:
    return Resolution(verb, subject, candidate, NOW, "ana (uid 1)", "seen", NOW if withdrawn else None)


def identified(
    *records: Record,
    decided: tuple[Resolution, ...] = (),
    known: tuple[PersonId, ...] = (P1,),
    match_on: tuple[str, ...] = (),
    index: Mapping[str, PersonId] | None = None,
    former: Mapping[PersonId, tuple[Record, ...]] | None = None,
) -> Identified:
    states = [PersonState(person, likeness="t1|ruiz", given="ana") for person in known]
    return identify(
        records,
        {SIS: match_on, HR: match_on},
        lambda _, value: {(index or {})[value]} if value in (index or {}) else set(),
        lambda like: states if like == "t1|ruiz" else [],
        akin=Kin(former or {}).of,
        decided=decisions(decided),
    )


def test_a_merged_record_is_the_known_persons() -> None:
    """The same child under a new number keeps account and names."""
    found = identified(record("s9"), decided=(said(Verb.MERGE, "sis/s9", "p1"),))
    assert (found.attach, found.mint, found.disputed) == ({(SIS, "s9"): P1}, (), ())


def test_an_ignored_likeness_makes_a_new_person() -> None:
    """They really are two people: not asked again."""
    found = identified(record("s9"), decided=(said(Verb.IGNORE, "sis/s9", "p1"),))
    assert (found.mint, found.disputed) == (((SIS, "s9"),), ())


def test_who_else_resembles_is_asked_all_the_same() -> None:
    """A decision is about one pair."""
    found = identified(record("s9"), decided=(said(Verb.IGNORE, "sis/s9", "p1"),), known=(P1, P2))
    assert [one.candidates for one in found.disputed] == [("p2",)]


def test_what_was_taken_back_is_asked_again() -> None:
    """As if it had never been said."""
    found = identified(record("s9"), decided=(said(Verb.MERGE, "sis/s9", "p1", withdrawn=True),))
    assert [one.subject for one in found.disputed] == [(SIS, "s9")]


@pytest.mark.parametrize("subject", ["sis/s8", "sis/s9"])
def test_twins_told_apart_are_two_persons(subject: str) -> None:
    """Whichever of the two it was said of."""
    other = "sis/s9" if subject == "sis/s8" else "sis/s8"
    found = identified(record("s8"), record("s9"), known=(), decided=(said(Verb.IGNORE, subject, other),))
    assert (found.mint, found.disputed) == (((SIS, "s8"), (SIS, "s9")), ())


def test_two_new_records_said_to_be_one_make_one_person() -> None:
    """A child entered twice."""
    found = identified(record("s8"), record("s9"), known=(), decided=(said(Verb.MERGE, "sis/s9", "sis/s8"),))
    assert (found.mint, found.together, found.disputed) == (((SIS, "s8"),), {(SIS, "s9"): (SIS, "s8")}, ())


def test_a_record_merged_with_one_that_is_merged_belongs_to_the_same_person() -> None:
    """What was said is followed to its end."""
    decided = (said(Verb.MERGE, "sis/s9", "sis/s8"), said(Verb.MERGE, "sis/s8", "p1"))
    assert identified(record("s8"), record("s9"), decided=decided).attach == {(SIS, "s8"): P1, (SIS, "s9"): P1}


def test_a_ring_of_merges_ends_in_a_dispute_and_not_for_ever() -> None:
    """It cannot be said, and if it is there all the same nobody is minted for it."""
    decided = (said(Verb.MERGE, "sis/s9", "sis/s8"), said(Verb.MERGE, "sis/s8", "sis/s9"))
    found = identified(record("s8"), record("s9"), known=(), decided=decided)
    assert (found.mint, found.attach, len(found.disputed)) == ((), {}, 2)


def test_an_ignored_match_is_no_match() -> None:
    """A state id that was mistyped names somebody else's child: human beats field."""
    told = {"match_on": ("state_id",), "index": {"7": P2}, "known": ()}
    new = record("s9", born="", state_id="7")
    assert identified(new, **told).attach == {(SIS, "s9"): P2}  # type: ignore[arg-type]  # spelled above
    found = identified(new, decided=(said(Verb.IGNORE, "sis/s9", "p2"),), **told)  # type: ignore[arg-type]  # spelled above
    assert (found.mint, found.attach) == (((SIS, "s9"),), {})


def test_a_record_that_matches_a_merged_one_joins_the_same_person() -> None:
    """What the merged record says of itself is known from the same run on."""
    new = record("s9", state_id="7"), record("h1", "", HR, state_id="7")
    found = identified(*new, decided=(said(Verb.MERGE, "sis/s9", "p1"),), match_on=("state_id",))
    assert found.attach == {(SIS, "s9"): P1, (HR, "h1"): P1}


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (record("s1", state_id="7"), record("s9", born="", state_id="7"), STATE_ID),
        (record("s1", student_number="10001"), record("s9", born="", prior_number="10001"), PRIOR_NUMBER),
        (record("s1"), record("s9", born="", prior_number="s1"), PRIOR_NUMBER),
        (record("s1", guardian="g1"), record("s9", born="", guardian="g1"), GUARDIAN),
        (record("s1", guardian="g1", state_id="7"), record("s9", "", guardian="g1", state_id="7"), f"{STATE_ID} and {GUARDIAN}"),
    ],
)
def test_a_child_under_a_new_number_is_asked_about(old: Record, new: Record, why: str) -> None:
    """By state id, prior number, or legal name and guardian: with what speaks for it."""
    [dispute] = identified(new, known=(), former={P1: (old,)}).disputed
    assert (dispute.candidates, dispute.evidence) == (("p1",), {"p1": why})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (record("s1", state_id=""), record("s9", born="", state_id="")),
        (record("s1", guardian="g1"), record("s9", born="", guardian="g2")),
        (record("s1", guardian="g1"), record("s9", born="", guardian="g1", given="Eva")),
        (record("s1", state_id="7"), record("s9", born="", prior_number="7")),
    ],
)
def test_a_name_alone_is_no_kinship(old: Record, new: Record) -> None:
    """Nor are siblings, nor empty cells."""
    assert identified(new, known=(), former={P1: (old,)}).disputed == ()


def test_records_and_accounts_are_told_apart_by_their_spelling() -> None:
    """A key may hold a colon, a native id a slash."""
    assert record_of("sis/a:b/c") == (SIS, "a:b/c")
    assert account_of("sis/a:b") is None
    assert account_of("ldap:x/y") == ("ldap", "x/y")
    assert record_of("ldap:x/y") is None
    assert (record_of("p17"), account_of("p17")) == (None, None)
