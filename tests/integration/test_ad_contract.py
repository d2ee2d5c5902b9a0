"""The Active Directory connector satisfies the target contract on a real domain controller (Samba's), over LDAPS and StartTLS.

It is bound as an ordinary account, whose rights end with the container the tests work in.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from syncd.targets.ldap_ad import ActiveDirectory
from syncd.vault import Credentials
from tests.contract.target_contract import Everything, TargetContract
from tests.integration.samba import Domain


class TestActiveDirectory(TargetContract):
    """Over LDAPS."""

    naming = "cn"

    @pytest.fixture
    def connector(self, domain: Domain, room: str) -> Iterator[Everything]:
        connector = ActiveDirectory("t", domain.config(room), Credentials(domain.server.folder))
        yield connector  # type: ignore[misc]  # structural: it has every capability
        connector.close()
