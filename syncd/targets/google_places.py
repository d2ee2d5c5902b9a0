"""Organizational units as values: a path from the outside in, `/Students/Grade 07`, compared whatever its case. Knows no wire.

A place may also be written as for a directory, `ou=Grade 07,ou=Students`, so that what is the same for all targets (where leavers
are parked) is said once. The root, which every customer has, is the empty name.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from syncd.core.spelling import STEP, escape_step, parent
from syncd.errors import ChangeError
from syncd.targets.ldap_dn import NotADn, parse

DEEPEST = 35
"""Steps of the longest path Google takes (its limits page, read 2026-04-23)."""


@lru_cache(maxsize=4096)  # the same few hundred come with every account
def spelled_place(name: str) -> str:
    """The path as it is written, without blanks around its steps; "" for the root. Raises ChangeError for what is no place."""
    text = name.strip()
    if not text or text == STEP:
        return ""
    steps = _of_directory(text) if "=" in text and not text.startswith(STEP) else text.split(STEP)[1:]
    if not text.startswith(STEP) and "=" not in text:
        raise ChangeError("invalid value", f"{name!r} is no organizational unit: write its path, like /Students/Grade 07")
    cleaned = [" ".join(step.split()) for step in (steps[:-1] if steps[-1:] == [""] else steps)]
    if not all(cleaned) or len(cleaned) > DEEPEST:
        raise ChangeError("invalid value", f"{name!r} is no organizational unit: a step is empty, or there are more than {DEEPEST}")
    return STEP + STEP.join(cleaned)


def _of_directory(text: str) -> list[str]:
    try:
        steps = parse(text)
    except NotADn as error:
        raise ChangeError("invalid value", str(error)) from error
    if any(len(step) != 1 or step[0][0] != "ou" for step in steps):
        raise ChangeError(
            "invalid value", f"{text!r} is no organizational unit: every step is an ou=, or write a path like /Students"
        )
    return [escape_step(step[0][1]) for step in reversed(steps)]


@lru_cache(maxsize=4096)
def canonical_place(name: str) -> str:
    """The one spelling of a path: folded, for Google compares names of units whatever their case. Raises ChangeError."""
    return unicodedata.normalize("NFC", spelled_place(name)).casefold()


def above(name: str) -> list[str]:
    """The place and every place above it but the root, outermost first."""
    found: list[str] = []
    while name:
        found.append(name)
        name = parent(name)
    return found[::-1]
