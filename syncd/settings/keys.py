"""What settings dataclasses look like as keys of YAML. They lie beside what they configure (R28) and stay plain.

What YAML needs to know of a field stands in its metadata:

    doc         what the reference and the JSON Schema say of the key
    alias       the key, where Python cannot spell it (`try`)
    unit        "days": the text reads `14 days` and becomes the number; "span": `90 minutes`, `26 hours` or `2 days`, a timedelta
    options_of  a function from a kind to the dataclass whose keys stand beside this one's (`kind: ldap`)

A key called `credential` (or `…_credential`) names a secret file; one called `path` or `…_file` is a path even where
its type is text.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Literal, NewType, TypeGuard, Union, get_args, get_origin, get_type_hints

from syncd.core.mapping_spec import Text

DAYS = re.compile(r"([0-9]+) days?")
SPAN = re.compile(r"([0-9]+) (minute|hour|day)s?")
MOST_DAYS = 36500
"""A hundred years: what is longer was not meant, and no calendar could hold the end of it."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a dataclass as YAML spells it."""

    name: str
    attribute: str
    hint: object
    required: bool
    default: object
    doc: str
    unit: str
    options_of: Callable[[str], type] | None

    @property
    def is_credential(self) -> bool:
        """True where the value is the name of a secret file."""
        return self.name == "credential" or self.name.endswith("_credential")

    @property
    def is_path(self) -> bool:
        """True where the value is a path though its type is text."""
        return self.name == "path" or self.is_file

    @property
    def is_file(self) -> bool:
        """True for the path of a file that must be there (`ca_file`)."""
        return self.name.endswith("_file")

    def told(self, value: object) -> str:
        """A value with a unit, as YAML spells it."""
        if isinstance(value, timedelta):
            minutes = int(value.total_seconds()) // 60
            unit, size = next((word, size) for word, size in (("day", 1440), ("hour", 60), ("minute", 1)) if minutes % size == 0)
            return f"{minutes // size} {unit}{'' if minutes == size else 's'}"
        return f"{value} days"

    def with_default(self, default: object) -> Key:
        """The same key in a block whose own default says otherwise."""
        return dataclasses.replace(self, default=default, required=False)


def keys_of(owner: type) -> tuple[Key, ...]:
    """The keys of a settings dataclass in the order in which it lists them; fields that are not set from outside are left out."""
    return _keys_of(owner)


@cache
def _keys_of(owner: type) -> tuple[Key, ...]:
    hints = get_type_hints(owner, include_extras=True)
    found = []
    for entry in dataclasses.fields(owner):
        if not entry.init:
            continue
        default = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        meta = entry.metadata
        found.append(
            Key(
                name=meta.get("alias", entry.name),
                attribute=entry.name,
                hint=hints[entry.name],
                required=default is dataclasses.MISSING,
                default=default,
                doc=meta.get("doc", ""),
                unit=meta.get("unit", ""),
                options_of=meta.get("options_of"),
            )
        )
    return tuple(found)


def is_settings(hint: object) -> TypeGuard[type]:
    """True for a dataclass whose fields are keys; a Text is one value, whatever Python holds it in."""
    return isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint is not Text


def is_mapping(hint: object) -> bool:
    """True for Mapping[…]."""
    origin = get_origin(hint)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def is_list(hint: object) -> bool:
    """True for tuple[…] and frozenset[…]."""
    return get_origin(hint) in (tuple, frozenset)


def is_leaf(hint: object) -> bool:
    """True for a type that stands on one line and is judged by pydantic."""
    return not (is_mapping(hint) or is_list(hint) or is_settings(hint) or hint in (Text, NoneType))


def plain_hint(hint: object) -> object:
    """The type under NewType and type aliases."""
    while isinstance(hint, NewType):
        hint = hint.__supertype__
    return hint


def branches(hint: object) -> tuple[object, ...]:
    """The alternatives of a union, NewTypes unwrapped; the hint alone where it is no union."""
    hint = plain_hint(hint)
    if get_origin(hint) in (Union, UnionType):
        return tuple(inner for part in get_args(hint) for inner in branches(part))
    return (hint,)


def suggestion(word: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?`, or the known words where nothing is close and they are few enough to read."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


_WORDS: Mapping[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    date: "a date (2026-08-12)",
    Path: "a path",
}


def describe(hint: object) -> str:
    """The type in an administrator's words."""
    hint = plain_hint(hint)
    if len(branches(hint)) > 1:
        return either(branches(hint))
    if get_origin(hint) is Annotated:
        return describe(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(f"`{word}`" for word in get_args(hint))
    if is_list(hint):
        return "a list"
    return "lines of the form `key: value`" if is_settings(hint) or is_mapping(hint) else _WORDS.get(hint, "text")


def sentence(doc: str) -> str:
    """The doc text with a capital at its beginning and a full stop at its end, whoever wrote it. A word of YAML stays as it is."""
    first = doc.split(" ", 1)[0]
    text = doc if set(first) & set(".:`") else doc[:1].upper() + doc[1:]
    return text if text.endswith((".", ":")) else f"{text}."


def either(hints: Sequence[object]) -> str:
    """The types as alternatives."""
    return " or ".join(dict.fromkeys(describe(hint) for hint in hints if hint is not NoneType))
