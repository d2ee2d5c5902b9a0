"""Verbs by which a human decides: holds, approve, reject, undo, shelved, release."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

CampusOption = Annotated[
    list[str] | None, typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False)
]
BecauseOption = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]
HeldArgument = Annotated[
    str, typer.Argument(metavar="PLAN", help="The plan that holds them, by its run as `syncd holds` names it: r12.")
]


def holds(
    context: typer.Context,
    *,
    persons: Annotated[bool, typer.Option("--persons", help="Name the people, too; the confidential by number only.")] = False,
) -> None:
    """List what is held back now: which limits, how many people, who approved, how to let them go. Exit 3 where something is."""
    from syncd.cli.reach import perform

    perform(context.obj, "holds", persons=persons)


def undo(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run to take back, as `syncd runs` names it: r12.")],
    *,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Only this person.")] = None,
    campus: CampusOption = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only this kind of change. Repeatable.", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=0, help="Show this many changes of each kind; 0 shows all.")] = 10,
) -> None:
    """Plan what takes a run back, or a part of it. Apply that plan like any other; the runs after it do not do it again."""
    from syncd.cli.reach import perform

    perform(context.obj, "undo", run=run, person=person, campus=campus, kind=kind, most=most)


def shelved(context: typer.Context) -> None:
    """List who keeps what an undo gave back, and is left alone by the runs until the roster or the mapping wants something else."""
    from syncd.cli.reach import perform

    perform(context.obj, "shelved")


def release(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Whose changes, by any key of theirs.")],
) -> None:
    """Take what was undone of a person off the shelf, and offer what was turned down of them again: the next run does it."""
    from syncd.cli.reach import perform

    perform(context.obj, "release", key=key)


def approve(context: typer.Context, run: HeldArgument, *, because: BecauseOption, campus: CampusOption = None) -> None:
    """Let held changes go, exactly as that plan has them: the next run applies them, and holds what is new or different."""
    from syncd.cli.reach import perform

    perform(context.obj, "approve", run=run, because=because, campus=campus)


def reject(
    context: typer.Context,
    run: HeldArgument,
    *,
    because: BecauseOption,
    campus: CampusOption = None,
    person: Annotated[
        list[str] | None,
        typer.Option("--person", metavar="KEY", help="Only this person, held or not. Repeatable.", show_default=False),
    ] = None,
) -> None:
    """Turn down what a plan holds: it is not made, and not offered again unless it becomes another change or is released."""
    from syncd.cli.reach import perform

    perform(context.obj, "reject", run=run, because=because, campus=campus, person=person)
