"""The verbs of the days on which rosters are rebuilt: rollover start, end, preview."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from datetime import date
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
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.engine import rollover
    from syncd.settings import load

    try:
        last = date.fromisoformat(until)
    except ValueError as error:
        raise typer.BadParameter("write it like 2026-08-14", param_hint="--until") from error
    config = load(context.obj)
    with opened(config) as district:
        why = f"started by {actor()}" + (f": {because.strip()}" if because.strip() else "")
        one = rollover.start(district.store, district.engine.today, last, campus or (), why)
    say(f"rollover at {one.where()} until {one.until}: students missing from a roster stay as they are; staff and exits go on")


@app.command()
def end(context: typer.Context, *, campus: Campus = None) -> None:
    """End what was started, now. Whoever is missing then begins their grace with the next roster."""
    from syncd.assembly import opened
    from syncd.cli.console import say
    from syncd.engine import rollover
    from syncd.settings import load

    config = load(context.obj)
    with opened(config) as district:
        ended = rollover.end(district.store, district.engine.today, campus or ())
        planned = config.calendar.rollover(district.engine.today)
    for one in ended:
        say(f"the rollover at {one.where()} until {one.until} has ended")
    if not ended:
        say("nobody has started a rollover that goes on")
    if planned is not None:
        say(f"the one in config/calendar.yaml goes on until {planned.last}; edit that file to end it")


@app.command()
def preview(context: typer.Context) -> None:
    """Show which rollovers go on, and what will happen when they end."""
    from syncd.assembly import opened
    from syncd.cli.console import say, table
    from syncd.engine import rollover
    from syncd.settings import load

    config = load(context.obj)
    with opened(config) as district:
        told = rollover.preview(config, district.store, district.engine.today)
    for one in told.rolling:
        say(f"rollover at {one.where()} until {one.until}; {one.because}")
    if not told.rolling:
        say("no rollover goes on")
    if told.missing:
        table(
            ("campus", "missing students"), [(campus or "(none)", f"{count:,}") for campus, count in sorted(told.missing.items())]
        )
        if told.first_disable:
            say(
                f"if they are still missing when it ends, their grace begins with the next roster; from {told.first_disable} "
                "on accounts are disabled, as far as the limits let it go"
            )
    elif told.rolling:
        say("nobody is missing: nothing will happen when it ends")
