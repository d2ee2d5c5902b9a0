"""One target in one run: whose account is which, what it should be, and the changes between.

Before any create the target is asked for the find keys and the names (R7); a hit becomes a link or a dispute, never a second
account. A linked account that others deleted, moved out of reach or disabled is reported, never fought (R8, R33).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from syncd.core import addresses, correlate, plan
from syncd.core.addresses import Aliases, FormerAddress, bare, spelled
from syncd.core.correlate import Situation, SituationKind
from syncd.core.lifecycle import LEFT, LifecycleSpec, State
from syncd.core.local import Local
from syncd.core.mapping import TargetMapping, Wanted
from syncd.core.model import Account, Change, Kind, NativeId, Observed, PersonId, PopulationName, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.core.plan import Desired, Holding
from syncd.core.resolution import Verb, account_of
from syncd.engine.desire import Decided
from syncd.engine.observing import Sight, read
from syncd.engine.places import placed
from syncd.errors import ChangeError, EndpointError, StoreError, TransientError
from syncd.store import Finding, Known, Store
from syncd.targets import ByAttribute, ById, ByLocation, Question, Scope
from syncd.targets.target import Target

Hits = Callable[[Question], Sequence[Observed]]
"""The accounts that answer a question."""


@dataclass(slots=True)
class Matched:
    """What one target's part of a run comes to."""

    target: TargetName
    changes: list[Change] = field(default_factory=list)
    links: list[Known] = field(default_factory=list)  # adopted, or seen to be different from what we knew
    names: dict[PersonId, dict[str, IssuedName]] = field(default_factory=dict)  # kept from adopted accounts (R34)
    found: dict[str, str] = field(default_factory=dict)  # name seen on the target -> holder (R9)
    findings: list[Finding] = field(default_factory=list)
    wants: dict[PersonId, Desired] = field(default_factory=dict)  # for replanning one person in the same run (R18)
    nameless: set[PersonId] = field(default_factory=set)  # adopted or disputed: a name chosen in this run is not theirs (R34, R35)
    waiting: set[PersonId] = field(default_factory=set)  # who must be looked at again whatever lands (R5)
    accounts: int = 0
    bookmark: str = ""  # up to where the target was looked at
    gone: frozenset[NativeId] | None = None  # linked accounts that a whole read did not find; None where there was none


