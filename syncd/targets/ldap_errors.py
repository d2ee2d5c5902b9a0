"""What an LDAP server's answer means for us: one table from result code to what happens next, one function for broken wires."""

from __future__ import annotations

import ssl
from types import MappingProxyType

from ldap3.core.exceptions import LDAPExceptionError, LDAPOperationResult, LDAPSocketOpenError

from syncd.core.model import Failure
from syncd.errors import EndpointError, SyncdError, TransientError
from syncd.targets import ldap_ad_errors as ad

SUCCESS = 0
SIZE_LIMIT = 4
NO_SUCH_ATTRIBUTE = 16
CONSTRAINT_VIOLATION = 19
ATTRIBUTE_OR_VALUE_EXISTS = 20
NO_SUCH_OBJECT = 32
INSUFFICIENT_RIGHTS = 50
OBJECT_CLASS_VIOLATION = 65
ALREADY_EXISTS = 68
ASSERTION_FAILED = 122

# RFC 4511 §4.1.9 and appendix A; RFC 4528 for 122. A code that is not listed refuses one change, for a reason only its words tell.
FAILURES = MappingProxyType(
    {
        NO_SUCH_ATTRIBUTE: Failure.STALE,
        17: Failure.INVALID,  # undefinedAttributeType
        18: Failure.INVALID,  # inappropriateMatching
        CONSTRAINT_VIOLATION: Failure.REFUSED,
        ATTRIBUTE_OR_VALUE_EXISTS: Failure.INVALID,  # the same value twice in one change
        21: Failure.INVALID,  # invalidAttributeSyntax
        NO_SUCH_OBJECT: Failure.NO_SUCH_OBJECT,
        34: Failure.INVALID,  # invalidDNSyntax
        INSUFFICIENT_RIGHTS: Failure.REFUSED,
        51: Failure.WAITS,  # busy: nothing is wrong with the change
        52: Failure.WAITS,  # unavailable
        53: Failure.REFUSED,  # unwillingToPerform
        64: Failure.INVALID,  # namingViolation
        OBJECT_CLASS_VIOLATION: Failure.INVALID,
        66: Failure.REFUSED,  # notAllowedOnNonLeaf
        67: Failure.REFUSED,  # notAllowedOnRDN
        ALREADY_EXISTS: Failure.NAME_TAKEN,
        69: Failure.REFUSED,  # objectClassModsProhibited
        71: Failure.REFUSED,  # affectsMultipleDSAs
        ASSERTION_FAILED: Failure.STALE,
    }
)
# The server cannot serve anybody now: timeLimitExceeded, adminLimitExceeded, busy, unavailable.
TRANSIENT = frozenset({3, 11, 51, 52})

_AROUND = " \n\0"  # a domain controller ends its words like a string in C
_NAMES = MappingProxyType(
    {
        3: "time limit exceeded",
        4: "size limit exceeded",
        8: "stronger authentication required",
        10: "referral",
        11: "administrative limit exceeded",
        12: "unavailable critical extension",
        13: "confidentiality required",
        17: "undefined attribute type",
        19: "constraint violation",
        21: "invalid attribute syntax",
        32: "no such object",
        34: "invalid name",
        49: "invalid credentials",
        50: "insufficient access rights",
        51: "busy",
        52: "unavailable",
        53: "unwilling to perform",
        64: "naming violation",
        65: "object class violation",
        68: "already exists",
        122: "assertion failed",
    }
)


_REMEDIES = MappingProxyType(
    {
        SIZE_LIMIT: "lift the limit for bind_dn (slapd: olcLimits), so that a read can be complete",
        8: "the server wants an encrypted connection: ldaps:// in urls, or start_tls: true",
        10: "the base lies on another server: name that one in urls, or correct base",
        NO_SUCH_OBJECT: "check the base, and that the account we bind as may read it",
        49: "check bind_dn and the credential it is used with",
    }
)


def words(code: int, why: str) -> str:
    """The server's own words, with the name of the code in front; behind them what they mean, where only a number says it."""
    name = _NAMES.get(code, "refused")
    meaning = ad.meaning(why)
    told = f"{name} ({code}): {why.strip(_AROUND)}" if why else f"{name} ({code})"
    attribute = ad.attribute(why)
    return f"{told} — {meaning.words}{f': {attribute}' if attribute else ''}" if meaning is not None else told


def failure(code: int, why: str) -> Failure:
    """Why a change with this answer failed, in the words an operator acts on."""
    if code == CONSTRAINT_VIOLATION and "non-unique" in why:  # slapd's `unique` overlay
        return Failure.NAME_TAKEN
    if (meaning := ad.meaning(why)) is not None:
        return meaning.failure
    return FAILURES.get(code, Failure.OTHER)


class RefusalError(EndpointError):
    """A server answered, and said no: whoever knows another way to ask may try that."""


def refusal(endpoint: str, doing: str, code: int, why: str) -> SyncdError:
    """The error for an answer that refuses the whole call, not one change."""
    told = f"{doing}: {words(code, why)}"
    if code in TRANSIENT:
        return TransientError(f"{endpoint}: {told}")
    return RefusalError(endpoint, told, ad.bind_remedy(why) or _REMEDIES.get(code, "the server's words above say what it wants"))


def broken(endpoint: str, doing: str, error: Exception) -> SyncdError:
    """The error for a connection that could not be made or was lost: a certificate is a human's matter, the rest passes."""
    if isinstance(error, LDAPOperationResult):
        return refusal(endpoint, doing, error.result, error.message)
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _OUT_OF_DATE if error.verify_code in _DATES else _NOT_OURS
        return EndpointError(endpoint, f"{doing}: the server's certificate is refused: {error.verify_message}", remedy)
    remedy = "; is the server up, and are host and port in urls right?" if doing == "connect" else ""
    return TransientError(f"{endpoint}: {doing}: {error}{remedy}")


_DATES = frozenset({9, 10})  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED
_NOT_OURS = "check ca_file, and that the host in the url stands in the server's certificate"
_OUT_OF_DATE = "renew it on the server, or set the clock of the machine that is wrong"

WIRE_ERRORS = (LDAPExceptionError, LDAPSocketOpenError, OSError)
"""What the library and the socket raise when the wire, not a change, is at fault."""
