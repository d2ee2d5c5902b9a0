"""Which of the accounts nobody is linked to are whose: everybody who has no link, decided together (R7, R34, R35, R40).

A find key says whose an account is, and everything else may only contradict it: another find key, another person's find key, the
names on the account, another person whose names these are. Whoever no key finds an account for, but whose account one may be by its
looks, is a question for a human. So is whatever is contradicted; nothing is linked that two things speak of differently.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.core.correlate import Situation, SituationKind
from syncd.core.likeness import Alike, Bearers, NameAttributes, Names, alike, names_of, names_on
from syncd.core.model import Account, NativeId, Observed, Person, PersonId
from syncd.core.plan import is_below
from syncd.core.spelling import parent

Key = tuple[str, str]
"""A find key: an attribute and the value that is a person's."""


@dataclass(frozen=True, slots=True)
class Seeker:
    """A person without a link, and what a target tells of accounts that may be theirs.

    `situation` is what the find keys alone come to; `found` are the accounts each find key found in the containers of this
    population (`bases`), the surest key first, and `elsewhere` those found outside. Neither holds linked or privileged accounts,
    nor such as a human said are not theirs (`ignored`). `confirmed`: a human said which account it is.
    """

    person: PersonId
    human: Person
    attributes: NameAttributes
    situation: Situation
    found: Mapping[Key, Sequence[Observed]]
    elsewhere: Sequence[Observed] = ()
    container: str = ""
    bases: Sequence[str] = ()
    ignored: Collection[NativeId] = ()
    confirmed: bool = False

    @property
    def seeks(self) -> bool:
        """True where no find key found anything that could be theirs."""
        return not any(self.found.values()) and self.situation.kind is not SituationKind.UNLINKED


