"""The portal's pages over TLS: what somebody who claims an account sees, and what somebody who should not gets."""

from __future__ import annotations

import re
import socket
import sqlite3
import ssl
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from syncd.errors import EndpointError, TransientError
from syncd.web.portal.guarding import HEADERS, LONGEST_BODY
from syncd.web.portal.pages import Site
from syncd.web.portal.sessions import ABSOLUTE, FILE, IDLE
from tests.portal import DONE, GOOD, HOST, MIA, SITE, TERMS, Answers, Browser, Page, Portal, served

ROUTES = ("/", "/claim", "/claim/password", "/claim/done", "/.well-known/security.txt", "/nowhere", "/static/portal.css")
FORMS = ("/claim", "/claim/password", "/claim/finish")


class Time:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


_ANSWERS, _CLOCK = Answers(), Time()


@pytest.fixture
def answers() -> Answers:
    """Who claims is accepted, unless the test says otherwise."""
    _ANSWERS.as_ever()
    return _ANSWERS


@pytest.fixture
def clock() -> Time:
    """The portal's clock; it goes on from test to test."""
    return _CLOCK


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """One portal for all."""
    with served(tmp_path_factory.mktemp("portal"), _ANSWERS, _CLOCK) as there:
        yield there


@pytest.fixture
def browser(portal: Portal, answers: Answers) -> Browser:
    """A browser that speaks English."""
    assert answers.heard == []
    return Browser(portal)


# --- a claim ----------------------------------------------------------------------------------------------------------


def test_who_claims_learns_the_username_the_mail_address_and_where_to_go(browser: Browser, answers: Answers) -> None:
    """From the first page to the last; what was typed goes to the daemon as it was typed, with the browser's address."""
    assert "Oak Valley ISD" in browser.get("/").text
    assert (browser.claim().status, browser.page.headers["location"]) == (303, "/claim/password")
    assert (browser.choose().status, browser.page.headers["location"]) == (303, "/claim/done")
    told = browser.get("/claim/done").words
    for word in ("mgarcia", "mgarcia@students.example", "School computers and Wi-Fi", "Google mail", "Ready in some minutes"):
        assert word in told
    assert answers.heard == [
        ("claim", {**MIA, "address": "127.0.0.1", "device": ""}),
        ("claim_password", {"ticket": "t1", "password": GOOD, "address": "127.0.0.1"}),
    ]


def test_whoever_finishes_leaves_nothing_behind(browser: Browser) -> None:
    """The next one at the same screen cannot go back, and the cookie is gone."""
    browser.claim()
    browser.choose()
    browser.get("/claim/done")
    kept = dict(browser.cookies)
    assert browser.send("/claim/finish", {}).headers["location"] == "/"
    assert "Max-Age=0" in browser.page.headers["set-cookie"]
    browser.cookies = kept
    assert browser.get("/claim/done").headers["location"] == "/claim"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"birth_date": "2012-01-05"}, "as MM/DD/YYYY, with slashes, for example 01/05/2012."),
        ({"birth_date": "1/5/2012"}, "as MM/DD/YYYY, with slashes, for example 01/05/2012."),
        ({"birth_date": "01052012"}, "as MM/DD/YYYY, with slashes, for example 01/05/2012."),
        ({"birth_date": "02/30/2012"}, "There is no such day."),
        ({"birth_date": "15/01/2012"}, "There is no such day."),
        ({"last4": "471"}, "Type exactly four digits."),
        ({"last4": "471a"}, "Type exactly four digits."),
        ({"given": " "}, "Type your first name."),
        ({"family": "!"}, "Type your last name."),
    ],
)
def test_what_has_a_wrong_mask_is_told_so_before_anything_is_compared(
    browser: Browser, answers: Answers, typed: dict[str, str], told: str
) -> None:
    """Nothing is sent on, so nothing is counted; the field is marked, what was typed stands there, the digits do not."""
    page = browser.claim(**typed)
    (field,) = typed
    assert (page.status, answers.heard) == (422, [])
    assert told in page.words
    assert re.search(rf'<input id="{field}"[^>]*aria-invalid="true"', page.text)
    assert page.headers["content-language"] == "en"
    assert [one for one in ("given", "family", "birth_date") if f'value="{({**MIA, **typed})[one].strip()}"' not in page.text] == []
    assert f'value="{({**MIA, **typed})["last4"]}"' not in page.text


