"""Broken rosters from file to directory: nothing changes, or only the accounts of people whose rows are sound.

Every delivery of `tests/fixtures/broken_rosters.py` follows a healthy one that was synced. What texts can do to a directory is
tried on a real one.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.demo.slapd import SUFFIX, PrivateSlapd
from syncd.errors import EndpointError
from syncd.sources.oneroster_csv import OneRosterCsvConfig
from syncd.targets.ldap import Ldap, LdapConfig
from syncd.vault import Credentials
from tests.conftest import NIGHTLY, as_admin
from tests.fixtures.broken_rosters import BROKEN, GOOD_SUPPLEMENT, PEOPLE, BrokenRoster, with_supplement
from tests.fixtures.engine_world import MAIN, SIS, World, found, kinds, pupil, roster_of, world

Holding = tuple[object, frozenset[str], str]
NIGHTS = 14 if NIGHTLY else 8  # past everybody's grace
HEALED = [one for one in BROKEN if not one.on_contact][:: 1 if NIGHTLY else 2]


@contextmanager
def synced(folder: Path, roster: BrokenRoster) -> Iterator[World]:
    """The six people of the healthy delivery with their accounts, read as this roster wants to be read."""
    with world(folder) as district:
        path = with_supplement(GOOD_SUPPLEMENT)(district.drop)
        read_as(district, replace(roster.options(path), headers="lenient", floors={}))
        if not roster.on_contact:
            district.sync(first=True)
        path.unlink()
        yield district


def read_as(district: World, options: OneRosterCsvConfig) -> None:
    source = replace(district.config.sources[SIS], options=options)
    district.reopen(replace(district.config, sources={SIS: source}))


def holdings(district: World) -> dict[str, Holding]:
    """What the directory holds of everybody: account, groups, password, by source key; of a stranger by native id."""
    memory = district.memory
    keys = {one.native_id: key for person, one in district.store.known("ldap").items() for key in keys_of(district, person)}
    return {
        keys.get(native_id, native_id): (
            account,
            frozenset(name for name, (_, members) in memory.groups.items() if native_id in members),
            memory.passwords.get(native_id, ""),
        )
        for native_id, account in memory.accounts.items()
    }


def keys_of(district: World, person: str) -> list[str]:
    return [str(key.key) for key in district.store.keys_of([person])[person]]  # type: ignore[list-item, index]  # a PersonId is a str


def changed(before: Mapping[str, Holding], after: Mapping[str, Holding]) -> set[str]:
    """Whose account is not what it was."""
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}


@pytest.mark.parametrize("roster", BROKEN, ids=lambda roster: roster.name)
def test_only_people_with_sound_rows_change(roster: BrokenRoster, tmp_path: Path) -> None:
    """R1, R3: refused changes nothing, however often it is read; rejected leaves the owners alone; nobody loses access."""
    with synced(tmp_path, roster) as district:
        before = holdings(district)
        assert len(before) == (0 if roster.on_contact else 5)  # a guardian has no account
        read_as(district, roster.options(roster.build(district.drop)))
        if roster.on_contact:
            with pytest.raises(EndpointError, match=roster.message):
                district.engine.sync(MAIN)
            assert holdings(district) == {}
            return
        told = ""
        for _ in range(NIGHTS):
            district.clock.advance()
            planned, applied = district.engine.sync(MAIN)
            told += "".join(finding.why for finding in planned.findings)
            assert applied is not None
            assert not applied.failed
            assert not {Kind.CREATE, Kind.DISABLE, Kind.DELETE, Kind.PARK} & set(kinds(planned))
        assert roster.message in told
        touched = changed(before, holdings(district))
        assert touched <= PEOPLE
        if roster.expect == "refused" or roster.unchanged:
            assert touched == set()
        assert touched.isdisjoint(roster.shielded)


@pytest.mark.parametrize("roster", HEALED, ids=lambda roster: roster.name)
def test_a_sound_delivery_heals_what_a_broken_one_did(roster: BrokenRoster, tmp_path: Path) -> None:
    """R5: after any broken delivery the healthy one, read again in a delta run, brings the directory back to what it was."""
    with synced(tmp_path, roster) as district:
        before = holdings(district)
        read_as(district, roster.options(roster.build(district.drop)))
        district.clock.advance()
        district.engine.sync(MAIN)
        path = with_supplement(GOOD_SUPPLEMENT)(district.drop)
        read_as(district, replace(roster.options(path), headers="lenient", floors={}))
        for _ in range(2):
            district.clock.advance()
            district.engine.sync(MAIN)
        assert holdings(district) == before
        assert kinds(district.plan("reconcile")) == []


FERPA, STAFF = "ferpa.csv", "staff.csv"


def unlinked(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7] + b'"')


def emptied(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")


def misspelled(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace("_number", "_nubmer", 1), encoding="utf-8")


def renumbered(path: Path) -> None:
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *(f"00{line}" for line in rows), ""]), encoding="utf-8")


def overwritten(path: Path) -> None:
    path.write_bytes(b"<html>\0<body>Your session has expired</body></html>")


@pytest.mark.parametrize("damage", [unlinked, cut, emptied, misspelled, renumbered, overwritten])
@pytest.mark.parametrize("file", [FERPA, STAFF])
def test_a_supplement_lost_or_damaged_empties_nothing(file: str, damage: Callable[[Path], None], tmp_path: Path) -> None:
    """Opt-outs and managers stay as the last good copy told them, in every kind of run, beside changes of the roster itself."""
    roster = roster_of().with_students(pupil(1, optout=True), pupil(2, confidential=True))
    with world(tmp_path, roster) as district:
        district.begin()
        before = holdings(district)
        assert district.account("t2").attributes["manager"]
        for kind in ("delta", "reconcile", "delta"):
            damage(district.drop / file)
            planned = district.day(1, kind)
            assert not changed(before, holdings(district))
            assert [note for note in found(planned, "source note") if "keeps the values of" in note]
            district.deliver()
        district.students(pupil(3, family="Newname"))
        damage(district.drop / file)
        district.day()
        assert changed(before, holdings(district)) == {"s3"}
        fields = {str(records[0].key): records[0].fields for records in district.store.records().values()}
        assert (fields["s1"]["directory_optout"], fields["s2"]["confidential"]) == (True, True)


# --- a real directory -----------------------------------------------------------------------------------------------------

NASTY = (
    "*)(uid=*))(|(uid=*",
    "x,ou=Staff,dc=example",
    '#hash "quoted" <angle> ;semicolon; = +plus+',
    "back\\slash \\2c \\00 \\",
    " leading and trailing ",
    "=cmd|'/c calc'!A1",
    "+1", "-1", "@SUM(A1:A9)",
    "line\r\ndn: cn=evil\r\nchangetype: delete",
    "\u202eedoc\u202c\u200fmark\u200b",
    "Łódź Ñandú 李小龙 عمر",
    "{{ names }} ${jndi:ldap://x} %s %n",
    "<script>alert(1)</script>",
    "Robert'); DROP TABLE persons;--",
)  # fmt: skip
PLAIN = {text for text in NASTY if text.isascii() and text.isprintable()}


def entries(printed: str) -> dict[str, dict[str, list[str]]]:
    """LDIF as ldapsearch prints it, by DN: attribute (small) -> values."""
    found: dict[str, dict[str, list[str]]] = {}
    for block in printed.strip().split("\n\n"):
        entry: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, _, value = line.partition(":")
            text = base64.b64decode(value[1:]).decode() if value.startswith(":") else value.removeprefix(" ")
            entry.setdefault(name.lower(), []).append(text)
        if "dn" in entry:
            found[entry["dn"][0]] = entry
    return found


def search(server: PrivateSlapd, base: str, condition: str, *attributes: str) -> dict[str, dict[str, list[str]]]:
    """What the directory's own client reads."""
    return entries(as_admin(server, "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base, condition, *attributes))


def elsewhere(server: PrivateSlapd, base: str) -> dict[str, dict[str, list[str]]]:
    """Everything in the tree outside the base, with what the server itself keeps of it."""
    return {dn: entry for dn, entry in search(server, SUFFIX, "(objectClass=*)", "*", "+").items() if not dn.endswith(base)}


def nasty_roster() -> World | object:
    """Every student carries one nasty text in every field that is mapped, and so do campus, classes and staff."""
    roster = roster_of(2, 3)
    students = []
    for number, text in enumerate(NASTY, 20):
        students.append(
            pupil(number, given=text, family=text, middle=text, preferred_given=text, number=f"{number}{text}".strip(), email=text)
        )
    lessons = [
        replace(one, code=f"{one.code}{NASTY[index]}", title=NASTY[index]) for index, one in enumerate(roster.lessons.values())
    ]
    schools = [replace(one, code=f"{one.code} {NASTY[0]},{NASTY[2]}", name=NASTY[1]) for one in roster.schools.values()]
    staff = [
        replace(one, given=NASTY[index], family=NASTY[index + 3], number=f"9{index}{NASTY[index]}")
        for index, one in enumerate(roster.staff.values())
    ]
    return roster.with_students(*students).with_lessons(*lessons).with_schools(*schools).with_staff(*staff)


def test_texts_land_literally_in_a_real_directory(
    slapd: PrivateSlapd, ldap_base: str, ldap_config: LdapConfig, credentials: Credentials, tmp_path: Path
) -> None:
    """LDAP metacharacters, formulas and direction marks in every mapped field are text: read back equal, nothing else touched.

    Then every name goes to the next person, which moves no account wrongly and leaves nothing to do.
    """
    outside = elsewhere(slapd, ldap_base)
    assert len(outside) > 5
    with world(tmp_path, nasty_roster(), connect=lambda _: Ldap("ldap", ldap_config, credentials)) as district:  # type: ignore[arg-type]  # it is a connector by shape
        district.deliver()
        _, applied = district.sync(first=True)
        assert not applied.failed, applied.failures
        as_written(district, slapd, ldap_base)
        assert kinds(district.plan("reconcile")) == []
        assert elsewhere(slapd, ldap_base) == outside

        students = [one for one in district.roster.students.values() if one.given in NASTY]
        turned = [
            replace(one, given=other.given, family=other.family)
            for one, other in zip(students, [*students[1:], students[0]], strict=True)
        ]
        district.students(*turned)
        district.clock.advance()
        _, applied = district.sync()
        assert not applied.failed, applied.failures
        as_written(district, slapd, ldap_base)
        assert kinds(district.plan("reconcile")) == []
        assert elsewhere(slapd, ldap_base) == outside


def as_written(district: World, server: PrivateSlapd, base: str) -> None:
    """Every account as ldapsearch reads it is literally what the roster says of its owner."""
    seen = search(server, base, "(objectClass=inetOrgPerson)")
    by_number = {entry["employeenumber"][0]: entry for entry in seen.values()}
    people = {**district.roster.students, **district.roster.staff}
    assert len(seen) == len(by_number) == len(people)
    for person, records in district.store.records().items():
        fields = records[0].fields
        entry = by_number[str(fields.get("student_number") or fields["staff_number"])]
        planted = people[str(records[0].key)]
        if planted.given in PLAIN and planted.family in PLAIN:
            assert (fields["given"], fields["family"]) == (planted.given.strip(), planted.family.strip())
        assert entry["givenname"] == [fields["given"]], person
        assert entry["sn"] == [fields["family"]]
        assert entry["cn"] == [f"{fields['given']} {fields['family']}"]
        assert entry["departmentnumber"] == [district.roster.schools[planted.schools[0]].code]
        assert entry["uid"][0].isascii()
        assert not {"\n", "\r", "\u202e", "\u200b", "\u200f"} & set("".join(entry["cn"] + entry["sn"]))
    codes = {one.code for one in district.roster.lessons.values() if one.code.isprintable() and one.code == one.code.strip()}
    groups = {entry["cn"][0] for entry in search(server, base, "(objectClass=groupOfNames)", "cn").values()}
    taught = {name.removeprefix("Class ").casefold() for name in groups if name.startswith("Class ")}
    assert {code.casefold() for code in codes} <= taught
