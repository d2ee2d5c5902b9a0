"""A directory and Google in one pipeline: a person's address is decided once, and both carry it, the old one included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from syncd import targets
from syncd.cli import story
from syncd.core.model import TargetName
from syncd.demo.roster import Student
from syncd.settings import load
from tests.conftest import write_secret
from tests.doubles.google import GoogleDouble
from tests.fixtures.engine_world import World, kinds, pupil, roster_of, world
from tests.integration.google_customer import CREDENTIAL, customer
from tests.integration.samba import Domain
from tests.integration.test_google_run import GROUPS, INTERNAL, SKU, STAFF, STUDENTS, blocks

MAPPING = """
target: ad
accounts:
  students:
    find:
      - employeeNumber: student_number
    container: "ou=Students"
    rdn: "{{ names.username }}"
    attributes:
      sAMAccountName: names.username
      givenName: display_given
      sn: display_family
      employeeNumber: student_number
      mail: "{{ names.username }}@{{ grade | lookup('student_domain') }}"
      proxyAddresses: { aliases_of: mail, keep: 30 days }
"""
AD = TargetName("ad")
XENIA = pupil(1)
_LETTERS = str.maketrans("0123456789", "ghijklmnop")


@dataclass
class Both:
    """The district, its domain and its Google."""

    world: World
    domain: Domain
    room: str
    google: GoogleDouble

    @property
    def family(self) -> str:
        """The family name of everybody here: the domain is shared with other tests, and sign-in names are unique in all of it."""
        return self.room.partition(",")[0].removeprefix("OU=").translate(_LETTERS).capitalize()

    def pupil(self, number: int, given: str) -> Student:
        """A student called so."""
        return pupil(number, given=given, family=self.family)

    def address(self, given: str) -> str:
        """The address that goes with a name."""
        return f"{self.called(given)}@{STUDENTS}"

    def called(self, given: str) -> str:
        """The user name that goes with a name."""
        return f"{given[0]}{self.family}".lower()

    def in_the_domain(self) -> dict[str, list[str]]:
        """What the administrator reads of the one account with Xenia's number: mail and proxyAddresses."""
        query = f"(employeeNumber={XENIA.number})"
        self.domain.does(self.domain.admin.search(self.room, query, attributes=["mail", "proxyAddresses"]))
        (entry,) = self.domain.admin.response
        return {name: sorted(value.decode() for value in values) for name, values in entry["raw_attributes"].items()}

    def explained(self) -> str:
        """What `syncd explain` prints of Xenia, on this day."""
        (told,) = self.world.engine.explain(XENIA.key)
        return "\n".join(line.text for line in story.lines(told))


def settings_for(domain: Domain, room: str, google: GoogleDouble, targets_text: str) -> str:
    """The targets of the settings: the domain, and Google after it. `targets_text` is what the small district has."""
    limits = targets_text[targets_text.index("    limits:") :]
    return (
        "targets:\n  google:\n    kind: google\n    start: live\n    after: ad\n"
        f"    credential: {CREDENTIAL}\n    admin: {google.admin}\n    api: {google.url}\n"
        f"    domains: [{STAFF}, {STUDENTS}, {INTERNAL}]\n"
        f"    licences: {{ student: {{ product: '{SKU[0]}', sku: '{SKU[1]}', seats: 100 }} }}\n{limits}"
        "  ad:\n    kind: active_directory\n    start: live\n"
        f"    urls: ['{domain.server.secure_url}']\n    ca_file: {domain.server.ca_file}\n    receive_timeout: 30\n"
        f"    bind_dn: {domain.config(room).bind_dn}\n    credential: ad_bind\n    base: '{room}'\n{limits}"
    )


