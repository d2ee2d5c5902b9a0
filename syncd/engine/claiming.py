"""Claims: somebody proves who they are, chooses a password, and their account is opened with it (R23, R41).

Nothing here tells whether somebody exists: whoever is not let in is refused in the same way, after the same work. A claim is
carried out beside the runs, under the lease that locks take, journalled in a run of its own; that the account is claimed becomes
true with the outcome that opened it. Password and opening are one change, so a kill at any moment leaves an account that is
claimed, or one that can be claimed again.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from syncd import telemetry
from syncd.core.chosen import Fault, Rules, faults
from syncd.core.claimed import Accepted, Done, Expired, Later, Locked, Refused, Wanting
from syncd.core.claiming import LONGEST_NAME, are_four_digits, birth_date_of, folded, is_same_name, words
from syncd.core.facts import FactKind
from syncd.core.lifecycle import PersonState, State
from syncd.core.model import Change, Failure, Kind, Outcome, PersonId, PopulationName, Record, Result, TargetName
from syncd.engine.lockout import lease_on
from syncd.engine.resolve import resolve
from syncd.errors import EndpointError, StoreError, TransientError
from syncd.settings import Config, Proofs
from syncd.store import Intention, Known, Store
from syncd.store.claims import CLAIM, Try
from syncd.targets import ById, Chosen, DemandsOfPasswords, Scope
from syncd.targets.target import Target
from syncd.vault import Vault

PIPELINE = "(claim)"
"""What the run of a claim says in the pipeline's place: it belongs to none, and is no sign of life of any."""
TICKET = timedelta(minutes=10)
"""How long somebody who has proved who they are may take to choose a password."""
WAITS = timedelta(minutes=30)
"""How long a password waits for a target that is away; then it is destroyed."""
LEASE_SECONDS = 30
_ALIKE = 32
"""So many people are looked at for every try, whoever has the birth date: more are born on one day in no district of 100,000."""
_NOT_THEIRS = frozenset({FactKind.LOCK, FactKind.FREEZE})
_EACH_DEMAND = timedelta(minutes=10)  # a policy is asked for again

_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Terms:
    """What pages say beforehand: whose they are, which digits prove a claim, what a password must be, what wrong tries do."""

    district: str
    populations: Mapping[str, Proofs]
    password: tuple[Fault, ...]
    tries: int
    minutes: int


@dataclass(frozen=True, slots=True)
class _Met:
    """Everybody who is looked at for one try, in what is known of them."""

    records: Mapping[PersonId, Sequence[Record]]
    states: Mapping[PersonId, PersonState]
    first: Mapping[PersonId, Known]
    barred: Collection[PersonId]


