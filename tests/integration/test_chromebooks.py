"""Chromebooks of students against the double of Google: noted, moved, held, killed, lost, found, collected; never deprovisioned."""

from __future__ import annotations

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd import telemetry
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import Kind
from syncd.errors import ConfigError, EndpointError
from syncd.settings import load
from syncd.store.devices import FOUND, LOST
from tests.conftest import NIGHTLY
from tests.doubles.google import Refusal
from tests.integration.chromebooks import GOOGLE, MAIN, District, district

ROOT = Path(__file__).resolve().parents[2]
PATCH, MOVE = "directory.chromeosdevices.patch", "directory.chromeosdevices.moveDevicesToOu"
STATUS = "admin.customer.devices.chromeos.batchChangeStatus"
Said = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[District]:
    """Four students at two campuses with a Chromebook each, and a loaner; nothing was done yet."""
    with district(tmp_path) as made:
        for number in range(1, 5):
            student = made.pupil(number, grade=f"0{number + 2}", school=f"00{number % 2 + 1}")
            made.google.add_device(f"CB{number}")
            made.row(f"CB{number}", student, asset=f"T{number}")
        made.google.add_device("LOAN1", annotatedUser="the front office")
        made.row("LOAN1", "", pool="Loaner")
        yield made


def syncd(here: District, *words: str) -> int:
    """One call of `syncd` about this district. Its clock is the machine's."""
    return main(["--config", str(here.folder), *words])


def untouched(before: dict[str, str], here: District) -> set[str]:
    """Which devices Google has seen nobody write to since."""
    return {one["serialNumber"] for one in here.google.tenant.devices.values() if before[one["deviceId"]] == one["etag"]}


def etags(here: District) -> dict[str, str]:
    """What Google calls the version of each device."""
    return {one["deviceId"]: one["etag"] for one in here.google.tenant.devices.values()}


# --- what a device is to look like ------------------------------------------------------------------------------------


def test_a_device_is_noted_and_moved_by_its_student_and_then_left_in_peace(here: District) -> None:
    """User, asset tag and location in one call, the unit by campus and grade in another; a second run finds nothing to do."""
    report = here.begin()
    assert report.kinds == {Kind.ANNOTATE_DEVICE: 4, Kind.MOVE_DEVICE: 4}
    device = here.device("CB1")
    assert (device["annotatedUser"], device["annotatedAssetId"]) == (here.address("100001"), "T1")
    assert (device["annotatedLocation"], device["orgUnitPath"]) == ("Campus 002", "/Devices/002/Grade 03")
    assert here.google.journal.count(PATCH) == 4
    assert here.plan().changes == ()


def test_only_what_differs_is_said(here: District) -> None:
    """A student who changes grade moves the device; nothing is noted anew."""
    here.begin()
    here.pupil(1, grade="04", school="002")
    here.deliver()
    here.later()
    here.accounts()
    before = len(here.google.calls)
    assert here.apply().kinds == {Kind.MOVE_DEVICE: 1}
    assert here.google.journal.count(PATCH, since=before) == 0
    assert here.device("CB1")["orgUnitPath"] == "/Devices/002/Grade 04"


def test_a_device_of_nobody_goes_to_the_storeroom(here: District) -> None:
    """The roster gives it to nobody: its user is taken off, what else is noted stays."""
    here.begin()
    here.roster[0][2] = ""
    here.deliver()
    here.apply()
    device = here.device("CB1")
    assert (device["annotatedUser"], device["orgUnitPath"], device["annotatedAssetId"]) == ("", "/Devices/Storeroom", "T1")


def test_excluded_devices_are_never_written(here: District) -> None:
    """A loaner by the roster's pool, a cart by its tag, and what stands in the carts' unit: whoever the roster gives them to."""
    here.google.add_device("CART1", annotatedAssetId="cart-17")
    here.google.add_device("CART2", unit="/Devices/Carts/Room 5")
    for serial in ("CART1", "CART2"):
        here.row(serial, here.pupil(int(serial[-1]) + 10))
    before = etags(here)
    report = here.begin()
    assert untouched(before, here) == {"LOAN1", "CART1", "CART2"}
    assert (report.excluded, report.kinds[Kind.ANNOTATE_DEVICE]) == (3, 4)


