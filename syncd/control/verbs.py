"""A verb: which right it takes, and who answers it. What it is told is what its handler declares, and nothing else."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import NoneType
from typing import get_args

from syncd.control import Answer, Malformed, Question, Role, Value

Handler = Callable[..., Answer]
"""Answers one verb: of a Visit, with what the verb is told as named arguments.

These are texts, numbers, flags, dates and lists of texts, as they are annotated. One without a default must be told, and a text
must be more than blanks then. Raises Malformed, SyncdError or OSError where it cannot.
"""


@dataclass(frozen=True, slots=True)
class Verb:
    """Who may use a verb, and who answers it; `of_daemon`: only a daemon can."""

    role: Role
    handler: Handler
    of_daemon: bool = False

    @property
    def arguments(self) -> Mapping[str, inspect.Parameter]:
        """What it may be told."""
        return _arguments(self.handler)

    def told(self, question: Question) -> dict[str, object]:
        """What the handler is told by this question. Raises Malformed in words that may be told to whoever asked."""
        unknown = sorted(question.told.keys() - self.arguments.keys())
        if unknown:
            raise Malformed(f"{question.verb} is not told {unknown[0][:40]!r} here: is the daemon as new as the command?")
        found: dict[str, object] = {}
        for name, argument in self.arguments.items():
            if name in question.told:
                needed = argument.default is inspect.Parameter.empty
                found[name] = _read(question, name, argument.annotation, question.told[name], needed=needed)
            elif argument.default is inspect.Parameter.empty:
                raise Malformed(f"{question.verb}: `{name}` must be told")
        return found


Verbs = Mapping[str, Verb]


def meant(verbs: Verbs, question: Question) -> Verb:
    """The verb that a question is about. Raises Malformed."""
    verb = verbs.get(question.verb)
    if verb is None:
        raise Malformed(f"there is no such verb here; there are: {', '.join(sorted(verbs))}")
    return verb


@functools.cache
def _arguments(handler: Handler) -> Mapping[str, inspect.Parameter]:
    parameters = inspect.signature(handler, eval_str=True).parameters
    return {name: one for name, one in parameters.items() if one.kind is inspect.Parameter.KEYWORD_ONLY}


def _read(question: Question, name: str, annotation: object, value: Value, *, needed: bool) -> object:
    verb = question.verb
    kinds = set(get_args(annotation)) - {NoneType} if NoneType in get_args(annotation) else {annotation}
    if kinds == {str}:
        if not isinstance(value, str) or (needed and not value.strip()):
            raise Malformed(f"{verb}: say why" if name == "because" else f"{verb}: `{name}` must be a text")
        return value.strip() if name == "because" else value
    if kinds == {bool}:
        if not isinstance(value, bool):
            raise Malformed(f"{verb}: `{name}` must be true or false")
        return value
    if kinds == {int}:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise Malformed(f"{verb}: `{name}` must be a number from 0 on")
        return value
    if kinds == {date}:
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise Malformed(f"{verb}: `{name}` is a day, written like 2026-12-31") from None
    if kinds == {Sequence[str]}:
        if not isinstance(value, list):
            raise Malformed(f"{verb}: `{name}` must be a list of texts")
        return value
    raise AssertionError(f"nobody can say {name} of {verb}: {annotation}")
