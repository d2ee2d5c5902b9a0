"""What an Active Directory target needs to be told; every field with the words the reference shows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncd.targets.ldap_config import DirectoryConfig
from syncd.targets.ldap_dn import NotADn, parse

NOT_IN_SAM = re.compile(r'["/\\\[\]:;|=,+*?<>\x00-\x1f\x7f]')
"""What no sAMAccountName has: [MS-SAMR] 3.1.1.6."""
LONGEST_SAM = 20
"""Of a user's: [MS-SAMR] 3.1.1.6; Samba takes more."""
_SCOPES = {"global": 2, "domain_local": 4, "universal": 8}
_SECURITY = -0x80000000
_NOT_OFFERED = {
    "ntlm": "its answer to a challenge can be passed on by whoever stands in between, and MD4 of the password is all it protects",
    "kerberos": "a simple bind inside of TLS needs neither tickets nor clocks that agree",
    "gssapi": "a simple bind inside of TLS needs neither tickets nor clocks that agree",
    "anonymous": "nobody may write, and a domain shows nobody anything",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDirectoryConfig(DirectoryConfig):
    """Where the domain is, how it is spoken to, and how groups are made. Passwords never go over an unencrypted connection."""

    account_class: Literal["user", "inetOrgPerson"] = field(
        default="user", metadata={"doc": "object class of new accounts; both are recognised as accounts"}
    )
    group_scope: Literal["global", "domain_local", "universal"] = field(
        default="global", metadata={"doc": "scope of the groups syncd makes"}
    )
    group_type: Literal["security", "distribution"] = field(
        default="security", metadata={"doc": "what the groups syncd makes are for: rights, or mail only"}
    )

    protect_containers: bool = field(
        default=True,
        metadata={"doc": "whether containers that syncd makes are protected from accidental deletion, as Microsoft's tools do"},
    )

    time_zone: str = field(
        default="", metadata={"doc": "where the day of `accountExpires` ends, such as `America/Chicago`; empty: the district's"}
    )
    authentication: str = field(
        default="simple", metadata={"doc": "how syncd signs in: `simple`, which is a password inside of TLS; there is no other way"}
    )

    def __post_init__(self) -> None:
        """Raises ValueError naming the field that cannot work, and what to write instead."""
        DirectoryConfig.__post_init__(self)
        if (why := _NOT_OFFERED.get(self.authentication.lower())) is not None:
            raise ValueError(f"authentication: {self.authentication} is not offered: {why}; leave it at simple, over ldaps://")
        if self.authentication != "simple":
            raise ValueError(f"authentication: there is no way to sign in called {self.authentication!r}; leave it at simple")
        try:
            _ = self.zone
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time_zone: no time zone is called {self.time_zone!r}; an example is America/Chicago") from error

    @property
    def zone(self) -> ZoneInfo:
        """Where the day of accountExpires ends."""
        return ZoneInfo(self.time_zone or "UTC")

    def unfit(self, attribute: str, fixed: str, longest: int) -> str:
        """Why no value of a rule can be held, or the empty string: `fixed` is in all of them, `longest` their possible length."""
        if attribute.lower() != "samaccountname":
            return ""
        if (wrong := NOT_IN_SAM.search(fixed)) is not None:
            return f"a sAMAccountName must not have {wrong[0]!r} in it; change the rule"
        if longest > LONGEST_SAM:
            return (
                f"a sAMAccountName has at most {LONGEST_SAM} characters, and this rule can make {longest}; "
                "lower max_length of the name in mappings/people.yaml"
            )
        return ""

    @property
    def group_flags(self) -> int:
        """What `groupType` holds: [MS-ADTS] 2.2.12, Group Type Flags; a signed number of 32 bits."""
        return _SCOPES[self.group_scope] + (_SECURITY if self.group_type == "security" else 0)

    def names_are_names(self) -> None:
        """Raises ValueError for a setting that should be a distinguished name and is none; bind_dn may be a sign-in name."""
        DirectoryConfig.names_are_names(self)
        sign_in = "=" not in self.bind_dn and ("@" in self.bind_dn or "\\" in self.bind_dn)
        try:
            if not sign_in:
                parse(self.bind_dn)
        except NotADn as error:
            raise ValueError(
                f"bind_dn: {self.bind_dn!r} is neither a distinguished name nor of the form syncd@district.example"
            ) from error
