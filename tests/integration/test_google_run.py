"""A district whose target is Google, as configured in the how-to: run by the engine, over HTTP, and looked at in the double."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd import targets
from syncd.core.model import Kind
from syncd.core.spelling import parent
from syncd.settings import load
from tests.doubles.google import GoogleDouble
from tests.fixtures.engine_world import LDAP, World, found, kinds, pupil, world
from tests.integration.google_customer import CREDENTIAL, customer

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "google.md"
STUDENTS, STAFF, INTERNAL = "students.lonestar.example.org", "lonestar.example.org", "internal.lonestar.example.org"
GROUPS = "groups.district.example"
SKU = ("101031", "1010310008")


def blocks() -> list[str]:
    """The YAML of the how-to: the target, and the mapping."""
    return re.findall(r"```yaml\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def google() -> Iterator[GoogleDouble]:
    """The customer of the district."""
    with customer(domains=(STAFF, STUDENTS, INTERNAL, GROUPS)) as one:
        one.google.sell(*SKU, 100)
        yield one.google


@pytest.fixture
def district(tmp_path: Path, google: GoogleDouble) -> Iterator[World]:
    """The small district with the how-to's mapping."""
    with world(tmp_path) as made:
        google.write_key_file(tmp_path / "credentials" / CREDENTIAL)
        settings = tmp_path / "config" / "syncd.yaml"
        text = settings.read_text(encoding="utf-8").replace(
            '    kind: memory\n    start: live\n    path: "directory.json"\n',
            "    kind: google\n    start: live\n"
            f"    credential: {CREDENTIAL}\n    admin: {google.admin}\n    api: {google.url}\n"
            f"    domains: [{STAFF}, {STUDENTS}, {INTERNAL}]\n"
            f"    licences: {{ student: {{ product: '{SKU[0]}', sku: '{SKU[1]}', seats: 100 }} }}\n",
        )
        settings.write_text(text, encoding="utf-8")
        mapping = blocks()[1].replace("target: google", "target: ldap").replace("keep: 365 days", "keep: 30 days")
        (tmp_path / "mappings" / "ldap.yaml").write_text(mapping, encoding="utf-8")
        people = tmp_path / "mappings" / "people.yaml"
        people.write_text(
            people.read_text(encoding="utf-8").replace("on_rename: propose", "on_rename: automatic"), encoding="utf-8"
        )
        config = load(tmp_path)
        target = config.targets[LDAP]
        made.connector = targets.build(target.kind, LDAP, target.options, config.credentials)
        made.reopen(config)
        yield made
        made.connector.close()


def test_a_roster_becomes_accounts_units_groups_and_licences(district: World, google: GoogleDouble) -> None:
    """Once; a second run, delta or reconcile, has nothing to do and asks for no user in a delta."""
    district.begin()
    users = google.users()
    assert len(users) == 9
    ada = users[f"aabara@{STUDENTS}"]
    assert (ada["name"]["givenName"], ada["orgUnitPath"]) == ("Ada", "/Students/012/Grade 04")
    assert {one["value"] for one in ada["externalIds"] if one["type"] == "organization"} == {"10001"}
    assert ada["suspended"] is False
    assert google.members(f"all-students@{GROUPS}") == {user for user in users if user.endswith(STUDENTS)}
    assert google.licensed(*SKU) == {user for user in users if user.endswith(STUDENTS)}
    managers = {one["value"] for user in users.values() for one in user.get("relations", ())}
    assert len(managers) == 1
    assert managers <= users.keys()
    assert kinds(district.plan("reconcile")) == []
    since = len(google.calls)
    assert kinds(district.plan()) == []
    assert google.journal.count("directory.users.", since=since) == 0


def test_a_new_name_is_a_new_address_and_the_old_one_still_receives_mail(district: World, google: GoogleDouble) -> None:
    """For as long as the mapping says; then a delta run takes it away."""
    district.begin()
    native_id = google.user(f"aabara@{STUDENTS}")["id"]
    district.students(pupil(1, given="Bea"))
    district.day()
    user = google.user(f"babara@{STUDENTS}")
    assert (user["id"], user["aliases"]) == (native_id, [f"aabara@{STUDENTS}"])
    (story,) = district.engine.explain("s1")
    (aliases,) = [part for part in story.accounts[0].parts if part.part == "aliases"]
    line = next(at for at, text in enumerate(blocks()[1].splitlines(), 1) if "aliases_of: primaryEmail" in text)
    assert aliases.now == aliases.wanted == (f"aabara@{STUDENTS}",)
    assert aliases.rule.startswith(f"mappings/ldap.yaml:{line}:")
    assert kinds(district.plan("reconcile")) == []
    district.day(29)
    assert google.user(native_id)["aliases"] == [f"aabara@{STUDENTS}"]
    district.day(2)
    assert "aliases" not in google.user(native_id)


