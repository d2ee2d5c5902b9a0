"""python -m bench.lock: how long `syncd lock` takes to shut somebody out of a real slapd while a run changes everybody.

Every account is made, then everybody's middle name is another one: a run that updates each account is under way, and holds the
right to run, when the verb is started as a process of its own. Timed is from its start to the moment the directory's own client
sees the account disabled. Afterwards the run goes to its end, then a reconcile: the account must still be closed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.scratch import TWELVE, Place, find_servers, first_apply, settled
from bench.writes import client, district_of, with_middle_names
from syncd.assembly import opened_store
from syncd.cli.exits import Exit
from syncd.core.model import PersonId
from syncd.demo.oneroster_writer import write_oneroster
from syncd.demo.slapd import SUFFIX, Binaries, PrivateSlapd
from syncd.demo.tour import TARGET
from syncd.errors import EndpointError
from syncd.settings import load
from syncd.store import Store

_PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class Locked:
    """What was measured: seconds to the account's being disabled and to the verb's end, and how it was when."""

    seconds: float
    verb: float
    code: int
    said: str
    overtook: bool  # the run was still under way when the verb had ended
    landed: int  # changes of that run
    replaced: bool  # the password is another one
    after_run: bool  # the account is disabled once the run has ended
    after_reconcile: bool


def measure(binaries: Binaries, people: int, rate: float, *, whole: bool = True) -> Locked:
    """Lock somebody while `people` accounts are changed, `rate` of them a second. Raises EndpointError where a run goes wrong.

    Unless it is to be a `whole` one, the run is told to end once the lock is there, and another does the rest as fast as it can.
    """
    with settled(binaries, district_of(people), TWELVE) as place:
        first_apply(place.folder)
        write_oneroster(with_middle_names(place.district, "Second"), place.rosters / "oneroster.zip")
        config = load(place.folder)
        with opened_store(config) as store:
            known = store.known(TARGET)
            person = max(known, key=lambda person: int(person[1:]))  # late in the run's order
            name, before = known[person].account.rdn, _entry(place.server, known[person].account.rdn)
            _slowly(place, rate)
            with _running(place.folder, "sync") as run:
                _under_way(store, run)
                locked = _lock(place, person, name, run)
                if not whole:
                    run.terminate()
                code = run.wait(_PATIENCE)
            if code not in (0, 3, 4, *(() if whole else (Exit.TERMINATED,))):
                raise EndpointError("bench", f"the run ended with {code}", "this is a bug")
            landed = next(row.summary.get("landed", 0) for row in store.runs(5) if row.kind == "delta")
            _slowly(place, None)
            if not whole:
                with _running(place.folder, "sync") as rest:
                    rest.wait(_PATIENCE)
            after = _entry(place.server, name)
            with _running(place.folder, "sync", "--reconcile") as again:
                again.wait(_PATIENCE)
            last = _entry(place.server, name)
    replaced = _password(before) != _password(after)
    return replace(locked, landed=landed, replaced=replaced, after_run=_closed(after), after_reconcile=_closed(last))


def _lock(place: Place, person: PersonId, name: str, run: subprocess.Popen[bytes]) -> Locked:
    began = time.monotonic()
    words = [sys.executable, "-m", "syncd", "--config", str(place.folder), "lock", person, "--because", "a stolen device"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as verb:
        while not _closed(_entry(place.server, name)):
            if time.monotonic() - began > _PATIENCE:
                raise EndpointError("bench", "the account is not disabled", "this is a bug")
            time.sleep(0.2)
        seconds = time.monotonic() - began
        said, _ = verb.communicate(timeout=_PATIENCE)
        return Locked(
            seconds,
            time.monotonic() - began,
            verb.returncode,
            said,
            overtook=run.poll() is None,
            landed=0,
            replaced=False,
            after_run=False,
            after_reconcile=False,
        )


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`syncd WORDS` as a process of its own, killed if it is still there at the end."""
    command = [sys.executable, "-m", "syncd", "--config", str(folder), *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _under_way(store: Store, run: subprocess.Popen[bytes]) -> None:
    """Wait until the run has sent something."""
    end = time.monotonic() + _PATIENCE
    while not (store.runs(1)[0].status == "applying" and store.has_journal(store.runs(1)[0].id)):
        if run.poll() is not None or time.monotonic() > end:
            raise EndpointError("bench", f"the run ended with {run.poll()} before it wrote anything", "this is a bug")
        time.sleep(0.05)


def _slowly(place: Place, rate: float | None) -> None:
    """Let the target take so many changes a second, or as many as it can."""
    text = place.settings.read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("    rate: ")]
    if rate is not None:
        lines.insert(next(at for at, line in enumerate(lines) if line.strip() == "kind: ldap") + 1, f"    rate: {rate:g}")
    place.settings.write_text("\n".join(lines) + "\n", "utf-8")


def _entry(server: PrivateSlapd, name: str) -> str:
    return client(server, "ldapsearch", ["-LLL", "-o", "ldif-wrap=no", "-b", SUFFIX, f"(uid={name})", "*", "+"])


def _closed(entry: str) -> bool:
    return "pwdAccountLockedTime: 000001010000Z" in entry


def _password(entry: str) -> str:
    """What changes with the password and may be read: when that was."""
    return next((line for line in entry.splitlines() if line.startswith("pwdChangedTime: ")), "")


def _told(closed: bool) -> str:
    return "disabled" if closed else "OPEN"


def main(words: Sequence[str]) -> int:
    """0 where the account was closed within a minute and stayed so, 1 where not."""
    parser = argparse.ArgumentParser(prog="python -m bench.lock", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--people", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=250.0, help="changes a second, so that the run lasts")
    asked = parser.parse_args(words)
    found = measure(find_servers(), asked.people, asked.rate)
    print(
        f"a run of {found.landed:,} changes under way: disabled after {found.seconds:.2f} s, the verb over after {found.verb:.2f}, "
        f"{'before' if found.overtook else 'after'} the run; password {'replaced' if found.replaced else 'kept'}; "
        f"then after the run {_told(found.after_run)}, after a reconcile {_told(found.after_reconcile)}"
    )
    well = found.seconds < 60 and found.after_run and found.after_reconcile and found.replaced  # noqa: PLR2004 — the promised minute
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
