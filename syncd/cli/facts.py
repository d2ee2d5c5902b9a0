"""Verbs by which people decide what no source tells: override, freeze, lock, sponsor, rename, and what of it is in force."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

Key = Annotated[
    str, typer.Argument(metavar="KEY", help="Whose: our id, a source's key, a user name or address, or a target's own id.")
]
Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until", formats=["%Y-%m-%d"], metavar="DATE", help="The last day on which it holds: 2026-12-31.", show_default=False
    ),
]


def override(
    context: typer.Context,
    key: Key,
    attribute: Annotated[
        str, typer.Argument(metavar="ATTRIBUTE", help="A person field as mappings read it; with --target, an attribute there.")
    ],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="What it is instead; '' for nothing.", show_default=False)
    ] = None,
    *,
    because: Because,
    until: Until = None,
    target: Annotated[str, typer.Option("--target", metavar="NAME", help="An attribute of the account on this target alone.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End it now: what the sources and the mapping say comes back.")] = False,
) -> None:
    """Let a field of a person, or an attribute of their account, have another value until a day; then the old one comes back."""
    from syncd.cli.reach import perform

    told = {"attribute": attribute, "value": value, "until": _day(until), "target": target}
    perform(context.obj, "override", key=key, because=because, end=end, **told)


def freeze(context: typer.Context, key: Key, *, because: Because, until: Until = None) -> None:
    """Change nothing of a person until a day, whatever the roster says; their access stays as it is."""
    from syncd.cli.reach import perform

    perform(context.obj, "freeze", key=key, because=because, until=_day(until))


def unfreeze(context: typer.Context, key: Key, *, because: Because) -> None:
    """Let runs change a frozen person again."""
    from syncd.cli.reach import perform

    perform(context.obj, "unfreeze", key=key, because=because)


def lock(context: typer.Context, key: Key, *, because: Because) -> None:
    """Shut a person out everywhere, now: every account disabled, its password replaced, until unlock. Exit 4: one is still open."""
    from syncd.cli.reach import perform

    perform(context.obj, "lock", key=key, because=because)


def unlock(context: typer.Context, key: Key, *, because: Because) -> None:
    """Give a locked person back what the roster says: the next run enables the accounts that the lock closed."""
    from syncd.cli.reach import perform

    perform(context.obj, "unlock", key=key, because=because)


def release_claim(context: typer.Context, key: Key, *, because: Because) -> None:
    """Let somebody try again to claim their account who had too many wrong tries; make sure first who they are."""
    from syncd.cli.reach import perform

    perform(context.obj, "release-claim", key=key, because=because)


def reopen_claims(context: typer.Context, *, because: Because) -> None:
    """Let everybody claim again after too many wrong tries of a network, or of the district in one day."""
    from syncd.cli.reach import perform

    perform(context.obj, "reopen-claims", because=because)


def sponsor(  # noqa: PLR0913 — a verb's options are its arguments
    context: typer.Context,
    given: Annotated[str | None, typer.Argument(metavar="GIVEN", help="Legal given name.", show_default=False)] = None,
    family: Annotated[str | None, typer.Argument(metavar="FAMILY", help="Legal family name.", show_default=False)] = None,
    *,
    because: Because,
    until: Until = None,
    population: Annotated[
        str, typer.Option("--population", metavar="NAME", help="Who the rules take them for, as in people.yaml.")
    ] = "",
    campus: Annotated[str, typer.Option("--campus", metavar="CODE", help="Where they are.")] = "",
    by: Annotated[str, typer.Option("--by", metavar="KEY", help="Who answers for them: somebody the district knows.")] = "",
    birth_date: Annotated[
        datetime | None,
        typer.Option(
            "--birth-date", formats=["%Y-%m-%d"], metavar="DATE", help="Recognises them when they are hired.", show_default=False
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option("--field", metavar="NAME=VALUE", help="Another field that mappings read. Repeatable.", show_default=False),
    ] = None,
    extend: Annotated[
        str, typer.Option("--extend", metavar="KEY", help="Instead: let this sponsored person stay to --until.")
    ] = "",
    end: Annotated[str, typer.Option("--end", metavar="KEY", help="Instead: end this person's sponsorship now.")] = "",
) -> None:
    """Give somebody of no roster an account for some time: a substitute, a student teacher. Somebody here answers for them."""
    from syncd.cli.reach import perform

    told = {"given": given, "family": family, "population": population, "campus": campus, "by": by, "extend": extend, "end": end}
    days = {"until": _day(until), "birth_date": _day(birth_date)}
    perform(context.obj, "sponsor", because=because, field=field, **told, **days)


def rename(
    context: typer.Context,
    key: Key,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name, spelled as the accounts here are.")],
    *,
    because: Because,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Never tell the old names again: an adoption, somebody to be protected.")
    ] = False,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Which kind of name, as people.yaml calls it.")] = "username",
) -> None:
    """Give one person another user name, and with it the addresses made of it. The old name stays theirs for ever."""
    from syncd.cli.reach import perform

    perform(context.obj, "rename", key=key, name=name, because=because, sealed=sealed, kind=kind)


def facts(
    context: typer.Context,
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="Only this person's, and also what is over.", show_default=False)
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """List what was decided here and is in force: for whom, what, by whom, until when, and why."""
    from syncd.cli.reach import perform

    perform(context.obj, "facts", key=key, json=json)


def _day(day: datetime | None) -> str | None:
    return f"{day:%Y-%m-%d}" if day is not None else None
