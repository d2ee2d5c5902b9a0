"""Google in trouble: health, the notice and the quarantine say so in words, and the other target of the pipeline goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd import targets
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.health import Freshness, Kind
from syncd.core.model import TargetName
from syncd.engine.planned import Applied
from syncd.settings import load
from tests.doubles.google import GoogleDouble, refusals
from tests.fixtures.engine_world import World, pupil, world
from tests.fixtures.health_states import health_of
from tests.integration.google_customer import ALL_SCOPES, CREDENTIAL, customer
from tests.integration.test_google_run import GROUPS, INTERNAL, SKU, STAFF, STUDENTS, blocks
from tests.integration.test_notices import herald

GOOGLE = TargetName("google")


@dataclass
class District:
    """A district with a directory that is well, and a Google that may not be."""

    world: World
    google: GoogleDouble

    def newcomers(self, *numbers: int) -> Applied:
        """An hour later these students are new: a delta run."""
        self.world.students(*map(pupil, numbers))
        return self.later(1)

    def later(self, hours: float) -> Applied:
        """So many hours later, by every clock: a delta run."""
        self.world.clock.now += timedelta(hours=hours)
        self.google.clock.advance(hours * 3600)
        applied = self.world.sync()[1]
        herald(self.world).tell()
        return applied

    def of_google(self) -> list[str]:
        """What the health says of it."""
        return [str(reason) for reason in health_of(self.world).reasons if "google" in str(reason)]

    def told(self) -> str:
        """The text of all notices that were sent."""
        file = self.world.folder / "told"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def quarantine(self) -> str:
        """What `syncd quarantine` prints."""
        with redirect_stdout(io.StringIO()) as told:
            assert main(["--config", str(self.world.folder), "quarantine"]) == Exit.DONE
        return " ".join(told.getvalue().split())

    def all_in_the_directory(self) -> bool:
        """Whether the other target has everybody, as they are wanted."""
        return len(self.world.memory.accounts) == len(self.world.roster.students) + len(self.world.roster.staff)


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    """Six students and three staff with their accounts on both; somebody is told when something is not well."""
    with customer(domains=(STAFF, STUDENTS, INTERNAL, GROUPS)) as one, world(tmp_path) as made:
        one.google.sell(*SKU, 7)
        one.google.write_key_file(tmp_path / "credentials" / CREDENTIAL)
        program, settings = tmp_path / "page", tmp_path / "config" / "syncd.yaml"
        program.write_text(f'#!/bin/sh\ncat >> "{tmp_path}/told"\n')
        program.chmod(0o700)
        text = settings.read_text(encoding="utf-8").replace("retention:", f'notify: {{ command: ["{program}"] }}\nretention:')
        text = text.replace("targets: [ldap]", "targets: [google, ldap]").replace(
            "targets:\n",
            "targets:\n  google:\n    kind: google\n    start: live\n"
            f"    credential: {CREDENTIAL}\n    admin: {one.google.admin}\n    api: {one.google.url}\n"
            f"    domains: [{STAFF}, {STUDENTS}, {INTERNAL}]\n"
            f"    licences: {{ student: {{ product: '{SKU[0]}', sku: '{SKU[1]}', seats: 10, warn_below: 2 }} }}\n",
            1,
        )
        settings.write_text(text, encoding="utf-8")
        (tmp_path / "mappings" / "google.yaml").write_text(blocks()[1], encoding="utf-8")
        config = load(tmp_path)
        target = config.targets[GOOGLE]
        made.others[GOOGLE] = targets.build(target.kind, GOOGLE, target.options, config.credentials)
        made.reopen(config)
        made.begin()
        made.store.set_freshness([Freshness(Kind.BACKUP, "", made.clock.now)])
        yield District(made, one.google)
        made.others[GOOGLE].close()


def test_who_gets_an_account_on_both_in_one_run_has_one_password_for_both(district: District) -> None:
    """One letter does; two people never have the same, and everybody's is changed at the first sign-in at Google."""
    memory, users = district.world.memory, district.google.users()
    words = {account.rdn: memory.passwords[native_id] for native_id, account in memory.accounts.items()}
    assert len(set(words.values())) == len(users) == 9
    assert {district.google.account(address).password for address in users} == set(words.values())
    ada = next(word for rdn, word in words.items() if "aabara" in rdn.lower())
    assert district.google.account(f"aabara@{STUDENTS}").password == ada


