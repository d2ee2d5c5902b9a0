"""First passwords on their way to paper: opened, written to one file, and from then on kept nowhere (R21)."""

from __future__ import annotations

import csv
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from syncd.cli.cells import neutral
from syncd.core.model import Record, TargetName
from syncd.core.rendering import MASK
from syncd.store import Known, Store
from syncd.store.history import password_context
from syncd.vault import Vault

COLUMNS = ("person", "target", "name", "campus", "user name", "account", "password", "valid until")


def hand_out(store: Store, vault: Vault, path: Path, target: TargetName | None, now: datetime) -> int:
    """How many passwords were written to `path`, a new file with mode 0600; with none waiting there is no file.

    They are marked as handed out only when the file lies safely on disk. Raises FileExistsError where it is there already.
    """
    waiting = store.sealed_passwords(now, target)
    if not waiting:
        return 0
    people = {sealed.person for sealed in waiting}
    records, names, states = store.records(people), store.names(people), store.persons(people)
    known = {name: store.known(name, people) for name in {sealed.target for sealed in waiting}}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with ExitStack() as undo:
        undo.callback(path.unlink)  # never half of the passwords, and none that are still sealed
        with os.fdopen(descriptor, "w", encoding="utf-8-sig", newline="") as file:  # the mark tells spreadsheets that it is UTF-8
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for sealed in sorted(waiting, key=lambda one: (one.target, states[one.person].campus, one.person)):
                password = vault.open(sealed.sealed, password_context(sealed.target, sealed.person)).decode()
                row = (
                    sealed.person,
                    sealed.target,
                    _called(records.get(sealed.person, [])),
                    states[sealed.person].campus,
                    ", ".join(issued.value for issued in names.get(sealed.person, {}).values()),
                    _place(known[sealed.target].get(sealed.person)),
                    password,
                    f"{sealed.expires:%Y-%m-%d}",
                )
                writer.writerow([neutral(cell) for cell in row])
            file.flush()
            os.fsync(file.fileno())
        undo.pop_all()
    store.hand_out([sealed.id for sealed in waiting], now)
    return len(waiting)


def _called(records: list[Record]) -> str:
    fields = records[0].fields if records else {}
    if any(record.fields.get("confidential") for record in records):
        return MASK  # R37: the letter finds its way by campus and user name
    return " ".join(str(fields[part]) for part in ("given", "family", "suffix") if fields.get(part))


def _place(known: Known | None) -> str:
    return known.account.rdn if known else ""