def test_blanks_around_what_was_typed_do_not_matter(browser: Browser, answers: Answers) -> None:
    """Keyboards of phones put one behind every word."""
    browser.claim(**{name: f" {value} " for name, value in MIA.items()})
    assert answers.heard == [("claim", {**MIA, "address": "127.0.0.1", "device": ""})]


def test_there_are_three_answers_and_each_is_the_same_for_everybody(browser: Browser, answers: Answers) -> None:
    """Byte by byte for one browser, its headers but for the date included."""
    seen = set()
    for outcome, status in (({"outcome": "refused"}, 403), ({"outcome": "locked", "minutes": 15}, 429)):
        answers.by_verb["claim"] = outcome
        pages = [browser.claim(last4=digits) for digits in ("0001", "0002", "0003")]
        assert [page.status for page in pages] == [status] * 3
        assert len({(page.text, *sorted(set(page.headers.items()) - {("date", page.headers["date"])})) for page in pages}) == 1
        seen.add(pages[0].text)
    assert len(seen) == 2
    assert "Wait 15 minutes" in browser.page.words
    assert browser.page.headers["retry-after"] == "900"


def test_a_language_is_what_the_browser_likes_until_somebody_chooses(browser: Browser) -> None:
    """A choice is remembered, in a cookie that no other site sees."""
    browser.language = "es-MX,es;q=0.9,en;q=0.5"
    page = browser.get("/claim")
    assert ('<html lang="es">' in page.text, page.heading) == (True, "Active su cuenta: ¿quién es usted?")
    assert browser.get("/claim?lang=en").heading == "Get your account: who are you?"
    assert browser.get("/claim").heading == "Get your account: who are you?"
    browser.language = "fr"
    browser.cookies.clear()
    assert '<html lang="en">' in browser.get("/claim?lang=fr").text
    assert "01/05/2012" in browser.claim(birth_date="5.1.2012").words


# --- the password -----------------------------------------------------------------------------------------------------


def test_what_a_password_must_be_is_told_beforehand(browser: Browser) -> None:
    """The directory's own demands, and ours."""
    browser.claim()
    told = browser.get("/claim/password").words
    for demand in (
        "has 12 characters or more",
        "does not have your year of birth in it",
        "no row of digits like 1234",
        "not easy to guess",
    ):
        assert demand in told


@pytest.mark.parametrize(
    ("password", "again", "told"),
    [
        ("", "", "Type a password."),
        ("short tale", None, "Use 12 characters or more."),
        ("x" * 101, None, "Use 100 characters or fewer."),
        ("Garcia tractor sings", None, "Leave your own name out of it."),
        ("purple tractor 2012 sings", None, "Leave your year of birth out of it."),
        ("purple tractor 1234 sings", None, "Leave out rows of digits like 1234."),
        ("passwordpassword", None, "too easy to guess"),
        ("purple tractor\x00sings", None, "no keyboard has"),
        (GOOD, GOOD.upper(), "The two passwords are not the same."),
    ],
)
def test_a_password_that_will_not_do_is_not_offered_to_the_directory(
    browser: Browser, answers: Answers, password: str, again: str | None, told: str
) -> None:
    """All that is wrong is told at once; the page never holds what was typed."""
    browser.claim()
    page = browser.choose(password, again)
    assert (page.status, [verb for verb, _ in answers.heard]) == (422, ["claim"])
    assert told in page.words
    assert not password or password not in page.text
    assert browser.choose().headers["location"] == "/claim/done"


def test_what_the_directory_does_not_take_is_told_in_words(browser: Browser, answers: Answers) -> None:
    """Also a reason that is newer than the pages; the ticket stays good."""
    browser.claim()
    answers.by_verb["claim_password"] = {
        "outcome": "password",
        "reasons": [{"code": "kinds", "n": 3}, {"code": "unheard of", "n": 0}],
    }
    page = browser.choose()
    assert page.status == 422
    assert "Use 3 of these: capital letters" in page.words
    assert "The directory does not take this password." in page.words
    answers.by_verb["claim_password"] = {"outcome": "later", "why": "away"}
    assert (browser.choose().status, "Nothing is lost" in browser.page.words) == (503, True)
    answers.by_verb["claim_password"] = DONE
    assert browser.choose().headers["location"] == "/claim/done"
    assert [told["ticket"] for verb, told in answers.heard if verb == "claim_password"] == ["t1"] * 3


