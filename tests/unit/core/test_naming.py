"""Which name a person gets: folding, order, counters, avoided words, renames, and never somebody else's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from syncd.core.model import PersonId
from syncd.core.naming import IssuedName, NameDecision, NameRequest, NoNameLeft, choose, cut, fold, ledger_key

ME = PersonId("p1")
OTHER = PersonId("p2")


def nobody(_name: str) -> None:
    """The empty ledger."""


def held(*names: str, by: str = OTHER) -> Callable[[str], str | None]:
    """A ledger in which these names have a holder."""
    return dict.fromkeys(names, by).get


JSMITH = NameRequest("username", ("jsmith", "josmith"), then=lambda n: cut("jsmith", 8, str(n)), max_length=8)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("José O'Neil-García", "joseoneilgarcia"),
        ("Müller", "muller"),
        ("Straße", "strasse"),
        ("Ærøskøbing", "aeroskobing"),
        ("Łukasz Żółć", "lukaszzolc"),
        ("Nguyễn Thị Ánh", "nguyenthianh"),
        ("İpek", "ipek"),
        ("Jose\u0301", "jose"),  # e with a combining accent, as some systems export it
        ("  de la  Cruz III ", "delacruziii"),
        ("Ｊｏ", "jo"),  # full-width letters
        ("42", "42"),
        ("", ""),
        ("-.'", ""),
    ],
)
def test_folding_leaves_small_letters_and_digits(text: str, folded: str) -> None:
    """Accents, case, blanks, apostrophes and hyphens fold away."""
    assert fold(text) == folded


@pytest.mark.parametrize("text", ["王小明", "محمد", "Дмитрий", "Παπαδόπουλος", "김민준", "यश"])
def test_other_scripts_are_transliterated(text: str) -> None:
    """A name in another script becomes letters, never nothing."""
    assert fold(text).isascii()
    assert fold(text).isalpha()


def test_characters_that_are_kept_stay() -> None:
    """`keep` names what folding leaves in besides letters and digits."""
    assert fold("Anna-Lena.O'Neil", keep=".-") == "anna-lena.oneil"


def test_an_unknown_way_to_fold_is_refused() -> None:
    """Only the ways in FOLDS exist."""
    with pytest.raises(ValueError, match="ascii_lower"):
        fold("x", how="rot13")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("JSmith", "jsmith"),
        ("j.smith@district.example", "jsmith"),
        ("José.García@district.example", "josegarcia"),
        ("___", "___"),
    ],
)
def test_the_ledger_knows_one_spelling(name: str, key: str) -> None:
    """The name of an address is its local part; case, accents and dots make no second name."""
    assert ledger_key(name) == key


def test_cutting_keeps_the_counter() -> None:
    """The name is cut, the counter never."""
    assert [cut("wolfeschlegel", 8), cut("wolfeschlegel", 8, "2"), cut("wolfeschlegel", 8, "17")] == [
        "wolfesch",
        "wolfesc2",
        "wolfes17",
    ]


def test_the_first_candidate_is_taken_where_it_is_free() -> None:
    """With an empty ledger the best name wins, and it is fresh."""
    assert choose(JSMITH, ME, None, nobody) == NameDecision(IssuedName("username", "jsmith", JSMITH.basis), fresh=True)


def test_alternatives_are_tried_in_order() -> None:
    """A candidate somebody else has is passed over for the next."""
    assert choose(JSMITH, ME, None, held("jsmith")).name.value == "josmith"


def test_the_counter_begins_at_two_after_the_alternatives() -> None:
    """The counter form is tried when every candidate belongs to others."""
    assert choose(JSMITH, ME, None, held("jsmith", "josmith")).name.value == "jsmith2"


def test_the_counter_passes_over_what_is_held() -> None:
    """The number goes up until a name is free, and the length limit cuts the name, not the number."""
    taken = {"jsmith", "josmith", *(f"jsmith{n}" for n in range(2, 100))}
    assert choose(JSMITH, ME, None, held(*taken)).name.value == "jsmit100"


def test_an_account_nobody_is_linked_to_holds_its_name() -> None:
    """A name found on a target belongs to that account, so it is not given away (R9)."""
    assert choose(JSMITH, ME, None, held("jsmith", by="ad:8b7c")).name.value == "josmith"


def test_a_name_reserved_for_me_comes_before_a_better_free_one() -> None:
    """Storing a plan reserves names; making it again gives the same ones (R9)."""
    assert choose(JSMITH, ME, None, held("josmith", by=ME)).name.value == "josmith"


def test_holders_are_asked_by_the_ledgers_spelling() -> None:
    """`j.smith` is held where the ledger holds `jsmith`."""
    request = NameRequest("username", ("j.smith", "jo.smith"))
    assert choose(request, ME, None, held("jsmith")).name.value == "jo.smith"


@pytest.mark.parametrize("word", ["admin", "Root", "postmaster"])
def test_some_words_are_never_a_whole_name(word: str) -> None:
    """Role mailboxes and system accounts are avoided whatever the mapping says."""
    request = NameRequest("username", (fold(word), "second"))
    assert choose(request, ME, None, nobody).name.value == "second"


def test_words_of_the_mapping_are_avoided_too() -> None:
    """`avoid` adds words, compared folded; a name that merely contains one is fine."""
    request = NameRequest("username", ("principal", "principals"), avoid=frozenset({"Principal"}))
    assert choose(request, ME, None, nobody).name.value == "principals"


def test_a_current_name_stays_while_its_basis_does() -> None:
    """Even where a better candidate has become free since."""
    current = IssuedName("username", "jsmith7", JSMITH.basis)
    assert choose(JSMITH, ME, current, nobody) == NameDecision(current, fresh=False)


def test_a_current_name_stays_whoever_the_ledger_says_holds_it() -> None:
    """Choosing never renames somebody because of a ledger that knows two spellings of one name."""
    current = IssuedName("username", "j.smith", JSMITH.basis)
    assert choose(JSMITH, ME, current, held("jsmith")).name == current


def test_a_name_found_with_the_account_is_kept_and_takes_on_the_basis() -> None:
    """Adoption renames nobody (R34); from then on a rename in the source is noticed."""
    decision = choose(JSMITH, ME, IssuedName("username", "smithjohn", ""), nobody)
    assert decision == NameDecision(IssuedName("username", "smithjohn", JSMITH.basis), fresh=False)


def test_a_name_that_is_still_a_candidate_is_no_rename() -> None:
    """A new alternative in front of it changes the basis, not the name."""
    current = IssuedName("username", "jsmith", "basis of before")
    request = replace(JSMITH, candidates=("johnsmith", "jsmith"), on_rename="automatic")
    assert choose(request, ME, current, held("jsmith", by=ME)) == NameDecision(replace(current, basis=request.basis), fresh=False)


MARRIED = IssuedName("username", "jdoe", "basis before the wedding")


def test_on_rename_keep_keeps() -> None:
    """`keep`: the name stays for ever."""
    assert choose(JSMITH, ME, MARRIED, nobody) == NameDecision(MARRIED, fresh=False)


def test_on_rename_propose_keeps_and_says_what_it_would_be() -> None:
    """`propose`: a human decides; until then the old name and its basis stay."""
    assert choose(replace(JSMITH, on_rename="propose"), ME, MARRIED, nobody) == NameDecision(
        MARRIED, fresh=False, proposed="jsmith"
    )


def test_on_rename_automatic_takes_the_new_name() -> None:
    """`automatic`: the new name is fresh; the old one stays the person's in the ledger."""
    decision = choose(replace(JSMITH, on_rename="automatic"), ME, MARRIED, held("jdoe", by=ME))
    assert decision == NameDecision(IssuedName("username", "jsmith", JSMITH.basis), fresh=True)


