"""The LDAP connector satisfies the target contract on a real slapd, over LDAPS and over StartTLS, with both kinds of groups."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from ldap3.protocol.rfc4511 import LDAPMessage
from ldap3.utils.asn1 import decoder, encode

from syncd.demo.slapd import PrivateSlapd
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_entries as entries
from syncd.targets.ldap import Ldap, LdapConfig
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials
from tests.conftest import config_for
from tests.contract.target_contract import Everything, TargetContract


class TestLdap(TargetContract):
    """Over LDAPS, with groupOfNames."""

    @pytest.fixture
    def connector(self, ldap_config: LdapConfig, credentials: Credentials) -> Iterator[Everything]:
        connector = Ldap("t", ldap_config, credentials)
        yield connector  # type: ignore[misc]  # structural: Ldap has every capability
        connector.close()


class TestLdapWithASmallWindowAndPages(TestLdap):
    """The same with one write in flight and seven entries to a page: nothing depends on the sizes."""

    @pytest.fixture
    def connector(self, slapd: PrivateSlapd, ldap_base: str, credentials: Credentials) -> Iterator[Everything]:
        connector = Ldap("t", config_for(slapd, ldap_base, window=1, page_size=7), credentials)
        yield connector  # type: ignore[misc]  # as above
        connector.close()


class TestLdapOverStartTlsWithPosixGroups(TestLdap):
    """The same over StartTLS, with posixGroup and a configured disable attribute."""

    @pytest.fixture
    def connector(self, slapd: PrivateSlapd, ldap_base: str, credentials: Credentials) -> Iterator[Everything]:
        config = config_for(
            slapd,
            ldap_base,
            urls=(slapd.url,),
            start_tls=True,
            group_class="posixGroup",
            disable_attribute="employeeType",
            disable_value="Disabled",
        )
        connector = Ldap("t", config, credentials)
        yield connector  # type: ignore[misc]  # as above
        connector.close()


SEARCH = 0x63


def through_ldap3(message: bytes) -> bytes:
    """The same message as ldap3 writes it, once it has taken it apart."""
    taken_apart, rest = decoder.decode(message, asn1Spec=LDAPMessage())
    assert not rest
    written: bytes = encode(taken_apart)
    return written


class LibraryWire(Wire):
    """A wire on which ldap3 has the last word: what leaves is its encoding, and what arrives was decoded by it first.

    But for the question of a search: ldap3 cannot read the nested filters it writes (their bytes are compared in tests/properties).
    """

    def __init__(self, *told: object) -> None:
        super().__init__(*told)  # type: ignore[arg-type]  # as a Wire is made
        self._arrived = bytearray()

    def send(self, operation: bytes, controls: Sequence[bytes] = ()) -> int:
        before = len(self._leaving)
        message_id = super().send(operation, controls)
        ours = bytes(self._leaving[before:])
        if ours and operation[0] != SEARCH:  # nothing of ours is left where it was sent at once, with those before it
            self._leaving[before:] = through_ldap3(ours)
        return message_id

    def _fill(self) -> None:
        held, self._buffer = self._buffer, bytearray()
        super()._fill()
        self._arrived += self._buffer
        self._buffer = held
        while (length := ber.frame(self._arrived, 0, entries.LONGEST)) is not None:
            self._buffer += through_ldap3(bytes(self._arrived[:length]))
            del self._arrived[:length]


class TestLdapThroughTheLibrary(TestLdap):
    """The same with every message taken apart and written again by ldap3: the other path to the same directory."""

    @pytest.fixture
    def connector(self, ldap_config: LdapConfig, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> Iterator[Everything]:
        monkeypatch.setattr("syncd.targets.ldap.Wire", LibraryWire)
        connector = Ldap("t", ldap_config, credentials)
        yield connector  # type: ignore[misc]  # as above
        connector.close()
