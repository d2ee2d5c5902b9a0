"""Verbs that look and change nothing: runs, show, explain, rejects, quarantine, ledger."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def runs(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many, newest first.")] = 20,
) -> None:
    """List the last runs: what each was, how it ended, and what it did."""
    from syncd.cli.reach import perform

    perform(context.obj, "runs", most=most)


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run as `syncd runs` names it, or `last`.")] = "last",
) -> None:
    """Show one run: what it planned, and what came of every change it sent."""
    from syncd.cli.reach import perform

    perform(context.obj, "show", run=run)


def explain(
    context: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Our id, a source's key, a user name or address, or a target's own id.")
    ],
) -> None:
    """Say why an account is as it is: rows, rules with file and line, values, names, groups, and what changed when."""
    from syncd.cli.reach import perform

    perform(context.obj, "explain", key=key)


def rejects(context: typer.Context, *, json: Json = False) -> None:
    """List the rows that could not be used, each with its reason. Whoever such a row is about is left as they are."""
    from syncd.cli.reach import perform

    perform(context.obj, "rejects", json=json)


def quarantine(
    context: typer.Context,
    *,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only what this target refused.")] = None,
    json: Json = False,
) -> None:
    """List the changes that a target refused: in its own words, how often, since when, and when each is tried again."""
    from syncd.cli.reach import perform

    perform(context.obj, "quarantine", target=target, json=json)


def ledger(
    context: typer.Context,
    *,
    like: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only names that contain this.")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Only names of this person.")] = None,
    json: Json = False,
) -> None:
    """List every user name and address ever issued or found, and whose it is. None of them is ever given to anybody else."""
    from syncd.cli.reach import perform

    perform(context.obj, "ledger", like=like, person=person, json=json)
