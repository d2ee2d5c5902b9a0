"""A password as Google takes it without being told it: SHA-512-crypt, which its Directory API calls `hashFunction: crypt`.

U. Drepper specified it ("Unix crypt using SHA-256 and SHA-512", 2007). Python has had none since 3.13.
"""

from __future__ import annotations

import hashlib
import secrets

ROUNDS = 5000
"""What the specification takes where none are named. Google takes 10,000 at most (User.hashFunction)."""
_LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SALT = 16
_SIZE = 64
_LAST = 63  # the byte that is left over when the others have been taken by threes


def crypted(password: str, salt: str = "") -> str:
    """The password, salted and hashed: `$6$SALT$…`. Without a salt, under a random one."""
    salt = salt or "".join(secrets.choice(_LETTERS) for _ in range(_SALT))
    told, grain = password.encode(), salt.encode()
    other = hashlib.sha512(told + grain + told).digest()
    begun = told + grain + _filled(other, len(told))
    length = len(told)
    while length:
        begun += other if length & 1 else told
        length >>= 1
    digest = hashlib.sha512(begun).digest()
    of_password = _filled(hashlib.sha512(told * len(told)).digest(), len(told))
    of_salt = _filled(hashlib.sha512(grain * (16 + digest[0])).digest(), len(grain))
    for number in range(ROUNDS):
        part = of_password if number & 1 else digest
        part += (of_salt if number % 3 else b"") + (of_password if number % 7 else b"")
        digest = hashlib.sha512(part + (digest if number & 1 else of_password)).digest()
    return f"$6${salt}${_spelt(digest)}"


def _filled(digest: bytes, length: int) -> bytes:
    """So many bytes of a digest, again and again."""
    return (digest * (length // _SIZE + 1))[:length]


def _spelt(digest: bytes) -> str:
    """The digest in the order and the alphabet of crypt(3)."""
    told, (first, second, third) = "", (0, 21, 42)
    for _ in range(21):
        told += _letters(digest[first] << 16 | digest[second] << 8 | digest[third], 4)
        first, second, third = second + 1, third + 1, first + 1
    return told + _letters(digest[_LAST], 2)


def _letters(value: int, count: int) -> str:
    return "".join(_LETTERS[value >> 6 * place & 0x3F] for place in range(count))
