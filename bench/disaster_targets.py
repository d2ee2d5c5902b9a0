"""Bad answers of a directory: what a server can say that is not so, and what looks like it and is right."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping

from bench.disasters import Disaster
from bench.ground import Ground
from bench.truth import Seen
from syncd.demo.slapd import SERVICE_DN, SUFFIX
from syncd.engine import RECONCILE
from syncd.errors import EndpointError

_WRITE = f'{{7}}to * by dn.exact="{SERVICE_DN}" write by users read by * none'
_OTHERS = "ou=Others"


class _Target(Disaster):
    group = "target"
    kind = RECONCILE


class ReadRightLost(_Target):
    """An access rule was edited and the bind account may not read any more: the server says success, and no entries."""

    said, whole = r"target ldap", True

    def strike(self, ground: Ground) -> None:
        """The containers answer, what is below them does not."""
        ground.reconfigure_server(_WRITE, f'{{7}}to dn.regex="^uid=.*" by dn.exact="{SERVICE_DN}" search by * none')

    def benign(self, ground: Ground) -> None:
        """A rule more that takes nothing away."""
        ground.reconfigure_server(
            _WRITE, f'{{7}}to dn.base="cn=nobody,{SUFFIX}" by * none\nolcAccess: {_WRITE.replace("{7}", "{8}")}'
        )


class SizeLimited(_Target):
    """Somebody set a limit on what one search may tell: the first entries come, the rest does not."""

    said, whole = r"target ldap", True

    def strike(self, ground: Ground) -> None:
        """At most fifty entries, whoever asks."""
        ground.reconfigure_server("olcSizeLimit: unlimited", "olcSizeLimit: size.soft=50 size.hard=50 size.pr=50 size.prtotal=hard")

    def benign(self, ground: Ground) -> None:
        """A limit that nobody reaches."""
        ground.reconfigure_server("olcSizeLimit: unlimited", "olcSizeLimit: 1000000")


class HalfUnreadable(_Target):
    """A branch of the tree became confidential and the bind account was forgotten: half of the people are not shown."""

    said, whole = r"not shown any more", True

    def strike(self, ground: Ground) -> None:
        """What is below ou=Students cannot be read."""
        ground.reconfigure_server(
            _WRITE,
            f'{{7}}to dn.children="ou=Students,{SUFFIX}" by dn.exact="{SERVICE_DN}" search by * none\n'
            f"olcAccess: {_WRITE.replace('{7}', '{8}')}",
        )

    def benign(self, ground: Ground) -> None:
        """A branch of others becomes confidential."""
        ground.as_admin("ldapadd", ldif=f"dn: {_OTHERS},{SUFFIX}\nobjectClass: organizationalUnit\n\n")
        ground.reconfigure_server(
            _WRITE, f'{{7}}to dn.subtree="{_OTHERS},{SUFFIX}" by * none\nolcAccess: {_WRITE.replace("{7}", "{8}")}'
        )


class WritesRefused(_Target):
    """The address leads to a read-only replica after a failover: everything reads well and nothing can be written."""

    said, whole = r"refused|quarantine|target ldap", True

    def strike(self, ground: Ground) -> None:
        """The database is read-only."""
        ground.reconfigure_server("olcDbNoSync: TRUE", "olcDbNoSync: TRUE\nolcReadOnly: TRUE")

    def benign(self, ground: Ground) -> None:
        """A failover to one that can be written: the server was restarted, and is the same."""
        ground.close()
        ground.server.restart()


class AccountsRenamedByHand(_Target):
    """An administrator tidied up and renamed a campus: they are the same accounts, and nobody gets a second one."""

    said = r"moved or renamed"

    def strike(self, ground: Ground) -> None:
        """Three in four of a campus are renamed."""
        there = ground.accounts()
        _rename(ground, there[: len(there) * 3 // 4])

    def benign(self, ground: Ground) -> None:
        """Something is written into two accounts that nobody of ours writes."""
        lines = [f"dn: {dn}\nchangetype: modify\nreplace: roomNumber\nroomNumber: 12\n" for dn in ground.accounts()[:2]]
        ground.as_admin("ldapmodify", ldif="\n".join(lines))


def _rename(ground: Ground, dns: list[str]) -> None:
    lines = [f"dn: {dn}\nchangetype: modrdn\nnewrdn: uid=x{dn[4 : dn.index(',')]}\ndeleteoldrdn: 1\n" for dn in dns]
    ground.as_admin("ldapmodify", ldif="\n".join(lines))


class BaseMoved(_Target):
    """The directory was reorganised: the students' branch hangs elsewhere. Their accounts are not gone, and are not made anew."""

    said, whole = r"target ldap|strayed|findings", True

    def strike(self, ground: Ground) -> None:
        """ou=Students is called ou=Pupils."""
        ground.close()
        ground.as_admin("ldapmodify", ldif=f"dn: ou=Students,{SUFFIX}\nchangetype: modrdn\nnewrdn: ou=Pupils\ndeleteoldrdn: 1\n")

    def benign(self, ground: Ground) -> None:
        """A branch nobody of ours is in is called otherwise."""
        ground.as_admin("ldapadd", ldif=f"dn: {_OTHERS},{SUFFIX}\nobjectClass: organizationalUnit\n\n")
        ground.as_admin("ldapmodify", ldif=f"dn: {_OTHERS},{SUFFIX}\nchangetype: modrdn\nnewrdn: ou=Strangers\ndeleteoldrdn: 1\n")


