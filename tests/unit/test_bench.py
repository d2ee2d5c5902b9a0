"""What the bench prints: its rows, its table, its comparison with an earlier run. Never how fast anything is."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import scratch
from bench.figures import FIELDS, Figure, Part, as_json, as_table, read_base
from bench.writes import district_of
from syncd.demo.slapd import Binaries
from syncd.errors import EndpointError

CREATES = Figure("create_nosync", 650.123, "/s", 1300.0, "C ldapadd", parts=(Part("plan", 2.5, "s"),))
NOTHING = Figure("nochange_28k", 3.0, "s", 0.5, "bare csv.reader")


def printed(*figures: Figure, base: dict[str, float] | None = None) -> str:
    file = io.StringIO()
    Console(file=file, width=110).print(as_table(figures, base))
    return file.getvalue()


def test_json_is_a_list_of_rows_with_exactly_the_promised_keys() -> None:
    """Machines read id, value, unit, reference, ratio, bar and ok; bar and ok are null while there is no bar."""
    first, second = json.loads(as_json([CREATES, NOTHING]))
    assert tuple(first) == tuple(second) == FIELDS
    assert first == {
        "id": "create_nosync", "value": 650.1, "unit": "/s", "reference": 1300.0, "ratio": 0.5001, "bar": None, "ok": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value", "bar", "ok"),
    [("/s", 150.0, 1.5, True), ("/s", 149.0, 1.5, False), ("s", 150.0, 1.5, True), ("s", 151.0, 1.5, False)],
)
def test_a_rate_must_reach_its_bar_and_a_duration_stay_below_it(unit: str, value: float, bar: float, ok: bool) -> None:
    """More per second is better, more seconds are worse."""
    assert Figure("any", value, unit, 100.0, "reference", bar).ok is ok


def test_the_table_tells_figure_reference_ratio_and_parts() -> None:
    """A person sees what was measured, against what, and what lies inside it."""
    table = printed(CREATES)
    assert "create_nosync" in table
    assert "650 /s" in table
    assert "C ldapadd 1,300 /s" in table
    assert "0.50" in table
    assert "none yet" in table
    assert "plan" in table
    assert "2.50 s" in table


def test_against_a_base_a_slower_run_shows_a_ratio_below_one(tmp_path: Path) -> None:
    """Ratios are compared, not seconds: the reference was measured on the same machine at the same time."""
    base = tmp_path / "base.json"
    base.write_text(as_json([CREATES, NOTHING]), encoding="utf-8")
    slower = (
        Figure("create_nosync", 325.0, "/s", 1300.0, "C ldapadd"),
        Figure("nochange_28k", 6.0, "s", 0.5, "bare csv.reader"),
        Figure("new", 1.0, "s", 1.0, "nothing"),
    )
    gains = [figure.gain(read_base(base)) for figure in slower]
    assert gains == [pytest.approx(0.5, rel=0.01), pytest.approx(0.5, rel=0.01), None]
    assert "not in it" in printed(*slower, base=dict(read_base(base)))


def test_a_machine_without_the_c_tools_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is measured without the reference: the message names what is missing and how to get it."""
    monkeypatch.setattr(scratch, "find_binaries", lambda _: Binaries(str(tmp_path)))
    with pytest.raises(EndpointError, match=r"no slapd with ldapadd, ldapmodify, ldapsearch .*apt-get install"):
        scratch.find_servers()


def test_the_measured_district_has_as_many_persons_as_asked_for_each_with_the_attribute_that_is_changed() -> None:
    """Every person is one create and later one update; guardians, who have no accounts, are left out."""
    roster = district_of(200).roster
    assert roster.persons == 200
    assert all(student.middle for student in roster.students.values())
    assert all(employee.middle for employee in roster.staff.values())
    assert not roster.parents


def test_an_unknown_figure_is_a_usage_error_that_names_those_there_are() -> None:
    """`--only` with a typo measures nothing."""
    ended = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "creates"],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 64
    assert "create_nosync" in ended.stderr


def test_the_launcher_reports_code_seconds_and_memory_of_the_command() -> None:
    """The figures of the child, not of who started it."""
    launcher = Path(scratch.__file__).with_name("launch.py")
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(launcher), sys.executable, "-c", "raise SystemExit(3)"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(ended.stdout)
    assert set(told) == {"code", "seconds", "bytes"}
    assert told["code"] == 3
    assert told["bytes"] > 1_000_000
