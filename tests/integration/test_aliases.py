"""Old addresses go on as aliases for a while: planned, written, ended on their day, and never anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from ldap3 import MODIFY_ADD

from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import Kind
from syncd.errors import ConfigError
from syncd.settings import check, load
from syncd.targets.ldap_ad import ActiveDirectory
from syncd.vault import Credentials
from tests.fixtures.engine_world import LDAP, World, kinds, pupil, world
from tests.integration.samba import Domain

PEOPLE, MAPPING = "mappings/people.yaml", "mappings/ldap.yaml"
ADA, BEA = pupil(1), pupil(1, given="Bea")  # the same child, called otherwise
AD_MAPPING = """
target: ldap
accounts:
  students:
    container: "ou=Students"
    rdn: "{{ student_number }}"
    attributes:
      givenName: given
      mail: "{{ names.username }}@x.test"
      proxyAddresses: { aliases_of: mail, keep: 30 days }
"""


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """A small district whose students' names follow them, with their accounts in the memory directory."""
    with world(tmp_path) as made:
        made.edit(PEOPLE, "on_rename: propose", "on_rename: automatic")
        made.edit(MAPPING, "      employeeType: \"'student'\"", "      proxyAddresses: { aliases_of: mail, keep: 30 days }")
        made.begin()
        yield made


def values(district: World) -> tuple[str, ...]:
    """What Ada's account holds."""
    return district.account("s1").attributes.get("proxyAddresses", ())


def address(name: str, district: World) -> str:
    """The address of a name at Ada's school."""
    return f"{name}@{district.account('s1').attributes['mail'][0].partition('@')[2]}"


def test_an_account_begins_with_its_one_address(district: World) -> None:
    """And nothing is left to be done, in a delta run as in a reconcile."""
    assert values(district) == (f"SMTP:{address('aabara', district)}",)
    assert kinds(district.plan()) == kinds(district.plan("reconcile")) == []


def test_a_new_name_leaves_the_old_address_as_an_alias_until_its_day(district: World) -> None:
    """One update writes both; thirty days later a delta run that looks at nobody else takes the alias away."""
    district.students(BEA)
    planned = district.day()
    person = district.person("s1")
    assert kinds(planned, person).count(Kind.UPDATE) == 1
    old, new = address("aabara", district), address("babara", district)
    assert values(district) == (f"SMTP:{new}", f"smtp:{old}")
    assert kinds(district.plan("reconcile")) == []
    assert person in district.store.due(district.clock.today + timedelta(days=31))
    assert kinds(district.day(29), person) == []
    assert values(district) == (f"SMTP:{new}", f"smtp:{old}")
    assert kinds(district.day(2), person) == [Kind.UPDATE]
    assert values(district) == (f"SMTP:{new}",)
    assert kinds(district.day(1), person) == []
    assert person not in district.store.due(district.clock.today)


def test_an_alias_that_has_ended_is_nobody_elses(district: World) -> None:
    """R9: for ever the name has a counter for whoever comes with it."""
    district.students(BEA)
    district.day()
    district.day(31)
    assert len(values(district)) == 1
    district.students(replace(pupil(30), given="Ada", family="Abara"))
    district.day()
    assert district.account("s30").attributes["mail"][0].partition("@")[0] == "aabara2"


def test_addresses_that_others_gave_stay_and_are_nobody_elses_either(district: World) -> None:
    """R9: a reconcile writes down what it finds there, without what stands in front of it."""
    theirs = ["smtp:head.of.choir@x.test", "X500:/o=x/cn=a"]
    district.alter("s1", proxyAddresses=tuple(sorted([*values(district), *theirs])))
    assert kinds(district.day(1, "reconcile")) == []
    assert district.store.holders(["headofchoir"]) == {"headofchoir": district.person("s1")}
    assert district.store.holders(["x500ox"]) == {}
    district.students(BEA)
    district.day()
    assert set(values(district)) > set(theirs)


def test_going_back_to_the_old_name_swaps_the_two(district: World) -> None:
    """The address that was replaced last is the alias."""
    district.students(BEA)
    district.day()
    district.students(ADA)
    district.day()
    assert values(district) == (f"SMTP:{address('aabara', district)}", f"smtp:{address('babara', district)}")


