"""What must never lie anywhere in the clear, what may be shown to whom, and how long copies are kept."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from syncd import telemetry
from syncd.assembly import migrate_store
from syncd.cli import main
from syncd.cli.exits import Exit
from syncd.core.model import Change, Kind, NativeId
from syncd.errors import EndpointError
from syncd.settings import load
from syncd.sources.spool import open_spool
from syncd.store.history import password_context
from syncd.targets import PasswordOf
from syncd.targets.memory import Memory, MemoryConfig
from tests.fixtures.engine_world import FIRST_DAY, LDAP, MAIN, PLACES, SIS, World, pupil, world

BIRTH = date(2011, 7, 23)
SPELT = ("2011-07-23", "07/23/2011", "7/23/2011", "20110723", "23.07.2011", "23 Jul")
SSN, S_NUMBER = "8317", "9241"


def files(district: World) -> dict[Path, bytes]:
    """Every file syncd wrote."""
    return {path: path.read_bytes() for path in district.state.rglob("*") if path.is_file()}


def holding(district: World, *texts: str) -> list[tuple[str, str]]:
    """Which of the texts, as words of their own, stands in which file of the state folder."""
    kept = files(district)
    assert len(kept) > 2
    return [
        (path.name, text)
        for text in texts
        for path, content in kept.items()
        if re.search(rb"(?<![0-9A-Za-z])" + re.escape(text.encode()) + rb"(?![0-9A-Za-z])", content)
    ]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as the daemon would write it, at the most talkative level."""
    stream = io.StringIO()
    import logging  # noqa: PLC0415 — used here only

    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("syncd").level
    telemetry.configure(stream, json=True, level=logging.DEBUG)
    yield stream
    root.handlers[:], root.level = before[0], before[1]
    logging.getLogger("syncd").setLevel(before[2])


@pytest.fixture
def district(tmp_path: Path) -> Iterator[World]:
    """Six students and three staff, with their accounts; s1's claim facts are the planted ones."""
    with world(tmp_path) as made:
        made.roster = made.roster.with_students(pupil(1, birth=BIRTH, ssn4=SSN, s_number4=S_NUMBER))
        made.begin()
        yield made


# --- R21 ------------------------------------------------------------------------------------------------------------------


def test_a_first_password_lies_nowhere_in_the_clear(district: World, log: io.StringIO, tmp_path: Path) -> None:
    """R21: sealed with the intention, it is in no file of the state folder, no copy, no journal, no plan and no log."""
    district.students(pupil(7))
    planned = district.engine.plan(MAIN)
    district.day()
    given = set(district.memory.passwords.values())
    assert len(given) == 10
    district.store.backup(tmp_path / "copy.backup")
    kept = {**files(district), Path("copy"): (tmp_path / "copy.backup").read_bytes()}
    for password in given:
        assert [path for path, content in kept.items() if password.encode() in content] == []
        assert password not in log.getvalue()
        assert password not in repr(planned)
        assert password not in repr(district.store.journal())
        assert password not in repr(district.store.sealed_passwords(district.clock()))
    stored = district.store.plan(planned.run)
    assert stored is not None
    assert not any(password.encode() in stored for password in given)


def test_the_sealed_password_is_the_one_the_account_has(district: World) -> None:
    """R21: the letter opens the account, and the seal is bound to person and target."""
    waiting = district.store.sealed_passwords(district.clock())
    opened = {one.person: district.vault.open(one.sealed, password_context(one.target, one.person)).decode() for one in waiting}
    assert opened == {person: district.memory.passwords[one.native_id] for person, one in district.store.known(LDAP).items()}
    assert len(set(opened.values())) == len(opened)
    with pytest.raises(EndpointError):
        district.vault.open(waiting[0].sealed, password_context(waiting[0].target, waiting[1].person))


class Refusing(Memory):
    """The memory directory whose words, when it refuses, quote the password it was given, as careless servers do."""

    def _do(self, change: Change, password: PasswordOf) -> NativeId | None:
        if change.kind is Kind.CREATE:
            self.passwords[NativeId(str(change.person))] = str(password(change))
            raise EndpointError("ldap", "the connection broke")
        return super()._do(change, password)