class EntriesDeletedByOthers(_Target):
    """A script of somebody else deleted accounts: they are not made anew unasked, with empty mailboxes and other ids."""

    said = r"not made anew"

    def strike(self, ground: Ground) -> None:
        """A third of a campus is deleted."""
        there = ground.accounts()
        ground.as_admin("ldapdelete", *there[: len(there) // 3])

    def benign(self, ground: Ground) -> None:
        """An account of somebody else's is deleted."""
        entry = f"dn: uid=guest1,ou=Staff,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: guest1\ncn: Guest\nsn: Guest\n\n"
        ground.as_admin("ldapadd", ldif=entry)
        ground.as_admin("ldapdelete", f"uid=guest1,ou=Staff,{SUFFIX}")


class IdsChangedByReload(_Target):
    """The server was rebuilt from an LDIF without operational attributes: every entry has another permanent id."""

    said, whole = r"not shown any more|moved out|disputed", True

    def strike(self, ground: Ground) -> None:
        """All entries are written out, their ids taken off, and read in again."""
        _reload(ground, ids=False)

    def benign(self, ground: Ground) -> None:
        """The same, with the ids."""
        _reload(ground, ids=True)

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """As many accounts as before."""
        del ground
        if len(after) != len(before):
            yield f"there are {len(after)} accounts instead of {len(before)}"


def _reload(ground: Ground, *, ids: bool) -> None:
    server = ground.server
    ground.close()
    server.stop()
    conf = ("-F", str(server.folder / "conf"))
    ldif = server.folder / "all.ldif"
    _slap(ground, "-Tcat", "-n1", *conf, "-l", str(ldif))
    if not ids:
        ldif.write_text(re.sub(r"(?m)^(entryUUID|entryCSN): .*\n", "", ldif.read_text("utf-8")), "utf-8")
    for file in (server.folder / "db").iterdir():
        file.unlink()
    _slap(ground, "-Tadd", "-q", "-n1", *conf, "-l", str(ldif))
    server.start()


def _slap(ground: Ground, *words: str) -> None:
    binaries = ground.server.binaries
    ended = subprocess.run([binaries.slapd, *words], env=binaries.environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise EndpointError("bench", f"slapd {words[0]} ended with {ended.returncode}: {ended.stderr[-300:]}", "this is a bug")
