"""Verbs by which a human decides: holds, approve, undo, shelved, release."""

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


def undo(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run to take back, as `syncd runs` names it: r12.")],
    *,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Only this person.")] = None,
    campus: Annotated[
        list[str] | None, typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False)
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only this kind of change. Repeatable.", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=0, help="Show this many changes of each kind; 0 shows all.")] = 10,
) -> None:
    """Plan what takes a run back, or a part of it. Apply that plan like any other; the runs after it do not do it again."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.asking import masker_of_plan, one_person, run_id
    from syncd.cli.console import say_lines
    from syncd.cli.plans import lines
    from syncd.core.rendering import Filter, kinds_named
    from syncd.engine.planned import Undoes
    from syncd.settings import load

    try:
        kinds = kinds_named(kind or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--kind") from error
    with opened(load(context.obj)) as district:
        chosen = frozenset([one_person(district.store, person)] if person else ())
        undoes = Undoes(run_id(run), chosen, frozenset(campus or ()), frozenset(kinds or ()))
        planned = district.engine.undo(undoes, f"undo of {undoes.run} by {actor()}")
        masked = masker_of_plan(district.store, planned)
    say_lines(lines(planned, Filter(), masked, most))


def shelved(context: typer.Context) -> None:
    """List who keeps what an undo gave back, and is left alone by the runs until the roster or the mapping wants something else."""
    from syncd.assembly import opened_store
    from syncd.cli.console import say, table
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        rows = [(target, person, str(len(digests))) for (target, person), digests in sorted(store.shelved().items())]
    if rows:
        table(("target", "person", "changes"), rows)
        say("syncd release KEY lets the next run do it after all")
    else:
        say("nothing is on the shelf")


def release(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Whose changes, by any key of theirs.")],
) -> None:
    """Take what was undone of a person off the shelf: the next run does it after all."""
    from syncd.assembly import opened
    from syncd.cli.console import say
    from syncd.settings import load

    with opened(load(context.obj)) as district:
        count = district.engine.release(key)
    say(f"the next run does what it wants of {count:,} people" if count else f"nothing of {key} is on the shelf")


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
