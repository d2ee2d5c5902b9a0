"""A claim from the browser to the account: the pages, the daemon's socket, and the real engine and store behind it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fixtures.claims import FACTS, PASSWORD, claims_world, passwords
from tests.fixtures.engine_world import World
from tests.portal import Browser, Page, Portal, claims_served


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students whose accounts wait to be claimed."""
    with claims_world(tmp_path / "district") as made:
        yield made


@pytest.fixture
def portal(tmp_path: Path, district: World) -> Iterator[Portal]:
    """Its portal."""
    with claims_served(tmp_path, district) as there:
        yield there


@pytest.fixture
def browser(portal: Portal) -> Browser:
    """A browser there."""
    return Browser(portal)


def tries(browser: Browser, **otherwise: str) -> Page:
    """María José types who she is, some of it otherwise."""
    return browser.claim(**{**FACTS, **otherwise})


def test_what_somebody_chose_is_the_password_of_an_account_that_is_open_now(browser: Browser, district: World) -> None:
    """And its name, which nobody was told before, is what the page says."""
    username = district.account("s1").rdn
    assert (district.account("s1").enabled, tries(browser).status) == (False, 303)
    told = browser.get("/claim/password")
    assert "has 12 characters or more" in told.words
    assert username not in told.text
    assert browser.choose("my digits 8317 are here").status == 422
    assert "Leave the four digits out of it" in browser.page.words
    assert (district.account("s1").enabled, browser.choose(PASSWORD).headers["location"]) == (False, "/claim/done")
    page = browser.get("/claim/done").words
    assert username in page
    assert f"{username}@students.lonestar.example.org" in page
    assert "School computers and Wi-Fi" in page
    assert (district.account("s1").enabled, passwords(district)["s1"]) == (True, PASSWORD)


def test_after_five_wrong_tries_the_page_locks_and_after_its_minutes_it_does_not(browser: Browser, district: World) -> None:
    """The right facts do not help meanwhile; nobody else is kept out."""
    assert [tries(browser, last4=f"000{number}").status for number in range(5)] == [403] * 5
    locked = tries(browser)
    assert (locked.status, "Wait 15 minutes" in locked.words) == (429, True)
    assert tries(browser, given="Bao", family="Phan", birth_date="03/04/2011", last4="4471").status == 303
    district.clock.now += timedelta(minutes=14, seconds=30)
    assert (tries(browser).status, "Wait one minute" in browser.page.words) == (429, True)
    district.clock.now += timedelta(minutes=1)
    assert tries(browser).status == 303


def test_a_page_does_not_tell_who_exists_who_has_claimed_and_what_was_wrong(browser: Browser, district: World) -> None:
    """To the last byte; what was typed stands in it, and is therefore taken out before they are compared."""
    tries(browser)
    browser.choose(PASSWORD)
    district.clock.now += timedelta(minutes=20)
    typed = (
        {},  # has claimed
        {"last4": "0001"},
        {"given": "Bao", "family": "Phan", "birth_date": "03/04/2011", "last4": "0001"},  # exists
        {"given": "Bao", "family": "Phan", "birth_date": "03/05/2011", "last4": "4471"},  # wrong day
        {"given": "Nobody", "family": "Atall", "birth_date": "02/02/2010", "last4": "1111"},
    )
    pages = []
    for one in typed:
        page = tries(browser, **one)
        text = page.text
        for name, value in ({**FACTS, **one}).items():
            text = text.replace(f'value="{value}"', f'value="{name}"')
        pages.append((page.status, text, page.headers.keys() - {"date"}, len(text)))
    assert pages[0][0] == 403
    assert pages == [pages[0]] * len(pages)


def test_who_claims_with_the_daemon_away_waits_and_goes_on_where_they_were(
    tmp_path: Path, browser: Browser, district: World
) -> None:
    """The socket is gone, and comes back: nothing is to be typed again but the password."""
    tries(browser)
    browser.get("/claim/password")
    socket, aside = tmp_path / "portal.sock", tmp_path / "aside.sock"
    socket.rename(aside)
    assert (browser.choose(PASSWORD).status, browser.page.heading) == (503, "Choose your password")
    aside.rename(socket)
    assert browser.choose(PASSWORD).headers["location"] == "/claim/done"
    assert passwords(district)["s1"] == PASSWORD
