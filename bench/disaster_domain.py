"""Disasters of an Active Directory domain: what its administrators do by mistake, and what a controller answers then.

Each befalls a district in a real domain controller (Samba's), and `heal` puts it right again: the next run must then do everything
that was due, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.disasters import Disaster
from bench.ground import HIT, Night
from bench.ground_domain import DomainGround
from bench.truth import Seen
from syncd.core.health import CROWD
from syncd.core.model import Outcome
from syncd.demo.samba import SUFFIX
from syncd.demo.tour import PIPELINE
from syncd.engine import RECONCILE
from syncd.errors import SyncdError

_OTHERS = f"OU=Others,{SUFFIX}"
_HIDDEN = "(D;;LC;;;{sid})"  # may not list what stands in it: [MS-ADTS] 5.1.3.2
_UNWRITABLE = "(D;CI;WP;;;{sid})"  # may not write the attributes of anything below
_LONGER = 60  # than any first password of syncd's
_NEWCOMERS = 6


class _Domain(Disaster):
    group = "target"
    kind = RECONCILE

    def strike(self, ground: DomainGround) -> None:
        raise NotImplementedError

    def benign(self, ground: DomainGround) -> None:
        raise NotImplementedError


class BranchHidden(_Domain):
    """A branch became confidential and syncd's account was forgotten: the controller says success and shows half of the people."""

    said, whole = r"not shown any more", True

    def strike(self, ground: DomainGround) -> None:
        """It may not list what stands in OU=Students and in the containers below."""
        ground.rights(_HIDDEN, _below("Students", ground))

    def heal(self, ground: DomainGround) -> bool:
        """It may again."""
        ground.rights(_HIDDEN, _below("Students", ground), "take")
        return True

    def benign(self, ground: DomainGround) -> None:
        """A branch of others becomes confidential."""
        ground.tool("ou", "create", _OTHERS)
        ground.rights(_HIDDEN, [_OTHERS])


class NobodyShown(_Domain):
    """The right to list was taken from ordinary accounts everywhere: success, and no entry. Nobody is gone, and nobody is made."""

    said, whole = r"target ad", True

    def strike(self, ground: DomainGround) -> None:
        """It may not list what stands in any container of the district."""
        ground.rights(_HIDDEN, _below("Students Staff Disabled", ground))

    def heal(self, ground: DomainGround) -> bool:
        """It may again."""
        ground.rights(_HIDDEN, _below("Students Staff Disabled", ground), "take")
        return True

    def benign(self, ground: DomainGround) -> None:
        """A line more that gives what it had."""
        ground.rights("(A;;LC;;;{sid})", _below("Staff", ground))


class BindAccountDisabled(_Domain):
    """Somebody tidies up accounts that nobody signs in with at a screen: syncd's own is disabled, and the controller refuses it."""

    said, whole = r"data 533|disabled", True

    def strike(self, ground: DomainGround) -> None:
        """It is disabled."""
        ground.close()
        ground.tool("user", "disable", "syncd")

    def benign(self, ground: DomainGround) -> None:
        """Its password is changed, in the domain and in the credentials folder."""
        ground.close()
        ground.tool("user", "setpassword", "syncd", "--newpassword=Another-Word-77")
        (ground.folder / "credentials" / "ad_bind").write_text("Another-Word-77", "utf-8")

    def heal(self, ground: DomainGround) -> bool:
        """It is enabled again."""
        ground.tool("user", "enable", "syncd")
        return True


