"""Whose an unlinked account is: a target is asked, or its listing, and `core.adoption` decides about everybody together (R7, R35).

Before any create the target is asked for the find keys and the names, so that nobody gets a second account.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from syncd.core import correlate
from syncd.core.addresses import spelled
from syncd.core.adoption import Adoption, Key, Seeker, is_within, values
from syncd.core.correlate import Situation, SituationKind
from syncd.core.likeness import NameAttributes
from syncd.core.mapping import AccountRules, TargetMapping, Wanted
from syncd.core.model import Account, NativeId, Observed, Person, PersonId, PopulationName, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.core.rendering import place
from syncd.core.resolution import Verb, account_of
from syncd.engine.desire import Decided
from syncd.store import Store
from syncd.targets import ByAttribute, ById, ByLocation, Question, Scope
from syncd.targets.target import Target

Hits = Callable[[Question], Sequence[Observed]]
"""The accounts that answer a question."""


@dataclass(slots=True)
class Owners:
    """What was decided about everybody without a link."""

    adopted: dict[PersonId, tuple[Observed, str]] = field(default_factory=dict)  # the account that is theirs, and why
    disputed: dict[PersonId, tuple[str, dict[str, str]]] = field(default_factory=dict)  # why; candidates, and what speaks for each
    told_apart: list[tuple[Observed, str]] = field(default_factory=list)  # said not to be theirs: whose their names are
    waiting: set[PersonId] = field(default_factory=set)  # who choose another name in the next run

    @property
    def blocked(self) -> set[PersonId]:
        """For whom nothing may be created."""
        return {*self.adopted, *self.disputed, *self.waiting}


@dataclass(slots=True)
class _Asked:
    """What is asked of one person: by find keys, and for names and looks."""

    wanted: Wanted
    one: Decided
    person: Person
    rules: AccountRules
    container: str
    finds: dict[Key, Question]
    names: list[Question]
    looks: list[Question]


class Owning:
    """Finds the owners of one target's unlinked accounts."""

    def __init__(self, target: Target, mapping: TargetMapping, store: Store, foreign: Mapping[PersonId, str]) -> None:
        self._target = target
        self._name = TargetName(mapping.target)
        self._mapping = mapping
        self._store = store
        self._foreign = foreign
        self._scope = Scope(mapping.attributes)
        self._finds = sorted({name for rules in mapping.spec.accounts.values() for key in rules.find for name in key})
        self._bases: dict[tuple[str, ...], list[str]] = {}

    def settle(
        self,
        creatable: Iterable[tuple[PersonId, Wanted, Decided]],
        listing: Mapping[NativeId, Observed] | None,
        linked: Mapping[NativeId, PersonId],
    ) -> Owners:
        """What is to be done about everybody without a link; `listing` is all the target holds, where that was read.

        `linked` are then all its links; without a listing they are asked for.
        """
        asked = {
            person: self._asked(wanted, one, one.person, whole=listing is not None)
            for person, wanted, one in creatable
            if one.person is not None
        }
        everything = [question for each in asked.values() for question in (*each.finds.values(), *each.names, *each.looks)]
        hits = self._answers(everything) if listing is None else Listed(listing.values(), everything, self._naming).hits
        said = self._said(asked.keys())
        chosen = self._chosen(said)
        found = {hit.native_id: hit for question in everything for hit in hits(question)}
        if listing is None:
            linked = self._store.linked(self._name, {*found, *(one.native_id for one in chosen.values())})
        result = Owners()
        seekers = [
            self._seeker(person, each, said.get(person, _NOTHING), chosen.get(person), hits, linked)
            for person, each in asked.items()
        ]
        for person, theirs in said.items():
            for hit in (hit for question in asked[person].names for hit in hits(question) if hit.native_id in theirs.ignored):
                result.told_apart.append((hit, linked.get(hit.native_id) or f"{self._name}:{hit.native_id}"))  # not chosen again
        accounts = found if listing is None else listing
        unlinked = [one for native_id, one in accounts.items() if native_id not in linked and not one.privileged]
        adoption = Adoption(seekers, unlinked)
        for person, situation in adoption.decided().items():
            if person in adoption.waiting:
                result.waiting.add(person)
            elif situation.kind is SituationKind.UNLINKED and situation.native_id is not None:
                account = chosen[person] if person in chosen else accounts[situation.native_id]
                result.adopted[person] = account, situation.why
            elif situation.kind is not SituationKind.UNMATCHED or person in self._foreign:
                unmatched = situation.kind is SituationKind.UNMATCHED
                why = f"the name {self._foreign[person]} belongs to an account nobody is linked to" if unmatched else situation.why
                result.disputed[person] = why, self._evidence(situation, asked[person], hits, accounts)
        return result

    # --- asking -------------------------------------------------------------------------------------------------------

    def _asked(self, wanted: Wanted, one: Decided, person: Person, *, whole: bool) -> _Asked:
        """What is asked of one person. Looks are asked for where the target is not read as a `whole`."""
        at = self._target.canonical(Account(wanted.rdn, wanted.container, one.standing.enabled, {}))
        rules = self._mapping.accounts[one.population or PopulationName("")]
        names: list[Question] = [ByAttribute(*pair) for pair in sorted(self._carried(wanted, one.names))]
        looks: list[Question] = [] if whole else [
            ByAttribute(attribute, value) for attribute in rules.called.full for value in wanted.attributes.get(attribute, ())[:1]
        ]  # fmt: skip
        finds: dict[Key, Question] = {pair: ByAttribute(*pair) for pair in wanted.find}
        return _Asked(wanted, one, person, rules, at.container, finds, [*names, ByLocation(at.container, at.rdn)], looks)

    def _carried(self, wanted: Wanted, names: Mapping[str, IssuedName]) -> set[tuple[str, str]]:
        """What carries one of the person's names here, attribute and value: whoever else has that value there is asked about."""
        keys = {ledger_key(name.value) for name in names.values()}
        unique = self._mapping.carriers - wanted.carriers - wanted.aliases.keys()
        carried = [(name, value) for name in wanted.carriers for value in wanted.attributes[name] if ledger_key(value) in keys]
        former = {
            (attribute, spelled(attribute, value))  # an address of ours that somebody else has had
            for attribute, rule in wanted.aliases.items()
            for name, value in carried
            if name == rule.of
        }
        return {(name, issued.value) for name in unique for issued in names.values()} | {*carried, *former}

    def _answers(self, questions: Iterable[Question]) -> Hits:
        """The answers of the target itself, each question asked once."""
        answers: dict[Question, list[Observed]] = {}
        ordered = sorted(set(questions), key=repr)
        for question, observed in self._target.lookup(ordered, self._scope) if ordered else ():
            answers.setdefault(question, []).append(observed)
        return lambda question: answers.get(question, ())

    def _naming(self, attributes: Iterable[str]) -> list[str]:
        """Those of the attributes that the target holds as an account's name: they are not in its canonical attributes."""
        return sorted(name for name in attributes if self._target.is_name(name))

    # --- what people said ---------------------------------------------------------------------------------------------

    def _said(self, persons: Collection[PersonId]) -> dict[PersonId, _Said]:
        """What humans decided about accounts here and these persons (R6)."""
        said: dict[PersonId, _Said] = {}
        for one in self._store.resolutions.about(persons) if persons else ():
            target, native_id = account_of(one.candidate) or ("", NativeId(""))
            if one.withdrawn is not None or target != self._name or one.subject not in persons:
                continue
            mine = said.setdefault(PersonId(one.subject), _Said())
            if one.verb is Verb.IGNORE:
                mine.ignored.add(native_id)
            elif one.verb is Verb.LINK:
                mine.link, mine.by = native_id, one.actor
        return said

    def _chosen(self, said: Mapping[PersonId, _Said]) -> dict[PersonId, Observed]:
        """The accounts that humans said are these persons', as the target has them now; those that it has not are missing."""
        asked = {one.link: person for person, one in said.items() if one.link is not None}
        found = self._target.lookup([ById(native_id) for native_id in sorted(asked)], self._scope) if asked else ()
        by_id = {observed.native_id: observed for _, observed in found}
        return {person: by_id[one.link] for person, one in said.items() if one.link is not None and one.link in by_id}

    # --- what is decided about ----------------------------------------------------------------------------------------

    def _seeker(
        self,
        person: PersonId,
        each: _Asked,
        said: _Said,
        chosen: Observed | None,
        hits: Hits,
        linked: Mapping[NativeId, PersonId],
    ) -> Seeker:
        bases = self._own_bases(each.rules)
        inside: dict[Key, list[Observed]] = {}
        outside: dict[NativeId, Observed] = {}
        for key, question in each.finds.items():
            answers = said.but_ignored(hits(question))
            inside[key] = [hit for hit in answers if is_within(hit.account.container, bases)]
            if len(inside[key]) < len(answers):
                outside |= {hit.native_id: hit for hit in answers if not is_within(hit.account.container, bases)}
        by_name = list({hit.native_id: hit for question in each.names for hit in said.but_ignored(hits(question))}.values())
        situation = correlate.situate(each.person, each.wanted.find, inside, linked, by_name)
        if said.link is not None:
            situation = correlate.confirmed(said.link, said.by, chosen, linked)

        def free(answers: Iterable[Observed]) -> list[Observed]:
            return [hit for hit in answers if hit.native_id not in linked and not hit.privileged]

        return Seeker(
            person,
            each.person,
            each.rules.called,
            situation,
            {key: free(answers) for key, answers in inside.items()},
            free(outside.values()),
            each.container,
            bases,
            said.ignored,
            confirmed=said.link is not None,
        )

    def _own_bases(self, rules: AccountRules) -> list[str]:
        """The containers in which accounts of a population may be found, canonical; none means everywhere."""
        if rules.find_in not in self._bases:
            told = (self._target.canonical(Account("x", container, enabled=True, attributes={})) for container in rules.find_in)
            self._bases[rules.find_in] = [account.container for account in told]
        return self._bases[rules.find_in]

    # --- telling ------------------------------------------------------------------------------------------------------

    def _evidence(self, situation: Situation, each: _Asked, hits: Hits, accounts: Mapping[NativeId, Observed]) -> dict[str, str]:
        """The candidates of a dispute, and what is to be known of each."""
        seen = {
            hit.native_id: hit for question in (*each.finds.values(), *each.names) for hit in hits(question) if not hit.privileged
        }
        ids = situation.candidates or tuple(sorted(seen))
        known = {native_id: seen.get(native_id) or accounts.get(native_id) for native_id in ids}
        return {
            f"{self._name}:{native_id}": description(one.account, each.rules.called, self._finds)
            for native_id, one in known.items()
            if one is not None and not one.privileged
        }


