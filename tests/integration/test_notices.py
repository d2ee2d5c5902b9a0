"""Messages arrive: by SMTP with TLS, at a webhook with a certificate, at a command; and never where they must not go (R42)."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from syncd.assembly import Running
from syncd.daemon.channels import send
from syncd.daemon.herald import Herald, digest
from syncd.demo.slapd import PrivateSlapd
from syncd.engine.devices import Devices
from syncd.errors import ConfigError
from syncd.settings import Email, Notify, Webhook, load
from syncd.vault import Credentials
from tests.conftest import write_secret
from tests.fixtures.engine_world import World, world
from tests.fixtures.health_states import health_of, mortal, settled, shrunk

SUBJECT, TEXT = "syncd Test ISD: critical: campus 012", "CRITICAL: campus 012: held\n"


@dataclass
class Heard:
    """What a server was told."""

    lines: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def certified(server: PrivateSlapd) -> ssl.SSLContext:
    """A server's context with the private directory's certificate, which is for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = server.ca_file.parent
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


@contextlib.contextmanager
def mail_server(context: ssl.SSLContext, heard: Heard) -> Iterator[int]:
    """An SMTP server with STARTTLS and AUTH PLAIN, as RFC 5321, 3207 and 4954 describe them; its port."""

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 localhost ESMTP")
            while line := self.rfile.readline().decode().strip():
                heard.lines.append(line)
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    self.say("250-localhost", "250-AUTH PLAIN", "250 STARTTLS")
                elif verb == "STARTTLS":
                    self.say("220 go ahead")
                    self.connection = context.wrap_socket(self.connection, server_side=True)
                    self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
                elif verb == "AUTH":
                    self.say("235 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    body = []
                    while (text := self.rfile.readline()) != b".\r\n":
                        body.append(text)
                    heard.bodies.append(b"".join(body))
                    self.say("250 kept")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def finish(self) -> None:
            super().finish()
            self.connection.close()  # the encrypted one, of which the server does not know

        def say(self, *lines: str) -> None:
            self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())
            self.wfile.flush()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        yield from _served(server)


