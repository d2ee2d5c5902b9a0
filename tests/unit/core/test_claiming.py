"""Who somebody is at a claim: names in every spelling and never with a wrong letter, the mask, and what wrong tries lead to."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.claiming import (
    DISTRICT_SPAN,
    NETWORK_SPAN,
    Budget,
    Counters,
    Limits,
    Tries,
    Verdict,
    are_four_digits,
    birth_date_of,
    folded,
    is_same_name,
    judge,
    words,
)
from tests.conftest import NIGHTLY

NOW = datetime(2026, 8, 20, 14, tzinfo=UTC)
TODAY = NOW.date()
MINUTE = timedelta(minutes=1)
LIMITS = Limits()

# --- the mask ---------------------------------------------------------------------------------------------------------


def test_a_birth_date_is_read_as_the_mask_has_it() -> None:
    """Two digits, two digits, four digits, with slashes."""
    assert birth_date_of("01/05/2012", TODAY) == date(2012, 1, 5)
    assert birth_date_of("02/29/2012", TODAY) == date(2012, 2, 29)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1/5/2012",
            "01-05-2012",
            "01052012",
            "2012-01-05",
            "13/01/2012",
            "02/29/2013",
            "01/05/12",
            " 01/05/2012",
            "01/05/2012\n",
        ),
        *("٠١/٠٥/٢٠١٢", "01/05/1899", "08/21/2026", "", "01/05/2012 "),
    ],
)
def test_anything_else_is_no_birth_date(text: str) -> None:
    """Nor is a day that does not exist, or that nobody here was born on."""
    assert birth_date_of(text, TODAY) is None


@pytest.mark.parametrize("text", ["123", "12345", "12a4", "", " 1234", "1234\n", "١٢٣٤"])
def test_only_four_digits_are_four_digits(text: str) -> None:
    """Of the kind that is on a keyboard."""
    assert not are_four_digits(text)
    assert are_four_digits("0000")


# --- names ------------------------------------------------------------------------------------------------------------

SAME = [
    (("Jose", "Garcia"), ("José", "García")),
    (("JOSÉ", "GARCÍA"), ("José", "García")),
    (("jose\u0301", "garci\u0301a"), ("José", "García")),
    (("Sean", "ONeil"), ("Sean", "O'Neil")),
    (("Sean", "O\u2019Neil"), ("Sean", "O'Neil")),
    (("Sean", "o neil"), ("Sean", "O'Neil")),
    (("Mary Ann", "Smith"), ("Mary-Ann", "Smith")),
    (("Maryann", "Smith"), ("Mary-Ann", "Smith")),
    (("Ana", "Garcia Lopez"), ("Ana", "García-López")),
    (("Ana", "GarciaLopez"), ("Ana", "García López")),
    (("Ana", "Garcia"), ("Ana", "García López")),
    (("Ana", "de la Cruz"), ("Ana", "De La Cruz Ortiz")),
    (("Ana", "Delacruz"), ("Ana", "De La Cruz")),
    (("John", "King"), ("John", "King Jr.")),
    (("John", "King III"), ("John", "King")),
    (("John", "King, Jr"), ("John", "King II")),
    (("Núñez", "Peña"), ("Nunez", "Pena")),
    (("Junior", "Soto"), ("Junior", "Soto")),
]


@pytest.mark.parametrize(("typed", "legal"), SAME)
def test_a_name_may_be_typed_in_many_ways(typed: tuple[str, str], legal: tuple[str, str]) -> None:
    """Case, accents, apostrophes, hyphens, blanks and suffixes do not matter; a second surname may be left out."""
    assert is_same_name(typed, legal)


OTHER = [
    (("Jose", "Garcya"), ("José", "García")),
    (("Jos", "Garcia"), ("José", "García")),
    (("Josee", "Garcia"), ("José", "García")),
    (("Ana", "Lopez"), ("Ana", "García López")),
    (("Ana", "Garcia Lopes"), ("Ana", "García López")),
    (("Ana", "De La"), ("Ana", "De La Cruz")),
    (("Ana", "De"), ("Ana", "De La Cruz")),
    (("Ana", "Gar"), ("Ana", "García")),
    (("Garcia", "Ana"), ("Ana", "García")),
    (("Ana", "Garcia Lopez"), ("Ana", "García")),
    (("Ana Maria", "Garcia"), ("Ana", "García")),
    (("Ana", "Jr"), ("Ana", "King Jr")),
    (("", "Garcia"), ("", "García")),
    (("Ana", "'"), ("Ana", "")),
]


@pytest.mark.parametrize(("typed", "legal"), OTHER)
def test_a_wrong_letter_is_another_name(typed: tuple[str, str], legal: tuple[str, str]) -> None:
    """Nor is a part of one name, another's name, or nothing at all."""
    assert not is_same_name(typed, legal)


