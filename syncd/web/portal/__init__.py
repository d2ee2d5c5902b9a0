"""The portal's pages: people take possession of the accounts that were made for them. An application made from callables.

It knows no store, no directory and no fact of anybody: it asks (`asking`) and shows. What it shows of a try depends on what was
typed and what was answered, which is one of three things; nothing tells whether somebody exists. Works without JavaScript.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from syncd import telemetry
from syncd.core import claiming
from syncd.core.chosen import Fault
from syncd.core.claimed import Accepted, Done, Expired, Later, Locked, Wanting
from syncd.errors import EndpointError, TransientError
from syncd.web.portal import asking, strength
from syncd.web.portal.asking import Ask, Terms, Typed
from syncd.web.portal.guarding import Guarded, Misfit, address, comes_from_us, form
from syncd.web.portal.pages import STATIC, Pages, Site
from syncd.web.portal.sessions import Clock, Sessions, form_token, is_form_token, is_secret, new_secret

SESSION_COOKIE = "__Host-session"
_TERMS_SECONDS = 30.0
_A_DAY = "public, max-age=86400, immutable"
_SEE_OTHER = 303
_MASK = re.compile("[0-9]{2}/[0-9]{2}/[0-9]{4}")
_OWN_DEMANDS = (Fault("run"), Fault("guessable"))

_log = telemetry.logger("portal")

Page = Callable[[Request], Awaitable[Response]]


def portal(site: Site, ask: Ask, sessions: Sessions, clock: Clock = time.time) -> ASGIApp:
    """The application."""
    claim = _Claim(Pages(site), ask, sessions, clock)
    pages = claim.pages

    async def failed(request: Request, error: Exception) -> Response:
        if isinstance(error, EndpointError | TransientError):
            _log.warning("portal.unanswered", failure=type(error).__name__)
            return pages.wrong(request, 503)
        status = error.status if isinstance(error, Misfit) else error.status_code if isinstance(error, HTTPException) else 500
        return pages.wrong(request, status)

    app = Starlette(
        routes=[
            Route("/", claim.start),
            Route("/claim", claim.who, methods=["GET"]),
            Route("/claim", claim.try_it, methods=["POST"]),
            Route("/claim/password", claim.password, methods=["GET"]),
            Route("/claim/password", claim.choose, methods=["POST"]),
            Route("/claim/done", claim.done, methods=["GET"]),
            Route("/claim/finish", claim.finish, methods=["POST"]),
            Route("/.well-known/security.txt", claim.security),
            Mount("/static", _Static(directory=STATIC, follow_symlink=False)),
        ],
        exception_handlers=dict.fromkeys((HTTPException, Misfit, EndpointError, TransientError, Exception), failed),
    )
    app.router.redirect_slashes = False  # an address is right or it is not: no redirect is made from what was asked

    def misfit(scope: Scope, status: int) -> ASGIApp:
        return pages.wrong(Request(scope), status)

    return Guarded(app, site.hosts, misfit)


class _Static(StaticFiles):
    """Our own files. Their addresses change with their content."""

    def file_response(self, *told: object, **named: object) -> Response:
        """One of them."""
        answer = super().file_response(*told, **named)  # type: ignore[arg-type]  # handed on as it came
        answer.headers["Cache-Control"] = _A_DAY
        return answer


class _Claim:
    """The pages of a claim, in their order."""

    def __init__(self, pages: Pages, ask: Ask, sessions: Sessions, clock: Clock) -> None:
        self.pages = pages
        self._ask = ask
        self._sessions = sessions
        self._clock = clock
        self._terms: tuple[float, Terms] | None = None

    # --- where to begin ---

    async def start(self, request: Request) -> Response:
        """What this is."""
        terms = await self._read_terms()
        return self.pages.show(request, "start", district=terms.district)

    async def security(self, _: Request) -> Response:
        """Where weaknesses are reported to (RFC 9116)."""
        if not self.pages.site.contact:
            raise HTTPException(404)
        expires = datetime.fromtimestamp(self._clock(), UTC) + timedelta(days=180)
        languages = ", ".join(self.pages.site.languages)
        text = f"Contact: {self.pages.site.contact}\nExpires: {expires:%Y-%m-%dT%H:%M:%SZ}\nPreferred-Languages: {languages}\n"
        return PlainTextResponse(text)

    # --- who somebody is ---

    async def who(self, request: Request) -> Response:
        """The form for the facts."""
        return await self._facts(request, 200)

    async def try_it(self, request: Request) -> Response:
        """What came of the facts: the next page, or this one again and why."""
        told, before = await self._own_form(request)
        typed = Typed(*(_plain(told.get(name, "")) for name in ("given", "family", "birth_date", "last4")))
        wrong = self._mistyped(typed)
        if wrong:
            return await self._facts(request, 422, typed, wrong=wrong)
        answer = await run_in_threadpool(asking.claim, self._ask, typed, address(request))
        match answer:
            case Accepted(ticket):
                # A new secret: whoever knew the browser's last one does not know this one.
                known = {"ticket": ticket, "given": typed.given, "family": typed.family, "born": int(typed.birth_date[-4:])}
                await run_in_threadpool(self._sessions.end, before)
                secret = await run_in_threadpool(self._sessions.begin, known)
                return _with_session(RedirectResponse("/claim/password", _SEE_OTHER), secret)
            case Locked(minutes):
                again = await self._facts(request, 429, typed, locked=minutes)
                again.headers["Retry-After"] = str(60 * minutes)
                return again
            case _:
                return await self._facts(request, 403, typed, refused=True)

    def _mistyped(self, typed: Typed) -> Mapping[str, str]:
        """By field what is wrong with what was typed before anybody compares it: a line of the table."""
        named = (("given", typed.given, "claim.given.missing"), ("family", typed.family, "claim.family.missing"))
        wrong = {name: missing for name, text, missing in named if not claiming.words(text) or len(text) > claiming.LONGEST_NAME}
        # Yesterday is over in every time zone; which day it is in the district's, the daemon knows.
        yesterday = datetime.fromtimestamp(self._clock(), UTC).date() - timedelta(days=1)
        if claiming.birth_date_of(typed.birth_date, yesterday) is None:
            wrong["birth_date"] = "claim.birth_date.day" if _MASK.fullmatch(typed.birth_date) else "claim.birth_date.mask"
        if not claiming.are_four_digits(typed.last4):
            wrong["last4"] = "claim.last4.mask"
        return wrong

    async def _facts(
        self, request: Request, status: int, typed: Typed | None = None, *,
        wrong: Mapping[str, str] | None = None, locked: int = 0, refused: bool = False,
    ) -> Response:  # fmt: skip
        terms = await self._read_terms()
        last4 = terms.last4[0] if len(terms.last4) == 1 else "either4"
        secret = _secret(request) or new_secret()
        page = self.pages.show(
            request, "claim", status, district=terms.district, typed=typed or Typed("", "", "", ""), wrong=wrong or {},
            locked=locked, refused=refused, last4=last4, token=form_token(secret),
        )  # fmt: skip
        return _with_session(page, secret)

    # --- the password ---

    async def password(self, request: Request) -> Response:
        """The form for a password, with what the directory demands of one."""
        _, told = await self._session(request)
        if "ticket" not in told:
            return RedirectResponse("/claim/done" if told else "/claim", _SEE_OTHER)
        return await self._choice(request, 200)

    async def choose(self, request: Request) -> Response:
        """What came of a password: the last page, or this one again and why."""
        fields, secret = await self._own_form(request)
        told = await run_in_threadpool(self._sessions.told, secret) or {}
        if "username" in told:
            return RedirectResponse("/claim/done", _SEE_OTHER)  # sent twice
        if "ticket" not in told:
            raise HTTPException(410)
        chosen, again = fields.get("password", ""), fields.get("again", "")
        reasons = await run_in_threadpool(self._unfit, chosen, again, told, await self._read_terms())
        if reasons:
            return await self._choice(request, 422, reasons)
        match await run_in_threadpool(self._chosen, str(told["ticket"]), chosen, address(request)):
            case Done() as opened:
                return await self._claimed(request, secret, opened)
            case Wanting(refusals):
                return await self._choice(request, 422, refusals)
            case Later():
                return await self._choice(request, 503, later=True)
            case Expired():
                await run_in_threadpool(self._sessions.end, secret)
                raise HTTPException(410)

    def _chosen(self, ticket: str, chosen: str, where: str) -> Done | Wanting | Expired | Later:
        try:
            return asking.choose(self._ask, ticket, chosen, where)
        except (EndpointError, TransientError) as error:  # nobody knows: the same ticket tells, asked once more
            _log.warning("portal.unanswered", failure=type(error).__name__)
            return Later()

    @staticmethod
    def _unfit(chosen: str, again: str, told: Mapping[str, object], terms: Terms) -> tuple[Fault, ...]:
        """Why a password is not even offered to the directory."""
        if not chosen:
            return (Fault("missing"),)
        shortest = max((one.n for one in terms.demands if one.code == "min_length"), default=0)
        if len(chosen) > strength.LONGEST:
            return (Fault("max_length", strength.LONGEST),)
        found = [Fault("min_length", shortest)] if len(chosen) < shortest else []
        owner = strength.Owner(str(told["given"]), str(told["family"]), int(str(told["born"])))
        found += [Fault(code) for code in strength.faults(chosen, owner)]
        return tuple(found) or ((Fault("mismatch"),) if chosen != again else ())

    async def _choice(self, request: Request, status: int, reasons: Sequence[Fault] = (), *, later: bool = False) -> Response:
        terms = await self._read_terms()
        return self.pages.show(
            request, "password", status, district=terms.district, demands=(*terms.demands, *_OWN_DEMANDS),
            reasons=reasons, later=later, token=form_token(_secret(request)),
        )  # fmt: skip

    # --- done ---

    async def _claimed(self, request: Request, secret: str, done: Done) -> Response:
        told = dict(asdict(done))
        try:
            await run_in_threadpool(self._sessions.keep, secret, told)
        except EndpointError:  # the account is open: whoever opened it is told its name, whatever this process's own file does
            return await self._result(request, told)
        return RedirectResponse("/claim/done", _SEE_OTHER)

    async def done(self, request: Request) -> Response:
        """What the account is called, and where to go."""
        _, told = await self._session(request)
        if "username" not in told:
            return RedirectResponse("/claim", _SEE_OTHER)
        return await self._result(request, told)

    async def _result(self, request: Request, told: Mapping[str, object]) -> Response:
        district = self._terms[1].district if self._terms else ""  # nothing more is asked of a daemon that may have gone
        works, later = (self.pages.places(request, list(map(str, _list(told[name])))) for name in ("works", "later"))
        return self.pages.show(
            request, "done", district=district, username=told["username"], mail=told["mail"], works=works, later=later,
            earlier=told["earlier"], token=form_token(_secret(request)),
        )  # fmt: skip

    async def finish(self, request: Request) -> Response:
        """Everything is forgotten."""
        _, secret = await self._own_form(request)
        await run_in_threadpool(self._sessions.end, secret)
        return _with_session(RedirectResponse("/", _SEE_OTHER), "")

    # --- what they share ---

    async def _session(self, request: Request) -> tuple[str, Mapping[str, object]]:
        secret = _secret(request)
        told = await run_in_threadpool(self._sessions.told, secret) if secret else None
        return secret, told or {}

    async def _own_form(self, request: Request) -> tuple[Mapping[str, str], str]:
        """The fields of a form of ours, and the secret of the browser that sent it. Raises Misfit for one that is not."""
        told = await form(request)
        secret = _secret(request)
        if (
            not secret
            or not comes_from_us(request.headers, self.pages.site.hosts)
            or not is_form_token(secret, told.get("token", ""))
        ):
            raise Misfit(403)
        return told, secret

    async def _read_terms(self) -> Terms:
        now = self._clock()
        if self._terms is None or not 0 <= now - self._terms[0] < _TERMS_SECONDS:
            self._terms = (now, await run_in_threadpool(functools.partial(asking.terms, self._ask)))
        return self._terms[1]


def _list(told: object) -> Sequence[object]:
    return told if isinstance(told, list | tuple) else ()


def _plain(text: str) -> str:
    """What somebody typed, without the blanks around it and what no key makes: phones put in either."""
    return "".join(sign for sign in " ".join(text.split()) if sign.isprintable())


def _secret(request: Request) -> str:
    """The secret that the browser has of us; nothing where it has none."""
    told = request.cookies.get(SESSION_COOKIE, "")
    return told if is_secret(told) else ""


def _with_session(answer: Response, secret: str) -> Response:
    """The answer, with the cookie: until the browser is closed, or, with no secret, until now."""
    age = None if secret else 0
    answer.set_cookie(SESSION_COOKIE, secret, max_age=age, path="/", secure=True, httponly=True, samesite="lax")
    return answer
