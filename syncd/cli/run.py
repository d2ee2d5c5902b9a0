"""Verbs that run a pipeline: plan, apply, sync, resume."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Exit
from syncd.errors import ConfigError

if TYPE_CHECKING:
    from syncd.core.rendering import Masked
    from syncd.engine.planned import Applied

PipelineOption = Annotated[
    str | None, typer.Option("--pipeline", metavar="NAME", help="Which pipeline. Default: the only one.", show_default=False)
]
ReconcileOption = Annotated[
    bool, typer.Option("--reconcile", help="Read the targets and look at everybody, instead of trusting what is remembered.")
]
FirstOption = Annotated[
    bool,
    typer.Option(
        "--first", help="Yes, this is the first apply to a target that syncd never wrote to before, or not since a restore."
    ),
]
MostOption = Annotated[int, typer.Option("--most", min=0, help="Show this many changes of each kind; 0 shows all.")]


def plan(  # noqa: PLR0913 — one parameter per option
    context: typer.Context,
    *,
    pipeline: PipelineOption = None,
    reconcile: ReconcileOption = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Look at everybody, but trust what is remembered of the targets.")
    ] = False,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Show only this person's changes.")] = None,
    campus: Annotated[
        list[str] | None, typer.Option("--campus", metavar="CODE", help="Show only this campus. Repeatable.", show_default=False)
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Show only this kind: create, update, move, disable, member … Repeatable.",
            show_default=False,
        ),
    ] = None,
    most: MostOption = 10,
    json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON, all of it unless filtered.")] = False,
    detailed_exitcode: Annotated[bool, typer.Option("--detailed-exitcode", help="Exit 2 where there are changes.")] = False,
    spool: Annotated[
        str | None,
        typer.Option("--spool", metavar="RUN", help="Plan from the rosters that run read, instead of reading now. Stores no plan."),
    ] = None,
    mappings: Annotated[
        Path | None,
        typer.Option(
            "--mappings", metavar="DIR", help="Try the mappings of this folder. Stores no plan.", exists=True, file_okay=False
        ),
    ] = None,
) -> None:
    """Show what would change and why, like a diff, and store it as a plan. Writes nothing to any target."""
    from syncd.assembly import opened, with_mappings
    from syncd.cli.actor import actor
    from syncd.cli.asking import masker_of_plan, one_person, run_id
    from syncd.cli.console import say, say_json, say_lines, working
    from syncd.cli.plans import as_json, lines, spools_of
    from syncd.core.rendering import Filter, kinds_named
    from syncd.engine import DELTA, EVERYTHING, RECONCILE
    from syncd.settings import load

    try:
        kinds = kinds_named(kind or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--kind") from error
    config = load(context.obj)
    name = chosen_pipeline(pipeline, config.pipelines)
    if mappings:
        try:
            config = with_mappings(config, mappings)
        except ConfigError as error:
            error.add_note(f"{mappings} under the settings of {context.obj}")
            raise
    how = RECONCILE if reconcile else EVERYTHING if everything or spool or mappings else DELTA
    with opened(config) as district:
        try:
            kept = spool if spool in (None, "last") else run_id(spool)
            read = spools_of(district.store, kept, config.pipelines[name].sources) if kept else None
        except LookupError as error:
            say(str(error))
            raise Ended(Exit.NO_INPUT) from error
        with working("planning"):
            trigger = f"asked by {actor()}"
            planned = district.engine.plan(name, how, spools=read, trigger=trigger, stored=not (spool or mappings))
        chosen = one_person(district.store, person) if person else None
        masked = masker_of_plan(district.store, planned)
    wanted = Filter(chosen, frozenset(campus or ()), kinds)
    if json:
        say_json(as_json(planned, wanted, masked))
    else:
        say_lines(lines(planned, wanted, masked, most))
    if detailed_exitcode and not planned.verdict.clear:
        raise Ended(Exit.HELD)
    if detailed_exitcode and planned.changes:
        raise Ended(Exit.PENDING)
    if planned.stopped or planned.unread:
        raise Ended(Exit.UNAVAILABLE)


def apply(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="PLAN", help="The plan, by its run as `syncd plan` named it: r12.")],
    *,
    first: FirstOption = False,
    reject: Annotated[
        bool, typer.Option("--reject", help="Do not apply it: drop the plan, and the names it reserved that were never sent.")
    ] = False,
) -> None:
    """Apply a stored plan: what replans identically is applied, the rest is shown and stays held."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.asking import masker, run_id
    from syncd.cli.console import progress, say, say_lines
    from syncd.cli.ending import ending_well
    from syncd.cli.plans import held_lines, people_of
    from syncd.cli.reach import is_ours, perform
    from syncd.settings import load

    if not reject and not is_ours(context.obj):
        perform(context.obj, "apply", run=run, first=first)
        return
    with opened(load(context.obj)) as district:
        plan = run_id(run)
        if not reject:
            district.engine.approving.may_apply(plan, actor())
        if district.store.plan(plan) is None:
            say(f"there is no stored plan {run}; `syncd runs` lists the runs, `syncd plan` makes a plan")
            raise Ended(Exit.NO_INPUT)
        if reject:
            names = district.engine.reject(plan)
            say(f"plan {plan} is rejected; {names:,} names it had reserved are free again")
            return
        kept = district.engine.stored_plan(plan)
        fresh = [target for target, one in kept.plans.items() if one.changes and district.engine.is_first(kept.pipeline, target)]
        with ending_well(district.engine), progress("applying", sum(len(one.changes) for one in kept.plans.values())) as told:
            applied = district.engine.apply_stored(plan, first=first, told=told)
        if applied is None:
            say_lines(held_lines(kept.verdict, () if first else fresh, plan))
            raise Ended(Exit.HELD)
        masked = masker(district.store, people_of(applied))
    _end(applied, masked)