def test_a_broken_run_leaves_no_password_behind(tmp_path: Path, log: io.StringIO) -> None:
    """R21: where the run breaks off between the intention and the answer, the password is sealed all the same."""
    with world(tmp_path, connect=lambda _: Refusing("ldap", MemoryConfig(containers=PLACES))) as district:
        district.deliver()
        district.engine.apply(district.engine.plan(MAIN), first=True)
        given = set(district.memory.passwords.values())
        assert given
        for password in given:
            assert [path for path, content in files(district).items() if password.encode() in content] == []
            assert password not in log.getvalue()


# --- R37: logs ------------------------------------------------------------------------------------------------------------

PLANTED = ("Xiomara", "Featherstone", "Zebulon", "Quackenbush", "Wilhelmina", "77123", "88456", "xfeather", "zquacken")


def test_no_log_line_of_any_run_names_anybody(district: World, log: io.StringIO) -> None:
    """Creates, a rename, a leaver, a refusal in the target's words, a mapping that fails, a target and a roster that break."""
    planted = pupil(7, given="Xiomara", family="Featherstone", number="77123")
    district.students(planted, pupil(8, given="Zebulon", family="Quackenbush", number="88456"))
    district.day()
    district.students(replace(planted, family="Quackenbush"), pupil(8, given="Wilhelmina", family="Quackenbush", grade="99"))
    district.day()
    district.alter("s7", sn=("Featherstone",))
    district.memory.config = replace(district.memory.config, privileged=(district.account("s7").rdn,))
    district.students(replace(planted, given="Wilhelmina", exit=FIRST_DAY))
    district.clock.advance()
    district.engine.sync(MAIN, "reconcile")
    district.break_roster()
    district.clock.advance()
    district.engine.sync(MAIN)
    district.deliver()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(district.memory, "read", quoting("Featherstone"))
        district.clock.advance()
        district.engine.sync(MAIN, "reconcile")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert len(lines) > 10
    assert {"run.ended", "change.applied", "target.stopped"} <= {line["event"] for line in lines}
    assert {"done", "failed"} <= {line.get("result") for line in lines}
    told = log.getvalue().casefold()
    assert [word for word in PLANTED if word.casefold() in told] == []


def quoting(name: str) -> Callable[..., object]:
    """A question that breaks with somebody's name on its lips."""

    def broken(*_: object, **__: object) -> object:
        raise EndpointError("ldap", f"cannot read uid={name}", "look at the server")

    return broken


# --- R23 ------------------------------------------------------------------------------------------------------------------


def test_claim_facts_lie_nowhere_in_the_clear(district: World, log: io.StringIO, tmp_path: Path) -> None:
    """R23, R38: neither SSN digits nor birth dates stand in any file syncd wrote, in a copy of its store, or in the log."""
    district.students(pupil(1, family="Other", birth=BIRTH, ssn4=SSN, s_number4=S_NUMBER))
    district.engine.plan(MAIN)
    district.day()
    district.day(kind="reconcile")
    assert holding(district, SSN, S_NUMBER, *SPELT) == []
    district.store.backup(district.state / "copy.backup")
    assert holding(district, SSN, S_NUMBER, *SPELT) == []
    for text in (SSN, S_NUMBER, *SPELT):
        assert not re.search(rf"(?<![0-9a-f]){re.escape(text)}(?![0-9a-f])", log.getvalue())
        assert text not in repr(district.store.records())
        assert text not in repr(district.store.journal())
        assert text not in repr(list(map(repr, district.engine.explain("s1"))))
    assert "birth_date" in next(iter(district.store.records([district.person("s1")]).values()))[0].facts
    assert tmp_path.exists()


@pytest.mark.parametrize(
    ("birth", "ssn"),
    [("2011-13-23", SSN), ("23rd July 2011", SSN), (BIRTH.isoformat(), "83x")],
)
def test_a_claim_fact_that_cannot_be_read_is_told_without_its_value(
    district: World, log: io.StringIO, birth: str, ssn: str
) -> None:
    """R23: the reject names the field, never what stands in it, in findings, plan, state folder and log."""
    facts = district.drop / "claim_facts.csv"
    head, *_ = facts.read_text().splitlines()
    facts.write_text(f"{head}\n10001,{birth},{ssn},{S_NUMBER}\n")
    planned, _ = district.sync()
    rejects = [finding for finding in planned.findings if finding.kind == "reject"]
    told = repr(planned.findings) + repr(district.store.findings()) + log.getvalue()
    for text in (birth, ssn, SSN, S_NUMBER):
        assert not re.search(rf"(?<![0-9a-f]){re.escape(text)}(?![0-9a-f])", told)
    assert holding(district, birth, ssn, SSN, S_NUMBER) == []
    assert [finding.person for finding in rejects] == [district.person("s1")]


