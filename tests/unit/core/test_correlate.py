"""Who is who: merging records into a person, finding the person of an unknown record, finding the owner of an account."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, timedelta

import pytest

from syncd.core.correlate import Situation, SituationKind, build, situate
from syncd.core.identify import Dispute, Identified, identify, likeness
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
    Value,
)

TODAY = date(2026, 9, 10)
ME = PersonId("p1")
SIS, HR = SourceName("sis"), SourceName("hr")
NORTH = Campus(SourceKey("o1"), "North", "001")
SOUTH = Campus(SourceKey("o2"), "South", "002")
EAST = Campus(SourceKey("o3"), "East", "003")


def ago(days: int) -> date:
    """So many days before today; a negative number lies ahead."""
    return TODAY - timedelta(days=days)


def record(
    key: str = "s1",
    source: SourceName = SIS,
    roles: Sequence[Role] = (),
    enrolments: Sequence[Enrolment] = (),
    born: str = "",
    **fields: Value,
) -> Record:
    """One person as one source tells it."""
    facts = {"birth_date": born} if born else {}
    return Record(source, SourceKey(key), fields, roles=tuple(roles), enrolments=tuple(enrolments), facts=facts)


def section(
    key: str, campus: Campus = NORTH, kind: str = "scheduled", begin: date | None = None, end: date | None = None
) -> Section:
    """A class taught at a campus."""
    return Section(SourceKey(key), key.upper(), key, campus.key, kind, begin=begin, end=end)


def student(campus: Campus, begin: date | None = None, end: date | None = None, *, primary: bool = False) -> Role:
    """The role of a pupil."""
    return Role(campus, "student", primary, begin, end)


def built(*records: Record, display: str = "legal", previous: str = "") -> Person:
    """The person of these records, today."""
    return build(ME, records, {}, TODAY, display, previous_campus=previous)[0]


def changes(*records: Record) -> date | None:
    """When time alone changes the person of these records."""
    return build(ME, records, {}, TODAY)[1]


# --- build: fields ----------------------------------------------------------------------------------------------------


def test_the_first_authority_that_speaks_wins_field_by_field() -> None:
    """Absent is silence, so the next source is heard; empty is a statement, so it is not."""
    person = built(record(grade="07", email=""), record("h9", HR, grade="08", email="a@b.example", phone="555"))
    told = {name: person.fields[name] for name in ("grade", "email", "phone")}
    assert told == {"grade": "07", "email": "", "phone": "555"}


def test_a_person_remembers_which_records_speak() -> None:
    """Most authoritative first, with relations and guardians as they were resolved."""
    person, _ = build(ME, [record(), record("h9", HR)], {"manager": PersonId("p7")}, TODAY, guardians=[PersonId("p8")] * 2)
    assert person.records == ((SIS, "s1"), (HR, "h9"))
    assert (person.related, person.guardians) == ({"manager": "p7"}, ("p8",))


@pytest.mark.parametrize(
    ("grade", "index"), [("PK", -1), ("KG", 0), ("01", 1), ("12", 12), ("13", None), ("UG", None), ("", None), (None, None)]
)
def test_the_number_of_a_grade_belongs_to_the_grade_that_won(grade: str | None, index: int | None) -> None:
    """Another source's number is never kept beside it; an unknown grade has none."""
    assert built(record(grade=grade), record("h9", HR, grade="08", grade_index=8)).fields.get("grade_index") == index


@pytest.mark.parametrize(
    ("display", "shown"),
    [("legal", ("José", "García López", "José García López Jr")), ("preferred", ("Pepe", "García López", "Pepe García López Jr"))],
)
def test_the_display_name_is_the_districts_choice(display: str, shown: tuple[str, ...]) -> None:
    """Legal, or preferred where there is a preferred name: each part falls back to the legal one."""
    fields = built(record(given="José", family="García López", suffix="Jr", preferred_given="Pepe"), display=display).fields
    assert (fields["display_given"], fields["display_family"], fields["display_name"]) == shown


@pytest.mark.parametrize("display", ["legal", "preferred"])
def test_a_name_of_one_part_has_no_stray_blank(display: str) -> None:
    """Nothing but what there is."""
    assert built(record(given=" ", family="Suharto", preferred_given=None), display=display).fields["display_name"] == "Suharto"


