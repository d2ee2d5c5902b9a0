"""What others did to accounts, seen by a run that does not read the target whole, and what is made of it (R5, R8, R33)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.guard import Limit
from syncd.core.model import Account, Kind, NativeId, Observed
from syncd.engine.planned import Planned
from syncd.errors import EndpointError
from syncd.targets import Changes, Scope, TellsChanges
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.engine_world import LDAP, MAIN, PLACES, World, begun_world, found, kinds, pupil

NOBODY_MORE = Limit(percent=0, at_least=0, campus_at_least=0)


class Telling(Memory):
    """The memory directory with a history: it tells which accounts are not as they were, but of no deletion, as a domain does."""

    def __init__(self) -> None:
        super().__init__("ldap", MemoryConfig(containers=(*PLACES, "ou=Elsewhere")))
        self.pages: dict[str, dict[NativeId, Account]] = {}
        self.reads = 0
        self.down = False

    def bookmark(self) -> str:
        """How everything is."""
        self.pages[str(len(self.pages))] = dict(self.accounts)
        return str(len(self.pages) - 1)

    def changed_since(self, bookmark: str, scope: Scope) -> Changes:
        """Who is not as on that page; everybody where there is no such page."""
        if self.down:
            raise EndpointError("ldap", "does not answer", "wait")
        now = self.bookmark()
        if bookmark not in self.pages:
            return Changes(tuple(self.read(scope)), frozenset(), now, whole=True)
        then = self.pages[bookmark]
        told = [self._observed(one, scope) for one, account in self.accounts.items() if then.get(one) != account]
        inside = tuple(filter(is_inside, told))
        return Changes(inside, frozenset(one.native_id for one in told if not is_inside(one)), now)

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Everybody below the base."""
        self.reads += 1
        return filter(is_inside, super().read(scope))


def is_inside(observed: Observed) -> bool:
    """Whether an account stands below the configured base."""
    return not observed.account.container.startswith("ou=elsewhere")


@pytest.fixture
def directory() -> Telling:
    """A directory that tells changes."""
    telling = Telling()
    assert isinstance(telling, TellsChanges)
    return telling


@pytest.fixture
def district(tmp_path: Path, directory: Telling) -> Iterator[World]:
    """Six students and three staff with accounts, read whole once."""
    with begun_world(tmp_path, directory) as made:
        made.day(kind="reconcile")
        directory.reads = 0
        yield made


def limited(district: World, **limits: Limit) -> None:
    """Other limits from now on."""
    target = district.config.targets[LDAP]
    changed = replace(target, limits=replace(target.limits, **limits))
    district.reopen(replace(district.config, targets={LDAP: changed}))


def of(planned: Planned, district: World, key: str) -> list[Kind]:
    """What is planned for one person."""
    return kinds(planned, district.person(key))


# --- what is seen -----------------------------------------------------------------------------------------------------------


def test_a_delta_run_puts_back_what_others_changed_and_reads_nobody_else(district: World, directory: Telling) -> None:
    """A value, a name and a place, of accounts that stay whose they are: nothing in the roster is different."""
    before = {key: (district.native(key), district.account(key)) for key in ("s1", "s2", "s3")}
    district.alter("s1", sn=("Changed",))
    district.alter("s2", rdn="by.hand")
    district.alter("s3", container="ou=staff")
    planned = district.day()
    assert sorted(kinds(planned)) == sorted([Kind.UPDATE, Kind.MOVE, Kind.MOVE])
    assert {key: (district.native(key), district.account(key)) for key in before} == before
    assert directory.reads == 0
    assert len(planned.decided) == 3


def test_a_night_without_drift_looks_at_nobody(district: World) -> None:
    """What was written by the last run is told, and is as it was written."""
    district.students(pupil(1, given="Zora"))
    district.day()
    assert len(district.day().decided) == 0
    bookmark = district.store.bookmark(LDAP)
    district.day()
    assert district.store.bookmark(LDAP) != bookmark


def test_what_the_mapping_does_not_own_is_left_to_others(district: World) -> None:
    """Somebody wrote a telephone number: it is not in scope, and nobody is looked at."""
    district.alter("s1", telephoneNumber=("1",))
    assert len(district.day().decided) == 0
    assert district.account("s1").attributes["telephoneNumber"] == ("1",)


