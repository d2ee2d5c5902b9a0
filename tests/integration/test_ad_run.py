"""A whole district into a real domain, by the command line, with the mapping that the documentation shows."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.assembly import opened
from syncd.cli.exits import Exit
from syncd.core.model import Outcome
from syncd.demo.district import District
from syncd.demo.samba import PrivateSamba
from syncd.demo.tour import PIPELINE, write_roster
from syncd.settings import load
from syncd.targets import ldap_ad_apply
from syncd.targets.ldap_ad_descriptor import EVERYONE, May, rules
from syncd.targets.ldap_ad_protection import protect
from syncd.targets.ldap_wire import Wire
from tests.integration.ad_district import run, settle
from tests.integration.samba import Domain

DISPUTED = 4
"""People of this made-up district who resemble each other so much that nobody gets an account before somebody has looked."""


@pytest.fixture
def own_domain(samba_cache: Path, tmp_path: Path) -> Iterator[Domain]:
    """A domain that may be killed, and in which nobody has a name yet: they are unique in all of it."""
    with PrivateSamba(tmp_path / "samba", samba_cache) as server:
        domain = Domain(server)
        yield domain
        domain.close()


@pytest.fixture
def district() -> District:
    """A small district."""
    return District.generate(9, 1, 40, 6)


@pytest.fixture
def base(own_domain: Domain) -> str:
    """Where it goes."""
    return own_domain.room()


@pytest.fixture
def folder(tmp_path: Path, own_domain: Domain, district: District, base: str) -> Path:
    """Its settings as documented, but for the places and the server; and syncd's account has the rights that they need."""
    folder = tmp_path / "district"
    settle(folder, district, own_domain.server, base)
    own_domain.delegate_as(folder)
    return folder


def people(domain: Domain, base: str) -> dict[str, str]:
    """The place of every account by its sAMAccountName, as the administrator reads it."""
    domain.admin.search(base, "(&(objectClass=user)(!(objectClass=computer)))", attributes=["sAMAccountName"])
    assert domain.admin.result["result"] == 0
    found = (entry["raw_attributes"]["sAMAccountName"][0].decode() for entry in domain.admin.response)
    return dict(zip(found, (entry["dn"] for entry in domain.admin.response), strict=True))


def test_a_district_goes_into_a_domain_and_the_next_reading_finds_nothing_to_do(
    folder: Path, own_domain: Domain, base: str, district: District
) -> None:
    """As documented: everybody has one account, what was written is read back as it was wanted, and weeks later again."""
    assert run(folder, "plan") == Exit.DONE
    assert run(folder, "apply", "r1", "--first") == Exit.DONE
    everybody = len(district.roster.students) + len(district.roster.staff) - DISPUTED
    assert len(people(own_domain, base)) == everybody
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE
    name, dn = min(people(own_domain, base).items())
    own_domain.does(own_domain.admin.modify_dn(dn, "CN=by hand"))
    own_domain.does(own_domain.admin.modify(dn.replace(f"CN={name}", "CN=by hand"), {"givenName": [(MODIFY_REPLACE, ["Changed"])]}))
    assert run(folder, "sync", "--reconcile") == Exit.DONE
    assert len(people(own_domain, base)) == everybody
    assert people(own_domain, base)[name] == dn
    write_roster(district.day(14), folder / "roster")
    run(folder, "sync")
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") in (Exit.DONE, Exit.HELD)


def test_a_controller_killed_in_the_middle_loses_and_doubles_nobody(
    folder: Path, own_domain: Domain, base: str, district: District
) -> None:
    """The run ends; the next one, with the controller back, finds out what had landed and does the rest."""
    heard: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        heard.append(outcome)
        if len(heard) == 45:
            own_domain.server.kill()

    with opened(load(folder)) as running:
        planned = running.engine.plan(PIPELINE)
        running.engine.apply(planned, first=True, told=told)
    own_domain.server.start()
    own_domain.close()
    everybody = len(district.roster.students) + len(district.roster.staff) - DISPUTED
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.PENDING
    assert run(folder, "sync", "--reconcile") == Exit.DONE
    assert len(people(own_domain, base)) == everybody
    assert run(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


class Killed(BaseException):
    """The process ends here, as by kill -9: nothing that comes later is done or recorded."""


def protected(domain: Domain, base: str) -> dict[str, bool]:
    """Every container that syncd made below the base, and whether everybody is denied to delete it."""
    domain.does(domain.admin.search(base, "(objectClass=organizationalUnit)", attributes=["ou"]))
    made = sorted(dn for entry in domain.admin.response if (dn := entry["dn"]).count(",") > base.count(",") + 1)
    whole = May.DELETE | May.DELETE_TREE
    return {dn: denied_to_everybody(domain.rights_on(dn)) & whole == whole for dn in made}


def denied_to_everybody(descriptor: bytes) -> int:
    """What the entry itself denies to everybody, by all its lines."""
    masks = (rule.mask for rule in rules(descriptor) if rule.whose == EVERYONE and not rule.allows)
    return functools.reduce(operator.or_, masks, 0)


@pytest.mark.parametrize("who", ["syncd", "the controller"])
def test_a_container_that_was_made_but_not_protected_is_protected_by_the_next_run(
    who: str, folder: Path, own_domain: Domain, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those are two writes, and whoever dies between them leaves a container that anybody may delete by mistake."""

    def dies(wire: Wire, container: str) -> str:
        monkeypatch.undo()
        if who == "syncd":
            raise Killed
        own_domain.server.kill()
        return protect(wire, container)

    monkeypatch.setattr(ldap_ad_apply, "protect", dies)
    with opened(load(folder)) as running, suppress(Killed):
        running.engine.apply(running.engine.plan(PIPELINE), first=True)
    own_domain.server.restart()
    own_domain.close()
    assert False in protected(own_domain, base).values()
    assert run(folder, "sync", "--reconcile") == Exit.DONE
    after = protected(own_domain, base)
    assert [dn for dn, kept in after.items() if not kept] == []
    assert len(after) > 3
