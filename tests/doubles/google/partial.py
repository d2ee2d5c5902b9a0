"""Partial responses: what `fields=` leaves of an answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from tests.doubles.google.refusals import invalid_parameter

Mask = Mapping[str, "Mask | None"]
_TOKEN = re.compile(r"[A-Za-z_*][\w\-]*|[(),/]")


@lru_cache(maxsize=256)
def mask(text: str) -> Mask:
    """`a,b(c,d/e)` as a tree; None at a leaf means all of it."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise invalid_parameter("fields", text, "not a field mask")
    found, rest = _selection(text, tokens)
    if rest or not found:
        raise invalid_parameter("fields", text, "not a field mask")
    return found


def _selection(text: str, tokens: list[str]) -> tuple[dict[str, Mask | None], list[str]]:
    found: dict[str, Mask | None] = {}
    while tokens:
        name, tokens = tokens[0], tokens[1:]
        if name in "(),/":
            raise invalid_parameter("fields", text, "not a field mask")
        path = [name]
        while tokens[:1] == ["/"]:
            if len(tokens) < 2 or tokens[1] in "(),/":
                raise invalid_parameter("fields", text, "not a field mask")
            path.append(tokens[1])
            tokens = tokens[2:]
        inner: Mask | None = None
        if tokens[:1] == ["("]:
            inner, tokens = _selection(text, tokens[1:])
            if tokens[:1] != [")"]:
                raise invalid_parameter("fields", text, "not a field mask")
            tokens = tokens[1:]
        for step in reversed(path[1:]):
            inner = {step: inner}
        before = found.get(path[0])
        found[path[0]] = {**before, **inner} if before and inner else inner
        if tokens[:1] != [","]:
            break
        tokens = tokens[1:]
    return found, tokens


def cut(value: object, tree: Mask | None) -> object:
    """What the mask leaves of a value."""
    if tree is None or "*" in tree:
        return value
    if isinstance(value, list):
        return [cut(each, tree) for each in value]
    if isinstance(value, dict):
        return {key: cut(inner, tree[key]) for key, inner in value.items() if key in tree}
    return value
