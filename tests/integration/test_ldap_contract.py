"""The LDAP connector satisfies the target contract on a real slapd, over LDAPS and over StartTLS, with both kinds of groups."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.demo.slapd import PrivateSlapd
from syncd.targets.ldap import Ldap, LdapConfig
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
