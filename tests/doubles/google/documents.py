"""Google's discovery documents as routes and checks: what may be asked, in which words, and of which shape.

They are read from the installed google-api-python-client, so what we accept is what Google published, not what we believe. One
thing is stricter than Google: an unknown query parameter or body field is refused where Google may ignore it, because a client
that sends one means something that will not happen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import googleapiclient

from tests.doubles.google.refusals import Refusal, invalid_parameter, required

DIRECTORY, LICENSING, SETTINGS = "admin.directory_v1", "licensing.v1", "groupssettings.v1"
Json = dict[str, Any]
Check = Callable[[object, str], None]
BOUND: Mapping[str, str | list[str]] = {
    "addresses": ["UserAddress"],
    "emails": ["UserEmail"],
    "externalIds": ["UserExternalId"],
    "gender": "UserGender",
    "ims": ["UserIm"],
    "keywords": ["UserKeyword"],
    "languages": ["UserLanguage"],
    "locations": ["UserLocation"],
    "notes": "UserAbout",
    "organizations": ["UserOrganization"],
    "phones": ["UserPhone"],
    "posixAccounts": ["UserPosixAccount"],
    "relations": ["UserRelation"],
    "sshPublicKeys": ["UserSshPublicKey"],
    "websites": ["UserWebsite"],
}
"""The fields of a user that the document calls `any`, and the schemas in the same document that describe them."""
_SIZE = re.compile(r"maximum allowed data size for this field is (\d+)KB", re.IGNORECASE)


_MOST = re.compile(r"(?:Max allowed value is|Value should not exceed) (\d+)")
"""Some limits stand in the description of a parameter only."""


class Misfit(Refusal):
    """A body that the document does not allow."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(400, "invalid", f"Invalid JSON payload received. {path or 'body'}: {why}")


@dataclass(frozen=True, slots=True)
class Method:
    """A method of an interface, ready to judge requests."""

    id: str
    verb: str
    template: str
    query: Mapping[str, Callable[[str], object]]
    repeated: frozenset[str]
    required_query: tuple[str, ...]
    defaults: Mapping[str, object]
    body: Check | None
    required_body: tuple[tuple[str, ...], ...]
    scopes: frozenset[str]
    answers: bool
    """Whether there is a body in the answer; without one it is 204."""

    def queried(self, pairs: list[tuple[str, str]]) -> Json:
        """The query as values; refused when a word is unknown, comes twice or has a value it must not."""
        told: Json = dict(self.defaults)
        seen = set()
        for name, text in pairs:
            read = self.query.get(name)
            if read is None:
                raise invalid_parameter(name, text, "the method knows no such parameter")
            if name in seen and name not in self.repeated:
                raise invalid_parameter(name, text, "given twice")
            value = read(text)
            told[name] = [*told[name], value] if name in seen else [value] if name in self.repeated else value
            seen.add(name)
        for name in self.required_query:
            if name not in seen:
                raise required(name)
        return told

    def fits(self, body: object) -> None:
        """Refuse a body that is not as the document says, or lacks what the method requires."""
        if self.body is None:
            if body is not None:
                raise Misfit("", "the method takes no body")
            return
        if not isinstance(body, dict):
            raise Misfit("", "a JSON object is required")
        self.body(body, "")
        for path in self.required_body:
            inner: object = body
            for step in path:
                inner = inner.get(step) if isinstance(inner, dict) else None
            if inner in (None, "", []):
                raise required(".".join(path))


@dataclass(slots=True)
class _Node:
    """A place in the tree of routes."""

    literal: dict[str, _Node] = field(default_factory=dict)
    variable: list[tuple[str, str, _Node]] = field(default_factory=list)  # name, suffix, below
    rest: dict[str, tuple[str, Method]] = field(default_factory=dict)  # verb -> name of {+rest}
    methods: dict[str, Method] = field(default_factory=dict)