class Claiming:
    """The claims of one district. `targets` are those of `claims.targets`, signed in to with the accounts that are named there."""

    def __init__(
        self, config: Config, store: Store, vault: Vault, targets: Mapping[TargetName, Target], clock: Callable[[], datetime]
    ) -> None:
        if config.portal is None:
            raise EndpointError("portal", "is not configured", "write config/portal.yaml")
        self._config = config
        self._claims = config.portal.claims
        self._store = store
        self._vault = vault
        self._targets = targets
        self._clock = clock
        self._holder = f"{socket.gethostname()}:{secrets.token_hex(8)}"
        self._busy = {name: threading.Lock() for name in self._names}
        self._demands: tuple[datetime, Rules] | None = None

    # --- what is told beforehand --------------------------------------------------------------------------------------

    def terms(self) -> Terms:
        """What pages say beforehand. There is nobody in it."""
        limits = self._claims.limits
        minutes = int(limits.lock.total_seconds()) // 60
        return Terms(self._config.district.name, self._claims.populations, self._rules().told, limits.tries, minutes)

    def _rules(self) -> Rules:
        """What is demanded of passwords, by us and by the directories that say so; one that is away is asked another time."""
        now = self._clock()
        if self._demands is not None and timedelta() <= now - self._demands[0] < _EACH_DEMAND:
            return self._demands[1]
        rules = Rules(self._claims.shortest_password)
        for name in self._names:
            with self._at(name) as target, suppress(EndpointError, TransientError):
                if isinstance(target.connector, DemandsOfPasswords):
                    shortest, kinds = target.connector.password_demands()
                    rules = Rules(max(rules.shortest, shortest), rules.kinds or kinds)
        self._demands = now, rules
        return rules

    # --- who somebody is ----------------------------------------------------------------------------------------------

    def claim(self, *, given: str, family: str, birth_date: str, last4: str, address: str) -> Accepted | Refused | Locked:
        """Whether these facts prove who somebody is whose account can be claimed. `address` is that of their browser.

        Raises ValueError for what no page sends on: that is no try. Raises EndpointError where the store does not answer.
        """
        now, today = self._clock(), self._today
        born = birth_date_of(birth_date, today)
        if born is None or not are_four_digits(last4) or not all(map(_is_name, (given, family))):
            raise ValueError("no such claim: a page checks the mask first")
        network = self._vault.index_token(_network(address), fact="claim network")
        typed = self._vault.index_token(f"{folded(given, family)}|{born.isoformat()}", fact="claim typed")
        theirs, others = self._store.claims.born(self._vault.index_token(born.isoformat(), fact="birth_date"), _ALIKE)
        met = self._met([*theirs, *others])
        named = {one for one, mine in met.records.items() if any(is_same_name((given, family), _legal(each)) for each in mine)}
        proved = {one for one, mine in met.records.items() if self._proves(met.states.get(one), mine, last4)}
        meant = [one for one in theirs if one in named]
        right = [one for one in meant if one in proved]
        person = right[0] if len(right) == 1 else min(meant, default=None)
        one, limits = Try(typed, network, person), self._claims.limits
        verdict = self._store.claims.count(one, limits, now)
        if verdict.locked:
            return Locked(verdict.locked)
        if not verdict.compared or len(right) != 1 or self._claimable(right[0], met, today) is None:
            self._store.claims.settle(one, limits, now)
            return Refused()
        ticket = secrets.token_urlsafe(32)
        self._store.claims.settle(one, limits, now, ticket=ticket, expires=now + TICKET)
        return Accepted(ticket)

    def _met(self, persons: Sequence[PersonId]) -> _Met:
        store = self._store
        locks = {fact.person for fact in store.facts.listed(persons) if fact.kind in _NOT_THEIRS and fact.is_in_force(self._today)}
        there = {one for one, keys in store.keys_of(persons).items() if any(key.missing_since is None for key in keys)}
        barred = locks | store.resolutions.united().keys() | (set(persons) - there)
        return _Met(store.records(persons), store.persons(persons), store.known(self._names[0], persons), barred)

    def _proves(self, state: PersonState | None, records: Sequence[Record], last4: str) -> bool:
        """Whether these are the last four digits of the first of the asked numbers that is on file for somebody."""
        proofs = self._claims.populations.get(state.population or "" if state is not None else "", Proofs())
        said = [
            secrets.compare_digest(self._vault.fact_token(last4, source=one.source, key=one.key, fact=fact), one.facts[fact])
            for fact in proofs.last4
            for one in records
            if one.facts.get(fact)
        ]
        return bool(said) and said[0]

    def _claimable(self, person: PersonId, met: _Met, today: date) -> Known | None:
        """The account on the first target, where its owner may claim it (R41): closed by us, waiting, and not for too long."""
        state, known = met.states.get(person), met.first.get(person)
        if state is None or known is None or state.since is None or person in met.barred:
            return None
        waits = state.state == State.UNCLAIMED and not state.claimed and state.population in self._claims.populations
        in_time = (today - state.since).days < self._claims.window
        return known if waits and in_time and known.disabled_by_us and not known.account.enabled else None

    # --- a password for whoever it is ---------------------------------------------------------------------------------

    def set_password(self, *, ticket: str, password: str) -> Done | Wanting | Expired | Later:
        """Open the account of whoever holds the ticket, with this password. Raises StoreError where the store does not answer."""
        person = self._store.claims.holder(ticket, self._clock())
        if person is None:
            return Expired()
        met = self._met([person])
        if found := self._faults(met, person, password):
            return Wanting(found)
        if self._claimable(person, met, self._today) is None:
            return Expired()
        try:
            return self._carried_out(person, password)
        except StoreError:
            raise
        except (EndpointError, TransientError):
            return Later()  # what was sent is in the journal, and what came of it is looked up first

    def _carried_out(self, person: PersonId, password: str) -> Done | Wanting | Expired | Later:
        first, *further = self._waiting_on(person)
        kept = {one.target: one.password for one in self._store.claims.kept(person, self._clock())}
        if self._found_open(person):
            return self._done(person, earlier=not secrets.compare_digest(kept.get(first, "").encode(), password.encode()))
        self._store.claims.keep(person, [first, *further], password, self._clock() + WAITS)
        outcome = self._open(first, person, password)
        if not outcome.landed:
            self._store.claims.drop(person)
            return _not_opened(outcome)
        for name in further:
            with suppress(EndpointError, TransientError):  # then it waits
                self._open(name, person, password)
        return self._done(person)

    def pay(self) -> int:
        """Try again where passwords wait for a target, and destroy those that waited for too long; how many still wait."""
        now, left = self._clock(), 0
        self._store.claims.expire(now)
        for one in self._store.claims.waiting(now):
            if one.target not in self._waiting_on(one.person):
                self._store.claims.drop(one.person, one.target)
                continue
            try:
                outcome = self._open(one.target, one.person, one.password)
            except (EndpointError, TransientError):
                left += 1
                continue
            if not outcome.landed and outcome.failure is not Failure.WAITS:
                self._store.claims.drop(one.person, one.target)  # it will not be taken another time either
            left += not outcome.landed and outcome.failure is Failure.WAITS
        return left

    @property
    def _names(self) -> list[TargetName]:
        """The targets of claims, in order: the first is where people sign in."""
        return [TargetName(name) for name in self._claims.targets]

    @property
    def _today(self) -> date:
        return self._clock().astimezone(ZoneInfo(self._config.district.timezone)).date()

    def _waiting_on(self, person: PersonId) -> dict[TargetName, Known]:
        """The accounts of somebody that wait for them: closed, by us."""
        known = {name: self._store.known(name, [person]).get(person) for name in self._names}
        return {name: one for name, one in known.items() if one is not None and one.disabled_by_us and not one.account.enabled}

    def _faults(self, met: _Met, person: PersonId, password: str) -> tuple[Fault, ...]:
        records, known = met.records.get(person, ()), met.first.get(person)
        names = [value for one in records for name in ("given", "family", "preferred") if (value := _text(one, name))]
        names += [known.account.rdn] if known is not None else []
        year = next((one.sealed["birth_date"] and self._born(one) for one in records if "birth_date" in one.sealed), "")

        def are_theirs(digits: str) -> bool:
            return any(
                one.facts.get(fact) == self._vault.fact_token(digits, source=one.source, key=one.key, fact=fact)
                for one in records
                for fact in ("ssn4", "s_number4")
            )

        return faults(password, self._rules(), names, year, are_theirs)

    def _born(self, record: Record) -> str:
        """The year of a birth date; nothing where it cannot be opened any more."""
        with suppress(EndpointError):
            sealed = record.sealed["birth_date"]
            return self._vault.open_fact(sealed, source=record.source, key=record.key, fact="birth_date")[:4]
        return ""

    def _done(self, person: PersonId, *, earlier: bool = False) -> Done:
        accounts = {name: self._store.known(name, [person]).get(person) for name in self._names}
        held = {name: one.account for name, one in accounts.items() if one is not None}
        issued = self._store.names([person]).get(person, {}).get("username")
        username = issued.value if issued is not None else next(iter(held.values())).rdn
        mails = [
            value for one in held.values() for name, told in one.attributes.items() if name.lower() == "mail" for value in told
        ]
        mails += [one.rdn for one in held.values() if "@" in one.rdn]
        works = tuple(name for name, one in held.items() if one.enabled)
        return Done(username, next(iter(mails), ""), works, tuple(name for name in held if name not in works), earlier)

    # --- at the target ------------------------------------------------------------------------------------------------

    def _found_open(self, person: PersonId) -> bool:
        """Whether an earlier claim of somebody had landed, though its answer got lost. Raises as the target does."""
        rows = [row for row in self._store.journal(person=person) if row.result is None and row.change.kind is Kind.ENABLE]
        ours = self._store.facts.beside_others({row.run for row in rows}) if rows else set()
        landed = False
        for row in rows:
            if row.run in ours and row.change.target in self._names:
                intention = Intention(row.seq, row.run, row.change)
                with self._at(row.change.target) as target:
                    told = list(resolve(target, _NOTHING, [intention], self._store))
                self._store.facts.answered(told, self._clock())
                landed |= row.change.target == self._names[0] and any(outcome.landed for _, outcome in told)
        return landed

    def _open(self, name: TargetName, person: PersonId, password: str) -> Outcome:
        """What came of opening one account with this password. Raises EndpointError where nobody knows, or nothing was sent."""
        lease = lease_on(name, person)
        with self._at(name) as target:
            if not self._store.leases.take(lease, self._holder, self._clock(), LEASE_SECONDS):
                raise EndpointError(name, "somebody else is at work on this account")
            try:
                outcome = self._opened(target, person, password)
                if outcome.failure is Failure.STALE:  # it was moved a moment ago
                    outcome = self._opened(target, person, password)
                return outcome
            finally:
                with suppress(EndpointError):  # it runs out by itself
                    self._store.leases.give_back(lease, self._holder)

    @contextmanager
    def _at(self, name: TargetName) -> Iterator[Target]:
        """The target, for one claim at a time: a connection is one thread's."""
        with self._busy[name]:
            target = self._targets[name]
            target.begin()  # one person's refused passwords close nobody else's way
            yield target

    def _opened(self, target: Target, person: PersonId, password: str) -> Outcome:
        known = self._store.known(target.name, [person])[person]
        observed = next((one for _, one in target.lookup([ById(known.native_id)], _NOTHING)), None)
        place = replace((observed or known).account, attributes={}, groups=frozenset())
        state = self._store.persons([person])[person]
        change = Change(
            target.name, Kind.ENABLE, "claimed by its owner", person, known.native_id, place, replace(place, enabled=True),
            campus=state.campus, population=PopulationName(state.population or ""),
        )  # fmt: skip
        if observed is None:
            return Outcome(change, Result.FAILED, failure=Failure.NO_SUCH_OBJECT)
        if observed.privileged or observed.account.enabled:  # somebody else has opened it: its password is not ours to set (R41)
            return Outcome(change, Result.FAILED, failure=Failure.OUT_OF_SCOPE)
        run = self._store.begin_run(PIPELINE, CLAIM, "portal", self._clock())
        self._store.set_run(run, "applying")
        (seq,) = self._store.intend(run, [change], {}, self._clock())
        outcome = self._sent(target, change, Intention(seq, run, change), password)
        self._store.facts.answered([(seq, outcome)], self._clock())
        summary = {"enable": 1, "landed": int(outcome.landed), "failed": int(not outcome.landed)}
        self._store.set_run(run, "done" if outcome.landed else "partly failed", self._clock(), summary)
        _log.info("change.applied", run=run, target=target.name, person=person, kind=str(Kind.ENABLE),
                  result=str(outcome.result), failure=outcome.failure and str(outcome.failure))  # fmt: skip
        return outcome

    def _sent(self, target: Target, change: Change, intention: Intention, password: str) -> Outcome:
        if change.person in self._store.facts.locked():  # not before: whoever locks them now sees what is journalled (R33)
            return Outcome(change, Result.FAILED, failure=Failure.OUT_OF_SCOPE, why="not sent: somebody locked this person")
        try:
            (outcome,) = target.apply(iter([change]), lambda _: Chosen(password))
        except (EndpointError, TransientError) as error:
            return Outcome(change, Result.FAILED, failure=Failure.WAITS, why=f"not sent: {error}")
        if outcome.result is Result.UNKNOWN:
            ((_, outcome),) = resolve(target, _NOTHING, [intention], self._store)
        return outcome


_NOTHING = Scope(frozenset())


def _not_opened(outcome: Outcome) -> Wanting | Expired | Later:
    """What a refusal means for whoever chose the password. A target's words may quote anything, and stay in the journal."""
    match outcome.failure:
        case Failure.INVALID | Failure.REFUSED:
            return Wanting((Fault("directory"),))
        case Failure.OUT_OF_SCOPE | Failure.NO_SUCH_OBJECT:
            return Expired()
        case _:
            return Later()


def _is_name(text: str) -> bool:
    return len(text) <= LONGEST_NAME and bool(words(text)) and text.isprintable()


def _legal(record: Record) -> tuple[str, str]:
    return _text(record, "given"), _text(record, "family")


def _text(record: Record, name: str) -> str:
    value = record.fields.get(name)
    return value if isinstance(value, str) else ""


def _network(address: str) -> str:
    """The network of an address: itself, or of IPv6 the half that belongs to one subscriber. Raises ValueError."""
    told = ipaddress.ip_address(address)
    if isinstance(told, ipaddress.IPv6Address):
        if told.ipv4_mapped is not None:
            return str(told.ipv4_mapped)
        return str(ipaddress.ip_network((told, 64), strict=False))
    return str(told)
