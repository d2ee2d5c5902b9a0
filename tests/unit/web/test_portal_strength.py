"""Which passwords can be guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn.matching import RANKED_DICTIONARIES

from syncd.core import claiming
from syncd.web.portal.strength import JUDGED, Owner, faults, has_run

MIA = Owner("Mía José", "García-López", 2012)


@pytest.mark.parametrize(
    "password",
    [
        "purple tractor sings loudly",
        "correct horse battery staple",
        "Zxy-halt-Feder-91",
        "ñandú veloz come tarde",
        "kQ7!vmTz2#rLw",
    ],
)
def test_a_password_that_is_hard_to_guess_is_taken(password: str) -> None:
    """Long and unlike its owner."""
    assert faults(password, MIA) == ()


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("my name is garcia ok", "no_name"),
        ("G.A.R.C.I.A rides west", "no_name"),
        ("GARCÍA rides west", "no_name"),
        ("tractor-mia-blue-moon", "no_name"),
        ("tractor 2012 blue moon", "no_birth_year"),
        ("tractor 1234 blue moon", "run"),
        ("tractor 9876 blue moon", "run"),
        ("tractor 56789 blue moon", "run"),
        ("Password1", "common"),
        ("iloveyou", "common"),
        ("qwertyuiopqwertyuiop", "guessable"),
        ("aaaaaaaaaaaaaaaaaaaa", "guessable"),
        ("g4rc1a" * 3, "guessable"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa purple tractor sings", "guessable"),
        ("purple\ttractor sings", "characters"),
    ],
)
def test_what_others_would_try_is_told_by_a_code(password: str, code: str) -> None:
    """Names, the year of birth, rows of digits, what many people use, what is soon found."""
    assert code in faults(password, MIA)


def test_a_short_name_is_in_too_many_words_to_count() -> None:
    """Whoever is called Al may use the word metal."""
    assert faults("metal kayak sings loudly", Owner("Al", "Ng", 2011)) == ()


@given(
    st.sampled_from([word for word in MIA.words if len(word) > 2]), st.text("abc xyz-", max_size=9), st.text("QRS 77", max_size=9)
)
def test_no_password_with_a_name_of_its_owner_is_taken(name: str, before: str, behind: str) -> None:
    """Whatever stands around it, and in whatever letters."""
    assert "no_name" in faults(before + name.upper() + behind, MIA)
    assert claiming.words(name) == (name,)


@given(st.text("0123456789ab", max_size=12))
def test_a_run_is_four_digits_each_next_to_the_last(text: str) -> None:
    """Compared with all the runs there are."""
    runs = [digits[at : at + 4] for digits in ("0123456789", "9876543210") for at in range(7)]
    assert has_run(text) is any(run in text for run in runs)


def test_no_name_stays_in_memory() -> None:
    """The library keeps the words of whoever was judged last in a table that all threads share."""
    assert faults("ozymandias kwilla", Owner("Percy", "Ozymandias", 2010)) == ("no_name",)
    assert faults("zanzibar stones", Owner("Percy", "Ozymandias", 2010)) == ()
    assert "user_inputs" not in RANKED_DICTIONARIES


def test_a_text_made_to_keep_the_judge_busy_is_judged_by_its_beginning() -> None:
    """Signs that stand for letters in every way are tried in every way: what is judged of them is bounded."""
    busy = "4@8({[<369&#6!1|0$5+7%2" * 4
    assert faults(busy, MIA) == faults(busy[:JUDGED], MIA)
