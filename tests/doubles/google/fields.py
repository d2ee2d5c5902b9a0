"""What Google demands of a user's values beyond their types.

Sizes come from the document's descriptions. Lengths, alphabets and the words that `type` may be are from the API reference and
the Admin help (names that may be used); where the document says nothing they are marked [K].
"""

from __future__ import annotations

import json
import re
from functools import cache

from tests.doubles.google.documents import BOUND, Json, data_sizes
from tests.doubles.google.refusals import invalid

NAME = 60  # User.name: "The maximum number of characters in the givenName and in the familyName values is 60."
DISPLAY_NAME = 256  # UserName.displayName
PASSWORD = range(8, 101)
ROUNDS = 10_000  # User.hashFunction
ALIASES = 30
_LOCAL = re.compile(r"[A-Za-z0-9_'\-]+(?:\.[A-Za-z0-9_'\-]+)*")
_GROUP_LOCAL = re.compile(r"[A-Za-z0-9_'\-+]+(?:\.[A-Za-z0-9_'\-+]+)*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}", re.IGNORECASE)
_PHONE = re.compile(r"\+[1-9]\d{5,14}")  # E.164
_HEX = {"MD5": re.compile(r"[0-9a-fA-F]{32}"), "SHA-1": re.compile(r"[0-9a-fA-F]{40}")}
_CRYPT = re.compile(r"(?:\$1\$[^$]{1,8}\$[./\w]{22}|\$5\$(?:rounds=(\d+)\$)?[^$]{1,16}\$[./\w]{43}"
                    r"|\$6\$(?:rounds=(\d+)\$)?[^$]{1,16}\$[./\w]{86}|[./\w]{13})")  # fmt: skip
_TYPES: dict[str, frozenset[str]] = {  # [K], from the reference of the users resource
    "externalIds": frozenset(["account", "custom", "customer", "login_id", "network", "organization"]),
    "organizations": frozenset(("domain_only", "school", "unknown", "work", "custom", "")),
    "relations": frozenset(
        [
            "admin_assistant",
            "assistant",
            "brother",
            "child",
            "custom",
            "domestic_partner",
            "dotted_line_manager",
            "exec_assistant",
            "father",
            "friend",
            "manager",
            "mother",
            "parent",
            "partner",
            "referred_by",
            "relative",
            "sister",
            "spouse",
        ]
    ),
    "emails": frozenset(["custom", "home", "other", "work"]),
    "addresses": frozenset(["custom", "home", "other", "work"]),
    "locations": frozenset(["custom", "default", "desk"]),
    "phones": frozenset(
        [
            "assistant",
            "callback",
            "car",
            "company_main",
            "custom",
            "grand_central",
            "home",
            "home_fax",
            "isdn",
            "main",
            "mobile",
            "other",
            "other_fax",
            "pager",
            "radio",
            "telex",
            "tty_tdd",
            "work",
            "work_fax",
            "work_mobile",
            "work_pager",
        ]
    ),
}
_ONE_PRIMARY = ("addresses", "emails", "organizations", "phones", "websites", "ims", "posixAccounts")


def address(text: object, what: str, *, group: bool = False) -> str:
    """An address Google would create: its letters, its dots, its lengths."""
    local, at, domain = str(text).rpartition("@") if isinstance(text, str) else ("", "", "")
    alphabet = _GROUP_LOCAL if group else _LOCAL
    if not at or len(local) > 64 or not alphabet.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise invalid(what)
    return f"{local}@{domain}".lower()


def password(body: Json) -> None:
    """The password and its hash function."""
    told, function = body.get("password"), body.get("hashFunction")
    if told is None:
        raise invalid("Invalid Password")
    if function is None:
        if len(told) not in PASSWORD or not told.isascii():
            raise invalid("Invalid Password")
    elif function in _HEX:
        if not _HEX[function].fullmatch(told):
            raise invalid("Invalid Password")
    elif function == "crypt":
        found = _CRYPT.fullmatch(told)
        if found is None or any(int(rounds) > ROUNDS for rounds in found.groups() if rounds):
            raise invalid("Invalid Password")
    else:
        raise invalid("Invalid hashFunction")


def name(merged: Json) -> None:
    """The names after a change."""
    for key in ("givenName", "familyName"):
        told = merged.get(key)
        if not isinstance(told, str) or not told.strip():
            raise invalid(f"{key} is required")
        if len(told) > NAME or any(letter in told for letter in "<>=\n\r\t"):
            raise invalid(key)
    if len(merged.get("displayName") or "") > DISPLAY_NAME:
        raise invalid("displayName")


@cache
def _sizes() -> dict[str, int]:
    return data_sizes("User")


def values(body: Json) -> None:
    """Everything else a body says about a user."""
    for key, told in body.items():
        if told is None or key in ("password", "name"):
            continue
        limit = _sizes().get(key)
        if limit is not None and len(json.dumps(told, ensure_ascii=False).encode()) > limit:
            raise invalid(f"{key} is larger than {limit} bytes")
        if isinstance(BOUND.get(key), list):
            _entries(key, told)
    if (phone := body.get("recoveryPhone")) and not _PHONE.fullmatch(phone):
        raise invalid("recoveryPhone")
    if body.get("recoveryEmail"):
        address(body["recoveryEmail"].replace("+", ""), "recoveryEmail")


def _entries(key: str, told: list[Json]) -> None:
    types = _TYPES.get(key)
    for entry in told:
        kind = entry.get("type")
        if types is not None and kind is not None and kind not in types:
            raise invalid(f"{key}: type {kind}")
        if kind == "custom" and not entry.get("customType"):
            raise invalid(f"{key}: customType")
        if key in ("externalIds", "relations", "phones") and not entry.get("value"):
            raise invalid(f"{key}: value")
    if key in _ONE_PRIMARY and sum(entry.get("primary") is True for entry in told) > 1:
        raise invalid(f"{key}: only one may be primary")


def custom(merged: Json, schemas: dict[str, Json]) -> None:
    """The values of custom schemas: each of a field that exists, and of its type."""
    for schema, told in merged.items():
        known = {field["fieldName"]: field for field in schemas[schema]["fields"]} if schema in schemas else None
        if known is None:
            raise invalid(f"custom_schema: no schema {schema}")
        for field, value in told.items():
            if field not in known:
                raise invalid(f"custom_schema: no field {schema}.{field}")
            spec = known[field]
            if spec.get("multiValued"):
                if not isinstance(value, list) or not all(isinstance(each, dict) and "value" in each for each in value):
                    raise invalid(f"custom_schema: {schema}.{field} takes a list of objects with a value")
                for each in value:
                    _typed(f"{schema}.{field}", spec["fieldType"], each["value"])
            else:
                _typed(f"{schema}.{field}", spec["fieldType"], value)


def _typed(where: str, kind: str, value: object) -> None:
    fits = {
        "STRING": lambda: isinstance(value, str),
        "EMAIL": lambda: isinstance(value, str) and "@" in value,
        "PHONE": lambda: isinstance(value, str),
        "BOOL": lambda: isinstance(value, bool),
        "DATE": lambda: isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None,
        "INT64": lambda: re.fullmatch(r"-?\d{1,19}", str(value)) is not None and not isinstance(value, bool),
        "DOUBLE": lambda: re.fullmatch(r"-?\d+(\.\d+)?", str(value)) is not None,
    }
    if not fits[kind]():
        raise invalid(f"custom_schema: {where} is {kind}")
