"""A Python function in the making: what it reads of a person, fetched once at its top, then one line per rule.

Every piece of source in here was written by the compiler; texts of users only ever appear as constants behind `repr()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType

from syncd.core.fields import FieldType
from syncd.core.mapping_spec import ConfigValue, Table
from syncd.core.syntax import Refused
from syncd.errors import Problem

LARGEST_NUMBER = 10**12
NOTHING: Mapping[FieldType, str] = {
    FieldType.TEXT: "''",
    FieldType.LIST: "()",
    FieldType.NUMBER: "None",
    FieldType.DATE: "None",
    FieldType.FLAG: "None",
}
"""What an absent value of each type reads as."""

OPTIONAL = frozenset(kind for kind, nothing in NOTHING.items() if nothing == "None")


@dataclass(frozen=True, slots=True)
class Code:
    """One checked expression as Python source that can stand anywhere (an atom).

    `optional`: it may be None. `ours`: it consists of nothing but what the district wrote (constants, config, tables).
    """

    source: str
    type: FieldType
    optional: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What texts may speak of beside the canonical fields."""

    extra: frozenset[str] = frozenset()
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)
    others: bool = True  # whether other persons (manager, homeroom.teacher) may be read


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands, as far as it changes what may be said there."""

    today: bool = False  # an attribute under `policy: initial`
    each: FieldType | None = None  # CLASS or CAMPUS: a group rule with `each`, where `class` or `campus` is that one


HERE = Place()


@dataclass(slots=True)
class Frame:
    """One Python function in the making: what it reads is fetched once at its top, then one line per rule.

    Each line knows which rule it computes, so that a failure can be traced without any cost while running.
    """

    vocabulary: Vocabulary
    names: frozenset[str] = frozenset()
    relations: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    config: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)  # kinds of names read; whoever asks rule by rule clears it in between
    reads: dict[str, str] = field(default_factory=dict)  # Python source → local name
    fields: set[str] = field(default_factory=set)  # of the person, that are read
    namespace: dict[str, object] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    # --- fetching --------------------------------------------------------------------------------------------------

    def read(self, source: str) -> str:
        """The local name that holds what this Python source gives; it is fetched once."""
        return self.reads.setdefault(source, f"v{len(self.reads)}")

    def field(self, name: str) -> str:
        """Python source for what the person holds under this name, None where nothing: only to be given to `read()`."""
        self.fields.add(name)
        return f"field({name!r})"

    def add(self, line: str, rule: str = "") -> None:
        """Append a line of the body; `rule` is what a failure in it is attributed to."""
        self.lines.append((line, rule))

    def build(self, name: str, parameters: str) -> tuple[Callable[..., object], Sequence[str]]:
        """The finished function, and for each of its lines (from 1; 0 unused) the rule it computes."""
        head = [(f"def {name}({parameters}):", ""), ("    field = person.fields.get", "")]
        head += [(f"    {local} = {source}", "") for source, local in self.reads.items()]
        lines = head + [(f"    {line}", rule) for line, rule in self.lines]
        source = "\n".join(line for line, _ in lines)
        module = compile(source, f"<{name}>", "exec")
        body = next(constant for constant in module.co_consts if isinstance(constant, CodeType))
        scope = {"__builtins__": {}, "str": str, "len": len, "bool": bool, "tuple": tuple, **self.namespace}
        return FunctionType(body, scope, name), ["", *(rule for _, rule in lines)]


def literal(value: object) -> Code:
    """A constant of the file as code: only whole numbers, texts, true and false can be one."""
    if isinstance(value, bool):
        return Code(repr(value), FieldType.FLAG, ours=True)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused("a text contains half a character (a lone surrogate)") from None
        return Code(repr(value), FieldType.TEXT, ours=True)
    if isinstance(value, int) and abs(value) <= LARGEST_NUMBER:
        return Code(f"({value!r})", FieldType.NUMBER, ours=True)
    if value is None:
        raise Refused("no 'none' here; write '' for no value", "none")
    raise Refused("only whole numbers up to a million million can stand here")