def test_what_is_not_told_for_sure_is_a_finding_and_the_device_stays(here: District) -> None:
    """Two students, two devices, an unknown serial, an unknown student, one that is deprovisioned: nobody guesses."""
    here.roster.clear()
    for serial in ("GONE", "OTHER"):
        here.google.add_device(serial, status="DEPROVISIONED" if serial == "GONE" else "ACTIVE")
    here.row("CB1", "100001")
    here.row("CB1", "100002")
    here.row("CB2", "100003")
    here.row("CB3", "100003")
    here.row("NOWHERE", "100004")
    here.row("CB4", "999999")
    here.row("GONE", "100004")
    before = etags(here)
    report = here.begin()
    assert untouched(before, here) == {one["serialNumber"] for one in here.google.tenant.devices.values()}
    assert sorted((one.kind, one.subject) for one in report.findings) == [
        ("out of use", "GONE"),
        ("two devices", "CB2"),
        ("two devices", "CB3"),
        ("two students", "CB1"),
        ("unknown device", "NOWHERE"),
        ("unknown student", "CB4"),
    ]


def test_googles_own_list_is_a_roster_too(tmp_path: Path) -> None:
    """Without a file, whoever Google notes as the user has the device; by an address they had before, too."""
    columns = "columns: { serial: Serial, asset: Asset, student_number: Student, pool: Pool, status: Status }"
    roster = f"      roster:\n        path: devices.csv\n        {columns}\n"
    with district(tmp_path, edits={roster: "      shrink_percent: 20\n"}) as here:
        student = here.pupil(1)
        here.google.add_device("CB1", annotatedUser=here.address(student).upper())
        here.google.add_device("CB2", annotatedUser="cart in room 5")
        report = here.begin()
        assert here.device("CB1")["orgUnitPath"] == "/Devices/001/Grade 05"
        assert [(one.kind, one.subject) for one in report.findings] == [("unknown student", "CB2")]
        assert here.device("CB2")["orgUnitPath"] == "/"


# --- what holds it back -----------------------------------------------------------------------------------------------


def test_the_first_apply_is_explicit(here: District) -> None:
    """Nothing is written to devices that syncd never changed until somebody says so (R14)."""
    here.deliver()
    here.accounts(first=True)
    before = etags(here)
    report = here.apply()
    assert report.first
    assert untouched(before, here) == {"CB1", "CB2", "CB3", "CB4", "LOAN1"}
    assert not here.apply(first=True).first


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("Serial,Asset,Student,Pool,Status\n", "fewer than its floor"),
        ("Serial,Asset,Pupil,Pool,Status\nCB1,T1,100001,,\n", "'Student' is missing"),
        ("Serial,Asset,Student,Pool,Status\nCB1,T1,100001\n", "cells, the header has 5"),
    ],
)
def test_a_roster_that_is_damaged_does_nothing_and_says_so(here: District, text: str, why: str) -> None:
    """Empty, without rows, with another header, cut in the middle: the devices stay, and the run says why."""
    here.begin()
    (here.folder / "devices.csv").write_text(text)
    before = etags(here)
    with pytest.raises(EndpointError, match=why):
        here.plan()
    with here.running() as running:
        report = running.devices.follow(MAIN, "test")[0]
    assert why in str(report.stopped)
    assert len(untouched(before, here)) == 5