@dataclass(slots=True)
class Adoption:
    """Decides about everybody at once. `unlinked` are the accounts nobody is linked to, without privileged ones."""

    seekers: Sequence[Seeker]
    unlinked: Sequence[Observed]
    _claims: dict[NativeId, dict[PersonId, str]] = field(default_factory=dict)
    _by_person: dict[PersonId, Seeker] = field(default_factory=dict)
    _names: dict[PersonId, Names] = field(default_factory=dict)
    _rivals: dict[NameAttributes, Bearers] = field(default_factory=dict)
    waiting: set[PersonId] = field(default_factory=set)  # whose name is that of an account that is given to somebody else now
    _seeking: dict[str, list[Seeker]] | None = None  # by what their names are looked for under

    def decided(self) -> dict[PersonId, Situation]:
        """What each seeker's situation is: unlinked, where the account is theirs; disputed; or unmatched."""
        for seeker in self.seekers:
            self._by_person[seeker.person] = seeker
            for (attribute, _), found in seeker.found.items():
                for observed in found:
                    self._claims.setdefault(observed.native_id, {}).setdefault(seeker.person, attribute)
        given = self._given_once({seeker.person: self._checked(seeker) for seeker in self.seekers})
        taken = {one.native_id for one in given.values() if one.kind is SituationKind.UNLINKED and one.native_id is not None}
        if not self.unlinked:
            return given
        looks = self._looks(taken)
        return given | {
            seeker.person: self._by_looks(seeker, looks.get(seeker.attributes), taken)
            for seeker in self.seekers
            if self._may_look(seeker)
        }

    # --- what a key found ---------------------------------------------------------------------------------------------

    def _checked(self, seeker: Seeker) -> Situation:
        """The situation, unless something contradicts what a find key found."""
        situation = seeker.situation
        if situation.kind is not SituationKind.UNLINKED or seeker.confirmed:
            return situation
        key, account = next(
            (key, one) for key, found in seeker.found.items() for one in found if one.native_id == situation.native_id
        )
        for why, others in self._doubts(seeker, key, account):
            return Situation(SituationKind.DISPUTED, None, why, (account.native_id, *others))
        return situation

    def _doubts(self, seeker: Seeker, by: Key, account: Observed) -> Iterator[tuple[str, tuple[NativeId, ...]]]:
        """What contradicts that the account found by this key is theirs, and the accounts that may be instead."""
        surer = True
        for key, found in seeker.found.items():
            surer = surer and key != by
            held = values(account.account, key[0])
            if surer and held and not _holds(held, key[1]):
                yield f"{by[0]} finds an account whose {key[0]} is another one", ()
            if found and account.native_id not in {one.native_id for one in found}:
                yield f"{by[0]} and {key[0]} find different accounts", tuple(one.native_id for one in found)
        claims = self._claims[account.native_id]
        others = sorted(person for person in claims if person != seeker.person)
        if others:
            told = ", ".join(f"{claims[person]} of {person}" for person in others)
            yield f"{by[0]} finds an account that is found by the {told} as well", ()
        borne = names_on(account.account, seeker.attributes)
        likeness = alike(self._called(seeker), borne)
        if likeness is Alike.OTHER:
            yield f"{by[0]} finds an account that bears another name", ()
        outside = tuple(one.native_id for one in seeker.elsewhere if self._may_be_of(seeker, one))
        if outside:
            yield f"{by[0]} finds an account, and a key finds another one outside the containers of this population", outside
        if any(_holds(values(account.account, key[0]), key[1]) for key in seeker.found if key != by):
            return  # two keys agree
        differ = any(values(account.account, key[0]) for key in seeker.found if key != by)
        if likeness is Alike.RENAMED and (differ or not _is_near(seeker, account.account)):
            yield f"{by[0]} finds an account that bears another family name, and nothing else says that it is theirs", ()
        others = sorted(one.person for one in self._seeking_as(borne) if self._is_rather(one, seeker, account, likeness))
        if others:
            yield f"{by[0]} finds an account whose name is as much that of {', '.join(others)}, for whom no key finds any", ()
        rivals = tuple(self._rivals_of(seeker, account))
        if rivals:
            yield f"{by[0]} finds an account, and no key finds another one that bears their name", rivals

    def _rivals_of(self, seeker: Seeker, account: Observed) -> Iterator[NativeId]:
        """Accounts that may be theirs instead: the one in use may have lost its number, and an older one kept it.

        One that has some number, or another family name, is a rival at their place, or where what was found is disabled or out of
        place.
        """
        disabled = not account.account.enabled
        weak = disabled or not _is_near(seeker, account.account)
        if seeker.attributes not in self._rivals:
            bearers = self._rivals[seeker.attributes] = Bearers(seeker.attributes)
            for observed in self.unlinked:
                bearers.add(observed)
        for native_id, (rival, likeness) in self._rivals[seeker.attributes].like(self._called(seeker)).items():
            if native_id == account.native_id or native_id in seeker.ignored or rival.account.enabled < account.account.enabled:
                continue
            keyless, near = not values(rival.account, _surest(seeker)), _is_near(seeker, rival.account)
            if likeness >= Alike.MISTYPED:
                stands = keyless or disabled or ((near or weak) and is_within(rival.account.container, seeker.bases))
            else:
                stands = keyless and near and weak
            if stands and not self._is_spoken_for(rival):
                yield native_id

    def _is_spoken_for(self, account: Observed) -> bool:
        """Whether a key finds an account for somebody whose names it bears."""
        finders = [self._by_person[person] for person in self._claims.get(account.native_id, ())]
        return any(alike(self._called(one), names_on(account.account, one.attributes)) >= Alike.RENAMED for one in finders)

    def _is_rather(self, other: Seeker, seeker: Seeker, observed: Observed, likeness: Alike) -> bool:
        """Whether an account is as much that of another one, whom no key found any for, by its name and then by its place."""
        theirs = alike(self._called(other), names_on(observed.account, seeker.attributes))
        if theirs < max(likeness, Alike.MISTYPED) or observed.native_id in other.ignored:
            return False
        return theirs > likeness or _is_near(other, observed.account) or not _is_near(seeker, observed.account)

    def _given_once(self, found: Mapping[PersonId, Situation]) -> dict[PersonId, Situation]:
        """The situations, but that no account is given to two persons."""
        theirs: dict[NativeId, list[PersonId]] = {}
        for person, one in found.items():
            if one.kind is SituationKind.UNLINKED and one.native_id is not None:
                theirs.setdefault(one.native_id, []).append(person)
        given = dict(found)
        for native_id, persons in theirs.items():
            for person in persons if len(persons) > 1 else ():
                others = ", ".join(other for other in persons if other != person)
                why = f"the account would be theirs and that of {others} as well"
                given[person] = Situation(SituationKind.DISPUTED, None, why, (native_id,))
        return given

    def _may_be_of(self, seeker: Seeker, observed: Observed) -> bool:
        """Whether the names on an account do not speak against somebody, or two keys of theirs are there."""
        agree = sum(_holds(values(observed.account, attribute), value) for attribute, value in seeker.found)
        return agree > 1 or alike(self._called(seeker), names_on(observed.account, seeker.attributes)) is not Alike.OTHER

    def _called(self, seeker: Seeker) -> Names:
        """A seeker's names; asked for only where accounts bear any."""
        if seeker.person not in self._names:
            self._names[seeker.person] = names_of(seeker.human)
        return self._names[seeker.person]

    def _seeking_as(self, names: Names) -> list[Seeker]:
        """Those for whom no key found anything, and who share a name."""
        if self._seeking is None:
            self._seeking = {}
            for seeker in self.seekers:
                for key in self._called(seeker).keys if seeker.seeks else ():
                    self._seeking.setdefault(key, []).append(seeker)
        return list({one.person: one for key in names.keys for one in self._seeking.get(key, ())}.values())

    # --- what no key found --------------------------------------------------------------------------------------------

    @staticmethod
    def _may_look(seeker: Seeker) -> bool:
        """Whether it matters what accounts look like: no key found one, and no human said which it is."""
        return seeker.seeks and not seeker.confirmed and seeker.situation.kind in (SituationKind.UNMATCHED, SituationKind.DISPUTED)

    def _looks(self, taken: Collection[NativeId | None]) -> dict[NameAttributes, Bearers]:
        """The accounts that are nobody's, by the names they bear, for each way in which they may be borne."""
        nobodys = [one for one in self.unlinked if one.native_id not in taken]
        if not nobodys:
            return {}
        looks = {seeker.attributes: Bearers(seeker.attributes) for seeker in self.seekers if self._may_look(seeker)}
        for bearers in looks.values():
            for observed in nobodys:
                bearers.add(observed)
        return looks

    def _by_looks(self, seeker: Seeker, bearers: Bearers | None, taken: Collection[NativeId]) -> Situation:
        """The situation, disputed where an account that is nobody's may be theirs by its looks.

        One that has their name and is given to somebody else (`taken`) is a namesake's: they choose another name in the next run.
        """
        found: dict[NativeId, None] = {}
        for native_id, (observed, likeness) in (bearers.like(self._called(seeker)) if bearers else {}).items():
            if native_id not in seeker.ignored and self._speaks_for(seeker, observed, likeness):
                found[native_id] = None
        for observed in seeker.elsewhere:
            if self._may_be_of(seeker, observed):
                found[observed.native_id] = None
        situation = seeker.situation
        if situation.kind is SituationKind.DISPUTED:
            named = [native_id for native_id in situation.candidates if native_id not in taken]
            if named or found or not situation.candidates:
                return replace(situation, candidates=tuple(dict.fromkeys((*named, *found))))
            self.waiting.add(seeker.person)
        if not found:
            return situation
        why = "an account nobody is linked to looks like theirs; no find key says so"
        return Situation(SituationKind.DISPUTED, None, why, tuple(found))

    def _speaks_for(self, seeker: Seeker, observed: Observed, likeness: Alike) -> bool:
        """Whether the looks of an account are enough to ask whether it is this person's."""
        account = observed.account
        keyless = not values(account, _surest(seeker))
        if likeness >= Alike.MISTYPED:
            return keyless or is_within(account.container, seeker.bases)
        return keyless and _is_near(seeker, account)  # of those who changed their name the place is left