def test_a_revoked_key_is_told_with_where_to_click_and_the_directory_goes_on(district: District) -> None:
    """Nobody's change counts as refused; with a new key in its place what waited is done."""
    assert district.of_google() == []
    district.google.revoke_key()
    applied = district.newcomers(7)
    assert set(applied.stopped) == {GOOGLE}
    assert district.all_in_the_directory()
    assert len(district.google.users()) == 9
    (told,) = district.of_google()
    assert told.startswith("target google: the key in the credential google_key is not accepted (invalid_grant")
    assert told.endswith("Service accounts > Keys: is it still listed? If not, add a key and put it in its place")
    assert told in district.told()
    why = told.removeprefix("target google: ")
    assert district.quarantine() == (
        f"nothing is in quarantine target google: its changes wait, and none of them counts as refused: {why}"
    )
    district.google.add_key("key-2")
    district.google.write_key_file(district.world.folder / "credentials" / CREDENTIAL, "key-2")
    reopened(district)
    district.later(1)
    assert len(district.google.users()) == 10
    assert district.of_google() == []


def test_without_the_scope_for_accounts_nothing_of_google_is_done_and_the_directory_goes_on(district: District) -> None:
    """The scope, the client, the place."""
    without_scope(district, "admin.directory.user")
    applied = district.newcomers(7)
    assert set(applied.stopped) == {GOOGLE}
    assert district.all_in_the_directory()
    (told,) = district.of_google()
    assert told.startswith("target google: the scope https://www.googleapis.com/auth/admin.directory.user is not delegated")
    assert told.endswith("Manage domain-wide delegation: client 104857600000000000001, add this scope; it may take a day")
    assert told in district.told()
    assert told.removeprefix("target google: ") in district.quarantine()


def told_of(district: District, **parts: str) -> None:
    """Health, notice and quarantine say which part waits, for want of which scope, and what to click; nobody counts as refused."""
    reasons, said = district.of_google(), district.quarantine()
    assert len(reasons) == len(parts)
    for told, (part, scope) in zip(reasons, sorted(parts.items()), strict=True):
        what = part.replace("_", " ")
        assert told.startswith(
            f"target google: {what} cannot be used, and what needs them waits: "
            f"the scope https://www.googleapis.com/auth/{scope} is not delegated"
        )
        assert told.endswith("Manage domain-wide delegation: client 104857600000000000001, add this scope; it may take a day")
        assert told in district.told()
        assert f"target google: what needs its {what} waits, and none of it counts as refused: the scope" in said
    assert said.startswith("nothing is in quarantine")
    assert district.world.store.quarantine.refused() == []


def test_a_missing_scope_stops_only_what_needs_it(district: District) -> None:
    """Somebody new has everything else; a reconcile takes nothing for gone; with the scope delegated the rest follows by itself."""
    for number, part, scope in ((7, "groups", "admin.directory.group"), (8, "licences", "apps.licensing")):
        district.google.sell(*SKU, 10)
        without_scope(district, scope)
        applied = district.newcomers(number)
        assert applied.stopped == {}
        assert applied.reports[GOOGLE].stopped is None
        assert district.all_in_the_directory()
        assert len(district.google.users()) == number + 3
        without = number - 1
        held = len(district.google.members(f"all-students@{GROUPS}")), len(district.google.licensed(*SKU))
        assert held == ((without, number) if part == "groups" else (number, without))
        told_of(district, **{part: scope})
        assert district.world.sync("reconcile")[1].reports[GOOGLE].stopped is None
        told_of(district, **{part: scope})
        district.google.delegate(ALL_SCOPES)
        applied = district.later(1)
        given = {row.change.group for row in district.world.store.journal(run=applied.run) if row.change.target == GOOGLE}
        names = ("all-students", "class-hr2", "class-alg4")  # of the seventh student
        assert given == ({"licence:student"} if part == "licences" else {f"{name}@{GROUPS}" for name in names})
        assert len(district.google.members(f"all-students@{GROUPS}")) == len(district.google.licensed(*SKU)) == number
        assert district.of_google() == []
    assert district.world.sync("reconcile")[0].changes == 0