def test_a_refused_delivery_quotes_no_claim_fact(district: World) -> None:
    """R23: an error about a file names file and row; what was read before it broke is not in it, nor left lying about."""
    facts = district.drop / "claim_facts.csv"
    facts.write_bytes(facts.read_bytes() + f'10009,{BIRTH:%m/%d/%Y},{SSN},"{S_NUMBER}'.encode())
    district.break_roster()
    planned, _ = district.sync()
    assert planned.readings[SIS].failed
    assert holding(district, SSN, S_NUMBER, *SPELT) == []
    assert SSN not in str(planned.readings[SIS].failed)
    district.deliver()
    facts.write_text("student_number;birth_date;ssn4;s_number4\n" + f"10001;{BIRTH:%m/%d/%Y};{SSN};{S_NUMBER}\n")
    planned, _ = district.sync()
    assert SSN not in repr(planned.findings)
    assert holding(district, SSN, S_NUMBER, *SPELT) == []


# --- R38 ------------------------------------------------------------------------------------------------------------------


def test_everything_written_is_for_its_owner_alone(district: World) -> None:
    """R38: files are 0600 and folders 0700, whatever the umask, spools and the store's companions included."""
    district.students(pupil(7))
    district.day()
    loose = [
        (path.relative_to(district.folder), oct(mode))
        for path in (district.state, *district.state.rglob("*"))
        if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077
    ]
    assert loose == []
    assert any(path.suffix != ".db" for path in files(district))


def test_names_are_not_readable_in_the_state_folder(district: World) -> None:
    """R38: spools, stored plans, records and before-images are sealed: nobody's name can be read there without the key."""
    district.students(pupil(1, family="Abarazzo", birth=BIRTH), pupil(7, preferred_given="Gusto"))
    district.engine.plan(MAIN)
    district.day()
    for path, content in files(district).items():
        for text in (b"Ada Abara", b"Abarazzo", b"Gusto", b"Ben Bell", b"10001@", b"Nashson"):
            assert text not in content, (path.name, text)


def test_only_columns_in_use_are_spooled(district: World) -> None:
    """R38: what no field is made of, a password column above all, is never copied."""
    kept = district.store.snapshots(SIS, 1)[0].spool
    spool = open_spool(district.state / "spools", SIS, kept, district.vault)
    assert "password" not in spool.columns("users")
    kept_rows = [row for table in spool.counts for _, row in spool.rows(table)]
    assert len(kept_rows) > 20
    assert not [row for row in kept_rows if {BIRTH.isoformat(), SSN, S_NUMBER} & set(row)]


def test_copies_expire_as_retention_says(district: World) -> None:
    """R38: spools and stored plans after 30 days, before-images after 90; the newest accepted roster stays while it counts."""
    spools = district.state / "spools"
    district.students(pupil(1, family="Other", birth=BIRTH))
    early = district.day()
    first = district.store.snapshots(SIS, 1)[0].spool
    assert district.store.plan(early.run) is not None
    assert any(row.change.before for row in district.store.journal(run=early.run))
    district.students(pupil(2, family="Later"))
    district.day(32)
    last = district.store.snapshots(SIS, 1)[0].spool
    district.day(1)
    assert [path.name for path in spools.rglob("*") if first in path.name] == []
    assert district.store.plan(early.run) is None
    assert any(row.change.before and row.change.before.attributes for row in district.store.journal(run=early.run))
    district.day(92)
    assert not any(row.change.before and row.change.before.attributes for row in district.store.journal(run=early.run))
    assert [path.name for path in spools.rglob("*") if last in path.name] != []


def test_a_first_password_expires(district: World) -> None:
    """R21, R38: what nobody handed out in sixty days is gone."""
    assert len(district.store.sealed_passwords(district.clock())) == 9
    district.day(61)
    assert district.store.sealed_passwords(district.clock()) == []


# --- R37, R42: what people are shown --------------------------------------------------------------------------------------


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[World]:
    """A district the command line can be asked about: its directory is kept in a file. Not begun; s1 is confidential."""
    path = MemoryConfig(path=str(tmp_path / "directory.json"), containers=PLACES)
    with world(tmp_path, memory=path) as made:
        made.roster = made.roster.with_students(pupil(1, confidential=True))
        made.deliver()
        yield made


def syncd(district: World, *words: str) -> int:
    """One call of the program."""
    district.connector.close()
    return main(["--config", str(district.folder), *words])