def description(account: Account, called: NameAttributes, finds: Collection[str]) -> str:
    """What tells an account from another one: where it stands, whose name it bears, its keys, and whether it is disabled."""
    names = [value for attribute in (*called.full, *called.given, *called.family) for value in values(account, attribute)]
    whole = dict.fromkeys(names[:1] if called.full and names else names)
    keys = [f"{attribute} {value}" for attribute in finds for value in values(account, attribute)]
    told = [" ".join(whole), *(keys or ["no key"]), *([] if account.enabled else ["disabled"])]
    return f"{place(account)}: {', '.join(filter(None, told))}"


@dataclass(slots=True)
class _Said:
    """What humans decided about one person and the accounts of one target."""

    ignored: set[NativeId] = field(default_factory=set)
    link: NativeId | None = None
    by: str = ""

    def but_ignored(self, found: Sequence[Observed]) -> Sequence[Observed]:
        """The accounts but for those that a human said are somebody else's."""
        return [one for one in found if one.native_id not in self.ignored] if self.ignored else found


_NOTHING = _Said()


class Listed:
    """A listing that answers questions as the target would. Indexed by what is asked for, and by nothing else."""

    def __init__(
        self, listing: Iterable[Observed], questions: Iterable[Question], naming: Callable[[Iterable[str]], Iterable[str]]
    ) -> None:
        self._places: dict[tuple[str, str], list[Observed]] = {}
        self._values: dict[tuple[str, str], list[Observed]] = {}
        asked = {question.attribute for question in questions if isinstance(question, ByAttribute)}
        lower = {name.casefold() for name in asked}
        # The naming attribute is told as the account's name, never among its attributes: asked for, it is the name that answers.
        named = [name.casefold() for name in naming(asked)]
        for observed in listing:
            account = observed.account
            rdn = account.rdn.casefold()
            self._places.setdefault((account.container.casefold(), rdn), []).append(observed)
            for name in named:
                self._values.setdefault((name, rdn), []).append(observed)
            for name, held in account.attributes.items():
                key = name.casefold()
                if key in lower:
                    for value in held:
                        self._values.setdefault((key, value.casefold()), []).append(observed)

    def hits(self, question: Question) -> Sequence[Observed]:
        """The accounts that answer a question."""
        if isinstance(question, ByAttribute):
            return self._values.get((question.attribute.casefold(), question.value.casefold()), ())
        if isinstance(question, ByLocation):
            return self._places.get((question.container.casefold(), question.rdn.casefold()), ())
        return ()
