"""A real domain that others kept, by the command line: looked at, linked, observed, and written to only as it is released (R34)."""

from __future__ import annotations

import csv
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE

from syncd.assembly import opened, utc_now
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.demo.samba import SERVICE
from syncd.engine.adopting import Found, Row
from syncd.settings import load
from syncd.targets.ldap_ad_apply import quoted
from tests.conftest import write_secret
from tests.fixtures.messy_domain import Messy, generate
from tests.fixtures.messy_world import MAIN, settle
from tests.integration.samba import Domain

WORD = "Signed-in-1234"
DAYS = timedelta(days=400)
Said = pytest.CaptureFixture[str]


@dataclass
class Kept:
    """A part of a domain as others kept it, with syncd's settings beside it."""

    domain: Domain
    base: str
    folder: Path
    messy: Messy
    owners: dict[str, str]  # by sAMAccountName: whose account it is, "" for nobody's and for a twin

    def run(self, *words: str) -> int:
        """One call of `syncd`."""
        return main(["--config", str(self.folder), *words])

    def entries(self, *attributes: str) -> dict[str, dict[str, list[bytes]]]:
        """What the administrator reads of every account, by sAMAccountName."""
        asked = ["sAMAccountName", *attributes]
        self.domain.does(self.domain.admin.search(self.base, "(objectClass=user)", attributes=asked))
        raw = [entry["raw_attributes"] for entry in self.domain.admin.response]
        return {one["sAMAccountName"][0].decode(): one for one in raw}

    def writes(self) -> dict[str, list[bytes]]:
        """The number of each account's last change: a write to it, whatever it did, makes it another."""
        return {name: one["uSNChanged"] for name, one in self.entries("uSNChanged").items()}


@pytest.fixture(scope="module")
def kept(domain: Domain, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Eighty accounts of a messy domain, one of which somebody has signed in to; every login is unique in the whole domain."""
    base, mark = domain.room(), uuid.uuid4().hex[:4]
    drawn = generate(20270131, 80)
    entries = [replace(one, login=f"{one.login[:13].rstrip('.')}.{n}{mark}"[:20]) for n, one in enumerate(drawn.entries)]
    messy = Messy(drawn.humans, entries)
    made: set[str] = {"ou=Students", "ou=Staff", "ou=Disabled"}
    for entry in entries:
        for place in (entry.bases, entry.container):
            if place not in made:
                domain.does(domain.admin.add(f"{place},{base}", "organizationalUnit"))
                made.add(place)
        told: dict[str, object] = {
            "sAMAccountName": entry.login,
            "userAccountControl": "544" if entry.enabled else "546",
            "displayName": entry.full,
            "givenName": entry.given,
            "sn": entry.family,
            "employeeNumber": entry.number,
            "mail": entry.mail,
            "adminCount": "1" if entry.privileged else "",
        }
        present = {name: value for name, value in told.items() if value}
        domain.does(domain.admin.add(f"CN={entry.login},{entry.container},{base}", "user", present))
    used = next(one for one in entries if one.enabled and one.owner and not one.privileged)
    name = f"CN={used.login},{used.container},{base}"
    domain.does(domain.admin.modify(name, {"unicodePwd": [(MODIFY_REPLACE, [quoted(WORD)])]}))
    assert domain.sign_in(name, WORD) == ""
    folder = tmp_path_factory.mktemp("kept")
    server = domain.server
    target = (
        f'    kind: active_directory\n    urls: ["{server.secure_url}"]\n    ca_file: {server.ca_file}\n    bind_dn: {SERVICE}\n'
        f'    credential: ad_bind\n    base: "{base}"\n    receive_timeout: 30\n'
    )
    settle(folder, messy, target, login="sAMAccountName", full="displayName")
    write_secret(folder / "credentials" / "ad_bind", server.password())
    owners = {one.login: "" if one.twin else one.owner for one in entries}
    return Kept(domain, base, folder, messy, owners)


def test_a_domain_is_taken_on_from_the_report_to_the_first_written_attribute(kept: Kept, tmp_path: Path, capsys: Said) -> None:
    """Not one write until something is released, then only that; whose each account is, is as it really was."""
    before, attributes = kept.writes(), ("displayName", "sn", "givenName", "employeeNumber", "mail", "distinguishedName")
    assert len(before) == len(kept.messy.entries)
    assert kept.run("adopt", "--report", "--csv", str(tmp_path / "report.csv")) == Exit.DONE
    with (tmp_path / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {word: [row for row in rows if row["found"] == word] for word in ("matched", "disputed", "orphaned", "duplicate")}
    matched = {row["place"].partition(",")[0]: row["keys"].removeprefix("sis/") for row in found["matched"]}
    assert {login: kept.owners[login] for login in matched} == matched
    resolvable = kept.messy.resolvable()
    assert len(resolvable & set(matched.values())) >= 0.95 * len(resolvable) > 50
    orphans = {row["place"].partition(",")[0] for row in found["orphaned"]}
    assert all(kept.owners[login] == "" for login in orphans)
    assert kept.run("sync") == Exit.DONE
    assert "observing ad:" in capsys.readouterr().out
    assert kept.run("adopt", "--apply", "--because", "the cut-over") == Exit.DONE
    assert kept.run("sync") == Exit.DONE
    assert kept.run("sync", "--reconcile") == Exit.DONE
    assert kept.writes() == before, "a write was sent to an observed domain"

    entries = kept.entries(*attributes)
    assert kept.run("go-live", "ad", "--attribute", "sn", "--because", "names first") == Exit.DONE
    assert kept.run("sync") in (Exit.DONE, Exit.HELD)
    after = kept.entries(*attributes)
    assert after.keys() == entries.keys()
    changed = {(name, one) for name, old in entries.items() for one in attributes if after[name][one] != old[one]}
    assert {one for _, one in changed} == {"sn"}
    assert {name for name, _ in changed} <= matched.keys()
    capsys.readouterr()
    assert kept.run("go-live", "--list") == Exit.DONE
    assert "attribute sn" in capsys.readouterr().out


def test_who_signed_in_and_when_is_told_by_the_domain(kept: Kept) -> None:
    """Stale by `lastLogonTimestamp`, else by the last change: in a year and a month all are, but whoever signs in until then."""
    config = load(kept.folder)

    def stale(after: timedelta) -> list[Row]:
        with opened(config, clock=lambda: utc_now() + after) as district:
            [survey] = district.engine.adopting.survey(MAIN, timedelta(days=180))[1]
            assert survey.tells_use
            return survey.of(Found.STALE)

    assert stale(timedelta(0)) == []
    rows = stale(DAYS)
    whys = {row.why.partition(" 20")[0] for row in rows}
    assert whys == {"not used since", "never seen to be used, and not changed since"}
    [used] = [row for row in rows if row.why.startswith("not used")]
    assert used.account is not None
    assert kept.owners[used.account.account.rdn]
    enabled = sum(entry.enabled and not entry.privileged for entry in kept.messy.entries)
    assert len(rows) == enabled


def test_privileged_accounts_are_nobodys(kept: Kept) -> None:
    """R40: adminCount is set, and the number of a teacher stands on it."""
    admins = {one.login for one in kept.messy.entries if one.privileged}
    assert admins
    with opened(load(kept.folder)) as district:
        [survey] = district.engine.adopting.survey(MAIN, timedelta(days=180))[1]
    assert survey.privileged == len(admins)
    told = [row.account.account.rdn for row in survey.rows if row.account]
    told += [one for row in survey.rows for one in row.candidates.values()]
    assert not any(admin in one for admin in admins for one in told)
