"""One YAML file as a tree that knows where each word stands. Says nothing about what the words mean.

Read as YAML 1.2 by ruamel.yaml: `no` and `12:30` are text. Keys are always text, exactly as written (`07` stays `07`).
What cannot be read is a Problem with its remedy, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import isfinite
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from syncd.core.mapping_spec import Mark
from syncd.errors import Problem

Step = str | int
Plain = str | int | float | bool | date | None

_BOM = "\ufeff"
_TAG = "tag:yaml.org,2002:"
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_TAB = "use spaces: YAML does not allow tab characters for indentation"
_REMEDIES = {
    "found character '\\t' that cannot start any token": _TAB,
    "mapping values are not allowed here": "a text that contains ': ' must stand in quotes; "
    "else look whether this line begins as far right as its neighbours",
    "found unexpected end of stream": "a quote is opened here and never closed",
    "found character '@' that cannot start any token": "a text that begins with @ must stand in quotes",
    "found character '%' that cannot start any token": "a text that begins with % must stand in quotes",
    "found character '`' that cannot start any token": "a text that begins with ` must stand in quotes",
    "but found another document": "a file holds one document: delete the line '---'",
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value: what YAML makes of it, the characters as written, and where its text begins (behind the quote)."""

    value: Plain
    raw: str
    mark: Mark
    text_mark: Mark


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Tree, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping, in the order of the file; each key with where it stands."""

    entries: Mapping[str, tuple[Mark, Tree]]
    mark: Mark


Tree = Scalar | Items | Entries


@dataclass(frozen=True, slots=True)
class Document:
    """A file that could be read: its name as problems show it, its text and its tree."""

    file: str
    text: str
    tree: Entries

    def mark(self, *steps: Step) -> Mark:
        """Where the value at these steps stands, or the nearest thing above it that exists."""
        tree: Tree = self.tree
        mark = tree.mark
        for step in steps:
            if isinstance(tree, Entries) and step in tree.entries:
                tree = tree.entries[str(step)][1]
            elif isinstance(tree, Items) and isinstance(step, int) and step < len(tree.items):
                tree = tree.items[step]
            else:
                break
            mark = tree.mark
        return mark


def read(path: Path, file: str) -> tuple[Document | None, list[Problem]]:
    """The file as a Document, or None, with every problem found in it. A file may be readable and have problems."""
    text = _text(path, file)
    if isinstance(text, Problem):
        return None, [text]
    document, problems = _read(text, file)
    return document, list(problems)


@lru_cache(maxsize=32)
def _read(text: str, file: str) -> tuple[Document | None, Sequence[Problem]]:
    """What a text is. Remembered, for finding out is the slow part, and of the files of a district few change at a time."""
    try:
        node = YAML(typ="rt", pure=True).compose(text)
        problems: list[Problem] = []
        tree = Entries({}, Mark(file, 1, 1)) if node is None else _tree(node, file, problems, ())
    except MarkedYAMLError as error:
        return None, [_syntax(file, text, error)]
    except YAMLError:
        return None, [Problem(f"{file}:{_control_character(text)}", "a control character; delete it")]
    except RecursionError:
        return None, [Problem(f"{file}:1:1", "brackets or blocks are nested far too deeply; look for a missing ] or }")]
    if not isinstance(tree, Entries):
        return None, [Problem(f"{file}:1:1", "expected lines of the form `key: value`")]
    return Document(file, text, tree), problems


def _text(path: Path, file: str) -> str | Problem:
    try:
        return path.read_bytes().decode("utf-8").removeprefix(_BOM)
    except FileNotFoundError:
        return Problem(f"{file}:1:1", "no such file; `syncd init` writes a commented one to begin from")
    except OSError as error:
        return Problem(f"{file}:1:1", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return Problem(f"{file}:{line}:1", "not UTF-8; save the file with the encoding UTF-8")


def _syntax(file: str, text: str, error: MarkedYAMLError) -> Problem:
    spot = error.problem_mark or error.context_mark
    if error.problem == "found unexpected end of stream" and error.context_mark:
        spot = error.context_mark
    line, column = (spot.line + 1, spot.column + 1) if spot else (1, 1)
    what = str(error.problem or error.context or "not YAML")
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1].lstrip(" ").startswith("\t"):
        return Problem(f"{file}:{line}:{lines[line - 1].index(chr(9)) + 1}", _TAB)
    context = f" ({error.context})" if error.context else ""
    return Problem(f"{file}:{line}:{column}", _REMEDIES.get(what, f"not valid YAML: {what}{context}"))


def _control_character(text: str) -> str:
    for number, line in enumerate(text.split("\n"), start=1):
        for column, character in enumerate(line, start=1):
            if not character.isprintable() and character not in "\t\r":
                return f"{number}:{column}"
    return "1:1"


def _tree(node: Node, file: str, problems: list[Problem], above: tuple[int, ...]) -> Tree:
    mark = Mark(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if id(node) in above:
        problems.append(Problem(str(mark), "this text contains itself through an alias (*); write it out"))
        return Scalar(None, "", mark, mark)
    inside = (*above, id(node))
    if isinstance(node, ScalarNode):
        return _scalar(node, mark, problems)
    if isinstance(node, SequenceNode):
        return Items(tuple(_tree(child, file, problems, inside) for child in node.value), mark)
    if not isinstance(node, MappingNode):
        raise TypeError(f"ruamel.yaml composed a {type(node).__name__}")
    entries: dict[str, tuple[Mark, Tree]] = {}
    for key_mark, key, child in _pairs(node, file, problems):
        if key in entries:
            problems.append(Problem(str(key_mark), f"the key '{key}' stands twice; the first is in line {entries[key][0].line}"))
            continue
        entries[key] = (key_mark, _tree(child, file, problems, inside))
    return Entries(entries, mark)


def _pairs(node: MappingNode, file: str, problems: list[Problem]) -> Iterator[tuple[Mark, str, Node]]:
    for key, child in node.value:
        mark = Mark(file, key.start_mark.line + 1, key.start_mark.column + 1)
        if isinstance(key, ScalarNode):
            yield mark, key.value, child
        else:
            problems.append(Problem(str(mark), "a key must be plain text; a text with {{ }} must stand in quotes"))


def _scalar(node: ScalarNode, mark: Mark, problems: list[Problem]) -> Scalar:
    raw: str = node.value
    kind = str(node.tag).removeprefix(_TAG) if node.style in (None, "") else "str"
    value: Plain = raw
    try:
        if kind == "int":
            value = _whole_number(raw)
            if _LEADING_ZERO.fullmatch(raw):
                problems.append(Problem(str(mark), f'{raw} would lose its zero; put it in quotes: "{raw}"'))
                value = raw  # one problem is enough: what is read on is the text that was meant
        elif kind == "float":
            value = float(raw.replace("_", ""))
            if not isfinite(value):  # 1e400: no limit is meant by a number nobody can reach
                value = raw
        elif kind == "bool":
            value = raw.lower() == "true"
        elif kind == "null":
            value = None
        elif kind == "timestamp":
            value = date.fromisoformat(raw)
    except ValueError:
        value = raw
    quoted = node.style in ("'", '"')
    return Scalar(value, raw, mark, Mark(mark.file, mark.line, mark.col + 1) if quoted else mark)


def _whole_number(raw: str) -> int:
    plain = raw.replace("_", "")
    return int(plain, 0 if plain.lstrip("+-")[:2] in ("0x", "0o", "0b") else 10)
