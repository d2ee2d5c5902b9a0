"""What outlives a run that did not go as planned: the names it promised, what it is called, what a restored store may do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.guard import Limit
from syncd.core.model import Kind, SourceName
from syncd.errors import EndpointError
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, SIS, World, kinds, pupil, world
from tests.integration.test_engine_identity import restore


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts."""
    with world(tmp_path) as made:
        made.begin()
        yield made


def holder(district: World, name: str) -> str | None:
    """Who has this name in the ledger."""
    return district.store.holders([name]).get(name)


# --- names that a plan promised ---------------------------------------------------------------------------------------


def test_rejecting_a_plan_releases_the_names_it_promised(district: World) -> None:
    """R9: a name that was reserved and never sent is free again, for whoever comes next."""
    district.students(pupil(15, given="Ned", family="Oak"))
    stored = district.engine.plan(MAIN)
    assert holder(district, "noak") == district.person("s15")
    assert district.engine.reject(stored.run) == 1
    assert holder(district, "noak") is None
    assert district.store.run(stored.run).status == "rejected"  # type: ignore[union-attr]  # the run was made above
    with pytest.raises(EndpointError, match="no such plan"):
        district.engine.apply_stored(stored.run)


def test_rejecting_an_older_plan_takes_no_name_from_a_newer_one(district: World) -> None:
    """R9: what replanning promised again belongs to the newer plan."""
    district.students(pupil(15, given="Ned", family="Oak"))
    older, newer = district.engine.plan(MAIN), district.engine.plan(MAIN)
    assert district.engine.reject(older.run) == 0
    assert holder(district, "noak") == district.person("s15")
    assert district.engine.reject(newer.run) == 1


def test_rejecting_takes_no_name_that_was_sent(district: World) -> None:
    """R9: what a target may have seen stays its person's for ever, whatever becomes of the plan."""
    district.students(pupil(15, given="Ned", family="Oak"))
    stored = district.engine.plan(MAIN)
    district.engine.apply_stored(stored.run)
    with pytest.raises(EndpointError, match="does not wait for approval: it is done"):
        district.engine.reject(stored.run)
    assert holder(district, "noak") == district.person("s15")
    assert district.account("s15").rdn == "noak"


def test_a_name_no_plan_promises_any_more_is_free(district: World) -> None:
    """R9: a person planned under one name and made under another does not keep both."""
    district.students(pupil(15, given="Ned", family="Oak"))
    district.engine.plan(MAIN)
    district.students(pupil(15, given="Ned", family="Elm"))
    district.day()
    assert district.account("s15").rdn == "nelm"
    assert holder(district, "noak") is None


def test_a_name_that_an_update_sent_is_kept_for_ever(district: World) -> None:
    """R9: a mail address is a name too, where the account itself is called by a number."""
    district.edit("mappings/ldap.yaml", 'rdn: "{{ names.username }}"', 'rdn: "{{ student_number | default(staff_number) }}"')
    district.edit("mappings/people.yaml", "on_rename: propose", "on_rename: automatic")
    district.day()
    for family in ("Oak", "Elm"):
        district.students(pupil(1, given="Ned", family=family))
        district.day()
    assert district.account("s1").attributes["mail"] == ("nelm@students.lonestar.example.org",)
    assert holder(district, "noak") == holder(district, "nelm") == district.person("s1")


def test_a_plan_that_expires_is_a_plan_rejected(district: World) -> None:
    """R9, R38: what a plan promised is not kept longer than the plan itself."""
    district.students(pupil(15, given="Ned", family="Oak"))
    district.engine.plan(MAIN)
    district.leave("s15")
    district.day(31)
    assert holder(district, "noak") is None


def test_somebody_only_ever_planned_is_still_nobody(district: World) -> None:
    """R35: a dispute that a newer roster settled, and that roster was never applied, is open again when the older one stands in."""
    of = district.roster.students["s1"]
    district.students(pupil(15, given=of.given, family=of.family, birth=of.birth))
    planned, _ = district.sync()
    assert [finding.subject for finding in planned.findings if finding.kind == "disputed"] == ["sis/s15"]
    district.students(pupil(1, family="Renamed"))
    assert Kind.CREATE in kinds(district.plan())
    district.break_roster()
    for kind in ("delta", "everything", "reconcile"):
        planned = district.plan(kind)
        assert kinds(planned) == []
        assert [finding.subject for finding in planned.findings if finding.kind == "disputed"] == ["sis/s15"]


# --- what a run is called ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone; nothing may catch it and go on."""


def statuses(district: World) -> list[str]:
    """What the runs are called, newest first."""
    return [row.status for row in district.store.runs(100)]