class Routes:
    """Finds the method for a verb and a path."""

    def __init__(self) -> None:
        self._root = _Node()
        self.methods: dict[str, Method] = {}

    def add(self, method: Method) -> None:
        """One more."""
        self.methods[method.id] = method
        node = self._root
        for segment in method.template.split("/"):
            if segment.startswith("{+"):
                node.rest[method.verb] = (segment[2:-1], method)
                return
            if not segment.startswith("{"):
                node = node.literal.setdefault(segment, _Node())
                continue
            name, _, suffix = segment[1:].partition("}")
            below = next((inner for known, end, inner in node.variable if (known, end) == (name, suffix)), None)
            if below is None:
                below = _Node()
                node.variable.append((name, suffix, below))
                node.variable.sort(key=lambda known: -len(known[1]))
            node = below
        node.methods[method.verb] = method

    def find(self, verb: str, path: str) -> tuple[Method, Json] | None:
        """The method and what stands in its path, percent-decoded."""
        return self._below(self._root, verb, path.lstrip("/").split("/"), 0)

    def _below(self, node: _Node, verb: str, segments: list[str], at: int) -> tuple[Method, Json] | None:
        if at == len(segments):
            method = node.methods.get(verb)
            return (method, {}) if method else None
        segment = segments[at]
        literal = node.literal.get(segment)
        if literal is not None and (found := self._below(literal, verb, segments, at + 1)):
            return found
        for name, suffix, below in node.variable:
            if segment.endswith(suffix) and len(segment) > len(suffix) and (found := self._below(below, verb, segments, at + 1)):
                found[1][name] = unquote(segment[: len(segment) - len(suffix)])
                return found
        if verb in node.rest:
            name, method = node.rest[verb]
            return method, {name: unquote("/".join(segments[at:]))}
        return None


@cache
def document(name: str) -> Json:
    """A discovery document, as the client brings it."""
    path = Path(str(googleapiclient.__file__)).parent / "discovery_cache" / "documents" / f"{name}.json"
    read: Json = json.loads(path.read_text(encoding="utf-8"))
    return read


def data_sizes(schema: str) -> dict[str, int]:
    """Field → how many bytes it may take, as its description says."""
    fields = document(DIRECTORY)["schemas"][schema]["properties"].items()
    return {name: int(said[1]) * 1024 for name, told in fields if (said := _SIZE.search(told.get("description", "")))}


def read_only(schema: str) -> frozenset[str]:
    """Fields that a client may send back but never sets."""
    return frozenset(name for name, told in document(DIRECTORY)["schemas"][schema]["properties"].items() if told.get("readOnly"))


@cache
def routes() -> Routes:
    """Every method of the three interfaces."""
    found = Routes()
    for name in (DIRECTORY, LICENSING, SETTINGS):
        told = document(name)
        checks = _Checks(told["schemas"])
        for method in _methods(told):
            found.add(_method(told, method, checks))
    return found


def _methods(told: Json) -> Iterator[Json]:
    for inner in told.get("resources", {}).values():
        yield from inner.get("methods", {}).values()
        yield from _methods(inner)


def _method(told: Json, method: Json, checks: _Checks) -> Method:
    queries = {name: rule for name, rule in method.get("parameters", {}).items() if rule["location"] == "query"}
    everywhere = told["parameters"]
    reference = method.get("request", {}).get("$ref")
    return Method(
        id=method["id"],
        verb=method["httpMethod"],
        template=(told["servicePath"] + method["path"]).lstrip("/"),
        query={name: _reader(name, rule) for name, rule in {**everywhere, **queries}.items()},
        repeated=frozenset(name for name, rule in queries.items() if rule.get("repeated")),
        required_query=tuple(name for name, rule in queries.items() if rule.get("required")),
        defaults={name: _reader(name, rule)(rule["default"]) for name, rule in queries.items() if "default" in rule},
        body=checks.of(reference) if reference else None,
        required_body=tuple(_required(told["schemas"], reference, method["id"])) if reference else (),
        scopes=frozenset(method.get("scopes", ())),
        answers="response" in method,
    )


def _required(schemas: Json, reference: str, method: str) -> Iterator[tuple[str, ...]]:
    """What the document annotates as required for this method, with what is required inside it."""
    for name, rule in schemas[reference].get("properties", {}).items():
        if method in rule.get("annotations", {}).get("required", ()):
            inner = list(_required(schemas, rule["$ref"], method)) if "$ref" in rule else []
            yield from ((name, *path) for path in inner) if inner else ((name,),)


