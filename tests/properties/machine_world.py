"""The world a tiny district runs in: a directory that outlives every process, the weather over it, and one process per run.

Each run opens the store anew and throws everything away at its end, as a process does. What is decided in `Weather` happens at the
wire: a change refused, an answer lost, an endpoint that is down.
"""

from __future__ import annotations

import base64
import re
import secrets
import shutil
import subprocess
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from random import Random
from typing import Protocol

from syncd import sources, targets
from syncd.assembly import migrate_store
from syncd.core.guard import Limit
from syncd.core.model import Account, Change, Failure, Observed, ObservedGroup, Outcome, Result, TargetName
from syncd.demo.slapd import SERVICE_DN, PrivateSlapd
from syncd.engine import Engine
from syncd.engine.planned import Applied
from syncd.errors import EndpointError, TransientError
from syncd.settings import Config, load, write_starting_set
from syncd.store import Store
from syncd.targets import Connector, FollowsNames, PasswordOf, Question, Scope
from syncd.targets.ldap import Ldap
from syncd.targets.memory import Memory, MemoryConfig
from syncd.targets.target import Target
from syncd.vault import STATE_KEY, Vault
from tests.crash import boundary

LDAP = TargetName("ldap")
SCRATCH = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Where districts lie: in memory where that can be had. A kill, unlike a power cut, loses nothing that was not synced to a disk."""
PIPELINE = "main"
NO_LIMIT = Limit(percent=100.0, at_least=1_000_000)


# --- what stands in a directory ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One account as it stands; containers, groups and the manager's place in small letters, below the base."""

    uid: str
    container: str
    enabled: bool
    attributes: dict[str, str]
    groups: frozenset[str]
    manager: str


class Directory(Protocol):
    """A directory server, seen from outside."""

    def connector(self, config: Config) -> Connector:
        """A connector to it, as a process of this district builds one."""

    def secrets(self) -> dict[str, str]:
        """Credentials that are needed besides the state key."""

    def entries(self) -> list[Entry]:
        """Everything that stands there."""

    def close_account(self, number: str) -> bool:
        """Somebody else disables the account with this number; False where there is none that is enabled."""

    def settings(self) -> str:
        """The lines of its target in config/syncd.yaml."""


class InMemory:
    """The directory in memory."""

    def __init__(self) -> None:
        containers = ("ou=Students", "ou=Staff", "ou=Groups", "ou=Disabled")
        self.memory = Memory("ldap", MemoryConfig(containers=containers))

    def connector(self, config: Config) -> Memory:
        """The one there is: it is server and connector in one."""
        del config
        return self.memory

    def secrets(self) -> dict[str, str]:
        """None."""
        return {}

    def entries(self) -> list[Entry]:
        """Everything that stands there."""
        found = []
        for native_id, account in self.memory.accounts.items():
            groups = {name.casefold() for name, (_, members) in self.memory.groups.items() if native_id in members}
            attributes = {name: values[0] for name, values in account.attributes.items() if values}
            manager = attributes.pop("manager", "").casefold()
            attributes["uid"] = account.rdn
            place = account.container.casefold()
            found.append(Entry(account.rdn, place, account.enabled, attributes, frozenset(groups), manager))
        return found

    def close_account(self, number: str) -> bool:
        """Somebody else disables the account with this number."""
        for native_id, account in self.memory.accounts.items():
            if account.attributes.get("employeeNumber") == (number,) and account.enabled:
                self.memory.accounts[native_id] = replace(account, enabled=False)
                return True
        return False

    def settings(self) -> str:
        """The lines of its target."""
        return "    kind: memory\n"


ATTRIBUTES = (
    *("uid", "cn", "sn", "givenName", "displayName", "employeeNumber", "employeeType", "departmentNumber", "mail", "description"),
    *("manager", "pwdAccountLockedTime", "member"),
)


