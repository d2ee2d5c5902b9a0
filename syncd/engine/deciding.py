"""What is undecided, and what humans say about it: checked as a whole before anything of it is remembered (R6, R35)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from syncd.core.model import NativeId, PersonId, SourceName, TargetName
from syncd.core.resolution import RecordKey, Resolution, United, Verb, account_of, record_of
from syncd.engine.lock import exclusive
from syncd.errors import EndpointError
from syncd.store import Finding, Store

TOGETHER = 500
"""Answers remembered in one transaction. Each of them is there as a whole or not at all, and repeating them changes nothing."""


@dataclass(frozen=True, slots=True)
class Question:
    """Something undecided: a record that is nobody's yet (`source/key`) or a person without a sure account, and who it might be."""

    subject: str
    why: str
    candidates: Mapping[str, str]  # what speaks for each
    called: str = ""  # the name told by the record, masked where it is confidential (R37)
    person: PersonId | None = None
    target: TargetName | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a human says of one question; without a candidate it is about the only one, or, of `ignore`, about all of them."""

    subject: str
    verb: Verb
    candidate: str
    because: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an answer, by its place among those that were given."""

    place: int
    why: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What answers come to, each by itself. Where there are problems nothing is to be remembered."""

    answers: tuple[tuple[Resolution, ...], ...] = ()
    problems: tuple[Problem, ...] = ()
    known: int = 0  # answers that were given before


class Deciding:
    """Asks and remembers who is who."""

    def __init__(self, store: Store, state: Path, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._state = state
        self._clock = clock

    def questions(self) -> list[Question]:
        """Everything that is undecided, as the last applied run found it, in the order it was found."""
        return [_question(finding) for finding in self._store.findings("disputed")]

    def check(self, answers: Sequence[Answer], actor: str) -> Checked:
        """Whether these answers can be remembered, all of them, and what they say. Remembers nothing."""
        checking = _Checking(self._store, self.questions(), actor, self._clock())
        for place, answer in enumerate(answers):
            checking.take(place, answer)
        return Checked(tuple(checking.answers), tuple(checking.problems), checking.known)

    def remember(self, answers: Sequence[Sequence[Resolution]], told: Callable[[int], None] = lambda _: None) -> int:
        """Remember answers for ever, some at a time, each as a whole; how many decisions are new. Killed, it is simply done again.

        `told` hears how many answers are safe by now.
        """
        new, persons = 0, [one for answer in answers for one in answer if _is_of_two_persons(one)]
        rest = [answer for answer in answers if not any(map(_is_of_two_persons, answer))]
        if persons:
            with exclusive(self._state, self._store, self._clock):  # what a run has begun with stays whose it is until it ends
                for one in persons:
                    self._store.uniting.unite(one)
                    new += 1
                    told(new)
        for start in range(0, len(rest), TOGETHER):
            part = rest[start : start + TOGETHER]
            new += self._store.resolutions.decide([one for answer in part for one in answer])
            told(len(persons) + start + len(part))
        return new

    def withdraw(self, subject: str, actor: str, because: str) -> list[Resolution]:
        """Take back what was decided of a subject, and the question is asked again; what that was.

        Raises EndpointError where nothing was decided, or what was decided has been done and cannot be undone.
        """
        with exclusive(self._state, self._store, self._clock):  # else a run that began before would do it meanwhile
            held = [one for one in self._store.resolutions.about([subject]) if one.subject == subject and one.withdrawn is None]
            if not held:
                raise EndpointError(f"resolution of {subject}", "there is none", "see `syncd explain` for what was decided")
            for one in held:
                if done := self._is_done(one):
                    raise EndpointError(f"resolution of {subject}", done, "it cannot be taken back any more")
            now = self._clock()
            for one in filter(_is_of_two_persons, held):
                self._store.uniting.part(one, now, actor, because)
            self._store.resolutions.withdraw([one for one in held if not _is_of_two_persons(one)], now, actor, because)
            account_holders = [PersonId(subject)] if record_of(subject) is None else []
            self._store.mark(account_holders)
            return held

    def _is_done(self, one: Resolution) -> str:
        """What was done because of a decision and stays; empty where nothing was."""
        key, account = record_of(one.subject), account_of(one.candidate)
        if _is_of_two_persons(one):
            run = self._store.uniting.applied_since(one)
            return f"{run} has been applied since, with what was theirs as {one.candidate}'s" if run is not None else ""
        if key is not None:
            known = self._store.keys(key[0], {key[1]}).get(key[1])
            planned = known is not None and key in self._store.only_planned()
            return f"the record belongs to {known.person} since a run applied it" if known is not None and not planned else ""
        if account is None:
            return ""
        mine = self._store.known(account[0], [PersonId(one.subject)]).get(PersonId(one.subject))
        return f"account {mine.native_id} on {account[0]} is theirs since a run applied it" if mine is not None else ""


def waits_for_runs(checked: Checked) -> bool:
    """Whether these answers can only be remembered while no run is under way: they make two persons one."""
    return any(_is_of_two_persons(one) for answer in checked.answers for one in answer)


def _is_of_two_persons(one: Resolution) -> bool:
    return one.verb is Verb.MERGE and record_of(one.subject) is None


def _question(finding: Finding) -> Question:
    told = json.loads(finding.detail.get("evidence") or "{}")
    called = finding.detail.get("called", "")
    return Question(finding.subject, finding.why, told, called, finding.person, finding.target)


@dataclass(slots=True)
class _Checking:
    """Answers as they are checked: each against the store, and against those before it."""

    store: Store
    questions: Sequence[Question]
    actor: str
    now: datetime
    answers: list[tuple[Resolution, ...]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    known: int = 0
    _candidates: dict[str, dict[str, str]] = field(init=False)
    _everyone: Collection[PersonId] = field(init=False)
    _merged: dict[str, str] = field(default_factory=dict)  # subject -> candidate, of the store and of these answers
    _here: dict[str, int] = field(default_factory=dict)  # what these answers say of a subject: the place of the first
    _given: dict[tuple[str, SourceName], int] = field(default_factory=dict)  # who gets a record of which source in these answers
    _accounts: dict[str, str] = field(default_factory=dict)  # account -> person, of these answers
    _held: dict[tuple[Verb, str], list[str]] = field(default_factory=dict)  # candidates, by what was decided of which subject
    _asked: set[tuple[str, TargetName | None]] = field(default_factory=set)
    _linked: dict[TargetName, Mapping[NativeId, PersonId]] = field(default_factory=dict)
    _united: Mapping[PersonId, United] = field(init=False)
    _twos: set[str] = field(default_factory=set)  # persons of whom these answers say that they are one with somebody

    def __post_init__(self) -> None:
        self._united = self.store.resolutions.united()
        self._candidates = {}
        for one in self.questions:
            self._candidates.setdefault(one.subject, {}).update(one.candidates)
            self._asked.add((one.subject, one.target))
        self._everyone = self.store.everyone()
        for made in self.store.resolutions.all():
            if made.withdrawn is None:
                self._held.setdefault((made.verb, made.subject), []).append(made.candidate)
                if made.verb is Verb.MERGE:
                    self._merged[made.subject] = made.candidate

    def take(self, place: int, answer: Answer) -> None:
        """Check one answer."""
        answer = self._as_meant(answer)
        problem, chosen = self._chosen(answer)
        if not problem and chosen and set(chosen) <= set(self._held.get((answer.verb, answer.subject), ())):
            self.known += 1
            return
        problem = problem or self._problem(place, answer, chosen)
        if problem:
            self.problems.append(Problem(place, problem))
            return
        self._here[answer.subject] = place
        because = answer.because.strip()
        self.answers.append(tuple(Resolution(answer.verb, answer.subject, one, self.now, self.actor, because) for one in chosen))

    def _as_meant(self, answer: Answer) -> Answer:
        """The answer, about whoever stays of those who are one; of two persons, the one who goes is the subject."""
        if answer.verb is not Verb.MERGE:
            return answer
        other = self._who_stays(answer.candidate)
        if record_of(answer.subject) is not None:
            return replace(answer, candidate=other)
        one = self._who_stays(answer.subject)
        gone = next((text for text in (answer.subject, answer.candidate) if PersonId(text) in self._united), None)
        if one == other and gone is not None:  # they are one already: it is that decision again
            return replace(answer, subject=gone, candidate=self._held[Verb.MERGE, gone][0])
        if one not in self._everyone or other not in self._everyone or one == other:
            return replace(answer, subject=one, candidate=other)
        goes, stays = self.store.uniting.in_order(PersonId(one), PersonId(other))
        return replace(answer, subject=goes, candidate=stays)

    def _who_stays(self, text: str) -> str:
        one = self._united.get(PersonId(text))
        return one.into if one is not None else text

    def _chosen(self, answer: Answer) -> tuple[str, list[str]]:
        """What is wrong with the candidate, or which candidates the answer is about."""
        candidates = self._candidates.get(answer.subject, {})
        if answer.candidate:
            return "", [answer.candidate]
        held = self._held.get((answer.verb, answer.subject), [])
        if answer.subject not in self._candidates and held:
            return "", held
        fitting = [one for one in candidates if (account_of(one) is not None) == (answer.verb is Verb.LINK)]
        if answer.verb is Verb.IGNORE:
            return "", list(candidates)
        if len(fitting) == 1:
            return "", fitting
        listed = ", ".join(fitting) or "none"
        return f"name the candidate to {answer.verb} {answer.subject} with: {listed}", []

    def _problem(self, place: int, answer: Answer, chosen: Sequence[str]) -> str:
        if not answer.because.strip():
            return "say why; it is kept with who said so"
        if answer.verb is Verb.MERGE and record_of(answer.subject) is None:
            return self._unite(answer)
        return self._settles(place, answer, chosen)

    def _settles(self, place: int, answer: Answer, chosen: Sequence[str]) -> str:
        if answer.subject not in self._candidates:
            return f"{answer.subject} is not disputed; `syncd disputes` lists what is"
        if answer.subject in self._here:
            return f"{answer.subject} is answered twice"
        if not chosen:
            return f"{answer.subject} has no candidates: it is no question of who somebody is"
        for one in chosen:
            if why := self._verdict(place, answer, one):
                return why
        return ""

    def _verdict(self, place: int, answer: Answer, candidate: str) -> str:
        others = set(Verb) - {Verb.IGNORE} if answer.verb is Verb.IGNORE else {Verb.IGNORE}
        if any(candidate in self._held.get((verb, answer.subject), ()) for verb in others):
            return f"the contrary was decided of {answer.subject} and {candidate}; `syncd unresolve {answer.subject}` takes it back"
        match answer.verb:
            case Verb.MERGE:
                return self._merge(place, answer.subject, candidate)
            case Verb.LINK:
                return self._link(answer.subject, candidate)
            case _:
                listed = self._candidates[answer.subject]
                return "" if candidate in listed else f"{candidate} is no candidate of {answer.subject}: {', '.join(listed)}"

    def _merge(self, place: int, subject: str, candidate: str) -> str:
        key, other = record_of(subject), record_of(candidate)
        if key is None:
            raise AssertionError("two persons are checked by themselves")
        if candidate not in (self._everyone if other is None else self._candidates[subject]):
            return f"{candidate} is nobody {subject} can be merged with; name a person (p17) or one of the candidates"
        if self._merged.get(subject, candidate) != candidate:
            return f"{subject} was merged with {self._merged[subject]} already; `syncd unresolve {subject}` takes that back"
        end = candidate
        while end in self._merged and end != subject:
            end = self._merged[end]
        if end == subject:
            return f"{candidate} is merged with {subject} already: one of the two is enough"
        if self._given.setdefault((end, key[0]), place) != place:
            return f"{end} would get two records of {key[0]} at once; decide one of the two by itself if that is so"
        self._merged[subject] = candidate
        return ""

    def _unite(self, answer: Answer) -> str:
        goes, stays = answer.subject, answer.candidate
        for one in (goes, stays):
            if one not in self._everyone:
                return f"{one or 'nobody'} is nobody who is known; name two persons (p17, p23)"
            if one in self._twos:
                return f"{one} is in two answers; decide one of them by itself, then the other"
        if goes == stays:
            return f"{goes} is {stays} already"
        self._twos |= {goes, stays}
        return self.store.uniting.refusal(PersonId(goes), PersonId(stays), self.now)

    def _link(self, subject: str, candidate: str) -> str:
        account = account_of(candidate)
        if account is None:
            return f"{candidate!r} is no account; write target:native id"
        if record_of(subject) is not None:
            return f"{subject} is nobody's record yet: say whose it is first (merge or ignore)"
        target, native_id = account
        if (subject, target) not in self._asked:
            return f"{subject} is not disputed on {target}"
        if target not in self._linked:
            self._linked[target] = self.store.linked(target)
        owner = self._linked[target].get(native_id) or self._accounts.get(candidate)
        if owner is not None and owner != subject:
            return f"{candidate} is {owner}'s"
        self._accounts[candidate] = subject
        return ""


def subjects(questions: Iterable[Question], text: str, persons: Collection[PersonId]) -> Iterator[str]:
    """The subjects of questions that a text means: as they are listed, by the source's key alone, or by whom it names."""
    seen: set[str] = set()
    for one in questions:
        key: RecordKey | None = record_of(one.subject)
        named = {one.subject} | ({str(key[1]), f"{key[0]}:{key[1]}"} if key is not None else set())
        if (text in named or one.person in persons) and one.subject not in seen:
            seen.add(one.subject)
            yield one.subject
