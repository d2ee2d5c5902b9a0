"""HTTP to Google's APIs: signing in, asking at the permitted speed, asking again where that cannot do harm. Knows no account.

One token for each scope, so that a scope that was not granted stops only what needs it. TLS is verified; the environment decides
nothing (no proxy, no certificates of its own); redirects are not followed. The key comes from a credential file and goes nowhere.
"""

from __future__ import annotations

import json
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import google.auth.exceptions as auth_errors
import google.auth.transport as auth_transport
import httpx2
from google.oauth2 import service_account

from syncd.errors import EndpointError, PartError, TransientError
from syncd.targets.google_config import GoogleConfig
from syncd.targets.google_errors import UNSENT, Meaning, Refused, refusal
from syncd.targets.google_quota import Cost, Quota, quota_of
from syncd.vault import Credentials

_ATTEMPTS = 7  # waits of 1, 2, 4, … 32 seconds between them, as Google asks for, and a bit of chance
_UNREACHABLE = 3  # of a server that does not even take the connection, less is expected
_CROWDED = 3  # refused so often in a row, everybody holds back
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 — where tokens are asked for, not one
DELEGATION = "Admin console > Security > Access and data control > API controls > Manage domain-wide delegation"
KEYS = "Google Cloud console > IAM & Admin > Service accounts > Keys"
_ALL = "https://www.googleapis.com/auth/"


class Scope(StrEnum):
    """What a token is good for; the names that an administrator delegates."""

    USERS = f"{_ALL}admin.directory.user"
    UNITS = f"{_ALL}admin.directory.orgunit"
    GROUPS = f"{_ALL}admin.directory.group"
    SCHEMAS = f"{_ALL}admin.directory.userschema.readonly"
    DOMAINS = f"{_ALL}admin.directory.domain.readonly"
    ROLES = f"{_ALL}admin.directory.rolemanagement.readonly"
    SETTINGS = f"{_ALL}apps.groups.settings"
    LICENCES = f"{_ALL}apps.licensing"
    DEVICES = f"{_ALL}admin.directory.device.chromeos"


PARTS: Mapping[str, str] = {
    Scope.UNITS: "organizational units",
    Scope.GROUPS: "groups",
    Scope.SCHEMAS: "custom attributes",
    Scope.SETTINGS: "group settings",
    Scope.LICENCES: "licences",
    Scope.DEVICES: "devices",
}
"""What cannot be used without a scope, while everything else can."""
_REMEMBERED = 60.0  # seconds for which a scope that is not delegated is not asked for again

_PLACES: Mapping[Scope, tuple[str, str]] = {
    Scope.SETTINGS: ("https://www.googleapis.com", "/groups/v1/groups"),
    Scope.LICENCES: ("https://licensing.googleapis.com", "/apps/licensing/v1"),
}
_DIRECTORY = ("https://admin.googleapis.com", "/admin/directory/v1")


def part(value: str) -> str:
    """The value as one part of a path: an address's @ and a slash are only characters in it."""
    return quote(value, safe="")


