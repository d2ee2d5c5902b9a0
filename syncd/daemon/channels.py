"""Where notices go: e-mail, a webhook, a command (R42).

E-mail goes over TLS and its headers take no line breaks. A webhook is HTTPS with a verified certificate, follows no redirect, and
is never an address of this machine or link-local unless the settings say that it is meant. A command gets JSON on its standard
input, and no shell.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from urllib.parse import urlsplit

from syncd.errors import EndpointError
from syncd.settings import Email, Notify, Webhook
from syncd.vault import Credentials

_PATIENCE = 20.0  # seconds
_LONGEST_ANSWER = 4096


def send(notify: Notify, credentials: Credentials, subject: str, text: str, told: Mapping[str, object]) -> dict[str, str]:
    """Send a message on every configured channel; for each that failed, why. `told` is the same for programs."""
    body = json.dumps({"subject": subject, "text": text, **told}, ensure_ascii=False).encode()
    failed: dict[str, str] = {}
    for name in ("email", "webhook", "command"):
        try:
            match name:
                case "email" if notify.email is not None:
                    _mail(notify.email, credentials, subject, text)
                case "webhook" if notify.webhook is not None:
                    _post(notify.webhook, credentials, body)
                case "command" if notify.command:
                    _run(notify.command, body)
        except EndpointError as error:
            failed[name] = error.why
    return failed


# --- e-mail -----------------------------------------------------------------------------------------------------------


def _mail(email: Email, credentials: Credentials, subject: str, text: str) -> None:
    message = EmailMessage()  # its policy refuses a line break in any header
    message["Subject"] = " ".join(subject.split())
    message["From"] = email.sender
    message["To"] = ", ".join(email.to)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
    message.set_content(text)
    with _failing("email", f"{email.server} port {email.port}"):
        context = ssl.create_default_context(cafile=str(email.ca_file) if email.ca_file else None)
        if email.tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(email.server, email.port, timeout=_PATIENCE, context=context)
        else:
            server = smtplib.SMTP(email.server, email.port, timeout=_PATIENCE)
        with server:
            if email.tls == "starttls":
                server.starttls(context=context)
            if email.user:
                server.login(email.user, credentials.read(email.credential).decode().strip())
            refused = server.send_message(message)
        if refused:
            raise EndpointError("email", f"{email.server} refused {len(refused)} of {len(email.to)} recipients")


# --- webhook ----------------------------------------------------------------------------------------------------------


def _post(webhook: Webhook, credentials: Credentials, body: bytes) -> None:
    parts = urlsplit(webhook.url)
    host, port = parts.hostname or "", parts.port or 443
    headers = {"Content-Type": "application/json", "User-Agent": "syncd"}
    if webhook.credential:
        headers["Authorization"] = f"Bearer {credentials.read(webhook.credential).decode().strip()}"
    with _failing("webhook", host):
        address = _address(host, port, local=webhook.local)
        context = ssl.create_default_context(cafile=str(webhook.ca_file) if webhook.ca_file else None)
        # Connected to the very address that was judged: a name that answers otherwise the second time leads nowhere else.
        plain = socket.create_connection((address, port), _PATIENCE)
        connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
        try:
            connection.request("POST", parts.path + (f"?{parts.query}" if parts.query else "") or "/", body, headers)
            answer = connection.getresponse()
            answer.read(_LONGEST_ANSWER)
        finally:
            connection.close()
    if not 200 <= answer.status < 300:  # noqa: PLR2004 — HTTP's own numbers (RFC 9110 section 15)
        what = "a redirect, which is not followed" if 300 <= answer.status < 400 else f"status {answer.status}"  # noqa: PLR2004 — as above
        raise EndpointError("webhook", f"{host} answered with {what}")


def _address(host: str, port: int, *, local: bool) -> str:
    """The host's address. Raises EndpointError for one of this machine, or of this link only, unless that is meant."""
    found = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    address = ipaddress.ip_address(found.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    judged = mapped or address
    if not local and (judged.is_loopback or judged.is_link_local or judged.is_unspecified or judged.is_multicast):
        raise EndpointError(
            "webhook", f"{host} is {found}, an address of this machine or link; `local: true` says that it is meant"
        )
    return found


# --- command ----------------------------------------------------------------------------------------------------------


def _run(command: tuple[str, ...], body: bytes) -> None:
    with _failing("command", command[0]):
        ended = subprocess.run(command, input=body, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603 — the administrator's own program, by argv
    if ended.returncode:
        raise EndpointError("command", f"{command[0]} ended with {ended.returncode}")


@contextmanager
def _failing(channel: str, what: str) -> Iterator[None]:
    """What a library says as EndpointError, without a word of the message or the password."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise EndpointError(channel, f"{what} answered {error.smtp_code}") from error
    except (OSError, smtplib.SMTPException, http.client.HTTPException, subprocess.TimeoutExpired, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise EndpointError(channel, f"{what}: {why}") from error
