"""Verbs about one person's data: history, disclose, forget; and whose data was written where: exposure."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from syncd.core.model import PersonId
    from syncd.store import Store

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="Our id, a source's key, a user name or address, or a target's own id.")]


def history(context: typer.Context, key: Key, *, json: Json = False) -> None:
    """Tell one person's life, oldest first: names, changes on every target, states, decisions. Masked if confidential."""
    from syncd.assembly import opened_store
    from syncd.cli.asking import masker
    from syncd.cli.console import say, say_json, table
    from syncd.core.rendering import MASK
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        person = _ever(store, key)
        hidden = masker(store, [person])(person)
        told = [
            {
                "at": event.at.isoformat(timespec="seconds"),
                "run": event.run or "",
                "target": event.target or "",
                "what": event.what,
                "told": event.told,
                "by": event.actor,
                "detail": MASK if hidden and event.detail else event.detail,
            }
            for event in store.lives.history(person)
        ]
    if json:
        say_json({"person": person, "confidential": hidden, "events": told})
    elif told:
        say(person)
        table(tuple(told[0]), [tuple(event.values()) for event in told])
    else:
        say(f"nothing is known to have happened to {person}")


def disclose(
    context: typer.Context,
    key: Key,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The file to write, readable by you only; must not exist yet.", show_default=False
        ),
    ] = None,
) -> None:
    """Everything stored about one person, opened, as JSON: the answer to a request for access. That it was asked is audited."""
    import json
    import os

    from syncd.assembly import opened_store, utc_now
    from syncd.cli.actor import actor
    from syncd.cli.console import say, say_json
    from syncd.settings import load

    if out is not None and out.exists():
        raise FileExistsError(17, "file exists", str(out))
    with opened_store(load(context.obj)) as store:
        person = _ever(store, key)
        now = utc_now()
        found = store.lives.disclose(person, actor(), now)
    told = {"person": person, "as_of": now.isoformat(timespec="seconds"), "tables": found}
    if out is None:
        say_json(told)
        return
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(told, file, ensure_ascii=False, indent=1, default=str)
    rows = sum(map(len, found.values()))
    say(f"wrote {out}: {rows:,} rows of {len(found)} tables about {person}, readable by you only. That you asked is audited")


def forget(
    context: typer.Context,
    key: Key,
    *,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept with who said so. Name nobody in it.")],
) -> None:
    """Destroy everything stored about a person who has left. Nobody is ever given their names; the audit chain still verifies."""
    from datetime import timedelta

    from syncd.assembly import opened_store, utc_now
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.core.health import Kind
    from syncd.engine.lock import exclusive
    from syncd.settings import load

    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    config = load(context.obj)
    with opened_store(config) as store, exclusive(config.state, store, utc_now):
        person = _ever(store, key)
        now = utc_now()
        gone = store.lives.forget(person, actor(), because.strip(), now)
        copied = [one.good_at for one in store.wellbeing((), {}).freshness if one.kind is Kind.BACKUP and one.good_at is not None]
    rows = ", ".join(f"{count:,} {name}" for name, count in sorted(gone.rows.items()))
    say(f"{person} is forgotten: {rows or 'nothing was left'}; {gone.names} names stand as tombstones, for nobody ever")
    for target, native_id in gone.accounts:
        say(f"a disabled account is still on {target}: {native_id}. syncd owns it no longer; delete it there", style="yellow")
    last = f"the last one is of {copied[-1]:%Y-%m-%d %H:%M} UTC; " if copied else ""
    say(f"backups made before {now:%Y-%m-%d %H:%M} UTC still hold this person: {last}destroy them, or let them expire")
    spools = now + timedelta(days=config.retention.spools)
    say(f"copies of rosters that told of them expire until {spools:%Y-%m-%d}, as `retention: spools` says")


def exposure(
    context: typer.Context,
    *,
    since: Annotated[
        datetime,
        typer.Option("--since", metavar="DATE", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="By the district's clock."),
    ],
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only this target.", show_default=False)] = None,
    persons: Annotated[bool, typer.Option("--persons", help="List everybody, with what of theirs was written.")] = False,
    json: Json = False,
) -> None:
    """Say whose data was written where since a day, by target, campus and attribute: what a notice of a breach must tell."""
    from zoneinfo import ZoneInfo

    from syncd.assembly import opened_store
    from syncd.cli.asking import masker
    from syncd.cli.console import say, say_json, table
    from syncd.core.model import TargetName
    from syncd.settings import load

    config = load(context.obj)
    if target is not None and target not in config.targets:
        raise typer.BadParameter(f"there is no target {target!r}; there are: {', '.join(config.targets)}", param_hint="--target")
    begin = since.replace(tzinfo=ZoneInfo(config.district.timezone))
    with opened_store(config) as store:
        told = store.lives.exposure(begin, TargetName(target) if target else None)
        masked = masker(store, told.persons if persons else ())
        keys = store.keys_of({person for person in told.persons if not masked(person)}) if persons else {}
    rows = [(place[0], place[1], place[2], str(count)) for place, count in told.counts.items()]
    people = [
        (
            person,
            " ".join(f"{one.source}/{one.key}" for one in keys.get(person, [])),
            ", ".join(f"{where}: {what}" for where, what in sorted(parts)),
        )
        for person, parts in told.persons.items()
    ]
    if json:
        say_json(
            {
                "since": begin.isoformat(),
                "persons": len(told.persons),
                "runs": dict(told.runs),
                "expired": told.expired,
                "counts": [dict(zip(("target", "campus", "attribute", "persons"), row, strict=True)) for row in rows],
                **({"people": [dict(zip(("person", "keys", "what"), row, strict=True)) for row in people]} if persons else {}),
            }
        )
        return
    runs = f" by {len(told.runs):,} runs" if told.runs else ""
    say(f"since {begin:%Y-%m-%d %H:%M %Z} data of {len(told.persons):,} people was written{runs}")
    if told.expired:
        say(
            f"of {told.expired:,} changes the contents are gone (`retention: before_images`): only who and where is known",
            style="yellow",
        )
    if rows:
        table(("target", "campus", "attribute", "persons"), rows)
    if persons and people:
        table(("person", "keys", "what"), people)


def _ever(store: Store, key: str) -> PersonId:
    """Who this text means, somebody forgotten too, by our id."""
    from syncd.cli.asking import one_person
    from syncd.core.model import PersonId

    forgotten = PersonId(key) if key[:1] == "p" and key[1:].isascii() and key[1:].isdecimal() else None
    if forgotten is not None and not store.find_person(key) and store.lives.ever(forgotten):
        return forgotten
    return one_person(store, key)
