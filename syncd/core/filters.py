"""The filters of the mapping language: what each takes, what it gives, and the function behind it.

The table `FILTERS` is all there is: the compiler, the reference and the tests read it. A filter is total: whatever value of
its type it is given, it returns one of its result type, except `lookup`, which fails for a key its table lacks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import TypeVar

from anyascii import anyascii

from syncd.core.fields import FieldType

T, L, N, D = FieldType.TEXT, FieldType.LIST, FieldType.NUMBER, FieldType.DATE
V = TypeVar("V")
LONGEST_TEXT = 65_536
"""No expression may grow a text beyond this: nested `replace` could otherwise multiply without end."""


class Unmappable(ValueError):  # noqa: N818  it is not an error of ours: the compiled mapping turns it into a MappingFailure
    """A value for which a rule has no answer: a key that is not in a table, an empty part of a container."""


# Word starts: the beginning, and whatever follows a space, hyphen, bracket or the apostrophe of O'Neil and D’Angelo.
WORD = re.compile(r"[^\s\-(\[{<'’]+")
NOT_SLUG = re.compile(r"[^a-z0-9]+")
DATE_FORMAT = re.compile(r"(?:[^%]|%-?[dmjyYBbAaGVu]|%%)*")


def title(text: str) -> str:
    """`MARÍA O'NEIL-GARCÍA` as `María O'Neil-García`."""
    return WORD.sub(lambda word: word[0][:1].upper() + word[0][1:].lower(), text)


def initial(text: str) -> str:
    """The first character that is not a space, or nothing."""
    return text.lstrip()[:1]


def to_ascii(text: str) -> str:
    """The text transliterated: `José Müller` as `Jose Muller`."""
    return anyascii(text)


def slug(text: str) -> str:
    """Lower-case ASCII letters and digits with single hyphens between them."""
    return NOT_SLUG.sub("-", anyascii(text).lower()).strip("-")


def digits(text: str) -> str:
    """Only the digits 0–9 of the text."""
    return "".join(sign for sign in text if sign in "0123456789")


def replace(text: str, old: str, new: str) -> str:
    """The text with every `old` replaced; fails beyond the longest text."""
    if len(text) + text.count(old) * len(new) > LONGEST_TEXT:
        raise Unmappable(f"replace would make a text of more than {LONGEST_TEXT} characters")
    return text.replace(old, new)


def split(text: str, separator: str) -> tuple[str, ...]:
    """The parts between separators, trimmed, empty ones left out."""
    return tuple(part.strip() for part in text.split(separator) if part.strip())


def join(parts: Sequence[str], separator: str) -> str:
    """The parts with the separator between them; fails beyond the longest text."""
    if sum(map(len, parts)) + len(separator) * len(parts) > LONGEST_TEXT:
        raise Unmappable(f"join would make a text of more than {LONGEST_TEXT} characters")
    return separator.join(parts)


def first(parts: Sequence[str]) -> str:
    """The first element or character, or nothing."""
    return parts[0] if parts else ""


def last(parts: Sequence[str]) -> str:
    """The last element or character, or nothing."""
    return parts[-1] if parts else ""


def format_date(day: date | None, form: str) -> str:
    """The date as the format says, or nothing for no date."""
    return "" if day is None else day.strftime(form)


def default_of(value: V | None, fallback: V) -> V:
    """The value, or the fallback where there is none."""
    return fallback if value is None else value


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: input type to result type, the arguments it needs, and its function or the Python it stands for."""

    doc: str
    example: str
    takes: Mapping[FieldType, FieldType]
    call: Callable[..., object]
    inline: str = ""  # Python source with {0} for the value and {1}, {2} for arguments; must equal `call`
    arguments: tuple[str, ...] = ()  # "constant" (a quoted text), "needle" (one not empty), "length" (a number > 0), …
    optional: int = 0  # how many arguments, from the end, may be left out


