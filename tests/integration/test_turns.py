"""Targets that take turns (`after:`): each person waits for their own outcome on the first one, and nobody for anybody else's."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest

from syncd.core.model import Change, Failure, Kind, Outcome, Result, TargetName
from syncd.engine.turns import in_turn
from syncd.errors import ConfigError, EndpointError
from syncd.settings import load
from syncd.targets import Observed, PasswordOf, Question, Scope
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, PLACES, World, pupil, world

MAIL = TargetName("mail")


class Directory(Memory):
    """A directory that can be away, and that refuses new people by number, and kinds of changes."""

    away = False
    refused: Collection[str] = ()
    unwilling: Collection[Kind] = ()

    def __init__(self) -> None:
        super().__init__("directory", MemoryConfig(containers=PLACES))

    def _must_be_there(self) -> None:
        if self.away:
            raise EndpointError(self._name, "does not answer")

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """As ever, but for while it is away."""
        self._must_be_there()
        return super().lookup(questions, scope)

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """As ever, but for those refused."""
        self._must_be_there()
        for change in changes:
            number = change.after.attributes.get("employeeNumber", ("",))[0] if change.after else ""
            if change.kind in self.unwilling or (change.kind is Kind.CREATE and number in self.refused):
                yield Outcome(change, Result.FAILED, failure=Failure.REFUSED, why="constraint violation (19)")
            else:
                yield from super().apply([change], password)


def listed_first(folder: Path) -> None:
    """Two targets of one mapping: `mail` stands first in the pipeline, and comes after `ldap` all the same."""
    settings = folder / "config" / "syncd.yaml"
    text = settings.read_text(encoding="utf-8")
    start, end = text.index("  ldap:\n    kind: memory"), text.index("pipelines:")
    mail = text[start:end].replace("  ldap:", "  mail:").replace("directory.json", "mail.json") + "    after: ldap\n"
    text = text[:end] + mail + text[end:].replace("targets: [ldap]", "targets: [mail, ldap]")
    settings.write_text(text, encoding="utf-8")
    mapping = (folder / "mappings" / "ldap.yaml").read_text(encoding="utf-8")
    (folder / "mappings" / "mail.yaml").write_text(mapping.replace("target: ldap", "target: mail"), encoding="utf-8")


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with an account on each of two targets, of which `mail` comes after `ldap`."""
    with world(tmp_path, connect=lambda _: Directory()) as made:
        listed_first(tmp_path)
        made.others[MAIL] = Directory()
        made.reopen(load(tmp_path))
        made.begin()
        yield made


def first(district: World) -> Directory:
    """The target that comes first."""
    assert isinstance(district.connector, Directory)
    return district.connector


def accounts(district: World, target: TargetName) -> dict[tuple[str, str], bool]:
    """Whether each account of a target is enabled, by its place."""
    connector = district.others.get(target, district.connector)
    assert isinstance(connector, Memory)
    return {(account.container, account.rdn): account.enabled for account in connector.accounts.values()}


def numbers(district: World, target: TargetName) -> set[str]:
    """The numbers that the accounts of a target carry."""
    connector = district.others.get(target, district.connector)
    assert isinstance(connector, Memory)
    return {account.attributes["employeeNumber"][0] for account in connector.accounts.values()}


def test_everybody_has_both_accounts_and_the_first_came_first(district: World) -> None:
    """The order is that of `after`, not that in which a pipeline lists its targets."""
    assert accounts(district, LDAP) == accounts(district, MAIL)
    assert len(accounts(district, LDAP)) == 9
    assert in_turn((MAIL, LDAP), district.config) == [LDAP, MAIL]
    assert list(district.engine.plan(MAIN).plans) == [MAIL, LDAP]


def test_whoever_was_refused_on_the_first_waits_and_nobody_else(district: World) -> None:
    """The next run sends what waited, once the first target has taken them."""
    first(district).refused = ("10007",)
    district.students(pupil(7), pupil(8))
    _, applied = district.sync()
    assert numbers(district, MAIL) == numbers(district, LDAP)
    assert "10008" in numbers(district, MAIL)
    assert "10007" not in numbers(district, MAIL)
    assert applied.reports[MAIL].waiting == 1
    assert not applied.reports[MAIL].failures
    first(district).refused = ()
    district.clock.advance(2)
    district.sync()
    assert numbers(district, MAIL) == numbers(district, LDAP)
    assert "10007" in numbers(district, MAIL)
    assert not district.store.dirty()


def test_while_the_first_is_away_what_opens_waits_and_what_closes_does_not(district: World) -> None:
    """R16 the other way round: nobody keeps an account because another system sleeps."""
    gone = (district.account("s2").container, district.account("s2").rdn)
    first(district).away = True
    district.roster = district.roster.with_students(pupil(2, exit=FIRST_DAY), pupil(9))
    district.deliver()
    district.clock.advance()
    planned = district.engine.plan(MAIN)
    applied = district.engine.apply(planned)
    assert applied is not None
    assert set(applied.stopped) == {LDAP}
    assert accounts(district, MAIL)[gone] is False
    assert len(accounts(district, MAIL)) == 9
    assert applied.reports[MAIL].waiting == 1
    first(district).away = False
    district.day()
    assert accounts(district, LDAP) == accounts(district, MAIL)
    assert len(accounts(district, MAIL)) == 10
    assert accounts(district, LDAP)[gone] is False


def test_a_change_waits_for_the_change_on_the_first(district: World) -> None:
    """Not only accounts that are made: who could not be moved on the first target is not moved on the other."""
    first(district).unwilling = (Kind.MOVE,)
    before = district.account("s3").container
    district.students(pupil(3, grade="08"))
    _, applied = district.sync()
    assert applied.reports[LDAP].failures
    assert applied.reports[MAIL].waiting == 1
    assert not applied.reports[MAIL].kinds
    first(district).unwilling = ()
    district.clock.advance(2)
    district.sync()
    assert district.account("s3").container != before
    assert accounts(district, LDAP) == accounts(district, MAIL)


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ("lap", r"no other target 'lap'"),
        ("mail", r"no other target 'mail'"),
    ],
)
def test_settings_refuse_what_can_not_be(district: World, after: str, why: str) -> None:
    """A target that is not there, and itself."""
    with pytest.raises(ConfigError, match=why):
        district.edit("config/syncd.yaml", "after: ldap", f"after: {after}")


def test_settings_refuse_a_ring(district: World) -> None:
    """None of them could begin."""
    with pytest.raises(ConfigError, match="a ring: mail comes after ldap comes after mail"):
        district.edit("config/syncd.yaml", "  ldap:\n    kind: memory", "  ldap:\n    after: mail\n    kind: memory")


def test_settings_refuse_targets_of_two_pipelines(district: World) -> None:
    """They know nothing of each other's runs."""
    with pytest.raises(ConfigError, match="is not in the pipeline of 'mail'"):
        district.edit("config/syncd.yaml", "targets: [mail, ldap] }", "targets: [mail] }")
