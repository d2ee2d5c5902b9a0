"""The whole engine against the naive oracle, day by day, on the memory target: after every run the directory is as it must be."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import cast

import pytest

from syncd.assembly import Running, migrate_store, opened
from syncd.core.model import TargetName
from syncd.demo.district import District, Rates
from syncd.demo.oneroster_writer import write_oneroster, write_supplements
from syncd.demo.tour import Night, settle_in
from syncd.settings import Config, load
from syncd.targets.memory import Memory
from tests.conftest import NIGHTLY
from tests.integration.postgres import PrivatePostgres
from tests.oracle import Answer, Oracle

LIVELY = Rates(
    new=6,
    moved=6,
    renamed=6,
    vanished=8,
    exited=8,
    returned=0.3,
    preferred=6,
    renumbered=3,
    staff_new=10,
    staff_left=10,
    staff_renamed=10,
    manager=10,
    homeroom_teacher=20,
    class_renamed=10,
    campus_renamed=0.2,
)
STAFF = 30 if NIGHTLY else 18
Held = tuple[str, bool, dict[str, str], frozenset[str]]  # container, enabled, attributes, groups; all spelled small where DNs are


def in_the_directory(district: Running) -> dict[str, Held]:
    """What the memory target holds, by user name."""
    memory = cast("Memory", district.engine._targets[TargetName("ldap")].connector)  # as settle_in configures it without a server
    groups: dict[str, set[str]] = {}
    for name, (_, members) in memory.groups.items():
        for member in members:
            groups.setdefault(member, set()).add(name.casefold())
    held: dict[str, Held] = {}
    for native_id, account in memory.accounts.items():
        told = {name.casefold(): values[0] for name, values in account.attributes.items() if values}
        if "manager" in told:
            told["manager"] = told["manager"].casefold()
        held[account.rdn] = account.container.casefold(), account.enabled, told, frozenset(groups.get(native_id, ()))
    return held


def as_told(answer: Answer) -> dict[str, Held]:
    """What the oracle says, spelled the same. The naming attribute is the account's name there, not an attribute."""
    told: dict[str, Held] = {}
    for one in answer.accounts.values():
        attributes = {name.casefold(): value for name, value in one.attributes.items() if name != "uid"}
        if one.manager and answer.place(one.manager):
            attributes["manager"] = answer.place(one.manager).casefold()
        told[one.uid] = one.container.casefold(), one.enabled, attributes, frozenset(name.casefold() for name in one.groups)
    return told


def prepared(folder: Path, start: District, store: str = "") -> Config:
    """The starting settings for a small school in which much happens: limits are tested elsewhere."""
    settle_in(folder, None, start, lambda _: None)
    settings = folder / "config" / "syncd.yaml"
    text = re.sub(r"percent: (20|3|5)\b", "percent: 100", settings.read_text(encoding="utf-8"))
    settings.write_text(text.replace('store: ""', f'store: "{store}"'), encoding="utf-8")
    config = load(folder)
    migrate_store(config)
    return config


def live(config: Config, start: District, days: int) -> None:
    """Let the days pass, a run each night, and compare the directory with the oracle after every one."""
    roster, clock, oracle = config.folder / "roster", Night(start.today), Oracle()
    with opened(config, clock=clock) as district:
        for day in start.days(days):
            delivered = write_oneroster(day, roster / "oneroster.zip")
            write_supplements(day, roster)
            clock.turn_to(day.today)
            applied = district.engine.apply(district.engine.plan("main"), first=day.number == 0)
            assert applied is not None
            assert not applied.failed
            assert in_the_directory(district) == as_told(oracle.day(day.today, delivered, roster)), day.today


@pytest.mark.parametrize(
    ("seed", "first_day", "days"), [(2, date(2026, 9, 1), 20 if NIGHTLY else 12), (3, date(2026, 12, 10), 45 if NIGHTLY else 20)]
)
def test_after_every_day_the_directory_is_what_the_oracle_says(tmp_path: Path, seed: int, first_day: date, days: int) -> None:
    """Weeks of lively changes, over the turn of a semester and past parking: no account, attribute or membership differs."""
    start = District.generate(seed, students=5 * STAFF, staff=STAFF, rates=LIVELY, first_day=first_day)
    live(prepared(tmp_path, start), start, days)


def test_the_engine_does_the_same_on_postgresql(tmp_path: Path, postgres: PrivatePostgres) -> None:
    """One schema, two databases: a week or two of lively changes with the store in PostgreSQL."""
    start = District.generate(4, students=60, staff=12, rates=LIVELY)
    live(prepared(tmp_path, start, postgres.fresh()), start, 14 if NIGHTLY else 7)
