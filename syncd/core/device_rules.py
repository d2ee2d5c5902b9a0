"""The rules about devices compiled: what a student's device looks like, and which devices no rule touches.

Everything that can be wrong with them is found when they are compiled, with file, line and column, as in a mapping. Nothing here
knows a roster of devices or a target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial

from syncd.core.codegen import Code, Place, Vocabulary
from syncd.core.expression import Function
from syncd.core.fields import FieldType
from syncd.core.filters import Unmappable
from syncd.core.mapping_spec import DevicesSpec, ExcludeSpec, Mark, Text
from syncd.core.model import Person
from syncd.core.people import People
from syncd.core.rules import Rules, fingerprint_of, finished, raise_problems
from syncd.core.spelling import ESCAPES, escaping, lies_in, plain
from syncd.errors import Problem

USER, ASSET, LOCATION, NOTES = "user", "asset", "location", "notes"
ANNOTATIONS = (USER, ASSET, LOCATION, NOTES)
"""What is noted of a device, by the words of the rules; a connector knows what its target calls them."""
UNIT = "unit"

_HERE = Place(each=FieldType.DEVICE)
Made = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What a rule may read of a device, as `device.serial` and so on."""

    serial: str
    asset: str
    pool: str
    model: str
    address: str


@dataclass(frozen=True, slots=True)
class Looks:
    """What a device is to look like: its unit, and what is noted of it. What is not told is left as it is."""

    unit: str | None
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeviceRules:
    """The rules of one target. `fingerprint` is equal for equal rules."""

    spec: DevicesSpec
    rules: Rules[Made]
    fingerprint: str

    def looks(self, person: Person, names: Mapping[str, str], related: Mapping[str, Person], given: Given) -> Looks:
        """What this person's device is to look like. Raises MappingFailure."""
        unit, *told = self.rules.run(person, names, related, given)
        annotations = {name: value for name, value in zip(ANNOTATIONS, told, strict=True) if value is not None}
        if self.spec.user is None:
            annotations[USER] = given.address
        if self.spec.asset is None and given.asset:
            annotations[ASSET] = given.asset
        return Looks(unit, annotations)

    def mark(self, part: str) -> str:
        """Where the rule stands that makes this part; empty where none does."""
        mark = self.rules.marks.get(part)
        return str(mark) if mark else ""


def excluded(rule: ExcludeSpec, serial: str, assets: tuple[str, ...], pool: str, notes: str, unit: str) -> str:
    """Why no rule touches this device, or the empty string: what in it fits which line of `exclude`."""
    told = (
        ("serials", rule.serials, (serial,)),
        ("assets", rule.assets, assets),
        ("pools", rule.pools, (pool,)),
        ("notes", rule.notes, (notes,)),
    )
    for key, patterns, values in told:
        for pattern in patterns:
            if any(value and fnmatchcase(value.casefold(), pattern.casefold()) for value in values):
                return f"exclude.{key}: {pattern}"
    for place in rule.units:
        if lies_in(plain(unit), plain(place)):
            return f"exclude.units: {place}"
    return ""


def compile_devices(spec: DevicesSpec, people: People) -> DeviceRules:
    """The rules compiled, or ConfigError with every problem."""
    vocabulary = Vocabulary(people.vocabulary.extra, people.vocabulary.config, people.vocabulary.tables)
    kinds = frozenset(rule.kind for rules in people.names.values() for rule in rules)
    parts = {name: partial(_part, escape) for name, escape in ESCAPES.items()}
    function = Function(vocabulary, kinds, namespace={**parts, "Unmappable": Unmappable})
    marks: dict[str, Mark] = {}
    for name in (UNIT, *ANNOTATIONS):
        text: Text | None = getattr(spec, name)
        if text is None:
            function.add(f"{name} = None")
            continue
        marks[name] = text.mark
        is_unit = name == UNIT
        code = function.template(text, _HERE, escape=escaping(text.text)) if is_unit else function.expression(text, _HERE)
        function.add(f"{name} = {_text(function, code, text.mark)}", name)
    function.add(f"return {', '.join((UNIT, *ANNOTATIONS))}")
    raise_problems(function.problems)
    start = next(iter(marks.values()), Mark("devices", 1, 1))
    rules: Rules[Made] = finished(function, "device", "person, names, related, each", marks, start.file)
    return DeviceRules(spec, rules, fingerprint_of(spec))


def _text(function: Function, code: Code | None, mark: Mark) -> str:
    """Python source for the value as text."""
    if code is None:
        return ""
    if code.type is FieldType.TEXT:
        return code.source
    if code.type in (FieldType.NUMBER, FieldType.DATE):
        return f"'' if (t := {code.source}) is None else str(t)"
    function.problems.append(Problem(str(mark), f"what is noted of a device is a text, not a {code.type}"))
    return ""


def _part(escape: Callable[[str], str], value: str, word: str) -> str:
    # An empty value would name another unit than the one meant: /Students//Grade 07.
    if not value.strip():
        raise Unmappable(f"'{word}' is empty for this person; give it a default(…)")
    return escape(value)
