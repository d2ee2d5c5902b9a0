"""`syncd audit`: whether the journal is what was written, and the head that proves it elsewhere."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.exits import Ended, Exit

audit = typer.Typer(name="audit", no_args_is_help=True, help="Verify that the journal is what was written, or print its head.")


@audit.command()
def verify(
    context: typer.Context,
    *,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="HEAD", help="A head that was told before: the chain must lead to it.", show_default=False),
    ] = None,
) -> None:
    """Walk the whole chain: an altered, removed, added or exchanged row is named. Exit 4 where anything is wrong."""
    from syncd.assembly import opened_store
    from syncd.cli.console import say
    from syncd.settings import load
    from syncd.store.audit import Head

    try:
        told = Head.parse(head) if head is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--head") from error
    with opened_store(load(context.obj)) as store:
        found = store.audit.verify(told)
    for problem in found.problems:
        say(problem, style="red")
    gone = f", {found.destroyed:,} of them without contents, as entries say" if found.destroyed else ""
    say(f"{found.entries:,} entries over {found.rows:,} rows were looked at{gone}")
    if found.problems:
        say("the chain is broken: somebody who is not syncd wrote to the store. Keep it as it is, and compare with a backup")
        raise Ended(Exit.PARTLY)
    leads = " and leads to the head that was told" if told is not None else "; only a head kept elsewhere shows a cut end"
    say(f"the chain is whole{leads}")
    say(f"head {found.head}")


@audit.command()
def head(context: typer.Context) -> None:
    """Print where the chain ends now: keep it where whoever can write to the store cannot."""
    from syncd.assembly import opened_store
    from syncd.cli.console import say
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        say(str(store.audit.head()))