def test_a_roster_that_shrank_waits_for_somebody(here: District, capsys: Said) -> None:
    """More than `shrink_percent` of the rows are gone: nothing is done until an approval of exactly that roster."""
    here.begin()
    here.roster = here.roster[:2]
    here.roster[0][1] = "T99"
    here.deliver()
    report = here.apply()
    assert "2 rows, and had 5" in report.held[0].what
    assert here.of_devices() == [f"CRITICAL devices on google: run {report.run} is held: {report.held[0].what}"]
    assert main(["--config", str(here.folder), "holds"]) == Exit.HELD
    assert f"devices on google: run {report.run} is held: {report.held[0].what}" in capsys.readouterr().out
    assert here.device("CB1")["annotatedAssetId"] == "T1"
    with here.running() as running:
        assert report.run is not None
        running.devices.approve(report.run, "alice (uid 1001)", "the lab was closed")
    assert here.apply().kinds == {Kind.ANNOTATE_DEVICE: 1}
    assert here.of_devices() == []


def test_a_list_without_a_device_is_no_reason_to_do_anything(here: District) -> None:
    """A read right that was lost looks like this."""
    here.begin()
    here.google.tenant.devices.clear()
    with pytest.raises(EndpointError, match="lists no device at all"):
        here.plan()
    (told,) = here.of_devices()
    assert told.startswith(
        "WARNING devices on google: could not be looked after: lists no device at all; nothing is done; give the"
    )


def test_too_many_wait_for_somebody_and_what_is_new_goes_on_waiting(tmp_path: Path) -> None:
    """A limit holds the devices of its cell; an approval covers exactly what was seen (R15); other operations flow."""
    with district(tmp_path) as here:
        for number in range(1, 41):
            here.google.add_device(f"CB{number:02}")
            here.row(f"CB{number:02}", here.pupil(number))
        here.begin()
        for number in range(1, 31):
            here.pupil(number, grade="06")
        here.roster[39][1] = "T40"
        here.deliver()
        here.later()
        here.accounts()
        report = here.apply()
        assert "30 of 40 devices would be moved" in report.held[0].what
        assert report.kinds == {Kind.ANNOTATE_DEVICE: 1}
        with here.running() as running:
            assert report.run is not None
            assert running.devices.approve(report.run, "alice (uid 1001)", "rollover").people == 30
        here.pupil(31, grade="06")
        here.deliver()
        here.accounts()
        told = here.apply()
        assert told.kinds == {Kind.MOVE_DEVICE: 30}
        assert [len(one.devices) for one in told.held] == [1]


# --- lost, found, left ------------------------------------------------------------------------------------------------


def test_a_lost_device_is_disabled_and_a_found_one_enabled_by_roster_and_by_word(here: District) -> None:
    """Only what we disabled is enabled again; who said so and why stands in the audit; no device is ever deprovisioned."""
    here.begin()
    here.roster[0][4] = "Stolen"
    here.deliver()
    assert here.apply().kinds == {Kind.DISABLE_DEVICE: 1}
    with here.running() as running:
        told = running.devices.lost(GOOGLE, "cb2", "alice (uid 1001)", "left on the bus")
        assert told.kinds == {Kind.DISABLE_DEVICE: 1}
    assert [here.device(f"CB{n}")["status"] for n in (1, 2, 3)] == ["DISABLED", "DISABLED", "ACTIVE"]
    assert here.apply().kinds == {}
    here.roster[0][4] = "in use"
    here.deliver()
    assert here.apply().kinds == {Kind.ENABLE_DEVICE: 1}
    with here.running() as running:
        assert running.devices.found(GOOGLE, "CB2", "bob (uid 1002)", "the driver had it").kinds == {Kind.ENABLE_DEVICE: 1}
        with pytest.raises(EndpointError, match="nobody has reported"):
            running.devices.found(GOOGLE, "CB3", "bob (uid 1002)", "x")
        said = running.store.audit.entries(kinds=[LOST, FOUND])
        assert [(one.kind, one.actor, one.contents and one.contents["because"]) for one in said] == [
            (LOST, "alice (uid 1001)", "left on the bus"),
            (FOUND, "bob (uid 1002)", "the driver had it"),
        ]
        assert running.store.audit.verify().problems == ()
    assert [here.device(f"CB{n}")["status"] for n in (1, 2, 3)] == ["ACTIVE"] * 3
    assert here.google.journal.count(STATUS) == 4
    assert not here.google.journal.ever_sent("directory.chromeosdevices.action")
    assert not any(one["status"] == "DEPROVISIONED" for one in here.google.tenant.devices.values())


