"""One server per run, also where one name stands for several: what one was told, another may not know yet."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import pytest

from syncd.demo.slapd import SUFFIX, PrivateSlapd
from syncd.errors import EndpointError, TransientError
from syncd.targets.ldap_route import Route
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials
from tests.conftest import config_for

HERE, ELSEWHERE = "127.0.0.1", "127.0.0.9"  # nobody listens at the second
_real = socket.getaddrinfo


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The addresses that a name server tells of `localhost`, in this order: the test turns them, as round robin does."""
    addresses = [HERE, ELSEWHERE]

    def answered(host: str, port: int, *rest: int, **named: int) -> Sequence[object]:
        if host != "localhost":
            return _real(host, port, *rest, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answered)
    return addresses


def wires(server: PrivateSlapd, count: int) -> list[Wire]:
    """Some wires of one connector."""
    port = urlsplit(server.secure_url).port
    config = config_for(server, SUFFIX, urls=(f"ldaps://localhost:{port}",), connect_timeout=2)
    credentials, route = Credentials(server.credentials), Route(config.urls)
    return [Wire("t", config, lambda: credentials.text(config.credential), route) for _ in range(count)]


def test_all_wires_go_where_the_first_one_went(slapd: PrivateSlapd, told: list[str]) -> None:
    """Whatever the name server tells next; the certificate is still held against the name."""
    with ExitStack() as open_ones:
        first, second = (open_ones.enter_context(closing(one)) for one in wires(slapd, 2))
        first.open()
        told.reverse()
        del told[1:]
        second.open()
        first.close()
        first.open()
        assert second.entry("", ["1.1"]) is not None


def test_where_others_stand_behind_the_name_a_lost_server_ends_the_run(own_slapd: PrivateSlapd, told: list[str]) -> None:
    """Not the next address: that is the next run's. Behind a name of its own a server may come back in the same run."""
    (wire,) = wires(own_slapd, 1)
    with closing(wire):
        wire.open()
        own_slapd.stop()
        wire.close()
        with pytest.raises(EndpointError, match=r"went away in the middle.*the next run begins with another server"):
            wire.open()
        with pytest.raises(TransientError):
            wire.open()  # the next run: each of them is tried, and there is none
        own_slapd.restart()
        del told[1:]
        wire.open()
        own_slapd.stop()
        wire.close()
        with pytest.raises(TransientError):
            wire.open()
