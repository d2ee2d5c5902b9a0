"""Values as JSON and back, exactly: dates, tuples and absent fields survive. Positional where rows are many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from syncd.core import claims
from syncd.core.model import (
    Account,
    Campus,
    Change,
    Enrolment,
    Guardianship,
    Kind,
    NativeId,
    PersonId,
    Record,
    Role,
    RowRef,
    Section,
    SourceKey,
    SourceName,
    TargetName,
    Value,
)

_FACTS = 5  # where claim facts stand in a record


def dumps(told: object) -> bytes:
    """Compact JSON, UTF-8."""
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _value(value: Value) -> object:
    if isinstance(value, date):
        return {"date": value.isoformat()}
    return list(value) if isinstance(value, tuple) else value


def _unvalue(told: Any) -> Value:
    if isinstance(told, dict):
        return date.fromisoformat(told["date"])
    return tuple(told) if isinstance(told, list) else told


def _campus(campus: Campus) -> list[object]:
    return [campus.key, campus.name, campus.code, campus.kind, campus.parent]


def _section(one: Section) -> list[object]:
    return [
        one.key, one.code, one.title, one.campus, one.kind, one.course, _day(one.begin), _day(one.end), one.active,
        list(one.teachers),
    ]  # fmt: skip


def record_to_bytes(record: Record) -> bytes:
    """A record without its source and key, which are the row's own."""
    return dumps(
        [
            {name: _value(value) for name, value in record.fields.items()},
            [[_campus(one.campus), one.role, one.primary, _day(one.begin), _day(one.end)] for one in record.roles],
            [[_section(one.section), one.role, one.primary, _day(one.begin), _day(one.end)] for one in record.enrolments],
            [[one.guardian, one.relation] for one in record.guardians],
            dict(record.related),
            claims.joined(record.facts, record.sealed),
            [[one.file, one.line] for one in record.rows],
        ]
    )


def record_from_bytes(source: SourceName, key: SourceKey, told: bytes) -> Record:
    """The record that was written. What the first version wrote before the rows (what is referred to) is not read any more."""
    fields, roles, enrolments, guardians, related, kept, *_, rows = json.loads(told)
    facts, sealed = claims.parted(kept)
    return Record(
        source,
        key,
        {name: _unvalue(value) for name, value in fields.items()},
        tuple(Role(Campus(*campus), role, primary, _date(begin), _date(end)) for campus, role, primary, begin, end in roles),
        tuple(
            Enrolment(_unsection(section), role, primary, _date(begin), _date(end))
            for section, role, primary, begin, end in enrolments
        ),
        tuple(Guardianship(guardian, relation) for guardian, relation in guardians),
        related,
        facts,
        tuple(RowRef(file, line) for file, line in rows),
        sealed,
    )


def with_facts(told: bytes, kept: Mapping[str, str]) -> bytes:
    """The record that was written, with these claim facts instead of its own, as they lie at rest."""
    whole = json.loads(told)
    whole[_FACTS] = dict(kept)
    return dumps(whole)


def _unsection(told: list[Any]) -> Section:
    key, code, title, campus, kind, course, begin, end, active, teachers = told
    return Section(key, code, title, campus, kind, course, _date(begin), _date(end), active, tuple(teachers))


def _attributes(told: Mapping[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(values) for name, values in told.items()}


def account_to_json(account: Account | None) -> list[object] | None:
    """An account as what JSON writes, groups sorted."""
    if account is None:
        return None
    return [account.rdn, account.container, account.enabled, dict(account.attributes), sorted(account.groups)]


def account_from_json(told: list[Any] | None) -> Account | None:
    """The account that was written."""
    return None if told is None else Account(told[0], told[1], told[2], _attributes(told[3]), frozenset(told[4]))


def change_to_json(change: Change) -> list[object]:
    """A change as JSON values."""
    return [
        change.target, change.kind, change.reason, change.person, change.native_id, account_to_json(change.before),
        account_to_json(change.after), change.group, change.campus, change.population,
    ]  # fmt: skip


def reason_in_json(told: list[Any]) -> tuple[str, str, PersonId | None]:
    """Of a change that was written: its kind, its reason, and whose it is. Nothing else is taken apart."""
    _, kind, reason, person, *_ = told
    return kind, reason, person


def change_from_json(told: list[Any]) -> Change:
    """The change that was written."""
    target, kind, reason, person, native_id, before, after, group, campus, population = told
    return Change(
        TargetName(target),
        Kind(kind),
        reason,
        PersonId(person) if person is not None else None,
        NativeId(native_id) if native_id is not None else None,
        account_from_json(before),
        account_from_json(after),
        group,
        campus,
        population,
    )