class InSlapd:
    """A part of the tree of a real slapd, read back with `ldapsearch` (R29)."""

    def __init__(self, server: PrivateSlapd, base: str) -> None:
        self._server = server
        self.base = base

    def connector(self, config: Config) -> Connector:
        """A new connector, with connections of its own."""
        return targets.build("ldap", LDAP, config.targets[LDAP].options, config.credentials)

    def secrets(self) -> dict[str, str]:
        """What syncd binds with."""
        return {"ldap_bind": self._server.password()}

    def _run(self, program: str, *arguments: str, ldif: str = "") -> str:
        server = self._server
        secret = ["-D", SERVICE_DN, "-y", str(server.folder / "service.password")]
        command = [server.binaries.tool(program), "-x", "-H", server.secure_url, *secret, *arguments]
        environment = {**server.binaries.environment, "LDAPTLS_CACERT": str(server.ca_file)}
        run = subprocess.run(command, env=environment, input=ldif, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def entries(self) -> list[Entry]:
        """Everything below the base, as the C client tells it."""
        either = "(|(objectClass=inetOrgPerson)(objectClass=groupOfNames))"
        rows = [*_ldif(self._run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", self.base, either, *ATTRIBUTES))]
        groups: dict[str, set[str]] = {}
        for row in rows:
            for member in row.get("member", ()):
                groups.setdefault(member.casefold(), set()).add(self._below(row["dn"][0]))
        return [self._entry(row, groups) for row in rows if "uid" in row]

    def _entry(self, row: dict[str, list[str]], groups: dict[str, set[str]]) -> Entry:
        place = self._below(row["dn"][0])
        told = {name: values[0] for name, values in row.items() if name not in ("dn", "manager", "pwdAccountLockedTime")}
        return Entry(
            row["uid"][0],
            place.partition(",")[2],
            "pwdAccountLockedTime" not in row,
            told,
            frozenset(groups.get(row["dn"][0].casefold(), ())),
            self._below(row["manager"][0]) if "manager" in row else "",
        )

    def _below(self, dn: str) -> str:
        return dn.casefold().removesuffix(self.base.casefold()).removesuffix(",")

    def close_account(self, number: str) -> bool:
        """Somebody else locks the account with this number."""
        found = f"(&(employeeNumber={number})(!(pwdAccountLockedTime=*)))"
        for row in _ldif(self._run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", self.base, found, "uid")):
            change = "changetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n"
            self._run("ldapmodify", ldif=f"dn: {row['dn'][0]}\n{change}")
            return True
        return False

    def settings(self) -> str:
        """The lines of its target, as an administrator would write them."""
        return (
            f'    kind: ldap\n    urls: ["{self._server.secure_url}"]\n    ca_file: "{self._server.ca_file}"\n'
            f'    bind_dn: "{SERVICE_DN}"\n    credential: ldap_bind\n    base: "{self.base}"\n'
            '    accounts_in: ["ou=Students", "ou=Staff", "ou=Disabled"]\n    groups_in: ["ou=Groups"]\n'
            '    disable_attribute: pwdAccountLockedTime\n    disable_value: "000001010000Z"\n'
        )


def _ldif(text: str) -> Iterator[dict[str, list[str]]]:
    for block in filter(None, text.split("\n\n")):
        row: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                plain = base64.b64decode(value[1:]).decode() if value.startswith(":") else value.lstrip()
                row.setdefault(name, []).append(plain)
        yield row


# --- the weather at the wire ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Weather:
    """What goes wrong at the wire in one run: percentages of changes, and after how many calls the endpoint is down."""

    refused: int = 0  # refused by the server
    lost: int = 0  # carried out, but the answer never came
    dropped: int = 0  # sent and lost on the way: neither carried out nor answered
    down_after: int | None = None
    seed: int = 0

    @property
    def is_fair(self) -> bool:
        """True when everything that is sent lands and is answered."""
        return self == Weather(seed=self.seed)


FAIR = Weather()


class Exposed:
    """A connector out in the weather. Also tells the crash points of a target that has no wire of its own."""

    def __init__(self, connector: Connector, weather: Weather) -> None:
        assert isinstance(connector, Memory | Ldap)
        self._real = connector
        self._weather = weather
        self._draw = Random(weather.seed)
        self._calls = 0

    def _call(self) -> None:
        self._calls += 1
        after = self._weather.down_after
        if after is not None and self._calls > after:
            kind = TransientError if self._weather.seed % 2 else EndpointError
            raise kind("ldap is down") if kind is TransientError else EndpointError("ldap", "is down")

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Some of it, then the weather."""
        for number, observed in enumerate(self._real.read(scope)):
            if number % 4 == 2:
                self._call()
            yield observed
        self._call()

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        self._call()
        return self._real.lookup(questions, scope)

    def missing_containers(self, names: Collection[str]) -> set[str]:
        self._call()
        return self._real.missing_containers(names)

    def missing_groups(self, names: Collection[str]) -> set[str]:
        self._call()
        return self._real.missing_groups(names)

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        self._call()
        return self._real.read_groups(names)

    def canonical(self, account: Account) -> Account:
        return self._real.canonical(account)

    def canonical_group(self, name: str) -> str:
        return self._real.canonical_group(name)

    def reference(self, account: Account) -> str:
        return self._real.reference(account)

    def refuses(self, change: Change) -> str:
        return self._real.refuses(change)

    def follow(self, changes: Sequence[Change]) -> str:
        return self._real.follow(changes) if isinstance(self._real, FollowsNames) else ""

    def close(self) -> None:
        self._real.close()

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for every change, whatever the weather makes of it."""
        self._call()
        ready: list[Outcome] = []
        unanswered: set[int] = set()

        def feed() -> Iterator[Change]:
            for change in changes:
                boundary("target: send")
                fate = self._draw.randrange(100)
                refused, lost = self._weather.refused, self._weather.lost
                if fate < refused:
                    ready.append(Outcome(change, Result.FAILED, failure=Failure.REFUSED, why="unwilling to perform (53)"))
                elif fate < refused + lost:
                    unanswered.add(id(change))
                    yield change
                elif fate < refused + lost + self._weather.dropped:
                    ready.append(Outcome(change, Result.UNKNOWN))
                else:
                    yield change

        for outcome in self._real.apply(feed(), password):
            boundary("target: answer")
            yield from _drained(ready)
            yield Outcome(outcome.change, Result.UNKNOWN) if id(outcome.change) in unanswered else outcome
        yield from _drained(ready)


def _drained(ready: list[Outcome]) -> Iterator[Outcome]:
    while ready:
        yield ready.pop(0)


# --- one district on one directory ------------------------------------------------------------------------------------


def settle(folder: Path, directory: Directory) -> Config:
    """Everything an administrator does: the starting settings, the credentials, the store."""
    answers = {
        "sources.sis.shape.floor": 1,
        "sources.sis.shape.shrink_percent": 99,
        "sources.sis.shape.campus_percent": 100_000,
    }
    write_starting_set(folder, {"config/syncd.yaml": answers})
    settings = folder / "config" / "syncd.yaml"
    text = settings.read_text(encoding="utf-8")
    text, found = re.subn(r"(?m)(?s)^  ldap:\n.*?(?=^# --- Pipelines)", f"  ldap:\n{directory.settings()}{LIMITS}\n", text)
    assert found == 1
    text, found = re.subn(r"(?m)^      campus_percent: .*\n", rf"\g<0>{SIGNS}", text)
    assert found == 1
    # So small a district may lose all its students in a few nights; elsewhere a file without rows is refused.
    text, found = re.subn(r"(?m)^    headers: lenient$", "    headers: lenient\n    may_lack: [enrollments, demographics]", text)
    assert found == 1
    settings.write_text(text, encoding="utf-8")
    (folder / "credentials").mkdir(mode=0o700)
    for name, secret in {STATE_KEY: secrets.token_hex(32), **directory.secrets()}.items():
        (folder / "credentials" / name).touch(mode=0o600)
        (folder / "credentials" / name).write_text(secret)
    config = load(folder)
    migrate_store(config)
    return config


def moved_in(settled: Path, folder: Path, directory: Directory) -> Config:
    """A copy of a settled district, on this directory."""
    shutil.copytree(settled, folder)
    if isinstance(directory, InSlapd):
        path = folder / "config" / "syncd.yaml"
        path.write_text(path.read_text(encoding="utf-8").replace('"dc=BASE"', f'"{directory.base}"'), encoding="utf-8")
    return load(folder)


SIGNS = "      older_at_least: 1000000\n      signs:\n" + "".join(
    f"        {name}: {{ at_least: 1000000, campus_at_least: 1000000 }}\n"
    for name in ("emptied", "names", "numbers", "population", "grade", "campus")
)
LIMITS = "    limits:\n" + "".join(
    f"      {name}: {{ percent: 100, absolute: 1000000, at_least: 1000000, campus_at_least: 1000000 }}\n"
    for name in ("create", "update", "move", "enable", "disable", "delete", "member")
)


class Process:
    """A process of syncd: opens everything when it starts, and is thrown away."""

    def __init__(self, config: Config, directory: Directory, weather: Weather, today: date) -> None:
        self._vault = Vault(config.credentials.read(STATE_KEY))
        self.store = Store.open(config.store, self._vault)
        connector = Exposed(directory.connector(config), weather)
        self._target = Target("ldap", connector, patience=0.0, error_budget=25)
        now = datetime.combine(today, time(8), UTC)
        read = {name: sources.build(each.kind, name, each.options, self._vault) for name, each in config.sources.items()}
        self.engine = Engine(config, self.store, self._vault, lambda: now, read, {LDAP: self._target})

    def sync(self, kind: str) -> Applied | None:
        """One run, the first one explicitly so (R14)."""
        if self.store.has_history(LDAP):
            return self.engine.sync(PIPELINE, kind)[1]
        return self.engine.apply(self.engine.plan(PIPELINE, kind), first=True)

    def close(self) -> None:
        """What the kernel does for a process that ended, however it ended."""
        with closing(self._target):
            self.store.close()
