"""`/batch`: requests inside a request (multipart/mixed, each part application/http), and their answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.doubles.google.refusals import Refusal, phrase

MOST = 1000
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')


@dataclass(frozen=True, slots=True)
class Part:
    """A request inside a batch."""

    id: str
    verb: str
    target: str
    headers: dict[str, str]
    body: bytes


def _bad(why: str) -> Refusal:
    return Refusal(400, "badRequest", f"Failed to parse batch request: {why}")


def parts(content_type: str, body: bytes) -> list[Part]:
    """The requests in a batch, at most a thousand."""
    told = _BOUNDARY.search(content_type)
    if not content_type.startswith("multipart/mixed") or told is None:
        raise _bad("not multipart/mixed with a boundary")
    pieces = re.split(rb"(?:^|\r?\n)--" + re.escape(told[1].encode()), body)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _bad("no end")
    found = [_part(piece.lstrip(b"\r\n")) for piece in pieces[1:-1]]
    if not found:
        raise _bad("no parts")
    if len(found) > MOST:
        raise Refusal(400, "badRequest", f"The batch has {len(found)} requests, more than {MOST}")
    if len({part.target.lstrip("/").partition("/")[0] for part in found}) > 1:
        raise Refusal(400, "badRequest", "A batch is for one interface only")
    return found


def _part(piece: bytes) -> Part:
    outer, _, inner = _split(piece)
    head = _headers(outer)
    if head.get("content-type", "").partition(";")[0].strip() != "application/http":
        raise _bad("a part is no application/http")
    request, _, body = _split(inner)
    line, _, rest = request.partition(b"\n")
    words = line.decode("ascii", "replace").split()
    if len(words) < 2:
        raise _bad("a part has no request line")
    return Part(head.get("content-id", ""), words[0], words[1], _headers(rest), body.strip())


def _split(text: bytes) -> tuple[bytes, bytes, bytes]:
    crlf = text.partition(b"\r\n\r\n")
    lf = text.partition(b"\n\n")
    return crlf if crlf[1] and (not lf[1] or len(crlf[0]) <= len(lf[0])) else lf


def _headers(text: bytes) -> dict[str, str]:
    found = {}
    for line in text.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found


def answer(boundary: str, answers: list[tuple[str, int, list[tuple[str, str]], bytes]]) -> bytes:
    """The answers as one body; each carries the part's id with `response-` before it."""
    return b"".join(_pieces(boundary, answers))


def _pieces(boundary: str, answers: list[tuple[str, int, list[tuple[str, str]], bytes]]) -> Iterator[bytes]:
    for id_, status, headers, body in answers:
        told = id_.replace("<", "<response-", 1) if id_.startswith("<") else f"response-{id_}"
        lines = [
            f"--{boundary}",
            "Content-Type: application/http",
            f"Content-ID: {told}",
            "",
            f"HTTP/1.1 {status} {phrase(status)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        yield ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""])).encode() + body + b"\r\n"
    yield f"--{boundary}--\r\n".encode()
