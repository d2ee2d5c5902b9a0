"""What the bench prints, what it feeds to either side, and its comparison with an earlier run. Never how fast anything is."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from bench import ad, by_hand, mapped, scratch
from bench.__main__ import IDS
from bench.apart.plain_sync import people
from bench.apart.planner import by_phase
from bench.bars import BARS, Bar
from bench.entries import ATTRIBUTES, of_others
from bench.figures import FIELDS, Figure, Part, as_json, as_table, missed, read_base
from bench.inputs import bare_pass
from bench.million_roster import CHANGED_EVERY, STAFF_EVERY, Edition, write
from bench.nochange import re_export
from bench.writes import Landed, district_of
from syncd.demo.district import District
from syncd.demo.oneroster_writer import write_oneroster
from syncd.demo.slapd import Binaries
from syncd.errors import EndpointError

CREATES = Figure("create_nosync", 650.123, "/s", 1300.0, "C ldapadd", parts=(Part("plan", 2.5, "s"),))
NOTHING = Figure("nochange_28k", 3.0, "s", 0.5, "bare csv.reader", 157.0)
WAITING = Figure("start", 0.4, "s")
PEER = Figure("peers_create", 10.0, "s", 40.0, "csv + ldap3 script")


def printed(*figures: Figure, base: dict[str, float] | None = None) -> str:
    file = io.StringIO()
    Console(file=file, width=110).print(as_table(figures, base))
    return file.getvalue()


def rows_of(path: Path) -> dict[str, list[tuple[str, ...]]]:
    with zipfile.ZipFile(path) as archive:
        return {name: [tuple(row) for row in csv.reader(archive.read(name).decode().splitlines())] for name in archive.namelist()}


# --- bars -----------------------------------------------------------------------------------------------------------------


def test_every_figure_asked_for_is_measured_and_has_its_bar() -> None:
    """The bars are the promised ones; what is only told has none."""
    assert {*IDS, *ad.IDS} == {*BARS, "peers_create", "peers_nochange"}
    assert {name: (bar.times, bar.seconds, bar.megabytes) for name, bar in BARS.items()} == {
        "create_nosync": (1.3, None, None),
        "create_fsync": (0.9, None, None),
        "modify_nosync": (1.5, None, None),
        "modify_fsync": (1.0, None, None),
        "read_full": (6, None, 60),
        "nochange_28k": (2, 1, 120),
        "start": (None, 0.5, None),
        "nochange_1m": (1.5, None, 150),
        "nochange_1m_shuffled": (3, None, None),
        "changed_1k_of_1m": (1.2, None, None),
        "identical_1m": (0.3, None, None),
        "mapping_100k": (2, None, None),
        "full_28k": (None, None, 250),
        "ad_delta_read": (0.02, None, None),
        "ad_create": (1.0, None, None),
        "ad_create_password": (0.85, None, None),
    }
    assert {name: bar.most for name, bar in BARS.items() if bar.most is not None} == {"ad_delta_read": 1}


@pytest.mark.parametrize(
    ("figure", "ok"),
    [
        (Figure("create_nosync", 131.0, "/s", 100.0), True),
        (Figure("create_nosync", 129.0, "/s", 100.0), False),
        (Figure("identical_1m", 0.29, "s", 1.0), True),
        (Figure("identical_1m", 0.31, "s", 1.0), False),
        (Figure("start", 0.5, "s"), True),
        (Figure("start", 0.51, "s"), False),
        (Figure("nochange_28k", 2.0, "s", 0.5, memory=120.0), True),
        (Figure("nochange_28k", 2.1, "s", 0.5, memory=100.0), False),
        (Figure("nochange_28k", 2.0, "s", 0.5, memory=121.0), False),
        (Figure("full_28k", 1000.0, "s", memory=250.0), True),
        (Figure("full_28k", 1.0, "s", memory=251.0), False),
        (Figure("full_28k", 1.0, "s"), False),
        (Figure("peers_create", 1.0, "s", 2.0), None),
        (Figure("ad_delta_read", 0.2, "s", 10.0), True),
        (Figure("ad_delta_read", 0.21, "s", 10.0), False),
        (Figure("ad_delta_read", 1.1, "s", 100.0), False),
    ],
)
def test_a_figure_is_ok_where_it_reaches_everything_asked_of_it(figure: Figure, ok: bool | None) -> None:
    """More per second is better, more seconds and more memory are worse; memory that was not measured reaches no bar."""
    assert figure.ok is ok
    assert missed([figure]) == ((figure.id,) if ok is False else ())


@pytest.mark.parametrize(
    ("bar", "unit", "words"),
    [
        (Bar(times=1.3), "/s", "≥ 1.3"),
        (Bar(times=2, seconds=1, megabytes=120), "s", "≤ 1 s + 2 ×"),
        (Bar(seconds=0.5), "s", "≤ 0.5 s"),
        (Bar(times=0.02, most=1), "s", "≤ 0.02, 1 s"),
        (Bar(megabytes=250), "s", "memory only"),
    ],
)
def test_a_bar_is_told_in_words(bar: Bar, unit: str, words: str) -> None:
    """A person reads what had to be reached."""
    assert bar.told(unit) == words


# --- rows and table -------------------------------------------------------------------------------------------------------


def test_json_is_a_list_of_rows_with_exactly_the_promised_keys() -> None:
    """Machines read id, value, unit, reference, ratio, bar and ok; what there is not is null."""
    rows = json.loads(as_json([CREATES, WAITING, PEER]))
    assert all(tuple(row) == FIELDS for row in rows)
    assert [tuple(row.values()) for row in rows] == [
        ("create_nosync", 650.1, "/s", 1300.0, 0.5001, 1.3, False),
        ("start", 0.4, "s", None, None, 0.5, True),
        ("peers_create", 10.0, "s", 40.0, 0.25, None, None),
    ]


def test_memory_has_a_row_of_its_own_behind_its_figure() -> None:
    """The bar of a row is for its ratio, here (1 s + 2 × 0.5 s) / 0.5 s; the bar of memory is in MB."""
    rows = json.loads(as_json([NOTHING]))
    assert [tuple(row.values()) for row in rows] == [
        ("nochange_28k", 3.0, "s", 0.5, 6.0, 4.0, False),
        ("nochange_28k_memory", 157.0, "MB", None, None, 120, False),
    ]


def test_the_table_tells_figure_reference_ratio_bar_memory_and_parts() -> None:
    """A person sees what was measured, against what, what had to be reached, and what lies inside it."""
    table = printed(CREATES, NOTHING, PEER)
    for told in ("create_nosync", "650 /s", "C ldapadd 1,300 /s", "0.50", "≥ 1.3", "plan", "2.50 s"):
        assert told in table
    for told in ("≤ 1 s + 2 ×", "peak memory", "157 MB", "≤ 120 MB"):
        assert told in table
    assert "none" in table


def test_a_missed_bar_is_red_and_a_reached_one_is_not() -> None:
    """Nobody has to compare numbers to see what is missing."""

    def styles(figure: Figure) -> set[str]:
        return {str(getattr(cell, "style", "")) for column in as_table([figure]).columns for cell in column.cells}

    assert "bold red" in styles(CREATES)
    assert "bold red" not in styles(WAITING)


def test_against_a_base_a_slower_run_shows_a_gain_below_one(tmp_path: Path) -> None:
    """Ratios are compared, not seconds, where there is a reference: it was measured on the same machine; else values are."""
    base = tmp_path / "base.json"
    base.write_text(as_json([CREATES, NOTHING, WAITING]), encoding="utf-8")
    slower = (
        replace(CREATES, value=325.0),
        replace(NOTHING, value=6.0, memory=314.0),
        replace(WAITING, value=0.8),
        Figure("new", 1.0, "s", 1.0, "nothing"),
    )
    gains = [row.gain(read_base(base)) for figure in slower for row in figure.rows()]
    assert gains == [*[pytest.approx(0.5, rel=0.01)] * 4, None]
    assert "not in it" in printed(*slower, base=dict(read_base(base)))


def test_the_stored_baseline_is_one_that_runs_can_be_compared_with() -> None:
    """`--against bench/baseline.json` knows the figures that are measured without hours of preparation."""
    base = read_base(Path(__file__).parents[2] / "bench" / "baseline.json")
    assert {"create_nosync", "modify_fsync", "read_full", "nochange_28k", "start", "mapping_100k", "full_28k_memory"} <= base.keys()


# --- what is measured -----------------------------------------------------------------------------------------------------


def test_the_clock_of_writes_starts_with_the_first_person() -> None:
    """What a plan spent on reading and resolving is off the clock, and nothing else is."""
    assert Landed(operations=100, before=3.0, plan=5.0, apply=2.0).clock == 4.0


def test_memory_is_told_for_the_phase_in_which_it_was_held() -> None:
    """Phases follow each other and the last one ends with the plan; one too short for a sample holds what was held before it."""
    samples = [(10.5, 50.0), (11.5, 90.0), (12.5, 80.0), (13.5, 60.0)]
    assert by_phase({"read": 1.0, "match": 2.0, "judge": 0.25, "store": 0.75}, samples, ended=14.0) == {
        "read": {"seconds": 1.0, "megabytes": 50.0},
        "match": {"seconds": 2.0, "megabytes": 90.0},
        "judge": {"seconds": 0.25, "megabytes": 80.0},
        "store": {"seconds": 0.75, "megabytes": 60.0},
    }


def test_the_mapping_and_the_one_written_by_hand_make_the_same_accounts_and_changes() -> None:
    """Else their times could not be compared: measuring checks it for every person."""
    figure = mapped.measure(0.0001, 1)
    assert [(part.name, part.value) for part in figure.parts[2:]] == [("persons", 100), ("of them with something to write", 10)]


def test_the_difference_by_hand_keeps_to_the_policies() -> None:
    """An initial value is never written again, and one that fills gaps only where nothing is."""
    want = {"description": ("new",), "mobile": ("1",), "telephoneNumber": ("2",), "sn": ("Ruiz",), "cn": ("Ana",)}
    have = {"description": ("old",), "mobile": ("9",), "sn": ("Diaz",), "cn": ("Ana",)}
    assert by_hand.difference(want, have) == {"telephoneNumber": ("2",), "sn": ("Ruiz",)}


# --- inputs ---------------------------------------------------------------------------------------------------------------


def test_the_measured_district_has_as_many_persons_as_asked_for_each_with_the_attribute_that_is_changed() -> None:
    """Every person is one create and later one update; guardians, who have no accounts, are left out."""
    roster = district_of(200).roster
    assert roster.persons == 200
    assert all(student.middle for student in roster.students.values())
    assert all(employee.middle for employee in roster.staff.values())
    assert not roster.parents


def test_the_million_has_one_row_per_person_in_users_and_in_roles(tmp_path: Path) -> None:
    """Every key is in both files once, and one in 200 is staff."""
    files = rows_of(write(Edition(2_000), tmp_path / "a.zip"))
    users, roles = files["users.csv"][1:], files["roles.csv"][1:]
    assert len({row[0] for row in users}) == len(users) == 2_000
    assert [row[3] for row in roles] == [row[0] for row in users]
    assert Counter(row[5] for row in roles) == {"student": 2_000 - 2_000 // STAFF_EVERY, "teacher": 2_000 // STAFF_EVERY}
    assert all(len(row) == len(files[name][0]) for name in files for row in files[name])


def test_another_version_of_the_million_changes_one_row_in_a_thousand_all_of_them_staff(tmp_path: Path) -> None:
    """So a thousand of a million have an account that has to be updated."""
    before, after = (rows_of(write(Edition(2_000, version), tmp_path / "a.zip")) for version in (1, 2))
    changed = [old[0] for old, new in zip(before["users.csv"], after["users.csv"], strict=True) if old != new]
    staff = {row[3] for row in before["roles.csv"] if row[5] == "teacher"}
    assert len(changed) == 2_000 // CHANGED_EVERY
    assert staff.issuperset(changed)
    assert before["roles.csv"] == after["roles.csv"]


def test_a_shuffled_export_has_the_same_rows_in_another_order_in_every_file(tmp_path: Path) -> None:
    """Nothing changed, but no row is where it was, and the files do not agree with each other."""
    plain, shuffled = (rows_of(write(Edition(2_000, shuffle=seed), tmp_path / "a.zip")) for seed in (0, 1))
    for name in ("users.csv", "roles.csv"):
        assert plain[name] != shuffled[name]
        assert sorted(plain[name]) == sorted(shuffled[name])
    assert [row[3] for row in shuffled["roles.csv"]] != [row[0] for row in shuffled["users.csv"]]


def test_an_export_written_anew_has_the_same_rows_in_other_bytes(tmp_path: Path) -> None:
    """As roster systems write them every night: no hash of a file is the same, and every row is."""
    plain, quoted = (write(Edition(2_000, quoted=quoted), tmp_path / f"{quoted}.zip") for quoted in (False, True))
    again = tmp_path / "again.zip"
    re_export(plain, again)
    assert rows_of(plain) == rows_of(quoted) == rows_of(again)
    with zipfile.ZipFile(plain) as one, zipfile.ZipFile(quoted) as two, zipfile.ZipFile(again) as three:
        assert all(one.read(name) != two.read(name) == three.read(name) for name in one.namelist())


def test_the_bare_pass_reads_every_row_of_zips_and_plain_files(tmp_path: Path) -> None:
    """Headers too: it is what any reader of these files cannot do without."""
    roster = write(Edition(1_000), tmp_path / "a.zip")
    supplement = tmp_path / "b.csv"
    supplement.write_text("key,value\r\n1,2\r\n", encoding="utf-8")
    rows, seconds = bare_pass([roster, supplement])
    assert rows == sum(map(len, rows_of(roster).values())) + 2
    assert seconds > 0


def test_accounts_of_others_have_the_attributes_of_ours_and_other_names() -> None:
    """So a first plan finds them by their numbers, and keeps the names they have."""
    district = District.generate(7, 2, 20, 5)
    entries = list(of_others(district))
    assert len(entries) == 25
    assert all(f"\n{attribute}:" in entry for entry in entries for attribute in ATTRIBUTES)
    assert all(ord(letter) < 128 for entry in entries for letter in entry)


def test_the_plain_script_wants_an_account_for_everybody_syncd_gives_one(tmp_path: Path) -> None:
    """Both sides of the comparison look after the same people."""
    district = district_of(100)
    wanted = list(people(str(write_oneroster(district, tmp_path / "oneroster.zip"))))
    numbers = {one.number for one in (*district.roster.students.values(), *district.roster.staff.values())}
    assert {attributes["employeeNumber"] for _, attributes in wanted} == numbers
    assert len(wanted) == 100


def test_the_domain_is_filled_and_changed_by_entries_of_as_many_attributes_as_are_read() -> None:
    """Fifty accounts get another value, each of them one that was made."""
    made, changed = [ad.account(number) for number in range(60)], [ad.modified(number, 1) for number in (0, 59)]
    assert all(entry.count("\n") == len(ad.ATTRIBUTES) + 2 for entry in made)
    assert {entry.splitlines()[0] for entry in changed} <= {entry.splitlines()[0] for entry in made}


def test_nobody_of_a_district_that_is_yet_to_come_may_sign_in(tmp_path: Path) -> None:
    """So that accounts are made without passwords, as bare as the C tool makes them; no name is longer than a domain takes."""
    district = ad.yet_to_come(ad.fitting(district_of(60)))
    everybody = (*district.roster.students.values(), *district.roster.staff.values())
    assert all(one.start is not None and one.start > district.today for one in everybody)
    assert all(len(one.family) <= 64 for one in everybody)
    write_oneroster(district, tmp_path / "oneroster.zip")


# --- the program ----------------------------------------------------------------------------------------------------------


def test_a_machine_without_the_c_tools_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is measured without the reference: the message names what is missing and how to get it."""
    monkeypatch.setattr(scratch, "find_binaries", lambda _: Binaries(str(tmp_path)))
    with pytest.raises(EndpointError, match=r"no slapd with ldapadd, ldapmodify, ldapsearch .*apt-get install"):
        scratch.find_servers()


@pytest.mark.parametrize("words", [("--only", "creates"), ("pears",)])
def test_an_unknown_figure_or_group_is_a_usage_error_that_names_those_there_are(words: tuple[str, ...]) -> None:
    """A typo measures nothing."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 64
    assert "create_nosync" in ended.stderr or "peers" in ended.stderr


def test_the_launcher_reports_code_seconds_memory_and_words_of_the_command() -> None:
    """The figures of the child, not of who started it."""
    launcher = Path(scratch.__file__).with_name("launch.py")
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(launcher), sys.executable, "-c", "print('done'); raise SystemExit(3)"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(ended.stdout)
    assert set(told) == {"code", "seconds", "bytes", "said"}
    assert (told["code"], told["said"]) == (3, "done\n")
    assert told["bytes"] > 1_000_000
