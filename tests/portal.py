"""A portal on loopback, over TLS, and a browser without a screen: cookies, forms, and what was answered to the last byte."""

from __future__ import annotations

import html
import http.client
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from syncd.cli.portal import asks
from syncd.control import Answer, Question, Role
from syncd.control.peers import Peer
from syncd.control.server import Door
from syncd.control.server import listening as listening_to_pages
from syncd.daemon.portal import VERBS
from syncd.demo.certificates import write_certificates
from syncd.web.portal import portal
from syncd.web.portal.asking import Ask
from syncd.web.portal.pages import Place, Site
from syncd.web.portal.serving import Tls, listening
from syncd.web.portal.sessions import Clock, Sessions
from tests.fixtures.claims import claiming
from tests.fixtures.engine_world import World

HOST = "localhost"
TERMS: Mapping[str, Any] = {
    "district": "Oak Valley ISD",
    "claims": {"students": {"facts": ["name", "birth_date", "last4"], "last4": ["ssn4"]}},
    "password": {"words": [{"code": "min_length", "n": 12}, {"code": "no_name", "n": 0}, {"code": "no_birth_year", "n": 0}]},
}
MIA = {"given": "Mía", "family": "García López", "birth_date": "01/05/2012", "last4": "4711"}
GOOD = "purple tractor sings loudly"
SITE = Site(
    hosts=(HOST,),
    places={
        "ldap": Place({"en": "School computers and Wi-Fi", "es": "Computadoras y Wi-Fi de la escuela"}, ""),
        "google": Place({"en": "Google mail", "es": "Correo de Google"}, "https://mail.example/"),
    },
    help={"en": "Call 555-0100.", "es": "Llame al 555-0100."},
    contact="mailto:security@oak.example",
)
DONE = {
    "outcome": "done",
    "username": "mgarcia",
    "mail": "mgarcia@students.example",
    "works": ["ldap"],
    "later": ["google"],
    "earlier": False,
}


@dataclass
class Answers:
    """What is answered to the pages, by verb; a callable is told what was asked. `heard` is what was."""

    by_verb: dict[str, Any] = field(default_factory=dict)
    heard: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.as_ever()

    def as_ever(self) -> None:
        """Whoever claims is accepted, and every password is taken."""
        self.by_verb = {"terms": TERMS, "claim": {"outcome": "accepted", "ticket": "t1"}, "claim_password": DONE}
        self.heard = []

    def __call__(self, verb: str, told: Mapping[str, str]) -> object:
        """One answer; an exception is raised."""
        if verb != "terms":
            self.heard.append((verb, dict(told)))
        answer = self.by_verb[verb]
        if isinstance(answer, Exception):
            raise answer
        return answer(told) if callable(answer) else answer


@dataclass
class Portal:
    """Where it listens, how it is to be trusted, and where its files are."""

    port: int
    trust: ssl.SSLContext
    folder: Path
    connection: http.client.HTTPSConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPSConnection("localhost", self.port, timeout=60, context=self.trust)

    @property
    def url(self) -> str:
        """Its first page."""
        return f"https://{HOST}:{self.port}"


@contextmanager
def served(
    folder: Path,
    ask: Ask,
    clock: Clock = lambda: 1_800_000_000.0,
    site: Site = SITE,
    proxies: Sequence[str] = (),
    patience: float = 30.0,
) -> Iterator[Portal]:
    """A portal that asks this."""
    write_certificates(folder, [HOST])
    sessions = Sessions(folder / "portal", clock)
    tls = Tls(folder / "server.pem", folder / "server.key")
    try:
        with listening(portal(site, ask, sessions, clock), "127.0.0.1", 0, tls, proxies, lambda: None, patience) as (port, _):
            there = Portal(port, ssl.create_default_context(cafile=str(folder / "ca.pem")), folder / "portal")
            with closing(there.connection):  # one for all browsers: a handshake takes longer than a page
                yield there
    finally:
        sessions.close()


@dataclass
class Page:
    """What was answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def heading(self) -> str:
        """What the page is about."""
        return html.unescape(re.findall(r"<h1>(.*?)</h1>", self.text, re.DOTALL)[0])

    @property
    def words(self) -> str:
        """Everything a person reads of it."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.text.split("<main", 1)[1].partition(">")[2])).split())


@dataclass
class Browser:
    """Keeps cookies and speaks as browsers do; no redirect is followed unasked."""

    portal: Portal
    language: str = "en-US,en;q=0.9"
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    page: Page = field(default_factory=lambda: Page(0, {}, ""))

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Page:
        """One request, and its answer."""
        connection = self.portal.connection
        sent = {"Accept-Language": self.language, "Host": HOST, **self.headers, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            connection.request(method, path, body, sent)
            told = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLEOFError):  # it was idle for too long
            connection.close()
            connection.request(method, path, body, sent)
            told = connection.getresponse()
        text = told.read().decode()
        for name, value in told.getheaders():
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0].strip('"')
        self.page = Page(told.status, {name.lower(): value for name, value in told.getheaders()}, text)
        return self.page

    def get(self, path: str) -> Page:
        """Look at a page."""
        return self.ask("GET", path)

    def send(self, path: str, fields: Mapping[str, str], token: str | None = None) -> Page:
        """Send the form of the page that was looked at last, filled in like this."""
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.page.text)
        filled = {"token": token if token is not None else found[1] if found else "", **fields}
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.portal.url}
        return self.ask("POST", path, urlencode(filled).encode(), kind)

    def claim(self, **otherwise: str) -> Page:
        """Fill in who somebody is."""
        self.get("/claim")
        return self.send("/claim", {**MIA, **otherwise})

    def choose(self, password: str = GOOD, again: str | None = None) -> Page:
        """Fill in a password."""
        self.get("/claim/password")
        return self.send("/claim/password", {"password": password, "again": password if again is None else again})


@contextmanager
def claims_served(folder: Path, district: World, site: Site = SITE) -> Iterator[Portal]:
    """A portal on the real engine and store of this district, asked over the daemon's own socket, with the same clock."""
    desk = claiming(district)

    def serve(_: Peer, question: Question) -> Answer:
        verb = VERBS[question.verb]
        return verb.handler(desk, **verb.told(question))

    socket = folder / "portal.sock"
    with (
        listening_to_pages(socket, Door(0o600), VERBS, lambda _: {Role.VIEW}, serve),
        served(folder, asks(socket), lambda: district.clock().timestamp(), site) as there,
    ):
        yield there
