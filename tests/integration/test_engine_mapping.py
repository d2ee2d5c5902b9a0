"""What a mapping gets wrong for one person, or may not make: that person waits with a reason, everybody else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.demo.slapd import PrivateSlapd
from syncd.targets.ldap import Ldap
from syncd.vault import Credentials
from tests.conftest import as_admin, config_for
from tests.fixtures.engine_world import FIRST_DAY, LDAP, World, found, kinds, pupil, world

SETTINGS, PEOPLE, MAPPING = "config/syncd.yaml", "mappings/people.yaml", "mappings/ldap.yaml"
LIMITS = "    limits:\n      create: { percent: 100"


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts."""
    with world(tmp_path) as made:
        made.begin()
        yield made


def quarantined(district: World, *keys: str) -> list[str]:
    """The reasons of the quarantined in the next run, who must be exactly these."""
    planned = district.day()
    listed = [finding for finding in planned.findings if finding.kind == "quarantined"]
    assert {finding.person for finding in listed} == {district.person(key) for key in keys}
    return [finding.why for finding in listed]


# --- one person's place is no place ---------------------------------------------------------------------------------------


def test_a_place_that_is_none_quarantines_whom_it_is_made_for(district: World) -> None:
    """R5: a table whose text for one campus is no DN sets that campus aside, naming file and rule; the others' changes land."""
    district.edit(PEOPLE, "tables:\n", 'tables:\n  places: { "001": "ou=North", "012": "South" }\n')
    district.edit(MAPPING, "ou={{ campus.code }},ou=Students", "{{ campus.code | lookup('places') }},ou=Students")
    before = district.account("s1")
    reasons = quarantined(district, "s1", "s3", "s5")
    assert all(why.startswith(f"{MAPPING}:") and "container: " in why and "'South' is not of the form" in why for why in reasons)
    assert district.account("s1") == before
    assert district.account("s2").container.endswith("ou=north,ou=students")


def test_a_group_that_is_none_quarantines_its_members(district: World) -> None:
    """R5: as with places; the rule that named the group is told."""
    district.edit(PEOPLE, "tables:\n", 'tables:\n  clubs: { "001": "cn=Chess,ou=Groups", "012": "Chess" }\n')
    district.edit(
        MAPPING, "\"cn={{ campus.code }} Grade {{ grade | default('none') }},ou=Groups\"", "\"{{ campus.code | lookup('clubs') }}\""
    )
    reasons = quarantined(district, "s1", "s3", "s5")
    assert all("groups[1]: " in why for why in reasons)
    assert "cn=chess,ou=groups" in district.memory.groups


def test_whoever_is_quarantined_for_a_place_is_well_again_with_the_mapping(district: World) -> None:
    """R5: they stay dirty, so that the corrected table reaches them in a delta run."""
    district.edit(PEOPLE, "tables:\n", 'tables:\n  places: { "001": "ou=North", "012": "South" }\n')
    district.edit(MAPPING, "ou={{ campus.code }},ou=Students", "{{ campus.code | lookup('places') }},ou=Students")
    quarantined(district, "s1", "s3", "s5")
    district.edit(PEOPLE, '"South"', '"ou=South"')
    quarantined(district)
    assert district.account("s1").container.endswith("ou=south,ou=students")


def test_a_name_that_would_choose_its_own_attribute_is_refused(district: World) -> None:
    r"""R5: a roster's `\\cn=…` is no account name; it would name the entry by another attribute than the district's."""
    district.edit(MAPPING, '    rdn: "{{ names.username }}"\n    # What is in', '    rdn: "{{ display_name }}"\n    # What is in')
    district.students(pupil(7, given="\\cn=evil,ou", family="x"))
    (why,) = quarantined(district, "s7")
    assert "rdn: it begins with a backslash" in why


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_first_and_the_last_of_all_days_stop_no_run(district: World, day: date) -> None:
    """Sources write 9999-12-31 for `never` and 0001-01-01 for `always`; such a row is one row."""
    district.students(pupil(1, exit=date.max), pupil(2, start=day), pupil(7))
    assert Kind.CREATE in kinds(district.day())
    assert district.account("s1").enabled
    assert district.account("s2").enabled


# --- adopting what is named by another attribute --------------------------------------------------------------------------


def test_an_adopted_account_named_by_another_attribute_gets_a_name_of_ours(tmp_path: Path) -> None:
    r"""R34: an account standing as `cn=Ada Abara` is adopted; `\\cn=Ada Abara` is no user name, and no address is made of it."""
    with world(tmp_path) as district:
        district.deliver()
        native = district.by_hand("\\cn=Ada Abara", employeeNumber="10001", sn="Abara", cn="Ada Abara")
        district.sync(first=True)
        district.day()
        assert district.native("s1") == native
        assert district.account("s1").attributes["mail"] == ("aabara@students.lonestar.example.org",)
        assert district.account("s1").rdn == "aabara"
        assert kinds(district.day(kind="reconcile")) == []


