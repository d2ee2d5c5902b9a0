"""The portal's pages in Chromium: on a phone and at a desk, in both languages, with and without JavaScript, and for everybody.

Behind them are the real engine and store of a small district. SYNCD_SCREENSHOTS=1 makes the pictures in docs/how-to/portal anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.fixtures.claims import FACTS, PASSWORD, claims_world, passwords
from tests.fixtures.engine_world import World
from tests.portal import Portal, claims_served

CHROMIUM = Path("/usr/bin/chromium")
PICTURES = Path(__file__).parents[2] / "docs" / "how-to" / "portal"
PHONE, DESK, NARROW = {"width": 360, "height": 740}, {"width": 1024, "height": 768}, {"width": 320, "height": 640}
LABELS = {
    "en": {"given": "Legal first name", "family": "Legal last name", "birth_date": "Date of birth", "last4": "Last four digits"},
    "es": {"given": "Nombre legal", "family": "Apellido legal", "birth_date": "Fecha de nacimiento", "last4": "Últimos cuatro"},
}
"""How each field is called, as far as it goes."""
_BAD = ("error", "warning")
OF_AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all: it takes seconds to start."""
    with sync_playwright() as playwright:
        program = CHROMIUM if CHROMIUM.exists() else Path(playwright.chromium.executable_path)  # the driver's own
        if not program.exists():
            pytest.fail("Chromium is missing: apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=str(program), args=["--no-sandbox"], timeout=120_000)
        yield browser
        browser.close()


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students whose accounts wait to be claimed, and who are locked after two wrong tries: each takes a browser its time."""
    with claims_world(tmp_path / "district", "  limits: { tries: 2 }\n") as made:
        yield made


@pytest.fixture
def portal(tmp_path: Path, district: World) -> Iterator[Portal]:
    """Its portal."""
    with claims_served(tmp_path, district) as there:
        yield there


@contextmanager
def looking(chromium: Browser, portal: Portal, size: Any, language: str = "en-US", *, scripts: bool = True) -> Iterator[Page]:
    """A page of a browser of this size and language, which reports whatever it refuses."""
    context = chromium.new_context(
        viewport=size, locale=language, java_script_enabled=scripts, ignore_https_errors=True, base_url=portal.url
    )
    context.set_default_timeout(120_000)
    page = context.new_page()
    refused: list[str] = []
    page.on("console", lambda one: refused.append(one.text) if one.type in _BAD and "status of 4" not in one.text else None)
    page.on("pageerror", lambda one: refused.append(str(one)))
    yield page
    context.close()
    assert refused == []


def fill(page: Page, language: str, **otherwise: str) -> None:
    """Type who María José is, and send it."""
    for name, value in {**FACTS, **otherwise}.items():
        page.get_by_label(LABELS[language][name]).fill(value)
    page.locator("main button[type=submit]").click()


def choose(page: Page, password: str) -> None:
    """Type a password twice, and send it."""
    for name in ("password", "again"):
        page.locator(f"#{name}").fill(password)
    page.locator("main button[type=submit]").click()


def is_for_everybody(page: Page) -> None:
    """axe-core finds nothing against it, nothing sticks out at the side, and what is to be touched is large enough for a thumb."""
    found = Axe().run(page, options={"runOnly": OF_AA}).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    small = "[...document.querySelectorAll('a.button, button, input, nav a')].filter(e => e.offsetParent && e.offsetHeight < 40)"
    assert page.evaluate(f"{small}.map(e => e.outerHTML)") == []


def picture(page: Page, name: str) -> None:
    """Keep what it looks like, where that was asked for."""
    if os.environ.get("SYNCD_SCREENSHOTS"):
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def test_somebody_claims_their_account_on_a_phone(chromium: Browser, portal: Portal, district: World) -> None:
    """A wrong mask, a wrong digit, a weak password, then the right ones; every page on the way is one for everybody."""
    with looking(chromium, portal, PHONE) as page:
        page.goto("/")
        is_for_everybody(page)
        page.get_by_role("link", name="Get my account").click()
        fill(page, "en", birth_date="2012-07-23")
        assert "for example 01/05/2012" in page.locator("#birth_date-why").inner_text()
        assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        picture(page, "mask-en")
        is_for_everybody(page)
        fill(page, "en", last4="0000")
        assert "does not match" in page.get_by_role("alert").inner_text()
        fill(page, "en")
        page.wait_for_url("**/claim/password")
        picture(page, "password-en")
        choose(page, "Maria Garcia 2012")
        assert page.locator("#password").get_attribute("aria-invalid") == "true"
        is_for_everybody(page)
        choose(page, PASSWORD)
        page.wait_for_url("**/claim/done")
        assert page.locator("dd").first.inner_text() == district.account("s1").rdn
        picture(page, "done-en")
        is_for_everybody(page)
        assert passwords(district)["s1"] == PASSWORD
        page.get_by_role("button", name="Finish").click()
        page.wait_for_url(f"{portal.url}/")


def test_somebody_claims_their_account_in_spanish(chromium: Browser, portal: Portal, district: World) -> None:
    """At a desk, because the browser likes that language best."""
    with looking(chromium, portal, DESK, "es-MX") as page:
        page.goto("/claim")
        assert page.locator("html").get_attribute("lang") == "es"
        picture(page, "claim-es")
        fill(page, "es", birth_date="23/07/2012")
        assert "por ejemplo 01/05/2012" in page.get_by_role("alert").inner_text()
        fill(page, "es")
        page.wait_for_url("**/claim/password")
        choose(page, PASSWORD)
        page.wait_for_url("**/claim/done")
        assert page.get_by_role("heading", level=1).inner_text() == "Su cuenta está lista"
        assert district.account("s1").rdn in page.locator("dl").inner_text()
        picture(page, "done-es")


def test_without_javascript_everything_works_but_the_eye(chromium: Browser, portal: Portal, district: World) -> None:
    """And the language can be changed on the way, which sends nobody back to the beginning."""
    with looking(chromium, portal, NARROW, scripts=False) as page:
        page.goto("/claim")
        fill(page, "en")
        assert page.title() == "Choose your password – Test ISD"
        assert not page.locator("button.eye").is_visible()
        page.get_by_role("link", name="Español").click()
        assert page.get_by_role("heading", level=1).inner_text() == "Elija su contraseña"
        choose(page, PASSWORD)
        assert page.get_by_role("heading", level=1).inner_text() == "Su cuenta está lista"
        assert district.account("s1").enabled


def test_a_locked_page_opens_again_after_its_minutes(chromium: Browser, portal: Portal, district: World) -> None:
    """As whoever waits sees it."""
    with looking(chromium, portal, PHONE) as page:
        page.goto("/claim")
        for digits in ("0001", "0002"):
            fill(page, "en", last4=digits)
        fill(page, "en")
        assert "Wait 15 minutes" in page.get_by_role("alert").inner_text()
        picture(page, "locked-en")
        district.clock.now += timedelta(minutes=15, seconds=1)
        fill(page, "en")
        page.wait_for_url("**/claim/password")


def test_the_eye_shows_what_was_typed_and_a_keyboard_reaches_everything(chromium: Browser, portal: Portal) -> None:
    """What is sent is a password again, so that managers know it for one."""
    with looking(chromium, portal, DESK) as page:
        page.goto("/claim")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        for name in FACTS.values():
            page.keyboard.press("Tab")
            page.keyboard.type(name)
        page.keyboard.press("Enter")
        page.wait_for_url("**/claim/password")
        eye = page.get_by_role("button", name="Show the password")
        page.locator("#password").fill("some words of mine")
        eye.click()
        assert [page.locator(f"#{name}").get_attribute("type") for name in ("password", "again")] == ["text", "text"]
        assert page.locator("button.eye").get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Hide the password").click()
        assert page.locator("#password").get_attribute("type") == "password"
        assert page.locator("#password").get_attribute("autocomplete") == "new-password"
