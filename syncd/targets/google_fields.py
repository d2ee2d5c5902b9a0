"""The fields of a Google account by the names a mapping uses: `name.givenName`, `externalIds.organization` and so on.

Each name becomes a `Field`, which reads its values out of a User as Google tells it, and writes them into the body of an update. An
update replaces a list as a whole (Google's discovery document), so a field that lives in a list writes the whole list: the entries
of others as they are, and its own. Knows no wire.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal

from syncd.core.syntax import suggestion
from syncd.errors import ChangeError

User = Mapping[str, Any]
"""A User as JSON, Google's own shape."""
Body = dict[str, Any]

MARK = "syncd"
"""The custom type of the external id under which an account tells whom we made it for."""
NAMING = "primaryEmail"
ALIASES = "aliases"


def _types(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SCALARS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "name.givenName": ("name", "givenName"),
        "name.familyName": ("name", "familyName"),
        "name.displayName": ("name", "displayName"),
        "recoveryEmail": ("recoveryEmail",),
        "recoveryPhone": ("recoveryPhone",),
        "gender": ("gender", "type"),
        "notes": ("notes", "value"),
    }
)
_FLAGS = frozenset({"includeInGlobalAddressList", "changePasswordAtNextLogin", "ipWhitelisted"})
_LISTS: Mapping[str, tuple[str, frozenset[str]]] = MappingProxyType(
    {  # list: what holds the value of an entry, and the types an entry may have; all from Google's description of User
        "externalIds": ("value", _types("account custom customer login_id network organization")),
        "relations": (
            "value",
            _types(
                "admin_assistant assistant brother child custom domestic_partner dotted_line_manager exec_assistant "
                "father friend manager mother parent partner referred_by relative sister spouse"
            ),
        ),
        "phones": (
            "value",
            _types(
                "assistant callback car company_main custom grand_central home home_fax isdn main mobile other "
                "other_fax pager radio telex tty_tdd work work_fax work_mobile work_pager"
            ),
        ),
        "emails": ("address", _types("custom home other work")),
        "addresses": ("formatted", _types("custom home other work")),
        "keywords": ("value", _types("custom mission occupation outlook")),
        "websites": (
            "value",
            _types("app_install_page blog custom ftp home home_page other profile reservations resume work"),
        ),
    }
)
_RECORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {  # list of which the one primary (else first) entry is ours: its fields that are text
        "organizations": frozenset(["name", "title", "department", "costCenter", "description", "location", "symbol", "domain"]),
        "locations": frozenset(["area", "buildingId", "deskCode", "floorName", "floorSection"]),
    }
)
_NEW_RECORD: Mapping[str, Body] = MappingProxyType(
    {"organizations": {"primary": True, "type": "work"}, "locations": {"type": "desk"}}
)
_ACCOUNT_ITSELF = MappingProxyType(
    {
        "password": "the block `password:` of the mapping says how it is made",
        "suspended": "the lifecycle decides whether an account is open",
        "archived": "the target's `archive_parked` says whether parked accounts are archived",
        "orgUnitPath": "that is the `container`",
        "isAdmin": "syncd makes nobody an administrator",
    }
)
_LONGEST = MappingProxyType({"name.givenName": 60, "name.familyName": 60, "name.displayName": 60})
_PHONE = re.compile(r"\+[1-9]\d{6,14}")
_DRESSING = re.compile(r"[\s().-]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One field: the list or object of a User it lives in, and where in there."""

    name: str  # as Google spells it
    kind: Literal["scalar", "flag", "typed", "record", "schema", "aliases", "naming"]
    path: tuple[str, ...]
    custom: str = ""

    @property
    def top(self) -> str:
        """The field of a User that has to be asked for, to see this one."""
        return self.path[0]

    # --- reading ------------------------------------------------------------------------------------------------------

    def values(self, user: User) -> tuple[str, ...]:
        """The values as an Account has them: sorted, each once, empty ones left out."""
        return tuple(sorted({text for value in self._raw(user) if (text := _text(value))}))

    def _raw(self, user: User) -> Sequence[object]:
        match self.kind:
            case "scalar" | "flag":
                return [_at(user, self.path)]
            case "typed":
                return [entry.get(self._holder) for entry in _entries(user, self.top) if self._is_mine(entry)]
            case "record":
                entry = _primary(_entries(user, self.top))
                return [] if entry is None else [entry.get(self.path[1])]
            case "schema":
                told = _at(user, self.path)
                return [one.get("value") for one in told if isinstance(one, dict)] if isinstance(told, list) else [told]
            case "aliases":
                return [alias.lower() for alias in user.get(ALIASES) or ()]
            case _:
                return [str(user.get(NAMING, "")).lower()]

    @property
    def _holder(self) -> str:
        return _LISTS[self.top][0]

    def _is_mine(self, entry: Mapping[str, Any]) -> bool:
        mine: bool = entry.get("type") == self.path[1] and (not self.custom or entry.get("customType") == self.custom)
        return mine and not (self.top == "externalIds" and entry.get("customType") == MARK)

    # --- writing ------------------------------------------------------------------------------------------------------

    def canonical(self, values: Sequence[str]) -> tuple[str, ...]:
        """The values as read() tells them; whether Google takes them is another question."""
        kept = {value for value in values if value}
        if self.kind == "aliases":
            kept = {value.lower() for value in kept}
        if self.name == "recoveryPhone":
            kept = {_DRESSING.sub("", value) for value in kept}
        return tuple(sorted(kept))

    def _check(self, kept: Sequence[str]) -> None:
        """Raises ChangeError("invalid value") for what this field cannot hold."""
        if self.kind == "flag" and (wrong := set(kept) - {"TRUE", "FALSE"}):
            raise ChangeError("invalid value", f"{self.name} is yes or no, not {min(wrong)!r}")
        if len(kept) > 1 and self.kind in ("scalar", "flag", "record"):
            raise ChangeError("invalid value", f"{self.name} holds one value, not {len(kept)}")
        if self.name == "recoveryPhone" and not all(map(_PHONE.fullmatch, kept)):
            raise ChangeError("invalid value", "recoveryPhone is written with the country in front, like +1 512 555 0100")
        longest = _LONGEST.get(self.name)
        if longest and any(len(value) > longest for value in kept):
            raise ChangeError("invalid value", f"{self.name} has at most {longest} characters")

    def write(self, values: Sequence[str], body: Body, now: User, schemas: Mapping[str, Mapping[str, str]]) -> None:
        """Put the values into the body of an insert or update of an account that is as it is `now`.

        `schemas` tells the type of each field of custom schemas. Raises ChangeError for what this field cannot hold.
        """
        self._check(values)
        match self.kind:
            case "scalar":
                _put(body, self.path, values[0] if values else None)
                if self.name == "notes" and values:
                    body["notes"]["contentType"] = "text_plain"
            case "flag":
                body[self.top] = None if not values else values[0] == "TRUE"
            case "typed":
                entries = _entries(body if self.top in body else now, self.top)
                others = [entry for entry in entries if not self._is_mine(entry) and not _derived(self.top, entry)]
                mine: Body = {"type": self.path[1], **({"customType": self.custom} if self.custom else {})}
                body[self.top] = [*others, *({**mine, self._holder: value} for value in values)] or None
            case "record":
                self._write_record(values, body, now)
            case "schema":
                _put(body, self.path, self._typed(values, schemas) if values else None)
            case _:
                pass  # an address is the account's name, and aliases have requests of their own

    def _write_record(self, values: Sequence[str], body: Body, now: User) -> None:
        entries = [dict(entry) for entry in _entries(body if self.top in body else now, self.top)]
        entry = _primary(entries)
        if entry is None:
            entry = dict(_NEW_RECORD[self.top])
            entries.append(entry)
        if values:
            entry[self.path[1]] = values[0]
        else:
            entry.pop(self.path[1], None)
        body[self.top] = [one for one in entries if one.keys() - {"primary", "type", "customType"}] or None

    def _typed(self, values: Sequence[str], schemas: Mapping[str, Mapping[str, str]]) -> object:
        _, schema, name = self.path
        fields = schemas.get(schema)
        if fields is None or name not in fields:
            what = f"the field {name} in the custom schema {schema}" if fields is not None else f"the custom schema {schema}"
            raise ChangeError("invalid value", f"the customer has not got {what}; make it, or take {self.name} out of the mapping")
        kind, many = fields[name].removesuffix("*"), fields[name].endswith("*")
        told = [_of_type(kind, value, self.name) for value in values]
        if many:
            return [{"value": value} for value in told]
        if len(told) > 1:
            raise ChangeError("invalid value", f"{self.name} holds one value, not {len(told)}")
        return told[0]


@lru_cache(maxsize=1024)  # a mapping has a few dozen
def field_of(attribute: str) -> Field:
    """The field a mapping's attribute names, whatever its case. Raises ChangeError("invalid value") for one Google has not got."""
    if attribute.lower() == NAMING.lower():
        return Field(NAMING, "naming", (NAMING,))
    if attribute.lower() == ALIASES:
        return Field(ALIASES, "aliases", (ALIASES,))
    for name in _FLAGS:
        if name.lower() == attribute.lower():
            return Field(name, "flag", (name,))
    for name, path in _SCALARS.items():
        if name.lower() == attribute.lower():
            return Field(name, "scalar", path)
    for name, why in _ACCOUNT_ITSELF.items():
        if name.lower() == attribute.lower():
            raise ChangeError("invalid value", f"'{attribute}' cannot be mapped: {why}")
    head, *steps = attribute.split(".")
    found = _in_list(head, steps) or _in_schema(head, steps)
    if found is None:
        raise ChangeError("invalid value", f"Google has no field '{attribute}'{suggestion(attribute, fields())}")
    return found


def _in_list(head: str, steps: Sequence[str]) -> Field | None:
    for name, (_, types) in _LISTS.items():
        if name.lower() == head.lower() and steps:
            kind, custom = steps[0].lower(), ".".join(steps[1:])
            if kind in types and (kind == "custom") == bool(custom) and not (name == "externalIds" and custom == MARK):
                return Field(".".join([name, kind, *steps[1:]]), "typed", (name, kind), custom)
    for name, parts in _RECORDS.items():
        if name.lower() == head.lower() and len(steps) == 1:
            part = next((part for part in parts if part.lower() == steps[0].lower()), None)
            return Field(f"{name}.{part}", "record", (name, part)) if part is not None else None
    return None


def _in_schema(head: str, steps: Sequence[str]) -> Field | None:
    if head.lower() != "customschemas" or len(steps) != 2 or not all(steps):  # noqa: PLR2004 — a schema and a field of it
        return None
    return Field(f"customSchemas.{steps[0]}.{steps[1]}", "schema", ("customSchemas", *steps))


def fields() -> list[str]:
    """Every name a mapping can use, but for those of custom types and schemas."""
    typed = [f"{name}.{kind}" for name, (_, kinds) in _LISTS.items() for kind in kinds]
    records = [f"{name}.{part}" for name, parts in _RECORDS.items() for part in parts]
    return sorted([NAMING, ALIASES, *_SCALARS, *_FLAGS, *typed, *records])


def mark_of(user: User) -> str:
    """For whom we made the account; empty where we did not."""
    marks = (one for one in _entries(user, "externalIds") if one.get("type") == "custom" and one.get("customType") == MARK)
    return next((str(one.get("value", "")) for one in marks), "")


def mark(body: Body, person: str) -> None:
    """Say in the body of an insert for whom the account is made."""
    entries = list(_entries(body, "externalIds"))
    body["externalIds"] = [*entries, {"type": "custom", "customType": MARK, "value": person}]


def schema_fields(schemas: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The type of each field by schema and name, with a `*` behind it where it holds several values."""
    return {
        str(one.get("schemaName")): {
            str(field.get("fieldName")): f"{field.get('fieldType', 'STRING')}{'*' if field.get('multiValued') else ''}"
            for field in one.get("fields") or ()
        }
        for one in schemas
    }


# --- pieces of JSON -----------------------------------------------------------------------------------------------------


def _at(user: User, path: Sequence[str]) -> object:
    here: object = user
    for step in path:
        if not isinstance(here, Mapping):
            return None
        here = here.get(step)
    return here


def _put(body: Body, path: Sequence[str], value: object) -> None:
    for step in path[:-1]:
        inner = body.get(step)
        if not isinstance(inner, dict):
            inner = body[step] = {}
        body = inner
    body[path[-1]] = value


def _entries(user: User, name: str) -> list[Mapping[str, Any]]:
    """The entries of a list; of what is told as one object (`notes` once was a list, too), that one."""
    told = user.get(name)
    return [entry for entry in told if isinstance(entry, Mapping)] if isinstance(told, list) else []


def _primary(entries: Sequence[Any]) -> Any:
    return next((entry for entry in entries if entry.get("primary")), entries[0] if entries else None)


def _derived(top: str, entry: Mapping[str, Any]) -> bool:
    """Whether Google adds the entry itself: the account's own addresses stand among its e-mails and cannot be written there."""
    return top == "emails" and "type" not in entry


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return "" if value is None else str(value)


def _of_type(kind: str, value: str, name: str) -> object:
    """A value of a custom schema's field. Refused where Google would tell it back otherwise, for the two would never be equal."""
    typed: object = value
    try:
        if kind == "BOOL":
            typed = {"TRUE": True, "FALSE": False}.get(value)
        elif kind in ("INT64", "DOUBLE"):
            typed = int(value) if kind == "INT64" else float(value)
    except ValueError:
        typed = None
    if typed is None or _text(typed) != value:
        told = f", which Google would tell back as {_text(typed)!r}" if typed is not None else ""
        raise ChangeError("invalid value", f"{name} is of type {kind}, and {value!r} is not written so{told}")
    return typed
