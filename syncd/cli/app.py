"""The Typer application: options every verb shares, and the verbs of the modules beside this one."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from syncd.cli import adopt, audit, decide, devices, facts, keep, life, look, portal, resolving, rollover, run, setup, watch
from syncd.errors import ConfigError


class _Verbs(TyperGroup):
    """The verbs, whose complaints about settings say which folder they are about."""

    def invoke(self, ctx: Any) -> Any:  # the context's type is Typer's own, and not exported
        """Run one verb."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            if ctx.obj is not None and not getattr(error, "__notes__", ()):
                error.add_note(str(ctx.obj))
            raise


app = typer.Typer(
    name="syncd",
    cls=_Verbs,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,  # main() maps what is raised; a bug keeps its whole traceback
    rich_markup_mode="rich",
    help="Keeps a school district's directory right: rosters in, accounts out, nothing lost and nothing guessed.",
)

_INSTALLED = Path("/etc/syncd")


class LogLevel(StrEnum):
    """From which level on a log line is written."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.callback()
def shared(
    context: typer.Context,
    *,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="DIR",
            help="The folder that holds config/ and mappings/. Default: this folder if it holds them, else /etc/syncd.",
            show_default=False,
        ),
    ] = None,
    log: Annotated[
        LogLevel | None,
        typer.Option(
            "--log",
            help="Log to standard error, from this level on: JSON lines without personal data, plain ones on a terminal.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=setup.print_version, is_eager=True)
    ] = False,
) -> None:
    """Remember which folder every verb is about, and log if asked."""
    del version  # its callback has printed it
    if log is not None:
        from syncd import telemetry  # noqa: PLC0415 — structlog is only for those who asked for a log

        telemetry.configure(level=logging.getLevelNamesMapping()[log.upper()])
    here = Path.cwd()
    context.obj = config or (here if (here / "config" / "syncd.yaml").is_file() else _INSTALLED)


for _verb in (
    setup.init,
    setup.check,
    setup.ad_delegation,
    setup.schema,
    run.plan,
    run.apply,
    run.sync,
    run.resume,
    adopt.adopt,
    adopt.go_live,
    decide.holds,
    decide.approve,
    decide.reject,
    decide.undo,
    decide.shelved,
    decide.release,
    facts.lock,
    facts.unlock,
    facts.freeze,
    facts.unfreeze,
    facts.override,
    facts.sponsor,
    facts.rename,
    facts.facts,
    facts.release_claim,
    facts.reopen_claims,
    watch.daemon,
    portal.portal,
    watch.reload,
    watch.run_now,
    watch.status,
    look.runs,
    look.show,
    look.explain,
    look.rejects,
    look.quarantine,
    resolving.retry,
    resolving.disputes,
    resolving.resolve,
    resolving.unresolve,
    look.ledger,
    life.history,
    life.disclose,
    life.forget,
    life.exposure,
    keep.letters,
    keep.backup,
    keep.restore,
    keep.rotate_key,
    setup.migrate,
    setup.demo,
):
    app.command(no_args_is_help=False)(_verb)
app.add_typer(devices.app)
app.add_typer(rollover.app)
app.add_typer(audit.audit)
