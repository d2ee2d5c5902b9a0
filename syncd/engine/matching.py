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

from syncd.core import addresses, plan
from syncd.core.addresses import Aliases, FormerAddress, bare
from syncd.core.lifecycle import LEFT, LifecycleSpec, State
from syncd.core.local import Local
from syncd.core.mapping import TargetMapping, Wanted
from syncd.core.model import Account, Change, Kind, NativeId, Observed, PersonId, PopulationName, TargetName
from syncd.core.naming import IssuedName, ledger_key
from syncd.core.plan import Desired, Holding
from syncd.core.release import CREATED, EVERYTHING, LIVE, Conduct, Released, left_out, narrowed
from syncd.engine.desire import Decided
from syncd.engine.observing import Sight, read
from syncd.engine.owners import Owners, Owning
from syncd.engine.places import placed, seats
from syncd.engine.resolve import asked_for, moves
from syncd.errors import ChangeError, EndpointError, PartError, StoreError, TransientError
from syncd.store import Finding, Known, Store
from syncd.targets import Scope
from syncd.targets.target import Target

Listed = Callable[[TargetName, Mapping[NativeId, Observed]], None]
"""Hears what a target holds."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How one run goes about its targets, and whether its plan is kept; `listed` hears what each holds, where all of it is read."""

    conduct: Callable[[TargetName], Conduct] = lambda _: LIVE
    listed: Listed = lambda _name, _listing: None
    stored: bool = True


