"""Keys from credential files, and the few things done with them: seal, open, tokenise, digest, and pass on to a next key.

Secrets are files: `$CREDENTIALS_DIRECTORY/NAME` (systemd `LoadCredential=`), else a file of that name in the configured folder.
Nothing here writes a key, logs a key, or reads one from the environment.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from syncd.errors import EndpointError

STATE_KEY = "state_key"
"""The credential every sealed thing at rest hangs on: at least 32 characters from a random source."""

NEXT_KEY = "next_state_key"
"""The credential that takes the state key's place in a rotation."""

_NONCE = 12
_ENCLOSED = b"\0enclosed: \0"
"""What begins like this was sealed under an earlier key, and its sealed bytes once more under this one."""
assert len(_ENCLOSED) == _NONCE  # noqa: S101 — no random nonce is taken for it
_ID = 4  # bytes that name a key
_SUBKEY = 32


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
    _heirlooms: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
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
        store(self, "key_id", self._derive("key id", _ID).hex())
        store(self, "_seal", AESGCM(self._derive("seal", _SUBKEY)))
        store(self, "_token", self._derive("claim token", _SUBKEY))
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
        if sealed[:_NONCE] != _ENCLOSED:
            return _opened(self._seal, sealed, context)
        key, inner = self.enclosed(sealed, context)
        if key not in self._heirlooms:
            raise _cannot_open(context)
        return _opened(AESGCM(self._heirlooms[key][:_SUBKEY]), inner, context)

    # --- rotation -----------------------------------------------------------------------------------------------------

    @property
    def heirloom(self) -> bytes:
        """What the next key must be given of this one: enough to open what is enclosed and to ask for tombstones, no more."""
        return self._derive("seal", _SUBKEY) + self._token

    @property
    def heirlooms(self) -> Mapping[str, bytes]:
        """What was kept of earlier keys, by their ids."""
        return self._heirlooms

    def with_heirlooms(self, kept: Mapping[str, bytes]) -> Vault:
        """The same vault, knowing these heirlooms of earlier keys."""
        return replace(self, _heirlooms=dict(kept))

    def enclose(self, key: str, inner: bytes, context: str) -> bytes:
        """Bytes that were sealed under an earlier key, sealed as they are: it takes both keys to read them now."""
        return _ENCLOSED + bytes.fromhex(key) + self.seal(inner, f"enclosed {key} {context}")

    def enclosed(self, sealed: bytes, context: str) -> tuple[str, bytes]:
        """Under which key something was sealed first, and the very bytes of it; of what was never enclosed, itself."""
        if sealed[:_NONCE] != _ENCLOSED:
            return self.key_id, sealed
        key = sealed[_NONCE : _NONCE + _ID].hex()
        return key, _opened(self._seal, sealed[_NONCE + _ID :], f"enclosed {key} {context}")

    def fact_token(self, value: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact as it may lie at rest (R23): an HMAC bound to source, person, fact and key id; deterministic."""
        mac = hmac.new(self._token, f"{source}\x1f{key}\x1f{fact}\x1f{value}".encode(), hashlib.sha256).hexdigest()
        return f"t1:{self.key_id}:{mac[:40]}"

    def index_token(self, value: str, *, fact: str) -> str:
        """Equal for equal values across persons, so that two birth dates can be compared without being known (R23, R35)."""
        return _index_token(self._token, self.key_id, value, fact)

    def index_tokens(self, value: str, *, fact: str) -> set[str]:
        """The index tokens of a value under this key and under every earlier one it has an heirloom of."""
        earlier = {(key, told[_SUBKEY:]) for key, told in self._heirlooms.items()}
        return {_index_token(token, key, value, fact) for key, token in {(self.key_id, self._token), *earlier}}

    def seal_fact(self, value: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact encrypted deterministically (AES-SIV, RFC 5297), so that an unchanged row keeps its digest."""
        return f"s1:{self.key_id}:{self._siv.encrypt(value.encode(), self._bound(source, key, fact)).hex()}"

    def open_fact(self, sealed: str, *, source: str, key: str, fact: str) -> str:
        """What was sealed. Raises EndpointError where it was altered, or is another's, another source's or another key's."""
        kind, _, told = sealed.partition(f":{self.key_id}:")
        try:
            return self._siv.decrypt(bytes.fromhex(told if kind == "s1" else ""), self._bound(source, key, fact)).decode()
        except (InvalidTag, ValueError) as error:
            raise _cannot_open(f"{fact} of {source}/{key}") from error

    def _bound(self, source: str, key: str, fact: str) -> list[bytes]:
        return [f"{source}\x1f{key}\x1f{fact}\x1f{self.key_id}".encode()]

    def kept_fact(self, value: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact that can be compared and opened (R23): its index token and, behind a blank, the sealed value."""
        return f"{self.index_token(value, fact=fact)} {self.seal_fact(value, source=source, key=key, fact=fact)}"

    def row_digest(self) -> Callable[[bytes], int]:
        """A keyed 128-bit digest of one raw row, as an integer: digests of several rows are added modulo 2**128, never XORed."""
        key = self._digest

        def digest(row: bytes) -> int:
            return int.from_bytes(hashlib.blake2b(row, digest_size=16, key=key).digest(), "big")

        return digest


@dataclass(frozen=True, slots=True)
class Rekeying:
    """From one state key to the next: what lay under `old` as it may lie under `new`, which knows the heirlooms of all before."""

    old: Vault
    new: Vault = field(repr=False)

    @classmethod
    def between(cls, old: Vault, new: Vault) -> Rekeying:
        """From `old` to `new`, which inherits what is left of every earlier key."""
        return cls(old, new.with_heirlooms({**old.heirlooms, old.key_id: old.heirloom}))

    def resealed(self, sealed: bytes, context: str) -> bytes:
        """The same contents, sealed under the new key."""
        return self.new.seal(self.old.open(sealed, context), context)

    def enclosed(self, sealed: bytes, context: str) -> bytes:
        """The same sealed bytes, for what has been committed to is those (R24); they open under the new key only."""
        return self.new.enclose(*self.old.enclosed(sealed, context), context)

    def fact(self, kept: str, *, source: str, key: str, fact: str) -> str:
        """A claim fact that can be opened, under the new key; "" where it cannot. Raises nothing: what is lost is told again."""
        try:
            value = self.old.open_fact(kept.partition(" ")[2], source=source, key=key, fact=fact)
        except EndpointError:
            return ""
        return self.new.kept_fact(value, source=source, key=key, fact=fact)


def keys_in(tokens: Iterable[str]) -> list[str]:
    """The ids of the keys under which these claim facts are kept, one for each fact."""
    return [token.split(":")[1] for token in tokens if token[:3] in ("t1:", "i1:", "s1:") and token.count(":") > 1]


def _index_token(subkey: bytes, key_id: str, value: str, fact: str) -> str:
    mac = hmac.new(subkey, f"index\x1f{fact}\x1f{value}".encode(), hashlib.sha256).hexdigest()
    return f"i1:{key_id}:{mac[:40]}"


def _opened(key: AESGCM, sealed: bytes, context: str) -> bytes:
    try:
        return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise _cannot_open(context) from error


def _cannot_open(context: str) -> EndpointError:
    return EndpointError(
        "state",
        f"cannot open {context}: altered, or sealed under another {STATE_KEY}",
        f"restore the {STATE_KEY} credential that belongs to this store",
    )
