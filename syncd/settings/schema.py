"""JSON Schemas of the settings files, for editors that complete and check while one types. Written from the same dataclasses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import NoneType
from typing import get_args

from pydantic import TypeAdapter

from syncd import sources, targets
from syncd.core.calendar import Calendar
from syncd.core.mapping_spec import PeopleSpec, TargetSpec, Text
from syncd.settings.keys import DAYS, SPAN, Key, branches, is_list, is_mapping, is_settings, keys_of, plain_hint, sentence
from syncd.settings.model import SourceSettings, SyncdFile, TargetSettings
from syncd.settings.portal import PortalFile

Schema = dict[str, object]

FILES: Mapping[str, type] = {
    "syncd.json": SyncdFile,
    "calendar.json": Calendar,
    "portal.json": PortalFile,
    "people.json": PeopleSpec,
    "target.json": TargetSpec,
}
"""The schema files by name; `target.json` serves every mapping of a target."""


def json_schemas() -> dict[str, Schema]:
    """Every schema by file name, as `syncd schema` writes them."""
    head: Schema = {"$schema": "http://json-schema.org/draft-07/schema#"}
    return {name: head | _settings(owner, None) for name, owner in FILES.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema into the folder, made if need be; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in _texts().items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


@cache
def _texts() -> Mapping[str, str]:
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in json_schemas().items()}


def kinds_of(owner: type) -> Mapping[str, type]:
    """For a block with kinds: the dataclass of each kind's own keys."""
    if owner is SourceSettings:
        return {kind: sources.config_type(kind) for kind in sources.REGISTRY}
    if owner is TargetSettings:
        return {kind: targets.config_type(kind) for kind in targets.CONNECTORS}
    return {}


def _of(hint: object, default: object = None) -> Schema:
    hint = plain_hint(hint)
    if hint is object:
        return {}
    if len(branches(hint)) > 1:
        return _any_of([_of(part) for part in branches(hint)])
    if is_settings(hint):
        return _settings(hint, default)
    if is_mapping(hint):
        return {"type": "object", "additionalProperties": _of(get_args(hint)[1])}
    return _list(get_args(hint)) if is_list(hint) else _leaf(hint)


@cache
def _leaf(hint: object) -> Schema:
    if hint in (Text, NoneType):
        return {"type": "string" if hint is Text else "null"}
    schema: Schema = TypeAdapter(hint).json_schema()  # type: ignore[arg-type]  # a type expression found at run time
    return schema


def _list(parts: tuple[object, ...]) -> Schema:
    if len(parts) > 1 and parts[1] is not Ellipsis:
        return {"type": "array", "items": [_of(part) for part in parts], "minItems": len(parts), "maxItems": len(parts)}
    return {"type": "array", "items": _of(parts[0])}


def _any_of(shapes: list[Schema]) -> Schema:
    distinct = [shape for rank, shape in enumerate(shapes) if shape not in shapes[:rank]]
    return distinct[0] if len(distinct) == 1 else {"anyOf": distinct}


def _settings(owner: type, default: object) -> Schema:
    keys = [key for key in keys_of(owner) if key.options_of is None]
    kinds = kinds_of(owner)
    if kinds:
        return {"oneOf": [_block([*keys, *keys_of(options)], owner, default, kind) for kind, options in kinds.items()]}
    return _block(keys, owner, default)


def _block(keys: list[Key], owner: type, default: object, kind: str = "") -> Schema:
    properties: dict[str, Schema] = {}
    for key in keys:
        value = getattr(default, key.attribute) if isinstance(default, owner) and key in keys_of(owner) else key.default
        written = {"days": DAYS, "span": SPAN}.get(key.unit)
        shape: Schema = {"type": "string", "pattern": f"^{written.pattern}$"} if written else _of(key.hint, value)
        if kind and key.name == "kind":
            shape = {"const": kind}
        properties[key.name] = {"description": sentence(key.doc)} | shape | _default(key, value)
    required = [key.name for key in keys if key.required and default is None]
    block: Schema = {"type": "object", "description": _first_line(owner), "properties": properties}
    return block | ({"required": required} if required else {}) | {"additionalProperties": False}


def _default(key: Key, value: object) -> Schema:
    """The default, where it can be written on one line."""
    if key.required or value in (None, "", (), {}):
        return {}
    if key.unit in ("days", "span"):
        return {"default": key.told(value)}
    if isinstance(value, Path):
        return {"default": str(value)}
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return {"default": list(value)}
    return {"default": value} if isinstance(value, (str, bool, int, float)) else {}


def _first_line(owner: type) -> str:
    return (owner.__doc__ or "").strip().split("\n", 1)[0]
