"""The verbs of the days on which rosters are rebuilt: rollover start, end, preview."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    name="rollover",
    no_args_is_help=True,
    help="Keep missing students as they are while the rosters of a new year are built: start, end, preview.",
)

Campus = Annotated[
    list[str] | None, typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False)
]


@app.command()
def start(
    context: typer.Context,
    *,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The last day of it, as in 2026-08-14.")],
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why; kept with who said so.")] = "",
    campus: Campus = None,
) -> None:
    """Keep students as they are who are missing from the rosters, until that day. Staff and explicit exits go on."""
    from syncd.cli.reach import perform

    perform(context.obj, "rollover-start", until=until, because=because, campus=campus)


@app.command()
def end(context: typer.Context, *, campus: Campus = None) -> None:
    """End what was started, now. Whoever is missing then begins their grace with the next roster."""
    from syncd.cli.reach import perform

    perform(context.obj, "rollover-end", campus=campus)


@app.command()
def preview(context: typer.Context) -> None:
    """Show which rollovers go on, and what will happen when they end."""
    from syncd.cli.reach import perform

    perform(context.obj, "rollover-preview")