def test_roles_are_those_in_use_today_from_every_source() -> None:
    """A teacher in one source who is a parent in another is both; a role not begun or over counts for nothing."""
    person = built(
        record(
            "h9", HR, [Role(NORTH, "teacher", begin=ago(9)), Role(SOUTH, "aide", begin=ago(-1)), Role(EAST, "coach", end=TODAY)]
        ),
        record(roles=[Role(SOUTH, "parent")]),
    )
    assert person.fields["roles"] == ("parent", "teacher")


def test_a_source_without_dated_roles_tells_them_as_a_field() -> None:
    """A plain list or one text from a simple CSV counts like any other."""
    assert built(record(roles=[Role(NORTH, "parent")]), _plain(("teacher", "aide"))).fields["roles"] == (
        "aide",
        "parent",
        "teacher",
    )
    assert built(_plain("student")).fields["roles"] == ("student",)
    assert built(_plain("")).fields["roles"] == ()


def _plain(roles: Value) -> Record:
    return Record(HR, SourceKey("h9"), {"roles": roles})


# --- build: campuses and classes --------------------------------------------------------------------------------------


def test_the_only_campus_is_the_primary_one() -> None:
    """However new it is."""
    assert built(record(roles=[student(NORTH, ago(0))])).campus == NORTH


def test_somebody_without_a_running_role_has_no_campus() -> None:
    """A leaver's last campus is remembered by the store, not here."""
    assert built(record(roles=[student(NORTH, end=ago(1))]), previous="001").campus is None


def test_the_sources_own_flag_decides() -> None:
    """Whatever is newer, and whatever was before."""
    roles = [student(NORTH, ago(300), primary=True), student(SOUTH, ago(30))]
    assert built(record(roles=roles), previous="002").campus == NORTH


def test_the_flag_of_the_most_authoritative_source_decides() -> None:
    """Staff at two campuses: the first source that flags any is believed."""
    hr = record("h9", HR, [Role(SOUTH, "teacher", primary=True)])
    sis = record(roles=[Role(NORTH, "teacher", primary=True), Role(SOUTH, "teacher")])
    assert (built(hr, sis).campus, built(sis, hr).campus) == (SOUTH, NORTH)


def test_the_flag_of_a_role_that_is_over_decides_nothing() -> None:
    """Only what runs today counts."""
    assert built(record(roles=[student(NORTH, end=TODAY, primary=True), student(SOUTH)])).campus == SOUTH


@pytest.mark.parametrize(("arrived", "expected"), [(0, NORTH), (4, NORTH), (5, SOUTH), (60, SOUTH)])
def test_a_newer_campus_becomes_primary_after_five_days(arrived: int, expected: Campus) -> None:
    """Schedules are tried out in the first days; then the newer one counts."""
    roles = [student(NORTH, ago(300)), student(SOUTH, ago(arrived))]
    assert built(record(roles=roles), previous="001").campus == expected


def test_one_more_class_at_the_old_campus_does_not_make_it_the_newer_one() -> None:
    """Arrival is the first day there, so the primary campus does not flip back."""
    roles = [student(NORTH, ago(300)), student(SOUTH, ago(60))]
    late = Enrolment(section("art"), "student", begin=ago(10))
    assert built(record(roles=roles, enrolments=[late]), previous="002").campus == SOUTH


def test_enrolments_date_a_campus_whose_role_is_undated() -> None:
    """OneRoster 1.1 dates no role: the classes tell where somebody arrived last."""
    roles = [student(NORTH), student(SOUTH)]
    enrolments = [
        Enrolment(section("a", NORTH), "student", begin=ago(200)),
        Enrolment(section("b", SOUTH, begin=ago(20)), "student"),
    ]
    assert built(record(roles=roles, enrolments=enrolments)).campus == SOUTH


def test_a_class_taught_as_primary_teacher_flags_no_campus() -> None:
    """OneRoster's enrolment flag names a class's primary teacher."""
    roles = [Role(NORTH, "teacher", begin=ago(9)), Role(SOUTH, "teacher", begin=ago(99))]
    taught = Enrolment(section("b", SOUTH), "teacher", primary=True)
    assert built(record(roles=roles, enrolments=[taught])).campus == NORTH


@pytest.mark.parametrize(("previous", "expected"), [("002", SOUTH), ("001", NORTH), ("", NORTH), ("003", NORTH)])
def test_a_tie_stays_where_it_was(previous: str, expected: Campus) -> None:
    """Two campuses alike: the one before, else the smallest key."""
    assert built(record(roles=[student(SOUTH, ago(9)), student(NORTH, ago(9))]), previous=previous).campus == expected


