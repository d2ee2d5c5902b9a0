"""Whether somebody is who they say they are at a claim, and when they may not try any more. Pure.

Two rules. A name may be typed in many ways and never with a wrong letter. And what is answered depends on what was typed and how
often, on nothing else: whether such a person exists, has claimed or is barred decides what is done, and is told to nobody.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from anyascii import anyascii

_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")
_NOTHING_BETWEEN = re.compile("['`.\u2018\u2019\u02bc\u00b4]")
"""What stands inside a name and parts nothing: an apostrophe in all its shapes, the point of an initial."""
_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv", "v", "junior", "senior"})
_ROMANCE = "a al da das de del della di do dos du e el la las le los san santa y"
_OTHERS = "ben bin den der ibn mac mc o st ter van vander von"
_PARTICLES = frozenset(f"{_ROMANCE} {_OTHERS}".split())
"""Words that begin a family name and are none by themselves: whoever types only these has left out more than a second surname."""
_BIRTH_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_LAST4 = re.compile(r"[0-9]{4}")
LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What wrong tries at a claim lead to. The counters are in the store: no restart forgets them."""

    tries: int = field(default=5, metadata={"doc": "Wrong tries, with one name and birth date, until these are locked."})
    lock: timedelta = field(default=timedelta(minutes=15), metadata={"unit": "span", "doc": "How long they are locked then."})
    close_after: int = field(
        default=10,
        metadata={"doc": "Wrong tries in all after which a name and birth date are refused until somebody releases the person."},
    )
    network: int = field(
        default=200,
        metadata={
            "doc": "Wrong tries that one network has in an hour, and one more for every two claims that were right there: a school "
            "behind one address does not use them up. A network is an IPv4 address, or the first 64 bits of an IPv6 one."
        },
    )
    district: int = field(
        default=400,
        metadata={
            "doc": "The same in 24 hours for everybody together: what stops somebody who guesses a little at each of many people. "
            "At half of it health says so, at the whole nobody can claim until the day is over or somebody looked."
        },
    )

    def __post_init__(self) -> None:
        for name in ("tries", "close_after", "network", "district"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be at least 1")
        if not timedelta(minutes=1) <= self.lock <= timedelta(days=1):
            raise ValueError("lock: must be from 1 minute to 1 day")
        if self.close_after < self.tries:
            raise ValueError("close_after: must not be less than tries")


NETWORK_SPAN = timedelta(hours=1)
DISTRICT_SPAN = timedelta(days=1)


# --- what was typed ---------------------------------------------------------------------------------------------------


def birth_date_of(text: str, today: date) -> date | None:
    """The day that was typed as MM/DD/YYYY, slashes included; None for anything else, and for days nobody here was born on."""
    told = _BIRTH_DATE.fullmatch(text)
    if told is None or not text.isascii():
        return None
    try:
        day = date(int(told[3]), int(told[1]), int(told[2]))
    except ValueError:
        return None
    return day if date(1900, 1, 1) <= day <= today else None


def are_four_digits(text: str) -> bool:
    """Whether these are four digits and nothing else."""
    return _LAST4.fullmatch(text) is not None and text.isascii()


# --- names ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 12)
def _parted(name: str) -> tuple[str, ...]:
    plain = anyascii(_NOTHING_BETWEEN.sub("", unicodedata.normalize("NFKC", name[:LONGEST_NAME]))).lower()
    return tuple(word for word in _NOT_A_LETTER.split(_NOTHING_BETWEEN.sub("", plain)) if word)


def words(name: str) -> tuple[str, ...]:
    """The words of a name in small letters without accents, without what stands behind it (`Jr.`, `III`).

    O'Neil-García III becomes oneil, garcia. A word in front of which there is none stays: somebody may be called Junior.
    """
    parted = _parted(name)
    while len(parted) > 1 and parted[-1] in _SUFFIXES:
        parted = parted[:-1]
    return parted


def folded(given: str, family: str) -> str:
    """What two spellings of one name have in common, for counting: letters only. A second surname makes it another."""
    return f"{''.join(words(given))}|{''.join(words(family))}"


def is_same_name(typed: tuple[str, str], legal: tuple[str, str]) -> bool:
    """Whether a typed given and family name are these legal ones.

    Case, accents, hyphens, apostrophes, blanks and suffixes do not matter, and a second surname may be left out; a letter that is
    wrong, missing or too many does.
    """
    given, told = "".join(words(typed[0])), _joined(typed[1])
    family = words(legal[1])
    firsts = {"".join(family[:end]) for end in range(1, len(family)) if family[end - 1] not in _PARTICLES}
    return given != "" and given == "".join(words(legal[0])) and not told.isdisjoint(_joined(legal[1]) | firsts)


def _joined(name: str) -> set[str]:
    """The letters of a name, with what may stand behind it and without: of `Soto V` nobody knows which it is."""
    parted = _parted(name)
    found = {"".join(parted)} - {""}
    while len(parted) > 1 and parted[-1] in _SUFFIXES:
        parted = parted[:-1]
        found.add("".join(parted))
    return found


# --- wrong tries ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tries:
    """Wrong tries of one name and birth date, or at one person: in all, since the last lock, and until when that lasts."""

    wrong: int = 0
    streak: int = 0
    until: datetime | None = None

    def locked(self, limits: Limits, now: datetime) -> timedelta:
        """How long they are locked yet; nothing where they are not. What lasts longer than a lock was noted by a wrong clock."""
        left = self.until - now if self.until is not None else timedelta()
        return left if timedelta() < left <= limits.lock else timedelta()

    def closed(self, limits: Limits) -> bool:
        """Whether there were so many that nothing but a release helps."""
        return self.wrong >= limits.close_after

    def tried(self, limits: Limits, now: datetime) -> Tries:
        """With one more, counted as a wrong one before anything is compared: a kill in between makes no try free."""
        streak = self.streak + 1
        if streak < limits.tries:
            return Tries(self.wrong + 1, streak)
        return Tries(self.wrong + 1, 0, now + limits.lock)

    def was_right(self, limits: Limits) -> Tries:
        """As they were before the last one, which was right: what others typed before it stays counted."""
        if self.streak:
            return replace(self, wrong=max(self.wrong - 1, 0), streak=self.streak - 1)
        return Tries(max(self.wrong - 1, 0), limits.tries - 1)


@dataclass(frozen=True, slots=True)
class Budget:
    """Tries of one network, or of the whole district, since a moment: how many were wrong, how many right."""

    since: datetime
    wrong: int = 0
    right: int = 0

    def at(self, now: datetime, span: timedelta) -> Budget:
        """As it counts now: nothing, once the span is over. A beginning that lies ahead was noted by a wrong clock."""
        return self if timedelta() <= now - self.since < span else Budget(now)

    def allowed(self, wrong: int) -> int:
        """How many wrong tries it takes, of which so many are free: where people claim rightly, some mistype."""
        return wrong + self.right // 2

    def is_spent(self, wrong: int) -> bool:
        """Whether there is nothing left of it."""
        return self.wrong >= self.allowed(wrong)

    def tried(self) -> Budget:
        """With one more, counted as a wrong one."""
        return replace(self, wrong=self.wrong + 1)

    def was_right(self) -> Budget:
        """The last one was right."""
        return replace(self, wrong=max(self.wrong - 1, 0), right=self.right + 1)


@dataclass(frozen=True, slots=True)
class Counters:
    """Everything that is counted of one try; `person` is whom the name and the birth date mean, where they mean somebody."""

    typed: Tries
    network: Budget
    district: Budget
    person: Tries = Tries()

    def tried(self, limits: Limits, now: datetime) -> Counters:
        """With this try, as a wrong one."""
        network, district = self.network.at(now, NETWORK_SPAN), self.district.at(now, DISTRICT_SPAN)
        return Counters(self.typed.tried(limits, now), network.tried(), district.tried(), self.person.tried(limits, now))

    def were_right(self, limits: Limits) -> Counters:
        """Without this try among the wrong ones."""
        typed, person = self.typed.was_right(limits), self.person.was_right(limits)
        return Counters(typed, self.network.was_right(), self.district.was_right(), person)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is done with a try. `locked`: for so many minutes it is neither counted nor compared, and that is said.

    Else it is counted; where it is not `compared` either, it is refused as a wrong one is, and takes as long.
    """

    locked: int = 0
    compared: bool = True


def judge(counters: Counters, limits: Limits, now: datetime) -> Verdict:
    """What is done with a try that stands before these counters.

    A lock that is told is of what was typed, of the network or of the district. One of the person is not: another spelling of
    their name would show that there is somebody.
    """
    network, district = counters.network.at(now, NETWORK_SPAN), counters.district.at(now, DISTRICT_SPAN)
    left = [counters.typed.locked(limits, now)]
    left += [network.since + NETWORK_SPAN - now] if network.is_spent(limits.network) else []
    left += [district.since + DISTRICT_SPAN - now] if district.is_spent(limits.district) else []
    longest = max(left)
    if longest > timedelta():
        return Verdict(-int(-longest.total_seconds() // 60), compared=False)
    person = counters.person
    return Verdict(0, not (counters.typed.closed(limits) or person.closed(limits) or person.locked(limits, now)))