def test_an_account_that_others_disabled_is_reported_and_stays(district: World) -> None:
    """R33."""
    district.alter("s1", enabled=False)
    planned = district.day()
    assert found(planned, "disabled by others")
    assert kinds(planned) == []
    assert not district.account("s1").enabled
    district.students(pupil(1, given="Zora"))
    assert of(district.day(), district, "s1") == [Kind.UPDATE]
    assert not district.account("s1").enabled


def test_an_account_that_strayed_is_reported_and_not_made_anew(district: World) -> None:
    """R8: it is told to be elsewhere, and found there."""
    strayed = district.alter("s1", container="ou=elsewhere")
    planned = district.day()
    assert any("is outside the configured base" in why for why in found(planned, "strayed"))
    assert kinds(planned) == []
    assert district.account("s1") == strayed


def test_a_deletion_that_nobody_tells_is_seen_by_the_next_reconcile(district: World) -> None:
    """R8: a delta run goes on as if nothing were; the reconcile says so, and nobody is made anew."""
    account = district.memory.accounts.pop(district.native("s1"))
    district.memory._places.pop((account.container, account.rdn.casefold()))
    assert found(district.day(), "deleted") == []
    planned = district.day(kind="reconcile")
    assert any("was deleted by others" in why for why in found(planned, "deleted"))
    assert kinds(planned) == []


def test_an_account_that_others_made_is_no_bodys(district: World) -> None:
    """It is told, and is nobody's until a reconcile or a create asks."""
    district.by_hand("new.one", cn="New One", sn="One")
    assert len(district.day().decided) == 0


def test_a_run_that_looks_at_everybody_sees_drift_too(district: World) -> None:
    """`--everything` trusts the store of all but those of whom the target tells otherwise."""
    district.alter("s1", sn=("Changed",))
    assert kinds(district.day(kind="everything")) == [Kind.UPDATE]


# --- the bookmark goes on when what was seen is remembered (R5) -----------------------------------------------------------------


def test_a_plan_that_nobody_applied_leaves_the_bookmark_where_it_was(district: World) -> None:
    """What it saw is told again to the next one."""
    bookmark = district.store.bookmark(LDAP)
    district.alter("s1", sn=("Changed",))
    for _ in range(2):
        assert kinds(district.engine.plan(MAIN)) == [Kind.UPDATE]
        assert district.store.bookmark(LDAP) == bookmark
    assert kinds(district.day()) == [Kind.UPDATE]
    assert district.store.bookmark(LDAP) != bookmark


def test_a_run_for_one_person_leaves_the_bookmark_where_it_was(district: World) -> None:
    """It remembers one person of all who were told."""
    bookmark = district.store.bookmark(LDAP)
    district.alter("s2", sn=("Changed",))
    district.students(pupil(1, given="Zora"))
    district.engine.sync(MAIN, person="s1")
    assert district.store.bookmark(LDAP) == bookmark
    assert of(district.day(), district, "s2") == [Kind.UPDATE]


def test_drift_that_a_limit_holds_is_not_forgotten(district: World) -> None:
    """R5, R16: the bookmark went on, and whoever is held stays marked until the limit is lifted."""
    limited(district, update=NOBODY_MORE)
    bookmark = district.store.bookmark(LDAP)
    district.alter("s1", sn=("Changed",))
    for _ in range(2):
        planned = district.day()
        assert planned.verdict.held == {district.person("s1")}
    assert district.store.bookmark(LDAP) != bookmark
    assert district.account("s1").attributes["sn"] == ("Changed",)
    limited(district, update=Limit())
    district.day()
    assert district.account("s1").attributes["sn"] == ("Abara",)


def test_a_run_killed_before_it_wrote_leaves_drift_to_the_next(district: World) -> None:
    """R5: what was accepted is marked, though the bookmark has gone on."""
    district.alter("s1", sn=("Changed",))
    planned = district.engine.plan(MAIN)
    district.store.accept(planned.run, planned.acceptance(), district.clock())
    assert of(district.day(), district, "s1") == [Kind.UPDATE]
    assert district.account("s1").attributes["sn"] == ("Abara",)


def test_drift_of_somebody_frozen_waits_for_the_thaw(district: World) -> None:
    """It was seen, nothing may be done, and it is not forgotten."""
    until = district.clock.advance(0)
    district.engine.facts.freeze(district.person("s1"), until, "test", "test")
    district.alter("s1", sn=("Changed",))
    assert kinds(district.day(0)) == []
    assert kinds(district.day(2)) == [Kind.UPDATE]


