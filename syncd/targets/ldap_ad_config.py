"""What an Active Directory target needs to be told; every field with the words the reference shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from syncd.targets.ldap_config import DirectoryConfig
from syncd.targets.ldap_dn import NotADn, parse

_SCOPES = {"global": 2, "domain_local": 4, "universal": 8}
_SECURITY = -0x80000000


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
