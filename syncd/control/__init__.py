"""Operators' verbs over the daemon's Unix socket: what may be asked, by whom, and how question and answer are written.

One question and one answer on each connection, each a line of JSON. The list of verbs is closed, and so is that of each verb's
arguments: an argument that one side does not know is refused, for leaving out a `--campus` would approve more than was meant.
Nothing here knows what a verb does, and nothing that is sent says who sends it: that is the kernel's word (`peers`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from syncd.core.rendering import Line

LONGEST_QUESTION = 64 * 1024
"""Bytes of a question, its newline included."""
LONGEST_ANSWER = 64 * 1024 * 1024
_MOST_VALUES = 1000

Value = str | int | bool | list[str]


class Role(StrEnum):
    """What somebody may do, by the Unix group they are in."""

    VIEW = "view"
    OPERATE = "operate"
    APPROVE = "approve"
    UNLOCK = "unlock"


@dataclass(frozen=True, slots=True)
class Verb:
    """Who may use a verb, and what it is told."""

    role: Role
    arguments: frozenset[str]


def _verb(role: Role, *arguments: str) -> Verb:
    return Verb(role, frozenset(arguments))


VERBS: Mapping[str, Verb] = {
    "holds": _verb(Role.VIEW, "persons"),
    "live": _verb(Role.VIEW),
    "shelved": _verb(Role.VIEW),
    "status": _verb(Role.VIEW, "json"),
    "reject": _verb(Role.OPERATE, "run", "because", "campus", "person"),
    "release": _verb(Role.OPERATE, "key"),
    "reload": _verb(Role.OPERATE),
    "run-now": _verb(Role.OPERATE, "pipeline", "reconcile"),
    "undo": _verb(Role.OPERATE, "run", "person", "campus", "kind", "most"),
    "apply": _verb(Role.APPROVE, "run", "first"),
    "unlock": _verb(Role.UNLOCK, "key", "because"),
    "approve": _verb(Role.APPROVE, "run", "because", "campus"),
    "go-live": _verb(Role.APPROVE, "target", "campus", "operation", "attribute", "withdraw", "because"),
}
"""Everything that can be asked over the socket."""


class Malformed(ValueError):  # noqa: N818 — what the text is, not what went wrong here
    """The text is no question, or not one that can be answered; in words."""


@dataclass(frozen=True, slots=True)
class Question:
    """A verb and what it was told."""

    verb: str
    told: Mapping[str, Value] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """A text that must be there. Raises Malformed."""
        value = self.told.get(name)
        if not isinstance(value, str) or not value:
            raise Malformed(f"{self.verb}: `{name}` must be a text")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts; none where nothing was told. Raises Malformed."""
        value = self.told.get(name, [])
        if not isinstance(value, list):
            raise Malformed(f"{self.verb}: `{name}` must be a list of texts")
        return value

    def number(self, name: str, default: int) -> int:
        """A number from 0 on. Raises Malformed."""
        value = self.told.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Malformed(f"{self.verb}: `{name}` must be a number from 0 on")
        return value

    def flag(self, name: str) -> bool:
        """Yes or no; no where nothing was told. Raises Malformed."""
        value = self.told.get(name, False)
        if not isinstance(value, bool):
            raise Malformed(f"{self.verb}: `{name}` must be true or false")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has to say, and the exit code it ends with. `table` is a header and rows; `value` is told as JSON instead.

    `runs` names a pipeline that has something to do now; it is for the daemon, and not sent.
    """

    code: int = 0
    lines: tuple[Line, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    value: object = None
    runs: str = ""


def said(text: str, code: int = 0, style: str = "") -> Answer:
    """An answer of one line."""
    return Answer(code, (Line(text, style),))


def question_of(line: bytes) -> Question:
    """The question that a line asks. Raises Malformed in words that may be told to whoever sent it."""
    if len(line) > LONGEST_QUESTION:
        raise Malformed(f"a question is at most {LONGEST_QUESTION:,} bytes long")
    try:
        told = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Malformed("a question is one line of JSON") from None
    if not isinstance(told, dict) or told.keys() != {"verb", "told"} or not isinstance(told["told"], dict):
        raise Malformed('a question looks like {"verb": "holds", "told": {}}')
    verb = told["verb"]
    if not isinstance(verb, str) or verb not in VERBS:
        raise Malformed(f"there is no such verb here; there are: {', '.join(sorted(VERBS))}")
    unknown = sorted(told["told"].keys() - VERBS[verb].arguments)
    if unknown:
        raise Malformed(f"{verb} is not told {unknown[0][:40]!r} here: is the daemon as new as the command?")
    for name, value in told["told"].items():
        listed = isinstance(value, list) and len(value) <= _MOST_VALUES and all(isinstance(one, str) for one in value)
        if not listed and not isinstance(value, str | int | bool):
            raise Malformed(f"{verb}: `{name}` is none of text, number, true or false, list of texts")
    return Question(verb, told["told"])


def line_of(question: Question) -> bytes:
    """A question as it is sent."""
    return _line({"verb": question.verb, "told": dict(question.told)})


def answer_line(answer: Answer) -> bytes:
    """An answer as it is sent."""
    return _line(
        {
            "code": answer.code,
            "lines": [[line.text, line.style] for line in answer.lines],
            "table": answer.table,
            "value": answer.value,
        }
    )


def _line(told: object) -> bytes:
    return json.dumps(told, ensure_ascii=True, default=str).encode("ascii") + b"\n"


def answer_of(line: bytes) -> Answer:
    """The answer that a line holds. Raises Malformed."""
    try:
        told = json.loads(line)
        lines = tuple(Line(str(text), str(style)) for text, style in told["lines"])
        table = tuple(tuple(str(cell) for cell in row) for row in told["table"])
        return Answer(int(told["code"]), lines, table, told["value"])
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
