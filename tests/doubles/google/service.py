"""From a request to an answer: who asks, whether they may, whether there is room, what Google does, and what comes back of it."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Protocol
from urllib.parse import parse_qsl

from tests.doubles.google import aliases, customer, devices, groups, licences, multipart, partial, roles, units, users
from tests.doubles.google.clock import Clock, SimulatedClock
from tests.doubles.google.documents import Json, Method, Misfit, routes
from tests.doubles.google.journal import Call, Journal
from tests.doubles.google.oauth import Denied, Endpoint, Token
from tests.doubles.google.quirks import Quirks
from tests.doubles.google.quotas import Quotas
from tests.doubles.google.refusals import Refusal, condition, scope_missing, unauthenticated, unavailable
from tests.doubles.google.tenant import Anything, Asked, Tenant

METHODS: Mapping[str, Callable[[Asked], Anything]] = {
    **users.METHODS,
    **aliases.METHODS,
    **units.METHODS,
    **groups.METHODS,
    **customer.METHODS,
    **roles.METHODS,
    **devices.METHODS,
    **licences.METHODS,
}
"""What the double can do; for everything else in the documents it answers 501."""
JSON_TYPE = ("Content-Type", "application/json; charset=UTF-8")
_READS = ("GET", "HEAD")


@dataclass(slots=True)
class Answer:
    """What goes back; nothing at all when the connection is cut."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: bool = False


@dataclass(slots=True)
class _Step:
    """What is known of a call while it is answered."""

    method: str = "unknown"
    subject: str = ""
    actor: str = ""
    reason: str = ""
    cut: bool = False
    done: bool = False


@dataclass(frozen=True, slots=True)
class Scripted:
    """A refusal planned for a call to come."""

    method: str
    refusal: Refusal | None
    """None: the connection is cut."""
    after: bool
    """The call is carried out first."""


