"""`script/demo --ad`, small: the main job on a domain of its own, counted at its end by Samba's own program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from syncd.cli.voice import Printed
from syncd.demo.domain import users
from syncd.demo.samba import PrivateSamba
from syncd.demo.tour import Options, tour
from syncd.errors import EndpointError

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


@dataclass
class Meddling(Printed):
    """Tells the demo, and makes a user by other means before the domain is looked at for the first time."""

    server: PrivateSamba

    def title(self, text: str) -> None:
        super().title(text)
        if text == "The same night, once more":
            self.server.tool("user", "create", "stranger", "Correct-Horse-9", "-H", f"{self.server.folder}/private/sam.ldb")
            assert "stranger" in users(self.server)


def test_a_user_whom_syncd_does_not_know_fails_the_demo(samba_cache: Path, tmp_path: Path) -> None:
    """The count is looked at and not only printed."""
    with pytest.raises(EndpointError, match="lists 1 users syncd does not know, and not 0 that it knows"):
        tour(options(tmp_path, samba_cache), Meddling(PrivateSamba(tmp_path / "samba", samba_cache)))
