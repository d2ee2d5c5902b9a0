"""The verbs about devices of students: devices plan, apply, approve, collect, lost, found, explain."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="devices",
    no_args_is_help=True,
    help="Chromebooks of students: whose each is, where it belongs, what is lost, what is to be collected.",
)

Target = Annotated[str, typer.Option("--target", metavar="NAME", help="Which target. Default: the only one that has devices.")]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]
Serial = Annotated[str, typer.Argument(metavar="SERIAL", help="The device's serial number.")]


@app.command()
def plan(
    context: typer.Context,
    *,
    target: Target = "",
    most: Annotated[int, typer.Option("--most", min=0, help="Show this many changes of each kind; 0 shows all.")] = 10,
) -> None:
    """Show what would change about devices, what is left alone and why, and what waits. Writes nothing to the target."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-plan", target=target, most=most)


@app.command()
def apply(
    context: typer.Context,
    *,
    target: Target = "",
    first: Annotated[bool, typer.Option("--first", help="Yes, syncd never changed a device there before.")] = False,
) -> None:
    """Plan again and apply what waits for nobody; a run of the pipeline does so, too, behind its accounts."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-apply", target=target, first=first)


@app.command()
def approve(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="PLAN", help="The plan, by its run as `syncd devices plan` named it: r12.")],
    *,
    because: Because,
) -> None:
    """Let go what a plan holds, exactly as it has it. The next run does it."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-approve", run=run, because=because)


@app.command()
def lost(context: typer.Context, serial: Serial, *, because: Because, target: Target = "") -> None:
    """Disable a device now, since it is lost or stolen, and keep it so until it is found."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-lost", serial=serial, because=because, target=target)


@app.command()
def found(context: typer.Context, serial: Serial, *, because: Because, target: Target = "") -> None:
    """Enable a device again that was reported lost here. One that somebody else disabled stays so."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-found", serial=serial, because=because, target=target)


@app.command()
def explain(context: typer.Context, serial: Serial, *, target: Target = "") -> None:
    """Show why a device is as it is: whose, by which row and rule, what is to be done, and what was."""
    from syncd.cli.reach import perform

    perform(context.obj, "devices-explain", serial=serial, target=target)


@app.command()
def collect(
    context: typer.Context,
    *,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for a CSV of each campus.")] = Path(),
    campus: Annotated[
        list[str] | None, typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False)
    ] = None,
    target: Target = "",
) -> None:
    """Write which devices people who left still have: a CSV for each campus, readable by you alone."""
    from syncd.cli.collecting import write
    from syncd.cli.console import say
    from syncd.cli.reach import end, reach
    from syncd.control import Question, plain

    answer = reach(context.obj, Question("devices-collect", plain({"target": target, "campus": campus})))
    if answer.code or not isinstance(answer.value, list):
        end(answer)
        return
    written = write(out, answer.value)
    for path, count in written.items():
        say(f"{path}: {count:,} devices")
    if not written:
        say("nobody who left has a device")