def test_a_ticket_that_has_run_out_begins_anew(browser: Browser, answers: Answers) -> None:
    """The session ends with it."""
    browser.claim()
    answers.by_verb["claim_password"] = {"outcome": "expired"}
    assert (browser.choose().status, browser.page.heading) == (410, "Too much time has passed")
    assert browser.get("/claim/password").headers["location"] == "/claim"


def test_who_had_been_answered_too_late_is_told_which_password_counts(browser: Browser, answers: Answers) -> None:
    """The first one: it was set, though its answer got lost."""
    answers.by_verb["claim_password"] = {**DONE, "earlier": True}
    browser.claim()
    browser.choose()
    assert "Your first try had worked" in browser.get("/claim/done").words


def test_who_has_claimed_is_told_the_username_though_the_daemon_has_gone(browser: Browser, answers: Answers, clock: Time) -> None:
    """What else asks it says that it does not work just now."""
    browser.claim()
    browser.choose()
    clock.now += 31
    answers.by_verb["terms"] = EndpointError("portal", "no daemon answers")
    assert (browser.get("/claim").status, browser.get("/claim/done").status) == (503, 200)
    assert "mgarcia@students.example" in browser.page.words


def test_an_account_that_was_opened_is_told_of_whatever_the_portals_own_file_does(tmp_path: Path, answers: Answers) -> None:
    """The file breaks while the password is being set: nobody is left with an account whose name they do not know."""
    with served(tmp_path, answers) as there:

        def breaks(_: object) -> object:
            with closing(sqlite3.connect(there.folder / FILE)) as rows:
                rows.execute("DROP TABLE session")
            return DONE

        answers.by_verb["claim_password"] = breaks
        browser = Browser(there)
        browser.claim()
        page = browser.choose()
        assert (page.status, "mgarcia@students.example" in page.words) == (200, True)
        assert browser.get("/claim/done").status == 503


def test_a_password_that_is_sent_twice_is_set_once(browser: Browser, answers: Answers) -> None:
    """A second click, or a page loaded anew, ends at the same last page."""
    browser.claim()
    browser.get("/claim/password")
    form = browser.page
    for _ in range(2):
        browser.page = form
        assert browser.send("/claim/password", {"password": GOOD, "again": GOOD}).headers["location"] == "/claim/done"
    assert [verb for verb, _ in answers.heard] == ["claim", "claim_password"]


