"""Disasters of an Active Directory domain against a small district in a real one: nobody is wrongly touched, and people are told.

The same code as `script/bench disasters --ad`, which plays them all against 20 campuses and 4,000 students.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.disasters import Disaster, play, registered_in_a_domain
from bench.ground_domain import REDUCED, DomainSite, domain_site
from syncd.demo.slapd import Binaries
from tests.conftest import NIGHTLY

ALL = registered_in_a_domain()
BY_DAY = ("branch-hidden", "controller-dies")
"""What only a domain does so; the nightly run and `script/bench disasters --ad` play all."""
PLAYED = [one for one in ALL if NIGHTLY or one.id in BY_DAY]


@pytest.fixture(scope="module")
def here(openldap: Binaries, samba_cache: Path) -> Iterator[DomainSite]:
    """The district, set up once and put back before each disaster. OpenLDAP's client comes with the slapd."""
    with (
        tempfile.TemporaryDirectory(prefix="syncd-disasters-") as folder,
        domain_site(openldap, Path(folder), REDUCED, samba_cache) as one,
    ):
        yield one


def test_each_says_what_it_guards_against() -> None:
    """And what strikes, and what its twin is; at least eight, each with a name of its own."""
    told = [(one.id, part.__doc__) for one in ALL for part in (type(one), type(one).strike, type(one).benign)]
    assert [name for name, text in told if not text] == []
    assert len({one.id for one in ALL}) == len(ALL) >= 8
    assert {one.id for one in PLAYED} >= set(BY_DAY)


@pytest.mark.parametrize("disaster", PLAYED, ids=lambda one: one.id)
def test_nobody_is_wrongly_touched_the_reason_is_told_and_what_was_due_is_done_afterwards(
    here: DomainSite, disaster: Disaster
) -> None:
    """Read back with ldapsearch; the truly changed of other campuses are updated; the benign twin is not held."""
    outcome = play(here, disaster)
    assert outcome.problems == ()
    assert outcome.wrongly_touched == 0
