"""Google's refusals, translated in one table: from status, reason and words to what they mean, and to what is to be done.

Google says the same thing with different statuses (a quota is a 403 or a 429), and different things with one (412 is a missed
precondition, an account not finished yet, or a licence of which no seat is left). Reasons marked [K] are not in its documents; both
readings are handled.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from syncd.core.model import Failure
from syncd.errors import EndpointError


class Meaning(StrEnum):
    """What an answer that is no success says."""

    SLOWER = "asked too fast"  # nothing was done: ask again later
    UNSENT = "cannot be reached"  # nothing was sent
    LATER = "did not work this time"  # may have been done all the same
    SIGN_IN = "the sign-in is not accepted"
    MAY_NOT = "not allowed"
    UNUSABLE = "cannot be used"  # nobody's request will do better
    NOT_FOUND = "no such object"
    EXISTS = "exists already"
    CHANGED = "was changed meanwhile"
    UNFINISHED = "is not finished yet"
    NO_UNIT = "no such organizational unit"
    NO_SEAT = "no licence left"
    BAD_PAGE = "the page token is too old"
    INVALID = "is refused as invalid"


FAILURES: Mapping[Meaning, Failure] = {
    Meaning.SLOWER: Failure.WAITS,
    Meaning.UNSENT: Failure.WAITS,
    Meaning.LATER: Failure.WAITS,
    Meaning.SIGN_IN: Failure.WAITS,
    Meaning.MAY_NOT: Failure.REFUSED,
    Meaning.UNUSABLE: Failure.WAITS,
    Meaning.NOT_FOUND: Failure.NO_SUCH_OBJECT,
    Meaning.EXISTS: Failure.NAME_TAKEN,
    Meaning.CHANGED: Failure.STALE,
    Meaning.UNFINISHED: Failure.WAITS,
    Meaning.NO_UNIT: Failure.NO_CONTAINER,
    Meaning.NO_SEAT: Failure.REFUSED,
    Meaning.BAD_PAGE: Failure.OTHER,
    Meaning.INVALID: Failure.INVALID,
}
"""What becomes of a change that was answered like this."""

UNSENT = "unsent"
"""The reason of a request that never left: whatever it would have done, it has not done."""

_SLOWER = frozenset({"userratelimitexceeded", "ratelimitexceeded", "quotaexceeded", "resource_exhausted"})
_UNUSABLE = {
    "accessnotconfigured": "the API is not switched on in the service account's project",
    "service_disabled": "the API is not switched on in the service account's project",
    "dailylimitexceeded": "the project's quota for today is used up",
    "domaincannotuseapis": "the customer does not let programs use the API",
    "access_token_scope_insufficient": "a scope is missing in the domain-wide delegation",
    "insufficientpermissions": "a scope is missing in the domain-wide delegation",
}
_REMEDIES = {
    "accessnotconfigured": "Google Cloud console > APIs & Services > Library: enable what `syncd check` names",
    "service_disabled": "Google Cloud console > APIs & Services > Library: enable what `syncd check` names",
    "dailylimitexceeded": "wait until tomorrow, or ask for more: Google Cloud console > APIs & Services > Quotas",
    "domaincannotuseapis": "Admin console > Security > Access and data control > API controls",
    "access_token_scope_insufficient": "run: syncd check",
    "insufficientpermissions": "run: syncd check",
}
_SEATS = ("available license", "license limit", "user limit", "limit reached", "out of licenses", "insufficient")  # [K]


class Refused(Exception):  # noqa: N818 — an answer, which only the connector's modules see
    """Google answered, and not with success; or did not answer (`status` 0), in which case it may have done it."""

    def __init__(self, status: int, reason: str, words: str, retry_after: float | None = None) -> None:
        self.status = status
        self.reason = reason
        self.words = words
        self.retry_after = retry_after
        self.unanswered = False  # the same request was sent before, and nobody knows whether that did it
        self.meaning = meaning(status, reason, words)
        super().__init__(self.told)

    @property
    def told(self) -> str:
        """Google's exact words, with the status and reason to look them up by."""
        code = f"{self.status} {self.reason}".strip() if self.status else "no answer"
        return f"{self.words} ({code})"

    @property
    def failure(self) -> Failure:
        """What becomes of a change that was answered like this."""
        return FAILURES[self.meaning]

    @property
    def is_of_scope(self) -> bool:
        """Whether the token was given for too little: a scope is missing, and others may be there."""
        return self.reason.lower() in ("access_token_scope_insufficient", "insufficientpermissions")

    def as_endpoint(self, name: str, what: str) -> EndpointError:
        """The target cannot be used now, said with what to do about it."""
        key = self.reason.lower()
        if key in _UNUSABLE:
            return EndpointError(name, f"{what}: {_UNUSABLE[key]}: {self.told}", _REMEDIES[key])
        remedy = {
            Meaning.MAY_NOT: "give the administrator's role the right for it, and the delegation the scope; syncd check says which",
            Meaning.SIGN_IN: "run: syncd check",
            Meaning.SLOWER: "it goes on by itself when Google lets us; if it stays so, lower `queries_per_minute`",
            Meaning.UNSENT: "look at the network, at `proxy`, and at the server's clock and certificates",
            Meaning.NOT_FOUND: "look at `customer` and `admin` in config/syncd.yaml",
        }.get(self.meaning, "")
        return EndpointError(name, f"{what}: {self.told}", remedy)


def refusal(status: int, body: Any, retry_after: float | None) -> Refused:
    """The refusal in an answer's body: Google's usual shape, or whatever a proxy on the way wrote instead."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return Refused(status, str(error or ""), "an answer that is not Google's", retry_after)
    details = [one for key in ("errors", "details") for one in error.get(key) or () if isinstance(one, Mapping)]
    reason = next((str(one["reason"]) for one in details if one.get("reason")), str(error.get("status") or ""))
    return Refused(status, reason, str(error.get("message") or "no words"), retry_after)


def meaning(status: int, reason: str, words: str) -> Meaning:
    """What an answer that is no success says."""
    key, text = reason.lower(), words.lower()
    if status == 0 and reason == UNSENT:
        return Meaning.UNSENT
    if status == 0 or status >= 500:  # noqa: PLR2004 — RFC 9110, 15.6
        return Meaning.LATER
    if status == 429 or key in _SLOWER:  # noqa: PLR2004 — RFC 6585, 4
        return Meaning.SLOWER
    if key in _UNUSABLE:
        return Meaning.UNUSABLE
    if any(told in text for told in _SEATS):
        return Meaning.NO_SEAT
    return _by_status(status, key, text)


_STATUSES = {
    401: Meaning.SIGN_IN,
    403: Meaning.MAY_NOT,
    404: Meaning.NOT_FOUND,
    409: Meaning.EXISTS,
    410: Meaning.NOT_FOUND,
    412: Meaning.CHANGED,
}
_NO_UNIT = ("invalid_ou_id", "invalidouid", "orgunit", "parentorgunit")


def _by_status(status: int, key: str, text: str) -> Meaning:
    if status == 412 and ("not complete" in text or "creation" in text):  # noqa: PLR2004 — RFC 9110, 15.5.13
        return Meaning.UNFINISHED
    if status in _STATUSES:
        return _STATUSES[status]
    together = text.replace(" ", "")
    if any(told in together for told in _NO_UNIT):
        return Meaning.NO_UNIT
    if key == "duplicate" or "already exists" in text:
        return Meaning.EXISTS
    return Meaning.BAD_PAGE if "pagetoken" in together else Meaning.INVALID
