"""Laws of correlation: time moves a person only when said, nobody is lost or guessed, and order decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.correlate import SituationKind, build, situate
from syncd.core.identify import identify, likeness, resembles
from syncd.core.lifecycle import PersonState
from syncd.core.model import (
    Account,
    Campus,
    Enrolment,
    NativeId,
    Observed,
    Person,
    PersonId,
    Record,
    Role,
    Section,
    SourceKey,
    SourceName,
)

ME = PersonId("p1")
EPOCH = date(2026, 8, 1)
CAMPUSES = [Campus(SourceKey(f"o{number}"), f"Campus {number}", f"00{number}") for number in range(1, 4)]

days = st.integers(0, 40).map(lambda day: EPOCH + timedelta(days=day))
ends = st.none() | days
roles = st.builds(Role, st.sampled_from(CAMPUSES), st.sampled_from(["student", "teacher"]), st.booleans(), ends, ends)
sections = st.builds(
    Section,
    st.sampled_from("abc").map(SourceKey),
    st.just("code"),
    st.just("title"),
    st.sampled_from([campus.key for campus in CAMPUSES]),
    st.sampled_from(["scheduled", "homeroom"]),
    begin=ends,
    end=ends,
)
enrolments = st.builds(Enrolment, sections, st.just("student"), st.booleans(), ends, ends)
histories = st.builds(
    Record,
    st.sampled_from([SourceName("sis"), SourceName("hr")]),
    st.just(SourceKey("s1")),
    st.dictionaries(st.sampled_from(["given", "family", "grade", "preferred_given"]), st.sampled_from(["", "07", "Jo"])),
    roles=st.lists(roles, max_size=4).map(tuple),
    enrolments=st.lists(enrolments, max_size=4).map(tuple),
)
told = st.lists(histories, min_size=1, max_size=2)
displays = st.sampled_from(["legal", "preferred"])


@given(told, days, displays, st.sampled_from(["", "001", "002", "003"]), st.data())
def test_a_person_stays_the_same_until_the_day_told(
    records: list[Record], today: date, display: str, previous: str, data: st.DataObject
) -> None:
    """Built again on any day before the boundary, knowing the campus of before, the person is equal: the campus never flips."""
    person, boundary = build(ME, records, {}, today, display, previous_campus=previous)
    assert boundary is None or boundary > today
    last = boundary - timedelta(days=1) if boundary else date(2027, 1, 1)
    day = data.draw(st.dates(today, last))
    campus = person.campus.code if person.campus else previous
    assert build(ME, records, {}, day, display, previous_campus=campus) == (person, boundary)


@given(told, days)
def test_the_primary_campus_is_one_of_the_campuses(records: list[Record], today: date) -> None:
    """Whoever has campuses has a primary one among them; each campus code stands once."""
    person, _ = build(ME, records, {}, today)
    codes = [campus.code for campus in person.campuses]
    assert len(set(codes)) == len(codes)
    assert (person.campus in person.campuses) if codes else (person.campus is None)


@given(st.lists(roles, max_size=5), days, st.randoms())
def test_the_order_of_rows_decides_nothing(rows: list[Role], today: date, random: Random) -> None:
    """A source may list its roles in any order."""
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = (
        build(ME, [Record(SourceName("sis"), SourceKey("s1"), {}, roles=tuple(order))], {}, today) for order in (rows, shuffled)
    )
    assert one == other


givens = st.sampled_from(["Jo", "Joseph", "Li", "Mei", ""])
numbers = st.sampled_from(["", "1", "2", "3"])


@st.composite
def newcomers(draw: st.DrawFn) -> list[Record]:
    """Unknown records of two sources with distinct keys."""
    keys = draw(st.lists(st.tuples(st.sampled_from(["sis", "hr"]), st.sampled_from("abcd")), unique=True, max_size=6))
    return [
        Record(
            SourceName(source),
            SourceKey(key),
            {
                "given": draw(givens),
                "family": draw(st.sampled_from(["Wu", "García"])),
                "state_id": draw(numbers),
                "mail": draw(numbers),
            },
            facts=draw(st.sampled_from([{}, {"birth_date": "t1"}])),
        )
        for source, key in keys
    ]


known_persons = st.lists(
    st.builds(PersonState, st.sampled_from(["p1", "p2"]).map(PersonId), likeness=st.just("t1|wu"), given=givens.map(str.lower)),
    unique_by=lambda state: state.id,
    max_size=2,
)
indexes = st.dictionaries(
    st.tuples(st.sampled_from(["state_id", "mail"]), st.sampled_from("123")),
    st.sets(st.sampled_from(["p1", "p2"]).map(PersonId), min_size=1, max_size=2),
)
MATCH_ON = {SourceName("sis"): ("state_id", "mail"), SourceName("hr"): ("mail",)}


@given(newcomers(), known_persons, indexes, st.randoms())
def test_every_record_is_somebody_or_disputed_whatever_the_order(
    unknown: list[Record],
    known: list[PersonState],
    index: Mapping[tuple[str, str], Collection[PersonId]],
    random: Random,
) -> None:
    """No record is lost or decided twice, no person gets two keys of one source, and shuffling changes no decision."""

    def outcome(records: Sequence[Record]) -> tuple[object, ...]:
        result = identify(
            records,
            MATCH_ON,
            lambda name, value: index.get((name, value), ()),
            lambda like: [state for state in known if state.likeness == like],
        )
        disputed = [dispute.subject for dispute in result.disputed]
        decided = [*result.mint, *result.attach, *result.together, *disputed]
        assert sorted(decided) == sorted((record.source, record.key) for record in records)
        assert set(result.together.values()) <= set(result.mint)
        persons: dict[object, list[str]] = {}
        for key, person in (*result.attach.items(), *result.together.items(), *((key, key) for key in result.mint)):
            persons.setdefault(person, []).append(key[0])
        assert all(len(set(sources)) == len(sources) for sources in persons.values())
        minted = [record for record in records if (record.source, record.key) in result.mint]
        for record in minted:
            like = likeness(record)
            others = [likeness(other) for other in minted if other is not record]
            assert like is None or not any(other and other[0] == like[0] and resembles(other[1], like[1]) for other in others)
            assert like is None or not any(state.likeness == like[0] and resembles(state.given, like[1]) for state in known)
        new = frozenset(result.mint) | frozenset(result.together)
        return new, dict(result.attach), {dispute.subject: frozenset(dispute.candidates) for dispute in result.disputed}

    shuffled = list(unknown)
    random.shuffle(shuffled)
    assert outcome(unknown) == outcome(shuffled)


observed = st.builds(
    Observed,
    st.sampled_from(["n1", "n2", "n3"]).map(NativeId),
    st.just(Account("x", "", enabled=True, attributes={})),
    st.booleans(),
)
FINDS = [("employeeID", "1"), ("mail", "a")]


@given(
    st.dictionaries(st.sampled_from(FINDS), st.lists(observed, max_size=3)),
    st.dictionaries(st.sampled_from(["n1", "n2", "n3"]).map(NativeId), st.just(PersonId("p7"))),
    st.lists(observed, max_size=2),
)
def test_only_a_free_unprivileged_account_found_by_key_is_adopted(
    hits: Mapping[tuple[str, str], Sequence[Observed]], linked: Mapping[NativeId, PersonId], names: Sequence[Observed]
) -> None:
    """Adoption needs exactly one such account; creation needs that nothing at all was found but namesakes' accounts."""
    situation = situate(Person(ME, {}), FINDS, hits, linked, names)
    found = [hit for hits_of_key in hits.values() for hit in hits_of_key]
    if situation.kind is SituationKind.UNLINKED:
        assert situation.native_id not in linked
        assert any(hit.native_id == situation.native_id and not hit.privileged for hit in found)
    else:
        assert situation.native_id is None
    if situation.kind is SituationKind.UNMATCHED:
        assert not found
        assert all(hit.native_id in linked for hit in names)
