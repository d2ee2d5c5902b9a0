"""Verbs by which people decide what no source tells: override, freeze, lock, sponsor, rename, and what of it is in force."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Exit

if TYPE_CHECKING:
    from syncd.assembly import Running
    from syncd.core.model import PersonId

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
_NEXT = "The next run does it; at once: syncd sync --person"


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
    from syncd.cli.console import say
    from syncd.core.facts import FactKind

    if end == (value is not None):
        raise typer.BadParameter("say either a value, or --end", param_hint="VALUE")
    with _deciding(context, key, because) as (district, person, who, why):
        if value is None:
            count = district.engine.facts.end(person, FactKind.OVERRIDE, who, why, attribute, target)
            _must_have_ended(count, f"an override of {attribute}{f' on {target}' if target else ''}")
            say(f"{who} ends the override of {attribute}. {_NEXT} {person}")
            return
        fact = district.engine.facts.override(person, attribute, value, target, _day(until), who, why)
    say(f"{who} overrides {fact.attribute} of {person} to the end of {fact.until}. {_NEXT} {person}")


def freeze(context: typer.Context, key: Key, *, because: Because, until: Until = None) -> None:
    """Change nothing of a person until a day, whatever the roster says; their access stays as it is."""
    from syncd.cli.console import say

    with _deciding(context, key, because) as (district, person, who, why):
        fact = district.engine.facts.freeze(person, _day(until), who, why)
    say(f"{who} freezes {person} to the end of {fact.until}; end it with: syncd unfreeze {person} --because '…'")


def unfreeze(context: typer.Context, key: Key, *, because: Because) -> None:
    """Let runs change a frozen person again."""
    from syncd.cli.console import say
    from syncd.core.facts import FactKind

    with _deciding(context, key, because) as (district, person, who, why):
        _must_have_ended(district.engine.facts.end(person, FactKind.FREEZE, who, why), "a freeze")
    say(f"{who} lets runs change {person} again. {_NEXT} {person}")


def lock(context: typer.Context, key: Key, *, because: Because) -> None:
    """Shut a person out everywhere, now: every account disabled, its password replaced, until unlock. Exit 4: one is still open."""
    from syncd.cli.console import say

    with _deciding(context, key, because) as (district, person, who, why):
        told = district.engine.facts.lock(person, who, why)
    say(f"{who} locks {person}; it stays so until: syncd unlock {person} --because '…'")
    for one in told:
        say(f"  {one.target}: {one.why}", style="green" if one.closed else "red")
    if not told:
        say("  no account of theirs is open, and no run makes one")
    if any(not one.closed for one in told):
        say("what is still open is owed: the daemon tries again every 20 seconds, every run does, and so does: syncd lock")
        raise Ended(Exit.PARTLY)


def unlock(context: typer.Context, key: Key, *, because: Because) -> None:
    """Give a locked person back what the roster says: the next run enables the accounts that the lock closed."""
    from syncd.cli.reach import perform

    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    perform(context.obj, "unlock", key=key, because=because.strip())


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
    from syncd.cli.asking import one_person
    from syncd.cli.console import say

    if bool(given and family) + bool(extend) + bool(end) != 1:
        raise typer.BadParameter("say the names of somebody new, or --extend KEY, or --end KEY", param_hint="GIVEN FAMILY")
    with _deciding(context, extend or end or by, because) as (district, person, who, why):
        if end:
            district.engine.facts.end_sponsorship(person, who, why)
            say(f"{who} ends the sponsorship of {person}: access ends today. {_NEXT} {person}")
        elif extend:
            fact = district.engine.facts.extend(person, _day(until), who, why)
            say(f"{who} extends the sponsorship of {person} to the end of {fact.until}")
        else:
            told = {"given": given or "", "family": family or "", "population": population, "campus": campus}
            told |= dict(_fields(field or ()))
            if birth_date is not None:
                told["birth_date"] = birth_date.date().isoformat()
            fact = district.engine.facts.sponsor(told, one_person(district.store, by), _day(until), who, why)
            say(f"{who} lets {fact.person} have an account to the end of {fact.until}. {_NEXT} {fact.person}")


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
    from syncd.cli.console import say

    with _deciding(context, key, because) as (district, person, who, why):
        old = district.engine.facts.rename(person, kind, name, who, why, sealed=sealed)
    if sealed:
        say(f"{who} renames {person} and seals the names they had: no report tells them. {_NEXT} {person}")
    else:
        say(f"{who} renames {person} from {old} to {name}. {_NEXT} {person}")


def facts(
    context: typer.Context,
    key: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="Only this person's, and also what is over.", show_default=False)
    ] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """List what was decided here and is in force: for whom, what, by whom, until when, and why."""
    from zoneinfo import ZoneInfo

    from syncd.assembly import opened_store, utc_now
    from syncd.cli.asking import masker, one_person
    from syncd.cli.console import say, say_json, table
    from syncd.core.facts import FactKind
    from syncd.settings import load

    config = load(context.obj)
    with opened_store(config) as store:
        person = one_person(store, key) if key else None
        today = utc_now().astimezone(ZoneInfo(config.district.timezone)).date()
        found = store.facts.listed([person] if person else None)
        shown = [one for one in found if person or (one.is_in_force(today) and one.kind is not FactKind.SEAL)]
        masked = masker(store, [one.person for one in shown])
    rows = []
    for one in shown:
        hidden = masked(one.person)
        what = " on ".join(part for part in (one.attribute, one.target) if part) if one.kind is not FactKind.SEAL else ""
        rows.append(
            {
                "person": str(one.person),
                "fact": str(one.kind),
                "of": what,
                "value": "(confidential)" if hidden and one.values else one.values.get("value", ""),
                "since": f"{one.since:%Y-%m-%d}",
                "until": str(one.until or ""),
                "by": one.actor,
                "because": "(confidential)" if hidden else one.because,
                "ended": f"{one.ended:%Y-%m-%d} by {one.ended_by}" if one.ended else "",
            }
        )
    if json:
        say_json(rows)
    elif rows:
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say("nothing was decided here that is in force")


@contextmanager
def _deciding(context: typer.Context, key: str, because: str) -> Iterator[tuple[Running, PersonId, str, str]]:
    """The open district, whom a decision is about, who decides it and why; what is asked wrongly is a wrong call."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.asking import one_person
    from syncd.settings import load

    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    if not key:
        raise typer.BadParameter("say who answers for them", param_hint="--by")
    try:
        with opened(load(context.obj)) as district:
            yield district, one_person(district.store, key), actor(), because.strip()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _day(until: datetime | None) -> date:
    if until is None:
        raise typer.BadParameter("say the last day on which it holds", param_hint="--until")
    return until.date()


def _fields(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise typer.BadParameter(f"{word!r} is not NAME=VALUE", param_hint="--field")
        yield name.strip(), value


def _must_have_ended(count: int, what: str) -> None:
    from syncd.cli.console import say

    if not count:
        say(f"there is {what} of nobody by that key that could end; `syncd facts KEY` lists what was decided")
        raise Ended(Exit.NO_INPUT)