def test_without_the_scopes_for_units_and_group_settings_nobody_is_placed_and_no_group_is_left_open(district: District) -> None:
    """A newcomer waits, as does a group that nobody could close to strangers; who is renamed where they stand is renamed."""
    settings = "    group_settings: { whoCanPostMessage: ALL_MANAGERS_CAN_POST }\n    licences:"
    without_scope(district, "admin.directory.orgunit", "apps.groups.settings", edited=("    licences:", settings))
    lessons = district.world.roster.lessons
    new = replace(lessons["k4"], key="k9", code="NEW9")
    district.world.roster = replace(district.world.roster, lessons={**lessons, "k9": new})
    district.world.students(pupil(1, lessons=("h2", "k9")), pupil(2, given="Newname"), pupil(7))
    assert district.later(1).reports[GOOGLE].stopped is None
    assert len(district.google.users()) == 9
    assert "Newname" in {user["name"]["givenName"] for user in district.google.users().values()}
    assert f"class-new9@{GROUPS}" not in {str(group.resource["email"]) for group in district.google.tenant.groups.values()}
    told_of(district, group_settings="apps.groups.settings", organizational_units="admin.directory.orgunit")
    assert district.world.sync("reconcile")[1].reports[GOOGLE].stopped is None
    told_of(district, group_settings="apps.groups.settings", organizational_units="admin.directory.orgunit")
    district.google.delegate(ALL_SCOPES)
    district.later(1)
    assert len(district.google.users()) == 10
    assert len(district.google.members(f"class-new9@{GROUPS}")) == 1
    assert district.google.group(f"class-new9@{GROUPS}").settings["whoCanPostMessage"] == "ALL_MANAGERS_CAN_POST"
    assert district.of_google() == []


def test_a_right_or_an_api_that_is_missing_stops_only_what_needs_it(district: District) -> None:
    """Found out by asking, while it is planned or written: the same run goes on without that part, and says what to click."""
    off = refusals.Refusal(403, "accessNotConfigured", "Enterprise License Manager API has not been used in project 7 before")
    district.google.next_call("licensing.licenseAssignments.insert", off)
    district.google.next_call("directory.groups.get", refusals.forbidden())
    applied = district.newcomers(7)
    assert applied.reports[GOOGLE].stopped is None
    assert len(district.google.users()) == 10
    assert len(district.google.members(f"all-students@{GROUPS}")) == len(district.google.licensed(*SKU)) == 6
    groups, licences = district.of_google()
    assert groups.startswith("target google: groups cannot be used, and what needs them waits: asking for the group")
    assert groups.endswith("give the administrator's role the right for it, and the delegation the scope; syncd check says which")
    assert licences.startswith(
        "target google: licences cannot be used, and what needs them waits: licences: the API is not switched on"
    )
    assert licences.endswith("APIs & Services > Library: enable what `syncd check` names")
    district.later(1)
    assert len(district.google.members(f"all-students@{GROUPS}")) == len(district.google.licensed(*SKU)) == 7
    assert district.of_google() == []