class Wire:
    """Everything one target sends. Opens nothing until it is asked; safe to use from many threads."""

    def __init__(self, name: str, config: GoogleConfig, credentials: Credentials) -> None:
        self.name = name
        self.config = config
        self._files = credentials
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None
        self._key: dict[str, Any] | None = None
        self._account: service_account.Credentials | None = None  # the key, read: which takes longer than to sign with it
        self._tokens: dict[str, service_account.Credentials] = {}
        self._lacking: dict[str, tuple[float, PartError]] = {}  # scopes without a delegation, and since when that is known
        self._quota: Quota | None = None
        self.skew: float | None = None  # by how many seconds the other side's clock is ahead, as its last answer showed

    # --- asking -------------------------------------------------------------------------------------------------------

    def call(
        self,
        scope: Scope,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        cost: Cost = Cost.QUERY,
        repeat: bool = True,
        if_match: str = "",
    ) -> dict[str, Any]:
        """The answer, asked for again where nothing was done yet, and with `repeat` also where that cannot be told.

        Raises Refused, which says whether an earlier attempt may have done it, and EndpointError where nobody can sign in: it is a
        PartError where only this scope is missing, or the API that it is for is not switched on.
        """
        attempt, signed_in_anew, unanswered = 0, False, False
        while True:
            try:
                # Without an answer it may have been done, and the etag be another by our own doing.
                return self._once(scope, method, path, query, body, cost, "" if unanswered else if_match)
            except Refused as refused:
                refused.unanswered = unanswered
                match refused.meaning:
                    case Meaning.SIGN_IN if not signed_in_anew:
                        signed_in_anew = True
                        self._tokens.pop(scope, None)
                        continue
                    case Meaning.SLOWER | Meaning.UNSENT:
                        pass
                    case Meaning.LATER if repeat:
                        unanswered = True
                    case Meaning.UNUSABLE if scope in _PLACES or (scope in PARTS and refused.is_of_scope):
                        raise self._lacks(scope, refused.as_endpoint(self.name, PARTS[scope])) from refused
                    case _:
                        raise
                attempt += 1
                if attempt >= (_UNREACHABLE if refused.meaning is Meaning.UNSENT else _ATTEMPTS):
                    raise
                self.wait(attempt, refused)

    def wait(self, attempt: int, refused: Refused) -> None:
        """Hold back before the next attempt: as long as Google asks for, else longer each time."""
        seconds = refused.retry_after if refused.retry_after is not None else 2.0 ** (attempt - 1) + secrets.randbelow(1000) / 1000
        if refused.meaning is Meaning.SLOWER and attempt >= _CROWDED:  # once is chance: it happens to one call in fifty
            self.quota.pause(seconds)
        self.quota.timing.sleep(seconds)

    def read(self, scope: Scope, path: str, what: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """An answer that must come. Raises TransientError where it may come later, else EndpointError."""
        try:
            return self.call(scope, "GET", path, query=query)
        except Refused as refused:
            raise self.unread(scope, refused, what) from refused

    def unread(self, scope: Scope, refused: Refused, what: str) -> EndpointError | TransientError:
        """What a refused question means to whoever needs the answer. Where the right for it is missing, a PartError."""
        if refused.meaning in (Meaning.LATER, Meaning.SLOWER, Meaning.UNSENT, Meaning.BAD_PAGE):
            remedy = refused.as_endpoint(self.name, what).remedy
            return TransientError("; ".join(filter(None, (f"{self.name}: {what}: {refused.told}", remedy))), refused.retry_after)
        error = refused.as_endpoint(self.name, what)
        return self._lacks(scope, error) if refused.meaning is Meaning.MAY_NOT and scope in PARTS else error

    def _once(
        self,
        scope: Scope,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        cost: Cost,
        if_match: str,
    ) -> dict[str, Any]:
        token = self.token(scope)
        headers = {"authorization": f"Bearer {token}", **({"if-match": if_match} if if_match else {})}
        host, base = _PLACES.get(scope, _DIRECTORY)
        url = f"{self.config.api.rstrip('/') or host}{base}{path}"
        with self.quota.asking(cost):
            try:
                answer = self._http().request(method, url, params=query, json=body, headers=headers)
            except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
                raise Refused(0, UNSENT, f"no connection: {error}") from error
            except httpx2.TransportError as error:
                raise Refused(0, "", f"{type(error).__name__}: {error}") from error
        self._look_at_clock(answer.headers.get("date", ""))
        told: Any = None
        if answer.content:
            try:
                told = json.loads(answer.content)
            except ValueError:
                told = None
        if answer.is_success and (isinstance(told, dict) or not answer.content):
            return told or {}
        raise refusal(answer.status_code if not answer.is_success else 502, told, _seconds(answer.headers.get("retry-after", "")))

    def _look_at_clock(self, date: str) -> None:
        try:
            self.skew = parsedate_to_datetime(date).timestamp() - time.time()  # tokens are made by the wall clock
        except ValueError:
            return

    def _http(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                config = self.config
                trusted = ssl.create_default_context(cafile=config.ca_file or None)
                self._client = httpx2.Client(
                    verify=trusted,
                    trust_env=False,
                    follow_redirects=False,
                    proxy=config.proxy or None,
                    timeout=httpx2.Timeout(config.receive_timeout, connect=config.connect_timeout, pool=None),
                    limits=httpx2.Limits(max_connections=config.connections + 1, max_keepalive_connections=config.connections + 1),
                    headers={"user-agent": "syncd (gzip)"},
                )
            return self._client

    # --- signing in ---------------------------------------------------------------------------------------------------

    @property
    def quota(self) -> Quota:
        """What this user of this project may ask. Raises EndpointError where the key cannot be read."""
        if self._quota is None:
            config, project = self.config, str(self.key().get("project_id", ""))
            self._quota = quota_of(
                project, config.admin, config.queries_per_minute, config.creations_per_second, config.connections
            )
        return self._quota

    def key(self) -> dict[str, Any]:
        """The service account's key. Raises EndpointError naming the file where it is none."""
        if self._key is None:
            name = self.config.credential
            text = self._files.text(name)
            try:
                told = json.loads(text)
                self._account = _credentials(told, self.config.admin)
            except (ValueError, TypeError, AttributeError, auth_errors.GoogleAuthError) as error:
                raise EndpointError(
                    self.name,
                    f"the credential {name} is no service account's key: {type(error).__name__}",
                    "Google Cloud console > IAM & Admin > Service accounts > Keys > Add key > JSON: put that file there, unchanged",
                ) from None  # what json and the key parser say quotes the key
            if told.get("token_uri") != _TOKEN_URI and not self.config.api:
                why = f"the credential {name} names another token server than Google's"
                raise EndpointError(self.name, why, "take the file as Google gave it out")
            self._key = told
        return self._key

    def token(self, scope: Scope | str) -> str:
        """A token for one scope. Raises EndpointError where it is not given, TransientError where the server does not answer.

        The EndpointError is a PartError where it is this scope that is missing, and others may be there.
        """
        key = self.key()
        since, lacking = self._lacking.get(scope, (0.0, None))
        if lacking is not None and self.quota.timing.now() - since < _REMEMBERED:
            raise PartError(lacking.endpoint, lacking.part, lacking.why, lacking.remedy)
        with self._lock:
            held = self._tokens.get(scope)
            if held is None:
                held = (self._account or _credentials(key, self.config.admin)).with_scopes([str(scope)])
        if not held.valid:
            http = self._http()
            with self._lock:
                if not held.valid:
                    self._sign_in(held, str(scope), http)
                self._tokens[scope] = held
                self._lacking.pop(scope, None)
        return str(held.token)

    def _lacks(self, scope: str, why: EndpointError) -> PartError:
        """What this scope is for cannot be used, which is remembered for a while: a plan asks for each part whether it can."""
        lacking = PartError(why.endpoint, PARTS[scope], why.why, why.remedy)
        self._lacking[scope] = self.quota.timing.now(), lacking
        return lacking

    def out_of_reach(self, scope: Scope) -> PartError | None:
        """Why what this scope is for cannot be used now, where that is known or shows when a token is asked for.

        Raises EndpointError and TransientError where no token at all is given.
        """
        try:
            self.token(scope)
        except PartError as error:
            return error
        return None

    def _sign_in(self, held: service_account.Credentials, scope: str, http: httpx2.Client) -> None:
        try:
            held.refresh(_Asking(http, self))  # type: ignore[no-untyped-call]  # google-auth tells no types
        except auth_errors.TransportError as error:
            raise TransientError(f"{self.name}: no token: {error}") from error
        except auth_errors.RefreshError as error:
            if error.retryable:
                raise TransientError(f"{self.name}: no token: {error.args[0]}") from error
            why = self._not_signed_in(str(error.args[0]), scope)
            raise (self._lacks(scope, why) if isinstance(why, PartError) else why) from error

    def _not_signed_in(self, words: str, scope: str) -> EndpointError:
        """Why no token was given, and what to click. The words are OAuth's (RFC 6749, 5.2) and Google's own behind them."""
        name, config, lower = self.name, self.config, words.lower()
        if "unauthorized_client" in lower or "access_denied" in lower:
            client = self.key().get("client_id", "of the service account")
            remedy = f"{DELEGATION}: client {client}, add this scope; it may take a day"
            why = f"the scope {scope} is not delegated ({words})"
            return PartError(name, PARTS[scope], why, remedy) if scope in PARTS else EndpointError(name, why, remedy)
        if "invalid_grant" in lower and ("email" in lower or "user" in lower or "subject" in lower):
            why = f"Google does not know the administrator {config.admin} ({words})"
            return EndpointError(name, why, "correct `admin` in config/syncd.yaml, or make that account")
        if "invalid_grant" in lower and ("iat" in lower or "exp" in lower or "timeframe" in lower):
            return EndpointError(name, f"the clocks do not agree ({words})", "set this machine's clock by NTP")
        remedy = f"{KEYS}: is it still listed? If not, add a key and put it in its place"
        return EndpointError(name, f"the key in the credential {config.credential} is not accepted ({words})", remedy)

    def close(self) -> None:
        """Let go of the connections; idempotent."""
        with self._lock:
            client, self._client = self._client, None
            self._tokens.clear()
            self._lacking.clear()
        if client is not None:
            client.close()


class _Answer(auth_transport.Response):
    """A token server's answer, as google-auth reads it."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content


class _Asking(auth_transport.Request):
    """How google-auth asks for a token: over our own client, with its timeouts and certificates."""

    def __init__(self, http: httpx2.Client, wire: Wire) -> None:
        self._http = http
        self._wire = wire

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: float | None = None,
        **_: Any,
    ) -> _Answer:
        del timeout  # ours count
        try:
            answer = self._http.request(method, url, content=body, headers=headers)
        except httpx2.TransportError as error:
            why = f"{type(error).__name__}: {error}"
            raise auth_errors.TransportError(why) from error  # type: ignore[no-untyped-call]  # as above
        self._wire._look_at_clock(answer.headers.get("date", ""))  # noqa: SLF001 — one of its parts
        return _Answer(answer)


def _credentials(key: dict[str, Any], subject: str) -> service_account.Credentials:
    """The key as google-auth signs with it. Raises ValueError for one that is none."""
    if key.get("type") != "service_account":
        raise ValueError("not of type service_account")
    made: service_account.Credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # as above
        key, subject=subject
    )
    return made


def _seconds(told: str) -> float | None:
    return float(told) if told.isascii() and told.isdecimal() else None