def another_night(district: World, days: int) -> None:
    """So many days later, with a roster that is a little different and still does not tell of who has vanished."""
    district.clock.advance(days)
    district.students(pupil(6, family=f"Night{'abcdefgh'[district.clock.today.day % 8]}"))
    district.sync()


def test_who_vanishes_and_returns_after_200_days_finds_the_same_account_and_never_lost_the_mailbox(
    district: World, google: GoogleDouble
) -> None:
    """Grace, suspended, licence given back, parked; then the same id and address, and that day's groups. No delete is ever sent."""
    district.begin()
    address = f"aabara@{STUDENTS}"
    kept = google.user(address)
    district.clock.advance()
    district.leave("s1")
    district.sync()
    for _ in range(3):
        another_night(district, 3)
        assert google.user(address)["suspended"] is False  # the grace: most of the vanished come back
        assert address in google.licensed(*SKU)
    another_night(district, 1)
    suspended = district.clock.today
    user = google.user(address)
    assert (user["suspended"], user["orgUnitPath"]) == (True, kept["orgUnitPath"])
    assert address not in google.licensed(*SKU)
    assert not [group for group in ("all-students", "class-hr2", "class-alg2") if address in google.members(f"{group}@{GROUPS}")]
    another_night(district, 29)
    assert google.user(address)["orgUnitPath"] == kept["orgUnitPath"]
    another_night(district, 1)
    assert google.user(address)["orgUnitPath"] == "/Disabled"
    another_night(district, 85)
    district.students(pupil(1, grade="07", schools=("o1",), lessons=("h1", "k4")))
    district.day(85)
    assert (district.clock.today - suspended).days == 200
    user = google.user(address)
    assert (user["id"], user["primaryEmail"], user["creationTime"]) == (kept["id"], address, kept["creationTime"])
    assert (user["suspended"], user["orgUnitPath"]) == (False, "/Students/001/Grade 07")
    assert address in google.licensed(*SKU)
    groups = {group.resource["email"] for group in google.tenant.groups.values() if address in google.members(group.id)}
    assert groups == {f"{name}@{GROUPS}" for name in ("all-students", "class-hr1", "class-alg4")}
    assert kinds(district.plan("reconcile")) == []
    assert not google.journal.ever_sent("directory.users.delete")
    assert kept["id"] not in google.tenant.deleted


def reopened(district: World, old: str, new: str) -> None:
    """A new process, with another text in the settings."""
    district.edit("config/syncd.yaml", old, new)
    config = load(district.folder)
    target = config.targets[LDAP]
    district.connector.close()
    district.connector = targets.build(target.kind, LDAP, target.options, config.credentials)
    district.reopen(config)


def test_settings_of_groups_are_kept_by_a_reconcile_and_others_are_left_alone(district: World, google: GoogleDouble) -> None:
    """What the configuration names of groups that the mapping may make: one question each, one request where something differs."""
    district.begin()
    reopened(district, "    licences:", "    group_settings: { whoCanPostMessage: ALL_MANAGERS_CAN_POST }\n    licences:")
    theirs = google.tenant.groups
    assert {group.settings["whoCanPostMessage"] for group in theirs.values()} == {"ANYONE_CAN_POST"}
    assert kinds(district.plan()) == []  # a delta does not look
    planned = district.sync("reconcile")[0]
    assert kinds(planned) == [Kind.SET_GROUP] * len(theirs)
    why = {change.reason for change in planned.plans[LDAP].changes}
    assert why == {"whoCanPostMessage is ANYONE_CAN_POST, not ALL_MANAGERS_CAN_POST"}
    assert {group.settings["whoCanPostMessage"] for group in theirs.values()} == {"ALL_MANAGERS_CAN_POST"}
    google.group(f"all-staff@{GROUPS}").settings |= {"whoCanPostMessage": "NONE_CAN_POST", "whoCanJoin": "INVITED_CAN_JOIN"}
    google.group(f"all-students@{GROUPS}").settings["whoCanJoin"] = "INVITED_CAN_JOIN"
    since = len(google.calls)
    (change,) = district.sync("reconcile")[0].plans[LDAP].changes
    assert (change.kind, change.group) == (Kind.SET_GROUP, f"all-staff@{GROUPS}")
    assert google.journal.count("groupsSettings.groups.get", since=since) == len(theirs)
    assert google.journal.count("groupsSettings.groups.patch", since=since) == 1
    for name in ("all-staff", "all-students"):
        assert google.group(f"{name}@{GROUPS}").settings["whoCanJoin"] == "INVITED_CAN_JOIN"
    assert kinds(district.plan("reconcile")) == []


