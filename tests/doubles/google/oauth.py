"""The token endpoint: assertions of a service account, signed, with delegation (RFC 7523)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.doubles.google.tenant import Tenant

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"
"""What google-auth writes as the audience, whatever `token_uri` says; a client that writes `token_uri` is right as well."""
LIFETIME = 3600
_SLACK = 300.0
"""Google's tolerance for clocks that differ: minutes, says experience [K]."""


class Denied(Exception):  # noqa: N818 — an answer, as `Refusal` is
    """What the token endpoint answers: other than the interfaces, in OAuth's form."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.status, self.error, self.description = status, error, description

    @property
    def body(self) -> bytes:
        """The JSON of RFC 6749, 5.2."""
        return json.dumps({"error": self.error, "error_description": self.description}).encode()


@dataclass(slots=True)
class ServiceAccount:
    """A robot of a project, and what a customer's administrator allows it."""

    project: str
    email: str
    client_id: str
    keys: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    """Key id → the key, of which only the public half is used to verify."""
    delegated: set[str] | None = field(default_factory=set)
    """The scopes entered under *domain-wide delegation*; None: the client was never entered."""
    blocked: bool = False
    """An administrator blocked the client: access_denied."""

    def key_file(self, key_id: str, token_uri: str) -> dict[str, str]:
        """The JSON that Google's console hands out for a key."""
        private = self.keys[key_id].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": key_id,
            "private_key": private.decode(),
            "client_email": self.email,
            "client_id": self.client_id,
            "token_uri": token_uri,
        }


@dataclass(frozen=True, slots=True)
class Token:
    """Who a token speaks for."""

    actor: str
    """The user's id."""
    scopes: frozenset[str]
    project: str
    expires: float


@dataclass
class Endpoint:
    """Issues tokens and knows them again."""

    tenant: Tenant
    accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    audience: str = ""
    _issued: int = 0

    def token(self, form: bytes, now: float, times: tuple[float, ...]) -> dict[str, Any]:
        """A token for an assertion. `times` are the clocks an assertion may be right by."""
        told = {name: values[0] for name, values in parse_qs(form.decode("ascii", "replace")).items()}
        if told.get("grant_type") != GRANT:
            raise Denied(400, "unsupported_grant_type", f"Invalid grant_type: {told.get('grant_type')}")
        account, claims = self._verified(told.get("assertion", ""))
        if claims.get("aud") not in (AUDIENCE, self.audience):
            raise Denied(400, "invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {AUDIENCE}")
        if not any(_in_frame(claims, time) for time in times):
            raise Denied(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
                " Check your iat and exp values in the JWT claim.",
            )
        actor = self._allowed(account, claims, now)
        self._issued += 1
        text = f"ya29.double-{self._issued}"
        self.tokens[text] = Token(actor, frozenset(claims["scope"].split()), account.project, now + LIFETIME)
        return {"access_token": text, "expires_in": LIFETIME - 1, "token_type": "Bearer"}

    def _verified(self, assertion: str) -> tuple[ServiceAccount, dict[str, Any]]:
        """The service account that signed, and its claims."""
        try:
            signed, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_decoded(part)) for part in signed.split("."))
            raw = _decoded(signature)
        except (ValueError, binascii.Error):
            raise Denied(400, "invalid_grant", "Invalid JWT: it cannot be read.") from None
        if not isinstance(claims, dict) or not isinstance(claims.get("scope"), str):
            raise Denied(400, "invalid_scope", "Empty or missing scope not allowed.")
        account = self.accounts.get(claims.get("iss", ""))
        if account is None:
            raise Denied(400, "invalid_grant", "Invalid grant: account not found")
        candidates = [account.keys[header["kid"]]] if header.get("kid") in account.keys else []
        for key in candidates if header.get("alg") == "RS256" else ():
            try:
                key.public_key().verify(raw, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                continue
            return account, claims
        raise Denied(400, "invalid_grant", "Invalid JWT Signature.")

    def _allowed(self, account: ServiceAccount, claims: dict[str, Any], now: float) -> str:
        """The id of the user the token is for."""
        if account.blocked:
            raise Denied(403, "access_denied", "Requested client not authorized.")
        wanted = set(claims["scope"].split())
        if account.delegated is None or not wanted or not wanted <= account.delegated:
            raise Denied(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method,"
                " or client not authorized for any of the scopes requested.",
            )
        actor = self.tenant.account(str(claims.get("sub", "")), now)
        if actor is None or actor.resource["suspended"]:
            raise Denied(400, "invalid_grant", "Invalid email or User ID")
        return actor.id


def _in_frame(claims: dict[str, Any], now: float) -> bool:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, (int, float)) or not isinstance(expires, (int, float)):
        return False
    return issued <= now + _SLACK and now - _SLACK <= expires and 0 < expires - issued <= LIFETIME


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
