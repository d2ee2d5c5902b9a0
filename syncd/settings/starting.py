"""The commented set of files a district begins with, written into its folder. The files themselves lie in syncd/starting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from syncd.errors import ConfigError, Problem
from syncd.settings.schema import write_schemas

Answer = str | int | bool | Sequence[str]
Answers = Mapping[str, Mapping[str, Answer]]
"""For each file, dotted keys and what is to stand there: {"config/syncd.yaml": {"targets.ldap.urls": ["ldaps://…"]}}."""

FILES = ("config/syncd.yaml", "config/calendar.yaml", "mappings/people.yaml", "mappings/ldap.yaml")


def starting_text(file: str) -> str:
    """One file of the starting set as it is shipped."""
    return (resources.files("syncd.starting") / file).read_text(encoding="utf-8")


def write_starting_set(folder: Path, answers: Answers | None = None) -> list[Path]:
    """Write the commented files and their schemas into the folder; the files written, the settings first.

    `answers` replaces single values and bracketed lists; every comment stays. Where one of the files is there already,
    ConfigError is raised and nothing is written.
    """
    answers = answers or {}
    there = [file for file in FILES if (folder / file).exists()]
    if there:
        raise ConfigError(
            tuple(Problem(f"{file}:1:1", "is there already and was left alone; move it away first") for file in there)
        )
    texts = {file: _answered(starting_text(file), answers.get(file, {})) for file in FILES}
    for file, text in texts.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    return [*(folder / file for file in FILES), *write_schemas(folder / "schemas")]


def _answered(text: str, answers: Mapping[str, Answer]) -> str:
    """The text with these values in place of the shipped ones."""
    if not answers:
        return text
    root = YAML(typ="rt", pure=True).compose(text)
    places = [(_find(root, key), value) for key, value in answers.items()]
    for node, value in sorted(places, key=lambda place: place[0].start_mark.index, reverse=True):
        text = text[: node.start_mark.index] + json.dumps(value, ensure_ascii=False) + text[node.end_mark.index :]
    return text


def _find(root: Node, dotted: str) -> ScalarNode | SequenceNode:
    node: Node | None = root
    for step in dotted.split("."):
        pairs = node.value if isinstance(node, MappingNode) else []
        node = next((child for key, child in pairs if key.value == step), None)
    if isinstance(node, ScalarNode) or (isinstance(node, SequenceNode) and node.flow_style):
        return node
    raise KeyError(f"{dotted} is no value on one line of the starting set")
