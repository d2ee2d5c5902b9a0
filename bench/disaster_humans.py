"""What people do: the wrong button, the wrong folder, the right thing at the wrong time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping

from bench import calamities
from bench.calamities import Scene
from bench.disasters import Disaster
from bench.ground import HIT, Ground, Night
from bench.truth import Seen
from syncd.assembly import migrate_store
from syncd.core.model import RunId
from syncd.demo.slapd import PrivateSlapd
from syncd.engine import RECONCILE
from syncd.engine.planned import Undoes


class _Human(Disaster):
    group = "human"


class UndoOfTheWrongRun(_Human):
    """Somebody types r1 for r11: taking back the first apply would disable the whole district."""

    said, whole = r"disabled|held", True

    def strike(self, ground: Ground) -> None:
        """Nothing yet."""

    def act(self, ground: Ground) -> None:
        """The undo of the run that made everybody, and the apply of its plan."""
        engine = ground.running.engine
        undone = engine.undo(Undoes(RunId("r1")))
        engine.apply_stored(undone.run)
        ground.nights.append(Night(undone, None))

    def benign(self, ground: Ground) -> None:
        """The undo of the night's run, which changed a few names: its plan is made, and nothing of it is held."""
        self._newest = ground.sync().planned

    def act_benign(self, ground: Ground) -> None:
        """Only the plan: the names are right as they are."""
        assert self._newest is not None  # noqa: S101 — the roster is readable
        ground.nights.append(Night(ground.running.engine.undo(Undoes(self._newest.run)), None))


class ApprovedAndThenChanged(_Human):
    """A hold is approved in the evening, and the roster of the night holds twice as many: only what was seen may go."""

    said = r"(campus 002|target ldap).*disabled"

    def strike(self, ground: Ground) -> None:
        """A tenth of a campus has left, which is held and approved; then the file says it of everybody there."""
        users, there = ground.good["users"], list(ground.good.students_at(HIT))
        for key in there[: len(there) // 5]:
            users.put(key, "metadata.exitDate", "2026-10-07")
        ground.deliver(ground.good)
        planned = ground.sync().planned
        assert planned is not None  # noqa: S101 — the roster is readable
        ground.running.engine.approve(planned.run, "administrator", "the annex is closed")
        ground.spoil(lambda bad: calamities.exits_today(bad, Scene(HIT, 1.0, ground.clock.now.date(), ground.random)))

    def benign(self, ground: Ground) -> None:
        """What was approved is still just so."""
        users, there = ground.good["users"], list(ground.good.students_at(HIT))
        for key in there[: len(there) // 5]:
            users.put(key, "metadata.exitDate", "2026-10-07")
        ground.deliver(ground.good)
        planned = ground.sync().planned
        assert planned is not None  # noqa: S101 — as above
        ground.running.engine.approve(planned.run, "administrator", "the annex is closed")


class DisabledByHand(_Human):
    """Security disables accounts after a phishing wave: a sync that enables them again undoes it."""

    said = r"disabled by others"
    kind = RECONCILE

    def strike(self, ground: Ground) -> None:
        """A third of a campus is locked."""
        there = ground.accounts()
        _lock(ground, there[: len(there) // 3])

    def benign(self, ground: Ground) -> None:
        """Nobody is locked; two telephone numbers are written by hand."""
        lines = [
            f"dn: {dn}\nchangetype: modify\nreplace: telephoneNumber\ntelephoneNumber: 5550100\n" for dn in ground.accounts()[:2]
        ]
        ground.as_admin("ldapmodify", ldif="\n".join(lines))

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """Whoever was locked is."""
        del ground
        opened = [native for native, one in after.items() if one.enabled and native in before and not before[native].enabled]
        if opened:
            yield f"{len(opened)} accounts that others disabled were enabled"


def _lock(ground: Ground, dns: list[str]) -> None:
    lines = [f"dn: {dn}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n" for dn in dns]
    ground.as_admin("ldapmodify", ldif="\n".join(lines))


class MassRenameInTheDirectory(_Human):
    """A consultant's script rewrote the names of a campus in the directory: what the roster says is put back."""

    said = r""
    quiet = True
    kind = RECONCILE

    def strike(self, ground: Ground) -> None:
        """Every family name of a campus is Doe."""
        lines = [f"dn: {dn}\nchangetype: modify\nreplace: sn\nsn: Doe\n" for dn in ground.accounts()]
        ground.as_admin("ldapmodify", ldif="\n".join(lines))

    def benign(self, ground: Ground) -> None:
        """One name is rewritten."""
        dn = ground.accounts()[0]
        ground.as_admin("ldapmodify", ldif=f"dn: {dn}\nchangetype: modify\nreplace: sn\nsn: Doe\n")


class StateDeleted(_Human):
    """Somebody makes room and deletes the state folder: who owns which account is forgotten, everybody looks new."""

    said, whole = r"would be somebody's", True

    def strike(self, ground: Ground) -> None:
        """An empty store in the old one's place."""
        ground.close()
        shutil.rmtree(ground.folder / "state")
        migrate_store(ground.config)

    def benign(self, ground: Ground) -> None:
        """Only the copies of rosters are deleted."""
        ground.close()
        shutil.rmtree(ground.folder / "state" / "spools")

    def wrong(self, before: Mapping[str, Seen], after: Mapping[str, Seen], ground: Ground) -> Iterator[str]:
        """As many accounts as before."""
        del ground
        if len(after) != len(before):
            yield f"there are {len(after)} accounts instead of {len(before)}"


class AnotherDirectory(_Human):
    """The address and password of the test directory are in the settings: an empty directory, which is not our people gone."""

    said, whole = r"target ldap|held|deleted|missing", True
    kind = RECONCILE

    def strike(self, ground: Ground) -> None:
        """A second server, with a tree and nobody in it."""
        self._other = PrivateSlapd(ground.folder / "other", ground.server.binaries, nosync=True)
        self._other.start()
        ground.edit("config/syncd.yaml", ground.server.secure_url, self._other.secure_url)
        ground.edit("config/syncd.yaml", str(ground.server.ca_file), str(self._other.ca_file))
        (ground.folder / "credentials" / "ldap_bind").write_text(self._other.password(), "utf-8")

    def act(self, ground: Ground) -> None:
        """A run against it; nothing may be made there, nor changed at home."""
        try:
            ground.sync(self.kind)
            ground.close()
        finally:
            self._other.stop()

    def benign(self, ground: Ground) -> None:
        """The same directory under another of its names."""
        ground.edit("config/syncd.yaml", ground.server.secure_url, ground.server.secure_url.replace("127.0.0.1", "localhost"))


class LimitsOfAHundredPercent(_Human):
    """Tired of holds, somebody sets every limit to a hundred percent; then an export loses a campus."""

    said = r"campus 002.*vanished"

    def strike(self, ground: Ground) -> None:
        """No limit on the target, and a campus that is not in the files."""
        path = ground.folder / "config" / "syncd.yaml"
        text = re.sub(
            r"(create|disable|delete): \{[^}]*\}",
            r"\1: { percent: 100, absolute: 100000, campus_percent: 100 }",
            path.read_text("utf-8"),
        )
        ground.rewrite("config/syncd.yaml", text)
        ground.spoil(lambda bad: calamities.campus_vanishes(bad, Scene(HIT, 1.0, ground.clock.now.date(), ground.random)))

    def benign(self, ground: Ground) -> None:
        """A limit is made tighter."""
        ground.edit("config/syncd.yaml", "disable: { percent: 3,", "disable: { percent: 2,")
