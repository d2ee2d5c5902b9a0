"""Verbs of the unattended life: daemon, reload, run-now, status."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Nagios
from syncd.errors import ConfigError, SyncdError

if TYPE_CHECKING:
    from syncd.engine.health import Health
    from syncd.settings import Config


def daemon(context: typer.Context) -> None:
    """Run the pipelines on their schedules until told to end, and answer monitors and operators. What systemd starts."""
    import logging

    from syncd import telemetry
    from syncd.cli.verbs import VERBS, answered
    from syncd.daemon import Daemon
    from syncd.daemon.desk import Service

    if not logging.getLogger().handlers:
        telemetry.configure()  # a daemon that says nothing cannot be looked after; `--log` says otherwise
    Daemon(context.obj, service=Service(VERBS, answered)).run()


def reload(context: typer.Context) -> None:
    """Have the daemon read the files anew. Who calls it is the author of the configuration from then on."""
    from syncd.cli.reach import perform

    perform(context.obj, "reload")


def run_now(
    context: typer.Context,
    pipeline: Annotated[
        str | None, typer.Argument(metavar="PIPELINE", help="Which pipeline. Default: every one.", show_default=False)
    ] = None,
    *,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Read the targets and look at everybody, instead of trusting what is remembered.")
    ] = False,
) -> None:
    """Have the daemon run now, whatever its schedule and quiet hours say; it answers at once, `syncd status` tells the rest."""
    from syncd.cli.reach import perform

    perform(context.obj, "run-now", pipeline=pipeline, reconcile=reconcile)


def status(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all there is to know, as `/health` tells it.")] = False,
) -> None:
    """Say how it is, for a person or for Nagios: exit 0 well, 1 warning, 2 critical, 3 unknown."""
    from syncd.cli.answering import how
    from syncd.cli.console import say
    from syncd.cli.reach import served, show, witnessed
    from syncd.control import Question
    from syncd.settings import load

    question = Question("status", {"json": json})
    try:
        config = load(context.obj)
        health = _health(config)
        answer = how(health, json=json)
        # A daemon knows what it could not even note, such as that there is no room for it: the worse of the two counts.
        told = witnessed(context.obj, config, question) if health.facts.alive else None
        if told is not None and answer.code < told.code <= Nagios.CRITICAL:
            answer = told
    except (SyncdError, OSError) as error:
        told = served(context.obj, question)  # who may not open the store may ask the daemon
        if told is None:
            why = str(error)
            if isinstance(error, ConfigError):
                why = f"{len(error.problems)} problems in the files, the first: {error.problems[0]}"
            say(f"SYNCD UNKNOWN - {why}")
            raise Ended(Nagios.UNKNOWN) from error
        answer = told
    show(answer)
    if answer.code:
        raise Ended(Nagios(answer.code) if answer.code <= Nagios.UNKNOWN else Nagios.UNKNOWN)


def _health(config: Config) -> Health:
    from importlib.metadata import version

    from syncd.assembly import opened_store, utc_now
    from syncd.daemon.timing import next_runs
    from syncd.engine.health import health
    from syncd.engine.lock import DAEMON, is_held

    now = utc_now()
    with opened_store(config) as store:
        alive = is_held(config.state, store, now, DAEMON)
        return health(config, store, now, version("syncd"), next_runs(config, now), alive=alive)