# --- sessions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "times", "lives"),
    [(IDLE, 1, True), (IDLE + 1, 1, False), (IDLE, ABSOLUTE // IDLE, True), (IDLE, ABSOLUTE // IDLE + 1, False), (-60, 1, False)],
)
def test_a_session_ends_when_nobody_is_there_and_at_the_latest_after_half_an_hour(
    browser: Browser, clock: Time, seconds: float, times: int, *, lives: bool
) -> None:
    """Also where the clock was set back to before it began."""
    browser.claim()
    for _ in range(times):
        clock.now += seconds
        status = browser.get("/claim/password").status
    assert status == (200 if lives else 303)


def test_nothing_of_anybody_is_in_any_file_of_the_portal(browser: Browser) -> None:
    """Neither what was typed nor the username, nor what opens the rows; and nobody else on the machine may read them."""
    browser.claim()
    browser.choose()
    (kept,) = (value for name, value in browser.cookies.items() if "session" in name)
    folder = browser.portal.folder
    files = {path: path.read_bytes() for path in folder.rglob("*")}
    assert folder / FILE in files
    secrets = ("García", "Garc", "4711", "01/05/2012", "2012", "mgarcia", 't1"', GOOD, kept)
    assert [(path.name, word) for path, held in files.items() for word in secrets if word.encode() in held] == []
    assert [path.name for path in (folder, *files) if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_who_was_accepted_gets_another_secret(browser: Browser) -> None:
    """Whoever put a cookie into somebody's browser is not signed in with them."""
    browser.get("/claim")
    (before,) = browser.cookies.values()
    browser.claim()
    (after,) = browser.cookies.values()
    browser.cookies = dict.fromkeys(browser.cookies, before)
    assert after != before
    assert browser.get("/claim/password").headers["location"] == "/claim"


def test_the_cookie_is_for_this_site_over_tls_and_for_no_script(browser: Browser) -> None:
    """The prefix makes browsers refuse one that another host set."""
    cookie = browser.get("/claim").headers["set-cookie"]
    assert cookie.startswith("__Host-session=")
    assert {part.strip() for part in cookie.lower().split(";")[1:]} == {"path=/", "secure", "httponly", "samesite=lax"}


# --- who should not ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("way", ["no token", "another browser's", "no cookie", "from elsewhere", "says it is from elsewhere"])
def test_a_form_that_is_not_ours_does_nothing(browser: Browser, answers: Answers, path: str, way: str) -> None:
    """Neither token nor cookie can be had by another site's page, and browsers say where a form is from."""
    browser.claim()
    answers.heard.clear()
    browser.get("/claim/password")
    token = None
    if way == "no token":
        token = ""
    elif way == "another browser's":
        browser.page = Browser(browser.portal).get("/claim")
    elif way == "no cookie":
        browser.cookies.clear()
    elif way == "from elsewhere":
        browser.headers["Sec-Fetch-Site"] = "cross-site"
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": browser.portal.url}
    if way == "says it is from elsewhere":
        kind["Origin"] = "https://evil.example"
    found = re.search(r'name="token" value="([0-9a-f]+)"', browser.page.text)
    assert found
    fields = {**MIA, "password": GOOD, "again": GOOD, "token": found[1] if token is None else token}
    page = browser.ask("POST", path, urlencode(fields).encode(), kind)
    assert (page.status, answers.heard) == (403, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_every_answer_tells_browsers_what_to_refuse_and_to_keep_nothing(browser: Browser, method: str) -> None:
    """Whatever is asked, and however it is answered; no redirect leads elsewhere."""
    for path in (*ROUTES, "/claim?lang=es", "//evil.example/", "/%2e%2e/etc/passwd", "/static/../__init__.py"):
        answered_safely(browser.ask(method, path), path)


def answered_safely(page: Page, path: str) -> None:
    """As every page is, this one too."""
    assert [name for name, value in HEADERS.items() if page.headers.get(name.lower()) != value] == []
    assert page.status in {200, 303, 400, 404, 405}, path
    assert page.headers["cache-control"] == (
        "public, max-age=86400, immutable" if page.status == 200 and "/static/" in path else "no-store"
    )
    assert page.headers.get("location", "/claim") == "/claim"
    assert "server" not in page.headers
    assert "evil" not in page.text


def test_no_page_needs_what_the_policy_refuses(browser: Browser) -> None:
    """No style or script stands in a page, and nothing comes from elsewhere."""
    pages = [browser.get("/"), browser.get("/claim"), browser.claim(last4=""), browser.claim(), browser.get("/claim/password")]
    pages += [browser.choose("short"), browser.choose(), browser.get("/claim/done"), browser.get("/nowhere")]
    for page in pages:
        assert not re.search(r"<style|<script(?! src=\"/static/)|\son\w+=|\sstyle=|javascript:", page.text)
        assert set(re.findall(r'(?:src|href|action)="(?!/|#)([^"]*)"', page.text)) <= {"https://mail.example/"}


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "localhost@evil.example", "[", "127.0.0.1"])
def test_another_host_is_refused(browser: Browser, answers: Answers, host: str) -> None:
    """A name that an attacker points here gets no page of ours to play with."""
    browser.headers["Host"] = host
    assert (browser.get("/claim").status, answers.heard) == (400, [])
    assert "evil" not in browser.page.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"x" * (LONGEST_BODY + 1), "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a=1" for _ in range(17)), "application/x-www-form-urlencoded", 400),
        (b"given=\xff", "application/x-www-form-urlencoded", 400),
        (b"given=%ff", "application/x-www-form-urlencoded", 400),
        (b'{"given": "Mia"}', "application/json", 400),
        (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 400),
        (b"", "application/x-www-form-urlencoded", 403),
    ],
)
def test_what_is_no_form_is_refused(browser: Browser, answers: Answers, body: bytes, kind: str, status: int) -> None:
    """Too long, too many fields, another kind, no text."""
    browser.get("/claim")
    assert browser.ask("POST", "/claim", body, {"Content-Type": kind}).status == status
    assert answers.heard == []