def test_a_former_name_may_be_taken_up_again() -> None:
    """Undoing a rename gives the name back to its former holder (R9)."""
    request = replace(JSMITH, candidates=("jdoe",), on_rename="automatic")
    current = IssuedName("username", "jsmith", "basis of the marriage")
    assert choose(request, ME, current, held("jdoe", "jsmith", by=ME)).name.value == "jdoe"


def test_nobody_loses_a_name_because_no_other_can_be_had() -> None:
    """`automatic` with every candidate taken: the old name stays."""
    request = NameRequest("username", ("jsmith",), on_rename="automatic")
    assert choose(request, ME, MARRIED, held("jsmith")) == NameDecision(MARRIED, fresh=False)


def test_a_counter_that_leads_back_to_the_current_name_is_no_rename() -> None:
    """jsmith2 whose basis changed and who would be jsmith2 again keeps it."""
    current = IssuedName("username", "jsmith2", "basis of before")
    decision = choose(replace(JSMITH, on_rename="automatic"), ME, current, {"jsmith": OTHER, "josmith": OTHER, "jsmith2": ME}.get)
    assert (decision.name.value, decision.fresh) == ("jsmith2", False)


@pytest.mark.parametrize(
    ("request_", "ledger", "why"),
    [
        (NameRequest("username", ("", "")), nobody, "nothing is left .* in the source"),
        (NameRequest("username", ("", ""), then=str), nobody, "nothing is left"),
        (NameRequest("username", (), then=str), nobody, "nothing is left"),
        (NameRequest("username", ("admin",)), nobody, "words to avoid"),
        (NameRequest("username", ("abcdef",), max_length=5), nobody, "longer than 5"),
        (NameRequest("username", ("jsmith",)), held("jsmith"), "belong to others.*`then:`"),
        (NameRequest("username", ("jsmith",), then=lambda _n: "jsmith"), held("jsmith"), "every counter"),
        (NameRequest("username", ("jo",), then=lambda n: f"jo{n}", max_length=3), lambda _name: OTHER, "every counter"),
    ],
)
def test_where_no_name_is_left_the_reason_is_said(request_: NameRequest, ledger: Callable[[str], str | None], why: str) -> None:
    """The person is set aside with a message that says what to do; a counter that cannot grow ends."""
    with pytest.raises(NoNameLeft, match=why):
        choose(request_, ME, None, ledger)


def test_the_basis_is_of_the_candidates_alone() -> None:
    """The same names give the same basis; other names, another order or another kind do not."""
    same = NameRequest("username", JSMITH.candidates, max_length=99, on_rename="automatic")
    assert same.basis == JSMITH.basis
    assert len({JSMITH.basis, replace(JSMITH, kind="mail").basis, replace(JSMITH, candidates=("josmith", "jsmith")).basis}) == 3


def test_a_rule_of_counters_alone_has_a_basis() -> None:
    """Without candidates the basis is what the counter form is made of."""
    one, other = (NameRequest("username", (), then=f"{stem}{{}}".format) for stem in ("abel", "bela"))
    assert one.basis != other.basis
    assert choose(one, ME, None, nobody).name.value == "abel2"
