"""Whose a device is, what is to be done to it, and what holds that back: values in, values out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core import plan
from syncd.core.calendar import Season
from syncd.core.device_rules import DeviceRules, compile_devices, excluded
from syncd.core.devices import (
    Device,
    DeviceLimits,
    Directory,
    Ground,
    Row,
    Spent,
    Status,
    Student,
    Wished,
    cells,
    is_so,
    joined,
    judge,
    wished,
)
from syncd.core.guard import Limit
from syncd.core.mapping import compile_people
from syncd.core.mapping_spec import DevicesSpec, ExcludeSpec, Mark, PeopleSpec, PopulationSpec, Text
from syncd.core.model import Campus, Change, Kind, NativeId, Person, PersonId, SourceKey, TargetName
from syncd.errors import ConfigError

GOOGLE = TargetName("google")
NOWHERE = Spent({}, {})


def text(written: str) -> Text:
    """A text of a mapping."""
    return Text(written, Mark("mappings/google.yaml", 9, 3))


def rules(**told: object) -> DeviceRules:
    """Compiled rules; without any, a unit by campus and grade."""
    wanted = {"unit": text("/Students/{{ campus.code }}/{{ grade }}"), **told}
    people = compile_people(PeopleSpec({"students": PopulationSpec(text("'student' in roles"))}, {}))
    return compile_devices(DevicesSpec(**wanted), people)  # type: ignore[arg-type]  # spelled out by the callers


def student(
    number: int, *, grade: str = "05", campus: str = "001", account: str | None = None, left: date | None = None
) -> Student:
    """A student by number."""
    place = Campus(SourceKey(campus), campus, campus)
    person = Person(PersonId(f"p{number}"), {"grade": grade, "student_number": str(number), "roles": ("student",)}, place)
    return Student(person, f"s{number}@x.org" if account is None else account, {}, {}, left, campus, "students")


def device(number: int, unit: str = "", status: Status = Status.ACTIVE, **noted: str) -> Device:
    """A device by number."""
    return Device(NativeId(f"d{number}"), f"SN{number}", status, unit, noted, "Model")


def people(*told: Student) -> Directory:
    """Everybody a roster may mean."""
    return Directory(
        {str(one.person.fields["student_number"]): (one,) for one in told},
        {one.account.casefold(): one for one in told if one.account},
    )


def wishes(
    devices: list[Device],
    rows: list[Row],
    who: Directory,
    by: DeviceRules | None = None,
    lost: frozenset[str] = frozenset(),
    ours: frozenset[NativeId] = frozenset(),
) -> Wished:
    """What is to be done."""
    by = by or rules()
    return wished(GOOGLE, joined(devices, rows, who, by), devices, by, Ground(lost, ours, str.casefold))


def applied(one: Device, changes: list[Change]) -> Device:
    """The device once these changes have landed."""
    for change in changes:
        after = change.after
        assert after is not None
        match change.kind:
            case Kind.MOVE_DEVICE:
                one = replace(one, unit=after.container)
            case Kind.ANNOTATE_DEVICE:
                one = replace(
                    one, annotations={**one.annotations, **{name: "".join(told) for name, told in after.attributes.items()}}
                )
            case _:
                one = replace(one, status=Status.ACTIVE if after.enabled else Status.DISABLED)
    return one


ROWS = st.lists(
    st.builds(
        Row,
        line=st.integers(2, 99),
        serial=st.sampled_from(["SN1", "sn2", "SN3", "SN9", ""]),
        asset=st.sampled_from(["", "T1", "LOAN-1"]),
        student=st.sampled_from(["", "1", "2", "3", "7"]),
        lost=st.booleans(),
    ),
    max_size=6,
)
DEVICES = st.lists(
    st.builds(
        device,
        st.integers(1, 4),
        st.sampled_from(["", "/students/001/05", "/elsewhere"]),
        st.sampled_from(list(Status)),
        user=st.sampled_from(["", "s1@x.org", "somebody"]),
        asset=st.sampled_from(["", "T1", "LOAN-1"]),
    ),
    max_size=5,
    unique_by=lambda one: one.native_id,
)
EVERYBODY = people(student(1), student(2, campus="002"), student(3, account=""), student(7, left=date(2026, 6, 1)))


@settings(max_examples=300, deadline=None)
@given(DEVICES, ROWS, st.frozensets(st.sampled_from(["sn1", "sn2"])), st.frozensets(st.sampled_from(["d1", "d2", "d3"])))
def test_what_was_done_is_not_wanted_again(
    devices: list[Device], rows: list[Row], lost: frozenset[str], ours: frozenset[str]
) -> None:
    """Whatever the roster says: once the changes have landed, none is left, each is so, and excluded devices were in none."""
    by = rules(exclude=ExcludeSpec(assets=("LOAN-*",)), spare="/spare")
    by_us = frozenset(map(NativeId, ours))
    first = wishes(devices, rows, EVERYBODY, by, lost, by_us)
    after = [applied(one, [change for change in first.changes if change.native_id == one.native_id]) for one in devices]
    disabled = frozenset(change.native_id for change in first.changes if change.kind is Kind.DISABLE_DEVICE and change.native_id)
    enabled = frozenset(change.native_id for change in first.changes if change.kind is Kind.ENABLE_DEVICE and change.native_id)
    # A tag that the roster told may be an excluded one from now on: what is excluded then is left alone, too.
    assert wishes(after, rows, EVERYBODY, by, lost, (by_us | disabled) - enabled).changes == ()
    by_id = {one.native_id: one for one in after}
    assert all(is_so(change, by_id[change.native_id]) for change in first.changes if change.native_id)
    loaners = {one.native_id for one in devices if one.annotations["asset"] == "LOAN-1"}
    noted = {change.native_id for change in first.changes if change.kind in (Kind.ANNOTATE_DEVICE, Kind.MOVE_DEVICE)}
    assert not loaners & noted
    assert all(one.status is not Status.OUT for one in devices if one.native_id in {change.native_id for change in first.changes})


@settings(max_examples=150, deadline=None)
@given(DEVICES, ROWS, st.randoms(use_true_random=False))
def test_the_order_of_roster_and_list_changes_nothing(devices: list[Device], rows: list[Row], chance: object) -> None:
    """The same digests, whatever the order: an approval covers what was seen (R15)."""
    told = [plan.digest(change) for change in wishes(devices, rows, EVERYBODY).changes]
    chance.shuffle(devices)  # type: ignore[attr-defined]  # a Random of hypothesis'
    lines = {id(row): row for row in rows}
    chance.shuffle(rows)  # type: ignore[attr-defined]  # as above
    assert len(lines) == len(rows)
    assert [plan.digest(change) for change in wishes(devices, rows, EVERYBODY).changes] == told


def test_a_device_is_found_by_its_tag_where_the_roster_knows_no_serial() -> None:
    """Two devices with one tag are nobody's."""
    one = wishes([device(1, asset="T1")], [Row(2, asset="t1", student="1")], EVERYBODY)
    assert [change.kind for change in one.changes] == [Kind.ANNOTATE_DEVICE, Kind.MOVE_DEVICE]
    devices = [device(1, asset="T1"), device(2, asset="T1")]
    told = joined(devices, [Row(2, asset="T1", student="1")], EVERYBODY, rules())
    assert [(found.kind, found.subject) for found in told.findings] == [("ambiguous", "T1")]


