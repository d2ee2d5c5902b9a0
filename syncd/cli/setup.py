"""Verbs that set a district up: init, check, ad-delegation, schema, migrate, demo."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

import os
import secrets
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.exits import Ended, Exit
from syncd.errors import ConfigError


def print_version(wanted: bool) -> None:
    """Callback of `--version`."""
    if wanted:
        from importlib.metadata import version

        typer.echo(version("syncd"))
        raise typer.Exit


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files are to stand; made if need be.")],
) -> None:
    """Write a commented starting set: settings, mappings, schemas for editors, and a fresh state key."""
    from syncd.cli.console import say
    from syncd.settings import write_starting_set

    try:
        written = write_starting_set(folder)
    except ConfigError as error:
        error.add_note(str(folder))
        raise
    for path in written:
        say(f"wrote {path}")
    key = _write_state_key(folder / "credentials")
    if key is not None:
        say(f"wrote {key}  (32 random bytes; back it up apart from the store: without it the store cannot be read)")
    say(f"\nNext: edit {folder / 'config' / 'syncd.yaml'}, put the target's password into {folder / 'credentials'}, then")
    say(f"  syncd --config {folder} check\n  syncd --config {folder} migrate\n  syncd --config {folder} plan")


def _write_state_key(credentials: Path) -> Path | None:
    """The new key's file; None where there is one already, which is never touched: sealed state hangs on it."""
    from syncd.vault import STATE_KEY

    credentials.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = credentials / STATE_KEY
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    try:
        with os.fdopen(descriptor, "wb") as file:
            # hex, so that an editor or a trailing newline cannot change it
            file.write(secrets.token_hex(32).encode() + b"\n")
    except OSError:
        path.unlink()  # half a key would be taken for one
        raise
    return path


def check(
    context: typer.Context,
    *,
    offline: Annotated[
        bool, typer.Option("--offline", help="Only the files and the golden people: read no source, connect to nothing.")
    ] = False,
) -> None:
    """Validate every file, run the mappings' golden people, read every source, and ask every target and the store."""
    from syncd.cli.checking import check_district

    if not check_district(context.obj, offline=offline):
        raise Ended(Exit.UNAVAILABLE)


class Tool(StrEnum):
    """With what rights in a domain are given."""

    DSACLS = "dsacls"
    POWERSHELL = "powershell"
    SAMBA = "samba"


def ad_delegation(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The target, as named in syncd.yaml.")],
    *,
    tool: Annotated[
        Tool | None, typer.Option("--for", help="Only the commands for this tool, without headings.", show_default=False)
    ] = None,
) -> None:
    """Print the commands that give syncd's account in an Active Directory exactly the rights the mapping needs."""
    from syncd.cli.delegating import delegate

    delegate(context.obj, target, tool)


def schema(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to. Default: schemas/ in the configuration folder.")
    ] = None,
) -> None:
    """Write JSON Schemas of the settings files, so that editors complete and check them."""
    from syncd.cli.console import say
    from syncd.settings import write_schemas

    for path in write_schemas(folder or context.obj / "schemas"):
        say(f"wrote {path}")


def migrate(context: typer.Context) -> None:
    """Make the store, or bring it to the shape this version needs. Harmless when it has it."""
    from syncd.assembly import migrate_store
    from syncd.cli.console import say
    from syncd.settings import load

    config = load(context.obj)
    say(f"the store is at revision {migrate_store(config)}")


def demo(
    *,
    students: Annotated[int, typer.Option(min=1, help="Students of the made-up district.")] = 1200,
    staff: Annotated[int, typer.Option(min=1, help="Members of staff.")] = 150,
    campuses: Annotated[int, typer.Option(min=1, help="Campuses.")] = 3,
    seed: Annotated[int, typer.Option(help="The same seed makes the same district and the same three weeks.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server up afterwards, until Ctrl-C, to be looked at.")] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            help="Where to keep everything. Default: a temporary folder, removed at the end.",
            show_default=False,
        ),
    ] = None,
    ad: Annotated[bool, typer.Option("--ad", help="On a private Active Directory domain: Samba's, which needs root.")] = False,
) -> None:
    """Show the main job on a made-up district and a private directory server, from nothing to one explained account."""
    from syncd.cli.voice import Printed
    from syncd.demo.tour import Options, tour

    tour(Options(students, staff, campuses, seed, keep, folder, ad), Printed())