def test_what_the_store_holds_of_former_addresses_goes_with_the_person(district: World) -> None:
    """Told when they are disclosed, and destroyed when they are forgotten."""
    district.students(BEA)
    district.day()
    person = district.person("s1")
    (former,) = district.store.lives.former_addresses(LDAP, [person])[person]
    assert former.value == address("aabara", district)
    told = district.store.lives.disclose(person, "tester", district.clock.now)
    assert [row["value"] for row in told["former_addresses"]] == [former.value]


def test_a_golden_person_and_an_explanation_show_them(district: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What comes out for somebody new, and why an account holds what it holds."""
    golden = "expect: { population: students, proxyAddresses: 'SMTP:ab@students.lonestar.example.org' }"
    person = "person: { roles: [student], given: A, family: B, grade: '05', student_number: '1', campus: { code: '012' } }"
    district.edit(MAPPING, "\ntests:\n", f"\ntests:\n  - {person}\n    {golden}\n")
    assert [problem.what for problem in check(district.config)] == []
    district.students(BEA)
    district.day()
    district.store.close()
    assert main(["--config", str(district.folder), "explain", "s1"]) == Exit.DONE
    said = capsys.readouterr().out
    assert f"smtp:{address('aabara', district)}" in said
    assert "proxyAddresses" in said


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "{ aliases_of: mial, keep: 30 days }",
            "'mial' is no attribute of this account with a rule of its own; did you mean 'mail'",
        ),
        ("{ aliases_of: mail }", "the key 'keep' is missing"),
        ("{ aliases_of: mail, keep: soon }", "a time in days, written like `14 days`"),
    ],
)
def test_a_mistake_is_told_with_its_place(district: World, line: str, told: str) -> None:
    """When the file is loaded."""
    path = district.folder / MAPPING
    path.write_text(path.read_text(encoding="utf-8").replace("{ aliases_of: mail, keep: 30 days }", line), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(district.folder)
    assert told in str(caught.value)


# --- Active Directory -----------------------------------------------------------------------------------------------------


Values = Callable[[], list[str]]


@pytest.fixture
def in_a_domain(tmp_path: Path, domain: Domain, room: str) -> Iterator[tuple[World, Values]]:
    """The same district in a real domain, where values are compared without regard to case; and Ada's values there."""
    connector = ActiveDirectory("ldap", domain.config(room), Credentials(domain.server.folder))
    with world(tmp_path, connect=lambda _: connector) as made:
        made.edit(PEOPLE, "on_rename: propose", "on_rename: automatic")
        (made.folder / MAPPING).write_text(AD_MAPPING, encoding="utf-8")
        made.reopen(load(made.folder))
        made.begin()
        dn = f"CN={ADA.number},OU=Students,{room}"
        yield made, lambda: sorted(value.decode() for value in domain.entry(dn, "proxyAddresses")["proxyAddresses"])
        connector.close()


def test_a_domain_swaps_primary_and_alias_in_one_step(in_a_domain: tuple[World, Values], domain: Domain, room: str) -> None:
    """`SMTP:` becomes `smtp:`; what somebody added meanwhile is read again before anything is written, and stays."""
    district, there = in_a_domain
    assert there() == ["SMTP:aabara@x.test"]
    theirs = ["X500:/o=x/cn=a", "smtp:choir@x.test"]
    dn = f"CN={ADA.number},OU=Students,{room}"
    domain.does(domain.admin.modify(dn, {"proxyAddresses": [(MODIFY_ADD, theirs)]}))
    district.students(BEA)
    district.day()
    assert there() == ["SMTP:babara@x.test", *theirs[:1], "smtp:aabara@x.test", *theirs[1:]]
    assert kinds(district.plan("reconcile")) == []
    district.students(ADA)
    district.day()
    assert there() == ["SMTP:aabara@x.test", *theirs[:1], "smtp:babara@x.test", *theirs[1:]]
    district.day(30)
    district.day(1)
    assert there() == ["SMTP:aabara@x.test", *theirs]
