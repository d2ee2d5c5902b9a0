"""Rights in Active Directory as values: what a mapping needs, how tools are told, and how a list of rights is read and written."""

from __future__ import annotations

import struct
import uuid
from dataclasses import replace

import pytest

from syncd.targets import Needs
from syncd.targets.ldap_ad import ActiveDirectoryConfig
from syncd.targets.ldap_ad_delegation import OPTIONAL, Trustee, commands
from syncd.targets.ldap_ad_descriptor import EVERYONE, May, Rule, below, denied_to_everyone, may, rules
from syncd.targets.ldap_ad_rights import Grant, Guids, Right, needed, spoken_of

CONFIG = ActiveDirectoryConfig(
    urls=("ldaps://dc",), bind_dn="s@d.test", credential="c", base="DC=d,DC=test", accounts_in=("OU=P",), groups_in=("OU=G", "ou=p")
)
NOTHING = Needs(frozenset(), frozenset(), joins_groups=False, makes_groups=False, moves=False, deletes=False)
USER, GROUP = (
    uuid.UUID(text).bytes_le for text in ("bf967aba-0de6-11d0-a285-00aa003049e2", "bf967a9c-0de6-11d0-a285-00aa003049e2")
)
TITLE, SETS, OTHER = (bytes([number]) * 16 for number in (7, 8, 9))
ME, GROUPS = b"me", b"groups"
ALWAYS = "list and read organizationalUnit; create user; list and read user; "
WRITES = "write cn; write lockoutTime; write name; write pwdLastSet; {}write userAccountControl; "


class Known(Guids):
    """The GUIDs of a schema that is not asked."""

    def __init__(self) -> None:
        self._own = {"user": USER, "group": GROUP, "title": TITLE, "reset password": OTHER, "organizationalunit": bytes(16)}
        self._sets = {"title": SETS}


def told(grants: list[Grant]) -> dict[str, str]:
    """Each container's rights in words."""
    return {grant.container: "; ".join(str(right).replace(" of user", "") for right in grant.rights) for grant in grants}


def test_a_mapping_that_only_makes_accounts_needs_no_more() -> None:
    """What is written of every account, and nothing of groups, of containers, or of deleting."""
    assert told(needed(CONFIG, NOTHING)) == {"OU=P,DC=d,DC=test": ALWAYS + WRITES.format("") + "Reset Password"}


def test_what_a_mapping_does_is_what_is_asked_for() -> None:
    """Attributes by name, moves as deletes, containers in both places; a container named twice is one."""
    needs = Needs(
        frozenset({"title", "cn"}), frozenset({"ou", "cn"}), joins_groups=True, makes_groups=True, moves=True, deletes=False
    )
    makes = "list and read organizationalUnit; create container; create organizationalUnit; "
    groups = "create group; list and read group; write member of group"
    people = "create user; list and read user; " + WRITES.format("write title; ").replace(
        "write title; write u", "write title; write u"
    )
    assert told(needed(CONFIG, needs)) == {
        "OU=P,DC=d,DC=test": f"{makes}{people}Reset Password; delete user, which to move one needs as well; {groups}",
        "OU=G,DC=d,DC=test": makes + groups,
    }


def test_the_names_in_grants_are_those_of_the_schema() -> None:
    """The right to reset is none of the schema's."""
    assert spoken_of([Grant("", (Right(May.CONTROL, "Reset Password", "user"), Right(May.WRITE, "title", "user")))]) == {
        "user",
        "title",
    }


def test_each_tool_is_told_the_same() -> None:
    """One container, one right on it and one below it."""
    grant = Grant('OU=O\'Neil "A",DC=d', (Right(May.CREATE_CHILD, "user", here=True), Right(May.WRITE, "title", "user")))
    written = commands([grant], Known(), Trustee("syncd@d.test", "S-1-5-21-1"), protect=False)
    assert written["dsacls"] == [
        r'dsacls "OU=O' + "'" + r'Neil \"A\",DC=d" /I:T /G "syncd@d.test:CC;user"',
        r'dsacls "OU=O' + "'" + r'Neil \"A\",DC=d" /I:S /G "syncd@d.test:WP;title;user"',
    ]
    user, title, every = str(uuid.UUID(bytes_le=USER)), str(uuid.UUID(bytes_le=TITLE)), str(uuid.UUID(int=0))
    assert written["powershell"][1:] == [
        "$acl = Get-Acl -Path 'AD:\\OU=O''Neil \"A\",DC=d'",
        f"Give $acl 'CreateChild' '{user}' 'All' '{every}'  # create user",
        f"Give $acl 'WriteProperty' '{title}' 'Descendents' '{user}'  # write title of user",
        "Set-Acl -Path 'AD:\\OU=O''Neil \"A\",DC=d' -AclObject $acl",
    ]
    assert "'S-1-5-21-1'" in written["powershell"][0]
    assert written["samba"] == [
        (
            "samba-tool dsacl set --objectdn='OU=O'\"'\"'Neil \"A\",DC=d' "
            f"--sddl='(OA;CI;CC;{user};;S-1-5-21-1)(OA;CIIO;WP;{title};{user};S-1-5-21-1)'"
        )
    ]


