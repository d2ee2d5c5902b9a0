"""Laws of naming: never somebody else's, always the same, always within the limits."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import PersonId
from syncd.core.naming import AVOIDED, IssuedName, NameRequest, NoNameLeft, choose, cut, fold, ledger_key

ME = PersonId("p1")

stems = st.sampled_from(["a", "ab", "jo", "smith", "o.neil", "admin", "root", "", "-", "garcialopez"])


@st.composite
def requests(draw: st.DrawFn) -> NameRequest:
    """A request as a mapping would render it: folded, cut, with or without a counter."""
    max_length = draw(st.integers(3, 10))
    stem = draw(stems)
    return NameRequest(
        "username",
        tuple(cut(candidate, max_length) for candidate in draw(st.lists(stems, max_size=3))),
        then=draw(st.sampled_from([None, lambda n: cut(stem, max_length, str(n))])),
        max_length=max_length,
        avoid=frozenset(draw(st.lists(stems, max_size=2))),
        on_rename=draw(st.sampled_from(["keep", "propose", "automatic"])),
    )


ledgers = st.dictionaries(
    st.tuples(stems, st.sampled_from(["", "2", "3", "4"])).map(lambda parts: ledger_key("".join(parts))),
    st.sampled_from([ME, "p2", "ad:77"]),
)


@given(st.text())
def test_folding_leaves_only_letters_and_digits_and_is_stable(text: str) -> None:
    """Whatever the text, what is left is a–z and 0–9, and folding it again changes nothing."""
    folded = fold(text)
    assert set(folded) <= set("abcdefghijklmnopqrstuvwxyz0123456789")
    assert fold(folded) == folded


@given(st.text(), st.text())
def test_folding_goes_letter_by_letter(one: str, other: str) -> None:
    """A name folds to the folds of its parts, so templates may fold before or after joining."""
    assert fold(one + other) == fold(one) + fold(other)


@given(st.text(), st.integers(1, 30), st.integers(2, 999))
def test_cutting_keeps_the_limit_and_the_counter(text: str, max_length: int, counter: int) -> None:
    """Never too long where the counter fits at all, and the counter is whole."""
    name = cut(text, max_length, str(counter))
    assert name.endswith(str(counter))
    assert len(name) <= max(max_length, len(str(counter)))


@given(requests(), ledgers)
def test_a_chosen_name_is_nobody_elses_and_within_the_rules(request: NameRequest, ledger: dict[str, str]) -> None:
    """A new name is free or one's own, not avoided, not too long, and folds to something."""
    try:
        name = choose(request, ME, None, ledger.get).name.value
    except NoNameLeft:
        return
    assert ledger.get(ledger_key(name)) in (None, ME)
    assert len(name) <= request.max_length
    assert fold(name)
    assert ledger_key(name) not in AVOIDED | {ledger_key(word) for word in request.avoid}


@given(requests(), ledgers, st.none() | st.builds(IssuedName, st.just("username"), stems, st.sampled_from(["", "other"])))
def test_choosing_again_chooses_the_same(request: NameRequest, ledger: dict[str, str], current: IssuedName | None) -> None:
    """With the name reserved, and with the name become current, the decision stands (R9)."""
    try:
        first = choose(request, ME, current, ledger.get)
    except NoNameLeft:
        return
    reserved = {**ledger, ledger_key(first.name.value): ME}
    assert choose(request, ME, current, reserved.get).name == first.name
    again = choose(request, ME, first.name, reserved.get)
    assert (again.name, again.fresh, again.proposed) == (first.name, False, first.proposed)


@given(st.lists(requests(), min_size=2, max_size=6))
def test_no_two_persons_get_one_name(rules: list[NameRequest]) -> None:
    """Whatever the rules, one after the other: every name is issued once."""
    ledger: dict[str, str] = {}
    for number, request in enumerate(rules):
        me = PersonId(f"p{number}")
        try:
            key = ledger_key(choose(request, me, None, ledger.get).name.value)
        except NoNameLeft:
            continue
        assert key not in ledger
        ledger[key] = me


@given(requests(), ledgers, stems)
def test_a_name_is_given_up_only_where_renames_are_automatic(request: NameRequest, ledger: dict[str, str], held: str) -> None:
    """`keep` and `propose` never change a name; nobody who has a name is left without one."""
    current = IssuedName("username", held, "other")
    decision = choose(request, ME, current, ledger.get)
    if request.on_rename != "automatic":
        assert decision.name.value == held
        assert not decision.fresh
    assert choose(replace(request, on_rename="keep"), ME, current, ledger.get).proposed is None
