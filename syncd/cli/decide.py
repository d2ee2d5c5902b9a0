"""Verbs by which a human decides: holds, approve."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.exits import Ended, Exit


def holds(context: typer.Context) -> None:
    """List what is held back now: which limits, how many people, and how to let them go. Exit 3 where something is."""
    from syncd.assembly import opened_store
    from syncd.cli.console import say
    from syncd.settings import load

    config = load(context.obj)
    with opened_store(config) as store:
        newest = {name: rows[0] for name, rows in store.wellbeing(config.pipelines, {}).runs.items() if rows}
    found = False
    for name, row in sorted(newest.items()):
        for why in row.held:
            found = True
            say(f"{name}, run {row.id}: {why}", style="red")
        if row.held:
            say(f"  let them go with: syncd approve {row.id} --because '…'  (--campus CODE for some)")
    if not found:
        say("nothing is held back")
        return
    raise Ended(Exit.HELD)


def approve(
    context: typer.Context,
    run: Annotated[
        str, typer.Argument(metavar="PLAN", help="The plan that holds them, by its run as `syncd holds` names it: r12.")
    ],
    *,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")],
    campus: Annotated[
        list[str] | None, typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False)
    ] = None,
) -> None:
    """Let held changes go, exactly as that plan has them: the next run applies them, and holds what is new or different."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.asking import run_id
    from syncd.cli.console import say
    from syncd.engine.judging import APPROVED_FOR
    from syncd.settings import load

    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    with opened(load(context.obj)) as district:
        plan = run_id(run)
        if district.store.plan(plan) is None:
            say(f"there is no stored plan {run}; `syncd holds` lists what is held")
            raise Ended(Exit.NO_INPUT)
        who = actor()
        people, changes = district.engine.approve(plan, who, because.strip(), campus or ())
    say(
        f"{who} lets {changes:,} changes of {people:,} people go, for {APPROVED_FOR.days} days. The next run applies what is still "
        "exactly so: the daemon by itself, or syncd sync"
    )
