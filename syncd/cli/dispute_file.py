"""Disputes as a file that people fill in: one row for each question, with its candidates, and columns for the answer."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from syncd.cli.cells import neutral, plain
from syncd.core.model import PersonId
from syncd.core.rendering import MASK
from syncd.core.resolution import Verb
from syncd.engine.deciding import Answer, Question
from syncd.errors import EndpointError

ASKED = ("subject", "target", "name", "why", "candidates")
ANSWERED = ("decision", "candidate", "because")
CONFIDENTIAL = "(confidential)"
_LONGEST = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Filled:
    """What a file says: answers with the lines they stand in, and what could not be read."""

    answers: tuple[tuple[int, Answer], ...]
    problems: tuple[tuple[int, str], ...]
    undecided: int = 0


def rows(questions: Iterable[Question], called: Callable[[PersonId], str]) -> Iterator[list[str]]:
    """The rows to be filled in, without their answers."""
    for one in questions:
        name = one.called or (called(one.person) if one.person is not None else "")
        hidden = name == MASK and one.target is not None  # what accounts are called tells what their owner is called (R37)
        told = "; ".join(_told(candidate, "" if hidden else why, called) for candidate, why in one.candidates.items())
        yield [one.subject, one.target or "", name, CONFIDENTIAL if hidden else one.why, told]


def write(asked: Iterable[Sequence[str]], path: Path) -> int:
    """Write a new file of these rows, readable by its owner only; how many. Raises FileExistsError where it is there already."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    count = 0
    with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:  # the mark tells spreadsheets that it is UTF-8
        writer = csv.writer(file)
        writer.writerow((*ASKED, *ANSWERED))
        for count, row in enumerate(asked, 1):  # noqa: B007 — the last number is the answer
            writer.writerow([*map(neutral, row), *("" for _ in ANSWERED)])
        file.flush()
        os.fsync(file.fileno())
    return count


def _told(candidate: str, why: str, called: Callable[[PersonId], str]) -> str:
    name = called(PersonId(candidate)) if candidate[:1] == "p" and candidate[1:].isdecimal() else ""
    return candidate + (f" ({', '.join(filter(None, (name, why)))})" if name or why else "")


def read(path: Path, because: str = "") -> Filled:
    """The answers of a file; a row without a decision is none. `because` stands in where a row does not say why.

    Raises EndpointError where the file cannot be read at all.
    """
    rows = csv.DictReader(io.StringIO(_text(path)), delimiter=_delimiter(path))
    missing = [name for name in ("subject", *ANSWERED) if name not in (rows.fieldnames or ())]
    if missing:
        why = f"the columns {', '.join(missing)} are missing; begin with the file that `syncd disputes --csv` wrote"
        return Filled((), ((1, why),))
    answers: list[tuple[int, Answer]] = []
    problems: list[tuple[int, str]] = []
    undecided = 0
    for row in rows:
        cells = {name: plain((row.get(name) or "").strip()) for name in ("subject", *ANSWERED)}
        if not cells["decision"]:
            undecided += 1
            continue
        try:
            verb = Verb(cells["decision"].lower())
        except ValueError:
            problems.append((rows.line_num, f"the decision {cells['decision']!r} is none of {', '.join(Verb)}"))
            continue
        if not cells["subject"]:
            problems.append((rows.line_num, "the row does not say what it is about: its subject is empty"))
            continue
        answers.append((rows.line_num, Answer(cells["subject"], verb, cells["candidate"], cells["because"] or because)))
    return Filled(tuple(answers), tuple(problems), undecided)


def told(answer: Answer) -> str:
    """An answer as one text, as `syncd resolve` is told of many."""
    return json.dumps([answer.subject, answer.verb, answer.candidate, answer.because])


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LONGEST:
            raise EndpointError(f"file {path}", "is far larger than a list of disputes", "name the right file")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise EndpointError(f"file {path}", f"cannot be read: {error.strerror}", "name the file you have filled in") from error
    except UnicodeDecodeError as error:
        raise EndpointError(f"file {path}", "is not UTF-8", "save it as `CSV UTF-8`") from error


def _delimiter(path: Path) -> str:
    """A spreadsheet of many countries writes semicolons."""
    with path.open(encoding="utf-8-sig") as file:
        head = file.readline()
    return ";" if head.count(";") > head.count(",") else ","
