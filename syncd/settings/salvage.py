"""What of a file with mistakes can still be judged, so that one mistake hides no other: in its own file or in the next.

Nothing built here is ever used for anything but its problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from syncd.core.mapping_spec import AttributeSpec, ConfigValue, GroupSpec, Mark, NameSpec, PeopleSpec, PopulationSpec, Table, Text
from syncd.settings.building import WRONG, Builder
from syncd.settings.document import Document, Entries, Scalar, Tree
from syncd.settings.keys import Key

_Made = TypeVar("_Made")
_TOLD_BY_NAME = ("populations", "tables", "config")
"""Blocks of people.yaml whose entries are spoken of elsewhere: without one of them, others would look wrong that are not."""

_WHOLE = (AttributeSpec, GroupSpec)
"""Blocks of which no part means anything without the rest: an attribute whose policy is misspelled has another one."""


class _Salvage(Builder):
    """Builds as a Builder does, but leaves out what is wrong where it may be left out."""

    def _settings(self, owner: type, tree: Tree, name: str, default: object = None) -> object:
        if owner not in _WHOLE:
            return super()._settings(owner, tree, name, default)
        return Builder().build(owner, tree, name)

    def _keys(
        self, known: Mapping[str, Key], tree: Entries, name: str, *, all_known: bool, complete: bool
    ) -> dict[str, object] | None:
        sound = {word: entry for word, entry in tree.entries.items() if word in known and self._is_sound(known[word], entry[1])}
        return super()._keys(known, Entries(sound, tree.mark), name, all_known=all_known, complete=complete)

    def _is_sound(self, key: Key, tree: Tree) -> bool:
        return self.build(key.hint, tree, "", key) is not WRONG

    def _mapping(self, hint: object, tree: Tree, name: str) -> object:
        if isinstance(tree, Entries):
            sound = {word: entry for word, entry in tree.entries.items() if self.build(hint, entry[1], name) is not WRONG}
            tree = Entries(sound, tree.mark)
        return super()._mapping(hint, tree, name)


def salvaged(owner: type[_Made], document: Document) -> _Made | None:
    """The file without what is wrong in it; None where too little is left for judging the rest."""
    made = _Salvage().build(owner, document.tree, "")
    return made if isinstance(made, owner) and _nothing_is_missed(made, document) else None


def _nothing_is_missed(made: object, document: Document) -> bool:
    """Whether everything is still there that other parts speak of by name."""
    if isinstance(made, PeopleSpec):
        return all(len(getattr(made, block)) == len(_entries(document.tree, block)) for block in _TOLD_BY_NAME)
    return bool(getattr(made, "accounts", True))


def outline(document: Document) -> PeopleSpec:
    """The names people.yaml tells, whatever is wrong with what stands behind them: enough for judging a target's mapping."""
    mark = Mark(document.file, 1, 1)
    populations = _entries(document.tree, "populations")
    names: dict[str, NameSpec] = {}
    for kind, rule in _entries(document.tree, "names").items():
        told = {name: Text("x", mark) for name in _entries(rule, "populations") if name in populations}
        names[kind] = NameSpec(told)
    return PeopleSpec(
        populations={name: PopulationSpec(Text("true", mark)) for name in populations},
        names={kind: rule for kind, rule in names.items() if kind.isidentifier()},
        tables={name: _table(table) for name, table in _entries(document.tree, "tables").items()},
        config={name: _value(value) for name, value in _entries(document.tree, "config").items()},
    )


def _entries(tree: Tree, block: str) -> dict[str, Tree]:
    """The entries of one block by name; none where it is no block."""
    inner = tree.entries.get(block, (tree.mark, tree))[1] if isinstance(tree, Entries) and block in tree.entries else None
    return {name: child for name, (_, child) in inner.entries.items()} if isinstance(inner, Entries) else {}


def _table(tree: Tree) -> Table:
    rows = {key: child for key, (_, child) in tree.entries.items()} if isinstance(tree, Entries) else {}
    two = {key: dict.fromkeys(row.entries, "") for key, row in rows.items() if isinstance(row, Entries)}
    return two or dict.fromkeys(rows, "")


def _value(tree: Tree) -> ConfigValue:
    return tree.value if isinstance(tree, Scalar) and isinstance(tree.value, (str, bool, int)) else ""


__all__ = ["outline", "salvaged"]
