"""Verbs about what must be kept or handed on: letters, backup, restore, the key."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def letters(
    context: typer.Context,
    *,
    csv: Annotated[
        Path, typer.Option("--csv", metavar="FILE", help="The file to write; must not exist yet. Readable by you only.")
    ],
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only accounts on this target.")] = None,
) -> None:
    """Hand out the sealed first passwords, once: write them to a file for letters, and forget them."""
    from syncd.assembly import opened_store, utc_now, vault_of
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.cli.letters import hand_out
    from syncd.core.model import TargetName
    from syncd.settings import load

    config = load(context.obj)
    with opened_store(config) as store:
        count = hand_out(store, vault_of(config), csv, TargetName(target) if target else None, utc_now())
        if count:
            store.audit.append("letters", actor(), {"file": str(csv), "passwords": count}, utc_now())
    if count:
        say(f"wrote {count:,} first passwords to {csv}. They are kept nowhere else: print them, then destroy the file")
    else:
        say("no first password is waiting to be handed out; nothing was written")


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; must not exist yet.")],
) -> None:
    """Write an encrypted, consistent copy of the store: ledger, decisions, ownership, journal. No passwords are in it."""
    from syncd.assembly import opened_store, utc_now
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.core.health import Freshness, Kind
    from syncd.settings import load

    if file.exists():
        raise FileExistsError(17, "file exists", str(file))
    with opened_store(load(context.obj)) as store:
        rows = store.backup(file)
        store.audit.append("backed up", actor(), {"file": str(file), "rows": rows}, utc_now())
        store.set_freshness([Freshness(Kind.BACKUP, "", utc_now(), count=rows)])
    say(f"wrote {file} ({rows:,} rows); it opens only with this district's state_key, so keep that elsewhere")


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file `syncd backup` wrote.", exists=True, dir_okay=False)],
) -> None:
    """Fill an empty store from a backup. The next run reads every target before anything is created, renamed or disabled."""
    from syncd.assembly import opened_store, utc_now
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        rows = store.restore(file)
        store.audit.append("restored", actor(), {"file": str(file), "rows": rows}, utc_now())
    say(f"restored {rows:,} rows; the next run reads every target, and what it would change waits for you. Look: syncd plan")


def rotate_key(context: typer.Context) -> None:
    """Put the store and all copies of rosters under the key in `next_state_key`; what a kill left of that is finished."""
    from syncd.assembly import rotate_key as rotate
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.engine.rotation import in_words
    from syncd.settings import load
    from syncd.vault import NEXT_KEY, STATE_KEY

    config = load(context.obj)
    done = rotate(config, actor())
    if done.rows:
        say(f"{done.rows:,} sealed rows and {done.spools:,} copies of rosters are under key {done.key_id} now")
        say("backups made before open with the old key only: keep it as long as you keep them, and make a new one", style="yellow")
    else:
        say(f"everything that is sealed is under key {done.key_id}")
    if config.credentials.path(NEXT_KEY).exists():
        new, old = config.credentials.path(NEXT_KEY), config.credentials.path(STATE_KEY)
        say(f"put the new key in the old one's place before the daemon is started: mv {new} {old}", style="yellow")
    for line in in_words(done.facts):
        say(f"{line}. Keep the old key until then", style="yellow")