def test_on_the_first_days_at_two_new_campuses_the_one_before_or_the_smallest_counts() -> None:
    """Nothing has lasted yet."""
    roles = [student(SOUTH, ago(1)), student(NORTH, ago(2))]
    assert built(record(roles=roles)).campus == NORTH
    assert built(record(roles=roles), previous="002").campus == SOUTH


def test_groups_follow_every_campus_in_use() -> None:
    """Dual enrolment: both campuses, each once, by code; one told by two sources is one."""
    again = Campus(SourceKey("hr-1"), "North HS", "001")
    person = built(record(roles=[student(SOUTH), student(NORTH), student(EAST, end=TODAY)]), record("h9", HR, [student(again)]))
    assert person.campuses == (NORTH, SOUTH)


def test_classes_are_those_enrolled_in_today() -> None:
    """Begin is inclusive, end exclusive; a class whose term has not begun is listed as not active."""
    person = built(
        record(
            enrolments=[
                Enrolment(section("now"), "student", begin=TODAY, end=ago(-1)),
                Enrolment(section("over"), "student", end=TODAY),
                Enrolment(section("coming"), "student", begin=ago(-1)),
                Enrolment(section("later", begin=ago(-30)), "student"),
            ]
        )
    )
    assert [(told.key, told.active) for told in person.classes] == [("later", False), ("now", True)]


def test_a_class_enrolled_in_twice_is_one_class() -> None:
    """Two rows for one class, as some systems send them."""
    twice = [Enrolment(section("math"), "student"), Enrolment(section("math"), "student", primary=True)]
    assert [told.key for told in built(record(enrolments=twice)).classes] == ["math"]


@pytest.mark.parametrize(
    ("enrolments", "expected"),
    [
        ([Enrolment(section("math"), "student")], None),
        ([Enrolment(section("h1", kind="homeroom", end=TODAY), "student")], None),
        (
            [
                Enrolment(section("h1", SOUTH, "homeroom"), "student", primary=True),
                Enrolment(section("h2", kind="homeroom"), "student"),
            ],
            "h1",
        ),
        ([Enrolment(section("h1", SOUTH, "homeroom"), "student"), Enrolment(section("h2", kind="homeroom"), "student")], "h2"),
        (
            [
                Enrolment(section("h1", kind="homeroom", begin=ago(90)), "student"),
                Enrolment(section("h2", kind="homeroom", begin=ago(9)), "student"),
            ],
            "h2",
        ),
    ],
    ids=["none", "its term is over", "flagged", "at the primary campus", "newest"],
)
def test_the_homeroom_is_one_running_class(enrolments: Sequence[Enrolment], expected: str | None) -> None:
    """A flag first, then the primary campus, then the newest."""
    person = built(record(roles=[student(NORTH, primary=True)], enrolments=enrolments))
    assert (person.homeroom.key if person.homeroom else None) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (record(roles=[student(NORTH)]), None),
        (record(roles=[student(NORTH, ago(9), ago(-9))]), ago(-9)),
        (record(roles=[student(NORTH, ago(-3), ago(-9))]), ago(-3)),
        (record(roles=[student(NORTH, ago(9), ago(0))]), None),
        (record(enrolments=[Enrolment(section("a", begin=ago(-4)), "student", end=ago(-6))]), ago(-4)),
        (record(roles=[student(NORTH, ago(90)), student(SOUTH, ago(2))]), ago(-3)),
        (record(roles=[student(NORTH, ago(2))]), None),
    ],
    ids=["undated", "end", "begin", "over", "term", "a newer campus", "the only campus"],
)
def test_the_next_day_on_which_time_changes_the_person_is_told(told: Record, expected: date | None) -> None:
    """The earliest begin or end ahead, of a role, an enrolment or a term, or the end of a newer campus's first five days."""
    assert changes(told) == expected


# --- identify ---------------------------------------------------------------------------------------------------------


def known_by(**values: Collection[str]) -> Callable[[str, str], Collection[PersonId]]:
    """An index: `state_id="7"` style keys joined by `__`, with the persons who have the value."""
    return lambda name, value: [PersonId(person) for person in values.get(f"{name}__{value}", ())]


