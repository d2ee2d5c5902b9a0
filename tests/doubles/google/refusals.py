"""What Google answers when it refuses, in its own words.

The body is Google's standard one, `{"error": {"code", "message", "errors": [{"message", "domain", "reason"}]}}`. Reasons and
messages are those that Google's limits page and public issue reports show; where none is on record the comment says [K], from
general knowledge.
"""

from __future__ import annotations

import json
from http import HTTPStatus

_RPC = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS"}
_RPC |= {412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE"}


class Refusal(Exception):  # noqa: N818 — an answer, and only inside the double an exception
    """An answer other than success."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "global", retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.domain = domain
        self.retry_after = retry_after

    @property
    def body(self) -> bytes:
        """The JSON Google would send."""
        error = {"message": self.message, "domain": self.domain, "reason": self.reason}
        told = {"code": self.status, "message": self.message, "errors": [error], "status": _RPC.get(self.status, "UNKNOWN")}
        return json.dumps({"error": told}).encode()

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers beside it."""
        return [] if self.retry_after is None else [("Retry-After", f"{self.retry_after:g}")]


def phrase(status: int) -> str:
    """The words of a status line."""
    return HTTPStatus(status).phrase


def invalid(message: str) -> Refusal:
    """What was sent is wrong, and stays wrong."""
    return Refusal(400, "invalid", f"Invalid Input: {message}")


def invalid_parameter(name: str, value: str, why: str) -> Refusal:
    """A query parameter the method does not know, or a value it does not take."""
    return Refusal(400, "invalidParameter", f"Invalid value at '{name}' ({value!r}): {why}")


def required(name: str) -> Refusal:
    """Something that must be there is not."""
    return Refusal(400, "required", f"Missing required field: {name}")


def not_found(what: str) -> Refusal:
    """There is no such thing, or it is not visible yet."""
    return Refusal(404, "notFound", f"Resource Not Found: {what}")


def domain_not_found() -> Refusal:
    """The address is of a domain that is not the customer's [K]."""
    return Refusal(404, "notFound", "Domain not found.")


def duplicate(message: str = "Entity already exists.") -> Refusal:
    """The name is taken: by somebody living, by an alias, or by somebody deleted whose twenty days are not over."""
    return Refusal(409, "duplicate", message)


def condition(message: str) -> Refusal:
    """It cannot be done in the state things are in."""
    return Refusal(412, "conditionNotMet", message)


def incomplete() -> Refusal:
    """The famous one: the user is created, but not everywhere."""
    return condition("User creation is not complete.")


def forbidden() -> Refusal:
    """The administrator may not, or Google does not know yet that they may."""
    return Refusal(403, "forbidden", "Not Authorized to access this resource/api")


def scope_missing() -> Refusal:
    """The token was not issued for this."""
    return Refusal(403, "insufficientPermissions", "Request had insufficient authentication scopes.")


def unauthenticated(message: str = "Invalid Credentials") -> Refusal:
    """No token, or one that is no longer good."""
    return Refusal(401, "authError", message)


def user_rate() -> Refusal:
    """Too many queries of one user of one project in a minute."""
    return Refusal(
        403, "userRateLimitExceeded", "Quota exceeded for quota metric 'Queries' per minute per user.", domain="usageLimits"
    )


def quota_exceeded() -> Refusal:
    """Too much at once: concurrency, or the limits of a domain."""
    return Refusal(403, "quotaExceeded", "Quota exceeded for the current request", domain="usageLimits")


def rate(retry_after: float | None = None) -> Refusal:
    """Too many requests for this customer at once."""
    return Refusal(429, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits", retry_after=retry_after)


def unavailable(retry_after: float | None = None) -> Refusal:
    """Google's own trouble."""
    return Refusal(503, "backendError", "Service unavailable. Please try again", retry_after=retry_after)


def internal() -> Refusal:
    """Google's own trouble, of the other kind."""
    return Refusal(500, "backendError", "Internal error encountered.")