@contextlib.contextmanager
def web_server(context: ssl.SSLContext, heard: Heard, status: int = 204) -> Iterator[int]:
    """A web server that keeps what is posted and answers with a status; its port."""

    class Request(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.lines.append(self.path)
            heard.headers.append(dict(self.headers))
            heard.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Location", "https://localhost/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Request) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield from _served(server)


def _served(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]  # an address and a port
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def secrets(tmp_path: Path) -> Credentials:
    """A folder with a password and a token."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    write_secret(folder / "smtp", "correct horse")
    write_secret(folder / "token", "battery staple")
    return Credentials(folder)


def mail(port: int, ca_file: Path | None, **changed: object) -> Notify:
    """E-mail to a server on this host."""
    email = Email("localhost", "syncd@test.example", ("it@test.example", "boss@test.example"), port, ca_file=ca_file)
    return Notify(email=replace(email, **changed))  # type: ignore[arg-type]  # the callers spell the fields


def test_a_message_arrives_by_mail_over_tls(slapd: PrivateSlapd, secrets: Credentials) -> None:
    """STARTTLS with a verified certificate before anybody signs in; both recipients; the text as it is."""
    heard = Heard()
    with mail_server(certified(slapd), heard) as port:
        notify = mail(port, slapd.ca_file, user="syncd", credential="smtp")
        assert send(notify, secrets, SUBJECT, TEXT, {}) == {}
    verbs = [line.split(" ")[0].upper() for line in heard.lines]
    assert verbs.index("STARTTLS") < verbs.index("AUTH") < verbs.index("MAIL")
    assert verbs.count("RCPT") == 2
    (body,) = heard.bodies
    assert b"Subject: syncd Test ISD: critical: campus 012\r\n" in body
    assert b"Auto-Submitted: auto-generated\r\n" in body
    assert b"CRITICAL: campus 012: held" in body


def test_a_certificate_that_nobody_signed_gets_no_message(slapd: PrivateSlapd, secrets: Credentials) -> None:
    """Neither mail nor webhook: the failure is told, and no word was sent."""
    heard = Heard()
    with mail_server(certified(slapd), heard) as port:
        assert "email" in send(mail(port, None), secrets, SUBJECT, TEXT, {})
    with web_server(certified(slapd), heard) as port:
        webhook = Webhook(f"https://localhost:{port}/x", local=True)
        assert "webhook" in send(Notify(webhook=webhook), secrets, SUBJECT, TEXT, {})
    assert heard.bodies == []


def test_a_line_break_in_a_subject_starts_no_header(slapd: PrivateSlapd, secrets: Credentials) -> None:
    """R42: whatever a campus is called."""
    heard = Heard()
    with mail_server(certified(slapd), heard) as port:
        assert send(mail(port, slapd.ca_file), secrets, "a\r\nBcc: x@evil.test", TEXT, {}) == {}
    assert b"Subject: a Bcc: x@evil.test\r\n" in heard.bodies[0]
    assert b"\nBcc:" not in heard.bodies[0]


def test_a_webhook_gets_the_health_as_json(slapd: PrivateSlapd, secrets: Credentials) -> None:
    """With its token, and what programs want to know."""
    heard = Heard()
    with web_server(certified(slapd), heard) as port:
        webhook = Webhook(f"https://localhost:{port}/hook?a=1", "token", local=True, ca_file=slapd.ca_file)
        assert send(Notify(webhook=webhook), secrets, SUBJECT, TEXT, {"health": {"status": "critical"}}) == {}
    assert heard.lines == ["/hook?a=1"]
    assert heard.headers[0]["Authorization"] == "Bearer battery staple"
    assert json.loads(heard.bodies[0]) == {"subject": SUBJECT, "text": TEXT, "health": {"status": "critical"}}


def test_a_webhook_is_never_this_machine_unless_named_and_follows_no_redirect(slapd: PrivateSlapd, secrets: Credentials) -> None:
    """R42: a name that leads to loopback or link-local is refused before anything is sent; a redirect is a failure."""
    heard = Heard()
    with web_server(certified(slapd), heard, status=302) as port:
        for host in ("localhost", "127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"):  # noqa: S104 — refused
            webhook = Webhook(f"https://{host}:{port}/x", ca_file=slapd.ca_file)
            assert "an address of this machine or link" in send(Notify(webhook=webhook), secrets, SUBJECT, TEXT, {})["webhook"]
        assert heard.bodies == []
        webhook = Webhook(f"https://localhost:{port}/x", local=True, ca_file=slapd.ca_file)
        assert send(Notify(webhook=webhook), secrets, SUBJECT, TEXT, {}) == {
            "webhook": "localhost answered with a redirect, which is not followed"
        }
    assert len(heard.bodies) == 1


def test_a_command_gets_json_and_no_shell(tmp_path: Path, secrets: Credentials) -> None:
    """R42: its arguments are what they are, the message is on standard input; one that fails is told."""
    kept = tmp_path / "kept; rm -rf x"
    program = tmp_path / "page"
    program.write_text('#!/bin/sh\ncat > "$1"\n[ "$2" != fail ]\n')
    program.chmod(0o700)
    assert send(Notify(command=(str(program), str(kept))), secrets, SUBJECT, TEXT, {}) == {}
    assert json.loads(kept.read_text())["subject"] == SUBJECT
    failed = send(Notify(command=(str(program), str(kept), "fail")), secrets, SUBJECT, TEXT, {})
    assert failed == {"command": f"{program} ended with 1"}
    assert "command" in send(Notify(command=(str(tmp_path / "none"),)), secrets, SUBJECT, TEXT, {})


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """A settled district that tells a command."""
    with world(tmp_path, connect=mortal) as one:
        settled(one)
        program = tmp_path / "page"
        program.write_text(f'#!/bin/sh\ncat >> "{tmp_path}/told"; echo >> "{tmp_path}/told"\n')
        program.chmod(0o700)
        one.edit("config/syncd.yaml", "retention:", f'notify: {{ command: ["{program}"] }}\nretention:')
        yield one


def herald(district: World) -> Herald:
    """The district's voice."""
    devices = Devices(district.config, district.store, district.engine, {})
    running = Running(district.config, district.store, district.vault, district.engine, devices)
    return Herald(lambda: running, lambda: health_of(district), district.clock)


def told(district: World) -> list[str]:
    """The subjects of everything that was told."""
    path = district.folder / "told"
    return [json.loads(line)["subject"] for line in path.read_text().splitlines()] if path.exists() else []


def test_trouble_is_told_once_and_when_it_is_over(district: World) -> None:
    """What is held is told, not told again by the next run, nor by a new process, and told as over when it is."""
    herald(district).tell()
    assert told(district) == []
    shrunk(district)
    herald(district).tell()
    herald(district).tell()
    (subject,) = told(district)
    assert subject.startswith("syncd Test ISD: critical: pipeline main: run r")
    district.roster = district.roster.with_students(*district.roster.students.values())
    district.edit("config/syncd.yaml", "shrink_percent: 5", "shrink_percent: 99")
    district.day(kind="reconcile")
    herald(district).tell()
    assert len(told(district)) == 2
    assert "well again: pipeline main" in told(district)[1]


def test_a_message_that_went_nowhere_is_tried_again_and_shows_in_the_health(district: World) -> None:
    """A dead channel is a warning of its own; when it works, what was to be told is told."""
    shrunk(district)
    (district.folder / "page").chmod(0o600)
    herald(district).tell()
    assert told(district) == []
    assert "notify command" in {reason.where for reason in health_of(district).reasons}
    (district.folder / "page").chmod(0o700)
    herald(district).tell()
    assert len(told(district)) == 1
    assert "notify command" not in {reason.where for reason in health_of(district).reasons}


def test_the_digest_tells_every_campus_and_nobody(district: World) -> None:
    """Counts of the last day by campus; no name, no key."""
    spent = district.store.spent("ldap", district.clock.now)[0]  # type: ignore[arg-type]  # a TargetName is a str
    head = str(district.store.audit.head())
    text = digest(health_of(district), spent, district.clock.now, head)
    assert f"\naudit head: {head}\n" in text
    assert "\ncampus 001: " in text
    assert "\ncampus 012: " in text
    assert "create" in text
    assert not [name for name in ("Abara", "Bell", "Cruz", "s1") if name in text]


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ('email: { server: m.test, from: "a@b.test", to: [] }', "to: nobody is named"),
        ('email: { server: m.test, from: "a", to: ["b@c.test"] }', "from: 'a' is no plain address"),
        ('email: { server: m.test, from: "a@b.test", to: ["b@c.test, d@e.test"] }', "is no plain address"),
        ('email: { server: m.test, from: "a@b.test", to: ["b@c.test"], tls: none }', "would send in clear"),
        ('email: { server: m.test, from: "a@b.test", to: ["b@c.test"], user: x }', "go together"),
        ('webhook: { url: "http://a.test/" }', "must be https://"),
        ('webhook: { url: "https://u:p@a.test/" }', "without a password"),
        ("command: [page]", "must be the whole path"),
        ("digest: daily", "has 1 fields"),
    ],
)
def test_what_would_go_wrong_is_said_when_the_file_is_read(tmp_path: Path, block: str, said: str) -> None:
    """With its place in the file."""
    with world(tmp_path) as one:
        settings = one.folder / "config" / "syncd.yaml"
        settings.write_text(settings.read_text() + f"\nnotify:\n  {block}\n")
        with pytest.raises(ConfigError, match=r"config/syncd.yaml:\d+:\d+: .*" + said):
            load(one.folder)