TEXT_TO_TEXT = {T: T}
FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "lower": Filter("small letters", "'Ana' | lower → ana", TEXT_TO_TEXT, str.lower, "{0}.lower()"),
        "upper": Filter("capital letters", "'Ana' | upper → ANA", TEXT_TO_TEXT, str.upper, "{0}.upper()"),
        "title": Filter(
            "a capital at the start of each word, also behind a hyphen or apostrophe; small letters elsewhere",
            "\"ANA O'NEIL\" | title → Ana O'Neil",
            TEXT_TO_TEXT,
            title,
        ),
        "trim": Filter("without spaces at both ends", "' Ana ' | trim → Ana", TEXT_TO_TEXT, str.strip, "{0}.strip()"),
        "replace": Filter(
            "every occurrence of the first argument replaced by the second",
            "'a-b' | replace('-', '') → ab",
            TEXT_TO_TEXT,
            replace,
            arguments=("needle", "constant"),
        ),
        "default": Filter(
            "the argument where there is no value (absent or empty)",
            "'' | default('none') → none",
            {T: T, L: L, N: N, D: D, FieldType.FLAG: FieldType.FLAG},
            default_of,
            arguments=("same type",),
        ),
        "initial": Filter("the first letter", "'Ana' | initial → A", TEXT_TO_TEXT, initial),
        "ascii": Filter("transliterated to ASCII, case kept", "'José' | ascii → Jose", TEXT_TO_TEXT, to_ascii),
        "slug": Filter(
            "small ASCII letters and digits, hyphens between words",
            "'Ana María' | slug → ana-maria",
            TEXT_TO_TEXT,
            slug,
        ),
        "digits": Filter("only the digits", "'(555) 010-99' | digits → 55501099", TEXT_TO_TEXT, digits),
        "first": Filter(
            "the first element of a list, the first character of a text", "['a', 'b'] | first → a", {T: T, L: T}, first
        ),
        "last": Filter("the last element of a list, the last character of a text", "['a', 'b'] | last → b", {T: T, L: T}, last),
        "truncate": Filter(
            "cut to this many characters",
            "'Mariana' | truncate(4) → Mari",
            TEXT_TO_TEXT,
            lambda text, length: text[:length],
            "{0}[:{1}]",
            ("length",),
        ),
        "split": Filter(
            "a list of the parts between separators, trimmed, empty parts left out",
            "'a, b' | split(',') → a and b",
            {T: L},
            split,
            arguments=("needle",),
        ),
        "join": Filter(
            "one text of a list's elements, with the argument between them",
            "['a', 'b'] | join('-') → a-b",
            {L: T},
            join,
            arguments=("constant",),
            optional=1,
        ),
        "date": Filter(
            "a date as text; %Y year, %m month, %d day, %y, %j, %B, %b, %A, %a, %G, %V, %u",
            "start_date | date('%d.%m.%Y') → 17.08.2026",
            {D: T},
            format_date,
            arguments=("constant",),
        ),
        "lookup": Filter(
            "what a table of people.yaml has under this key, or under this key and a second one; a missing key sets this "
            "person aside unless `default=` is given",
            "campus.code | lookup('mail_domain') → north.example.org",
            TEXT_TO_TEXT,
            lambda key, table: table[key],
            arguments=("table", "text"),
            optional=1,
        ),
        "length": Filter(
            "how many elements or characters",
            "'Ana' | length → 3",
            {T: N, L: N, FieldType.CAMPUSES: N, FieldType.CLASSES: N},
            len,
            "len({0})",
        ),
    }
)


def look_up(table: Mapping[str, str], name: str, key: str, default: str | None = None) -> str:
    """The table's text for the key, else the default; without one it fails naming table and key."""
    found = table.get(key, default)
    if found is None:
        raise Unmappable(f"table '{name}' has no {key!r}; add it to people.yaml or give lookup a default")
    return found


def look_up_both(table: Mapping[str, Mapping[str, str]], name: str, key: str, second: str, default: str | None = None) -> str:
    """As `look_up`, for a table of tables."""
    found = table.get(key, {}).get(second, default)
    if found is None:
        raise Unmappable(f"table '{name}' has no {key!r}, {second!r}; add it to people.yaml or give lookup a default")
    return found
