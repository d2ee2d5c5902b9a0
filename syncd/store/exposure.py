"""Whose data was written where: what a notice of a breach must say. Read from the journal and its images while they are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from syncd.core.model import Change, Kind, PersonId, Result, RunId, TargetName
from syncd.store import codec, history, tables
from syncd.store.reading import person_id
from syncd.vault import Vault

Place = tuple[TargetName, str, str]
"""Target, campus ("" is none) and attribute."""
_LANDED = (str(Result.DONE), str(Result.ALREADY), str(Result.UNKNOWN))  # what nobody answered may have arrived


@dataclass(frozen=True, slots=True)
class Exposure:
    """What was written since: persons by place and attribute, everybody with what of theirs, the runs that wrote it.

    `expired` counts changes whose contents were kept no longer: of those only target, kind and person are known.
    """

    counts: Mapping[Place, int]
    persons: Mapping[PersonId, frozenset[tuple[TargetName, str]]]
    runs: Mapping[RunId, int]
    expired: int


def exposure(connection: Connection, vault: Vault, since: datetime, target: TargetName | None) -> Exposure:
    """Everything that landed since then, or may have."""
    table, done, image = tables.journal, tables.outcomes, tables.images
    query = (
        select(table, image.c.sealed.label("image"))
        .select_from(table.join(done, done.c.seq == table.c.seq).outerjoin(image, image.c.seq == table.c.seq))
        .where(done.c.at >= since.isoformat(), done.c.result.in_(_LANDED), table.c.person.is_not(None))
        .order_by(table.c.seq)
    )
    if target is not None:
        query = query.where(table.c.target == target)
    places: dict[Place, set[int]] = {}
    persons: dict[int, set[tuple[TargetName, str]]] = {}
    runs: dict[RunId, int] = {}
    expired = 0
    for row in connection.execution_options(yield_per=1000).execute(query):
        name = TargetName(row.target)
        if row.image is None:
            expired += 1
            written: list[str] = ["(not kept any more)"]
            campus = ""
        else:
            change = codec.change_from_json(json.loads(vault.open(row.image, history.journal_context(row.seq))))
            written, campus = list(_written(change)), change.campus
        if not written:
            continue
        runs[history.run_id(row.run)] = runs.get(history.run_id(row.run), 0) + 1
        for attribute in written:
            places.setdefault((name, campus, attribute), set()).add(row.person)
            persons.setdefault(row.person, set()).add((name, attribute))
    return Exposure(
        {place: len(people) for place, people in sorted(places.items())},
        {person_id(person): frozenset(told) for person, told in sorted(persons.items())},
        runs,
        expired,
    )


def _written(change: Change) -> Iterator[str]:
    """What of a person a change put on its target; taking something away exposes nothing."""
    if change.group is not None:
        if change.kind is Kind.ADD_MEMBER:
            yield "member of"
        return
    after, before = change.after, change.before
    if after is None:
        return
    if before is None or before.rdn != after.rdn:
        yield "rdn"
    if before is None or before.container != after.container:
        yield "container"
    for name, values in after.attributes.items():
        if values and (before is None or before.attributes.get(name) != values):
            yield name
