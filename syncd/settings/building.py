"""Builds values from a tree of YAML, collecting every problem on the way.

Structure is walked here, because position, alias and unit are known here; each single value is judged by pydantic, strictly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from types import NoneType
from typing import Literal, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError

from syncd.core.mapping_spec import Mark, Text
from syncd.errors import ConfigError, Problem
from syncd.settings.document import Entries, Items, Scalar, Tree
from syncd.settings.keys import (
    DAYS,
    MOST_DAYS,
    SPAN,
    Key,
    branches,
    describe,
    either,
    is_leaf,
    is_list,
    is_mapping,
    is_settings,
    keys_of,
    plain_hint,
    suggestion,
)

_DIGITS = 7  # of a span: more are a hundred years of minutes, or not meant


class _Wrong:
    """What stands for a value that could not be built; its problem is already noted."""


WRONG = _Wrong()


@dataclass(slots=True)
class Builder:
    """Builds values and remembers every problem met. One builder serves all files of a folder."""

    problems: list[Problem] = field(default_factory=list)

    def problem(self, mark: Mark, what: str) -> _Wrong:
        """Note one problem; returns WRONG, to be returned on."""
        self.problems.append(Problem(str(mark), what))
        return WRONG

    def build(self, hint: object, tree: Tree, name: str, key: Key | None = None) -> object:
        """The value of this type told by the tree, or WRONG. `name` is the dotted path, for messages.

        With the `key` the value belongs to, its unit counts, and a block takes what it leaves out from the key's default.
        """
        hint = plain_hint(hint)
        default = key.default if key else None
        if key and key.unit == "days":
            return self._duration(tree, name)
        if key and key.unit == "span":
            return self._span(tree, name)
        if hint is object:
            return plain(tree)
        if len(branches(hint)) > 1:
            return self._alternative(branches(hint), tree, name)
        if is_settings(hint):
            return self._settings(hint, tree, name, default if isinstance(default, hint) else None)
        return self._text(tree, name) if hint is Text else self._value(hint, tree, name)

    def _value(self, hint: object, tree: Tree, name: str) -> object:
        if is_mapping(hint):
            return self._mapping(get_args(hint)[1], tree, name)
        return self._items(hint, tree, name) if is_list(hint) else self._leaf(hint, tree, name)

    def _settings(self, owner: type, tree: Tree, name: str, default: object = None) -> object:
        if not isinstance(tree, Entries):
            return self._mismatch(tree, name, describe(owner))
        own = {key.name: key for key in keys_of(owner) if not key.options_of}
        options = next((key for key in keys_of(owner) if key.options_of), None)
        chosen = self._chosen(options, tree) if options else None
        theirs = {key.name: key for key in keys_of(chosen)} if chosen else {}
        before = len(self.problems)
        values = self._keys({**theirs, **own}, tree, name, all_known=not options or bool(chosen), complete=default is None)
        if values is None or (options and not chosen) or (options and len(self.problems) > before):
            return WRONG
        if options and chosen:
            made = self._make(chosen, theirs, {word: values.pop(word) for word in theirs if word in values}, tree)
            if made is WRONG:
                return WRONG
            own[options.name], values[options.name] = options, made
        if default is not None:
            values = {word: getattr(default, key.attribute) for word, key in own.items()} | values
        return self._make(owner, own, values, tree)

    def _keys(
        self, known: Mapping[str, Key], tree: Entries, name: str, *, all_known: bool, complete: bool
    ) -> dict[str, object] | None:
        """The values of a block by key, or None. A key without a value is as if it were not there, unless it is required."""
        values: dict[str, object] = {}
        sound = True
        for word, (mark, child) in tree.entries.items():
            key = known.get(word)
            if key is None:
                if all_known:  # of a kind that does not exist nobody can say which keys it knows
                    self.problem(mark, f"unknown key '{word}'{_inside(name)}{suggestion(word, list(known))}")
                    sound = False
            elif isinstance(child, Scalar) and child.value is None and NoneType not in branches(key.hint):
                if key.required:
                    self.problem(mark, f"'{word}'{_inside(name)} has no value; give it one")
                    sound = False
            else:
                values[word] = self.build(key.hint, child, f"{name}.{word}".lstrip("."), key)
                sound = sound and values[word] is not WRONG
        for word, key in known.items():
            if key.required and complete and word not in tree.entries:
                self.problem(tree.mark, f"the key '{word}' is missing{_inside(name)}: {_lower(key.doc) or 'it is required'}")
                sound = False
        return values if sound else None

    def _chosen(self, options: Key, tree: Entries) -> type | None:
        """The dataclass the `kind` key asks for; None where there is no such kind."""
        kind = tree.entries.get("kind", (tree.mark, None))[1]
        if not isinstance(kind, Scalar) or not isinstance(kind.value, str) or options.options_of is None:
            return None  # a missing or misshapen kind is told with the other keys
        try:
            return options.options_of(kind.value)
        except ConfigError as error:
            for problem in error.problems:
                self.problem(kind.mark, problem.what)
            return None

    def _make(self, owner: type, keys: Mapping[str, Key], values: Mapping[str, object], tree: Entries) -> object:
        """The dataclass itself. A ValueError of its checks is a problem of the key its message begins with, else of the block."""
        try:
            return owner(**{keys[word].attribute: value for word, value in values.items()})
        except ValueError as error:
            _, child = tree.entries.get(str(error).split(":", 1)[0], (tree.mark, tree))
            return self.problem(child.mark, str(error))

    def _mapping(self, hint: object, tree: Tree, name: str) -> object:
        if not isinstance(tree, Entries):
            return self._mismatch(tree, name, "lines of the form `key: value`")
        built = {word: self.build(hint, child, f"{name}.{word}") for word, (_, child) in tree.entries.items()}
        return WRONG if WRONG in built.values() else built

    def _items(self, hint: object, tree: Tree, name: str) -> object:
        origin, parts = get_origin(hint), get_args(hint)
        if not isinstance(tree, Items):
            return self._mismatch(tree, name, "a list: [one, two]")
        if origin is tuple and len(parts) > 1 and parts[1] is not Ellipsis:
            if len(parts) != len(tree.items):
                return self.problem(tree.mark, f"{name}: expected {len(parts)} values in the list, found {len(tree.items)}")
            hints: Sequence[object] = parts
        else:
            hints = [parts[0]] * len(tree.items)
        built = [self.build(each, child, name) for each, child in zip(hints, tree.items, strict=True)]
        if any(value is WRONG for value in built):
            return WRONG
        return tuple(built) if origin is tuple else frozenset(built)

    def _alternative(self, hints: tuple[object, ...], tree: Tree, name: str) -> object:
        """The one alternative with the shape of what stands there; a block goes to the dataclass that knows most of its keys."""
        if isinstance(tree, Scalar):
            return self._scalar(hints, tree, name)
        if isinstance(tree, Items):
            fitting = [hint for hint in hints if is_list(hint)]
        else:
            fitting = [hint for hint in hints if is_settings(hint) or is_mapping(hint)]
            fitting.sort(
                key=lambda hint: -len({key.name for key in keys_of(hint)} & tree.entries.keys()) if is_settings(hint) else 1
            )
        if not fitting:
            return self._mismatch(tree, name, either(hints))
        return self.build(fitting[0], tree, name)

    def _scalar(self, hints: tuple[object, ...], tree: Scalar, name: str) -> object:
        if tree.value is None and NoneType in hints:
            return None
        if Text in hints and isinstance(tree.value, str):
            return self._text(tree, name)
        leaves = [hint for hint in hints if is_leaf(hint)]
        if not leaves:
            return self._mismatch(tree, name, either(hints))
        return self._leaf(leaves[0] if len(leaves) == 1 else Union[tuple(leaves)], tree, name)  # noqa: UP007  known at run time only

    def _text(self, tree: Tree, name: str) -> object:
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            return Text(tree.value, tree.text_mark)
        return self._mismatch(tree, name, "text")

    def _duration(self, tree: Tree, name: str) -> object:
        if isinstance(tree, Scalar) and isinstance(tree.value, str) and (match := DAYS.fullmatch(tree.value.strip())):
            if len(match[1]) > len(str(MOST_DAYS)) or int(match[1]) > MOST_DAYS:
                return self.problem(tree.mark, f"{name}: at most {MOST_DAYS} days, found {tree.raw}")
            return int(match[1])
        return self._mismatch(tree, name, "a time in days, written like `14 days`")

    def _span(self, tree: Tree, name: str) -> object:
        if isinstance(tree, Scalar) and isinstance(tree.value, str) and (match := SPAN.fullmatch(tree.value.strip())):
            # a number of so few digits makes no span that timedelta could not hold
            span = timedelta(**{f"{match[2]}s": int(match[1])}) if len(match[1]) <= _DIGITS else timedelta(0)
            if timedelta(0) < span <= timedelta(days=MOST_DAYS):
                return span
            return self.problem(tree.mark, f"{name}: more than nothing and at most {MOST_DAYS} days, found {tree.raw}")
        return self._mismatch(tree, name, "a time, written like `90 minutes`, `26 hours` or `2 days`")

    def _leaf(self, hint: object, tree: Tree, name: str) -> object:
        if not isinstance(tree, Scalar):
            return self._mismatch(tree, name, describe(hint))
        if get_origin(hint) is Literal and isinstance(tree.value, str) and tree.value not in get_args(hint):
            words = [str(word) for word in get_args(hint)]
            return self.problem(tree.mark, f"{name}: '{tree.value}' is not one of {', '.join(words)}{_near(tree.value, words)}")
        value = tree.value.isoformat() if isinstance(tree.value, date) else tree.value
        if isinstance(tree.value, date) and hint is str:
            return self._mismatch(tree, name, "text")
        try:
            return _adapter(hint).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"].endswith("_type"):
                return self._mismatch(tree, name, describe(hint))
            return self.problem(tree.mark, f"{name}: {_lower(first['msg'])}, found {tree.raw}")

    def _mismatch(self, tree: Tree, name: str, expected: str) -> _Wrong:
        remedy = ""
        if (
            isinstance(tree, Scalar)
            and {"text", "path"} & set(expected.split())
            and isinstance(tree.value, (int, float, bool, date))
        ):
            remedy = f'; put it in quotes: "{tree.raw}"'
        return self.problem(tree.mark, f"{name}: expected {expected}, found {_found(tree)}{remedy}")


def plain(tree: Tree) -> object:
    """The tree as dicts, lists and values, without positions."""
    if isinstance(tree, Entries):
        return {word: plain(child) for word, (_, child) in tree.entries.items()}
    if isinstance(tree, Items):
        return [plain(child) for child in tree.items]
    return tree.value


def _found(tree: Tree) -> str:
    if isinstance(tree, Entries):
        return "lines of the form `key: value`"
    if isinstance(tree, Items):
        return "a list"
    if tree.value is None:
        return "nothing"
    kinds = ((bool, "the word"), (int, "the number"), (float, "the number"), (date, "the date"))
    kind = next((word for type_, word in kinds if isinstance(tree.value, type_)), "the text")
    return f"{kind} {tree.raw}"


def _inside(name: str) -> str:
    return f" in {name}" if name else ""


def _near(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _known(hint: object) -> frozenset[str]:
    return frozenset(key.name for key in keys_of(hint)) if is_settings(hint) else frozenset()


@cache
def _adapter(hint: object) -> TypeAdapter[object]:
    return TypeAdapter(hint)  # type: ignore[arg-type]  # a type expression found at run time
