"""Addresses to listen at, as settings spell them."""

from __future__ import annotations


def parsed_address(text: str) -> tuple[str, int] | None:
    """The host and port of `HOST:PORT`; None for anything else."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdecimal() and 0 <= int(port) < 1 << 16):
        return None
    bracketed = host.startswith("[") and host.endswith("]")
    return None if (":" in host) != bracketed else (host[1:-1] if bracketed else host, int(port))