@pytest.mark.parametrize(("during", "told"), [("begin_run", "failed"), ("accept", "interrupted")])
def test_a_run_that_was_killed_is_not_called_running_for_ever(
    district: World, monkeypatch: pytest.MonkeyPatch, during: str, told: str
) -> None:
    """Whoever runs next says of a dead run what became of it, also where no change was in doubt."""
    district.students(pupil(1, given="Zora"))
    done = getattr(district.store, during)

    def die(*arguments: object) -> None:
        done(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(district.store, during, die)
        with pytest.raises(Killed):
            district.engine.sync(MAIN)
    assert statuses(district)[0] in ("planning", "planned", "applying")
    district.engine.resume()
    assert told in statuses(district)[0]


def test_a_run_that_could_not_plan_is_called_failed(district: World) -> None:
    """A run that ends with an error has ended, and says so."""
    district.reopen(replace(district.config, sources={SourceName("other"): district.config.sources[SIS]}, pipelines={
        MAIN: replace(district.config.pipelines[MAIN], sources=(SourceName("other"),))
    }))  # fmt: skip
    district.break_roster()
    with pytest.raises(EndpointError):
        district.engine.sync(MAIN)
    assert statuses(district)[0] == "failed"
    assert district.store.runs(1)[0].ended is not None


def test_trying_a_mapping_leaves_no_run_that_seems_to_go_on(district: World) -> None:
    """A plan that is not kept is over when it is shown."""
    district.plan()
    assert statuses(district)[0] == "tried"


def test_resume_says_which_target_could_not_be_asked(district: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """R17: what is in doubt stays in doubt, and nobody is told that all is well."""
    district.students(pupil(1, given="Zora"))

    def die(*_: object) -> None:
        raise Killed

    def down(*_: object) -> None:
        raise EndpointError("ldap", "cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr(district.store, "record", die)
        with pytest.raises(Killed):
            district.engine.sync(MAIN)
    with monkeypatch.context() as patched:
        patched.setattr(district.connector, "lookup", down)
        with pytest.raises(EndpointError, match="cannot be reached"):
            district.engine.resume()
    district.reopen()
    assert district.engine.resume() == 1
    assert statuses(district)[0] == "interrupted"


# --- after a restore --------------------------------------------------------------------------------------------------


def test_a_restored_store_begins_by_observing(district: World, tmp_path: Path) -> None:
    """R25: what a restored store wants to change is shown, and waits for somebody to say --first."""
    restore(district, tmp_path)
    district.students(pupil(7))
    before = district.everything()
    for person in (None, "s7"):
        planned, applied = district.engine.sync(MAIN, person=person)
        assert (planned.kind, planned.verdict.first, applied) == ("reconcile", (LDAP,), None)
    assert district.everything() == before
    assert Kind.CREATE in kinds(district.sync(first=True)[0])
    district.students(pupil(8))
    assert Kind.CREATE in kinds(district.day())


def test_a_restored_store_is_held_to_its_limits(district: World, tmp_path: Path) -> None:
    """R14, R25: the word that releases a restored store releases no limit."""
    limits = replace(district.config.targets[LDAP].limits, create=Limit(percent=10, at_least=1))
    restore(district, tmp_path)
    district.reopen(replace(district.config, targets={LDAP: replace(district.config.targets[LDAP], limits=limits)}))
    district.students(*map(pupil, range(7, 12)))
    planned = district.engine.plan(MAIN)
    assert "5 accounts would be created" in str(planned.verdict.findings[0])
    applied = district.engine.apply(planned, first=True)
    assert applied is not None
    assert applied.findings == planned.verdict.findings
    assert not any(account.rdn == "ggray" for account in district.memory.accounts.values())


def test_a_restored_store_that_finds_nothing_to_do_simply_goes_on(district: World, tmp_path: Path) -> None:
    """R25: a reconcile that changes nothing is all the looking there is to do."""
    restore(district, tmp_path)
    assert kinds(district.day()) == []
    district.students(pupil(7))
    planned = district.day()
    assert (planned.kind, planned.verdict.first) == ("delta", ())


# --- who leaves though their population cannot be told ---------------------------------------------------------------


def test_an_exit_acts_on_its_date_though_the_population_cannot_be_told(district: World) -> None:
    """R36: a mapping that fails on somebody is listed, and keeps nobody's access open who has left by the roster's own word."""
    district.edit(
        "mappings/people.yaml",
        "when: \"'student' in roles\"",
        "when: \"'student' in roles and (grade | lookup('student_domain')) != ''\"",
    )
    district.students(pupil(1, grade="13", exit=FIRST_DAY), pupil(2, grade="13"))
    planned = district.day()
    assert (district.account("s1").enabled, district.account("s2").enabled) == (False, True)
    assert {finding.person for finding in planned.findings if finding.kind == "quarantined"} == {
        district.person("s1"),
        district.person("s2"),
    }


# --- who is staff -----------------------------------------------------------------------------------------------------


def test_a_district_that_calls_its_staff_otherwise_is_protected_as_well(district: World) -> None:
    """R40: whatever the population of staff is called, a student who would become one waits for a human."""
    for file in ("mappings/people.yaml", "mappings/ldap.yaml"):
        path = district.folder / file
        path.write_text(
            path.read_text().replace("\n  staff:\n", "\n  employees:\n").replace("\n      staff:\n", "\n      employees:\n")
        )
    district.edit("mappings/people.yaml", "  employees:\n    when:", "  employees:\n    staff: true\n    when:")
    district.day()
    district.edit("mappings/people.yaml", "when: \"'student' in roles\"", "when: \"'student' in roles and grade_index != 8\"")
    district.edit("mappings/people.yaml", "when: \"'teacher' in roles", "when: \"grade_index == 8 or 'teacher' in roles")
    before = district.everything()
    planned, _ = district.sync()
    held = [finding for finding in planned.findings if finding.kind == "disputed"]
    assert held
    assert all("was students, would become employees" in finding.why for finding in held)
    assert district.everything() == before
