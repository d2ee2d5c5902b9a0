"""A copy that is a week old is restored, and the directory has gone on without it (R9, R25). The directory is a real slapd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from syncd.assembly import Running, migrate_store, opened
from syncd.core.model import SourceKey
from syncd.demo.district import District
from syncd.demo.roster import Student
from syncd.demo.slapd import SUFFIX, PrivateSlapd
from syncd.demo.tour import PIPELINE, SOURCE, TARGET, Night, settle_in, write_roster
from syncd.settings import load
from tests.conftest import as_admin

FIRST, DAYS = date(2026, 9, 1), 7
OWNED = ("cn", "sn", "givenName", "displayName", "mail", "uid", "employeeNumber", "pwdAccountLockedTime", "memberOf")
WIDE = "{ percent: 100, at_least: 100000, campus_percent: 100, campus_at_least: 100000 }"


def entries(server: PrivateSlapd) -> dict[str, str]:
    """Every account by its DN, with what the mapping owns, its lock and its groups, as the server's own client tells it."""
    found = as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, "(employeeNumber=*)", *OWNED)
    return {one.splitlines()[0]: "\n".join(sorted(one.splitlines())) for one in found.split("\n\n") if one.strip()}


def claim(server: PrivateSlapd, uid: str) -> None:
    """Its owner opens an account, as the portal would: it is not locked any more."""
    dn = next(dn for dn in entries(server) if dn.startswith(f"dn: uid={uid},"))
    as_admin(server, "ldapmodify", ldif=f"{dn}\nchangetype: modify\ndelete: pwdAccountLockedTime\n")


def uid_of(district: Running, key: str) -> str:
    """The user name of who has this source key."""
    person = district.store.keys(SOURCE)[SourceKey(key)].person
    return district.store.names([person])[person]["username"].value


@contextmanager
def lost_and_restored(folder: Path, copy: Path, clock: Night) -> Iterator[Running]:
    """The store is gone; a new one is filled from the copy, as `syncd restore` does."""
    for path in (folder / "state").glob("syncd.db*"):
        path.unlink()
    migrate_store(load(folder))
    with opened(load(folder), clock=clock) as district:
        district.store.restore(copy)
        yield district


def sync(district: Running, *, first: bool = False) -> None:
    """One run, applied without a failure."""
    planned = district.engine.plan(PIPELINE)
    applied = district.engine.apply(planned, first=first)
    assert applied is not None, planned.verdict
    assert not applied.failed, applied.failures


@dataclass
class Week:
    """A district whose directory has gone on for a week since the copy was made."""

    folder: Path
    copy: Path
    clock: Night
    roster: District
    newcomer: Student
    unclaimed: str
    taken: str
    issued: set[str]


def live(folder: Path, server: PrivateSlapd) -> Week:
    """The week: somebody new, somebody renamed, somebody gone, and what a district does besides; two accounts are claimed."""
    roster = District.generate(7, 2, 40, 6, guardians=0, first_day=FIRST)
    (folder / "d").mkdir()
    settle_in(folder / "d", server, roster, lambda _: None)
    configure(folder / "d")
    clock = Night(FIRST)
    with opened(load(folder / "d"), clock=clock) as district:
        sync(district, first=True)
        district.store.backup(folder / "copy")
        students = roster.roster.students
        accounts = {known.person for known in district.store.known(TARGET).values()}
        there = [str(key) for key, one in district.store.keys(SOURCE).items() if one.person in accounts and key in students]
        unclaimed, leaver, renamed = uid_of(district, there[0]), there[1], there[2]
        new = replace(students[there[3]], key="new1", number="77001", given="Zoltan", family="Quimby", birth=date(2013, 3, 3))
        for _ in range(DAYS):
            roster = roster.advance()
            now, day = roster.roster.students, roster.today
            people = [new]
            if day >= FIRST + timedelta(days=3):
                people.append(replace(now.get(renamed, students[renamed]), family="Zyskowski"))
            if day >= FIRST + timedelta(days=4):
                people.append(replace(now.get(leaver, students[leaver]), exit=FIRST + timedelta(days=3)))
            roster = replace(roster, roster=roster.roster.with_students(*people))
            write_roster(roster, folder / "d" / "roster")
            clock.turn_to(day)
            sync(district)
        taken = uid_of(district, "new1")
        issued = {row.name for row in district.store.ledger()}
    claim(server, unclaimed)
    claim(server, taken)
    return Week(folder / "d", folder / "copy", clock, roster, new, unclaimed, taken, issued)


def test_a_copy_a_week_old_takes_nothing_back(tmp_path: Path, own_slapd: PrivateSlapd) -> None:
    """R9, R25: no name is issued again, no claim reopened, nothing created, renamed or disabled before all has been looked at."""
    week = live(tmp_path, own_slapd)
    before = entries(own_slapd)
    twin = replace(week.newcomer, key="new2", number="77002", given="Zelda", birth=date(2012, 12, 12))  # of one user name
    other = replace(week.newcomer, key="new3", number="77003", given="Ximena", family="Oyelaran", birth=date(2012, 11, 11))
    write_roster(replace(week.roster, roster=week.roster.roster.with_students(twin, other)), week.folder / "roster")
    week.clock.turn_to(week.roster.today + timedelta(days=1))
    with lost_and_restored(week.folder, week.copy, week.clock) as district:
        planned = district.engine.plan(PIPELINE)
        assert (planned.kind, planned.verdict.first) == ("reconcile", (TARGET,))
        assert district.engine.apply(planned) is None
        assert entries(own_slapd) == before
        for first in (True, False):
            sync(district, first=first)
        now = entries(own_slapd)
        assert {dn: text for dn, text in now.items() if dn in before} == before
        assert uid_of(district, "new2") == f"{week.taken}2"
        made = {f"dn: uid={week.taken}2", f"dn: uid={uid_of(district, 'new3')}"}
        assert {dn.split(",")[0] for dn in now.keys() - before.keys()} == made
        assert week.issued <= {row.name for row in district.store.ledger()}
        states = district.store.persons()
        new = {district.store.keys(SOURCE)[SourceKey(key)].person for key in ("new2", "new3")}
        assert {person for person in district.store.known(TARGET) if not states[person].claimed} == new
        assert not locked(now) & {dn for dn in now if f"uid={week.unclaimed}," in dn or f"uid={week.taken}," in dn}
        assert district.store.audit.verify().problems == ()


def locked(found: dict[str, str]) -> set[str]:
    """Who of them cannot sign in."""
    return {dn for dn, text in found.items() if "pwdAccountLockedTime" in text}


def configure(folder: Path) -> None:
    """Students claim their accounts, and no limit of a district this small is in the way."""
    people = folder / "mappings" / "people.yaml"
    people.write_text(people.read_text(encoding="utf-8").replace("claim: false", "claim: true", 1), encoding="utf-8")
    settings = folder / "config" / "syncd.yaml"
    text = re.sub(
        r"(create|update|move|enable|disable|delete|member): \{[^}]*\}", rf"\1: {WIDE}", settings.read_text(encoding="utf-8")
    )
    settings.write_text(re.sub(r"shrink_percent: \d+", "shrink_percent: 90", text), encoding="utf-8")
