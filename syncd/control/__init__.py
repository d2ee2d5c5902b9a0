"""Operators' verbs over the daemon's Unix socket: how question and answer are written, and what a right is.

One question and one answer on each connection, each a line of JSON. The list of verbs is closed, and so is that of each verb's
arguments (`verbs`): an argument that one side does not know is refused, for leaving out a `--campus` would approve more than was
meant. Nothing here knows what a verb does, and nothing that is sent says who sends it: that is the kernel's word (`peers`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.core.rendering import Line

LONGEST_QUESTION = 64 * 1024
"""Bytes of a question, its newline included, of whoever may only look."""
LONGEST_LIST = 16 * 1024 * 1024
"""The same of everybody else: a file of tens of thousands of decisions is checked, and taken, as one."""
LONGEST_ANSWER = 64 * 1024 * 1024
_MOST_VALUES = 100_000

Value = str | int | bool | list[str]


class Role(StrEnum):
    """What somebody may do, by the Unix group they are in."""

    VIEW = "view"
    OPERATE = "operate"
    APPROVE = "approve"
    UNLOCK = "unlock"


class Malformed(ValueError):  # noqa: N818 — what the text is, not what went wrong here
    """The text is no question, or not one that can be answered; in words."""


@dataclass(frozen=True, slots=True)
class Question:
    """A verb and what it was told."""

    verb: str
    told: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has to say, and the exit code it ends with. `table` is a header and rows, and stands between `head` and `lines`.

    `value` is told as JSON instead. `runs` names a pipeline that has something to do now; it is for the daemon, and not sent.
    """

    code: int = 0
    lines: tuple[Line, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    value: object = None
    runs: str = ""
    head: tuple[Line, ...] = ()


def said(text: str, code: int = 0, style: str = "") -> Answer:
    """An answer of one line."""
    return Answer(code, (Line(text, style),))


def listed(rows: Sequence[Mapping[str, str]], nothing: str, last: str = "", besides: Iterable[str] = (), *, json: bool) -> Answer:
    """An answer of rows: as JSON, else as a table with a line below it, or a line that there is nothing, and `besides`."""
    if json:
        return Answer(value=[dict(row) for row in rows])
    if not rows:
        return Answer(lines=(Line(nothing), *map(Line, besides)))
    below = (*((Line(last),) if last else ()), *map(Line, besides))
    return Answer(lines=below, table=(tuple(rows[0]), *(tuple(row.values()) for row in rows)))


def question_of(line: bytes) -> Question:
    """The question that a line asks, whoever answers it. Raises Malformed in words that may be told to whoever sent it."""
    try:
        told = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Malformed("a question is one line of JSON") from None
    if not isinstance(told, dict) or told.keys() != {"verb", "told"} or not isinstance(told["told"], dict):
        raise Malformed('a question looks like {"verb": "holds", "told": {}}')
    verb = told["verb"]
    if not isinstance(verb, str):
        raise Malformed("there is no such verb here: it is no text")
    for name, value in told["told"].items():
        is_list = isinstance(value, list) and len(value) <= _MOST_VALUES and all(isinstance(one, str) for one in value)
        if not is_list and not isinstance(value, str | int | bool):
            raise Malformed(f"{verb[:40]}: `{name[:40]}` is none of text, number, true or false, list of texts")
    return Question(verb, told["told"])


def line_of(question: Question) -> bytes:
    """A question as it is sent."""
    return _line({"verb": question.verb, "told": dict(question.told)})


def answer_line(answer: Answer) -> bytes:
    """An answer as it is sent."""
    return _line(
        {
            "code": answer.code,
            "head": [[line.text, line.style] for line in answer.head],
            "table": answer.table,
            "lines": [[line.text, line.style] for line in answer.lines],
            "value": answer.value,
        }
    )


def _line(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=True, default=str).encode("ascii") + b"\n"


def answer_of(line: bytes) -> Answer:
    """The answer that a line holds. Raises Malformed."""
    try:
        told = json.loads(line)
        head, lines = (tuple(Line(str(text), str(style)) for text, style in told[name]) for name in ("head", "lines"))
        table = tuple(tuple(str(cell) for cell in row) for row in told["table"])
        return Answer(int(told["code"]), lines, table, told["value"], head=head)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Malformed("the daemon's answer cannot be understood: is it as new as the command?") from None


def plain(told: Mapping[str, Value | Sequence[str] | None]) -> dict[str, Value]:
    """What a verb was told, without what was left out."""
    found: dict[str, Value] = {}
    for name, value in told.items():
        if isinstance(value, str | int):
            found[name] = value
        elif value:
            found[name] = list(value)
    return found


def has(role: Role, roles: Collection[Role]) -> bool:
    """Whether somebody with these roles may do what takes this one: everybody with a role may look."""
    return role in roles or (role is Role.VIEW and bool(roles))
