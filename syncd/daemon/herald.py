"""Tells people when something is not well, and every morning how it went: what was told is remembered in the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime

from syncd import telemetry
from syncd.assembly import Clock, Running
from syncd.core.guard import LET_GO, Cell
from syncd.core.health import Freshness, Kind, age
from syncd.core.notices import Told, due
from syncd.daemon.channels import send
from syncd.engine.health import Health, as_json
from syncd.errors import EndpointError
from syncd.settings import Notify

_TOLD = "told"  # in the store's meta
_OPERATIONS = ("create", "enable", "update", "move", "disable", "delete")
_log = telemetry.logger("daemon")


class Herald:
    """The voice of one daemon. A message that goes nowhere is tried again the next time."""

    def __init__(self, district: Callable[[], Running], health: Callable[[], Health], clock: Clock) -> None:
        self._district = district
        self._health = health
        self._clock = clock
        self._told: dict[str, Told] | None = None  # what the store has no room for; else everything would be told again and again

    def tell(self) -> None:
        """Send what has to be told now, if anything. Raises EndpointError where the store does not answer."""
        district = self._district()
        if not is_heard(district.config.notify):
            return
        health, now = self._health(), self._clock()
        before = _read(district.store.meta(_TOLD)) if self._told is None else self._told
        notice, kept = due(district.config.district.name, health.reasons, before, now)
        if notice is None or self._send(notice.subject, notice.text, as_json(health)):
            self._told = kept
            district.store.set_meta(_TOLD, json.dumps({key: _plain(one) for key, one in kept.items()}))
            self._told = None

    def digest(self) -> None:
        """Send what was done in the last 24 hours, campus by campus, and what is not well."""
        district = self._district()
        if is_heard(district.config.notify):
            health, now = self._health(), self._clock()
            done: Counter[Cell] = Counter()
            for target in district.config.targets:
                for cell, number in district.store.spent(target, now)[0].items():
                    done[replace(cell, operation=cell.operation.removesuffix(LET_GO))] += number
            subject = f"syncd {district.config.district.name}: {health.level.name.lower()}, the last 24 hours"
            self._send(subject, digest(health, done, now, str(district.store.audit.head())), as_json(health))

    def _send(self, subject: str, text: str, told: Mapping[str, object]) -> bool:
        """Whether it arrived anywhere."""
        district, now = self._district(), self._clock()
        notify = district.config.notify
        failed = send(notify, district.config.credentials, subject, text, {"health": told})
        channels = [name for name in ("email", "webhook", "command") if getattr(notify, name)]
        fresh = [
            Freshness(Kind.NOTICE, name, failed_at=now, why=telemetry.masked(failed[name]))
            if name in failed
            else Freshness(Kind.NOTICE, name, now)
            for name in channels
        ]
        try:
            district.store.set_freshness(fresh)
        except EndpointError as error:  # the message has gone out: that it cannot be noted must not have it sent again
            _log.warning("store.silent", endpoint=error.endpoint)
        for name in failed:
            _log.warning("notice.failed", kind=name)
        if len(failed) < len(channels):
            _log.info("notice.sent", count=len(channels) - len(failed))
        return len(failed) < len(channels)


def is_heard(notify: Notify) -> bool:
    """Whether anybody is to be told anything."""
    return bool(notify.email or notify.webhook or notify.command)


def digest(health: Health, done: Mapping[Cell, int], now: datetime, head: str) -> str:
    """The text of a digest: the whole, a line for each campus, the audit's head. What a human released is not counted."""
    lines = [f"{reason.level.name}: {reason}" for reason in health.reasons] or ["All is well."]
    whole = {cell.operation: number for cell, number in done.items() if not cell.campus and not cell.population}
    lines += ["", f"all: {_counted(whole)}"]
    for code, fresh in sorted(health.facts.campuses.items()):
        mine: dict[str, int] = {}
        for cell, number in done.items():
            if cell.campus == code:
                mine[cell.operation] = mine.get(cell.operation, 0) + number
        since = f"data {age(now - fresh.good_at)} old" if fresh.good_at else "no data yet"
        lines.append(f"campus {code}: {fresh.count:,} people, {since}, {_counted(mine)}")
    lines += ["", f"audit head: {head}", "keep this message: syncd audit verify --head proves by it that nothing was rewritten"]
    return "\n".join(lines) + "\n"


def _counted(numbers: Mapping[str, int]) -> str:
    told = [f"{numbers[operation]:,} {operation}" for operation in _OPERATIONS if numbers.get(operation)]
    return ", ".join(told) or "nothing done"


def _plain(one: Told) -> dict[str, object]:
    return asdict(one) | {"since": one.since.isoformat(), "last": one.last.isoformat()}


def _read(text: str) -> dict[str, Told]:
    kept = json.loads(text) if text else {}
    return {
        key: Told(datetime.fromisoformat(one["since"]), datetime.fromisoformat(one["last"]), one["level"])
        for key, one in kept.items()
    }