def test_a_group_of_five_thousand_is_read_whole_and_written_by_its_differences(district: World, google: GoogleDouble) -> None:
    """A reconcile reads every page and leaves others' members alone; who comes and who goes in a delta is one request each."""
    district.begin()
    group = google.group(f"class-hr1@{GROUPS}")
    ours = set(group.members)
    strangers = {
        f"1{n:020}": {"kind": "admin#directory#member", "id": f"1{n:020}", "type": "USER", "role": "MEMBER"} for n in range(4998)
    }
    group.members = {**dict(list(strangers.items())[:2500]), **group.members, **dict(list(strangers.items())[2500:])}
    since = len(google.calls)
    assert kinds(district.plan("reconcile")) == []  # ours stand in the middle: a page too few would be changes
    pages = [call for call in google.journal.matching("directory.members.list", since=since) if call.subject == group.id]
    assert len(pages) == -(-len(group.members) // 200) >= 25
    joins, leaves = google.user(f"aabara@{STUDENTS}")["id"], google.user(f"bbell@{STUDENTS}")["id"]
    assert (joins in ours, leaves in ours) == (False, True)
    district.students(pupil(1, lessons=("h1", "k2")), pupil(2, lessons=("h2", "k3")))
    since = len(google.calls)
    district.day()
    sent = [call for call in google.calls[since:] if call.method.startswith("directory.members.") and call.subject == group.id]
    assert sorted(call.method for call in sent) == ["directory.members.delete", "directory.members.insert"]
    assert set(google.group(group.id).members) == (ours | {joins} | strangers.keys()) - {leaves}


def test_an_account_others_made_is_found_by_its_number_and_keeps_its_address(district: World, google: GoogleDouble) -> None:
    """R34: adoption writes nothing, and the name that is there is the person's from then on."""
    told = {"externalIds": [{"type": "organization", "value": "10001"}], "orgUnitPath": "/Students"}
    theirs = google.add_user(f"ada.a@{STUDENTS}", "Ada", "Abara", **told)
    district.begin()
    assert f"aabara@{STUDENTS}" not in google.users()
    district.day()
    assert google.user(theirs.id)["primaryEmail"] == f"ada.a@{STUDENTS}"
    assert google.user(theirs.id)["orgUnitPath"] == "/Students/012/Grade 04"


def test_seats_that_will_not_do_are_told_before_they_run_out(district: World, google: GoogleDouble) -> None:
    """In the plan, before anything is written."""
    reopened(district, "seats: 100", "seats: 4")
    district.deliver()
    planned = district.engine.plan("main", "reconcile")
    assert found(planned, "seats") == ["6 people are to get one, and 4 seats are left: buy 2 more, or some go without"]
    assert google.users() == {}


def test_a_target_whose_key_is_gone_sits_the_run_out(district: World, google: GoogleDouble) -> None:
    """The run says so in words; nobody is called failed."""
    district.begin()
    google.revoke_key()
    district.students(pupil(1, given="Bea"))
    district.clock.advance(1)
    planned = district.engine.plan("main", "reconcile")
    assert "Service accounts > Keys" in str(planned.stopped[LDAP])


def test_kinds_are_applied_in_an_order_that_google_takes(district: World) -> None:
    """Units before those who stand in them, the outer before the inner; groups before members."""
    district.deliver()
    planned = district.engine.plan("main", "reconcile")
    changes = planned.plans[LDAP].changes
    names = [change.group or "" for change in changes if change.kind is Kind.CREATE_CONTAINER]
    assert "/students/012/grade 04" in names
    assert all(parent(name) in ("", *names[:place]) or parent(name) in ("/students", "/staff") for place, name in enumerate(names))
    assert changes[0].kind is Kind.CREATE_CONTAINER