def _surest(seeker: Seeker) -> str:
    """The attribute of somebody's surest find key; empty for who has none."""
    return next((attribute for attribute, _ in seeker.found), "")


def _is_near(seeker: Seeker, account: Account) -> bool:
    """Whether an account stands where somebody's would, or beside it."""
    near = {seeker.container, parent(seeker.container)} - {""}
    return bool(near & {account.container, parent(account.container)})


def is_within(container: str, bases: Sequence[str]) -> bool:
    """Whether a container lies in one of these; where there are none, everywhere is right."""
    return not bases or any(is_below(container, base) for base in bases)


def is_managed(account: Account, find_attributes: Collection[str], attributes: NameAttributes) -> bool:
    """Whether an account looks like a person's, and not like a service's: it has a key, or a given and a family name."""
    parts = (attributes.given, attributes.family)
    named = all(any(values(account, name) for name in part) for part in parts)
    return named or any(values(account, name) for name in find_attributes)


def values(account: Account, attribute: str) -> tuple[str, ...]:
    """What an account holds in an attribute, however that is spelled."""
    held = account.attributes.get(attribute)
    if held is None:
        lower = attribute.lower()
        held = next((values for name, values in account.attributes.items() if name.lower() == lower), ())
    return held


def _holds(held: Sequence[str], value: str) -> bool:
    return value.strip().casefold() in {one.strip().casefold() for one in held}


__all__ = ["Adoption", "Key", "Seeker", "is_managed", "is_within", "values"]