def test_an_adopted_account_named_by_another_attribute_keeps_its_user_name(
    tmp_path: Path, slapd: PrivateSlapd, credentials: Credentials, ldap_base: str
) -> None:
    """R34: on a real server, `cn=Ada Abara` with `uid: ada.a` is adopted as ada.a: renamed in its place, never in its name."""
    with world(tmp_path, connect=lambda _: Ldap("ldap", config_for(slapd, ldap_base), credentials)) as district:
        district.deliver()
        entry = f"dn: cn=Ada Abara,ou=Students,{ldap_base}\nobjectClass: inetOrgPerson\ncn: Ada Abara\nsn: Abara\n"
        as_admin(slapd, "ldapadd", ldif=f"{entry}uid: ada.a\nemployeeNumber: 10001\n\n")
        planned, applied = district.sync(first=True)
        assert found(planned, "adopted")
        assert not applied.failed
        district.day()
        (line,) = as_admin(slapd, "ldapsearch", "-LLL", "-b", ldap_base, "(employeeNumber=10001)", "mail", "uid").split("\n\n")[:1]
        assert "dn: uid=ada.a,ou=Grade 04,ou=012,ou=Students," in line
        assert "mail: ada.a@students.lonestar.example.org" in line
        assert line.count("uid: ") == 1
        assert kinds(district.day(kind="reconcile")) == []


def test_an_account_named_by_another_attribute_takes_no_name(tmp_path: Path) -> None:
    """R9: what an entry is called by another attribute than the district's is not a user name, so it goes into no ledger."""
    with world(tmp_path) as district:
        district.deliver()
        district.by_hand("\\cn=Zoe Zulu", sn="Zulu", cn="Zoe Zulu")
        district.sync("reconcile", first=True)
        assert district.store.holders(["cnzoezulu", "zoezulu"]) == {}


# --- containers that may not be made --------------------------------------------------------------------------------------


def forbid(district: World) -> None:
    """No containers are made from now on."""
    district.edit(SETTINGS, LIMITS, f"    create_containers: false\n{LIMITS}")


def test_a_missing_container_is_made_unless_the_settings_forbid_it(district: World) -> None:
    """What `create_containers` says when nobody says anything."""
    assert district.config.targets[LDAP].create_containers
    assert "ou=012,ou=students" in district.memory.containers


def test_where_no_container_may_be_made_whoever_needs_one_waits(district: World) -> None:
    """The container is listed and nothing is sent for whoever needs it; when somebody made it, a delta run makes the account."""
    forbid(district)
    district.students(pupil(7, grade="12"), pupil(8, grade=pupil(2).grade))
    for _ in range(2):
        planned = district.day()
        assert Kind.CREATE_CONTAINER not in kinds(planned)
        (why,) = found(planned, "missing container")
        assert "ou=grade 12,ou=012,ou=students" in why
    assert district.person("s8") in district.store.known(LDAP)
    assert district.person("s7") not in district.store.known(LDAP)
    district.memory.containers.add("ou=grade 12,ou=012,ou=students")
    district.day()
    assert district.account("s7").container == "ou=grade 12,ou=012,ou=students"


def test_whoever_moves_to_a_container_that_may_not_be_made_stays_as_they_are(district: World) -> None:
    """R16: nothing of the person changes halfway, and it comes right once the container is there."""
    forbid(district)
    before = district.account("s1")
    district.students(pupil(1, grade="12", family="Other"))
    assert found(district.day(), "missing container")
    assert district.account("s1") == before
    district.memory.containers.add("ou=grade 12,ou=012,ou=students")
    district.day()
    assert district.account("s1").container == "ou=grade 12,ou=012,ou=students"
    assert district.account("s1").attributes["sn"] == ("Other",)


def test_whoever_leaves_loses_access_though_there_is_nowhere_to_park(district: World) -> None:
    """R36: the container for leavers is missing and may not be made; the account is disabled on the day all the same."""
    forbid(district)
    district.memory.containers.discard("ou=disabled")
    district.students(pupil(1, exit=FIRST_DAY))
    district.day()
    assert found(district.day(30), "missing container")
    assert not district.account("s1").enabled
    assert district.account("s1").container != "ou=disabled"


def test_a_group_whose_container_may_not_be_made_is_not_made_either(district: World) -> None:
    """The membership waits, the account does not."""
    forbid(district)
    district.edit(MAPPING, "cn=Class {{ class.code }},ou=Classes,ou=Groups", "cn=Class {{ class.code }},ou=Courses,ou=Groups")
    district.students(pupil(7, grade=pupil(1).grade, schools=pupil(1).schools, lessons=pupil(1).lessons))
    planned = district.day()
    assert found(planned, "missing container")
    assert Kind.CREATE_GROUP not in kinds(planned)
    assert district.account("s7").enabled
    district.memory.containers.add("ou=courses,ou=groups")
    district.day()
    assert any(name.endswith(",ou=courses,ou=groups") for name in district.memory.groups)


def test_a_leavers_whole_way_is_told_again_when_the_container_is_there(district: World) -> None:
    """R5: who could not be parked is parked by a delta run as soon as it is possible."""
    forbid(district)
    district.memory.containers.discard("ou=disabled")
    district.students(pupil(1, exit=FIRST_DAY))
    district.day()
    district.day(30)
    district.memory.containers.add("ou=disabled")
    district.day()
    assert district.account("s1").container == "ou=disabled"
