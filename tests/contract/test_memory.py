"""The in-memory target satisfies the contract, and keeps what it holds in a file where asked to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from syncd.core.model import Failure, Kind, Result
from syncd.errors import EndpointError
from syncd.targets.memory import Memory, MemoryConfig
from tests.contract.target_contract import Everything, TargetContract, account, no_password, place

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

    def test_what_could_not_be_written_did_not_happen(self, connector: Everything) -> None:
        """A full disk: nothing is called done that the next process would not find, and no half file is left."""
        assert isinstance(connector, Memory)
        native_id, told = self.made(connector, account("a"))
        path = Path(connector.config.path)
        before = path.read_text()
        in_the_way = path.with_name(f"{path.name}.{os.getpid()}")
        in_the_way.mkdir()  # no file can be written beside it
        outcomes = list(connector.apply(
            [
                self.change(Kind.CREATE, after=connector.canonical(account("b"))),
                self.change(Kind.DELETE, native_id=native_id, before=place(told)),
            ],
            no_password,
        ))  # fmt: skip
        assert [(outcome.result, outcome.failure) for outcome in outcomes] == [(Result.FAILED, Failure.WAITS)] * 2
        assert all("cannot be written" in outcome.why for outcome in outcomes)
        assert (self.all(connector), path.read_text()) == ({native_id: told}, before)
        in_the_way.rmdir()
        self.made(connector, account("b"))
        assert len(self.all(Memory("t", connector.config))) == 2  # type: ignore[arg-type]  # as above
        assert [one.name for one in path.parent.iterdir()] == [path.name]

    def test_a_file_that_may_not_be_read_is_not_to_be_removed(self, tmp_path: Path) -> None:
        """What cannot be read is not empty, and nobody is told to throw it away."""
        (tmp_path / "accounts.json").mkdir()
        with pytest.raises(EndpointError, match=r"accounts\.json cannot be read") as raised:
            Memory("t", MemoryConfig(path=str(tmp_path / "accounts.json")))
        assert "remove" not in str(raised.value)
