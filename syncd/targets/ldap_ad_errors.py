"""What Active Directory's answers mean: one table from the number its words begin with to what happens next.

A domain controller puts a Win32 error in front of its words, as eight hexadecimal digits ([MS-ADTS] 3.1.1.3.1.9, Error Message
Strings); the numbers are those of [MS-ERREF] 2.2, Win32 Error Codes. It is more exact than LDAP's own code: 68 may be the place or
the sAMAccountName, 19 may be the password or a value, 53 may be anything. Samba sends the same numbers for most, and says the rest
in words (seen with 4.17, 2026-11).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

from syncd.core.model import Failure

_NUMBER = re.compile(r"\s*([0-9A-Fa-f]{8}):")
# Which attribute: Windows tells its number and its name behind each error, Samba its name in the sentence.
_ATTRIBUTE = re.compile(r"\bAtt [0-9a-fA-F]+ \(([\w-]+)\)|\b(?:[Aa]ttribute '?|Element )([A-Za-z][\w-]*)'? (?:on|has)\b")
_POLICY = 0x052D  # ERROR_PASSWORD_RESTRICTION
_BIND = re.compile(r"\bdata ([0-9a-f]{3,4})\b")


@dataclass(frozen=True, slots=True)
class Meaning:
    """Why a change failed, in the words an operator acts on."""

    failure: Failure
    words: str


MEANINGS = MappingProxyType(
    {
        0x0005: Meaning(Failure.REFUSED, "access denied: delegate the right to the account syncd binds as"),
        0x001F: Meaning(Failure.REFUSED, "a password is only accepted over an encrypted connection"),
        0x0523: Meaning(Failure.INVALID, "the sAMAccountName is too long or has a character it must not have"),
        0x0524: Meaning(Failure.NAME_TAKEN, "the sAMAccountName is in use"),
        0x0526: Meaning(Failure.NAME_TAKEN, "the sAMAccountName is in use by a group"),
        _POLICY: Meaning(Failure.REFUSED, "the domain's password policy refuses the password"),
        0x055B: Meaning(Failure.REFUSED, "special accounts cannot do this"),
        0x0561: Meaning(Failure.REFUSED, "the account is no member of the group"),
        0x0562: Meaning(Failure.REFUSED, "the account is a member of the group already"),
        0x200A: Meaning(Failure.INVALID, "the attribute does not exist in the schema"),
        0x200B: Meaning(Failure.INVALID, "a value is not what the attribute can hold"),
        0x200D: Meaning(Failure.STALE, "a value is there already"),
        0x200E: Meaning(Failure.WAITS, "the server is busy: it is tried again"),
        0x200F: Meaning(Failure.WAITS, "the server cannot do it now: it is tried again"),
        0x2014: Meaning(Failure.INVALID, "the object class does not allow what is written"),
        0x202F: Meaning(Failure.INVALID, "a value breaks a constraint of its attribute"),
        0x2028: Meaning(Failure.REFUSED, "the server wants a stronger connection: ldaps:// in urls, or start_tls: true"),
        0x2030: Meaning(Failure.NO_SUCH_OBJECT, "nothing has this name"),
        0x2035: Meaning(Failure.REFUSED, "the server is unwilling"),
        0x2071: Meaning(Failure.NAME_TAKEN, "the name or the sAMAccountName is in use"),
        0x2077: Meaning(Failure.REFUSED, "the attribute must not be changed in this way"),
        0x207B: Meaning(Failure.INVALID, "the object class needs another attribute"),
        0x207D: Meaning(Failure.INVALID, "the object class does not have the attribute"),
        0x2081: Meaning(Failure.INVALID, "the attribute holds one value, and more were given"),
        0x2082: Meaning(Failure.INVALID, "a value is too long, too short, too high or too low"),
        0x2083: Meaning(Failure.STALE, "a value is there already"),
        0x2084: Meaning(Failure.STALE, "the attribute to be taken out is not there"),
        0x2085: Meaning(Failure.STALE, "the value to be taken out is not there"),
        0x2089: Meaning(Failure.NO_CONTAINER, "the container does not exist"),
        0x208D: Meaning(Failure.NO_SUCH_OBJECT, "nothing has this name"),
        0x208F: Meaning(Failure.INVALID, "the name is not written as a name"),
        0x2098: Meaning(Failure.REFUSED, "insufficient rights: delegate the right to the account syncd binds as"),
        0x209A: Meaning(Failure.REFUSED, "the server alone writes this attribute"),
        0x20B5: Meaning(Failure.REFUSED, "something stands below it: it can only be deleted by hand"),
        0x21C7: Meaning(Failure.NAME_TAKEN, "the servicePrincipalName is in use in the forest"),
        0x21C8: Meaning(Failure.NAME_TAKEN, "the userPrincipalName is in use in the forest"),
    }
)
"""[MS-ERREF] 2.2 by number. A number that is not listed says no more than LDAP's own code."""

# What Samba says in words under a number, or no number, of its own; seen with 4.17.12, 2026-11.
_SAMBA = (
    ("parent does not exist", Meaning(Failure.NO_CONTAINER, "the container does not exist")),
    ("is already in use", Meaning(Failure.NAME_TAKEN, "the userPrincipalName is in use")),
    ("password is too short", Meaning(Failure.REFUSED, "the domain's password policy: too short")),
    ("complexity criteria", Meaning(Failure.REFUSED, "the domain's password policy: not complex enough")),
    ("already used", Meaning(Failure.REFUSED, "the domain's password policy: used before")),
    ("too young to change", Meaning(Failure.REFUSED, "the domain's password policy: changed too short a while ago")),
)

# What follows `data` in a refused bind is a Win32 error too ([MS-ADTS] 5.1.1.1.1, Simple Authentication; [MS-ERREF] 2.2).
_BINDS = MappingProxyType(
    {
        0x525: "no account has this name: correct bind_dn",
        0x52E: "the password is wrong: correct the credential",
        0x52F: "the account is limited, by its hours, its stations or an empty password: lift that",
        0x530: "the account may not sign in at this hour: lift its logon hours",
        0x531: "the account may not sign in from here: lift its workstation limits",
        0x532: "its password has expired: set a new one, and let it not expire",
        0x533: "the account is disabled: enable it",
        0x534: "the account may not sign in to this server in this way: give it the right to sign in over the network",
        0x576: "the clocks of this machine and of the server differ too much: set the one that is wrong",
        0x701: "the account has expired: set accountExpires to never",
        0x773: "it must change its password first: set one, without 'must change at next logon'",
        0x775: "it is locked after too many wrong passwords: unlock it, and find who tries",
    }
)


def meaning(why: str) -> Meaning | None:
    """What a refusal in these words means, or None where they are not Active Directory's, or say no more than LDAP's code."""
    number = _NUMBER.match(why)
    if number is None:
        return None
    for said, meant in _SAMBA:
        if said in why:
            return meant
    return MEANINGS.get(int(number[1], 16))


def attribute(why: str) -> str:
    """Which attribute a refusal in these words is about, or the empty string where they do not say."""
    found = _ATTRIBUTE.search(why)
    return (found[1] or found[2]) if found else ""


def is_policy(why: str) -> bool:
    """True for words that refuse a password by the domain's policy, whatever the rule."""
    number = _NUMBER.match(why)
    return number is not None and int(number[1], 16) == _POLICY


def bind_remedy(why: str) -> str:
    """What to do about a bind refused in these words, or the empty string where they do not say."""
    number = _BIND.search(why)
    return _BINDS.get(int(number[1], 16), "") if number else ""