_USUAL = Manner()


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
    released: Released = EVERYTHING  # what of the target this run may write (R34)
    observed: list[Change] = field(default_factory=list)  # what it would do besides, and does not
    owners: Owners = field(default_factory=Owners)  # whose the accounts are that were nobody's
    seats: dict[str, str] = field(default_factory=dict)  # of each licence that was looked at, what is to be said; empty: enough
    has_parts: bool = False
    beyond: dict[str, str] = field(default_factory=dict)  # parts of the target that cannot be used now, and why

    @property
    def observing(self) -> frozenset[PersonId]:
        """Of whom something is left out because it is not released."""
        return frozenset(change.person for change in self.observed if change.person is not None)


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
        manner: Manner = _USUAL,
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
        self._conduct = manner.conduct(self._name)
        self._listed = manner.listed
        self._scope = Scope(mapping.attributes)
        self._group = functools.cache(target.canonical_group)  # a few hundred names, asked for in every membership of everybody
        self._former: Mapping[PersonId, Sequence[FormerAddress]] = {}  # of those decided
        self._aside: list[Finding] = []
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
        self._aside = list(self._result.findings)

    def _unspellable(self, is_container: bool, name: str) -> str:
        """Why the target has no spelling for this container or group; empty where it has one."""
        try:
            self._target.canonical(Account("x", name, enabled=True, attributes={}) if is_container else _member_of(name))
        except ChangeError as error:
            return error.why
        return ""

    def match(self, decided: Mapping[PersonId, Decided], *, reconcile: bool) -> Matched:
        """The changes for everybody decided, in a stable order.

        `reconcile` reads the whole target; else the store is trusted of all whom the target did not tell to be otherwise. Raises
        PartError where a part of the target turns out not to be usable: called again, everything goes on but what needs that part.
        """
        self._result = Matched(self._name, findings=list(self._aside), has_parts=self._target.has_parts)
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
        linked = self._store.linked(self._name) if listing is not None else {}
        if listing is not None:
            self._listed(self._name, listing)
            self._conduct = self._conduct.among(others=self._holds_others(listing, linked, known))
        self._result.released = self._conduct.released
        blocked |= self._settle_unlinked(creatable, listing, linked)
        if listing is not None:
            self._remember_names(listing, linked)
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
        self._compare(desired, decided, holdings)
        self._put_off()
        joined = _joined(self._result.changes)
        if listing is None:
            missing = self._target.missing_groups(joined) if joined else set()
        else:
            missing = joined - self._leave_to_others(joined | _joined(self._result.observed))
        self._result.waiting |= self._result.observing
        self._add_groups_and_containers(decided, missing, whole=listing is not None)
        return self._result

    def _compare(
        self, desired: Mapping[PersonId, Desired], decided: Mapping[PersonId, Decided], holdings: Mapping[PersonId, Holding]
    ) -> None:
        """The changes that may be made, and those that are only observed (R34)."""
        result, may = self._result, self._result.released
        whole = {person: self._with_references(want, decided[person], desired) for person, want in desired.items()}
        result.wants = whole
        if not may.everything:  # an account that is not moved is also referred to where it is
            told = ((person, narrowed(want, holdings.get(person), may)) for person, want in desired.items())
            kept = {person: want for person, want in told if want is not None}
            full = {person: self._with_references(want, decided[person], kept) for person, want in kept.items()}
            again = ((person, narrowed(want, holdings.get(person), may)) for person, want in full.items())
            result.wants = {person: want for person, want in again if want is not None}
        for person, want in whole.items():
            have = holdings.get(person)
            made = plan.steps(self._name, result.wants[person], have) if person in result.wants else []
            result.changes += made
            if not may.everything:
                result.observed += left_out(plan.steps(self._name, want, have), made)

    def _beyond(self, names: Collection[str]) -> set[str]:
        """Those of the groups that cannot be asked about now, noted with the reason: who is in them is taken from the store."""
        found = self._target.out_of_reach(names)
        self._result.beyond |= {one.part: one.why for one in found.values()}
        return set(found)

    def _put_off(self) -> None:
        """Leave out what is about groups that are out of reach; whoever it belongs to is looked at again (R5)."""
        result = self._result
        beyond = self._beyond({change.group for change in (*result.changes, *result.observed) if change.group is not None})
        if beyond:
            result.waiting |= {one.person for one in result.changes if one.group in beyond and one.person is not None}
            result.changes = [one for one in result.changes if one.group not in beyond]
            result.observed = [one for one in result.observed if one.group not in beyond]

    def _holds_others(
        self, listing: Mapping[NativeId, Observed], linked: Mapping[NativeId, PersonId], known: Mapping[PersonId, Known]
    ) -> bool:
        """Whether the target holds accounts that syncd did not make, adopted ones included."""
        ours = {native_id for native_id, person in linked.items() if person in known and known[person].why == CREATED}
        return any(not one.privileged and native_id not in ours for native_id, one in listing.items())

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
        unsure = self._follow_moves(known, seen) if seen is not None and not trusting else set()
        beyond = self._beyond(owned)  # not read is not gone: who was in one of those is
        readable = owned - beyond
        members = {group.name: group.members for group in self._target.read_groups(readable)} if readable else {}
        holdings: dict[PersonId, Holding] = {}
        for person, one in known.items():
            observed = seen.listing.get(one.native_id) if seen is not None else None
            if observed is None:
                if trusting and (seen is None or one.native_id not in seen.missing):
                    holdings[person] = Holding(one.native_id, one.account, one.account.enabled or one.disabled_by_us)
                continue
            groups = one.account.groups
            if not trusting and person not in unsure:
                groups = frozenset(name for name in groups if name in beyond or one.native_id in members.get(name, ()))
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

    def _follow_moves(self, known: Mapping[PersonId, Known], seen: Sight) -> set[PersonId]:
        """See to it that groups hold the present names of those who are found elsewhere than they were known.

        Somebody else moved them, or a run that was killed did, and the server may be slow to rewrite members, or never do it. Read
        as they are, those groups would have lost them; and a member that nobody owns any more stays for ever. Comes back: of whom
        the groups cannot be told.
        """
        moved = moves(self._name, known.values(), seen.listing)
        return {change.person for change in moved if change.person is not None} if self._target.follow(moved) else set()

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
        self,
        creatable: Sequence[tuple[PersonId, Wanted, Decided]],
        listing: Mapping[NativeId, Observed] | None,
        linked: Mapping[NativeId, PersonId],
    ) -> set[PersonId]:
        """Persons without a link for whom nothing may be created: an account was adopted, or it cannot be told whose it is."""
        owners = Owning(self._target, self._mapping, self._store, self._foreign).settle(creatable, listing, linked)
        people = {person: (wanted, one) for person, wanted, one in creatable}
        for observed, holder in owners.told_apart:
            self._remember(observed, holder)
        for person, (why, candidates) in owners.disputed.items():
            self._find("disputed", person, why, candidates)
        for person, (found, why) in owners.adopted.items():
            if self._conduct.links:
                self._adopt(person, *people[person], found, why)
            else:
                self._result.waiting.add(person)
                self._find("adoptable", person, f"the existing account {found.account.rdn} would be theirs: {why}")
        for person in owners.waiting:
            self._find(
                "name taken", person, "their name is on an account that somebody else is linked to now; the next run chooses"
            )
        self._result.nameless |= owners.blocked
        self._result.owners = owners
        return owners.blocked

    def _adopt(self, person: PersonId, wanted: Wanted, one: Decided, found: Observed, why: str) -> None:
        """Adoption writes a link and nothing else; the account's names become the person's (R34). Changes follow next run."""
        account = replace(found.account, groups=frozenset())
        self._result.links.append(Known(person, self._name, found.native_id, why, account, disabled_by_us=False))
        self._result.waiting.add(person)
        one.state = replace(one.state, claimed=True)  # whoever has an account already has nothing to claim (R41)
        kept: dict[str, IssuedName] = {}
        for kind, name in one.names.items():
            if not account.named_otherwise and (found_name := _bearing(name.value, wanted.rdn, account.rdn)):
                kept[kind] = IssuedName(kind, found_name, basis="")
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
            reason="; ".join(filter(None, (standing.why, one.renamed))),
            aliases=aliases,
        )

    def _aliases(self, account: Account, wanted: Wanted, one: Decided, have: Holding | None) -> tuple[Aliases, ...]:
        """Which attributes hold addresses the account had before; when the next of them ends, the person is due (R4)."""
        naming = [rule.of for rule in wanted.aliases.values() if self._target.is_name(rule.of)]
        aliases = addresses.of_account(wanted.aliases, self._former.get(one.state.id, ()), self._local.today, naming)
        if aliases and have is not None:
            names = account.rdn, have.account.rdn
            due = addresses.held(aliases, account.attributes, wanted.policies, have.account.attributes, names).due
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

        What a run of ours asked for, and was killed before anything of it was to be seen, may have come about since: that is asked
        for again, is so already, and is ours. Which of the groups to be joined exist.
        """
        members = {group.name: group.members for group in self._target.read_groups(joined)} if joined else {}

        def is_there(change: Change) -> bool:
            return change.kind is Kind.ADD_MEMBER and change.native_id in members.get(change.group or "", ())

        there = {change.person for change in (*self._result.changes, *self._result.observed) if change.person and is_there(change)}
        ours = asked_for(self._store, self._name, there) if there else set()

        def is_left(change: Change) -> bool:
            return not is_there(change) or (change.person, change.group) in ours

        self._result.changes = list(filter(is_left, self._result.changes))
        self._result.observed = list(filter(is_left, self._result.observed))
        return set(members)

    def _add_groups_and_containers(self, decided: Mapping[PersonId, Decided], missing: Collection[str], *, whole: bool) -> None:
        result = self._result
        may_create = {
            self._group(group.name)
            for one in decided.values()
            if self._name in one.wanted
            for group in one.wanted[self._name].groups
            if group.create
        }
        amiss = self._set_again(may_create - set(missing)) if whole and result.released.everything else []
        found = placed(self._target, result.changes, missing, may_create, create_containers=self._create_containers)
        result.changes = [*amiss, *found.changes]
        result.findings += found.findings
        result.waiting |= found.waiting
        result.beyond |= found.beyond
        wanted = {group for want in result.wants.values() for group in want.account.groups} if whole else set[str]()
        result.seats = seats(self._target, result.changes, wanted - self._beyond(wanted))
        told = [("seats", name, why) for name, why in result.seats.items() if why]
        told += [("out of reach", part, why) for part, why in sorted(result.beyond.items())]
        result.findings += [Finding(kind, name, why, None, None, self._name, {}) for kind, name, why in told]

    def _set_again(self, names: set[str]) -> list[Change]:
        """The changes that put right how groups are set that the mapping may make: others altered that, or the configuration."""
        try:
            amiss = self._target.groups_amiss(names - self._beyond(names))
        except PartError as error:
            self._result.beyond[error.part] = error.told
            return []
        return [Change(self._name, Kind.SET_GROUP, why, group=name) for name, why in sorted(amiss.items())]

    def _find(self, kind: str, person: PersonId, why: str, candidates: Mapping[str, str] | None = None) -> None:
        detail = {"evidence": json.dumps(candidates, ensure_ascii=False)} if candidates else {}
        self._result.findings.append(Finding(kind, person, why, person, None, self._name, detail))
        if kind in ("disputed", "strayed", "deleted", "name taken"):
            self._result.waiting.add(person)


def _bearing(name: str, wanted: str, found: str) -> str:
    """The name that an account found is called by, where the one wanted is called by this name or by an address of it; else ""."""
    if wanted == name:
        return found
    return found.partition("@")[0] if "@" in found and wanted.partition("@")[0] == name else ""


def match_all(
    matchings: Collection[Matching],
    decided: Mapping[PersonId, Decided],
    stopped: dict[TargetName, EndpointError | TransientError],
    *,
    reconcile: bool,
) -> dict[TargetName, Matched]:
    """What each target's part of a run comes to. One that cannot be used sits the run out, in `stopped`; the others go on.

    Where only a part of one cannot be used, the target goes on without it.
    """
    matched: dict[TargetName, Matched] = {}
    for matching in matchings:
        matching.set_aside(decided)
    for matching in matchings:
        try:
            try:
                matched[matching.target] = matching.match(decided, reconcile=reconcile)
            except PartError:  # it did not know before it asked: now it says itself what is out of reach
                matched[matching.target] = matching.match(decided, reconcile=reconcile)
        except StoreError:
            raise
        except (EndpointError, TransientError) as error:
            stopped[matching.target] = error
    return matched


def _joined(changes: Iterable[Change]) -> set[str]:
    """The groups that somebody is to be added to."""
    return {change.group for change in changes if change.kind is Kind.ADD_MEMBER and change.group is not None}


def _member_of(group: str) -> Account:
    return Account("x", "", enabled=True, attributes={}, groups=frozenset({group}))
