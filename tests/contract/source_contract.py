"""What every source must do, whatever it reads: subclass, provide the fixtures, add only the source's own quirks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from syncd.core.fields import CLAIM_FACTS, SCALARS
from syncd.core.model import Record, Reject, SourceKey, SourceName, Subject, SubjectKey
from syncd.errors import EndpointError
from syncd.sources import Source, Spool, extract, stored
from syncd.vault import Vault

NAME = SourceName("contract")
VAULT = Vault(b"a key for tests, nothing else...")
NOW = datetime(2026, 9, 1, 6, 0, tzinfo=UTC)


def summed(source: Source, spool: Spool) -> dict[SubjectKey, int]:
    """The digest of every subject, as the engine adds them up."""
    found: dict[SubjectKey, int] = defaultdict(int)
    for item in source.digests(spool):
        if not isinstance(item, Reject):
            found[item[0]] = (found[item[0]] + item[1]) % 2**128
    return dict(found)


class SourceContract:
    """The shared tests. `deliver(given)` writes a delivery in which person `a` has that given name, beside at least person `b`."""

    @pytest.fixture
    def deliver(self, tmp_path: Path) -> Callable[[str], None]:
        raise NotImplementedError

    @pytest.fixture
    def withdraw(self, tmp_path: Path) -> Callable[[], None]:
        """Makes the delivery unreadable."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path: Path) -> Source:
        raise NotImplementedError

    def test_records_and_digests_speak_of_the_same_persons(
        self, source: Source, deliver: Callable[[str], None], tmp_path: Path
    ) -> None:
        """Whoever has a digest has a record, and the other way round."""
        deliver("Ann")
        spool = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        digested = {subject.key for subject in summed(source, spool) if subject.subject is Subject.PERSON}
        records = [one for one in source.records(spool, None) if isinstance(one, Record)]
        assert {record.key for record in records} == digested
        assert {"a", "b"} <= digested

    def test_records_hold_canonical_names_and_tokens_only(
        self, source: Source, deliver: Callable[[str], None], tmp_path: Path
    ) -> None:
        """No column name of a vendor, no claim fact in clear gets past a source (R23)."""
        deliver("Ann")
        spool = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        for record in source.records(spool, None):
            assert isinstance(record, Record)
            assert all(name in SCALARS or name.startswith("extra.") for name in record.fields)
            assert all(name in CLAIM_FACTS and token[:3] in ("t1:", "i1:", "s1:") for name, token in record.facts.items())
            assert record.source == NAME
            assert record.rows

    def test_what_a_record_reads_has_digests_of_its_own(
        self, source: Source, deliver: Callable[[str], None], tmp_path: Path
    ) -> None:
        """A person is found dirty through a campus or class only if those are digested too (R4)."""
        deliver("Ann")
        spool = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        digested = set(summed(source, spool))
        for record in source.records(spool, None):
            assert isinstance(record, Record)
            fed = {SubjectKey(Subject.CAMPUS, one.campus.key) for one in record.roles}
            assert fed | {SubjectKey(Subject.CLASS, one.section.key) for one in record.enrolments} <= digested

    def test_only_the_keys_asked_for(self, source: Source, deliver: Callable[[str], None], tmp_path: Path) -> None:
        """Some persons alone are told exactly as among all; an unknown key yields nothing."""
        deliver("Ann")
        spool = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        everybody = {one.key: one for one in source.records(spool, None) if isinstance(one, Record)}
        assert list(source.records(spool, [SourceKey("a")])) == [everybody[SourceKey("a")]]
        assert list(source.records(spool, [SourceKey("nobody")])) == []

    def test_the_same_delivery_again_is_the_same_spool(
        self, source: Source, deliver: Callable[[str], None], tmp_path: Path
    ) -> None:
        """An unchanged delivery is no new evidence, however new its files are (R2)."""
        deliver("Ann")
        first = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        deliver("Ann")
        second = extract(NAME, source, tmp_path / "spools", VAULT, first.id, NOW + timedelta(days=1))
        assert second.id == first.id

    def test_a_change_touches_its_person_only(self, source: Source, deliver: Callable[[str], None], tmp_path: Path) -> None:
        """One cell changed: one digest changed."""
        deliver("Ann")
        before = extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        deliver("Anna")
        after = extract(NAME, source, tmp_path / "spools", VAULT, before.id, NOW)
        old, new = summed(source, before), summed(source, after)
        assert {subject.key for subject in old.keys() | new.keys() if old.get(subject) != new.get(subject)} == {"a"}

    def test_the_same_rows_have_the_same_digests_in_any_spool(
        self, source: Source, deliver: Callable[[str], None], tmp_path: Path
    ) -> None:
        """Digests depend on what the rows say, not on when they were read."""
        deliver("Ann")
        one = extract(NAME, source, tmp_path / "one", VAULT, None, NOW)
        other = extract(NAME, source, tmp_path / "other", VAULT, None, NOW + timedelta(days=9))
        assert summed(source, one) == summed(source, other)

    def test_unreadable_is_an_error_and_leaves_nothing(
        self, source: Source, deliver: Callable[[str], None], withdraw: Callable[[], None], tmp_path: Path
    ) -> None:
        """Not read is not gone (R1): there is an error and no spool, never a spool with nobody in it."""
        deliver("Ann")
        withdraw()
        with pytest.raises(EndpointError):
            extract(NAME, source, tmp_path / "spools", VAULT, None, NOW)
        assert stored(tmp_path / "spools", NAME) == []
