"""`python -m bench.apart.plain_sync ZIP URL CA BASE BIND_DN FOLDER`: what an administrator would otherwise run at night.

A plain script on csv and ldap3, written for the bench: it looks every person of a OneRoster file up with one search, makes an
account where there is none, and corrects what is different. It has no memory, no plan and no journal; who is named like somebody
else gets a number; nobody is ever disabled; a half export is believed. Prints how many were made, corrected and left alone.
"""

from __future__ import annotations

import csv
import io
import json
import secrets
import ssl
import sys
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import ldap3
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

ATTRIBUTES = (
    *("cn", "sn", "givenName", "displayName", "employeeNumber", "employeeType", "departmentNumber"),
    *("physicalDeliveryOfficeName", "mail", "initials"),
)
_NO_SUCH_OBJECT, _TAKEN = 32, (19, 68)


def rows(archive: zipfile.ZipFile, name: str) -> Iterator[dict[str, str]]:
    """The rows of one file."""
    with archive.open(name) as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))


def plain(text: str) -> str:
    """Small letters and digits without accents."""
    folded = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "".join(letter for letter in folded if letter.isalnum())


def people(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The container and the attributes of everybody in the roster who is a student or works here."""
    with zipfile.ZipFile(path) as archive:
        campuses = {row["sourcedId"]: (row["identifier"], row["name"]) for row in rows(archive, "orgs.csv")}
        roles = {row["userSourcedId"]: row for row in rows(archive, "roles.csv") if row["roleType"] == "primary"}
        for row in rows(archive, "users.csv"):
            role = roles.get(row["sourcedId"])
            if role is None or role["role"] in ("parent", "guardian", "relative"):
                continue
            kind = "student" if role["role"] == "student" else "staff"
            code, school = campuses[role["orgSourcedId"]]
            whole = f"{row['givenName']} {row['familyName']}"
            values = (whole, row["familyName"], row["givenName"], whole, row["identifier"], kind, code, school)
            wanted = dict(zip(ATTRIBUTES, (*values, "", row["middleName"]), strict=True))
            yield f"ou={code},ou={'Students' if kind == 'student' else 'Staff'}", wanted


def add(connection: ldap3.Connection, base: str, container: str, wanted: dict[str, str]) -> None:
    """Make the account under the first name that is free, and its container where it is missing."""
    stem = plain(wanted["givenName"][:1] + wanted["sn"]) or f"u{wanted['employeeNumber']}"
    for number in range(1, 1000):
        name = stem if number == 1 else f"{stem}{number}"
        made = {**wanted, "uid": name, "mail": f"{name}@lonestar.example.org", "description": "Created from the roster"}
        attributes = {attribute: value for attribute, value in made.items() if value}
        attributes["userPassword"] = secrets.token_urlsafe(12)
        dn = f"uid={escape_rdn(name)},{container},{base}"
        connection.add(dn, "inetOrgPerson", attributes)
        if connection.result["result"] == _NO_SUCH_OBJECT:
            connection.add(f"{container},{base}", "organizationalUnit")
            connection.add(dn, "inetOrgPerson", attributes)
        if connection.result["result"] not in _TAKEN:
            break
    if connection.result["result"]:
        raise SystemExit(f"{dn}: {connection.result}")


def correct(connection: ldap3.Connection, entry: dict[str, dict[str, list[bytes]]], wanted: dict[str, str]) -> bool:
    """Replace what is different; True where something was."""
    held = {name.lower(): sorted(value.decode() for value in values) for name, values in entry["raw_attributes"].items()}
    differs = {
        attribute: [(ldap3.MODIFY_REPLACE, [value] if value else [])]
        for attribute, value in wanted.items()
        if attribute != "mail" and held.get(attribute.lower(), []) != ([value] if value else [])
    }
    if differs and not connection.modify(str(entry["dn"]), differs):
        raise SystemExit(f"{entry['dn']}: {connection.result}")
    return bool(differs)


def main(path: str, url: str, ca: str, base: str, bind_dn: str, folder: str) -> None:
    """Look at everybody, one after the other."""
    made = corrected = left = 0
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
    server = ldap3.Server(url, get_info=ldap3.NONE, tls=tls)
    password = (Path(folder) / "service.password").read_text("utf-8")
    with ldap3.Connection(server, bind_dn, password, auto_bind=True, check_names=False) as connection:
        for container, wanted in people(path):
            number = escape_filter_chars(wanted["employeeNumber"])
            connection.search(base, f"(employeeNumber={number})", attributes=list(ATTRIBUTES))
            if not connection.response:
                add(connection, base, container, wanted)
                made += 1
            elif correct(connection, connection.response[0], wanted):
                corrected += 1
            else:
                left += 1
    print(json.dumps({"made": made, "corrected": corrected, "left": left}))


if __name__ == "__main__":
    main(*sys.argv[1:])