class Matching:
    """Compares everybody decided in this run with one target."""

    def __init__(
        self,
        target: Target,
        mapping: TargetMapping,
        store: Store,
        lifecycles: Mapping[PopulationName, LifecycleSpec],
        foreign: Mapping[PersonId, str],
        *,
        create_containers: bool = True,
        local: Local | None = None,
        sight: Sight | None = None,
    ) -> None:
        self._target = target
        self._sight = sight
        self._name = TargetName(mapping.target)
        self._mapping = mapping
        self._store = store
        self._lifecycles = lifecycles
        self._foreign = foreign
        self._create_containers = create_containers
        self._local = local or Local(date.min)
        self._scope = Scope(mapping.attributes)
        self._group = functools.cache(target.canonical_group)  # a few hundred names, asked for in every membership of everybody
        self._former: Mapping[PersonId, Sequence[FormerAddress]] = {}  # of those decided
        self._result = Matched(self._name)

    @property
    def target(self) -> TargetName:
        """The target it is about."""
        return self._name

    def set_aside(self, decided: Mapping[PersonId, Decided]) -> None:
        """Quarantine, on every target, whoever's container or group is no name here. To be called before any target is matched."""
        judged: dict[tuple[bool, str], str] = {}  # most people share their places
        for person, one in decided.items():
            wanted = one.wanted.get(self._name)
            if wanted is None or one.blocked:
                continue
            for rule, name in (("container", wanted.container), *((group.rule, group.name) for group in wanted.groups)):
                key = rule == "container", name
                if key not in judged:
                    judged[key] = self._unspellable(*key)
                if judged[key]:
                    mark = self._mapping.explain(one.population or PopulationName("")).get(rule, self._name)
                    one.blocked = f"{mark}: {rule}: {judged[key]}"
                    one.wanted.clear()
                    self._find("quarantined", person, one.blocked)
                    break

    def _unspellable(self, is_container: bool, name: str) -> str:
        """Why the target has no spelling for this container or group; empty where it has one."""
        try:
            self._target.canonical(Account("x", name, enabled=True, attributes={}) if is_container else _member_of(name))
        except ChangeError as error:
            return error.why
        return ""

    def match(self, decided: Mapping[PersonId, Decided], *, reconcile: bool) -> Matched:
        """The changes for everybody decided, in a stable order.

        `reconcile` reads the whole target; else the store is trusted of all whom the target did not tell to be otherwise.
        """
        seen = self._sight
        known = self._store.known(self._name, None if reconcile else {*decided, *(seen.persons if seen else ())})
        self._result.accounts = self._store.accounts(self._name)
        if reconcile:
            seen = read(self._target, self._scope, known, self._store)
        listing = seen.listing if seen is not None and reconcile else None
        blocked = self._lost(known, seen) if seen is not None else set()
        holdings = self._holdings(known, seen, trusting=not reconcile)
        if seen is not None:
            self._result.bookmark, self._result.gone = seen.bookmark, seen.gone
            self._result.waiting |= seen.persons - decided.keys()
        creatable = [
            (person, one.wanted[self._name], one)
            for person, one in decided.items()
            if self._name in one.wanted and person not in known and not one.blocked
        ]
        blocked |= self._settle_unlinked(creatable, listing)
        if listing is not None:
            self._remember_names(listing, self._store.linked(self._name))
        if any(account.aliases for account in self._mapping.accounts.values()):
            self._former = self._store.lives.former_addresses(self._name, None if reconcile else decided.keys())
        desired: dict[PersonId, Desired] = {}
        for person, one in decided.items():
            waits = person in blocked or one.blocked or one.standing.frozen
            want = None if waits else self._desired(one, holdings.get(person))
            if (lock := self._local.locked(person)) is not None and person in holdings:
                want = self._leaver(one, holdings[person], lock.told)._replace(locked=True)
            if want is not None:
                desired[person] = want
        wants = {person: self._with_references(want, decided[person], desired) for person, want in desired.items()}
        self._result.wants = wants
        for person, want in wants.items():
            self._result.changes += plan.steps(self._name, want, holdings.get(person))
        joined = {change.group for change in self._result.changes if change.kind is Kind.ADD_MEMBER and change.group is not None}
        if listing is None:
            missing = self._target.missing_groups(joined) if joined else set()
        else:
            missing = joined - self._leave_to_others(joined)
        self._add_groups_and_containers(decided, missing)
        return self._result

    # --- what is there ------------------------------------------------------------------------------------------------

    def _lost(self, known: Mapping[PersonId, Known], seen: Sight) -> set[PersonId]:
        """Whose linked account is not to be seen: strayed out of the base, or deleted by others. Neither is recreated (R8)."""
        missing = {one.native_id: person for person, one in known.items() if one.native_id in seen.missing}
        for native_id, person in missing.items():
            kind, why = (
                ("strayed", "is outside the configured base") if native_id in seen.strayed else ("deleted", "was deleted by others")
            )
            self._find(kind, person, f"the linked account {known[person].account.rdn} {why}; it is left alone")
        return set(missing.values())

    def _holdings(self, known: Mapping[PersonId, Known], seen: Sight | None, *, trusting: bool) -> dict[PersonId, Holding]:
        """What everybody holds: as it was seen, or, `trusting`, as it was last known of whom nothing was told."""
        owned = {group for one in known.values() for group in one.account.groups} if not trusting else set()
        members = {group.name: group.members for group in self._target.read_groups(owned)} if owned else {}
        holdings: dict[PersonId, Holding] = {}
        for person, one in known.items():
            observed = seen.listing.get(one.native_id) if seen is not None else None
            if observed is None:
                if trusting and (seen is None or one.native_id not in seen.missing):
                    holdings[person] = Holding(one.native_id, one.account, one.account.enabled or one.disabled_by_us)
                continue
            groups = one.account.groups
            if not trusting:
                groups = frozenset(name for name in groups if one.native_id in members.get(name, ()))
            account = replace(observed.account, groups=groups)
            ours = one.disabled_by_us
            if not account.enabled and one.account.enabled:
                ours = False
                if self._local.locked(person) is None:  # the journal tells who closed that one
                    self._find("disabled by others", person, f"{account.rdn} was disabled by somebody else; it stays so (R33)")
            holdings[person] = Holding(one.native_id, account, account.enabled or ours)
            if account != one.account or ours != one.disabled_by_us:
                self._result.links.append(replace(one, account=account, disabled_by_us=ours))
        return holdings

    def _remember_names(self, listing: Mapping[NativeId, Observed], linked: Mapping[NativeId, PersonId]) -> None:
        """Every name seen on the target goes into the ledger, under whoever holds it (R9)."""
        for native_id, observed in listing.items():
            self._remember(observed, linked.get(native_id) or f"{self._name}:{native_id}")

    def _remember(self, observed: Observed, holder: str) -> None:
        account = observed.account
        values = [value for name in sorted(self._mapping.carriers) for value in account.attributes.get(name, ())]
        own = [account.rdn] if self._mapping.rdn_carries and not account.named_otherwise else []
        for value in filter(bare, [*values, *own]):  # not what another protocol calls them (`X500:`)
            self._result.found.setdefault(ledger_key(value), holder)

    # --- who has an account already -----------------------------------------------------------------------------------

    def _settle_unlinked(
        self, creatable: Iterable[tuple[PersonId, Wanted, Decided]], listing: Mapping[NativeId, Observed] | None
    ) -> set[PersonId]:
        """Persons without a link for whom nothing may be created: an account was adopted, or it cannot be told whose it is."""
        asked: dict[PersonId, tuple[dict[tuple[str, str], Question], list[Question]]] = {}
        people = {person: (wanted, one) for person, wanted, one in creatable}
        for person, (wanted, one) in people.items():
            place = self._target.canonical(Account(wanted.rdn, wanted.container, one.standing.enabled, {}))
            finds: dict[tuple[str, str], Question] = {pair: ByAttribute(*pair) for pair in wanted.find}
            carried = [ByAttribute(*pair) for pair in sorted(self._carried(wanted, one.names))]
            asked[person] = (finds, [*carried, ByLocation(place.container, place.rdn)])
        everything = [question for finds, names in asked.values() for question in (*finds.values(), *names)]
        hits = self._asked(everything) if listing is None else _Listed(listing.values(), everything, self._naming).hits
        said = self._said(people)
        chosen = self._chosen(said)
        found_ids = {hit.native_id for question in everything for hit in hits(question)} | {
            one.native_id for one in chosen.values()
        }
        linked = self._store.linked(self._name, found_ids)
        blocked: set[PersonId] = set()
        adoptions: dict[NativeId, list[tuple[PersonId, Observed, str]]] = {}
        for person, (finds, names) in asked.items():
            wanted, one = people[person]
            theirs = said.get(person, _NOTHING)
            by_key = {pair: theirs.but_ignored(hits(question)) for pair, question in finds.items()}
            by_name = list({hit.native_id: hit for question in names for hit in theirs.but_ignored(hits(question))}.values())
            if one.person is None:
                continue
            for hit in (hit for question in names if theirs.ignored for hit in hits(question) if hit.native_id in theirs.ignored):
                self._remember(hit, linked.get(hit.native_id) or f"{self._name}:{hit.native_id}")  # so it is not chosen again
            situation = correlate.situate(one.person, wanted.find, by_key, linked, by_name)
            if theirs.link is not None:
                situation = correlate.confirmed(theirs.link, theirs.by, chosen.get(person), linked)
            if situation.kind is SituationKind.UNLINKED and situation.native_id is not None:
                rows = [chosen[person]] if person in chosen else [hit for hits_ in by_key.values() for hit in hits_]
                found = next(hit for hit in rows if hit.native_id == situation.native_id)
                adoptions.setdefault(found.native_id, []).append((person, found, situation.why))
                blocked.add(person)
            elif situation.kind is not SituationKind.UNMATCHED or person in self._foreign:
                taken = f"the name {self._foreign.get(person)} belongs to an account nobody is linked to"
                unmatched = situation.kind is SituationKind.UNMATCHED
                self._find("disputed", person, taken if unmatched else situation.why, self._told(situation, hits, asked[person]))
                blocked.add(person)
        self._result.nameless |= blocked
        for claims in adoptions.values():
            for person, found, why in claims:
                if len(claims) > 1:
                    others = ", ".join(other for other, _, _ in claims if other != person)
                    told = f"the account {found.account.rdn} would be theirs and that of {others} as well"
                    self._find("disputed", person, told, {f"{self._name}:{found.native_id}": found.account.rdn})
                else:
                    self._adopt(person, *people[person], found, why)
        return blocked

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

    def _told(
        self, situation: Situation, hits: Hits, asked: tuple[dict[tuple[str, str], Question], list[Question]]
    ) -> dict[str, str]:
        """The candidates of a dispute and what they are called."""
        questions = [*asked[0].values(), *asked[1]]
        seen = {hit.native_id: hit for question in questions for hit in hits(question) if not hit.privileged}
        ids = situation.candidates or tuple(sorted(seen))
        return {f"{self._name}:{native_id}": seen[native_id].account.rdn for native_id in ids if native_id in seen}

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

    def _asked(self, questions: Iterable[Question]) -> Hits:
        """The answers of the target itself, each question asked once."""
        answers: dict[Question, list[Observed]] = {}
        ordered = sorted(set(questions), key=repr)
        for question, observed in self._target.lookup(ordered, self._scope) if ordered else ():
            answers.setdefault(question, []).append(observed)
        return lambda question: answers.get(question, ())

    def _naming(self, attributes: Iterable[str]) -> list[str]:
        """Those of the attributes that the target holds as an account's name: they are not in its canonical attributes."""
        told = {name: self._target.canonical(Account("x", "", enabled=True, attributes={name: ("x",)})) for name in attributes}
        return sorted(name for name, account in told.items() if not account.attributes)

    def _adopt(self, person: PersonId, wanted: Wanted, one: Decided, found: Observed, why: str) -> None:
        """Adoption writes a link and nothing else; the account's names become the person's (R34). Changes follow next run."""
        account = replace(found.account, groups=frozenset())
        self._result.links.append(Known(person, self._name, found.native_id, why, account, disabled_by_us=False))
        self._result.waiting.add(person)
        one.state = replace(one.state, claimed=True)  # whoever has an account already has nothing to claim (R41)
        kept: dict[str, IssuedName] = {}
        for kind, name in one.names.items():
            if wanted.rdn == name.value and not account.named_otherwise:
                kept[kind] = IssuedName(kind, account.rdn, basis="")
            for attribute, values in wanted.attributes.items():
                if values == (name.value,) and account.attributes.get(attribute):
                    kept[kind] = IssuedName(kind, account.attributes[attribute][0], basis="")
        if kept:
            self._result.names[person] = kept
        self._find("adopted", person, f"the existing account {account.rdn}: {why}")

    # --- what should be there -----------------------------------------------------------------------------------------

    def _desired(self, one: Decided, have: Holding | None) -> Desired | None:
        state, standing = one.state, one.standing_on(self._name)
        if standing.state in LEFT:
            if have is None or standing.frozen:
                return None
            spec = self._lifecycles.get(one.population or PopulationName(""), LifecycleSpec())
            park = None
            if standing.parked and spec.park_container is not None:
                park = self._target.canonical(replace(have.account, container=spec.park_container)).container
            return self._leaver(one, have, standing.why, park=park, delete=standing.state is State.DELETABLE)
        wanted = one.wanted.get(self._name)
        if wanted is None or not standing.exists:
            if have is None or one.person is None or standing.state is State.PENDING:
                return None
            why = "the mapping gives no account here any more" if one.population else "belongs to no population any more"
            return self._leaver(one, have, why)
        groups = frozenset(self._group(group.name) for group in wanted.groups)
        enabled = standing.enabled or (have is not None and have.account.enabled)  # waiting never closes what is open
        account = self._target.canonical(Account(wanted.rdn, wanted.container, enabled, wanted.attributes, groups))
        population = one.population or ""
        aliases = self._aliases(account, wanted, one, have)
        return Desired(
            one.state.id,
            account,
            wanted.policies,
            campus=one.campus,
            population=population,
            reset=standing.reset or (self._name, state.id) in self._local.resets,
            reason=standing.why,
            aliases=aliases,
        )

    def _aliases(self, account: Account, wanted: Wanted, one: Decided, have: Holding | None) -> tuple[Aliases, ...]:
        """Which attributes hold addresses the account had before; when the next of them ends, the person is due (R4)."""
        aliases = addresses.of_account(wanted.aliases, self._former.get(one.state.id, ()), self._local.today)
        if aliases and have is not None:
            due = addresses.held(aliases, account.attributes, wanted.policies, have.account.attributes).due
            one.state = replace(one.state, due=min((day for day in (one.state.due, due) if day is not None), default=None))
        return aliases

    def _leaver(self, one: Decided, have: Holding, why: str, *, park: str | None = None, delete: bool = False) -> Desired:
        return Desired(
            one.state.id,
            have.account,
            campus=one.campus,
            population=one.population or "",
            leaving=True,
            park=park,
            delete=delete,
            reason=why,
        )

    def _with_references(self, want: Desired, one: Decided, desired: Mapping[PersonId, Desired]) -> Desired:
        """The desired account with the places of other people's accounts filled in."""
        wanted = one.wanted.get(self._name)
        if wanted is None or want.leaving or not wanted.person_attributes or one.person is None:
            return want
        refers: dict[str, tuple[str, ...]] = {}
        for attribute, relation in wanted.person_attributes.items():
            other = one.person.related.get(relation)
            place = self._place_of(other, desired) if other is not None else None
            told = self._target.reference(place) if place is not None else None
            refers[attribute] = (told,) if told is not None else ()
        return want._replace(refers=refers)

    def _place_of(self, person: PersonId, desired: Mapping[PersonId, Desired]) -> Account | None:
        want = desired.get(person)
        if want is not None and want.leaving:
            return replace(want.account, container=want.park) if want.park is not None else want.account
        if want is not None:
            return want.account
        known = self._store.known(self._name, [person]).get(person)
        return known.account if known else None

    def _leave_to_others(self, joined: Collection[str]) -> set[str]:
        """Drop the memberships that others made already: they stay theirs, and are not planned again in every reconcile (R19).

        Which of the groups to be joined exist.
        """
        members = {group.name: group.members for group in self._target.read_groups(joined)} if joined else {}
        self._result.changes = [
            change
            for change in self._result.changes
            if change.kind is not Kind.ADD_MEMBER or change.native_id not in members.get(change.group or "", ())
        ]
        return set(members)

    def _add_groups_and_containers(self, decided: Mapping[PersonId, Decided], missing: Collection[str]) -> None:
        result = self._result
        may_create = {
            self._group(group.name)
            for one in decided.values()
            if self._name in one.wanted
            for group in one.wanted[self._name].groups
            if group.create
        }
        found = placed(self._target, result.changes, missing, may_create, create_containers=self._create_containers)
        result.changes = found.changes
        result.findings += found.findings
        result.waiting |= found.waiting

    def _find(self, kind: str, person: PersonId, why: str, candidates: Mapping[str, str] | None = None) -> None:
        detail = {"evidence": json.dumps(candidates, ensure_ascii=False)} if candidates else {}
        self._result.findings.append(Finding(kind, person, why, person, None, self._name, detail))
        if kind in ("disputed", "strayed", "deleted"):
            self._result.waiting.add(person)


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


class _Listed:
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


def match_all(
    matchings: Collection[Matching],
    decided: Mapping[PersonId, Decided],
    stopped: dict[TargetName, EndpointError | TransientError],
    *,
    reconcile: bool,
) -> dict[TargetName, Matched]:
    """What each target's part of a run comes to. One that cannot be used sits the run out, in `stopped`; the others go on."""
    matched: dict[TargetName, Matched] = {}
    for matching in matchings:
        matching.set_aside(decided)
    for matching in matchings:
        try:
            matched[matching.target] = matching.match(decided, reconcile=reconcile)
        except StoreError:
            raise
        except (EndpointError, TransientError) as error:
            stopped[matching.target] = error
    return matched


def _member_of(group: str) -> Account:
    return Account("x", "", enabled=True, attributes={}, groups=frozenset({group}))
