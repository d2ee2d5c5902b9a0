"""Verbs by which a directory that others kept is taken on: adopt, go-live."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Exit

if TYPE_CHECKING:
    from syncd.assembly import Running

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]


def adopt(
    context: typer.Context,
    pipeline: Annotated[
        str | None, typer.Argument(metavar="[PIPELINE]", help="Which pipeline. Default: the only one.", show_default=False)
    ] = None,
    *,
    report: Annotated[bool, typer.Option("--report", help="Only tell what is found; nothing is written or linked.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE", help="Write all of it to a new file, readable by you only.", show_default=False),
    ] = None,
    most: Annotated[int, typer.Option("--most", min=0, help="Show this many of each kind; 0 shows all.")] = 10,
    unused: Annotated[int, typer.Option("--unused", metavar="DAYS", min=1, help="Call an account stale after so many days.")] = 180,
    apply: Annotated[bool, typer.Option("--apply", help="Link what is found to its owners. No target is written.")] = False,
    because: Because = "",
) -> None:
    """Tell whose the accounts are that a directory holds already, by which key, and what is unclear; or link them."""
    from syncd.assembly import opened
    from syncd.cli.run import chosen_pipeline
    from syncd.settings import load

    if report == apply:
        raise typer.BadParameter("say either --report or --apply")
    if apply and not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    config = load(context.obj)
    name = chosen_pipeline(pipeline, config.pipelines, "PIPELINE")
    with opened(config) as district:
        if apply:
            _link(district, name, because.strip())
        else:
            _report(district, name, file, most, unused)


def _report(district: Running, pipeline: str, file: Path | None, most: int, unused: int) -> None:
    from datetime import timedelta

    from syncd.cli import adoption
    from syncd.cli.asking import masker_of_plan
    from syncd.cli.console import say, say_lines, working
    from syncd.cli.plans import stopped_lines

    with working("reading the roster and the targets"):
        planned, surveys = district.engine.adopting.survey(pipeline, timedelta(days=unused))
    masked = masker_of_plan(district.store, planned)
    if file is not None:
        count = adoption.write(surveys, planned, masked, file)
        say(f"wrote {count:,} rows to {file}, readable by you only; it holds names: destroy it afterwards")
    for survey in surveys:
        say_lines(adoption.lines(survey, planned, masked, most))
    say_lines(adoption.last_lines(planned, surveys))
    say_lines(stopped_lines(planned.stopped, planned.unread))
    if planned.stopped or planned.unread:
        raise Ended(Exit.UNAVAILABLE)


def _link(district: Running, pipeline: str, because: str) -> None:
    from syncd.cli import adoption
    from syncd.cli.actor import actor
    from syncd.cli.console import say_lines, working
    from syncd.cli.plans import stopped_lines, verdict_lines

    with working("reading the roster and the targets"):
        done = district.engine.adopting.adopt(pipeline, actor(), because)
    planned, applied = done[-1]
    say_lines(adoption.linked_lines([ready for ready, _ in done]))
    say_lines(stopped_lines(planned.stopped, planned.unread))
    if applied is None:
        say_lines(verdict_lines(planned))
        raise Ended(Exit.HELD)
    if planned.stopped or planned.unread:
        raise Ended(Exit.PARTLY)


def go_live(
    context: typer.Context,
    target: Annotated[str | None, typer.Argument(metavar="[TARGET]", help="Which target.", show_default=False)] = None,
    *,
    campus: Annotated[
        list[str] | None,
        typer.Option("--campus", metavar="CODE", help="Only this campus. Repeatable.", show_default=False),
    ] = None,
    operation: Annotated[
        list[str] | None,
        typer.Option(
            "--operation",
            metavar="OPERATION",
            help="Only this: create, enable, update, move, member, disable, park or delete. Repeatable.",
            show_default=False,
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="NAME", help="Only updates of this attribute. Repeatable.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of it.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take it back: from the next run on it is only observed.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List what is released of each target, by whom and why.")] = False,
    because: Because = "",
) -> None:
    """Let runs write to a target: all of it, or some campuses, operations or attributes, one after the other; or take it back."""
    from syncd.cli.reach import perform

    narrow = bool(campus or operation or attribute)
    if listing:
        if target or narrow or everything or withdraw:
            raise typer.BadParameter("`--list` stands alone", param_hint="--list")
        perform(context.obj, "live")
        return
    if target is None:
        raise typer.BadParameter("name a target, or say --list", param_hint="TARGET")
    if narrow and everything:
        raise typer.BadParameter("say either --all, or what of it", param_hint="--all")
    if not narrow and not everything and not withdraw:
        raise typer.BadParameter("say --all, or what of it: --campus, --operation or --attribute", param_hint="--all")
    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    told = {"campus": campus, "operation": operation, "attribute": attribute}
    perform(context.obj, "go-live", target=target, **told, withdraw=withdraw, because=because.strip())