def resembling(*states: PersonState) -> Callable[[str], Sequence[PersonState]]:
    """The known persons, by likeness."""
    return lambda like: [state for state in states if state.likeness == like]


def identified(
    *unknown: Record,
    index: Callable[[str, str], Collection[PersonId]] | None = None,
    known: Sequence[PersonState] = (),
    held: Collection[tuple[str, str]] = (),
) -> Identified:
    """Identification with both sources matched on state id, then number."""
    match_on = {SIS: ("state_id", "student_number"), HR: ("state_id", "staff_number")}
    return identify(
        unknown, match_on, index or known_by(), resembling(*known), is_held=lambda person, source: (person, source) in held
    )


_ALIKE = "same birth date and family name, given name equal or one the beginning of the other"
_WHY = f"resembles another new record: {_ALIKE}"

MARIA = PersonState(PersonId("p9"), likeness="t1|garcia", given="maria")


def test_somebody_nobody_knows_is_minted_in_the_order_given() -> None:
    """New persons get their ids in the caller's order."""
    assert identified(record("s2"), record("s1")) == Identified(mint=((SIS, SourceKey("s2")), (SIS, SourceKey("s1"))))


def test_a_key_that_matches_one_known_person_is_attached() -> None:
    """The same child under a new number and key, found by the state's own number."""
    told = record("s2", state_id="7", student_number="new", born="t1", family="García", given="María")
    assert identified(told, index=known_by(state_id__7=["p9"]), known=[MARIA]).attach == {(SIS, "s2"): "p9"}


def test_the_surest_field_that_finds_anybody_decides() -> None:
    """A weaker field is not asked once a surer one has found somebody."""
    index = known_by(state_id__7=["p9"], student_number__n1=["p8"])
    assert identified(record(state_id="7", student_number="n1"), index=index).attach == {(SIS, "s1"): "p9"}
    assert identified(record(state_id="", student_number="n1"), index=index).attach == {(SIS, "s1"): "p8"}
    assert identified(record(state_id=None, student_number="n1"), index=index).attach == {(SIS, "s1"): "p8"}


def test_a_field_that_finds_two_known_persons_is_disputed() -> None:
    """Two hits are never guessed between."""
    (dispute,) = identified(record(state_id="7"), index=known_by(state_id__7=["p9", "p8"])).disputed
    assert (dispute.subject, dispute.candidates) == ((SIS, "s1"), ("p8", "p9"))


def test_two_new_keys_of_one_source_for_one_known_person_are_disputed() -> None:
    """A source that lists somebody twice is not believed twice."""
    result = identified(record("s1", state_id="7"), record("s2", state_id="7"), index=known_by(state_id__7=["p9"]))
    assert [dispute.candidates for dispute in result.disputed] == [("p9", "sis/s2"), ("p9", "sis/s1")]
    assert not result.attach


def test_a_second_key_beside_a_live_one_of_the_same_source_is_disputed() -> None:
    """The known person is still in that source: two rows, one number."""
    (dispute,) = identified(record("s2", state_id="7"), index=known_by(state_id__7=["p9"]), held=[("p9", "sis")]).disputed
    assert "under another key" in dispute.why


def test_one_human_in_two_sources_is_minted_once() -> None:
    """On first contact the keys of both sources become one person, matched by a field, not by likeness."""
    one = record("s1", state_id="7", born="t1", family="García", given="María")
    other = record("h1", HR, state_id="7", born="t1", family="Garcia", given="Maria")
    assert identified(one, other) == Identified(
        mint=((SIS, SourceKey("s1")),), together={(HR, SourceKey("h1")): (SIS, SourceKey("s1"))}
    )


def test_a_new_key_follows_its_match_to_a_known_person() -> None:
    """One record names a known person, another names that record: both are that person."""
    result = identified(
        record("h1", HR, staff_number="e5"),
        record("s1", state_id="7", staff_number="e5"),
        index=known_by(state_id__7=["p9"]),
    )
    assert result.attach == {(HR, "h1"): "p9", (SIS, "s1"): "p9"}


def test_three_records_of_which_two_share_a_source_are_disputed() -> None:
    """Two pupils with the state id of one teacher: nobody is guessed."""
    result = identified(record("s1", state_id="7"), record("s2", state_id="7"), record("h1", HR, state_id="7"))
    assert [dispute.subject for dispute in result.disputed] == [(SIS, "s1"), (SIS, "s2"), (HR, "h1")]
    assert not result.mint


