"""Compiled rules: one function per set of rules, its failures traced back to the rule that failed, and its fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import MappingProxyType
from typing import Generic, TypeVar, cast

from syncd.core.codegen import Frame, Vocabulary
from syncd.core.filters import Unmappable
from syncd.core.mapping_spec import Mark, Text
from syncd.errors import ConfigError, Problem

R = TypeVar("R")
LANGUAGE = 1
"""Part of every fingerprint: raise it when the same text comes to mean something else, so that everybody is mapped again."""


class MappingFailure(Exception):  # noqa: N818  caught by the engine, which sets that one person aside (quarantine)
    """One person cannot be mapped: which rule (`mappings/ad.yaml:31:18`), what it computes, and why it has no answer."""

    def __init__(self, rule: str, attribute: str, why: str) -> None:
        self.rule = rule
        self.attribute = attribute
        self.why = why
        super().__init__(f"{rule}: {attribute}: {why}")


@dataclass(frozen=True, slots=True)
class Rules(Generic[R]):
    """One compiled function, and where each of its rules stands."""

    call: Callable[..., R]
    lines: Sequence[str]  # line of the compiled function → rule
    marks: Mapping[str, Mark]
    file: str

    def run(self, *arguments: object) -> R:
        """What the function gives; whatever goes wrong inside is a MappingFailure naming the rule."""
        try:
            return self.call(*arguments)
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> MappingFailure:
        step, line = error.__traceback__, 0
        while step is not None:
            if step.tb_frame.f_code is self.call.__code__:
                line = step.tb_lineno
            step = step.tb_next
        rule = self.lines[line] if line < len(self.lines) else ""
        if isinstance(error, Unmappable):
            why = str(error)
        elif isinstance(error, TypeError):
            why = "a number or date it compares or adds is absent; give it a default(…)"
        elif isinstance(error, KeyError):
            why = f"{error} is missing"
        else:
            why = f"{type(error).__name__}"
        return MappingFailure(str(self.marks.get(rule, self.file)), rule or "names", why)


def finished(function: Frame, name: str, parameters: str, marks: Mapping[str, Mark], file: str) -> Rules[R]:
    """The function built, with what is needed to trace a failure in it."""
    built, lines = function.build(name, parameters)
    call = cast("Callable[..., R]", built)  # the caller compiled its return line and says what it gives
    return Rules(call, lines, MappingProxyType(dict(marks)), file)


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raises ConfigError with the problems in the order of the file, each once; nothing without problems."""
    if problems:
        raise ConfigError(tuple(sorted(set(problems), key=_in_order)))


def _in_order(problem: Problem) -> tuple[str, int, int, str]:
    file, line, col = problem.where.rsplit(":", 2)
    return file, int(line), int(col), problem.what


def first_mark(value: object) -> Mark | None:
    """The first mark found inside of a value, in the order of its fields."""
    if isinstance(value, Mark):
        return value
    inside: Sequence[object] = ()
    if isinstance(value, Mapping):
        inside = list(value.values())
    elif isinstance(value, tuple):
        inside = value
    elif is_dataclass(value) and not isinstance(value, type):
        inside = [getattr(value, field.name) for field in fields(value)]
    return next((mark for part in inside if (mark := first_mark(part))), None)


def used(functions: Sequence[Frame], vocabulary: Vocabulary) -> tuple[object, object]:
    """The tables and config values that are really read: only they belong to a fingerprint."""
    tables = {name: vocabulary.tables[name] for function in functions for name in function.tables}
    config = {name: vocabulary.config[name] for function in functions for name in function.config}
    return {name: tables[name] for name in sorted(tables)}, {name: config[name] for name in sorted(config)}


def fingerprint_of(*parts: object) -> str:
    """A digest equal for equal rules, whatever the comments and places around them."""
    return hashlib.blake2b(repr((LANGUAGE, *map(_told, parts))).encode(), digest_size=16).hexdigest()


def _told(value: object) -> object:
    """The value without marks, so that a comment added above a rule maps nobody again."""
    if isinstance(value, Text):
        return value.text
    if isinstance(value, Mapping):
        return [(key, _told(inner)) for key, inner in value.items()]
    if isinstance(value, tuple):
        return [_told(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, _told(getattr(value, field.name))) for field in fields(value)]
    return value
