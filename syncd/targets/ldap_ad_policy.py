"""What an Active Directory domain demands of a password: read from the domain, and held against a password that was refused.

A fine-grained policy stands above the domain's where one applies and may be read ([MS-ADTS] 3.1.1.4.5, msDS-ResultantPSO).
Windows refuses a password with one number for every rule; so the rule is found out here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from syncd.errors import EndpointError
from syncd.targets.ldap_entries import Entry
from syncd.targets.ldap_wire import Wire

_COMPLEX = 0x1  # DOMAIN_PASSWORD_COMPLEX in pwdProperties: [MS-SAMR] 2.2.3.2
_OWN = ["msDS-MinimumPasswordLength", "msDS-PasswordComplexityEnabled", "msDS-PasswordHistoryLength", "msDS-MinimumPasswordAge"]
_DOMAINS = ["minPwdLength", "pwdProperties", "pwdHistoryLength", "minPwdAge"]
_HOUR = -36_000_000_000  # an interval is a negative number of 100 nanoseconds: [MS-ADTS] 3.1.1.1.3 and [MS-SAMR] 2.2.3.2
_NAME_PARTS = re.compile(r"[,.\-_ #\t]+")
_SHORTEST_PART = 3
_KINDS = 3
NOT_TOLD = "it was used before, or the last one is too young"
"""What is left where a refused password breaks none of the rules that can be held against it."""
_SPECIAL = frozenset("~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/")


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What a new password must satisfy. `remembered`: how many of the last ones it may not be. `whose`: the policy that says so.

    `hours`: how old the last one must be before its owner may change it; an administrator may at any time.
    """

    shortest: int
    complex: bool
    remembered: int
    whose: str
    hours: int = 0

    def __str__(self) -> str:
        """The demands in words."""
        told = [f"at least {self.shortest} characters"]
        told += [f"{_KINDS} kinds of characters and no part of the owner's names"] if self.complex else []
        told += [f"none of the last {self.remembered}"] if self.remembered else []
        told += [f"the last one at least {self.hours} hours old where its owner changes it"] if self.hours else []
        return f"{self.whose} demands " + ", ".join(told)


def domain_of(wire: Wire) -> str:
    """The full name of the domain this server serves. Raises EndpointError where it does not say."""
    root = wire.entry("", ["defaultNamingContext"])
    told = (root[1] if root else {}).get("defaultnamingcontext", [])
    if not told:
        raise EndpointError(wire.endpoint, "the server does not say which domain it serves", "is it a domain controller?")
    return told[0].decode()


def rules_of(wire: Wire, own: str = "") -> PasswordRules:
    """What is demanded of passwords in the domain; `own` is the name of a fine-grained policy that applies instead.

    One that applies but may not be read is told as the domain's, with a word about it in `whose`.
    """
    if own:
        policy = wire.entry(own, _OWN)
        if policy is not None and policy[1].get("msds-minimumpasswordlength"):
            return PasswordRules(
                _number(policy, "msds-minimumpasswordlength"),
                policy[1].get("msds-passwordcomplexityenabled", [b""])[0] == b"TRUE",
                _number(policy, "msds-passwordhistorylength"),
                own,
                _number(policy, "msds-minimumpasswordage") // _HOUR,
            )
    domain = domain_of(wire)
    policy = wire.entry(domain, _DOMAINS)
    if policy is None or not policy[1].get("minpwdlength"):
        raise EndpointError(
            wire.endpoint, "the domain's password policy cannot be read", "give the account we bind as the right to"
        )
    return PasswordRules(
        _number(policy, "minpwdlength"),
        bool(_number(policy, "pwdproperties") & _COMPLEX),
        _number(policy, "pwdhistorylength"),
        domain + (f" ({own} applies, but may not be read)" if own else ""),
        _number(policy, "minpwdage") // _HOUR,
    )


def broken(rules: PasswordRules, password: str, account: str, display: str) -> list[str]:
    """The rules that this password of this account breaks, in words; it may still be one that was used before.

    `account` is the sAMAccountName, `display` the displayName: of neither may a complex password have a part ([MS-SAMR] 3.1.1.7.2).
    """
    told = [f"it has {len(password)} characters"] if len(password) < rules.shortest else []
    if rules.complex:
        kinds = sum(map(any, zip(*(_kinds(one) for one in password), strict=True))) if password else 0
        told += [f"it has {kinds} of {_KINDS} kinds of characters"] if kinds < _KINDS else []
        told += ["a part of the owner's names is in it"] if _has_part(password, (account, *_NAME_PARTS.split(display))) else []
    return told


def _kinds(one: str) -> tuple[bool, bool, bool, bool, bool]:
    """Upper case, lower case, digits, signs, and letters of scripts without case."""
    return one.isupper(), one.islower(), one.isdigit(), one in _SPECIAL, one.isalpha() and not (one.isupper() or one.islower())


def _has_part(password: str, parts: Collection[str]) -> bool:
    return any(len(part) >= _SHORTEST_PART and part.lower() in password.lower() for part in parts)


def _number(entry: Entry, attribute: str) -> int:
    told = entry[1].get(attribute, ())
    return int(told[0]) if told else 0
