"""A district in a real domain whose administrators change things by hand, take rights away, and restore a controller.

By the command line, so that every run is a process's first; with the settings that the documentation shows. One district lives
through all of it, and each test leaves it as it found it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.assembly import opened_store
from syncd.cli.exits import Exit
from syncd.core.model import TargetName
from syncd.demo.district import District
from syncd.demo.samba import PrivateSamba, free_address
from syncd.settings import load
from tests.integration.ad_district import run, settle
from tests.integration.samba import Domain, restored

AD = TargetName("ad")


@dataclass
class Town:
    """A district with its accounts in a domain, and the domain's administrator."""

    folder: Path
    server: PrivateSamba
    domain: Domain
    base: str
    addresses: tuple[str, ...]

    def units(self, name: str) -> list[str]:
        """The container of that name and all below it."""
        admin = self.domain.admin
        admin.search(f"OU={name},{self.base}", "(objectClass=organizationalUnit)")
        return [entry["dn"] for entry in admin.response]

    def accounts(self) -> dict[str, tuple[str, bytes, bytes]]:
        """Place, objectGUID and given name of every account by its sAMAccountName, as the administrator reads it."""
        admin = self.domain.admin
        admin.search(
            self.base,
            "(&(objectClass=user)(!(objectClass=computer)))",
            attributes=["sAMAccountName", "objectGUID", "givenName"],
        )
        assert admin.result["result"] == 0
        found = [(entry["dn"], entry["raw_attributes"]) for entry in admin.response]
        return {told["sAMAccountName"][0].decode(): (dn, told["objectGUID"][0], b"".join(told["givenName"])) for dn, told in found}

    def write(self, dn: str, attribute: str, value: str) -> None:
        """Another value, by hand."""
        self.domain.does(self.domain.admin.modify(dn, {attribute: [(MODIFY_REPLACE, [value])]}))

    def controller(self) -> str:
        """Which controller's bookmark is remembered."""
        with opened_store(load(self.folder)) as store:
            return store.bookmark(AD).partition('"controller": "')[2][:36]

    def deleted(self) -> list[str]:
        """Of whom the last run said that others deleted them."""
        with opened_store(load(self.folder)) as store:
            return [found.why for found in store.findings("deleted")]

    def other_address(self) -> str:
        """The one of the list at which nobody is served now."""
        return next(one for one in self.addresses if one != self.server.address)

    def stop(self) -> None:
        """The controller is gone."""
        self.domain.close()
        self.server.kill()

    def start(self, address: str) -> None:
        """Its directory is served from there."""
        self.server.address = address
        self.server.start()
        self.domain = Domain(self.server)


@pytest.fixture(scope="module")
def town(samba_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Some thirty people, whose first plan is applied: that reads the whole domain once."""
    folder = tmp_path_factory.mktemp("town")
    addresses = free_address(), free_address()
    with PrivateSamba(folder / "samba", samba_cache, addresses[0], also=addresses[1:]) as server:
        domain = Domain(server)
        base = domain.room()
        settle(folder / "district", District.generate(9, 1, 24, 4), server, base, urls=[f"ldaps://{one}" for one in addresses])
        domain.delegate_as(folder / "district")
        made = Town(folder / "district", server, domain, base, addresses)
        assert run(made.folder, "plan") == Exit.DONE
        assert run(made.folder, "apply", "r1", "--first") == Exit.DONE
        yield made
        made.domain.close()


def test_what_others_did_by_hand_is_seen_by_a_delta_run(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """A value, a name and a place are put back, each account stays the one it was, and nobody gets a second one."""
    before = town.accounts()
    one, two, three = sorted(before)[:3]
    town.write(before[one][0], "givenName", "Changed")
    town.domain.does(town.domain.admin.modify_dn(before[two][0], "CN=by hand"))
    town.domain.does(town.domain.admin.modify_dn(before[three][0], f"CN={three}", new_superior=f"OU=Disabled,{town.base}"))
    assert town.accounts() != before
    for _ in range(2):  # a plan that nobody applies forgets nothing
        assert run(town.folder, "plan", "--detailed-exitcode") == Exit.PENDING
    assert run(town.folder, "sync") == Exit.DONE
    assert town.accounts() == before
    capsys.readouterr()
    assert run(town.folder, "plan", "--detailed-exitcode") == Exit.DONE
    assert run(town.folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


def test_a_deletion_by_hand_is_seen_by_the_reconcile_at_the_latest(town: Town) -> None:
    """An ordinary account is told of none; nobody is made anew, in either kind of run."""
    before = town.accounts()
    name = min(before)
    town.domain.does(town.domain.admin.delete(before[name][0]))
    assert run(town.folder, "sync") == Exit.DONE
    assert run(town.folder, "sync", "--reconcile") == Exit.DONE
    assert any(f"{name} was deleted by others; it is left alone" in why for why in town.deleted())
    assert town.accounts().keys() == before.keys() - {name}


def test_a_read_right_taken_away_is_an_error_for_a_process_that_never_saw_anybody(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server says "success" and shows nobody of a whole branch; what the store knows tells that from an empty one."""
    before = town.accounts()
    with ExitStack() as denied:
        for unit in town.units("Students"):
            denied.enter_context(town.domain.denied(unit, "LC"))
        assert run(town.folder, "sync", "--reconcile") == Exit.UNAVAILABLE
        said = capsys.readouterr()
        assert "linked accounts of ou=students are not shown any more" in said.out + said.err
    assert town.accounts() == before
    assert run(town.folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


def test_another_controller_is_read_whole_and_never_told_the_count_of_the_first(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """One goes away and the run begins with the other, which counts otherwise: what was done by hand there is found as well."""
    before, first = town.accounts(), town.controller()
    town.stop()
    restored(town.server)
    town.start(town.other_address())
    name = max(before)
    town.write(before[name][0], "givenName", "Changed")
    assert run(town.folder, "--log", "info", "sync") == Exit.DONE
    assert '"kind": "everybody"' in capsys.readouterr().err
    assert town.accounts() == before
    assert town.controller() not in ("", first)
    assert run(town.folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE


def test_the_same_directory_at_another_address_goes_on_where_it_was(town: Town, capsys: pytest.CaptureFixture[str]) -> None:
    """The next address of the list is dialled, and who answers there goes by the same name: nothing is read whole for that."""
    before, first = town.accounts(), town.controller()
    town.stop()
    town.start(town.other_address())
    name = max(before)
    town.write(before[name][0], "givenName", "Changed")
    assert run(town.folder, "--log", "info", "sync") == Exit.DONE
    assert '"kind": "changes"' in capsys.readouterr().err
    assert town.accounts() == before
    assert town.controller() == first
