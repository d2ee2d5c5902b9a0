"""What every request and every answer passes, whatever page it is for.

Which host was asked, from where, how much; and what browsers are told to refuse.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Collection, Mapping
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_BODY = 8 * 1024
"""Bytes of a form: the longest that is filled in rightly is a quarter of it."""
_MOST_FIELDS = 16

_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: with that browsers hide the origin of our own forms from us
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
"""What goes with every answer."""
_NO_CACHE = "no-store"


class Misfit(Exception):  # noqa: N818 — what the request is, not what went wrong here
    """A request that is answered with this status before any page looks at it."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


class Guarded:
    """An application behind the walls: other hosts' requests get `misfit` with status 400, every answer gets its headers."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], misfit: Callable[[Scope, int], ASGIApp]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._misfit = misfit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", _NO_CACHE)
            await send(message)

        app = self._app if self._is_ours(scope) else self._misfit(scope, 400)
        await app(scope, receive, told)

    def _is_ours(self, scope: Scope) -> bool:
        asked = Headers(scope=scope).getlist("host")
        return len(asked) == 1 and _host(f"//{asked[0]}") in self._hosts


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def comes_from_us(headers: Headers, hosts: Collection[str]) -> bool:
    """Whether a page of ours sent a form, as far as the browser says: whoever says nothing is asked for the form's token."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or _host(origin) in {host.lower() for host in hosts}


async def form(request: Request) -> Mapping[str, str]:
    """The fields of a form, the last of those of one name. Raises Misfit for what is none, is too long, or did not arrive whole."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Misfit(400)
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST_BODY:
                raise Misfit(413)
    except ClientDisconnect:
        raise Misfit(400) from None
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise Misfit(400) from None


def address(request: Request) -> str:
    """The browser's address, as the connection or a trusted proxy says it; an IPv4 address inside an IPv6 one is that one."""
    try:
        told = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return "0.0.0.0"  # noqa: S104 — no address: whoever comes through a proxy that tells nonsense shares one budget
    mapped = told.ipv4_mapped if isinstance(told, ipaddress.IPv6Address) else None
    return str(mapped or told)
