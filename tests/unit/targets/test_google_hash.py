"""SHA-512-crypt: what Google is told of a password that its owner chose."""

from __future__ import annotations

import re

import pytest

from syncd.targets.google_hash import crypted

VECTORS = {
    ("Hello world!", "saltstring"): (
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    ),
    ("ñandú y 47 colibríes", "abcdefgh12345678"): (
        "$6$abcdefgh12345678$EY7vOgNA6Rb3Zf8Ze64An5Oem40oIzgR5MlSdsabcVl1WSLPNcuL/sI0K7Xebx0kkYu4cuF8/7M.reTBC2xKw."
    ),
    ("a" * 63, "bb"): ("$6$bb$/2599ILHn6jP1nz87d7oYsNS1xIe.rFBeJNAd7r3AEQLxkgou5OJF12JsLlQerD8lXHs0wajSi.MxFsjDqvna/"),
    ("a" * 64, "bb"): ("$6$bb$PauKS.M8.xmtCdKBlsCc9mqwbcb6Qqaq13xfroPzYVr8wmi0C76Ouuogg2/wjFStpptKEIrJc2kcLUYuDaUSH/"),
    ("a" * 65, "c"): ("$6$c$aTdeMPwuN1P4VzBRe7qbclDzOHsYANPa6jWuJzjcu5wqqo2XeLwfZp.WjnULvmy70V0pluvhHyjZ/qSjf3rJ6/"),
}
"""From the specification (U. Drepper, 2007), and of lengths around that of a digest from OpenSSL 3 (`openssl passwd -6`)."""


@pytest.mark.parametrize(("told", "hashed"), VECTORS.items(), ids=lambda told: str(len(told)))
def test_the_hash_is_what_the_specification_says(told: tuple[str, str], hashed: str) -> None:
    """Long, short, and with letters beyond ASCII."""
    assert crypted(*told) == hashed


def test_no_two_hashes_are_alike_and_none_shows_the_password() -> None:
    """The salt is random, and of the longest kind."""
    first, second = crypted("tangerine kayak 61"), crypted("tangerine kayak 61")
    assert first != second
    assert all(re.fullmatch(r"\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}", one) for one in (first, second))
    assert "kayak" not in first
