"""Whatever is sent to the portal's pages, they answer, and never with a fault of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import ASGIApp

from syncd.web.portal import portal
from syncd.web.portal.guarding import HEADERS
from syncd.web.portal.sessions import Sessions, form_token, new_secret
from tests.conftest import NIGHTLY
from tests.portal import GOOD, HOST, MIA, SITE, Answers

PATHS = (
    "/",
    "/claim",
    "/claim/password",
    "/claim/done",
    "/claim/finish",
    "/.well-known/security.txt",
    "/static/portal.css",
    "/static/",
)
SECRET = new_secret()
TOKEN = form_token(SECRET).encode()
COOKIE = f"__Host-session={SECRET}".encode()
FIELDS = tuple({**MIA, "password": GOOD, "again": GOOD})

bytes_ = st.binary(max_size=40)
names = st.sampled_from(
    [b"host", b"cookie", b"content-type", b"content-length", b"origin", b"accept-language", b"x-forwarded-for", b"sec-fetch-site"]
)
values = st.sampled_from([HOST.encode(), COOKIE, b"application/x-www-form-urlencoded", b"https://localhost", b"*"]) | bytes_
bodies = bytes_ | st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20) | st.sampled_from([GOOD, *MIA.values()])).map(
    lambda told: b"token=" + TOKEN + b"".join(f"&{name}={value}".encode("utf-8", "replace") for name, value in told.items())
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ASGIApp]:
    """The application by itself."""
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    sessions = Sessions(folder, lambda: 1_800_000_000.0)
    yield portal(SITE, Answers(), sessions, lambda: 1_800_000_000.0)
    sessions.close()


def answer(
    app: ASGIApp, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> tuple[int, dict[bytes, bytes], bytes]:
    """What is answered to a request as a server hands it on."""
    sent: list[Any] = []
    pieces = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return pieces.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https", "path": path,
        "raw_path": path.encode("utf-8", "replace"), "query_string": query, "root_path": "", "headers": headers,
        "client": ("192.0.2.1", 1), "server": (HOST, 443), "state": {},
    }  # fmt: skip
    asyncio.run(_within(app, scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:])


async def _within(app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)


@settings(max_examples=5_000 if NIGHTLY else 150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["GET", "POST", "POST", "HEAD", "PUT", "DELETE", "TRACE"]),
    st.sampled_from(PATHS)
    | st.text(max_size=20).map(lambda text: f"/{text}")
    | st.text(max_size=9).map(lambda text: f"/static/{text}"),
    st.sampled_from([b"", b"lang=es", b"lang="]) | bytes_,
    st.lists(st.tuples(names, values), max_size=4),
    bodies,
    st.booleans(),
)
def test_no_request_makes_the_pages_fail(
    app: ASGIApp, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes, ours: bool
) -> None:
    """No status of 500, no trace, all walls up, and nothing of the request in what it is told to go to."""
    as_ours = (
        [(b"host", HOST.encode()), (b"cookie", COOKIE), (b"content-type", b"application/x-www-form-urlencoded")] if ours else []
    )
    status, told, text = answer(app, method, path, query, [*as_ours, *headers], body)
    assert 200 <= status < 500
    assert [name for name, value in HEADERS.items() if told.get(name.lower().encode()) != value.encode()] == []
    assert told.get(b"location", b"/") in {b"/", b"/claim", b"/claim/password", b"/claim/done"}
    assert b"Traceback" not in text