def test_whoever_sends_slowly_is_let_go(tmp_path: Path, answers: Answers) -> None:
    """Whether nothing, a part of a head or a part of a body came; what was answered meanwhile is no sign of life."""
    head, body = b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"Content-Length: 9\r\n\r\nx"
    parts = (b"", b"GET / HT", head.replace(b"GET /", b"POST /claim") + body, head + body)
    with served(tmp_path, answers, patience=0.3) as there, ExitStack() as whole:
        wires = []
        for part in parts:
            raw = socket.create_connection(("127.0.0.1", there.port), timeout=60)
            wires.append(whole.enter_context(there.trust.wrap_socket(raw, server_hostname=HOST)))
            wires[-1].sendall(part)
        for wire in wires:
            with suppress(ConnectionError, ssl.SSLEOFError):
                while wire.recv(65_536):
                    pass
        assert Browser(there).get("/").status == 200


@pytest.mark.parametrize(("proxies", "told"), [((), "127.0.0.1"), (("127.0.0.0/8",), "203.0.113.7")])
def test_where_somebody_comes_from_is_the_word_of_a_proxy_we_trust(
    tmp_path: Path, answers: Answers, proxies: tuple[str, ...], told: str
) -> None:
    """The last address that no trusted proxy put there; whoever is none says nothing of it."""
    with served(tmp_path, answers, proxies=proxies) as there:
        browser = Browser(there, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto": "https"})
        browser.claim()
        assert [heard["address"] for _, heard in answers.heard] == [told]
        browser.headers["X-Forwarded-For"] = "nonsense"
        browser.claim()
        assert answers.heard[-1][1]["address"] == ("0.0.0.0" if proxies else "127.0.0.1")  # noqa: S104 — an address that is none


@pytest.mark.parametrize(
    "trouble",
    [
        EndpointError("portal", "no daemon answers"),
        TransientError("busy"),
        {"outcome": "what"},
        "text",
        {"outcome": "accepted", "ticket": 7},
    ],
)
def test_without_a_daemon_that_answers_the_pages_say_so(browser: Browser, answers: Answers, trouble: object) -> None:
    """It is no fault of whoever is there, and it passes."""
    answers.by_verb["claim"] = trouble
    assert (browser.claim().status, browser.page.heading) == (503, "This does not work just now")
    answers.by_verb["claim"] = {"outcome": "accepted", "ticket": "t1"}
    assert browser.claim().status == 303


def test_weaknesses_are_reported_to_whom_the_settings_name(tmp_path: Path, browser: Browser, answers: Answers, clock: Time) -> None:
    """RFC 9116; where nobody is named there is no such file."""
    clock.now = 1_800_000_000.0
    told = browser.get("/.well-known/security.txt").text.splitlines()
    assert told == ["Contact: mailto:security@oak.example", "Expires: 2027-07-14T08:00:00Z", "Preferred-Languages: en, es"]
    (tmp_path / "other").mkdir()
    with served(tmp_path / "other", answers, site=replace(SITE, contact="")) as there:
        assert Browser(there).get("/.well-known/security.txt").status == 404


def test_with_one_language_there_is_nothing_to_choose(tmp_path: Path, answers: Answers) -> None:
    """And a population that proves itself by one of two numbers is asked for either."""
    either = {**TERMS, "claims": {"students": {"last4": ["ssn4", "s_number4"]}}}
    answers.by_verb["terms"] = either
    with served(tmp_path, answers, site=Site((HOST,), ("es",))) as there:
        page = Browser(there).get("/claim?lang=en")
        assert ("<nav" in page.text, '<html lang="es">' in page.text) == (False, True)
        assert "Seguro Social o de su número S de Texas" in page.words
