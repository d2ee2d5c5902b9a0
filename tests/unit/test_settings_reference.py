"""Reference pages and schemas are what the program itself reads: never stale, never with a hole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from syncd.settings import json_schemas
from syncd.settings.building import plain
from syncd.settings.document import read
from syncd.settings.reference import PAGES, pages, undocumented

ROOT = Path(__file__).parents[2]
REMEDY = "run: python -m syncd.settings.reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_pages_are_current(name: str) -> None:
    """A key, field or filter that changed has changed in the page too."""
    assert (ROOT / "docs/reference" / name).read_text(encoding="utf-8") == pages()[name], REMEDY


def test_no_key_is_undocumented() -> None:
    """Every setting, mapping key and kind's own key says what it is for."""
    assert undocumented() == []


def test_the_shipped_schemas_are_current() -> None:
    """What editors check with is what the program checks with."""
    for name, schema in json_schemas().items():
        assert json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8")) == schema, REMEDY


Schema = dict[str, object]


TYPES: dict[object, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def _complaints(schema: Schema, value: object, where: str) -> list[str]:
    """What this part of JSON Schema, all that we write, has against the value. Written for the test, without our own walker."""
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list):
            verdicts = [_complaints(option, value, where) for option in options]
            fitting = verdicts.count([])
            fits = fitting == 1 or (word == "anyOf" and fitting > 0)
            return [] if fits else min(verdicts, key=len) or [f"{where}: fits {fitting} alternatives"]
    enum = schema.get("enum", [schema.get("const", value)])
    assert isinstance(enum, list)
    if value not in enum:
        return [f"{where}: not one of {enum}"]
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        return [f"{where}: {value!r} is no {schema['type']}"]
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict):
        return [each for child in value for each in _complaints(items, child, where)]
    return _block_complaints(schema, value, where) if isinstance(value, dict) else []


def _block_complaints(schema: Schema, value: dict[str, object], where: str) -> list[str]:
    properties, more, required = schema.get("properties", {}), schema.get("additionalProperties", True), schema.get("required", [])
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    found = [f"{where}: no {key}" for key in required if key not in value]
    for key, child in value.items():
        inner = properties.get(key, more)
        if inner is False:
            found.append(f"{where}: unknown {key}")
        elif isinstance(inner, dict):
            found += _complaints(inner, child, f"{where}.{key}")
    return found


@pytest.mark.parametrize(
    ("schema", "file"),
    [("syncd.json", "config/syncd.yaml"), ("people.json", "mappings/people.yaml"), ("target.json", "mappings/ldap.yaml")],
)
def test_the_shipped_files_satisfy_their_schemas(schema: str, file: str) -> None:
    """An editor marks nothing in a file that loads."""
    document, _ = read(ROOT / file, file)
    assert document is not None
    assert _complaints(json_schemas()[schema], plain(document.tree), "") == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("district", "timezon"), "x"),
        (("retention", "spools"), 30),
        (("sources", "sis", "kind"), "onerosterr"),
        (("targets", "ldap", "urls"), "ldaps://one"),
        (("targets", "ldap", "containers"), ["ou=x"]),  # a key of another kind
    ],
)
def test_an_editor_marks_what_the_program_refuses(path: tuple[str, ...], value: object) -> None:
    """The schema is as strict as the program where both can know."""
    document, _ = read(ROOT / "config/syncd.yaml", "config/syncd.yaml")
    assert document is not None
    content = plain(document.tree)
    block = content
    for step in path[:-1]:
        assert isinstance(block, dict)
        block = block[step]
    assert isinstance(block, dict)
    block[path[-1]] = value
    assert _complaints(json_schemas()["syncd.json"], content, "") != []
