"""The commands that give syncd's account its rights in a domain: for `dsacls`, for PowerShell, and for Samba's own tool.

Each set grants the same, line for line, and nothing that `ldap_ad_rights` does not ask for. Nothing is run here.
"""

from __future__ import annotations

import re
import shlex
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from syncd.targets.ldap_ad_descriptor import May
from syncd.targets.ldap_ad_rights import Grant, Guids, Right

_LETTERS = {
    May.CREATE_CHILD: "CC",
    May.LIST: "LC",
    May.READ: "RP",
    May.WRITE: "WP",
    May.CONTROL: "CR",
    May.DELETE: "SD",
    May.READ_RIGHTS: "RC",
}
"""As SDDL spells them ([MS-DTYP] 2.5.1.1), and dsacls all but one."""
_DSACLS = {"CR": "CA"}
_DOTNET = {
    May.CREATE_CHILD: "CreateChild",
    May.LIST: "ListChildren",
    May.READ: "ReadProperty",
    May.WRITE: "WriteProperty",
    May.CONTROL: "ExtendedRight",
    May.DELETE: "Delete",
    May.READ_RIGHTS: "ReadControl",
}
"""As .NET spells them: ActiveDirectoryRights."""
OPTIONAL = (
    "# Optional: nothing that stands directly in these is deleted by mistake; to delete there takes the right on the object itself."
)
"""The remark before the lines that protect containers."""
_ALL = "00000000-0000-0000-0000-000000000000"
_GIVE = """Import-Module ActiveDirectory
$syncd = [System.Security.Principal.SecurityIdentifier]'{sid}'
function Give($acl, $rights, $about, $reach, $on) {{
    $rule = [System.DirectoryServices.ActiveDirectoryAccessRule]
    $acl.AddAccessRule($rule::new($syncd, $rights, 'Allow', [guid]$about, $reach, [guid]$on))
}}"""
"""The constructor of six arguments: identity, rights, kind, what they are about, how far they reach, and on which class."""


@dataclass(frozen=True, slots=True)
class Trustee:
    """The account that is to have the rights: how tools call it, and its SID as text."""

    name: str
    sid: str


def commands(grants: Sequence[Grant], guids: Guids, who: Trustee, *, protect: bool) -> Mapping[str, Sequence[str]]:
    """By tool, the lines to run; `#` begins a remark in all of them.

    `protect`: also what keeps containers directly in these from being deleted by mistake, which only their owner can do.
    """
    told: dict[str, list[str]] = {
        "dsacls": [line for grant in grants for line in _dsacls(grant, who)],
        "powershell": [_GIVE.format(sid=who.sid), *(line for grant in grants for line in _powershell(grant, guids))],
        "samba": [_samba(grant, guids, who) for grant in grants],
    }
    if protect:
        for tool, lines in told.items():
            lines += [OPTIONAL, *(line for grant in grants for line in _PROTECT[tool](grant.container))]
    return told


def _letters(right: Right) -> list[str]:
    return [letters for bit, letters in _LETTERS.items() if bit in right.may]


def _dsacls(grant: Grant, who: Trustee) -> Iterator[str]:
    """/I:T is this object and those below, /I:S those below only: one option for a whole call."""
    for option, here in (("/I:T", True), ("/I:S", False)):
        told = [
            f"{''.join(_DSACLS.get(one, one) for one in _letters(right))};{right.about};{right.on}".rstrip(";")
            for right in grant.rights
            if right.here is here
        ]
        if told:
            given = " ".join(f'"{who.name}:{one}"' for one in told)
            yield f"dsacls {_in_quotes(grant.container)} {option} /G {given}"


def _in_quotes(name: str) -> str:
    """A name as one word of a Windows command line: a quotation mark and the backslashes before it are escaped by backslashes."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', name)
    return f'"{escaped}"'


def _powershell(grant: Grant, guids: Guids) -> Iterator[str]:
    place = _in_drive(grant.container)
    yield f"$acl = Get-Acl -Path {place}"
    for right in grant.rights:
        rights = ",".join(name for bit, name in _DOTNET.items() if bit in right.may)
        about, on = (str(uuid.UUID(bytes_le=guids.of(name))) if name else _ALL for name in (right.about, right.on))
        yield f"Give $acl '{rights}' '{about}' '{'All' if right.here else 'Descendents'}' '{on}'  # {right}"
    yield f"Set-Acl -Path {place} -AclObject $acl"


def _in_drive(container: str) -> str:
    """Where the container stands in PowerShell's drive of the domain."""
    return "'AD:\\" + container.replace("'", "''") + "'"


def _samba(grant: Grant, guids: Guids, who: Trustee) -> str:
    lines = []
    for right in grant.rights:
        about, on = (str(uuid.UUID(bytes_le=guids.of(name))) if name else "" for name in (right.about, right.on))
        kind, flags = "OA" if about or on else "A", "CI" if right.here else "CIIO"
        lines.append(f"({kind};{flags};{''.join(_letters(right))};{about};{on};{who.sid})")
    return f"samba-tool dsacl set --objectdn={shlex.quote(grant.container)} --sddl={shlex.quote(''.join(lines))}"


def _protect_dsacls(container: str) -> list[str]:
    return [f'dsacls {_in_quotes(container)} /D "Everyone:DC"']


def _protect_powershell(container: str) -> list[str]:
    place = _in_drive(container)
    everyone = "[System.Security.Principal.SecurityIdentifier]'S-1-1-0'"
    rule = f"[System.DirectoryServices.ActiveDirectoryAccessRule]::new({everyone}, 'DeleteChild', 'Deny')"
    return [f"$acl = Get-Acl -Path {place}", f"$acl.AddAccessRule({rule})", f"Set-Acl -Path {place} -AclObject $acl"]


def _protect_samba(container: str) -> list[str]:
    return [f"samba-tool dsacl set --objectdn={shlex.quote(container)} --sddl='(D;;DC;;;WD)'"]


_PROTECT = {"dsacls": _protect_dsacls, "powershell": _protect_powershell, "samba": _protect_samba}