NAMES = st.text(string.ascii_letters + "áéíóúñüÀç -'’.", min_size=1, max_size=14).filter(lambda text: bool(words(text)))


def letters(name: str) -> str:
    """What must be the same of a name, told by the words alone."""
    return "".join(words(name))


@given(NAMES, NAMES, st.randoms(use_true_random=False))
def test_no_spelling_that_keeps_the_letters_is_refused(first: str, last: str, chance: random.Random) -> None:
    """Always: case, blanks and hyphens between any two letters, and a suffix behind."""
    legal = "".join(words(last))
    if legal in ("jr", "sr", "ii", "iii", "iv", "v", "junior", "senior"):
        return
    typed = "".join(f"{one.upper() if chance.random() < 0.5 else one}{chance.choice(['', '', '', '-', chr(39)])}" for one in legal)
    assert is_same_name((first, typed.strip("-'") + chance.choice(["", " Jr.", " III"])), (first, legal))


@given(NAMES, NAMES, st.integers(0, 30), st.sampled_from(string.ascii_lowercase))
def test_one_wrong_letter_anywhere_is_always_refused(first: str, last: str, place: int, letter: str) -> None:
    """Always, in the given name as in the family name."""
    told = letters(last)
    at = place % len(told)
    wrong = told[:at] + letter + told[at + 1 :]
    if wrong == told or words(f"x {wrong}") != ("x", wrong):
        return
    assert not is_same_name((first, wrong), (first, told))
    if words(f"x {told}") == ("x", told):
        assert not is_same_name((wrong, first), (told, first))


@given(NAMES, NAMES)
def test_spellings_of_one_name_are_counted_as_one(first: str, last: str) -> None:
    """What counts tries is the same for all of them, but for a second surname."""
    assert folded(first, last) == folded(f" {first.upper()} ", last.lower())


# --- wrong tries ------------------------------------------------------------------------------------------------------


def blank(now: datetime = NOW) -> Counters:
    """Nobody has tried anything."""
    return Counters(Tries(), Budget(now), Budget(now))


def tried(counters: Counters, times: int, now: datetime = NOW) -> Counters:
    """So many wrong ones, one behind the other."""
    for _ in range(times):
        counters = counters.tried(LIMITS, now)
    return counters


def test_the_fifth_wrong_try_locks_for_fifteen_minutes_and_not_longer() -> None:
    """Four do not; the try after a quarter of an hour is looked at, and the lock counts down."""
    assert judge(tried(blank(), 4), LIMITS, NOW) == Verdict()
    locked = tried(blank(), 5)
    assert judge(locked, LIMITS, NOW) == Verdict(15, compared=False)
    assert judge(locked, LIMITS, NOW + 14 * MINUTE + timedelta(seconds=30)) == Verdict(1, compared=False)
    assert judge(locked, LIMITS, NOW + 15 * MINUTE) == Verdict()


def test_ten_wrong_tries_in_all_are_refused_whatever_comes_and_not_told_as_a_lock() -> None:
    """Neither a day nor the right facts help: somebody has to."""
    closed = tried(tried(blank(), 5), 5, NOW + 15 * MINUTE)
    assert judge(closed, LIMITS, NOW + timedelta(days=9)) == Verdict(0, compared=False)
    nearly = tried(tried(blank(), 5), 4, NOW + 15 * MINUTE)
    assert judge(nearly, LIMITS, NOW + timedelta(days=9)) == Verdict()


def test_a_lock_of_the_person_is_not_told_and_nothing_is_compared() -> None:
    """Else another spelling of the name would show that there is somebody."""
    person = replace(blank(), person=tried(blank(), 5).person)
    assert judge(person, LIMITS, NOW) == Verdict(0, compared=False)
    assert judge(person, LIMITS, NOW + 15 * MINUTE) == Verdict()


def test_a_right_try_leaves_what_others_have_tried() -> None:
    """Four wrong ones, the owner's right one: the next wrong one is the fifth."""
    four = tried(blank(), 4)
    after = four.tried(LIMITS, NOW).were_right(LIMITS)
    assert (after.typed, after.person) == (four.typed, four.person)
    assert (after.network.wrong, after.network.right) == (4, 1)
    assert judge(tried(after, 1), LIMITS, NOW).locked == 15


def test_a_clock_that_was_wrong_locks_nobody_for_longer_than_a_lock_lasts() -> None:
    """What was noted years ahead counts as nothing."""
    ahead = tried(blank(NOW + timedelta(days=900)), 5, NOW + timedelta(days=900))
    assert judge(ahead, LIMITS, NOW).locked == 0