def _reader(name: str, rule: Json) -> Callable[[str], object]:
    """What turns a query value into a value."""

    def boolean(text: str) -> bool:
        if text not in ("true", "false"):
            raise invalid_parameter(name, text, "a boolean is true or false")
        return text == "true"

    low, high = rule.get("minimum"), rule.get("maximum")
    if high is None and (said := _MOST.search(rule.get("description", ""))):
        high = said[1]

    def integer(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,10}", text):
            raise invalid_parameter(name, text, "not a whole number")
        if (low is not None and int(text) < int(low)) or (high is not None and int(text) > int(high)):
            raise invalid_parameter(name, text, f"values must be within the range: [{low}, {high}]")
        return int(text)

    def word(text: str) -> str:
        if "enum" in rule and text not in rule["enum"]:
            raise invalid_parameter(name, text, f"one of {', '.join(rule['enum'])}")
        return text

    return {"boolean": boolean, "integer": integer}.get(rule["type"], word)


class _Checks:
    """Schemas, compiled: a function per schema that refuses what does not fit."""

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas
        self._made: dict[str, Check] = {}

    def of(self, name: str) -> Check:
        """The check of a schema; made at its first use, because schemas name themselves."""
        if name not in self._made:
            inner: list[Check] = []
            self._made[name] = lambda value, path: inner[0](value, path)  # noqa: PLW0108 — filled below
            bound = BOUND if name == "User" else {}
            inner.append(self._make(self._schemas[name], bound))
            self._made[name] = inner[0]
        return self._made[name]

    def _make(self, rule: Json, bound: Mapping[str, str | list[str]]) -> Check:
        if "$ref" in rule:
            return self.of(rule["$ref"])
        kind = str(rule.get("type"))
        if kind == "object":
            return self._object(rule, bound)
        if kind == "array":
            return _array(self._make(rule["items"], {}))
        return _CHECKS[kind](rule) if kind in _CHECKS else _anything

    def _object(self, rule: Json, bound: Mapping[str, str | list[str]]) -> Check:
        known = {name: self._make(inner, {}) for name, inner in rule.get("properties", {}).items()}
        for name, schema in bound.items():
            known[name] = _array(self.of(schema[0])) if isinstance(schema, list) else self.of(schema)
        others = self._make(rule["additionalProperties"], {}) if "additionalProperties" in rule else None

        def check(value: object, path: str) -> None:
            if not isinstance(value, dict):
                raise Misfit(path, "an object is required")
            for name, inner in value.items():
                judge = known.get(name, others)
                if judge is None:
                    raise Misfit(path, f'Unknown name "{name}": Cannot find field.')
                if inner is not None:  # null clears
                    judge(inner, f"{path}.{name}" if path else name)

        return check


def _anything(_: object, __: str) -> None:
    """Whatever JSON can say."""


def _array(each: Check) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, list):
            raise Misfit(path, "a list is required")
        for number, inner in enumerate(value):
            each(inner, f"{path}[{number}]")

    return check


def _string(rule: Json) -> Check:
    whole = rule.get("format") in ("int64", "uint64")

    def check(value: object, path: str) -> None:
        if not isinstance(value, str):
            raise Misfit(path, f"a string is required, not {value!r}")
        if whole and not re.fullmatch(r"-?\d{1,20}", value):
            raise Misfit(path, f"not a whole number: {value!r}")
        if "enum" in rule and value not in rule["enum"]:
            raise Misfit(path, f"{value!r} is none of {', '.join(rule['enum'])}")

    return check


def _boolean(_: Json) -> Check:
    def check(value: object, path: str) -> None:
        if not isinstance(value, bool):
            raise Misfit(path, f"a boolean is required, not {value!r}")

    return check


def _number(rule: Json) -> Check:
    whole = rule["type"] == "integer"

    def check(value: object, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise Misfit(path, f"a number is required, not {value!r}")

    return check


_CHECKS: Mapping[str, Callable[[Json], Check]] = {
    "string": _string,
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
}
