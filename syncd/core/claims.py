"""Claim facts as they lie at rest (R23): what they are compared by and, behind a blank, what only the state key opens. Pure.

Birth dates are kept in both ways, so that they can be compared across people and put under another key without a roster. Digits of
numbers are a token only: nothing opens it, and another key needs the digits told again.
"""

from __future__ import annotations

from collections.abc import Mapping


def parted(kept: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """The tokens by fact, and the sealed values of those facts that have one."""
    told = {fact: text.partition(" ") for fact, text in kept.items()}
    return {fact: token for fact, (token, _, _) in told.items()}, {fact: sealed for fact, (_, _, sealed) in told.items() if sealed}


def joined(tokens: Mapping[str, str], sealed: Mapping[str, str]) -> dict[str, str]:
    """The facts as they lie at rest."""
    return {fact: f"{token} {sealed[fact]}" if fact in sealed else token for fact, token in tokens.items()}