def test_what_protects_containers_is_optional_and_comes_last() -> None:
    """Everybody is denied to delete what stands directly in the container."""
    written = commands([Grant("OU=A,DC=d", ())], Known(), Trustee("syncd@d.test", "S-1-5-21-1"), protect=True)
    everyone = "[System.Security.Principal.SecurityIdentifier]'S-1-1-0'"
    expected = {
        "dsacls": ['dsacls "OU=A,DC=d" /D "Everyone:DC"'],
        "powershell": [
            "$acl = Get-Acl -Path 'AD:\\OU=A,DC=d'",
            f"$acl.AddAccessRule([System.DirectoryServices.ActiveDirectoryAccessRule]::new({everyone}, 'DeleteChild', 'Deny'))",
            "Set-Acl -Path 'AD:\\OU=A,DC=d' -AclObject $acl",
        ],
        "samba": ["samba-tool dsacl set --objectdn=OU=A,DC=d --sddl='(D;;DC;;;WD)'"],
    }
    assert {tool: lines[lines.index(OPTIONAL) + 1 :] for tool, lines in written.items()} == expected


# --- lists of rights ----------------------------------------------------------------------------------------------------


def line(*, allows: bool = True, what: int, whose: bytes = ME, about: bytes | None = None, of: bytes | None = None) -> Rule:
    """A line of a list that holds here and below."""
    return Rule(allows, what, whose, about, here=True, below=True, of=of, own=True)


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        ([], False),
        ([line(what=May.WRITE)], True),
        ([line(what=May.WRITE, whose=GROUPS)], True),
        ([line(what=May.WRITE, whose=b"another")], False),
        ([line(what=May.READ)], False),
        ([line(what=May.WRITE, about=TITLE)], True),
        ([line(what=May.WRITE, about=SETS)], True),
        ([line(what=May.WRITE, about=OTHER)], False),
        ([line(what=May.WRITE, allows=False), line(what=May.WRITE)], False),
        ([line(what=May.WRITE), line(what=May.WRITE, allows=False)], True),
        ([line(what=May.WRITE, allows=False, about=OTHER), line(what=May.WRITE)], True),
        ([line(what=May.WRITE, allows=False, whose=b"another"), line(what=May.WRITE)], True),
        ([replace(line(what=May.WRITE), here=False)], False),
    ],
)
def test_a_list_is_read_from_the_top(lines: list[Rule], granted: bool) -> None:
    """[MS-ADTS] 5.1.3.3.3: the first line that speaks of it decides, for an attribute or the set it belongs to."""
    assert may(lines, {ME, GROUPS}, May.WRITE, (TITLE, SETS)) is granted


def test_several_lines_may_give_together_what_is_asked() -> None:
    """Listing by one, reading by another."""
    lines = [line(what=May.LIST), line(what=May.READ, whose=GROUPS)]
    assert may(lines, {ME, GROUPS}, May.LIST | May.READ)
    assert not may(lines, {ME}, May.LIST | May.READ)


def test_a_new_object_is_handed_down_the_lines_for_its_class() -> None:
    """Those for all classes and those for its own."""
    lines = [line(what=1, of=USER), line(what=2, of=GROUP), line(what=4), replace(line(what=8), below=False)]
    assert [rule.mask for rule in below(lines, USER)] == [1, 4]


def descriptor(*entries: bytes) -> bytes:
    """A security descriptor with these lines and no owner: [MS-DTYP] 2.4.6."""
    listed = b"".join(entries)
    return (
        struct.pack("<BBHIIII", 1, 0, 0x8004, 0, 0, 0, 20) + struct.pack("<BBHHH", 4, 0, 8 + len(listed), len(entries), 0) + listed
    )


def entry(kind: int, flags: int, mask: int, types: bytes, sid: bytes) -> bytes:
    """One line: [MS-DTYP] 2.4.4."""
    return struct.pack("<BBHI", kind, flags, 8 + len(types) + len(sid), mask) + types + sid


def test_a_descriptor_is_read_from_its_bytes() -> None:
    """Plain lines and those about an attribute for a class; generic rights are what they stand for; conditions give nothing."""
    both = struct.pack("<I", 3) + TITLE + USER
    read = rules(
        descriptor(
            entry(5, 0x0A, 0x20, both, EVERYONE),
            entry(1, 0x10, 0x10000, b"", EVERYONE),
            entry(0, 0x02, 0x10000000, b"", EVERYONE),
            entry(9, 0, 0xF01FF, b"", EVERYONE),
        )
    )
    assert read == [
        Rule(allows=True, mask=0x20, whose=EVERYONE, about=TITLE, here=False, below=True, of=USER, own=True),
        Rule(allows=False, mask=0x10000, whose=EVERYONE, about=None, here=True, below=False, of=None, own=False),
        Rule(allows=True, mask=0x10000000 | 0xF01FF, whose=EVERYONE, about=None, here=True, below=True, of=None, own=True),
    ]


def test_what_is_denied_to_everybody_stands_in_front_and_only_once() -> None:
    """The lines that were there stay as they were, byte by byte."""
    kept = entry(0, 0x02, 0x10000000, b"", EVERYONE)
    protected = denied_to_everyone(descriptor(kept), May.DELETE | May.DELETE_TREE)
    assert protected == descriptor(entry(1, 0, 0x10040, b"", EVERYONE), kept)
    assert denied_to_everyone(protected or b"", May.DELETE) is None


@pytest.mark.parametrize("broken", [b"", b"\x01\x00\x04\x80", descriptor(entry(0, 0, 1, b"", EVERYONE))[:30]])
def test_bytes_that_are_no_descriptor_are_told(broken: bytes) -> None:
    """Nothing is taken for what it is not."""
    with pytest.raises(ValueError, match="cut off"):
        rules(broken)


def test_an_object_without_a_list_is_everybodys_and_is_given_none() -> None:
    """One denying line alone would take from all what they may."""
    bare = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    assert may(rules(bare), {EVERYONE}, May.WRITE)
    with pytest.raises(ValueError, match="no list"):
        denied_to_everyone(bare, May.DELETE)
