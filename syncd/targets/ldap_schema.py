"""Which attributes a server's schema knows. A filter on an unknown one finds nobody and says nothing, so we ask beforehand (R7)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from syncd.errors import EndpointError
from syncd.targets.ldap_wire import Wire

_EXCHANGES = re.compile(r"extensionAttribute([1-9]|1[0-5])", re.IGNORECASE)  # Exchange's, and in no domain from the beginning
_NAMES = re.compile(r"\bNAME\s+(?:'([^']+)'|\(\s*((?:'[^']+'\s*)+)\))")


class Schema:
    """The attribute names of one server, read once and on demand."""

    def __init__(self, endpoint: str, wire: Wire) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._known: dict[str, str] | None = None
        self._approved: set[str] = set()

    def must_know(self, attributes: Collection[str]) -> None:
        """Raises EndpointError naming the first attribute the server does not have. Silent where the server shows no schema."""
        unchecked = {name for name in attributes if name not in self._approved}
        if not unchecked:
            return
        known = self._names()
        for name in sorted(unchecked):
            if known and name.partition(";")[0].lower() not in known:
                raise EndpointError(self._endpoint, f"the server knows no attribute {name}", _hint(name, known))
        self._approved |= unchecked

    def _names(self) -> dict[str, str]:
        """Attribute names by their lower case."""
        if self._known is None:
            root = self._wire.entry("", ["subschemaSubentry"])
            places = root[1].get("subschemasubentry", []) if root else []
            entry = self._wire.entry(places[0].decode(), ["attributeTypes"]) if places else None
            told = (value.decode(errors="replace") for value in (entry[1] if entry else {}).get("attributetypes", ()))
            found = (match for text in told for match in _NAMES.findall(text)[:1])
            self._known = {name.lower(): name for one, many in found for name in (one, *re.findall("'([^']+)'", many)) if name}
        return self._known


def _hint(name: str, known: Mapping[str, str]) -> str:
    """What to do about an attribute the server does not have."""
    if _EXCHANGES.fullmatch(name):
        return "it comes with Exchange: extend the schema by Exchange's, or map to another attribute"
    close = get_close_matches(name.lower(), known, n=1)
    return f"did you mean {known[close[0]]}?" if close else "correct the mapping, or load the schema that defines it"
