"""Verbs by which a human says what could not be decided: disputes, resolve, unresolve; and retry, of what was refused."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]


def retry(
    context: typer.Context,
    *,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Whose refused changes, by any key of theirs.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="All that this target refused.")] = None,
) -> None:
    """Have the next run try refused changes again at once: those of a person, of a target, or of a person there."""
    from syncd.cli.reach import perform

    perform(context.obj, "retry", key=key, target=target)


def disputes(
    context: typer.Context,
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            help="Write them to a new file, readable by you only, to be filled in and read by `syncd resolve --from`.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False,
) -> None:
    """List persons and accounts that a human must decide about: nothing is created or changed for them until then."""
    from syncd.cli import dispute_file
    from syncd.cli.console import say
    from syncd.cli.reach import end, reach
    from syncd.control import Question

    answer = reach(context.obj, Question("disputes", {"json": json, "file": file is not None}))
    if file is None or answer.code:
        end(answer)
        return
    rows = cast("list[list[str]]", answer.value)  # as `dispute_file.rows` made them, whichever process that was
    count = dispute_file.write(rows, file)
    say(f"wrote {count:,} disputes to {file}: fill in decisions (merge, ignore, link), then: syncd resolve --from {file}")


def resolve(
    context: typer.Context,
    *,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[SUBJECT]", help="What it is about, as `syncd disputes` names it: a record or a person."),
    ] = None,
    merge: Annotated[
        str | None,
        typer.Option("--merge", metavar="PERSON", help="The record is this person's: account and names stay theirs."),
    ] = None,
    link: Annotated[
        str | None, typer.Option("--link", metavar="TARGET:ID", help="The account with this native id is this person's.")
    ] = None,
    ignore: Annotated[bool, typer.Option("--ignore", help="It is none of the candidates: never asked again of these.")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="Read the answers from a file of `syncd disputes --csv`.", show_default=False),
    ] = None,
    because: Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")] = "",
) -> None:
    """Say who is who, for ever: one question, or a whole file of them. The next run does what follows from it."""
    from syncd.cli.reach import perform

    if file is None:
        perform(context.obj, "resolve", subject=subject, merge=merge, link=link, ignore=ignore, because=because)
        return
    if subject is not None or merge is not None or link is not None or ignore:
        raise typer.BadParameter("a file says itself what is decided: name it alone", param_hint="--from")
    _resolve_all(context, file, because)


def _resolve_all(context: typer.Context, file: Path, because: str) -> None:
    from syncd.cli import dispute_file
    from syncd.cli.console import say
    from syncd.cli.exits import Ended, Exit
    from syncd.cli.reach import end, reach
    from syncd.control import Question

    filled = dispute_file.read(file, because)
    told: dict[str, Any] = {"decided": 0, "known": 0}
    if filled.answers:
        answer = reach(context.obj, Question("resolve", {"rows": [dispute_file.told(one) for _, one in filled.answers]}))
        if not isinstance(answer.value, dict):
            end(answer)
            return
        told = answer.value
    lines = [line for line, _ in filled.answers]
    problems = sorted([*filled.problems, *((lines[place], why) for place, why in told.get("problems", ()))])
    for line, why in problems:
        say(f"{file}:{line}: {why}", style="red")
    if problems:
        say(f"{len(problems):,} rows cannot be taken; nothing was decided. Mend them and read the file again")
        raise Ended(Exit.NO_INPUT)
    known = f", {told['known']:,} were decided before" if told["known"] else ""
    left = f", {filled.undecided:,} rows are undecided" if filled.undecided else ""
    say(f"decided {told['decided']:,}{known}{left}. The next run does what follows")


def unresolve(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="What was decided about: a record or a person.")],
    *,
    because: Because,
) -> None:
    """Take a decision back, before a run has made something of it that cannot be taken apart: it is asked again."""
    from syncd.cli.reach import perform

    perform(context.obj, "unresolve", subject=subject, because=because)
