"""Verbs of the unattended life: daemon, status."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Nagios
from syncd.errors import ConfigError, SyncdError

if TYPE_CHECKING:
    from syncd.engine.health import Health


def daemon(context: typer.Context) -> None:
    """Run the pipelines on their schedules until told to end, and answer monitors. What systemd starts."""
    import logging

    from syncd import telemetry
    from syncd.daemon import Daemon

    if not logging.getLogger().handlers:
        telemetry.configure()  # a daemon that says nothing cannot be looked after; `--log` says otherwise
    Daemon(context.obj).run()


def status(
    context: typer.Context,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print all there is to know, as `/health` tells it.")] = False,
) -> None:
    """Say how it is, for a person or for Nagios: exit 0 well, 1 warning, 2 critical, 3 unknown."""
    from syncd.cli.console import say, say_json
    from syncd.core.health import Level
    from syncd.engine.health import as_json, in_words

    try:
        health = _health(context)
    except (SyncdError, OSError) as error:
        why = str(error)
        if isinstance(error, ConfigError):
            why = f"{len(error.problems)} problems in the files, the first: {error.problems[0]}"
        say(f"SYNCD UNKNOWN - {why}")
        raise Ended(Nagios.UNKNOWN) from error
    if json:
        say_json(as_json(health))
    else:
        facts = health.facts
        held = sum(len(one.held) for one in facts.pipelines.values())
        counts = {"accounts": sum(health.accounts.values()), "held": held, "quarantined": facts.quarantined}
        perfdata = " ".join(f"{name}={count}" for name, count in counts.items())
        say(f"SYNCD {health.level.name} - {in_words(health)} | {perfdata}")
        for reason in health.reasons:
            say(f"{reason.level.name}: {reason}", style="red" if reason.level is Level.CRITICAL else "yellow")
    if health.level:
        raise Ended(Nagios(health.level))


def _health(context: typer.Context) -> Health:
    from importlib.metadata import version

    from syncd.assembly import opened_store, utc_now
    from syncd.daemon.timing import next_runs
    from syncd.engine.health import health
    from syncd.engine.lock import DAEMON, is_held
    from syncd.settings import load

    config, now = load(context.obj), utc_now()
    with opened_store(config) as store:
        alive = is_held(config.state, store, now, DAEMON)
        return health(config, store, now, version("syncd"), next_runs(config, now), alive=alive)
