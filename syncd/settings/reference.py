"""The reference pages of every setting, mapping key, field and filter, written from the tables the program itself reads.

`python -m syncd.settings.reference` writes the pages and the JSON Schemas of the starting set. A test fails when they are stale.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

from syncd.core.calendar import Calendar
from syncd.core.fields import CLAIM_FACTS, DERIVED, MEMBERS, SCALARS, Field
from syncd.core.filters import FILTERS
from syncd.core.mapping_spec import PeopleSpec, TargetSpec
from syncd.settings.keys import Key, branches, describe, is_list, is_mapping, is_settings, keys_of, plain_hint, sentence
from syncd.settings.model import SyncdFile
from syncd.settings.portal import PortalFile
from syncd.settings.schema import kinds_of, write_schemas

PAGES: tuple[str, ...] = ("settings.md", "mapping-keys.md", "fields.md")
_WRITTEN = "<!-- Written by `python -m syncd.settings.reference`; edit the doc texts beside the code, not this page. -->\n"

_NAMED: Mapping[str, str] = {
    "sources": "SOURCE",
    "targets": "TARGET",
    "pipelines": "PIPELINE",
    "populations": "POPULATION",
    "lifecycle": "POPULATION",
    "accounts": "POPULATION",
    "names": "KIND",
    "attributes": "ATTRIBUTE",
    "exits": "REASON",
}
"""How a name of the district's own choice is shown in a dotted key."""


def pages() -> dict[str, str]:
    """Every page by file name."""
    return {"settings.md": _settings_page(), "mapping-keys.md": _mapping_page(), "fields.md": _fields_page()}


def undocumented() -> list[str]:
    """Keys without a doc text: always empty, or the reference has a hole."""
    owners: dict[str, type] = {owner.__name__: owner for owner in (SyncdFile, Calendar, PortalFile, PeopleSpec, TargetSpec)}
    owners |= {f"{name} ({kind})": options for name, kind, options in _kinds(SyncdFile)}
    return [f"{title}: {name}" for title, owner in owners.items() for name, key in _keys(owner, "", None) if not key.doc]


def main(root: Path) -> None:
    """Write pages and schemas below this folder, the root of the repository."""
    for name, text in pages().items():
        (root / "docs" / "reference" / name).write_text(text, encoding="utf-8")
    write_schemas(root / "syncd" / "starting" / "schemas")


# --- pages ------------------------------------------------------------------------------------------------------------


def _settings_page() -> str:
    parts = [
        "# Settings: `config/syncd.yaml`\n",
        _WRITTEN,
        "Every key, in the order of the file. Words in capitals are names of your choice. Durations read `14 days`.",
        "Paths are relative to the folder that holds `config/` and `mappings/`. An unknown key is an error.\n",
        *_table(_keys(SyncdFile, "", None)),
    ]
    for name, kind, options in _kinds(SyncdFile):
        parts += [f"\n## `{name}` of kind `{kind}`\n", f"{_summary(options)}\n", *_table(_keys(options, "", None))]
    for file, owner in (("config/calendar.yaml", Calendar), ("config/portal.yaml", PortalFile)):
        parts += [f"\n## `{file}`\n", f"{_summary(owner)}\n", *_table(_keys(owner, "", None))]
    return "\n".join(parts) + "\n"


def _mapping_page() -> str:
    filters = ((f"`{name}`", each.doc, f"`{each.example}`") for name, each in FILTERS.items())
    return "\n".join(
        [
            "# Mapping keys: `mappings/*.yaml`\n",
            _WRITTEN,
            "An *expression* computes a value: `grade_index >= 3`, `campus.name`, `given | initial`. A *template* is text with",
            "expressions between `{{` and `}}`. Both read the [fields](fields.md); every name is checked on loading.\n",
            "## `mappings/people.yaml`\n",
            f"{_summary(PeopleSpec)}\n",
            *_table(_keys(PeopleSpec, "", None)),
            "\n## `mappings/TARGET.yaml`\n",
            f"{_summary(TargetSpec)}\n",
            *_table(_keys(TargetSpec, "", None)),
            "\n## Filters\n",
            "Written behind a bar: `given | initial`. There are no others.\n",
            *_rows(("filter", "gives", "for example"), filters),
            "",
        ]
    )