# --- a bookmark that is lost ------------------------------------------------------------------------------------------------


def lost(district: World) -> None:
    """The target was restored, or another server answers: it knows the bookmark no more."""
    assert isinstance(district.memory, Telling)
    district.memory.pages.clear()
    district.memory.pages["not zero"] = {}


def test_a_lost_bookmark_has_everybody_compared_once(district: World, directory: Telling) -> None:
    """What changed and who is gone, with one whole read; the next run has a bookmark again."""
    district.alter("s1", sn=("Changed",))
    account = district.memory.accounts.pop(district.native("s2"))
    district.memory._places.pop((account.container, account.rdn.casefold()))
    lost(district)
    planned = district.day()
    assert kinds(planned) == [Kind.UPDATE]
    assert any("was deleted by others" in why for why in found(planned, "deleted"))
    assert len(planned.decided) == 2
    assert directory.reads == 1
    district.day()
    assert directory.reads == 1


def test_a_lost_bookmark_and_nobody_to_be_seen_is_an_error(district: World) -> None:
    """Not read is not gone, here as in a reconcile."""
    district.memory.accounts.clear()
    district.memory._places.clear()
    lost(district)
    planned = district.engine.plan(MAIN)
    assert "reported no account at all" in str(planned.stopped[LDAP])
    assert planned.changes == 0


def test_a_target_that_does_not_answer_sits_the_run_out(district: World, directory: Telling) -> None:
    """Drift is part of a run: where it cannot be looked for, that is said, and the bookmark stays."""
    district.alter("s1", sn=("Changed",))
    bookmark, directory.down = district.store.bookmark(LDAP), True
    planned, applied = district.sync()
    assert "does not answer" in str(planned.stopped[LDAP])
    assert applied.stopped
    assert district.store.bookmark(LDAP) == bookmark
    directory.down = False
    assert kinds(district.day()) == [Kind.UPDATE]


def test_a_target_that_was_never_read_with_a_bookmark_is_trusted_until_a_reconcile(tmp_path: Path, directory: Telling) -> None:
    """As after an update of syncd: nothing is read whole in the middle of the day."""
    with begun_world(tmp_path, directory) as district:
        district.alter("s1", sn=("Changed",))
        assert len(district.day().decided) == 0
        assert directory.reads == 0
        assert kinds(district.day(kind="reconcile")) == [Kind.UPDATE]
        assert district.store.bookmark(LDAP)


# --- a branch that shows nobody any more -----------------------------------------------------------------------------------------


def hide(district: World) -> None:
    """Whoever stands below ou=Students is not shown any more: the read right was lost."""
    for native_id, account in list(district.memory.accounts.items()):
        if account.container.endswith("ou=students"):
            del district.memory.accounts[native_id], district.memory._places[account.container, account.rdn.casefold()]


def test_a_branch_that_shows_nobody_any_more_is_not_believed(district: World) -> None:
    """A new process does not remember who stood there; the store does. All other accounts are shown as ever."""
    hide(district)
    for _ in range(2):
        planned = district.engine.plan(MAIN, "reconcile")
        assert "6 linked accounts of ou=students are not shown any more" in str(planned.stopped[LDAP])
        assert planned.changes == 0
    lost(district)
    assert "are not shown any more" in str(district.engine.plan(MAIN).stopped[LDAP])


def test_a_branch_that_others_may_empty_is_believed(district: World) -> None:
    """`may_be_empty` names it: everybody is reported, nobody is made anew."""
    target = district.config.targets[LDAP]
    district.reopen(replace(district.config, targets={LDAP: replace(target, may_be_empty=("OU=Students",))}))
    hide(district)
    planned = district.day(kind="reconcile")
    assert len(found(planned, "deleted")) == 6
    assert kinds(planned) == []


def test_accounts_that_went_one_by_one_are_no_lost_right(district: World) -> None:
    """Who was gone before is not missed again, whatever runs there were between, and the last one is one."""
    for number in range(1, 7):
        account = district.memory.accounts.pop(district.native(f"s{number}"))
        district.memory._places.pop((account.container, account.rdn.casefold()))
        district.day()
        planned = district.day(kind="reconcile")
        assert len(found(planned, "deleted")) == number
    assert kinds(planned) == []