def test_no_word_of_the_program_can_deprovision(here: District) -> None:
    """Google's word for it stands in no module that speaks to Google, and no kind of change means it."""
    del here
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "syncd").rglob("*.py")]
    assert not any("STATUS_ACTION_DEPROVISION" in text or '"deprovision"' in text or "deprovisionReason" in text for text in code)
    assert not any("deprovision" in kind.value for kind in Kind)


def test_a_device_that_somebody_else_disabled_is_told_and_left(here: District) -> None:
    """It is never enabled and not otherwise touched (R33); also when somebody enabled one of ours and others disabled it again."""
    here.begin()
    device = here.device("CB1")
    here.google.tenant.devices[device["deviceId"]] = {**device, "status": "DISABLED"}
    here.pupil(1, grade="09")
    here.deliver()
    here.accounts()
    report = here.apply()
    assert [(one.kind, one.subject) for one in report.findings] == [("disabled by others", "CB1")]
    assert here.device("CB1")["status"] == "DISABLED"
    with here.running() as running:
        told = running.devices.lost(GOOGLE, "CB1", "alice (uid 1001)", "x")
        assert told.kinds == {}  # it is so already, and not by us
        assert running.devices.found(GOOGLE, "CB1", "alice (uid 1001)", "x").kinds == {}


def test_an_excluded_device_that_is_lost_is_disabled_by_word_only(here: District) -> None:
    """The roster's word touches no loaner; a human's does."""
    here.roster[4][4] = "lost"
    report = here.begin()
    assert ("excluded but lost", "LOAN1") in [(one.kind, one.subject) for one in report.findings]
    assert here.device("LOAN1")["status"] == "ACTIVE"
    with here.running() as running:
        running.devices.lost(GOOGLE, "LOAN1", "alice (uid 1001)", "stolen")
    assert here.device("LOAN1")["status"] == "DISABLED"


def test_a_damaged_roster_keeps_nobody_from_reporting_a_theft(here: District) -> None:
    """What a human says of one device needs neither roster nor limits."""
    here.begin()
    (here.folder / "devices.csv").unlink()
    with here.running() as running:
        assert running.devices.lost(GOOGLE, "CB3", "alice (uid 1001)", "stolen").kinds == {Kind.DISABLE_DEVICE: 1}


def test_the_device_of_somebody_who_left_is_collected_and_stays_as_it_is(here: District, capsys: Said) -> None:
    """A file for each campus, for spreadsheets (R42); of a confidential person no name (R37)."""
    here.pupils["100003"][7] = "true"
    here.begin()
    for number in (1, 3):
        here.pupils[f"10000{number}"][6] = "2026-09-10"
    here.roster[0][1] = "+T1"
    here.deliver()
    here.now = here.now.replace(day=20)
    here.accounts()
    before = etags(here)
    report = here.apply()
    assert (report.collect, report.kinds) == (2, {})
    assert len(untouched(before, here)) == 5
    assert syncd(here, "devices", "collect", "--out", str(here.folder / "out")) == Exit.DONE
    capsys.readouterr()
    path = here.folder / "out" / "collect-002.csv"
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    assert [(row["serial"], row["name"], row["student_number"], row["left"]) for row in rows] == [
        ("CB1", "Given1 Family1", "100001", "2026-09-10"),
        ("CB3", "", "", "2026-09-10"),
    ]
    assert rows[0]["asset"] == "'+T1"
    assert path.stat().st_mode & 0o777 == 0o600


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_an_answer_that_was_lost_is_found_out(here: District) -> None:
    """The connection is cut behind a move, a note and a change of status that were done: nothing is in doubt, nothing is wrong."""
    for method in (PATCH, MOVE):
        here.google.next_call(method, None, after=True)
    report = here.begin()
    assert (report.failures, report.kinds) == ([], {Kind.ANNOTATE_DEVICE: 4, Kind.MOVE_DEVICE: 4})
    here.roster[0][4] = "lost"
    here.deliver()
    here.google.next_call(STATUS, None, after=True)
    report = here.apply()
    assert (report.failures, report.kinds) == ([], {Kind.DISABLE_DEVICE: 1})
    here.roster[0][4] = ""
    here.deliver()
    assert here.apply().kinds == {Kind.ENABLE_DEVICE: 1}  # we know that it was us