@pytest.mark.parametrize(
    ("given", "disputed"),
    [("María", True), ("Maria Elena", True), ("Mari", True), ("", True), ("Marisol", False), ("Ana", False)],
)
def test_who_closely_resembles_a_known_person_is_disputed(given: str, disputed: bool) -> None:
    """Same birth date and family name, given name equal or a prefix: a human decides (R35)."""
    result = identified(record("s2", born="t1", family="GARCÍA", given=given), known=[MARIA])
    assert bool(result.disputed) is disputed
    assert bool(result.mint) is not disputed


@pytest.mark.parametrize(("born", "family"), [("t2", "García"), ("t1", "Garza"), ("", "García"), ("t1", "")])
def test_another_birth_date_or_family_name_is_no_likeness(born: str, family: str) -> None:
    """Where either is missing or differs, somebody is simply new."""
    assert identified(record("s2", born=born, family=family, given="María"), known=[MARIA]).mint == ((SIS, "s2"),)


def test_two_new_records_that_resemble_each_other_are_both_disputed() -> None:
    """The same child twice, or twins called Jo and Joseph: neither is created before a human says."""
    twins = [record("s1", born="t1", family="Wu", given="Jo"), record("s2", born="t1", family="Wu", given="Joseph")]
    assert identified(*twins, record("s3", family="Wu")) == Identified(
        mint=((SIS, SourceKey("s3")),),
        disputed=(
            Dispute((SIS, SourceKey("s1")), _WHY, ("sis/s2",), {"sis/s2": _ALIKE}),
            Dispute((SIS, SourceKey("s2")), _WHY, ("sis/s1",), {"sis/s1": _ALIKE}),
        ),
    )


def test_twins_with_different_names_are_two_persons() -> None:
    """Same birth date, same family, other given names."""
    assert (
        len(identified(record("s1", born="t1", family="Wu", given="Li"), record("s2", born="t1", family="Wu", given="Mei")).mint)
        == 2
    )


def test_a_new_record_that_resembles_one_just_attached_is_disputed_with_its_person() -> None:
    """The attached one stays attached: a matching field has decided there."""
    result = identified(
        record("s1", born="t1", family="Wu", given="Li"),
        record("h1", HR, state_id="7", born="t1", family="Wu", given="Li"),
        index=known_by(state_id__7=["p9"]),
    )
    assert result.attach == {(HR, "h1"): "p9"}
    assert [(dispute.subject, dispute.candidates) for dispute in result.disputed] == [((SIS, "s1"), ("p9",))]


def test_a_teacher_who_is_also_a_parent_is_not_matched_by_name() -> None:
    """Same name in two sources without a matching field: two persons, as long as no birth date says more."""
    result = identified(record("s1", family="Wu", given="Li"), record("h1", HR, family="Wu", given="Li"))
    assert len(result.mint) == 2


def test_a_likeness_is_the_token_with_folded_names() -> None:
    """What the store keeps to recognise somebody by; None without birth date or family name."""
    assert likeness(record(born="t1", family="O'Neil-García", given="José María")) == ("t1|oneilgarcia", "josemaria")
    assert likeness(record(born="t1", given="José")) is None
    assert likeness(record(family="Wu")) is None


def test_flags_dates_and_lists_match_nobody() -> None:
    """Only a text or a number can name a person."""

    def everybody(_name: str, _value: str) -> Collection[PersonId]:
        return [PersonId("p9")]

    odd = Record(SIS, SourceKey("s1"), {"state_id": True, "student_number": TODAY})
    assert identified(odd, index=everybody).mint == ((SIS, "s1"),)


# --- situate ----------------------------------------------------------------------------------------------------------

PERSON = Person(ME, {})
NUMBER, MAIL = ("employeeID", "104233"), ("mail", "a@b.example")


def seen(native_id: str, *, privileged: bool = False) -> Observed:
    """An account on the target."""
    return Observed(NativeId(native_id), Account("x", "", enabled=True, attributes={}), privileged)


def situated(
    hits: Mapping[tuple[str, str], Sequence[Observed]] | None = None,
    linked: Mapping[str, str] | None = None,
    names: Sequence[Observed] = (),
) -> Situation:
    """The situation of a person who is found by number, then mail."""
    owners = {NativeId(native_id): PersonId(person) for native_id, person in (linked or {}).items()}
    return situate(PERSON, [NUMBER, MAIL], hits or {}, owners, names)


