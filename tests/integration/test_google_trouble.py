"""Google in trouble: health, the notice and the quarantine say so in words, and the other target of the pipeline goes on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
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
from tests.doubles.google import SCOPES, GoogleDouble
from tests.fixtures.engine_world import World, pupil, world
from tests.fixtures.health_states import health_of
from tests.integration.google_customer import CREDENTIAL, customer
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


def test_a_missing_scope_is_named_with_where_to_delegate_it_and_the_directory_goes_on(district: District) -> None:
    """The scope, the client, the place: and which part of the pipeline does not care."""
    district.google.delegate([scope for scope in SCOPES if not scope.endswith("directory.group")])
    reopened(district)
    applied = district.newcomers(7)
    assert GOOGLE in {*applied.stopped, *(name for name, report in applied.reports.items() if report.stopped)}
    assert district.all_in_the_directory()
    (told,) = district.of_google()
    assert "the scope https://www.googleapis.com/auth/admin.directory.group is not delegated" in told
    assert "Manage domain-wide delegation: client 104857600000000000001, add this scope" in told
    assert told in district.told()
    assert told.removeprefix("target google: ") in district.quarantine()
    assert district.world.store.quarantine.refused() == []


def test_seats_exhausted_in_the_middle_are_told_with_how_many_go_without_and_all_else_goes_on(district: District) -> None:
    """Seven were bought, and the settings say ten: the eighth is refused in Google's words, and has all but the licence."""
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
    district.google.sell(*SKU, 10)
    district.world.day(kind="reconcile")
    assert len(district.google.licensed(*SKU)) == 9
    assert district.world.store.quarantine.refused() == []


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
