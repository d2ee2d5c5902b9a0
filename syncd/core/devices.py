"""Devices that students have: whose each is, what it should look like, and which changes make it so. Pure.

A device is no account and has no lifecycle of its own here: it is noted, moved to the unit of its student, disabled while it is
lost, and enabled again when we disabled it. It is never deprovisioned: there is no change of that kind. What cannot be told for
sure (two students, two devices, an unknown serial) is a finding, and the device stays as it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from enum import StrEnum

from syncd.core.calendar import Season
from syncd.core.device_rules import ASSET, NOTES, USER, DeviceRules, Given, Looks, excluded
from syncd.core.guard import Cell, Limit, during
from syncd.core.model import KIND_ORDER, Account, Change, Kind, NativeId, Person, PersonId, TargetName
from syncd.core.rules import MappingFailure

Documented = dict[str, str]


def _documented(doc: str) -> Documented:
    return {"doc": doc}


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """How many devices of one target may change in 24 hours, by what is done to them."""

    update: Limit = field(
        default=Limit(percent=30, campus_percent=60, campus_at_least=25),
        metadata=_documented("devices of which something else is noted"),
    )
    move: Limit = field(
        default=Limit(percent=30, campus_percent=60, campus_at_least=25), metadata=_documented("devices moved to another unit")
    )
    disable: Limit = field(
        default=Limit(percent=1, absolute=100, campus_percent=2), metadata=_documented("devices disabled because they are lost")
    )
    enable: Limit = field(
        default=Limit(percent=5, campus_percent=10), metadata=_documented("devices enabled again because they were found")
    )

    def in_season(self, season: Season) -> DeviceLimits:
        """As they are in a season of the year."""
        return replace(self, **{one.name: getattr(self, one.name).scaled(season.factor(one.name)) for one in fields(self)})


OPERATIONS: Mapping[Kind, str] = {
    Kind.ANNOTATE_DEVICE: "update",
    Kind.MOVE_DEVICE: "move",
    Kind.DISABLE_DEVICE: "disable",
    Kind.ENABLE_DEVICE: "enable",
}
"""Under which limit each kind of change falls."""
FILLING = frozenset({"update", "move"})
"""What an explicit first apply is about, and so has no share to be measured against."""


class Status(StrEnum):
    """How a device is, as far as that matters here."""

    ACTIVE = "active"
    DISABLED = "disabled"
    OUT = "out"  # deprovisioned, on its way back, not there yet: nothing can be done to it


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the target tells it. `unit` is spelled as the target compares units."""

    native_id: NativeId
    serial: str
    status: Status
    unit: str
    annotations: Mapping[str, str]
    model: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What a roster of devices says of one: by its serial, or else by its asset tag. `line` 0 is the target's own word."""

    line: int
    serial: str = ""
    asset: str = ""
    student: str = ""
    address: str = ""
    pool: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Student:
    """Somebody who may have a device. `account` is the name of their account on the target; empty where they have none."""

    person: Person
    account: str
    names: Mapping[str, str]
    related: Mapping[str, Person]
    left: date | None = None
    campus: str = ""
    population: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was left alone, and why."""

    kind: str
    subject: str
    why: str
    person: PersonId | None = None


@dataclass(frozen=True, slots=True)
class Mine:
    """A device that may be changed: what the roster says of it, and whose it is."""

    device: Device
    row: Row
    student: Student | None

    @property
    def campus(self) -> str:
        """The campus it is counted at."""
        return self.student.campus if self.student else ""


@dataclass(frozen=True, slots=True)
class Joined:
    """A roster joined to devices and students. `collect` are devices of people who left, `excluded` those no rule touches."""

    mine: tuple[Mine, ...]
    collect: tuple[Mine, ...]
    excluded: Mapping[NativeId, str]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """Who a roster of devices may mean: students by number, and people by the address of their account, folded."""

    by_number: Mapping[str, Sequence[Student]]
    by_address: Mapping[str, Student]


def own_roster(devices: Collection[Device]) -> list[Row]:
    """The roster that the target itself is: whoever is noted at a device has it."""
    return [
        Row(0, one.serial, one.annotations.get(ASSET, ""), address=one.annotations.get(USER, ""))
        for one in devices
        if one.status is not Status.OUT
    ]


# --- whose is it ------------------------------------------------------------------------------------------------------


def joined(devices: Collection[Device], rows: Collection[Row], people: Directory, rules: DeviceRules) -> Joined:
    """Whose each device is. In the order of the serials, whatever that of the roster."""
    joining = _Joining(devices, rows, people, rules)
    claims: dict[NativeId, list[Row]] = defaultdict(list)
    for each in rows:
        claimed = joining.device(each)
        if claimed is not None:
            claims[claimed.native_id].append(each)
    found: list[Mine] = []
    for device in sorted(devices, key=lambda one: (one.serial, one.native_id)):
        told = claims.get(device.native_id, [])
        row = joining.one_row(device, told)
        if device.status is not Status.OUT and not joining.exclude(device, told) and row is not None:
            mine = joining.mine(device, row)
            if mine is not None:
                found.append(mine)
    found = joining.without_second_devices(found)
    left = [one for one in found if one.student is not None and one.student.left is not None]
    here = tuple(one for one in found if one.student is None or one.student.left is None)
    return Joined(here, tuple(left), joining.excluded, tuple(joining.findings))


class _Joining:
    """What is known on the way."""

    def __init__(self, devices: Collection[Device], rows: Collection[Row], people: Directory, rules: DeviceRules) -> None:
        self._people = people
        self._rules = rules
        self._serials: dict[str, list[Device]] = defaultdict(list)
        self._assets: dict[str, list[Device]] = defaultdict(list)
        told: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            if row.serial and row.asset:
                told[row.serial.casefold()].add(row.asset.casefold())
        for one in devices:
            serial = one.serial.casefold()
            self._serials[serial].append(one)
            # The tag that the roster tells is the one it has, or will have in a moment; else the one noted at it.
            for tag in told.get(serial) or {one.annotations.get(ASSET, "").casefold()} - {""}:
                self._assets[tag].append(one)
        self.findings: list[Finding] = []
        self.excluded: dict[NativeId, str] = {}

    def find(self, kind: str, subject: str, why: str, person: PersonId | None = None) -> None:
        """Note what is left alone."""
        self.findings.append(Finding(kind, subject, why, person))

    def device(self, row: Row) -> Device | None:
        """The device a row is about."""
        known, word = (self._serials, row.serial) if row.serial else (self._assets, row.asset)
        called = f"row {row.line}"
        if not word:
            self.find("unreadable", called, "has neither a serial number nor an asset tag")
            return None
        found = known.get(word.casefold(), [])
        living = [one for one in found if one.status is not Status.OUT]
        if len(living) > 1:
            self.find("ambiguous", word, f"{called} may mean any of {len(living)} devices on the target")
            return None
        if not living:
            why = "is not in use on the target any more (deprovisioned, or on its way back)" if found else "is not on the target"
            self.find("out of use" if found else "unknown device", word, f"{called}: {why}")
            return None
        return living[0]

    def one_row(self, device: Device, told: Sequence[Row]) -> Row | None:
        """What the roster says of a device, where it says one thing."""
        if not told:
            return None
        whose = {(row.student, row.address.casefold()) for row in told}
        if len(whose) > 1:
            lines = ", ".join(str(row.line) for row in told)
            self.find(
                "two students", device.serial, f"rows {lines} give it to {len(whose)} different people, or to nobody and somebody"
            )
            return None
        tags, pools = ({getattr(row, name) for row in told} - {""} for name in ("asset", "pool"))
        if len({tag.casefold() for tag in tags}) > 1:
            self.find("two tags", device.serial, f"the roster tells {len(tags)} asset tags of it")
            return None
        first = min(told, key=lambda row: (row.line, row.serial, row.asset))
        return replace(first, asset=min(tags, default=""), pool=min(pools, default=""), lost=any(row.lost for row in told))

    def exclude(self, device: Device, told: Sequence[Row]) -> bool:
        """Whether no rule touches this device."""
        assets = (device.annotations.get(ASSET, ""), *(row.asset for row in told))
        spec, notes = self._rules.spec.exclude, device.annotations.get(NOTES, "")
        pools = [row.pool for row in told] or [""]
        why = next((why for pool in pools if (why := excluded(spec, device.serial, assets, pool, notes, device.unit))), "")
        if why:
            self.excluded[device.native_id] = why
            if any(row.lost for row in told):
                self.find("excluded but lost", device.serial, f"no rule touches it ({why}): syncd devices lost {device.serial}")
        return bool(why)

    def mine(self, device: Device, row: Row) -> Mine | None:
        """The device with whose it is, or None with a finding."""
        if not row.student and not row.address:
            return Mine(device, row, None)
        told = self._people.by_number.get(row.student, ()) if row.student else ()
        by_address = self._people.by_address.get(row.address.casefold()) if row.address else None
        if len(told) > 1:
            self.find("ambiguous", device.serial, f"{len(told)} people have the number that row {row.line} tells")
            return None
        student = told[0] if told else by_address if not row.student else None
        if student is None:
            where = f"row {row.line}" if row.line else "the target"
            self.find("unknown student", device.serial, f"{where} gives it to somebody whom no roster of people tells of")
            return None
        if told and by_address is not None and by_address.person.id != student.person.id:
            self.find("two students", device.serial, f"row {row.line} tells the number of one person and the address of another")
            return None
        return Mine(device, row, student)

    def without_second_devices(self, found: Sequence[Mine]) -> list[Mine]:
        """Without the devices of students who have several: which of them is theirs, nobody said. A lost one does not count."""
        having = Counter(
            one.student.person.id for one in found if one.student is not None and not one.row.lost and not one.student.left
        )
        left = []
        for one in found:
            student = one.student
            if student is not None and not one.row.lost and having[student.person.id] > 1:
                why = (
                    f"its student has {having[student.person.id]} devices; say which is a loaner, or take the other off the roster"
                )
                self.find("two devices", one.device.serial, why, student.person.id)
            else:
                left.append(one)
        return left


# --- what is to be done -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ground:
    """What is known besides: which devices somebody reported lost, which we disabled, how units are spelled, which exist."""

    lost: Collection[str]
    disabled_by_us: Collection[NativeId]
    canonical: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wished:
    """What is to be done, and what was found on the way; the looks of each device that has some, for explaining."""

    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    looks: Mapping[NativeId, Looks]


def wished(target: TargetName, told: Joined, devices: Collection[Device], rules: DeviceRules, ground: Ground) -> Wished:
    """The changes that make every device what it should be: emergencies first, then by unit and serial."""
    wishing = _Wishing(target, rules, ground)
    lost = {serial.casefold() for serial in ground.lost}
    lost_here = {one.device.native_id for one in (*told.mine, *told.collect) if one.row.lost}
    known = {one.device.native_id: one for one in (*told.mine, *told.collect)}
    for device in devices:
        if device.status is Status.OUT:
            continue
        mine = known.get(device.native_id)
        reported = device.serial.casefold() in lost
        if reported or device.native_id in lost_here:
            if device.status is Status.ACTIVE:
                wishing.switch(device, mine, "somebody reported it lost" if reported else "the roster says that it is lost")
            continue
        if device.status is Status.DISABLED:
            if device.native_id in ground.disabled_by_us:
                wishing.switch(device, mine, "it is not lost any more")
            elif mine is not None:
                wishing.find("disabled by others", device.serial, "somebody else disabled it: enable it where that was done")
                continue
        if mine is not None and (mine.student is None or mine.student.left is None):
            wishing.look_after(mine)
    changes = sorted(wishing.changes, key=_in_order)
    return Wished(tuple(changes), tuple(wishing.findings), wishing.looks)


def _in_order(change: Change) -> tuple[int, str, str, str]:
    after = change.after
    return KIND_ORDER[change.kind], after.container if after else "", after.rdn if after else "", str(change.native_id)


@dataclass(slots=True)
class _Wishing:
    """The changes so far."""

    target: TargetName
    rules: DeviceRules
    ground: Ground
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    looks: dict[NativeId, Looks] = field(default_factory=dict)

    def find(self, kind: str, subject: str, why: str, person: PersonId | None = None) -> None:
        self.findings.append(Finding(kind, subject, why, person))

    def make(self, kind: Kind, device: Device, mine: Mine | None, reason: str, before: Account, after: Account) -> None:
        student = mine.student if mine else None
        self.changes.append(
            Change(
                self.target,
                kind,
                reason,
                student.person.id if student else None,
                device.native_id,
                before,
                after,
                campus=student.campus if student else "",
                population=student.population if student else "",
            )
        )

    def switch(self, device: Device, mine: Mine | None, reason: str) -> None:
        """Disable what is in use, enable what is not."""
        here = as_account(device)
        kind = Kind.DISABLE_DEVICE if here.enabled else Kind.ENABLE_DEVICE
        self.make(kind, device, mine, reason, here, replace(here, enabled=not here.enabled))

    def look_after(self, mine: Mine) -> None:
        """Note it and move it as the rules say."""
        device, student = mine.device, mine.student
        if student is None:
            spare = self.rules.spec.spare
            if not spare:
                return
            looks, reason = Looks(spare, {USER: ""}), "the roster gives it to nobody"
        else:
            if not student.account:
                self.find(
                    "no account yet", device.serial, "its student has no account here yet; it waits for that", student.person.id
                )
                return
            given = Given(device.serial, mine.row.asset, mine.row.pool, device.model, student.account)
            try:
                looks = self.rules.looks(student.person, student.names, student.related, given)
            except MappingFailure as failure:
                self.find("no rule", device.serial, str(failure), student.person.id)
                return
            reason = f"row {mine.row.line} of the roster of devices" if mine.row.line else "whom the target notes as its user"
        self.looks[device.native_id] = looks
        here = as_account(device)
        here = replace(here, enabled=True)  # whatever else is done, it was enabled first
        old = {name: device.annotations.get(name, "") for name in looks.annotations}
        other = {name for name, value in looks.annotations.items() if value.strip() != old[name].strip()}
        if other:
            before = replace(here, attributes=_values({name: old[name] for name in other}))
            after = replace(here, attributes=_values({name: looks.annotations[name].strip() for name in other}))
            self.make(Kind.ANNOTATE_DEVICE, device, mine, reason, before, after)
        if looks.unit is not None and (unit := self.ground.canonical(looks.unit)) != device.unit:
            self.make(Kind.MOVE_DEVICE, device, mine, reason, here, replace(here, container=unit))


def as_account(device: Device) -> Account:
    """The device as changes and journal tell it, without what is noted of it."""
    return Account(device.serial, device.unit, device.status is Status.ACTIVE, {})


def _values(told: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    return {name: (value,) if value else () for name, value in sorted(told.items())}


def is_so(change: Change, device: Device | None) -> bool:
    """Whether a device is as a change wants it: nobody who was asked twice does it twice."""
    after = change.after
    if device is None or after is None:
        return False
    match change.kind:
        case Kind.MOVE_DEVICE:
            return device.unit == after.container
        case Kind.ANNOTATE_DEVICE:
            return all(device.annotations.get(name, "") == "".join(values) for name, values in after.attributes.items())
        case _:
            return device.status is (Status.ACTIVE if after.enabled else Status.DISABLED)


# --- how much of it ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What waits for a human, in words. Without a cell: everything. `digest` is what an approval of it is known by, besides."""

    what: str
    cell: Cell | None = None
    devices: frozenset[NativeId] = frozenset()
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was done in the last 24 hours and in seven days, by cell (R12)."""

    day: Mapping[Cell, int]
    week: Mapping[Cell, int]


def cells(change: Change) -> tuple[Cell, Cell]:
    """Where a change is counted: in the sum, and at its campus."""
    operation = f"device {OPERATIONS[change.kind]}"
    return Cell(change.target, operation), Cell(change.target, operation, change.campus or "(none)", "devices")


def judge(
    changes: Collection[Change],
    total: int,
    at: Mapping[str, int],
    limits: DeviceLimits,
    spent: Spent,
    season: str = "term",
    measured: Collection[str] = tuple(OPERATIONS.values()),
) -> list[Held]:
    """What breaks a limit: the sum of an operation, or else each campus of it. `at` tells how many devices are at each campus."""
    found: list[Held] = []
    for operation in sorted(set(measured)):
        mine = [change for change in changes if OPERATIONS[change.kind] == operation]
        if not mine:
            continue
        limit: Limit = getattr(limits, operation)
        grouped: dict[Cell, set[NativeId]] = defaultdict(set)
        for change in mine:
            for cell in cells(change):
                grouped[cell].add(change.native_id or NativeId(""))
        whole = next(cell for cell in grouped if not cell.campus)
        broken = _broken(whole, len(grouped[whole]), total, limit, spent)
        if broken:
            found.append(_held(whole, grouped[whole], f"{broken}{during(season)}", total, spent))
            continue
        for cell in sorted(cell for cell in grouped if cell != whole):
            there = at.get(cell.campus, 0)
            broken = _broken(cell, len(grouped[cell]), there, limit, spent)
            if broken:
                found.append(_held(cell, grouped[cell], f"{broken}{during(season)}", there, spent))
    return found


def _broken(cell: Cell, number: int, among: int, limit: Limit, spent: Spent) -> str:
    """Which bound so many break among so many devices, in words; empty where none."""
    for span, bound, before in (("in 24 hours", limit, spent.day), ("in seven days", limit.weekly(), spent.week)):
        count = number + before.get(cell, 0)
        percent, floor = (bound.campus_percent, bound.campus_at_least) if cell.campus else (bound.percent, bound.at_least)
        if not cell.campus and count > bound.absolute:
            return f"at most {bound.absolute:,} {span}"
        if count > floor and count * 100 > percent * among:
            return f"at most {percent:g} % {span}"
    return ""


def _held(cell: Cell, devices: Collection[NativeId], allowed: str, among: int, spent: Spent) -> Held:
    operation = cell.operation.removeprefix("device ")
    at = f"campus {cell.campus}: " if cell.campus else ""
    before = spent.day.get(cell, 0)
    already = f", and {before:,} have been already" if before else ""
    key = f"targets.{cell.target}.devices.limits.{operation}" + (".campus_percent" if cell.campus else "")
    what = (
        f"{at}{len(devices):,} of {among:,} devices would be {_PAST[operation]}{already}, but {key} allows {allowed}. "
        "They wait; the others go on"
    )
    return Held(what, cell, frozenset(devices))


_PAST = {"update": "noted otherwise", "move": "moved", "disable": "disabled", "enable": "enabled"}


# --- what is to be collected ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Collect:
    """A device that somebody who left still has."""

    campus: str
    serial: str
    asset: str
    model: str
    location: str
    person: PersonId
    name: str
    number: str
    left: date


def to_collect(told: Joined, masked: Callable[[PersonId], bool]) -> list[Collect]:
    """The devices of everybody who left, by campus and serial. Whoever is confidential is told by number only (R37)."""
    found = []
    for one in told.collect:
        student, device = one.student, one.device
        if student is None or student.left is None:
            continue
        hidden = masked(student.person.id)
        shown = {name: "" if hidden else str(student.person.fields.get(name) or "") for name in ("display_name", "student_number")}
        found.append(
            Collect(
                student.campus,
                device.serial,
                one.row.asset or device.annotations.get(ASSET, ""),
                device.model,
                device.annotations.get("location", ""),
                student.person.id,
                shown["display_name"],
                shown["student_number"],
                student.left,
            )
        )
    return sorted(found, key=lambda one: (one.campus, one.serial))
