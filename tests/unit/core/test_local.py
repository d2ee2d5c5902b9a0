"""What local facts mean on one day: plain values in, plain values out."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from syncd.core.facts import LOCAL, Fact, FactKind
from syncd.core.local import check_field, local, parsed
from syncd.core.model import Campus, PersonId, Record, SourceKey, SourceName

TODAY = date(2026, 9, 1)
P1 = PersonId("p1")
SIS = SourceName("sis")
NORTH = Campus(SourceKey("o1"), "North Elementary", "001")
SAM = {"given": "Sam", "family": "Okafor-Díaz", "population": "staff", "campus": "001", "key": "sponsored-1"}


def fact(kind: FactKind, number: int = 1, **told: object) -> Fact:
    """A fact about p1."""
    since = datetime(2026, 8, 1, tzinfo=UTC)
    return Fact(number, P1, kind, since, "ana (uid 1)", "because", **told)  # type: ignore[arg-type]  # the callers spell the fields


def record(**fields: str) -> Record:
    """A record of the roster."""
    return Record(SIS, SourceKey("9"), fields)


def test_a_fact_holds_to_the_end_of_its_last_day_and_is_due_the_day_after() -> None:
    """The earliest end of several is the next date."""
    freeze = fact(FactKind.FREEZE, until=TODAY)
    other = fact(FactKind.OVERRIDE, 2, attribute="grade", values={"value": "07"}, until=date(2026, 9, 9))
    assert local([freeze, other], TODAY).due(P1) == date(2026, 9, 2)
    assert local([freeze, other], date(2026, 9, 2)).due(P1) == date(2026, 9, 10)
    assert local([freeze], date(2026, 9, 2)).of(P1) == ()


def test_a_lock_goes_before_a_freeze_and_has_no_date() -> None:
    """Whoever is both is kept out, not as they are."""
    known = local([fact(FactKind.FREEZE, until=TODAY), fact(FactKind.LOCK, 2)], TODAY)
    assert known.holding(P1) == known.locked(P1) != None  # noqa: E711 — the lock, and that there is one
    assert known.kept_out == {P1}
    assert local([fact(FactKind.LOCK)], TODAY).due(P1) is None


def test_an_override_stands_in_front_of_every_record() -> None:
    """Typed as the field is; a campus is a flagged role there, as what the person is anyway."""
    facts = [
        fact(FactKind.OVERRIDE, 1, attribute="enabled", values={"value": "No"}),
        fact(FactKind.OVERRIDE, 2, attribute="exit_date", values={"value": "2026-12-31"}),
        fact(FactKind.OVERRIDE, 3, attribute="campus", values={"value": "001"}),
    ]
    first, second = local(facts, TODAY, campuses={SIS: [NORTH]}).overriding(P1, [record(given="Ana")])
    assert first.fields == {"enabled": False, "exit_date": date(2026, 12, 31)}
    assert [(role.campus, role.primary) for role in first.roles] == [(NORTH, True)]
    assert second == record(given="Ana")


def test_a_sponsorship_is_a_record_that_a_roster_takes_the_place_of() -> None:
    """Over, it still tells the last day, as long as nobody else ever told of the person."""
    over = local([fact(FactKind.SPONSOR, values=SAM, until=date(2026, 8, 30))], TODAY)
    made = over.sponsorship(P1, elsewhere=False)
    assert made is not None
    assert (made.source, made.fields["exit_date"], made.fields["family"]) == (LOCAL, date(2026, 8, 30), "Okafor-Díaz")
    assert over.sponsorship(P1, elsewhere=True) is None
    assert local([fact(FactKind.SPONSOR, values=SAM, until=TODAY)], TODAY).sponsorship(P1, elsewhere=True) is not None


@pytest.mark.parametrize(
    ("fields", "born", "alike"),
    [
        ({"given": "Samuel", "family": "OKAFOR DIAZ"}, "", True),
        ({"given": "Sam", "family": "Okafor-Diaz"}, "t1", True),
        ({"given": "Sam", "family": "Okafor-Diaz"}, "t2", False),
        ({"given": "Ruth", "family": "Okafor-Diaz"}, "", False),
        ({"given": "Sam", "family": "Okafor"}, "", False),
        ({"given": "Sam"}, "", False),
    ],
)
def test_a_namesake_is_who_may_be_the_same(fields: dict[str, str], born: str, alike: bool) -> None:
    """Same family name, given name equal or a prefix, and no birth date that says otherwise."""
    known = local([fact(FactKind.SPONSOR, values={**SAM, "birth_date": "t1"})], TODAY)
    told = Record(SIS, SourceKey("9"), fields, facts={"birth_date": born} if born else {})
    assert known.namesakes(told) == ([P1] if alike else [])


def test_sealed_names_are_known_whatever_the_day() -> None:
    """And no fact of the person in any report."""
    known = local([fact(FactKind.SEAL, attribute="agarcia")], TODAY)
    assert (known.sealed, known.of(P1)) == ({"agarcia"}, ())


def test_a_value_is_read_as_its_field_is() -> None:
    """Nothing is nothing; an extra column is text."""
    assert (parsed("exit_date", ""), parsed("given", " "), parsed("directory_optout", "Yes")) == (None, "", True)
    assert parsed("extra.badge", " 7 ") == "7"
    check_field("extra.badge", "7", {"extra.badge"})
    with pytest.raises(ValueError, match=r"did you mean 'extra\.badge'"):
        check_field("extra.bagde", "7", {"extra.badge"})