def test_a_link_is_believed() -> None:
    """Whatever else the target says."""
    assert situate(PERSON, [NUMBER], {NUMBER: [seen("n2")]}, {}, [], own=NativeId("n1")).kind is SituationKind.LINKED


def test_a_linked_account_others_deleted_is_told_apart() -> None:
    """It is not recreated unasked (R8)."""
    situation = situate(PERSON, [NUMBER], {}, {}, [], own=NativeId("n1"), gone=True)
    assert (situation.kind, situation.native_id) == (SituationKind.DELETED, "n1")


def test_nothing_found_is_unmatched() -> None:
    """Only then may an account be created."""
    assert situated().kind is SituationKind.UNMATCHED


def test_one_free_account_is_adopted_by_the_first_key_that_finds_any() -> None:
    """The link says by which key."""
    situation = situated({NUMBER: [seen("n1")], MAIL: [seen("n2"), seen("n3")]})
    assert (situation.kind, situation.native_id, situation.why) == (SituationKind.UNLINKED, "n1", "matched by employeeID")


def test_the_next_key_is_asked_where_the_first_finds_nothing() -> None:
    """In the order the mapping gives."""
    assert situated({MAIL: [seen("n2")]}).native_id == "n2"


def test_an_empty_value_finds_nobody() -> None:
    """A person without the number is not every account without one."""
    assert situate(PERSON, [("employeeID", "")], {("employeeID", ""): [seen("n1")]}, {}, []).kind is SituationKind.UNMATCHED


@pytest.mark.parametrize(
    ("hits", "linked", "candidates"),
    [
        ({NUMBER: [seen("n2"), seen("n1")]}, {}, ("n1", "n2")),
        ({NUMBER: [seen("n1"), seen("n2")]}, {"n2": "p7"}, ("n1", "n2")),
        ({NUMBER: [seen("n1")]}, {"n1": "p7"}, ("n1",)),
        ({NUMBER: [seen("n1")], MAIL: [seen("n2")]}, {"n1": "p7"}, ("n1",)),
    ],
    ids=["two free", "one linked, one free", "one linked", "linked by the surer key"],
)
def test_two_accounts_or_somebody_elses_are_disputed(
    hits: Mapping[tuple[str, str], Sequence[Observed]], linked: Mapping[str, str], candidates: tuple[str, ...]
) -> None:
    """Never guessed, never taken from somebody else."""
    situation = situated(hits, linked)
    assert (situation.kind, situation.native_id, situation.candidates) == (SituationKind.DISPUTED, None, candidates)


def test_one_account_reported_twice_is_one() -> None:
    """Two answers about one account are no dispute."""
    assert situated({NUMBER: [seen("n1"), seen("n1")]}).kind is SituationKind.UNLINKED


def test_an_account_already_linked_to_the_person_is_theirs() -> None:
    """Found again by key: linked."""
    assert situated({NUMBER: [seen("n1")]}, {"n1": "p1"}).kind is SituationKind.LINKED


def test_a_privileged_account_is_never_a_candidate() -> None:
    """An administrator's second account with the same number is passed over (R40)."""
    assert situated({NUMBER: [seen("admin", privileged=True), seen("n1")]}).native_id == "n1"
    assert situated({NUMBER: [seen("admin", privileged=True)], MAIL: [seen("n2")]}).native_id == "n2"


def test_where_only_a_privileged_account_has_the_key_no_second_one_is_made() -> None:
    """A hit becomes a link or a dispute, never a second account (R7)."""
    situation = situated({NUMBER: [seen("admin", privileged=True)]})
    assert (situation.kind, situation.candidates) == (SituationKind.DISPUTED, ("admin",))


def test_a_name_alone_never_decides() -> None:
    """An account nobody is linked to that has the person's name is disputed before creation (R35)."""
    assert situated(names=[seen("n1")]).kind is SituationKind.DISPUTED
    assert situated(names=[seen("n1", privileged=True)]).kind is SituationKind.DISPUTED


def test_a_namesakes_account_is_no_dispute() -> None:
    """An account linked to somebody else only takes a name: the next candidate is used."""
    assert situated(names=[seen("n1")], linked={"n1": "p7"}).kind is SituationKind.UNMATCHED