def test_a_refused_batch_is_halved_until_the_culprit_is_alone(tmp_path: Path) -> None:
    """One of fifty devices is gone when they are to be moved: the other forty-nine are moved."""
    with district(tmp_path) as here:
        for number in range(1, 51):
            here.google.add_device(f"CB{number:02}")
            here.row(f"CB{number:02}", here.pupil(number))
        here.deliver()
        here.accounts(first=True)
        with here.running() as running:
            connector = running.engine._targets[GOOGLE].connector
            listed = list(connector.devices())  # type: ignore[attr-defined]  # the only target here is Google
            gone = here.device("CB17")["deviceId"]
            del here.google.tenant.devices[gone]
            connector.devices = lambda: iter(listed)  # type: ignore[attr-defined]  # what the list told a moment before
            report = running.devices.apply(GOOGLE, "test", first=True)
        assert report.kinds == {Kind.ANNOTATE_DEVICE: 49, Kind.MOVE_DEVICE: 49}
        assert sorted((str(one.change.kind), str(one.failure)) for one in report.failures) == [
            ("annotate device", "no such object"),
            ("move device", "no such object"),
        ]
        assert {one["orgUnitPath"] for one in here.google.tenant.devices.values()} == {"/Devices/001/Grade 05"}


def test_random_faults_lose_and_double_nothing(tmp_path: Path) -> None:
    """5 % refusals, 2 % lost answers: every device is as it should be, and the journal has an outcome for everything."""
    with district(tmp_path) as here:
        for number in range(1, 121):
            here.google.add_device(f"CB{number:03}")
            here.row(f"CB{number:03}", here.pupil(number, school=f"00{number % 3}"))
        here.deliver()
        here.accounts(first=True)
        here.google.quirks.change(faults=0.05, lost_responses=0.02, seed=7)
        report = here.apply(first=True)
        for _ in range(3):
            here.apply()
        here.google.quirks.change(faults=0.0, lost_responses=0.0)
        assert here.plan().changes == ()
        assert report.stopped is None
        with here.running() as running:
            assert running.store.devices.open_intentions(GOOGLE) == []
            assert running.store.audit.verify().problems == ()


def test_a_missing_scope_leaves_the_devices_alone_and_says_what_to_click(here: District) -> None:
    """Accounts go on; the devices say which scope is not delegated."""
    here.begin()
    here.google.delegate(scope for scope in here.google.robot.delegated or () if "chromeos" not in scope)
    here.google.expire_tokens()
    with here.running() as running:
        stopped = running.devices.follow(MAIN, "test")[0].stopped
    assert "admin.directory.device.chromeos is not delegated" in str(stopped)


