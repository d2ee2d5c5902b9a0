"""Keys from credential files, and the few things done with them: seal, open, tokenise, digest.

Secrets are files: `$CREDENTIALS_DIRECTORY/NAME` (systemd `LoadCredential=`), else a file of that name in the configured folder.
Nothing here writes a key, logs a key, or reads one from the environment.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from syncd.errors import EndpointError

STATE_KEY = "state_key"
"""The credential every sealed thing at rest hangs on: at least 32 characters from a random source."""

_NONCE = 12


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where secrets are read from: systemd's folder first, else the configured one."""

    folder: Path

    def path(self, name: str) -> Path:
        """The file that holds the secret, whether it exists or not."""
        systemd = os.environ.get("CREDENTIALS_DIRECTORY")
        if systemd and (Path(systemd) / name).is_file():
            return Path(systemd) / name
        return self.folder / name

    def read(self, name: str) -> bytes:
        """The secret without one trailing newline.

        Raises EndpointError naming the file that is missing, empty, unreadable, or readable by others than its owner.
        """
        path = self.path(name)
        try:
            with path.open("rb") as file:
                others = os.fstat(file.fileno()).st_mode & 0o077
                secret = file.read().removesuffix(b"\n")
        except OSError as error:
            remedy = "create the file, mode 0600" if isinstance(error, FileNotFoundError) else "look at its owner and mode"
            raise EndpointError(f"credential {name}", f"cannot read {path}: {error.strerror}", remedy) from error
        if others and path.parent == self.folder:  # systemd's own folder is guarded by systemd, and its modes show an access list
            raise EndpointError(
                f"credential {name}",
                f"{path} can be read or written by others than its owner",
                f"chmod 600 {path}, and consider whether the secret is still one",
            )
        if not secret:
            raise EndpointError(f"credential {name}", f"{path} is empty", "write the secret into it")
        return secret

    def text(self, name: str) -> str:
        """The secret as text. Raises EndpointError as read() does, and for one that is not UTF-8, naming the file only."""
        secret = self.read(name)
        try:
            return secret.decode()
        except UnicodeDecodeError:
            why = f"{self.path(name)} is not text in UTF-8"
            raise EndpointError(f"credential {name}", why, "write the password into it as text") from None


@dataclass(frozen=True, slots=True)
class Vault:
    """Everything derived from the state key. Each purpose has its own subkey (HKDF, RFC 5869), so that none serves another."""

    _master: bytes = field(repr=False)
    key_id: str = field(init=False)
    _seal: AESGCM = field(init=False, repr=False)
    _token: bytes = field(init=False, repr=False)
    _siv: AESSIV = field(init=False, repr=False)
    _digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the subkeys once. Raises EndpointError on a key that is too short to be random."""
        if len(self._master) < 32:  # noqa: PLR2004 — 32 bytes: what AES-256 and HMAC-SHA256 are keyed with
            raise EndpointError(
                f"credential {STATE_KEY}", "is shorter than 32 characters", "head -c 32 /dev/urandom | base64 > the file"
            )
        store = object.__setattr__
        store(self, "key_id", self._derive("key id", 4).hex())
        store(self, "_seal", AESGCM(self._derive("seal", 32)))
        store(self, "_token", self._derive("claim token", 32))
        store(self, "_siv", AESSIV(self._derive("claim siv", 64)))
        store(self, "_digest", self._derive("row digest", 32))

    def _derive(self, purpose: str, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=None, info=f"syncd {purpose}".encode()).derive(self._master)

    def seal(self, plain: bytes, context: str) -> bytes:
        """`plain` encrypted and authenticated (AES-256-GCM, random nonce in front), openable only under the same context."""
        nonce = os.urandom(_NONCE)
        return nonce + self._seal.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed. Raises EndpointError where the bytes were altered, or sealed under another key or context."""
        try:
            return self._seal.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except InvalidTag as error:
            raise EndpointError(
                "state",
                f"cannot open {context}: altered, or sealed under another {STATE_KEY}",
                f"restore the {STATE_KEY} credential that belongs to this store",
            ) from error

    def fact_token(self, value: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact as it may lie at rest (R23): an HMAC bound to source, person, fact and key id; deterministic."""
        mac = hmac.new(self._token, f"{source}\x1f{key}\x1f{fact}\x1f{value}".encode(), hashlib.sha256).hexdigest()
        return f"t1:{self.key_id}:{mac[:40]}"

    def index_token(self, value: str, *, fact: str) -> str:
        """Equal for equal values across persons, so that two birth dates can be compared without being known (R23, R35)."""
        mac = hmac.new(self._token, f"index\x1f{fact}\x1f{value}".encode(), hashlib.sha256).hexdigest()
        return f"i1:{self.key_id}:{mac[:40]}"

    def seal_fact(self, value: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact encrypted deterministically (AES-SIV, RFC 5297), so that an unchanged row keeps its digest."""
        bound = [f"{source}\x1f{key}\x1f{fact}\x1f{self.key_id}".encode()]
        return f"s1:{self.key_id}:{self._siv.encrypt(value.encode(), bound).hex()}"

    def row_digest(self) -> Callable[[bytes], int]:
        """A keyed 128-bit digest of one raw row, as an integer: digests of several rows are added modulo 2**128, never XORed."""
        key = self._digest

        def digest(row: bytes) -> int:
            return int.from_bytes(hashlib.blake2b(row, digest_size=16, key=key).digest(), "big")

        return digest