class ControllerDies(_Domain):
    """The controller loses power in the middle of a run that makes accounts: none is lost, and none is made twice."""

    said, whole = r"target ad", True

    def strike(self, ground: DomainGround) -> None:
        """New children come to a campus, so that there is something to be in the middle of."""
        ground.enroll(_NEWCOMERS)

    def act(self, ground: DomainGround) -> None:
        """The power goes with the third outcome: accounts are there, memberships are not. It is back before anybody looks."""
        heard: list[Outcome] = []

        def told(outcome: Outcome) -> None:
            heard.append(outcome)
            if len(heard) == _NEWCOMERS // 2:
                ground.server.kill()

        try:
            ground.nights.append(Night(*ground.running.engine.sync(PIPELINE, self.kind, trigger="schedule", told=told)))
        except SyncdError as error:
            ground.nights.append(Night(None, None, error))
        self._landed = sum(one.landed for one in heard)
        ground.server.start()

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """It died in the middle: something has landed, and some of what was due has not."""
        del before, after
        if not self._landed or _members(ground) == _NEWCOMERS:
            yield f"that was not the middle: {self._landed} changes landed, with {_members(ground)} memberships"

    def benign(self, ground: DomainGround) -> None:
        """It is restarted before the run, and the same children come."""
        ground.close()
        ground.server.restart()
        ground.enroll(_NEWCOMERS)

    def heal(self, ground: DomainGround) -> bool:
        """It is back already; and the target is not asked for a minute after such an end, so that a new process looks."""
        ground.close()
        return True

    def wrong_healed(self, after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """Everybody who was to come is there, enabled, once, and in the group of all students."""
        yield from _newcomers(after)
        if (found := _members(ground)) != _NEWCOMERS:
            yield f"of {_NEWCOMERS} newcomers {found} are in the group of all students"


class StaffMadeAdministrator(_Domain):
    """A teacher is put among the domain's administrators: whoever writes a roster could rename, disable or reset them."""

    said = r"privileged|quarantine|refused"

    def strike(self, ground: DomainGround) -> None:
        """The account of a member of staff is put into Domain Admins, and their name changes in the roster."""
        number = ground.rename(HIT, "staff")
        self._due = {number: ground.changed.pop(number)}
        self._dn = _dn_of(ground, number)
        ground.tool("group", "addmembers", "Domain Admins", _name(self._dn))

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """Nothing of it was written."""
        del ground
        name = _name(self._dn)
        if {one for one in before.values() if one.name == name} != {one for one in after.values() if one.name == name}:
            yield "the administrator's account was written"

    def benign(self, ground: DomainGround) -> None:
        """The same, and the group is one of others."""
        number = ground.rename(HIT, "staff")
        ground.tool("ou", "create", _OTHERS)
        ground.tool("group", "add", "Chess", f"--groupou={_OTHERS.removesuffix(f',{SUFFIX}')}")
        ground.tool("group", "addmembers", "Chess", _name(_dn_of(ground, number)))

    def heal(self, ground: DomainGround) -> bool:
        """They are taken out again."""
        ground.tool("group", "removemembers", "Domain Admins", _name(self._dn))
        ground.changed |= self._due
        return True


class CampusRenamedByHand(_Domain):
    """An administrator renamed a campus: by their objectGUID they are the same accounts, and nobody gets a second one."""

    said = r"moved or renamed"

    def strike(self, ground: DomainGround) -> None:
        """Three in four of a campus are renamed."""
        there = ground.accounts()
        lines = [f"dn: {dn}\nchangetype: modrdn\nnewrdn: CN=x{_name(dn)}\ndeleteoldrdn: 1\n" for dn in there[: len(there) * 3 // 4]]
        ground.as_admin("ldapmodify", ldif="\n".join(lines))

    def benign(self, ground: DomainGround) -> None:
        """Something is written into two accounts that nobody of ours writes."""
        lines = [f"dn: {dn}\nchangetype: modify\nreplace: info\ninfo: room 12\n" for dn in ground.accounts()[:2]]
        ground.as_admin("ldapmodify", ldif="\n".join(lines))


class AccountsDeletedByHand(_Domain):
    """A script of somebody else deleted accounts: they are not made anew unasked, with other ids and without their mail."""

    said = r"not made anew"

    def strike(self, ground: DomainGround) -> None:
        """Every third child at every campus, as far as a crowd goes; but for those who truly changed."""
        spared = {_dn_of(ground, number) for number in ground.changed}
        there = [dn for campus in sorted(ground.district.roster.schools) for dn in ground.accounts(campus)[::3]]
        ground.as_admin("ldapdelete", *[dn for dn in there if dn not in spared][: CROWD + 2])

    def benign(self, ground: DomainGround) -> None:
        """An account of somebody else's is deleted."""
        ground.tool("user", "create", "visitor", "Correct-Horse-9")
        ground.tool("user", "delete", "visitor")


class RightLostAtOneCampus(_Domain):
    """Somebody cut the rights of one campus: what is refused there stops nobody elsewhere, and is not tried for ever."""

    said = r"quarantine|refused"

    def strike(self, ground: DomainGround) -> None:
        """It may not write there any more, and a child there has another name."""
        number = ground.rename(HIT)
        self._due = {number: ground.changed.pop(number)}
        ground.rights(_UNWRITABLE, [ground.unit()])

    def heal(self, ground: DomainGround) -> bool:
        """It may again."""
        ground.rights(_UNWRITABLE, [ground.unit()], "take")
        ground.changed |= self._due
        return True

    def benign(self, ground: DomainGround) -> None:
        """The right was cut for an account of others."""
        ground.rename(HIT)
        ground.rights("(D;CI;WP;;;BG)", [ground.unit()])  # the builtin guests


class PolicyTightened(_Domain):
    """The domain demands longer passwords than syncd makes: newcomers get no account, and nobody an account without a password."""

    said = r"quarantine|refused|password"

    def strike(self, ground: DomainGround) -> None:
        """At least sixty characters, and six children come."""
        _demand(ground, _LONGER)
        ground.enroll(_NEWCOMERS)

    def heal(self, ground: DomainGround) -> bool:
        """At least seven again, as before."""
        _demand(ground, 7)
        return True

    def wrong_healed(self, after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """Now they have one."""
        del ground
        return _newcomers(after)

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """Nobody was made."""
        del ground
        if made := after.keys() - before.keys():
            yield f"{len(made)} accounts were made"

    def benign(self, ground: DomainGround) -> None:
        """At least twelve, which all have; six children come."""
        _demand(ground, 12)
        ground.enroll(_NEWCOMERS)


class NamesTakenByHand(_Domain):
    """The office made accounts by hand for a new class, with the names they would get: they may be theirs, and may be anybody's."""

    said = r"disputed"

    def strike(self, ground: DomainGround) -> None:
        """They stand among the accounts of the district's staff, and nothing in them says whose they are."""
        names = [f"n{family.lower()}" for family in ground.enroll(CROWD + 1)]
        told = "objectClass: user\nuserAccountControl: 514\nsAMAccountName:"
        ground.as_admin("ldapadd", ldif="\n".join(f"dn: CN={name},OU=Staff,{SUFFIX}\n{told} {name}\n" for name in names))

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: DomainGround) -> Iterator[str]:
        """The newcomers got neither these accounts nor others."""
        del ground
        if before.keys() != after.keys():
            yield f"{len(after) - len(before)} accounts more"

    def benign(self, ground: DomainGround) -> None:
        """One has a name that nobody else would get."""
        ground.enroll(1)
        ground.tool("user", "create", "scanner12", "Correct-Horse-9", "--userou=OU=Staff")


def _newcomers(after: Mapping[str, Seen]) -> Iterator[str]:
    families = sorted(one.family for one in after.values() if one.family.startswith("Newcomer") and one.enabled)
    if families != [f"Newcomer{turn:03}" for turn in range(_NEWCOMERS)]:
        yield f"of {_NEWCOMERS} newcomers these have an account: {families}"


def _members(ground: DomainGround) -> int:
    """How many newcomers are in the group of all students."""
    asked = f"(&(sn=Newcomer*)(memberOf=CN=All Students,OU=Groups,{SUFFIX}))"
    return ground.as_admin("ldapsearch", "-LLL", "-b", SUFFIX, asked, "1.1").count("dn:")


def _below(names: str, ground: DomainGround) -> list[str]:
    """The containers of these names and all below them, as the administrator sees them."""
    return ground.units(*(f"OU={name},{SUFFIX}" for name in names.split()))


def _demand(ground: DomainGround, characters: int) -> None:
    ground.as_admin("ldapmodify", ldif=f"dn: {SUFFIX}\nchangetype: modify\nreplace: minPwdLength\nminPwdLength: {characters}\n")


def _dn_of(ground: DomainGround, number: str) -> str:
    """The account of the child with this number."""
    told = ground.as_admin("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, f"(employeeNumber={number})", "cn")
    return next(line.removeprefix("dn: ") for line in told.splitlines() if line.startswith("dn: "))


def _name(dn: str) -> str:
    """The account's name in its container, which is its user name."""
    return dn.partition(",")[0].partition("=")[2]
