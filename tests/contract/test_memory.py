"""The in-memory target satisfies the contract, and keeps what it holds in a file where asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.errors import EndpointError
from syncd.targets.memory import Memory, MemoryConfig
from tests.contract.target_contract import Everything, TargetContract, account

CONTAINERS = ("OU=Students", "OU=Staff", "OU=Groups", "OU=Disabled")


class TestMemory(TargetContract):
    """The shipped target without a server."""

    @pytest.fixture
    def connector(self) -> Everything:
        return Memory("t", MemoryConfig(containers=CONTAINERS))  # type: ignore[return-value]  # structural: Memory has every capability


class TestMemoryInAFile(TestMemory):
    """The same, kept in a file after every apply."""

    @pytest.fixture
    def connector(self, tmp_path: Path) -> Everything:
        return Memory("t", MemoryConfig(path=str(tmp_path / "accounts.json"), containers=CONTAINERS))  # type: ignore[return-value]  # as above

    def test_another_process_finds_what_was_written(self, connector: Everything) -> None:
        """The demo's second run is a second process."""
        native_id, told = self.made(connector, account("a"))
        self.one(connector, self.change(Kind.CREATE_GROUP, group="cn=g,ou=groups"))
        self.one(connector, self.change(Kind.ADD_MEMBER, native_id=native_id, before=told, group="cn=g,ou=groups"))
        assert isinstance(connector, Memory)
        again = Memory("t", connector.config)
        assert self.all(again) == {native_id: told}  # type: ignore[arg-type]  # as above
        assert [group.members for group in again.read_groups(["cn=g,ou=groups"])] == [{native_id}]

    def test_a_damaged_file_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        """Nothing is ever planned from half of it."""
        path = tmp_path / "accounts.json"
        path.write_text('{"accounts"')
        with pytest.raises(EndpointError, match=r"accounts\.json"):
            Memory("t", MemoryConfig(path=str(path)))
