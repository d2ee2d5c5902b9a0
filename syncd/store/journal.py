"""The journal: what is about to be done, written before it is sent; what came of it, written after. Append-only, both.

An outcome and its effect on links, accounts and memberships are one transaction, so that what we know of an account never runs
ahead of what was journalled of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from syncd.core.addresses import FormerAddress
from syncd.core.audit import digest
from syncd.core.model import (
    DEVICE_KINDS,
    Account,
    Change,
    Kind,
    NativeId,
    Outcome,
    PersonId,
    Result,
    RunId,
    TargetName,
)
from syncd.core.release import CREATED
from syncd.store import audit, claims, codec, devices, history, quarantine, reading, statements, tables, writing
from syncd.store.reading import number
from syncd.store.rows import Known
from syncd.vault import Vault

_NAMING = frozenset({Kind.CREATE, Kind.MOVE, Kind.UPDATE})  # a mail address is a name, whatever the account is called


def intend(
    connection: Connection,
    vault: Vault,
    run: RunId,
    changes: Sequence[Change],
    passwords: Mapping[int, tuple[bytes, datetime]],
    now: datetime,
    replaced: Iterable[FormerAddress] = (),
) -> list[int]:
    """The journal's numbers for these changes, in their order. Sealed first passwords are part of the same transaction (R21).

    So are the addresses that these replace: should no answer ever come, they are known to have been ours.
    """
    if not changes:
        return []
    writing.replace_addresses(connection, replaced)
    row, entry = int(run[1:]), audit.begin(connection)
    seqs = statements.numbers(connection, tables.journal, len(changes))
    sealed_changes = [
        vault.seal(codec.dumps(codec.change_to_json(change)), history.journal_context(seq))
        for seq, change in zip(seqs, changes, strict=True)
    ]
    rows = [
        {
            "seq": seq,
            "run": row,
            "at": now.isoformat(),
            "target": change.target,
            "kind": str(change.kind),
            "person": number(change.person) if change.person else None,
            "commitment": digest(image),
            "entry": entry,
        }
        for seq, image, change in zip(seqs, sealed_changes, changes, strict=True)
    ]
    statements.add(connection, tables.journal, rows)
    audit.intended(connection, entry, rows, now, run)
    images = ({"seq": seq, "sealed": image} for seq, image in zip(seqs, sealed_changes, strict=True))
    statements.add(connection, tables.images, images)
    sealed = [
        {
            "target": changes[index].target,
            "person": number(person),
            "intention": seqs[index],
            "expires": expires.isoformat(),
            "sealed": secret,
        }
        for index, (secret, expires) in passwords.items()
        if (person := changes[index].person) is not None
    ]
    statements.add(connection, tables.passwords, sealed)
    writing.issue(connection, {change.person for change in changes if change.kind in _NAMING and change.person is not None})
    return seqs


def record(connection: Connection, vault: Vault, outcomes: Iterable[tuple[int, Outcome]], now: datetime) -> None:
    """What came of journalled changes, and what that makes true."""
    listed = list(outcomes)
    if not listed:
        return
    entry = audit.begin(connection)
    rows = [
        {
            "seq": seq,
            "at": now.isoformat(),
            "result": str(one.result),
            "failure": str(one.failure) if one.failure else None,
            "sealed": sealed,
            "commitment": digest(sealed),
            "entry": entry,
        }
        for seq, one in listed
        if (sealed := vault.seal(one.why.encode(), f"outcome {seq}"))
    ]
    statements.add(connection, tables.outcomes, rows)
    audit.answered(connection, entry, rows, now)
    devices.take_effect(connection, (one for _, one in listed))
    listed = [(seq, one) for seq, one in listed if one.change.kind not in DEVICE_KINDS]  # a device is nobody's account
    by_target: dict[TargetName, list[Outcome]] = {}
    for _, one in listed:
        by_target.setdefault(one.change.target, []).append(one)
    for target, mine in by_target.items():
        _take_effect(connection, vault, target, mine)
    quarantine.take(connection, vault, [one for _, one in listed], now)
    claims.landed(connection, vault, listed, now)


def _take_effect(connection: Connection, vault: Vault, target: TargetName, outcomes: Sequence[Outcome]) -> None:
    landed = [(one, one.change.person) for one in outcomes if one.landed and one.change.person is not None]
    known = reading.known(connection, vault, target, {person for _, person in landed})
    touched: dict[PersonId, Known] = {}
    # In the order they came, but outcomes of one kind together: 200 memberships are one statement.
    for kind, alike in groupby(landed, key=lambda one: one[0].change.kind):
        same = list(alike)
        match kind:
            case Kind.DELETE:
                for _, person in same:
                    writing.unlink(connection, target, person)
                    known.pop(person, None)
                    touched.pop(person, None)
            case Kind.CREATE:
                writing.put_memberships(connection, target, {person: () for _, person in same})  # made anew: in no group yet
                touched.update((person, _created(target, one, person)) for one, person in same)
            case Kind.ADD_MEMBER:
                mine = [_edge(target, person, one) for one, person in same if one.result is Result.DONE and one.change.group]
                statements.add_if_absent(connection, tables.memberships, mine)
            case Kind.REMOVE_MEMBER:
                writing.drop_memberships(connection, [_edge(target, person, one) for one, person in same])
            case _:
                for one, person in same:
                    before = touched.get(person) or known.get(person)
                    if before is not None and one.change.after is not None:
                        touched[person] = _changed(before, kind, one.change.after)
    if touched:
        statements.upsert(connection, tables.links, (writing.link_row(vault, one) for one in touched.values()))


def _edge(target: TargetName, person: PersonId, outcome: Outcome) -> dict[str, Any]:
    return {"target": target, "person": number(person), "name": outcome.change.group}


def _created(target: TargetName, outcome: Outcome, person: PersonId) -> Known:
    native_id, after = outcome.native_id or outcome.change.native_id, outcome.change.after
    if native_id is None or after is None:
        raise AssertionError("a create that landed has an id and says what it made")
    return Known(person, target, NativeId(native_id), CREATED, after, disabled_by_us=not after.enabled)


def _changed(before: Known, kind: Kind, after: Account) -> Known:
    account = before.account
    match kind:
        case Kind.ENABLE:
            return replace(before, account=replace(account, enabled=True), disabled_by_us=False)
        case Kind.DISABLE:
            return replace(before, account=replace(account, enabled=False), disabled_by_us=True)
        case Kind.UPDATE | Kind.REFER:
            return replace(before, account=_with(account, after.attributes))
        case Kind.MOVE | Kind.PARK:
            return replace(before, account=replace(account, rdn=after.rdn, container=after.container))
    return before


def _with(account: Account, written: Mapping[str, tuple[str, ...]]) -> Account:
    """The account with these attributes written; one without values is gone."""
    attributes = {name: values for name, values in {**account.attributes, **written}.items() if values}
    return replace(account, attributes=attributes)


def expire(connection: Connection, vault: Vault, now: datetime, plans_before: datetime, images_before: datetime) -> int:
    """Delete passwords past their day, and plans and before-images older than these times (R38); how many plans and images went.

    What has no outcome yet keeps its image. A name that only an expired plan promised is nobody's any more (R9).
    """
    late = tables.passwords.c.expires <= now.isoformat()
    connection.execute(update(tables.passwords).where(late).values(sealed=None))
    old_runs = select(tables.runs.c.seq).where(tables.runs.c.started < plans_before.isoformat())
    writing.give_back(connection, tables.ledger.c.run.in_(old_runs))
    gone = connection.execute(delete(tables.plans).where(tables.plans.c.run.in_(old_runs))).rowcount
    expired = _expire_images(connection, images_before)
    if expired:
        audit.append(connection, vault, audit.EXPIRED, "", {"before": images_before.isoformat(), "images": expired}, now)
    return gone + expired


def _expire_images(connection: Connection, before: datetime) -> int:
    """Delete the images of what was answered and journalled before; how many. Later runs, however many, are not looked at."""
    table, images = tables.journal, tables.images
    begun = select(func.max(tables.runs.c.seq)).where(tables.runs.c.started < before.isoformat()).scalar_subquery()
    run = select(func.max(table.c.run)).where(table.c.run <= begun).scalar_subquery()
    last = connection.execute(select(func.max(table.c.seq)).where(table.c.run == run)).scalar()
    if last is None:
        return 0
    answered = (
        select(table.c.seq)
        .join(tables.outcomes, tables.outcomes.c.seq == table.c.seq)
        .where(table.c.seq == images.c.seq, table.c.at < before.isoformat())
        .correlate(images)
    )
    return connection.execute(delete(images).where(images.c.seq <= last, answered.exists())).rowcount
