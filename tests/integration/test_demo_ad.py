"""`script/demo --ad`, small: the main job on a domain of its own, counted at its end by Samba's own program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncd.cli.voice import Printed
from syncd.demo.domain import counted, members, users
from syncd.demo.samba import SUFFIX
from syncd.demo.tour import Options, tour
from syncd.errors import EndpointError
from tests.integration.samba import Domain

OWN = {"Administrator", "Guest", "krbtgt", "syncd"}
"""Who is in a domain before anybody was written: whom each has, and the account syncd binds as. A controller may have its own."""


def options(folder: Path, cache: Path) -> Options:
    """A school of sixty."""
    return Options(students=60, staff=8, campuses=1, folder=folder, ad=True, cache=cache.parent)


def test_the_demo_ends_well_and_samba_lists_as_many_users_as_it_says(
    samba_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two readings: after the first apply, and after three weeks; each a sum of syncd's accounts and the domain's own, by name."""
    tour(options(tmp_path, samba_cache), Printed())
    told = capsys.readouterr().out
    sums = re.findall(r"(\d+) users = (\d+) accounts of syncd's \+ (\d+) that are the domain's own \(([^)]*)\)", told)
    assert len(sums) == 2
    for listed, accounts, own, names in sums:
        assert int(listed) == int(accounts) + int(own)
        assert set(names.split(", ")) >= OWN
    (first,) = re.findall(r"persons.* = (\d+) accounts", told)
    assert int(sums[0][1]) == int(first)
    assert re.findall(r"\$ samba-tool user list \| wc -l\n(\d+)", told) == [listed for listed, *_ in sums]


def test_a_user_whom_syncd_does_not_know_or_who_is_missing_fails_the_demo(domain: Domain, room: str) -> None:
    """By name, so that one more and one less are no agreement."""
    server = domain.server
    there, groups = users(server), f"OU=Groups,{room}"
    domain.does(domain.admin.add(f"CN=Two,{groups}", "group", {"member": [domain.server.admin_dn, f"CN=Guest,CN=Users,{SUFFIX}"]}))
    assert members(server, groups) == 2
    told = counted(server, there[3:], there[:3], 2, groups)
    assert f"{len(there):,} users = {len(there) - 3:,} accounts of syncd's + 3 that are the domain's own" in told
    with pytest.raises(EndpointError, match="lists 1 users syncd does not know, and not 1 that it knows"):
        counted(server, ["nobody", *there[4:]], there[:3], 2, groups)
    with pytest.raises(EndpointError, match="of 3 memberships 2 are there"):
        counted(server, there[3:], there[:3], 3, groups)