@pytest.mark.timeout(280)
def test_kills_double_nothing(tmp_path: Path, capsys: Said) -> None:
    """`kill -9` while notes are sent and while devices are moved: the run that is let through makes all right, once."""
    count = 400 if NIGHTLY else 150
    with district(tmp_path) as here:
        for number in range(1, count + 1):
            here.google.add_device(f"CB{number:03}")
            here.row(f"CB{number:03}", here.pupil(number, school=f"0{number % 9:02}"))
        here.deliver()
        here.accounts(first=True)
        sent = 0
        for method, after in ((PATCH, 20), (PATCH, 250), (MOVE, 3)) if NIGHTLY else ((PATCH, 90), (MOVE, 2)):
            killed_after(here, method, after)
            sent += 1
        with here.running() as running:
            in_doubt = len(running.store.devices.open_intentions(GOOGLE))
        here.apply(first=True)
        assert here.plan().changes == ()
        with here.running() as running:
            assert running.store.devices.open_intentions(GOOGLE) == []
            assert running.store.audit.verify().problems == ()
            at_once = load(here.folder).targets[GOOGLE].options.connections  # type: ignore[attr-defined]  # Google's
        twice = sum(calls - 1 for calls in here.google.journal.per_subject(PATCH).values())
        assert twice <= sent * at_once  # what was under way when it died, and nothing else
        assert len(here.google.tenant.devices) == count
        with capsys.disabled():
            sys.stdout.write(
                f"\nkilled {sent} times: {in_doubt} in doubt at last, {twice} of {count} notes said twice, to the same effect\n"
            )


def killed_after(here: District, method: str, calls: int) -> None:
    """Let `python -m syncd devices apply` run until Google has seen so many calls of a method, and kill it."""
    before = here.google.journal.count(method)
    words = ["--config", str(here.folder), "devices", "apply", "--first"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "syncd", *words], env=environment, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while here.google.journal.count(method) - before < calls and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert here.google.journal.count(method) - before >= calls


# --- rollover ---------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(280)
def test_three_thousand_devices_are_reassigned_after_rollover(tmp_path: Path, capsys: Said) -> None:
    """Every device goes to another student: one note each, moves by fifties, held once; excluded ones are not touched."""
    count, spare = (3000, 120) if NIGHTLY else (300, 12)
    with district(tmp_path, edits={"columns: { serial": "floor: 100\n        columns: { serial"}) as here:
        for number in range(count):
            here.google.add_device(f"CB{number:04}")
            here.row(f"CB{number:04}", here.pupil(number, grade=f"{number % 12 + 1:02}", school=f"{number % 5:03}"))
        for number in range(spare):
            here.google.add_device(f"LO{number:03}", unit="/Devices/Carts" if number % 2 else "/")
            here.row(f"LO{number:03}", f"1{number:05}", pool="" if number % 2 else "loaner")
        here.begin()
        assert here.plan().changes == ()
        before, told = len(here.google.calls), etags(here)
        # Everybody is a grade further and keeps no device: that of the next student in the list is theirs now.
        for number in range(count):
            here.pupil(number, grade=f"{(number + 1) % 12 + 1:02}", school=f"{number % 5:03}")
            here.roster[number][2] = f"1{(number + 1) % count:05}"
        here.later(1)
        here.deliver()
        here.accounts()
        accounts = len(here.google.calls)
        report = here.apply()
        assert report.held
        assert not report.kinds
        with here.running() as running:
            assert report.run is not None
            running.devices.approve(report.run, "alice (uid 1001)", "rollover")
        begun = len(here.google.calls)
        report = here.apply()
        calls = here.google.journal.per_method(begun)
        excluded = {f"LO{number:03}" for number in range(spare)}
        with capsys.disabled():
            shown = ", ".join(f"{number:,} {method}" for method, number in sorted(calls.items()))
            sys.stdout.write(f"\n{count:,} devices reassigned: {shown}; {begun - accounts} calls to plan it before\n")
        assert report.failures == []
        assert report.kinds == {Kind.ANNOTATE_DEVICE: count, Kind.MOVE_DEVICE: count}
        assert calls[PATCH] == count
        assert calls[MOVE] == 60  # 60 units of 50 devices each, or of 5
        assert untouched(told, here) == excluded
        assert not here.google.journal.ever_sent("directory.chromeosdevices.action")
        assert here.google.journal.count(STATUS, since=before) == 0
        assert here.plan().changes == ()
        noted = {one["serialNumber"]: one.get("annotatedUser") for one in here.google.tenant.devices.values()}
        assert {noted[f"CB{n:04}"] == here.address(f"1{(n + 1) % count:05}") for n in range(count)} == {True}


# --- by the command line ----------------------------------------------------------------------------------------------