def test_seats_exhausted_in_the_middle_are_told_with_how_many_go_without_and_all_else_goes_on(district: District) -> None:
    """The eighth of seven is refused in Google's words, and has all else; once seats are bought, the next delta run finds them."""
    applied = district.newcomers(7, 8, 9)
    assert applied.reports[GOOGLE].stopped is None
    assert district.all_in_the_directory()
    assert len(district.google.users()) == 12
    assert len(district.google.licensed(*SKU)) == 7
    assert len(district.google.members(f"all-students@{GROUPS}")) == 9
    (told,) = district.of_google()
    run = applied.run
    assert told == (
        f"target google: licence:student: no seat was left in the middle of run {run}, and 2 people go without: "
        "buy more, or reclaim some"
    )
    assert told in district.told()
    refused = district.world.store.quarantine.refused()
    assert {(one.target, one.group) for one in refused} == {(GOOGLE, "licence:student")}
    said = district.quarantine()
    assert "There aren't enough available licenses" in said
    assert told.removeprefix("target google: ") in said
    district.later(2)
    (told,) = district.of_google()
    assert told.endswith("2 people are to get one, and 0 seats are left: buy 2 more, or some go without")
    for _ in range(3):
        since = len(district.google.calls)
        district.later(2)
        asked = district.google.journal.count("licensing.licenseAssignments.insert", since=since)
        assert 1 <= asked <= 2  # one of those who were refused, one of those who only wait
    district.google.sell(*SKU, 10)
    district.later(1)
    assert len(district.google.licensed(*SKU)) == 9
    assert district.world.store.quarantine.refused() == []
    (told,) = district.of_google()
    assert told.startswith("target google: licence:student: 1 seats will be left, fewer than")


def test_seats_are_told_of_before_they_run_out(district: District) -> None:
    """As soon as fewer are left than `warn_below`, and no more once there are enough again."""
    district.google.sell(*SKU, 10)
    district.newcomers(7, 8)
    assert district.of_google() == []
    district.newcomers(9)
    (told,) = district.of_google()
    assert told == (
        "target google: licence:student: 1 seats will be left, fewer than the 2 of `warn_below`: buy more before they run out"
    )
    assert told in district.told()
    assert len(district.google.licensed(*SKU)) == 9
    district.world.leave("s9", "s8")
    reopened(district, "seats: 10", "seats: 20")
    district.world.day(kind="reconcile")
    assert district.of_google() == []


def test_quota_gone_for_an_hour_is_told_and_ends_by_itself(district: District) -> None:
    """The run ends long before the hour does, the next one says the same, and the first after it does what waited."""
    begun = district.google.clock.time()
    district.google.close_quota(3 * 3600)
    applied = district.newcomers(7)
    assert set(applied.stopped) == {GOOGLE}
    assert district.all_in_the_directory()
    (told,) = district.of_google()
    assert "userRateLimitExceeded" in told
    assert "it goes on by itself when Google lets us" in told
    assert told in district.told()
    assert told.removeprefix("target google: ") in district.quarantine()
    assert district.world.store.quarantine.refused() == []
    assert set(district.later(1).stopped) == {GOOGLE}
    assert district.google.clock.time() - begun < 3 * 3600
    district.later(1)
    assert len(district.google.users()) == 10
    assert district.of_google() == []


def without_scope(district: District, *scopes: str, edited: tuple[str, str] = ("", "")) -> None:
    """From now on these scopes are not delegated, and nobody remembers a token for them."""
    missing = tuple(f"/auth/{scope}" for scope in scopes)
    district.google.delegate([one for one in ALL_SCOPES if not one.endswith(missing)])
    reopened(district, *edited)


def reopened(district: District, old: str = "", new: str = "") -> None:
    """A new process, and so a new connector; with another text in the settings, where told."""
    made = district.world
    settings = made.folder / "config" / "syncd.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace(old, new) if old else text, encoding="utf-8")
    config = load(made.folder)
    target = config.targets[GOOGLE]
    made.others[GOOGLE].close()
    made.others[GOOGLE] = targets.build(target.kind, GOOGLE, target.options, config.credentials)
    made.reopen(config)
