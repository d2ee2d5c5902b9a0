"""The daemon as systemd has it: a process, a socket that hears what it says, signals, and monitors that ask."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from syncd.cli import main
from syncd.cli.exits import Exit, Nagios
from syncd.demo.district import District
from syncd.demo.slapd import PrivateSlapd
from syncd.demo.tour import settle_in, write_roster
from tests.conftest import NIGHTLY, as_admin

Said = pytest.CaptureFixture[str]
PATIENCE = 60.0
FEW = 20
WIDE = "{ percent: 100, at_least: 100000, campus_percent: 100, campus_at_least: 100000 }"


def waited_for(what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Return when it is so."""
    end = time.monotonic() + patience
    while not what():
        assert time.monotonic() < end, "it does not come"
        time.sleep(0.02)


@dataclass
class Service:
    """A running daemon, and everything it told: the service manager, its log, and monitors."""

    process: subprocess.Popen[str]
    heard: list[str] = field(default_factory=list)
    log: list[dict[str, object]] = field(default_factory=list)

    def has_said(self, line: str, times: int = 1) -> bool:
        """Whether the service manager has heard this line so often."""
        return sum(text.startswith(line) for text in self.heard) >= times

    def logged(self, event: str) -> list[dict[str, object]]:
        """The lines of its log about one event."""
        return [line for line in self.log if line["event"] == event]

    @property
    def status(self) -> str:
        """What `systemctl status` would show."""
        return next((text.removeprefix("STATUS=") for text in reversed(self.heard) if text.startswith("STATUS=")), "")

    def ask(self, path: str) -> tuple[int, str]:
        """What a monitor is answered."""
        port = self.logged("daemon.ready")[0]["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def health(self) -> dict[str, object]:
        """`/health`, as it is told."""
        told: dict[str, object] = json.loads(self.ask("/health")[1])
        return told

    def reasons(self) -> list[str]:
        """What `/health` says is not well."""
        return [f"{one['where']}: {one['why']}" for one in self.health()["reasons"]]  # type: ignore[attr-defined]  # plain JSON

    def run_now(self) -> None:
        """Ask for a run, and wait until one more has ended."""
        ended = len(self.logged("run.ended")) + len(self.logged("run.failed"))
        planned = len(self.logged("run.planned"))
        self.process.send_signal(signal.SIGUSR1)
        waited_for(
            lambda: (
                len(self.logged("run.ended")) + len(self.logged("run.failed")) > ended
                or any(line.get("held") for line in self.logged("run.planned")[planned:])
            )
        )
        waited_for(lambda: not re.search(r"(delta|reconcile) run$", self.status))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Tell it to end; the code it ends with, and how long that took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(30), time.monotonic() - begun


@contextlib.contextmanager
def serving(
    folder: Path, *, watchdog: float | None = None, program: Sequence[str] = ("-m", "syncd"), verb: str = "daemon"
) -> Iterator[Service]:
    """A daemon of this district, ready; killed at the end, if it still runs. `program` is what Python runs, `verb` what of it."""
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = f"syncd-{os.getpid()}-{time.monotonic_ns()}"
    ear.bind(f"\0{name}")  # an abstract one, as systemd may use: the path of a test's folder would be too long
    environment = {**os.environ, "NOTIFY_SOCKET": f"@{name}"}
    if watchdog is not None:
        environment["WATCHDOG_USEC"] = str(int(watchdog * 1_000_000))
    command = [sys.executable, *program, "--config", str(folder), "--log", "info", verb]
    with ear, subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        service = Service(process)
        threads = [threading.Thread(target=_hear, args=(ear, service)), threading.Thread(target=_read, args=(service,))]
        for thread in threads:
            thread.start()
        try:
            waited_for(lambda: service.has_said("READY=1") or process.poll() is not None)
            yield service
        finally:
            process.kill()
            process.wait()
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", f"\0{name}")
            for thread in threads:
                thread.join()


def _hear(ear: socket.socket, service: Service) -> None:
    while message := ear.recv(4096):
        service.heard.extend(message.decode().split("\n"))


def _read(service: Service) -> None:
    assert service.process.stderr is not None
    for line in service.process.stderr:
        service.log.append(json.loads(line) if line.startswith("{") else {"event": line.rstrip()})


def syncd(folder: Path, *words: str) -> int:
    """One call of `syncd` about that folder."""
    return main(["--config", str(folder), *words])


def of_today(students: int, staff: int, campuses: int = 1) -> District:
    """A district whose school year is running now, whenever that is."""
    first = datetime.now(UTC).date() - timedelta(days=30)
    return District.generate(11, campuses, students, staff, guardians=0, first_day=first)


def edit(folder: Path, old: str, new: str) -> None:
    """Change the settings as an administrator would."""
    settings = folder / "config" / "syncd.yaml"
    text = settings.read_text(encoding="utf-8")
    assert old in text
    settings.write_text(text.replace(old, new, 1), encoding="utf-8")


def open_wide(folder: Path) -> None:
    """No limit on what is made, monitors are answered on whatever port is free, and nothing is scheduled."""
    edit(folder, "create: { percent: 20 }", f"create: {WIDE}\n      member: {WIDE}")
    edit(folder, 'listen: "127.0.0.1:8470"', 'listen: "127.0.0.1:0"')
    edit(folder, 'delta: "*/15 * * * *"', 'delta: ""')
    edit(folder, 'reconcile: "30 2 * * *"', 'reconcile: ""')


@pytest.fixture
def district() -> District:
    """A small district."""
    return of_today(60, 8)


def numbers(server: PrivateSlapd) -> list[str]:
    """The number of everybody who has an account, as the server's own client reads them."""
    found = as_admin(server, "ldapsearch", "-LLL", "-b", "dc=district,dc=test", "(employeeNumber=*)", "employeeNumber")
    return [line for line in found.splitlines() if line.startswith("employeeNumber: ")]


def settled(folder: Path, server: PrivateSlapd, whole: District) -> Path:
    """The settings of a district of which only the staff and a few students were ever told; the first apply is done."""
    folder.mkdir()
    few = replace(whole, roster=whole.roster.without_students(list(whole.roster.students)[FEW:]))
    settle_in(folder, server, few, lambda _: None)
    edit(folder, "    # How much may change in 24 hours.", "    receive_timeout: 3\n    # How much may change in 24 hours.")
    open_wide(folder)
    assert syncd(folder, "plan") == Exit.DONE
    assert syncd(folder, "apply", "r1", "--first") == Exit.DONE
    return folder


@pytest.fixture
def folder(tmp_path: Path, own_slapd: PrivateSlapd, district: District) -> Path:
    """The small district's settings, with a server of its own."""
    return settled(tmp_path / "d", own_slapd, district)


def test_a_daemon_tells_when_it_is_ready_what_it_does_and_that_it_ends(folder: Path, district: District) -> None:
    """READY once monitors are answered, WATCHDOG while the store answers, STATUS in words, STOPPING at the end; exit code 0."""
    write_roster(district, folder / "roster")
    with serving(folder, watchdog=1.0) as service:
        assert service.ask("/healthz") == (200, "alive\n")
        assert service.ask("/readyz") == (200, "ready\n")
        assert service.ask("/nowhere")[0] == 404
        service.run_now()
        waited_for(lambda: service.has_said("WATCHDOG=1", 3))
        assert re.fullmatch(r"backup: there is none; `syncd backup FILE` makes one", service.status)
        code, seconds = service.end()
        assert (code, seconds < 20) == (0, True)
    assert service.has_said("STOPPING=1")
    assert [line["event"] for line in service.log][-2:] == ["daemon.stopping", "daemon.ended"]
    (planned,) = service.logged("run.planned")
    assert re.fullmatch(r"\d+:[0-9a-f]{64}", str(service.logged("audit.head")[-1]["head"]))
    assert planned["trigger"] == "signal"
    assert not [line for line in service.log if "Traceback" in str(line)]


def test_a_second_daemon_refuses_and_says_who_is_there(folder: Path, capsys: Said) -> None:
    """Two daemons on one store are never right; the first does not notice."""
    with serving(folder) as service:
        assert syncd(folder, "daemon") == Exit.UNAVAILABLE
        assert f"process {service.process.pid} is the daemon of this store" in capsys.readouterr().err
        assert service.ask("/readyz")[0] == 200
        assert service.end()[0] == 0


def test_an_edited_file_is_taken_up_on_reload_and_a_bad_one_is_refused(folder: Path) -> None:
    """HUP: RELOADING and READY again; a bad file keeps the last good one in use, and says so everywhere."""
    with serving(folder) as service:
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: service.has_said("READY=1", 2))
        assert service.has_said("RELOADING=1")
        assert service.has_said("MONOTONIC_USEC=")
        edit(folder, 'delta: ""', 'delta: "0 0 30 2 *"')
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: service.has_said("READY=1", 3))
        edit(folder, "0 0 30 2 *", "every morning")
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: service.logged("configuration.refused"))
        waited_for(lambda: "edited files are refused" in service.status)
        assert "'every morning' has 2 fields" in service.status
        (refused,) = [text for text in service.reasons() if text.startswith("configuration: ")]
        assert "config/syncd.yaml:" in refused
        (folder / "mappings" / "other.yaml").symlink_to("nowhere")  # there is a file, and nobody can read it
        edit(folder, "every morning", "*/30 * * * *")
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: "mappings/other.yaml:1:1: " in service.status)
        waited_for(lambda: service.has_said("READY=1", 5))
        (folder / "mappings" / "other.yaml").unlink()
        edit(folder, "*/30 * * * *", "every morning")
        service.run_now()  # under the last good one
        assert service.logged("run.ended")
        edit(folder, "every morning", "*/20 * * * *")
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: not [text for text in service.reasons() if text.startswith("configuration: ")])
        told = service.health()["pipelines"]["main"]["next_runs"]  # type: ignore[index]  # plain JSON
        assert datetime.fromisoformat(told["delta"]) - datetime.now(UTC) <= timedelta(minutes=20)
        assert service.end(signal.SIGINT)[0] == 0