@pytest.fixture
def both(tmp_path: Path, domain: Domain, room: str) -> Iterator[Both]:
    """One pipeline with both targets; three people have their accounts."""
    domains = STAFF, STUDENTS, INTERNAL, GROUPS
    with customer(domains=domains) as one, world(tmp_path, roster_of(0, 1)) as made, ExitStack() as open_ones:
        one.google.sell(*SKU, 100)
        one.google.write_key_file(tmp_path / "credentials" / CREDENTIAL)
        write_secret(tmp_path / "credentials" / "ad_bind", domain.server.password())
        settings, people = tmp_path / "config" / "syncd.yaml", tmp_path / "mappings" / "people.yaml"
        text = settings.read_text(encoding="utf-8")
        start, end = text.index("targets:\n"), text.index("pipelines:")
        text = text[:start] + settings_for(domain, room, one.google, text[start:end]) + text[end:]
        settings.write_text(text.replace("targets: [ldap]", "targets: [google, ad]"), encoding="utf-8")
        told = people.read_text(encoding="utf-8").replace("on_rename: propose", "on_rename: automatic")
        people.write_text(told.replace("unique_in: [uid]", "unique_in: [sAMAccountName]"), encoding="utf-8")
        (tmp_path / "mappings" / "ldap.yaml").unlink()
        (tmp_path / "mappings" / "ad.yaml").write_text(MAPPING, encoding="utf-8")
        (tmp_path / "mappings" / "google.yaml").write_text(blocks()[1].replace("keep: 365", "keep: 30"), encoding="utf-8")
        config = load(tmp_path)
        for name, target in config.targets.items():
            made.others[name] = targets.build(target.kind, name, target.options, config.credentials)
            open_ones.callback(made.others[name].close)
        made.reopen(config)
        settled = Both(made, domain, room, one.google)
        made.roster = made.roster.with_students(settled.pupil(1, "Xenia"), settled.pupil(2, "Yorick"))
        made.begin()
        yield settled


def test_a_student_renamed_in_the_roster_has_one_new_address_everywhere_and_the_old_one_still_receives_mail(both: Both) -> None:
    """Decided once in the ledger; in both the old one is an alias of the same account; and `explain` tells why."""
    district, google = both.world, both.google
    old, new = both.address("Xenia"), both.address("Beate")
    assert both.in_the_domain() == {"mail": [old], "proxyAddresses": [f"SMTP:{old}"]}
    native_id = google.user(old)["id"]
    district.students(both.pupil(1, "Beate"))
    district.day()
    assert both.in_the_domain() == {"mail": [new], "proxyAddresses": [f"SMTP:{new}", f"smtp:{old}"]}
    user = google.user(old)  # whoever writes to the old address finds this account
    assert (user["id"], user["primaryEmail"], user["aliases"]) == (native_id, new, [old])
    assert kinds(district.plan("reconcile")) == []
    day = district.clock.today
    said = both.explained()
    assert f"username: {both.called('Beate')}  (theirs for ever)" in said
    assert "given Beate" in said
    assert f"also theirs for ever: {both.called('Xenia')}  (issued {day - timedelta(days=1)})" in said
    until = f"until {day}; in {{}} until {day + timedelta(days=30)}"
    assert f"still receives mail: {old}  (mail {until.format('proxyAddresses')})" in said
    assert f"still receives mail: {old}  (primaryEmail {until.format('aliases')})" in said
    why = f"username {both.called('Xenia')} became {both.called('Beate')}: the roster's given was Xenia and is Beate"
    moved = [line for line in said.splitlines() if " move done " in line and why in line]
    assert len(moved) == 2, said


def test_who_is_refused_in_the_domain_keeps_the_old_address_at_google_too(both: Both) -> None:
    """The new address is used in both or in none: Google waits for that person's outcome, and for nobody else's."""
    district = both.world
    district.students(both.pupil(1, "Beate"), both.pupil(3, "Zoltan"))
    district.clock.advance()
    dn = f"CN={both.called('Xenia')},OU=Students,{both.room}"
    with both.domain.denied_below(dn, "WP"):
        applied = district.sync()[1]
    assert {failed.change.person for failed in applied.reports[AD].failures} == {district.person(XENIA.key)}
    old = both.address("Xenia")
    assert both.in_the_domain()["mail"] == [old]
    assert both.google.user(old)["primaryEmail"] == old
    assert both.address("Zoltan") in both.google.users()
