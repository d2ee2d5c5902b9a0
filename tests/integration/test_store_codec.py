"""The codec's law: what was written is what is read, exactly."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import (
    Account,
    Campus,
    Change,
    Enrolment,
    Guardianship,
    Kind,
    Record,
    Role,
    RowRef,
    Section,
    SourceKey,
    Value,
)
from syncd.store import codec

texts = st.text(max_size=8)
keys = texts.map(SourceKey)
tokens = st.text("0123456789abcdef", min_size=1, max_size=8)
"""What claim facts are compared by: never blank within, for what follows a blank is sealed."""
days = st.none() | st.dates()
values: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.dates(), texts, st.lists(texts, max_size=3).map(tuple)
)
campuses = st.builds(Campus, keys, texts, texts, texts, st.none() | keys)
sections = st.builds(
    Section, keys, texts, texts, keys, texts, texts, days, days, st.booleans(), st.lists(keys, max_size=2).map(tuple)
)
records = st.builds(
    Record,
    texts,
    keys,
    st.dictionaries(texts, values, max_size=4),
    st.lists(st.builds(Role, campuses, texts, st.booleans(), days, days), max_size=2).map(tuple),
    st.lists(st.builds(Enrolment, sections, texts, st.booleans(), days, days), max_size=2).map(tuple),
    st.lists(st.builds(Guardianship, keys, texts), max_size=2).map(tuple),
    st.dictionaries(texts, keys, max_size=2),
    st.dictionaries(texts, tokens, max_size=2),
    st.lists(st.builds(RowRef, texts, st.integers(0, 9)), max_size=2).map(tuple),
)
accounts = st.builds(
    Account,
    texts,
    texts,
    st.booleans(),
    st.dictionaries(texts, st.lists(texts, max_size=3).map(tuple), max_size=3),
    st.frozensets(texts, max_size=3),
)
maybe = st.none() | texts
changes = st.builds(
    Change, texts, st.sampled_from(Kind), texts, maybe, maybe, st.none() | accounts, st.none() | accounts, maybe, texts, texts
)


@given(records)
def test_a_record_comes_back_exactly(record: Record) -> None:
    """Dates, tuples, flags against numbers, and absent against None survive."""
    told = codec.record_from_bytes(record.source, record.key, codec.record_to_bytes(record))
    assert record == told
    assert [type(value) for value in record.fields.values()] == [type(told.fields[name]) for name in record.fields]


@given(changes)
def test_a_change_comes_back_exactly(change: Change) -> None:
    """Before and after images, and the kind as a Kind."""
    told = codec.change_from_json(json.loads(codec.dumps(codec.change_to_json(change))))
    assert change == told
    assert isinstance(told.kind, Kind)