def test_a_network_has_a_budget_that_grows_with_those_who_claim_rightly() -> None:
    """A school behind one address in which every fifth mistypes is never locked; a machine that guesses is, for the hour."""
    guessing = Counters(Tries(), Budget(NOW, LIMITS.network), Budget(NOW, LIMITS.network))
    assert judge(guessing, LIMITS, NOW + 10 * MINUTE).locked == 50
    assert judge(guessing, LIMITS, NOW + NETWORK_SPAN).locked == 0
    network, district = Budget(NOW), Budget(NOW)
    for number in range(5000):
        assert judge(Counters(Tries(), network, district), LIMITS, NOW) == Verdict(), number
        network, district = network.tried(), district.tried()
        if number % 5:
            network, district = network.was_right(), district.was_right()


def test_guesses_at_many_people_from_many_networks_end_with_the_district_s_budget() -> None:
    """Each of them is the first of its name and of its network; the day is over for all at 400."""
    district = Budget(NOW)
    evaluated = 0
    for _ in range(10_000):
        if judge(Counters(Tries(), Budget(NOW), district), LIMITS, NOW).compared:
            evaluated += 1
            district = district.tried()
    assert evaluated == LIMITS.district
    assert judge(Counters(Tries(), Budget(NOW), district), LIMITS, NOW + DISTRICT_SPAN).compared


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=60))
def test_never_are_more_than_ten_wrong_tries_compared_nor_five_within_a_lock(steps: list[tuple[int, bool]]) -> None:
    """Whatever is tried at whatever pace, right ones in between."""
    counters, now = blank(), NOW
    compared: list[datetime] = []
    for minutes, right in steps:
        now += minutes * MINUTE
        verdict = judge(counters, LIMITS, now)
        if verdict.locked:
            continue
        counters = counters.tried(LIMITS, now)
        if verdict.compared and right:
            counters = counters.were_right(LIMITS)
        elif verdict.compared:
            compared.append(now)
    assert len(compared) <= LIMITS.close_after
    assert all(after - before >= LIMITS.lock for before, after in zip(compared, compared[LIMITS.tries :], strict=False))


# --- somebody who guesses ---------------------------------------------------------------------------------------------

SEEDS, TRIES, STUDENTS = (100, 10_000, 25_000) if NIGHTLY else (4, 1_500, 25_000)


@dataclass
class Page:
    """The counters behind one page, all in one place, and digits drawn for each student."""

    chance: random.Random
    typed: dict[int, Tries] = field(default_factory=dict)
    networks: dict[int, Budget] = field(default_factory=dict)
    district: Budget = field(default_factory=lambda: Budget(NOW))
    digits: dict[int, int] = field(default_factory=dict)
    evaluated: int = 0
    opened: set[int] = field(default_factory=set)

    def tries(self, student: int, guess: int, network: int) -> bool:
        """One try with the name and birth date of a student; whether it was evaluated."""
        typed = self.typed.get(student, Tries())
        counters = Counters(typed, self.networks.get(network, Budget(NOW)), self.district, typed)
        verdict = judge(counters, LIMITS, NOW)
        if verdict.locked:
            return False
        counters = counters.tried(LIMITS, NOW)
        if verdict.compared and student not in self.opened:
            self.evaluated += 1
            if self.digits.setdefault(student, self.chance.randrange(10_000)) == guess:
                self.opened.add(student)
                counters = counters.were_right(LIMITS)
        self.typed[student], self.networks[network], self.district = counters.typed, counters.network, counters.district
        return verdict.compared


@pytest.mark.parametrize("addresses", [1, 500])
def test_whoever_knows_every_name_and_birth_date_guesses_a_few_hundred_times_a_day(addresses: int) -> None:
    """However they spread it: at most 500 guesses are evaluated, one in ten thousand of them is right, and health tells of it."""
    evaluated = opened = 0
    for seed in range(SEEDS):
        chance = random.Random(seed)
        page = Page(chance)
        for number in range(TRIES):
            page.tries(chance.randrange(STUDENTS), chance.randrange(10_000), number % addresses)
        assert page.evaluated <= 500
        assert 2 * page.district.wrong >= (LIMITS.district if addresses > 1 else LIMITS.network)
        evaluated, opened = evaluated + page.evaluated, opened + len(page.opened)
    expected = evaluated / 10_000
    assert evaluated >= SEEDS * min(LIMITS.network, TRIES)
    assert opened <= expected + 4 * max(expected, 1) ** 0.5, (opened, evaluated)