class Controls(Protocol):
    """Answers what no interface of Google's would."""

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What a test asked, done."""


@dataclass
class Service:
    """One customer's interfaces."""

    tenant: Tenant
    quirks: Quirks
    clock: Clock
    endpoint: Endpoint
    journal: Journal = field(default_factory=Journal)
    scripted: list[Scripted] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    control: Controls | None = None
    """Who answers on the paths of tests, where tests are another process."""

    def __post_init__(self) -> None:
        self.quotas = Quotas(self.quirks)
        self._numbers = itertools.count()

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one request, or to a batch of them; dated, so that a client sees how far its clock is off."""
        if self.control is not None and target.startswith("/_double/"):
            return self.control.answer(verb, target, headers, body)
        answer = self._answer_to(verb, target, headers, body)
        answer.headers.append(("Date", formatdate(self.clock.time() + self.quirks.clock_skew, usegmt=True)))
        return answer

    def _answer_to(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        with self.lock:
            path, _, query = target.partition("?")
            if path == "/token" and verb == "POST":
                return self._token(body)
            if verb == "POST" and (path == "/batch" or path.startswith("/batch/")):
                return self._batch(headers, body)
            if "x-http-method-override" in headers and verb == "POST":
                # a GET whose address would be too long comes as a form
                verb, query = headers["x-http-method-override"], body.decode("ascii", "replace")
                body = b""
            return self._call(verb, path, query, headers, body)

    # --- tokens ---

    def _token(self, body: bytes) -> Answer:
        now = self.clock.time()
        machine = (SimulatedClock.machine_time(),) if isinstance(self.clock, SimulatedClock) else ()
        times = tuple(time + self.quirks.clock_skew for time in (now, *machine))
        step = _Step("oauth2.token")
        try:
            told = self.endpoint.token(body, now, times)
        except Denied as denied:
            step.reason = denied.error
            return self._write(step, Answer(denied.status, [JSON_TYPE], denied.body), "POST /token")
        return self._write(step, Answer(200, [JSON_TYPE], json.dumps(told).encode()), "POST /token")

    def _authenticated(self, headers: Mapping[str, str], now: float) -> Token:
        kind, _, text = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not text:
            raise Refusal(401, "required", "Login Required.")
        token = self.endpoint.tokens.get(text)
        if token is None or now > token.expires or token.actor not in self.tenant.users:
            raise unauthenticated()
        if self.tenant.users[token.actor].resource["suspended"]:
            raise unauthenticated()
        return token

    # --- one call ---

    def _call(
        self, verb: str, path: str, query: str, headers: Mapping[str, str], body: bytes, *, part: bool = False, free: bool = False
    ) -> Answer:
        step = _Step()
        try:
            answer = self._answered(step, verb, path, query, headers, body, free=free)
        except Refusal as refusal:
            step.reason = refusal.reason
            answer = Answer(refusal.status, [JSON_TYPE, *refusal.headers], refusal.body)
        answer.cut = step.cut
        return self._write(step, answer, f"{verb} {path}?{query}" if query else f"{verb} {path}", part=part)

    def _write(self, step: _Step, answer: Answer, wire: str, *, part: bool = False) -> Answer:
        call = Call(
            next(self._numbers),
            self.clock.time(),
            step.method,
            answer.status,
            step.reason,
            step.subject,
            step.actor,
            cut=step.cut,
            done=step.done,
            part=part,
            wire=wire,
        )
        self.journal.write(call)
        return answer

    def _answered(
        self, step: _Step, verb: str, path: str, query: str, headers: Mapping[str, str], body: bytes, *, free: bool
    ) -> Answer:
        now = self.clock.time()
        found = routes().find(verb, path)
        if found is None:
            raise Refusal(404, "notFound", f"Not Found: {verb} {path}")
        method, variables = found
        step.method = method.id
        token = self._authenticated(headers, now)
        actor = self.tenant.users[token.actor]
        step.actor = actor.email
        self.quotas.query(token.project, token.actor, now, cost=0 if free else 1)
        planned = self._planned(method.id)
        self._may_fail(step, planned)
        if not method.scopes & token.scopes:
            raise scope_missing()
        told = method.queried(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        content = _content(headers, body)
        method.fits(content)
        superadmin = actor.resource["isAdmin"]
        privileges = frozenset() if superadmin else roles.privileges_of(self.tenant, actor)
        asked = Asked(self.tenant, self.quirks, now, variables, told, content or {}, actor, superadmin, privileges)
        roles.authorised(asked, method.id)
        try:
            answer = self._done(step, method, asked, headers)
        finally:
            step.subject = asked.subject
        return self._may_be_lost(step, method, answer, planned)

    def _planned(self, method: str) -> Scripted | None:
        for number, planned in enumerate(self.scripted):
            if planned.method == method or (planned.method.endswith(".") and method.startswith(planned.method)):
                return self.scripted.pop(number)
        return None

    def _may_fail(self, step: _Step, planned: Scripted | None) -> None:
        """Before anything is done."""
        if planned is not None and not planned.after:
            step.cut = planned.refusal is None
            raise planned.refusal or unavailable()
        if self.quirks.happens(self.quirks.lost_requests):
            step.cut = True
            raise unavailable()
        if (fault := self.quirks.fault()) is not None:
            raise fault

    def _may_be_lost(self, step: _Step, method: Method, answer: Answer, planned: Scripted | None) -> Answer:
        """After it was done."""
        if planned is not None:
            step.cut = planned.refusal is None
            if planned.refusal is not None:
                raise planned.refusal
        if method.verb not in _READS:
            if self.quirks.happens(self.quirks.lost_responses):
                step.cut = True
            elif self.quirks.happens(self.quirks.late_errors):
                raise unavailable(self.quirks.retry_after)
        return answer

    def _done(self, step: _Step, method: Method, asked: Asked, headers: Mapping[str, str]) -> Answer:
        handle = METHODS.get(method.id)
        if handle is None:
            raise Refusal(501, "notImplemented", f"The double does not do {method.id}")
        writes = method.verb not in _READS
        if writes and self.quirks.etags and "if-match" in headers:
            self._unchanged(method, asked, headers["if-match"])
        self.quotas.creation(method.id, asked.now)
        told = handle(asked)
        step.done = writes
        status, resource = told if isinstance(told, tuple) else (200, told)
        if not method.answers:
            return Answer(204, [], b"")
        etag = resource.get("etag")
        if not writes and self.quirks.etags and etag is not None and headers.get("if-none-match") == etag and etag != '"list"':
            return Answer(304, [("ETag", etag)], b"")
        shown = partial.cut(resource, partial.mask(asked.query["fields"])) if asked.query.get("fields") else resource
        extra = [("ETag", etag)] if etag is not None and etag != '"list"' else []
        return Answer(status, [JSON_TYPE, *extra], json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode())

    def _unchanged(self, method: Method, asked: Asked, etag: str) -> None:
        """If-Match: the version a client read must be the one that stands."""
        read = METHODS.get(f"{method.id.rpartition('.')[0]}.get")
        if read is not None and etag not in ("*", read(asked).get("etag")):
            raise condition("Precondition Failed")

    # --- many ---

    def _batch(self, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            inner = multipart.parts(headers.get("content-type", ""), body)
        except Refusal as refusal:
            step = _Step("batch", reason=refusal.reason)
            return self._write(step, Answer(refusal.status, [JSON_TYPE], refusal.body), "POST /batch")
        answers = []
        counted_chrome = False
        cut = False
        for part in inner:
            path, _, query = part.target.partition("?")
            mixed = {"authorization": headers.get("authorization", ""), **part.headers}
            chrome = "/devices/chromeos" in path
            answer = self._call(part.verb, path, query, mixed, part.body, part=True, free=chrome and counted_chrome)
            counted_chrome |= chrome  # a batch of Chrome calls counts as one
            cut |= answer.cut
            answers.append((part.id, answer.status, answer.headers, answer.body))
        boundary = "batch_double"
        return Answer(
            200, [("Content-Type", f"multipart/mixed; boundary={boundary}")], multipart.answer(boundary, answers), cut=cut
        )


def _content(headers: Mapping[str, str], body: bytes) -> Json | None:
    if not body:
        return None
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Misfit("", "application/json is required")
    try:
        told: Any = json.loads(body)
    except ValueError:
        raise Refusal(400, "parseError", "Parse Error") from None
    if not isinstance(told, dict):
        raise Misfit("", "a JSON object is required")
    return told