SECRET = ("Ada", "Abara", "aabara", "10001")


def test_a_plan_masks_confidential_persons(shown: World, capsys: pytest.CaptureFixture[str]) -> None:
    """R37: `syncd plan` shows a confidential person by our number only, as text and as JSON, in creates, updates and leaving."""
    shown.sync(first=True)
    shown.students(
        pupil(1, family="Abarazzo", confidential=True), pupil(2, confidential=True, family="Hidden"), pupil(3, exit=FIRST_DAY)
    )
    for words in (["plan", "--most", "0"], ["plan", "--json"], ["plan", "--reconcile", "--most", "0"], ["plan", "--everything"]):
        assert syncd(shown, *words) == Exit.DONE
        out = capsys.readouterr()
        text = out.out + out.err
        assert "(confidential)" in text or '"confidential": true' in text
        assert [word for word in (*SECRET, "Abarazzo", "Hidden", "bbell", "Ben") if word in text] == []


def test_confidentiality_that_cannot_be_read_counts_as_true(shown: World, capsys: pytest.CaptureFixture[str]) -> None:
    """R37: once configured, an unreadable value masks, and opts out of the address book."""
    shown.sync(first=True)
    ferpa = shown.drop / "ferpa.csv"
    ferpa.write_text(ferpa.read_text().replace("10002,N,N", "10002,perhaps,perhaps"))
    assert syncd(shown, "plan", "--most", "0") == Exit.DONE
    out = capsys.readouterr().out
    assert "(confidential)" in out
    assert [word for word in ("Ben", "Bell", "bbell", "10002") if word in out] == []
    shown.sync()
    assert "displayName" not in shown.account("s2").attributes


def test_what_was_refused_is_masked_as_well(shown: World, capsys: pytest.CaptureFixture[str]) -> None:
    """R37: neither apply nor show nor disputes nor rejects names a confidential person, whatever went wrong with them."""
    shown.sync(first=True)
    shown.alter("s1", sn=("Meanwhile",))
    twin = pupil(7, given="Ada", family="Abara", birth=pupil(1).birth, confidential=True)
    shown.students(pupil(1, family="Abarazzo", confidential=True), twin, pupil(2, grade="seven", confidential=True))
    shown.memory.config = replace(shown.memory.config, privileged=("aabara",))
    planned, applied = shown.sync()
    assert applied.failed
    capsys.readouterr()
    for words in (["show", "last"], ["disputes"], ["rejects"], ["ledger"], ["runs"], ["disputes", "--json"], ["rejects", "--json"]):
        assert syncd(shown, *words) == Exit.DONE
    out = capsys.readouterr().out
    assert planned.run in out
    assert [word for word in (*SECRET, "Abarazzo", "10007") if word in out] == []


def test_letters_neutralise_formulas_and_mask(shown: World) -> None:
    """R37, R42: what begins like a formula is text in the letters' CSV, and a confidential child's name is not in it."""
    shown.students(pupil(2, given='=HYPERLINK("http://x")', family="@SUM(1)"), pupil(3, given="+1", family="-2"))
    shown.clock.now = datetime.now(UTC)  # letters look at the real clock, and a password waits for sixty days
    shown.sync(first=True)
    letters = shown.folder / "letters.csv"
    assert syncd(shown, "letters", "--csv", str(letters)) == Exit.DONE
    with letters.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 10
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []
    assert any("'=HYPERLINK" in cell for cell in cells)
    assert not any(word in cell for cell in cells for word in ("Ada", "Abara"))
    passwords = {row[6] for row in rows[1:]}
    assert passwords == {f"'{one}" if one[0] in "=+-@" else one for one in shown.memory.passwords.values()}


def test_a_fresh_store_is_private_from_its_first_byte(tmp_path: Path) -> None:
    """R38: made by the program itself under a permissive umask, state folder and database are for their owner alone."""
    import os  # noqa: PLC0415 — used here only

    before = os.umask(0)
    try:
        with world(tmp_path) as made:
            config = replace(load(made.folder), state=tmp_path / "other", store=f"sqlite:///{tmp_path}/other/syncd.db")
            migrate_store(config)
            made.begin()
            made.students(pupil(7))
            made.day()
            paths = [tmp_path / "other", *(tmp_path / "other").rglob("*"), *made.state.rglob("*")]
            loose = [path.name for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    finally:
        os.umask(before)
    assert loose == []
    assert (tmp_path / "other" / "syncd.db").is_file()