def test_a_moved_store_takes_a_restart(folder: Path) -> None:
    """A reload cannot change what the daemon holds a lock on."""
    with serving(folder) as service:
        edit(folder, 'state: "state"', 'state: "elsewhere"')
        service.process.send_signal(signal.SIGHUP)
        waited_for(lambda: "takes a restart" in service.status)
        assert not (folder / "elsewhere").exists()


def test_a_daemon_told_to_end_in_a_large_run_records_what_it_sent_and_the_next_completes_it(
    tmp_path: Path, own_slapd: PrivateSlapd, capsys: Said
) -> None:
    """TERM among some thousand changes: an end within 20 seconds, nothing in doubt, nothing lost, nobody made twice."""
    district = of_today(*((900, 90) if NIGHTLY else (500, 50)), campuses=3)
    folder = settled(tmp_path / "d", own_slapd, district)
    write_roster(district, folder / "roster")
    with serving(folder) as service:
        service.process.send_signal(signal.SIGUSR1)
        waited_for(lambda: len(service.logged("change.applied")) > 300)
        service.process.send_signal(signal.SIGHUP)  # what waits behind the run must not keep the process
        waited_for(lambda: service.has_said("READY=1", 2))
        code, seconds = service.end()
    assert (code, seconds < 20) == (0, True), seconds
    sent = len(service.logged("change.applied"))
    (planned,) = service.logged("run.planned")
    assert sent < int(str(planned["changes"])), "it had ended before it was told to"
    capsys.readouterr()
    assert syncd(folder, "runs", "--most", "1") == Exit.DONE
    assert "\tinterrupted\t" in capsys.readouterr().out
    assert syncd(folder, "resume") == Exit.DONE
    assert capsys.readouterr().out == "no run was interrupted\n"  # every answer was awaited: nothing is in doubt
    with serving(folder) as service:
        service.run_now()
        assert not [text for text in service.reasons() if not text.startswith("backup: ")]
    assert syncd(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE, capsys.readouterr()
    listed = numbers(own_slapd)
    assert len(listed) == len(set(listed)) > (900 if NIGHTLY else 500)
    with capsys.disabled():
        sys.stdout.write(f"\nTERM after {sent} of {planned['changes']} changes: ended in {seconds:.1f} s\n")


def test_a_daemon_killed_again_and_again_loses_nothing(tmp_path: Path, own_slapd: PrivateSlapd, capsys: Said) -> None:
    """Kill -9 at random instants under load: the next daemon looks up what was in doubt, and nobody is there twice."""
    draw = Random(7)
    whole = of_today(400, 30)
    folder = settled(tmp_path / "d", own_slapd, whole)
    keys = list(whole.roster.students)
    hit: list[int] = []
    for number in range(1, 6):
        some = replace(whole, roster=whole.roster.without_students(keys[FEW + 70 * number :]))
        write_roster(some, folder / "roster")
        with serving(folder) as service:
            service.process.send_signal(signal.SIGUSR1)
            mark = draw.randrange(1, 500)
            waited_for(lambda: len(service.logged("change.applied")) > mark or bool(service.logged("run.ended")))  # noqa: B023 — called at once
            service.process.kill()
            service.process.wait()
        hit.append(len(service.logged("change.applied")) if not service.logged("run.ended") else 0)
    assert sum(count > 0 for count in hit) >= 3, "it was always quicker"
    with serving(folder) as service:
        service.run_now()
    assert syncd(folder, "plan", "--reconcile", "--detailed-exitcode") == Exit.DONE, capsys.readouterr()
    listed = numbers(own_slapd)
    assert len(listed) == len(set(listed)) > 350


@pytest.mark.parametrize("trouble", ["kill", "suspend"])
def test_a_dead_or_hanging_directory_is_told_and_does_not_keep_the_daemon_from_ending(
    folder: Path, district: District, own_slapd: PrivateSlapd, trouble: str, capsys: Said
) -> None:
    """The run says which target and why, `/health` and Nagios hear of it, and TERM still ends within 20 seconds."""
    write_roster(district, folder / "roster")
    with serving(folder) as service:
        getattr(own_slapd, trouble)()
        service.process.send_signal(signal.SIGUSR1)
        if trouble == "kill":
            waited_for(lambda: any(text.startswith("target ldap: ") for text in service.reasons()))
            assert syncd(folder, "status") == Nagios.WARNING
            assert "Connection refused; is the server up" in capsys.readouterr().out
        else:
            waited_for(lambda: service.status.endswith("delta run"))
            time.sleep(1)
        code, seconds = service.end()
        assert (code, seconds < 20) == (0, True)
    (own_slapd.start if trouble == "kill" else own_slapd.resume)()
    with serving(folder) as service:
        service.run_now()
        assert not [text for text in service.reasons() if text.startswith("target ")]


def test_a_roster_without_its_canary_is_held_and_told(folder: Path, district: District, capsys: Said) -> None:
    """The canary is counted, not named; nothing is written, and Nagios says critical."""
    head = next(iter(district.roster.students.values()))
    edit(folder, "canaries: []", f'canaries: ["{head.key}"]')
    program, heard = folder / "page", folder / "heard"
    program.write_text(f'#!/bin/sh\ncat >> "{heard}"; echo >> "{heard}"\n')
    program.chmod(0o700)
    edit(folder, "command: []", f'command: ["{program}"]')
    with serving(folder) as service:
        service.run_now()
        assert service.ask("/health")[0] == 200
        write_roster(replace(district, roster=district.roster.without_students([head.key])), folder / "roster")
        service.run_now()
        code, told = service.ask("/health")
        assert code == 503
        assert "1 of the 1 canaries of sources.sis.canaries is missing" in told
        assert head.key not in told
        assert head.family not in told
        waited_for(lambda: heard.exists() and "canaries of sources.sis.canaries is missing" in heard.read_text())
        assert head.key not in heard.read_text()
        assert syncd(folder, "status") == Nagios.CRITICAL
        assert capsys.readouterr().out.startswith("SYNCD CRITICAL - pipeline main: run r")
        write_roster(district, folder / "roster")
        service.run_now()
        assert service.ask("/health")[0] == 200


def test_metrics_are_in_prometheus_form_and_name_nobody(folder: Path, district: District) -> None:
    """Counters of what happened, gauges of what is; every line parses, no label is a person."""
    write_roster(district, folder / "roster")
    with serving(folder) as service:
        service.run_now()
        code, told = service.ask("/metrics")
    assert code == 200
    values = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
    named = "".join(line for line in told.splitlines() if line.startswith("#")) + " ".join(values)  # 0.004217 seconds are no pupil
    everybody = len(district.roster.students) + len(district.roster.staff) + len(district.roster.parents)
    made = sum(line["kind"] == "create" for line in service.logged("change.applied"))
    assert float(values['syncd_changes_total{kind="create",result="done",target="ldap"}']) == made > 30
    assert float(values['syncd_runs_total{kind="delta",pipeline="main",status="done"}']) == 1
    assert float(values['syncd_source_persons{source="sis"}']) == everybody
    assert float(values['syncd_run_phase_seconds_count{kind="delta",phase="apply",pipeline="main"}']) == 1
    assert float(values['syncd_breaker_state{target="ldap"}']) == 0
    assert float(values['syncd_target_call_seconds_count{target="ldap"}']) > 0
    people = {name for one in district.roster.students.values() for name in (one.family, one.number)}
    assert not [name for name in people if name in named]


def test_status_without_a_daemon_or_a_store_is_honest(folder: Path, capsys: Said) -> None:
    """A schedule that nobody keeps is critical; what cannot be known is unknown."""
    assert syncd(folder, "status") == Nagios.WARNING  # no backup yet; nothing is scheduled
    assert syncd(folder, "backup", str(folder / "b")) == Exit.DONE
    assert syncd(folder, "status") == Nagios.OK
    capsys.readouterr()
    edit(folder, 'delta: ""', 'delta: "*/15 * * * *"')
    assert syncd(folder, "status") == Nagios.CRITICAL
    assert "daemon: does not run; start it: systemctl start syncd" in capsys.readouterr().out
    edit(folder, "*/15 * * * *", "*/15 * * *")
    assert syncd(folder, "status") == Nagios.UNKNOWN
    assert capsys.readouterr().out.startswith("SYNCD UNKNOWN - 1 problems in the files, the first: config/syncd.yaml:")
