"""From the text of a cell to a canonical value: dates, flags, grades, numbers, and claim facts as tokens.

Every source translates its cells here, so that "Y", "07/04/2012" and "5th" mean the same wherever they come from.
A text that cannot be read raises ValueError with what was expected; it never becomes an empty value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from functools import lru_cache

from syncd.core.fields import CLAIM_FACTS, SCALARS, FieldType
from syncd.core.model import Enrolment, Role, Section, SourceKey, SourceName, Value
from syncd.vault import Vault

EXTRA = "extra."
MANAGER = "manager"
HOMEROOM_TEACHER = "homeroom.teacher"
CAREFUL_FLAGS = ("directory_optout", "confidential")
"""Flags whose unreadable value counts as true (R37)."""

UNREADABLE = "?"
"""Stands in a spool for a claim fact that was there but could not be read: the fact itself must not lie there in clear (R23)."""

_TRUE = frozenset({"true", "t", "yes", "y", "1", "x"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_GRADE_INDEX = {"IT": -1, "EE": -1, "PR": -1, "PK": -1, "TK": 0, "KG": 0}
_GRADE_WORDS = {"K": "KG", "KF": "KG", "KINDERGARTEN": "KG", "PREK": "PK", "PRE-K": "PK", "P": "PK", "PK3": "PK", "PK4": "PK"}
_UNGRADED = frozenset({"PS", "UG", "OTHER", "AD"})
_ORDINAL = re.compile(r"0*([1-9]|1[0-3])(?:ST|ND|RD|TH)?")


def target_problem(name: str, relations: Sequence[str] = ()) -> str | None:
    """Why a configured column cannot feed this name, or None where it can."""
    if name in SCALARS or name in CLAIM_FACTS or name in relations or (name.startswith(EXTRA) and len(name) > len(EXTRA)):
        return None
    near = get_close_matches(name, [*SCALARS, *CLAIM_FACTS, *relations], n=1)
    return f"no field {name!r}" + (f"; did you mean {near[0]!r}?" if near else f"; for a column of your own say {EXTRA}{name}")


def claim_problem(columns: Mapping[str, str], key: str = "") -> str | None:
    """Which column with a claim fact feeds something else as well, where it would lie in clear (R23); None where none does."""
    for fact in CLAIM_FACTS:
        column = columns.get(fact, "").lower()
        others = [key, *(other for name, other in columns.items() if name not in CLAIM_FACTS)]
        if column and column in map(str.lower, others):
            return f"column {columns[fact]!r} holds the claim fact {fact}: it may be neither the key nor feed another field"
    return None


@lru_cache(maxsize=65536)
def read_date(text: str, formats: tuple[str, ...] = ()) -> date:
    """The date a text says: ISO (a time behind it is dropped), or one of these formats. Raises ValueError."""
    for one in formats:
        try:
            return datetime.strptime(text, one).date()  # noqa: DTZ007 — a calendar date has no zone
        except ValueError:
            continue
    if len(text) >= 10 and text[4:5] == "-" and (len(text) == 10 or text[10] in "T "):  # noqa: PLR2004 — YYYY-MM-DD
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            pass
    raise ValueError(f"{text!r} is not a date like {' or '.join(formats) or 'YYYY-MM-DD'}")


def read_flag(text: str) -> bool:
    """True or false in any of the usual spellings. Raises ValueError."""
    word = text.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def read_grade(text: str) -> tuple[str, int | None]:
    """A grade as two characters and as a number for comparing, None where it has no place in the order. Raises ValueError."""
    word = text.upper().removeprefix("GRADE").strip()
    word = _GRADE_WORDS.get(word, word)
    if word in _GRADE_INDEX:
        return word, _GRADE_INDEX[word]
    if word in _UNGRADED:
        return word, None
    ordinal = _ORDINAL.fullmatch(word)
    if ordinal:
        return f"{int(ordinal[1]):02d}", int(ordinal[1])
    raise ValueError(f"{text!r} is not a grade (PK, KG, 01 to 12)")


def read_field(  # noqa: PLR0911 — one return per type
    name: str, text: str, formats: tuple[str, ...] = ()
) -> Value:
    """The value of a canonical field. Raises ValueError, but for a careful flag: there what cannot be read is true (R37)."""
    if name.startswith(EXTRA):
        return text
    kind = SCALARS[name].type
    if kind is FieldType.TEXT:
        return read_grade(text)[0] if name == "grade" and text else text
    if kind is FieldType.LIST:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if name in CAREFUL_FLAGS:
        try:
            return bool(text) and read_flag(text)
        except ValueError:
            return True
    if not text:
        return None
    if kind is FieldType.FLAG:
        return read_flag(text)
    if kind is FieldType.DATE:
        return read_date(text, formats)
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


def put_fields(into: dict[str, Value], facts: dict[str, str], cells: Mapping[str, str], formats: tuple[str, ...] = ()) -> None:
    """Add the cells, by field name, to a record's fields and facts. Raises ValueError naming the field."""
    for name, text in cells.items():
        if name in CLAIM_FACTS:
            if text == UNREADABLE:
                raise ValueError(f"{name} cannot be read")
            if text:
                facts[name] = text
            continue
        try:
            into[name] = read_field(name, text, formats)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if name == "grade" and text:
            index = read_grade(text)[1]
            into.pop("grade_index", None)
            if index is not None:
                into["grade_index"] = index


def ordered(roles: Iterable[Role], enrolments: Iterable[Enrolment]) -> tuple[tuple[Role, ...], tuple[Enrolment, ...]]:
    """Both in an order of their own: that of the rows is in no digest, so nothing may depend on it (R4)."""
    begun = date.min
    return (
        tuple(sorted(roles, key=lambda one: (not one.primary, one.campus.key, one.role, one.begin or begun, one.end or begun))),
        tuple(
            sorted(enrolments, key=lambda one: (one.section.key, one.role, not one.primary, one.begin or begun, one.end or begun))
        ),
    )


def homeroom_of(enrolments: Iterable[Enrolment]) -> Section | None:
    """The homeroom whose teacher is the student's: of several with a teacher the newest, then the first by key."""
    rooms = [one for one in enrolments if one.section.kind == "homeroom" and one.role == "student" and one.section.teachers]
    newest = min(rooms, key=lambda one: (-(one.begin or one.section.begin or date.min).toordinal(), one.section.key), default=None)
    return newest.section if newest else None


@dataclass(frozen=True, slots=True)
class Facts:
    """Turns claim facts into what may lie at rest: tokens, before anything is spooled (R23)."""

    vault: Vault = field(repr=False)
    source: SourceName
    formats: tuple[str, ...] = ()

    def token(self, fact: str, key: SourceKey, text: str) -> str:
        """The token of one fact of one person; "" where there is none, `UNREADABLE` where it cannot be read.

        A birth date becomes an index token, equal for equal dates (R35), with the sealed date behind it; digits become a token
        bound to this person, which nothing opens.
        """
        if not text:
            return ""
        if fact == "birth_date":
            try:
                born = read_date(text, self.formats).isoformat()
            except ValueError:
                return UNREADABLE
            return self.vault.kept_fact(born, source=self.source, key=key, fact=fact)
        digits = "".join(character for character in text if character in "0123456789")
        if len(digits) < 4:  # noqa: PLR2004 — the last four digits are the fact
            return UNREADABLE
        return self.vault.fact_token(digits[-4:], source=self.source, key=key, fact=fact)
