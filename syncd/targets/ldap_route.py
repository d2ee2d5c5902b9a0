"""Which of several servers is spoken to: one, by everybody who shares the route, until it fails.

Servers that copy from each other are behind each other: what one was told, another may not know yet, and that must not look as if
somebody had undone it. So a run that has begun with one server ends with it, or ends early. Several may stand behind one name, as
all controllers of a domain do behind the domain's: then it is the address that answered which is kept.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit


class Route:
    """The server that was chosen, if any."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._several = len(self._urls) > 1
        self._chosen: tuple[str, str] | None = None

    def to_try(self) -> Iterator[tuple[str, str]]:
        """The servers that may be dialled now, in this order: each by its URL and one of its addresses."""
        if self._chosen is not None:
            yield self._chosen
            return
        self._several = len(self._urls) > 1
        for url in self._urls:
            addresses = _addresses(urlsplit(url).hostname or "")
            self._several |= any(count > 1 for count in Counter(addresses.values()).values())
            yield from ((url, address) for address in addresses)

    def reached(self, url: str, address: str) -> None:
        """A server that answers: stay with it."""
        self._chosen = url, address

    def lost(self) -> str:
        """The chosen server does not answer any more. Which it was, if there is another to begin anew with, else nothing."""
        was, self._chosen = self._chosen, None
        return was[0] if was is not None and self._several else ""


def _addresses(host: str) -> Mapping[str, int]:
    """A server's addresses, each with its kind: one of each kind is how one server is reached. Itself where nobody knows it."""
    try:
        return {str(place[0]): family for family, _, _, _, place in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)}
    except OSError:
        return {host: 0}  # whoever dials says what is wrong with it
