"""How a page is made: its template, its language, and what every page has. The templates hold no word and decide nothing."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from syncd.web.portal import words
from syncd.web.portal.words import Language, Say

HERE = Path(__file__).parent
STATIC = HERE / "static"
LANGUAGE_COOKIE = "__Host-language"
_YEAR = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Place:
    """What an account is for: its name by language, and where to sign in, if there is a page for that."""

    names: Mapping[Language, str]
    link: str


@dataclass(frozen=True, slots=True)
class Site:
    """What is configured of the pages. `help` is whom to ask, `contact` where weaknesses are reported to."""

    hosts: Sequence[str]
    languages: Sequence[Language] = ("en", "es")
    places: Mapping[str, Place] | None = None
    help: Mapping[Language, str] | None = None
    contact: str = ""


class Pages:
    """Every page of one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            keep_trailing_newline=True,
        )
        self._templates.globals.update(asset=_asset, names=words.NAMES)

    def language(self, request: Request) -> Language:
        """Which language this browser is answered in: what was chosen here, was chosen before, or it likes best."""
        for told in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
            if told in self.site.languages:
                return cast("Language", told)  # one of these
        return words.wanted(request.headers.get("accept-language", ""), self.site.languages)

    def say(self, request: Request) -> Say:
        """What says a line of the table in this browser's language."""
        return functools.partial(words.said, self.language(request))

    def show(self, request: Request, name: str, status: int = 200, **told: object) -> HTMLResponse:
        """One page. A language that was chosen with this request is remembered."""
        language = self.language(request)
        say = functools.partial(words.said, language)
        text = self._templates.get_template(f"{name}.html").render(
            say=say,
            counted=functools.partial(words.counted, say),
            coded=functools.partial(words.coded, say),
            language=language,
            languages=self.site.languages,
            help=(self.site.help or {}).get(language, ""),
            path=request.scope.get("path", "/"),
            **{"district": "", **told},
        )
        answer = HTMLResponse(text, status, {"Content-Language": language, "Vary": "Accept-Language, Cookie"})
        if request.query_params.get("lang") == language:
            answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    def wrong(self, request: Request, status: int) -> HTMLResponse:
        """The page for what cannot be answered: the same for everybody, and with nothing in it of what was asked."""
        kind = status if words.has(f"wrong.{status}") else 400 if status < 500 else 500  # noqa: PLR2004 — RFC 9110, 15
        return self.show(request, "wrong", status, kind=kind)

    def places(self, request: Request, targets: Sequence[str]) -> list[tuple[str, str]]:
        """What the accounts on these targets are for: name and link, those that have a name."""
        language, known = self.language(request), self.site.places or {}
        return [(known[name].names[language], known[name].link) for name in targets if name in known]


@functools.cache
def _asset(name: str) -> str:
    """The address of a file of ours, another one whenever its content is another."""
    return f"/static/{name}?{hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"