def sync(
    context: typer.Context,
    *,
    pipeline: PipelineOption = None,
    reconcile: ReconcileOption = False,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Only this person, at once.")] = None,
) -> None:
    """Plan and apply in one, as a timer does. Holds, and says why, where a plan breaks a limit or a target is new."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.answering_devices import answer
    from syncd.cli.asking import masker, nobody
    from syncd.cli.console import progress, say_lines
    from syncd.cli.ending import ending_well
    from syncd.cli.plans import observing_lines, people_of, stopped_lines, verdict_lines
    from syncd.engine import DELTA, RECONCILE
    from syncd.settings import load

    config = load(context.obj)
    name = chosen_pipeline(pipeline, config.pipelines)
    with opened(config) as district:
        with ending_well(district.engine), progress("syncing", None) as told:
            how, trigger = RECONCILE if reconcile else DELTA, f"asked by {actor()}"
            planned, applied = district.engine.sync(name, how, person=person, trigger=trigger, told=told)
        if person and not planned.decided and not district.store.find_person(person):
            nobody(district.store, person)
        if applied is None:
            say_lines(stopped_lines(planned.stopped, planned.unread))
            say_lines(verdict_lines(planned))
            raise Ended(Exit.HELD)
        say_lines(observing_lines(planned))
        masked = masker(district.store, people_of(applied))
        reports = [] if person else district.devices.follow(name, trigger, changed=reconcile or applied.landed > 0)
        about_devices = answer(district.store, reports)
    say_lines(about_devices.lines)
    _end(applied, masked)
    if about_devices.code:
        raise Ended(Exit(about_devices.code))


def resume(context: typer.Context) -> None:
    """Complete a run that was killed: every change that was sent and not answered is looked up on its target."""
    from syncd.assembly import opened
    from syncd.cli.console import say
    from syncd.settings import load

    with opened(load(context.obj)) as district:
        found = district.engine.resume()
    say(f"looked {found:,} unanswered changes up; the next run plans what is left" if found else "no run was interrupted")


def _end(applied: Applied, masked: Masked) -> None:
    from syncd.cli.console import say_lines
    from syncd.cli.plans import applied_lines, code_of

    say_lines(applied_lines(applied, masked))
    if code := code_of(applied):
        raise Ended(code)


def chosen_pipeline(name: str | None, pipelines: Collection[str], hint: str = "--pipeline") -> str:
    """The pipeline of this name, or the only one. Raises BadParameter about `hint` where none or several fit."""
    if name is None and len(pipelines) == 1:
        return next(iter(pipelines))
    if name is None or name not in pipelines:
        said = f"no pipeline is called {name!r}" if name else "there is more than one"
        raise typer.BadParameter(f"{said}; there are: {', '.join(sorted(pipelines))}", param_hint=hint)
    return name
