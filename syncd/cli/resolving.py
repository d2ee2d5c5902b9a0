"""Verbs by which a human says what could not be decided: disputes, resolve, unresolve; and retry, of what was refused."""

# ruff: noqa: PLC0415 — `syncd --help` must not wait for what only one verb needs: heavy imports stay inside it

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncd.cli.exits import Ended, Exit

if TYPE_CHECKING:
    from syncd.core.model import PersonId
    from syncd.engine.deciding import Question
    from syncd.store import Store

Because = Annotated[str, typer.Option("--because", metavar="TEXT", help="Why this is right; kept with who said so.")]


def retry(
    context: typer.Context,
    *,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Whose refused changes, by any key of theirs.")] = None,
    target: Annotated[str | None, typer.Option("--target", metavar="NAME", help="All that this target refused.")] = None,
) -> None:
    """Have the next run try refused changes again at once: those of a person, of a target, or of a person there."""
    from syncd.assembly import opened_store
    from syncd.cli.asking import one_person
    from syncd.cli.console import say
    from syncd.core.model import TargetName
    from syncd.settings import load

    if key is None and target is None:
        raise typer.BadParameter("name a person, or a target with --target")
    config = load(context.obj)
    if target is not None and target not in config.targets:
        raise typer.BadParameter(f"there is no target {target}: {', '.join(config.targets)}", param_hint="--target")
    with opened_store(config) as store:
        persons = [one_person(store, key)] if key is not None else None
        count = store.quarantine.retry(persons, [TargetName(target)] if target is not None else None)
    say(f"the next run tries {count:,} changes again" if count else "nothing of that is in quarantine")


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
    from syncd.assembly import opened
    from syncd.cli import dispute_file
    from syncd.cli.asking import masker
    from syncd.cli.console import say, say_json, table
    from syncd.settings import load

    with opened(load(context.obj)) as district:
        found = district.engine.deciding.questions()
        if file is not None:
            count = dispute_file.write(found, _called(district.store, found), file)
            say(f"wrote {count:,} disputes to {file}: fill in decisions (merge, ignore, link), then: syncd resolve --from {file}")
            return
        masked = masker(district.store, [one.person for one in found if one.person])
    rows = [
        {
            "subject": one.subject,
            "person": one.person or "",
            "target": one.target or "",
            "why": "(confidential)" if masked(one.person) else one.why,
            "candidates": ", ".join(one.candidates),
        }
        for one in found
    ]
    if json:
        say_json(rows)
    elif rows:
        table(tuple(rows[0]), [tuple(row.values()) for row in rows])
        say("decide with: syncd resolve SUBJECT --merge PERSON | --link TARGET:ID | --ignore, and --because '…'")
    else:
        say("nothing is disputed")


def _called(store: Store, questions: Sequence[Question]) -> Callable[[PersonId], str]:
    """What the persons of these questions are called; confidential ones are masked (R37)."""
    from syncd.cli.asking import masker
    from syncd.core.model import PersonId
    from syncd.core.rendering import MASK

    named = {one.person for one in questions if one.person is not None}
    named |= {PersonId(one) for question in questions for one in question.candidates if one[:1] == "p" and one[1:].isdecimal()}
    masked, records = masker(store, named), store.records(named)
    known = {
        person: " ".join(str(mine[0].fields[part]) for part in ("given", "family", "suffix") if mine[0].fields.get(part))
        for person, mine in records.items()
        if mine
    }
    return lambda person: MASK if masked(person) else known.get(person, "")


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
    chosen = [given for given in (merge is not None, link is not None, ignore) if given]
    if file is not None:
        if subject is not None or chosen:
            raise typer.BadParameter("a file says itself what is decided: name it alone", param_hint="--from")
        _resolve_all(context, file, because)
        return
    if subject is None:
        raise typer.BadParameter("name what is decided, or a file with --from")
    if len(chosen) != 1:
        raise typer.BadParameter("say one of --merge, --link and --ignore")
    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    _resolve_one(context, subject, merge or link or "", because, is_merge=merge is not None, is_link=link is not None)


def _resolve_one(context: typer.Context, text: str, candidate: str, because: str, *, is_merge: bool, is_link: bool) -> None:
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.core.resolution import Verb
    from syncd.engine.deciding import Answer, subjects
    from syncd.settings import load

    verb = Verb.MERGE if is_merge else Verb.LINK if is_link else Verb.IGNORE
    with opened(load(context.obj)) as district:
        deciding, store = district.engine.deciding, district.store
        persons = store.find_person(text)
        found = list(subjects(deciding.questions(), text, persons)) or (list[str](persons) if verb is Verb.MERGE else [])
        if len(found) > 1:
            say(f"{text!r} fits {', '.join(found)}; name one of them")
            raise Ended(Exit.NO_PERSON)
        if verb is Verb.MERGE:
            candidate = _merged(store, candidate)
        checked = deciding.check([Answer(found[0] if found else text, verb, candidate, because)], actor())
        for problem in checked.problems:
            say(problem.why, style="red")
        if checked.problems:
            raise Ended(Exit.NO_INPUT)
        deciding.remember(checked.answers)
    if checked.known:
        say("that was decided already")
    for one in (one for answer in checked.answers for one in answer):
        say(f"{one.actor}: {one.subject} {one.verb} {one.candidate}. The next run does what follows; syncd unresolve takes it back")


def _merged(store: Store, text: str) -> str:
    """The person a text names, where it names exactly one; else the text, which may be a record."""
    persons = store.find_person(text)
    return persons[0] if len(persons) == 1 else text


def _resolve_all(context: typer.Context, file: Path, because: str) -> None:
    from syncd.assembly import opened
    from syncd.cli import dispute_file
    from syncd.cli.actor import actor
    from syncd.cli.console import progress, say
    from syncd.settings import load

    filled = dispute_file.read(file, because)
    with opened(load(context.obj)) as district:
        deciding = district.engine.deciding
        checked = deciding.check([answer for _, answer in filled.answers], actor())
        lines = [line for line, _ in filled.answers]
        problems = sorted([*filled.problems, *((lines[one.place], one.why) for one in checked.problems)])
        for line, why in problems:
            say(f"{file}:{line}: {why}", style="red")
        if problems:
            say(f"{len(problems):,} rows cannot be taken; nothing was decided. Mend them and read the file again")
            raise Ended(Exit.NO_INPUT)
        with progress("deciding", len(checked.answers)) as told:
            done = 0

            def safe(count: int) -> None:
                nonlocal done
                for number in range(done, count):
                    told(number)
                done = count

            new = deciding.remember(checked.answers, safe)
    known = f", {checked.known:,} were decided before" if checked.known else ""
    left = f", {filled.undecided:,} rows are undecided" if filled.undecided else ""
    say(f"decided {new:,}{known}{left}. The next run does what follows")


def unresolve(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="What was decided about: a record or a person.")],
    *,
    because: Because,
) -> None:
    """Take a decision back, before a run has made something of it that cannot be taken apart: it is asked again."""
    from syncd.assembly import opened
    from syncd.cli.actor import actor
    from syncd.cli.console import say
    from syncd.settings import load

    if not because.strip():
        raise typer.BadParameter("say why", param_hint="--because")
    with opened(load(context.obj)) as district:
        who = actor()
        held = district.engine.deciding.withdraw(subject, who, because.strip())
    for one in held:
        say(f"{who} takes back: {one.subject} {one.verb} {one.candidate}")
