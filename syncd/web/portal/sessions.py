"""What the pages remember of a browser between two of its requests, in the portal's own SQLite, and for how long.

A browser holds a secret, 256 random bits, in a cookie. From it three things are derived, none of which tells the secret: under what
its row is found, with what the row is sealed, and what its forms carry to prove that they are ours. So whoever has the file, and
not the cookie, learns how many people are at it and nothing of any; and a browser that has proved nothing yet costs no row.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from syncd.errors import EndpointError

IDLE, ABSOLUTE = 10 * 60, 30 * 60
"""Seconds after which a session ends: without a request, and whatever happens."""
FILE = "sessions.db"
_SECRET = 32
_NONCE = 12
_VERSION = 1
_LOCKED_SECONDS = 10.0

Clock = Callable[[], float]
"""Seconds since 1970, in UTC."""


def new_secret() -> str:
    """A browser's secret."""
    return secrets.token_hex(_SECRET)


def is_secret(text: str) -> bool:
    """Whether a cookie's value can be such a secret at all."""
    return len(text) == 2 * _SECRET and text.isascii() and text.isalnum()


def form_token(secret: str) -> str:
    """What the forms of this browser carry (a synchronizer token): no other site's page can know it."""
    return _derived(secret, b"form").hex()


def is_form_token(secret: str, told: str) -> bool:
    """Whether a form that carries this is ours, and this browser's."""
    return hmac.compare_digest(form_token(secret).encode(), told.encode(errors="replace"))


def _derived(secret: str, what: bytes) -> bytes:
    return hmac.digest(secret.encode("ascii", errors="replace"), b"syncd portal " + what, hashlib.sha256)


class Sessions:
    """The rows. Used by any number of threads, one at a time; every method raises EndpointError where the file does not answer."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = folder / FILE
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self._rows = sqlite3.connect(file, timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(error) from error
        self._do("PRAGMA journal_mode = WAL")
        self._do("PRAGMA secure_delete = ON")
        version = self._do("PRAGMA user_version")[0][0]
        if version not in (0, _VERSION):
            raise EndpointError("sessions", f"{file} was written by another version of syncd", f"delete {file}: people begin again")
        self._do(
            "CREATE TABLE IF NOT EXISTS session (id BLOB PRIMARY KEY, begun REAL NOT NULL, used REAL NOT NULL, told BLOB NOT NULL) "
            "WITHOUT ROWID"
        )
        self._do(f"PRAGMA user_version = {_VERSION}")
        self.sweep()

    def begin(self, told: Mapping[str, object]) -> str:
        """A new session that remembers this; the secret for the browser's cookie."""
        self.sweep()
        secret, now = new_secret(), self._clock()
        self._do("INSERT INTO session VALUES (?, ?, ?, ?)", _derived(secret, b"row"), now, now, _sealed(secret, told))
        return secret

    def told(self, secret: str) -> Mapping[str, object] | None:
        """What this browser's session remembers, and that it was asked now; None where there is none, or it is over."""
        row, now = _derived(secret, b"row"), self._clock()
        self._do(
            "UPDATE session SET used = ? WHERE id = ? AND begun BETWEEN ? AND ? AND used BETWEEN ? AND ?", now, row, *_alive(now)
        )
        found = self._do(
            "SELECT told FROM session WHERE id = ? AND begun BETWEEN ? AND ? AND used BETWEEN ? AND ?", row, *_alive(now)
        )
        return _opened(secret, found[0][0]) if found else None

    def keep(self, secret: str, told: Mapping[str, object]) -> None:
        """Remember this instead. A session that is over stays so."""
        self._do("UPDATE session SET told = ? WHERE id = ?", _sealed(secret, told), _derived(secret, b"row"))

    def end(self, secret: str) -> None:
        """Forget everything, at once."""
        self._do("DELETE FROM session WHERE id = ?", _derived(secret, b"row"))

    def sweep(self) -> None:
        """Forget every session that is over; one that began in the future was noted by a wrong clock."""
        self._do("DELETE FROM session WHERE NOT (begun BETWEEN ? AND ? AND used BETWEEN ? AND ?)", *_alive(self._clock()))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._rows.close()

    def _do(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with self._lock, closing(self._rows.execute(statement, values)) as rows:
                return rows.fetchall()
        except sqlite3.Error as error:
            raise _unusable(error) from error


def _alive(now: float) -> tuple[float, ...]:
    """Between what a session that is not over has begun, and was last used."""
    return (now - ABSOLUTE, now, now - IDLE, now)


def _sealed(secret: str, told: Mapping[str, object]) -> bytes:
    nonce = os.urandom(_NONCE)
    key, row = _derived(secret, b"seal"), _derived(secret, b"row")
    return nonce + AESGCM(key).encrypt(nonce, json.dumps(told).encode("ascii"), row)


def _opened(secret: str, sealed: bytes) -> Mapping[str, object] | None:
    key, row = _derived(secret, b"seal"), _derived(secret, b"row")
    try:
        told = json.loads(AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], row))
    except InvalidTag:  # somebody else wrote it
        return None
    return told if isinstance(told, dict) else None


def _unusable(error: Exception) -> EndpointError:
    return EndpointError("sessions", f"the portal's own file of sessions does not answer: {type(error).__name__}", "see web.state")
