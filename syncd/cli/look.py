"""Verbs that look and change nothing: runs, show, explain, rejects, quarantine, ledger."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from typing import Annotated

import typer

from syncd.cli.exits import Ended, Exit

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def runs(
    context: typer.Context,
    most: Annotated[int, typer.Option("--most", min=1, help="How many, newest first.")] = 20,
) -> None:
    """List the last runs: what each was, how it ended, and what it did."""
    from syncd.assembly import opened_store
    from syncd.cli.console import counted, table
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        rows = [
            (
                row.id,
                row.pipeline,
                row.kind,
                row.trigger,
                row.status,
                f"{row.started:%Y-%m-%d %H:%M:%S}",
                f"{(row.ended - row.started).total_seconds():.1f} s" if row.ended else "",
                counted(row.summary),
            )
            for row in store.runs(most)
        ]
    table(("run", "pipeline", "kind", "trigger", "status", "started (UTC)", "took", "what"), rows)


def show(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run as `syncd runs` names it, or `last`.")] = "last",
) -> None:
    """Show one run: what it planned, and what came of every change it sent."""
    from syncd.assembly import opened_store
    from syncd.cli.asking import masker, run_id
    from syncd.cli.console import counted, say, table
    from syncd.core.rendering import where
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        newest = store.runs(1)
        row = (newest[0] if newest else None) if run == "last" else store.run(run_id(run))
        if row is None:
            say("there was no run yet" if run == "last" else f"there is no run {run}; `syncd runs` lists them")
            raise Ended(Exit.NO_INPUT)
        say(f"run {row.id}: {row.kind} run of {row.pipeline}, {row.status}")
        say(f"started {row.started:%Y-%m-%d %H:%M:%S} UTC by {row.trigger}")
        say(counted(row.summary))
        journal = store.journal(run=row.id)
        masked = masker(store, [entry.change.person for entry in journal if entry.change.person])
        table(
            ("seq", "target", "kind", "person", "where", "result", "why"),
            [
                (
                    str(entry.seq),
                    entry.change.target,
                    entry.change.kind,
                    entry.change.person or "",
                    "(confidential)" if masked(entry.change.person) else where(entry.change),
                    entry.result or "not known yet: syncd resume",
                    "" if masked(entry.change.person) else entry.why,
                )
                for entry in journal
            ],
        )


def explain(
    context: typer.Context,
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="Our id, a source's key, a user name or address, or a target's own id.")
    ],
) -> None:
    """Say why an account is as it is: rows, rules with file and line, values, names, groups, and what changed when."""
    from syncd.assembly import opened
    from syncd.cli.asking import nobody, without_person
    from syncd.cli.console import say_lines
    from syncd.cli.story import lines
    from syncd.settings import load

    with opened(load(context.obj)) as district:
        found = district.engine.explain(key)
        others = [] if found else list(without_person(district.store, key))
        if not found and not others:
            nobody(district.store, key)
    say_lines(others)
    for explanation in found:
        say_lines(lines(explanation))


def rejects(context: typer.Context, *, json: Json = False) -> None:
    """List the rows that could not be used, each with its reason. Whoever such a row is about is left as they are."""
    _findings(context, "reject", "no row was rejected by the last accepted reading", json=json)


def _findings(context: typer.Context, kind: str, none: str, *, json: bool) -> None:
    from syncd.assembly import opened_store
    from syncd.cli.asking import masker
    from syncd.cli.console import say, say_json, table
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        found = store.findings(kind)
        masked = masker(store, [finding.person for finding in found if finding.person])
    rows = [
        {
            "subject": finding.subject,
            "person": finding.person or "",
            "source": finding.source or "",
            "target": finding.target or "",
            "why": "(confidential)" if masked(finding.person) else finding.why,
        }
        for finding in found
    ]
    if json:
        say_json(rows)
    elif rows:
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say(none)


def quarantine(
    context: typer.Context,
    *,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="Only what this target refused.")] = None,
    json: Json = False,
) -> None:
    """List the changes that a target refused: in its own words, how often, since when, and when each is tried again."""
    from syncd.assembly import opened_store
    from syncd.cli.asking import masker
    from syncd.cli.console import say, say_json, table
    from syncd.core.model import TargetName
    from syncd.settings import load

    with opened_store(load(context.obj)) as store:
        found = store.quarantine.refused([TargetName(target)] if target else None)
        masked = masker(store, [one.person for one in found])
    rows = [
        {
            "target": one.target,
            "person": one.person,
            "kind": str(one.kind),
            "attribute": one.attribute or one.group,
            "words": "(confidential)" if masked(one.person) else one.words,
            "count": str(one.count),
            "first": f"{one.first:%Y-%m-%d %H:%M}",
            "next try": "next run" if one.next.year == 1 else f"{one.next:%Y-%m-%d %H:%M}",
        }
        for one in found
    ]
    if json:
        say_json(rows)
    elif rows:
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])
        say("times are UTC; syncd retry KEY, or syncd retry --target NAME, has the next run try at once")
    else:
        say("nothing is in quarantine")


def ledger(
    context: typer.Context,
    *,
    like: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only names that contain this.")] = None,
    person: Annotated[str | None, typer.Option("--person", metavar="KEY", help="Only names of this person.")] = None,
    json: Json = False,
) -> None:
    """List every user name and address ever issued or found, and whose it is. None of them is ever given to anybody else."""
    from syncd.assembly import opened_store
    from syncd.cli.asking import masker, one_person
    from syncd.cli.console import say_json, table
    from syncd.core.model import PersonId
    from syncd.settings import load
    from syncd.store.tombstones import FORGOTTEN

    with opened_store(load(context.obj)) as store:
        holder = one_person(store, person) if person else None
        rows = store.ledger(holder=holder, like=like)
        masked = masker(store, [PersonId(row.holder) for row in rows if ":" not in row.holder and row.holder != FORGOTTEN])
        told = [
            {
                "name": "•••" if masked(PersonId(row.holder)) else row.name,
                "holder": row.holder,
                "state": row.state,
                "since": f"{row.since:%Y-%m-%d}",
            }
            for row in rows
        ]
    if json:
        say_json(told)
    else:
        table(("name", "holder", "state", "since"), [tuple(row.values()) for row in told])