def test_the_verbs_say_it_in_words(here: District, capsys: Said) -> None:
    """plan, apply, explain, lost, found and approve, as an operator types them; nothing of anybody stands in the log."""
    here.deliver()
    here.accounts(first=True)
    log = io.StringIO()
    telemetry.configure(log, json=True)
    assert syncd(here, "devices", "plan") == Exit.HELD
    said = capsys.readouterr().out
    assert "8 changes of 5 devices" in said
    assert "1 excluded by rule" in said
    assert "syncd devices apply --first" in said
    assert syncd(here, "devices", "apply") == Exit.HELD
    assert syncd(here, "devices", "apply", "--first") == Exit.DONE
    assert syncd(here, "devices", "lost", "CB1", "--because", "stolen") == Exit.DONE
    capsys.readouterr()
    assert syncd(here, "devices", "explain", "cb1") == Exit.DONE
    said = capsys.readouterr().out
    assert "CB1 on google: disabled, in /devices/002/grade 03" in said
    assert "disable device, done: somebody reported it lost" in said
    assert syncd(here, "devices", "explain", "CB2") == Exit.DONE
    said = capsys.readouterr().out
    assert f"user: {here.address('100002')}  by default" in said
    assert "location: Campus 001  by mappings/google.yaml:" in said
    assert "row 3 of the roster of devices gives it to" in said
    assert syncd(here, "devices", "explain", "LOAN1") == Exit.DONE
    assert "no rule touches it: exclude.pools: loaner" in capsys.readouterr().out
    assert syncd(here, "devices", "found", "CB1", "--because", "found") == Exit.DONE
    assert syncd(here, "devices", "explain", "nothing") == Exit.NO_INPUT
    assert syncd(here, "devices", "approve", "r1", "--because", "x") == Exit.UNAVAILABLE
    assert syncd(here, "undo", "last") == Exit.NO_INPUT
    told = log.getvalue()
    assert "change.applied" in told
    for secret in ("family1", "Family1", "100001", "district.example", "CB1"):
        assert secret not in told


def test_a_run_of_the_pipeline_does_the_devices_behind_the_accounts(here: District, capsys: Said) -> None:
    """`syncd sync`: the accounts first, then their devices; where nothing changed, Google is not even asked for its list."""
    here.begin()
    here.pupils.clear()
    for number in range(1, 5):
        here.pupil(number, grade="07", school="001")
    here.deliver()
    assert syncd(here, "sync") in (Exit.DONE, Exit.HELD)
    assert "devices of google" in capsys.readouterr().out
    assert here.device("CB2")["orgUnitPath"] == "/Devices/001/Grade 07"
    before = len(here.google.calls)
    assert syncd(here, "sync") == Exit.DONE
    assert here.google.journal.count("directory.chromeosdevices.list", since=before) == 0


def test_settings_that_cannot_be_meant_are_told_with_their_place(here: District) -> None:
    """A rule with a field that does not exist, and a roster of devices of which no mapping says anything."""
    mapping = here.folder / "mappings" / "google.yaml"
    good = mapping.read_text(encoding="utf-8")
    mapping.write_text(good.replace("location: \"'Campus ' ~ campus.code\"", 'location: "device.color"'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mappings/google.yaml:\d+:\d+: a device has no 'color'"):
        load(here.folder)
    mapping.write_text(good.partition("devices:")[0], encoding="utf-8")
    with pytest.raises(ConfigError, match="says nothing of `devices:`"):
        load(here.folder)


def test_refusals_count_against_the_error_budget(here: District) -> None:
    """A target that refuses everything is left alone for the rest of the run; nothing is lost."""
    here.deliver()
    here.accounts(first=True)
    here.google.next_call(PATCH, Refusal(403, "forbidden", "Not Authorized to access this resource/api"), times=4)
    report = here.apply(first=True)
    assert [str(one.failure) for one in report.failures] == ["refused"] * 4
    assert here.apply().kinds == {Kind.ANNOTATE_DEVICE: 4}