def _fields_page() -> str:
    parts = [
        "# Fields: what a mapping may read of a person\n",
        _WRITTEN,
        "The same names whatever source told them. An absent text reads as empty, an absent list as an empty list; an absent",
        "number, date or flag is no value: `default` gives it one.\n",
        "## From the sources\n",
        *_field_table(SCALARS),
        "| `extra.NAME` | text | a column of your own: from a supplement or a `metadata.*` column the source is told to read |",
        "\n## Worked out for the day of the run\n",
        *_field_table(DERIVED),
    ]
    for kind, members in MEMBERS.items():
        parts += [f"\n## Behind a {kind.value}\n", *_field_table(members)]
    parts += [
        "\n## In a mapping only\n",
        *_rows(
            ("name", "type", "meaning"),
            [
                ("`names.KIND`", "text", "the name issued to this person, such as `names.username`"),
                ("`config.NAME`", "as written", "a value from `config` in people.yaml"),
                ("`today`", "date", "the day of the run; only under `policy: initial`"),
                ("`class`, `campus`", "class, campus", "in a group rule with `each`: the one it is about"),
            ],
        ),
        "\n## Never a field\n",
        "Claim facts prove who somebody is when an account is claimed. Birth dates are stored encrypted, beside a",
        "keyed digest to compare them by; digits are stored as keyed digests only. They can be",
        f"written to no target: {', '.join(f'`{fact}`' for fact in CLAIM_FACTS)}.",
    ]
    return "\n".join(parts) + "\n"


def _field_table(fields: Mapping[str, Field]) -> list[str]:
    return _rows(("field", "type", "meaning"), ((f"`{name}`", each.type.value, each.doc) for name, each in fields.items()))


def _table(keys: Iterable[tuple[str, Key]]) -> list[str]:
    rows = ((f"`{name}`", _type(key), _default(key), sentence(key.doc)) for name, key in keys)
    return _rows(("key", "value", "default", "meaning"), rows)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def _summary(owner: type) -> str:
    return (owner.__doc__ or "").strip().split("\n", 1)[0]


def _type(key: Key) -> str:
    units = {"days": "days", "span": "time"}
    return units[key.unit] if key.unit else describe(key.hint).replace("lines of the form `key: value`", "block")


def _default(key: Key) -> str:
    value = key.default
    if key.required:
        return "required"
    if key.unit:
        return f"`{key.told(value)}`"
    if value in (None, "", (), {}) or is_settings(type(value)):
        return ""
    plain = value if isinstance(value, (bool, int, float, tuple)) else str(value)
    return f"`{plain}`" if isinstance(plain, str) else f"`{json.dumps(plain)}`"


# --- walking ----------------------------------------------------------------------------------------------------------


def _keys(owner: type, above: str, default: object) -> Iterator[tuple[str, Key]]:
    for key in keys_of(owner):
        if key.options_of:
            continue
        shown = key.with_default(getattr(default, key.attribute)) if isinstance(default, owner) else key
        name = f"{above}{key.name}"
        yield name, shown
        yield from _below(key.hint, name, shown.default)


def _below(hint: object, name: str, default: object) -> Iterator[tuple[str, Key]]:
    for part in branches(plain_hint(hint)):
        if is_settings(part):
            yield from _keys(part, f"{name}.", default)
        elif is_mapping(part):
            placeholder = _NAMED.get(name.rsplit(".", 1)[-1], "NAME")
            yield from _below(get_args(part)[1], f"{name}.{placeholder}", None)
        elif is_list(part):
            yield from _below(get_args(part)[0], f"{name}[]", None)


def _kinds(owner: type) -> Iterator[tuple[str, str, type]]:
    """For each block with kinds: its name in capitals, the kind, and the dataclass of the kind's own keys."""
    for key in keys_of(owner):
        for part in branches(key.hint):
            inner = get_args(part)[1] if is_mapping(part) else part
            if isinstance(inner, type):
                for kind, options in kinds_of(inner).items():
                    yield f"{key.name}.{_NAMED[key.name]}", kind, options


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