def test_a_student_without_an_account_here_is_waited_for() -> None:
    """Nothing is noted of somebody who has no address yet."""
    told = wishes([device(3)], [Row(2, "SN3", student="3")], EVERYBODY)
    assert (told.changes, [found.kind for found in told.findings]) == ((), ["no account yet"])


def test_a_number_and_an_address_of_two_people_are_not_believed() -> None:
    """A row that tells both must mean one."""
    told = joined([device(1)], [Row(2, "SN1", student="1", address="S2@x.org")], EVERYBODY, rules())
    assert [found.kind for found in told.findings] == ["two students"]
    assert told.mine == ()


def test_a_lost_device_is_no_second_one() -> None:
    """Who lost one was given another: the other is theirs, and the lost one is disabled."""
    rows = [Row(2, "SN1", student="1", lost=True), Row(3, "SN2", student="1")]
    told = wishes([device(1), device(2)], rows, EVERYBODY)
    assert [(change.kind, change.native_id) for change in told.changes] == [
        (Kind.DISABLE_DEVICE, "d1"),
        (Kind.ANNOTATE_DEVICE, "d2"),
        (Kind.MOVE_DEVICE, "d2"),
    ]


def test_a_value_of_the_roster_begins_no_other_unit() -> None:
    """A slash in a campus code is no step of its own; an empty one is a finding."""
    odd = student(1, campus="A/B")
    told = wishes([device(1)], [Row(2, "SN1", student="1")], people(odd))
    assert [change.after.container for change in told.changes if change.kind is Kind.MOVE_DEVICE and change.after] == [
        "/students/a-b/05"
    ]
    told = wishes([device(1)], [Row(2, "SN1", student="1")], people(student(1, grade="")))
    assert [found.kind for found in told.findings] == ["no rule"]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"location": text("campus")}, "campus"),
        ({"notes": text("device.color")}, "color"),
        ({"unit": text("/X/{{ today }}")}, "today"),
        ({"asset": text("roles")}, "list"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_told_with_its_place(told: dict[str, object], why: str) -> None:
    """When the settings are loaded, and not of one device one day."""
    with pytest.raises(ConfigError, match=rf"mappings/google.yaml:9:\d+: .*{why}"):
        rules(**told)


def test_why_a_device_is_excluded_is_told() -> None:
    """By the line of `exclude` that fits it; a unit counts with what is below, and no other that begins like it."""
    spec = ExcludeSpec(serials=("5CD*",), pools=("loaner",), units=("/Carts",), notes=("*lab*",))
    assert excluded(spec, "5cd1", ("",), "", "", "") == "exclude.serials: 5CD*"
    assert excluded(spec, "X", ("",), "LOANER", "", "") == "exclude.pools: loaner"
    assert excluded(spec, "X", ("",), "", "for the Lab", "") == "exclude.notes: *lab*"
    assert excluded(spec, "X", ("",), "", "", "/carts/room 5") == "exclude.units: /Carts"
    assert excluded(spec, "X", ("",), "", "", "/cartsmen") == ""


def moves(count: int, campus: str = "001") -> list[Change]:
    """So many devices of one campus to be moved."""
    devices = [device(number) for number in range(count)]
    who = people(*(student(number, campus=campus) for number in range(count)))
    rows = [Row(number + 2, f"SN{number}", student=str(number)) for number in range(count)]
    return [change for change in wishes(devices, rows, who).changes if change.kind is Kind.MOVE_DEVICE]


def test_a_limit_is_a_share_with_a_floor_and_counts_what_was_done() -> None:
    """Few are never held; a share is, in 24 hours with what was done before, and by campus where the sum is not."""
    limits = DeviceLimits(move=Limit(percent=10, at_least=5, campus_percent=50, campus_at_least=3))
    assert judge(moves(5), 10, {"001": 100}, limits, NOWHERE) == []
    assert [len(one.devices) for one in judge(moves(11), 100, {"001": 100}, limits, NOWHERE)] == [11]
    spent = Spent({cells(moves(1)[0])[0]: 8}, {})
    assert "8 have been already" in judge(moves(3), 100, {"001": 100}, limits, spent)[0].what
    [held] = judge(moves(4), 1000, {"001": 6}, limits, NOWHERE)
    assert held.what.startswith("campus 001: 4 of 6 devices would be moved")
    assert judge(moves(11), 100, {"001": 100}, limits.in_season(replace(Season(0), move=2.0)), NOWHERE) == []


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 200))
def test_more_is_never_held_less(fewer: int, more: int, total: int) -> None:
    """The guard is monotone: what holds some holds more of the same."""
    few, many = sorted((fewer, more))
    limits = DeviceLimits()
    if judge(moves(few), total, {"001": total}, limits, NOWHERE):
        assert judge(moves(many), total, {"001": total}, limits, NOWHERE)
