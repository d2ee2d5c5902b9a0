"""An LDAP directory: accounts read, looked up and named as syncd names them; what differs between kinds is the dialect's to say.

Three connections, each opened when first needed: one streams whole reads, one asks small questions, one writes. So a question asked
in the middle of a read or of a batch of writes disturbs neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from syncd.core.model import Account, Change, Kind, NativeId, Observed, ObservedGroup, Outcome, Result
from syncd.errors import ChangeError, EndpointError
from syncd.targets import ById, ByLocation, PasswordOf, Question, Scope, Use
from syncd.targets import ldap_ber as ber
from syncd.targets import ldap_dn as names
from syncd.targets.ldap_apply import Directory, Writer
from syncd.targets.ldap_config import DirectoryConfig, LdapConfig
from syncd.targets.ldap_dialect import Dialect, OpenLdap, moment
from syncd.targets.ldap_entries import Entry
from syncd.targets.ldap_route import Route
from syncd.targets.ldap_schema import Schema
from syncd.targets.ldap_wire import Wire
from syncd.vault import Credentials

__all__ = ["Ldap", "LdapConfig", "LdapDirectory"]

_BATCH = 50  # questions in one filter
_SOME = 20  # accounts remembered of each container
_NOBODY = ber.negation(ber.present("objectClass"))
_FEW = 500  # members resolved by asking; more are resolved by one read


@dataclass(frozen=True, slots=True)
class _Fields:
    """What a search asks for, and how the mapping spells what comes back."""

    spelling: Mapping[str, str]  # lower case -> as the mapping spells it
    ask: tuple[str, ...]


class LdapDirectory:
    """A connector for one directory. Satisfies Connector, Manages…, RefersToAccounts, TellsUse and LimitsWrites."""

    def __init__(self, name: str, config: DirectoryConfig, credentials: Credentials, dialect: Dialect) -> None:
        self.config = config
        self._dialect = dialect
        self._name = name
        self._tree = names.Tree.of(config.base, dialect.naming)
        self._places = names.Places(self._tree)
        self._id = dialect.id_attribute
        self._id_found = dialect.id_attribute.lower()  # as a search tells it
        self._references = frozenset(map(str.lower, config.reference_attributes))
        self._special = self._references | dialect.respelt | dialect.binary  # whose values are not told as they are
        self._accounts = dialect.accounts
        route = Route(config.urls)
        self._wires = {
            use: Wire(name, config, lambda: credentials.text(config.credential), route) for use in ("read", "ask", "write")
        }
        self._shown: dict[str, list[NativeId]] = {}  # container -> some of those the last whole read found there
        self._schema = Schema(name, self._wires["ask"])
        self._canonical: dict[str, str] = {}  # a container's or group's name as a mapping spells it -> canonical: a few hundred
        self._spelt: dict[str, str] = {}  # canonical container or group -> as the mapping spelt it, for what we create
        self._ids: dict[str, list[NativeId]] = {}  # member value, folded -> whom the last whole read found there
        self._untouchable: frozenset[str] | None = None
        self._untouchable_places: frozenset[tuple[str, str]] | None = None
        self._reach: dict[str, str] = {}  # container -> why no account of ours may stand there, or ""
        self._judged: dict[tuple[bytes, ...], bool] = {}  # object classes of an entry -> whether it is an account: a handful
        self._context: str | None = None  # the part of the server's tree that holds the base; asked for once
        self._privileged_ids: set[NativeId] = set()

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Every account below the base, streamed. Raises unless the base can be read and the server reached the end."""
        wire = self._wires["read"]
        if wire.entry(self.config.base, ["1.1"]) is None:
            raise EndpointError(
                self._name, f"the base {self.config.base} does not exist or may not be read", "check base and the rights of bind_dn"
            )
        self._untouchable = self._untouchable_places = None  # who was made an administrator since is not to be missed
        fields = self._fields(scope)
        ids: dict[str, list[NativeId]] = {}
        shown: dict[str, list[NativeId]] = {}
        for dn, raw in self._below_base(wire, self._accounts, fields.ask):
            spot = self._places.of(dn)
            if spot is not None:
                observed = self._observed(dn, raw, fields, spot)
                ids.setdefault(self._member_key(spot, raw), []).append(observed.native_id)
                if len(some := shown.setdefault(spot.container, [])) < _SOME:
                    some.append(observed.native_id)
                yield observed
        self._must_not_be_hidden(shown)
        self._ids = ids
        self._shown = shown

    def _below_base(self, wire: Wire, condition: bytes, attributes: Sequence[str]) -> Iterator[Entry]:
        """Everything below the base that fits; parts on other servers end it where this dialect does not expect any."""
        search = wire.search if self._dialect.stops_at_references else wire.search_here
        return search(self.config.base, condition, attributes)

    def _must_not_be_hidden(self, shown: Mapping[str, Collection[NativeId]]) -> None:
        """Raises EndpointError where a container shows nobody, and those who stood there are not to be found anywhere else either.

        A server that may not tell of anybody there says "success, and nobody": a lost read right looks like an empty place.
        """
        for container, before in self._shown.items():
            asked = [ById(one) for one in before]
            if asked and container not in shown and not list(self.lookup(asked, Scope(frozenset()))):
                raise EndpointError(
                    self._name,
                    f"{container or 'the base'} shows none of the accounts that it showed before",
                    "give the account we bind as the right to list and read it; if others deleted them all, restart syncd",
                )

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """Each account that answers a question. What stands at an asked place is told even if it is no account: as privileged.

        Who is asked for by id is also found outside the base (R8), and then stands in a container told by its full name.
        """
        fields = self._fields(scope, [question.attribute for question in questions if not isinstance(question, ById | ByLocation)])
        asked = list(dict.fromkeys(questions))
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            found: set[Question] = set()
            for question, observed in self._ask(batch, fields):
                found.add(question)
                yield question, observed
            if missing := [question for question in batch if isinstance(question, ById) and question not in found]:
                yield from self._elsewhere(missing, fields)

    def uses(self) -> Iterator[tuple[NativeId, Use]]:
        """When each account below the base was last used. What the server does not know, or may not tell, is missing."""
        used, changed, wire = self._dialect.used, self._dialect.changed, self._wires["read"]
        for dn, raw in self._below_base(wire, self._accounts, (self._id, *used, changed)):
            times = (moment(value) for name in used for value in raw.get(name.lower(), ()))
            when = next((time for time in times if time is not None), None)
            changes = [time for value in raw.get(changed.lower(), ()) if (time := moment(value)) is not None]
            yield self._native_id(dn, raw), Use(when, max(changes, default=None))

    def _elsewhere(self, questions: Sequence[ById], fields: _Fields) -> Iterator[tuple[Question, Observed]]:
        """Those that are on this server, but no longer below the base. Nobody, where we may not read there."""
        condition = ber.some(map(self._condition, questions))
        context = self._whole_context()
        try:
            entries = list(self._wires["ask"].search_here(context, condition, fields.ask))
        except EndpointError:
            return
        anywhere = names.Places(names.Tree((), self._tree.naming))
        for dn, raw in entries:
            spot = anywhere.of(dn)
            if spot is not None:
                observed = self._observed(dn, raw, fields, spot)
                yield ById(observed.native_id), observed

    def _with_ids(self, wire: Wire, ids: Sequence[NativeId], fields: _Fields) -> Iterator[Observed]:
        """Those of the accounts with these ids that stand below the base; privileged who says so, or is known to be."""
        for start in range(0, len(ids), _BATCH):
            condition = ber.every([self._accounts, ber.some(map(self._dialect.id_is, ids[start : start + _BATCH]))])
            for dn, raw in wire.search_here(self.config.base, condition, fields.ask):
                spot = self._places.of(dn)
                if spot is not None:  # whom the domain protects is a long question, and asked again before anything is written
                    yield self._observed(dn, raw, fields, spot, self._untouchable or ())

    def _whole_context(self) -> str:
        """The part of the server's tree that holds the base."""
        if self._context is None:
            root = self._wires["ask"].entry("", ["namingContexts"])
            contexts = (_text(value) for value in (root[1] if root else {}).get("namingcontexts", ()))
            base = names.fold(self._tree.base)
            holding = [context for context in contexts if base[len(base) - len(top := names.fold(names.parse(context))) :] == top]
            self._context = max(holding, key=len, default=self.config.base)
        return self._context

    def _ask(self, questions: Sequence[Question], fields: _Fields) -> Iterator[tuple[Question, Observed]]:
        for dn, raw in self._matching(questions, fields):
            spot = self._places.of(dn)
            if spot is None:
                continue
            observed = self._observed(dn, raw, fields, spot)
            answered = [question for question in questions if self._answers(question, observed, raw)]
            if not answered and len(questions) > 1:
                # The server compares by its own rules (a telephone number without its hyphens): ask which question it meant.
                answered = [
                    question for question in questions if any(found == dn for found, _ in self._matching([question], fields))
                ]
            for question in answered or questions[: 1 if len(questions) == 1 else 0]:
                yield question, observed

    def _matching(self, questions: Sequence[Question], fields: _Fields) -> list[Entry]:
        condition = ber.some(map(self._condition, questions))
        return list(self._below_base(self._wires["ask"], condition, fields.ask))

    def _condition(self, question: Question) -> bytes:
        match question:
            case ById(native_id):
                return self._dialect.id_is(native_id)
            case ByLocation(container, rdn):
                try:
                    return ber.equal(self._dialect.place_attribute, self._tree.account(container, rdn))
                except names.NotADn as error:
                    raise ChangeError("invalid value", str(error)) from error
            case _ if question.attribute.lower() in self._dialect.binary:
                try:
                    value = self._dialect.sent(question.attribute.lower(), question.value)
                except ChangeError:
                    return _NOBODY  # what spells no bytes is nobody's
                return ber.every([self._accounts, ber.equal(question.attribute, value)])
            case _:
                return ber.every([self._accounts, ber.equal(question.attribute, question.value)])

    def _answers(self, question: Question, observed: Observed, raw: Mapping[str, list[bytes]]) -> bool:
        match question:
            case ById(native_id):
                return observed.native_id == native_id
            case ByLocation(container, rdn):
                there = (names.canonical(container), names.fold_value(rdn))
                return (observed.account.container, names.fold_value(observed.account.rdn)) == there
            case _:
                wanted, lower = names.fold_value(question.value), question.attribute.lower()
                told = self._texts(lower, raw.get(lower, ()))
                return self._is_account(raw) and any(names.fold_value(value) == wanted for value in told)

    def _fields(self, scope: Scope, also: Iterable[str] = ()) -> _Fields:
        naming = self._tree.naming
        spelling = {name.lower(): name for name in scope.attributes if name.lower() not in (naming, *self._dialect.never_read)}
        ours = (self._id, "objectClass", *self._dialect.asked, self._dialect.naming)
        asked = {name.lower(): name for name in (*ours, *also, *spelling.values())}
        self._schema.must_know(asked.values())
        return _Fields(spelling, tuple(asked.values()))

    def _is_account(self, raw: Mapping[str, list[bytes]]) -> bool:
        classes = tuple(raw.get("objectclass", ()))
        known = self._judged.get(classes)
        if known is None:
            known = self._judged[classes] = self._dialect.is_account(classes)
        return known

    def _observed(
        self,
        dn: str,
        raw: Mapping[str, list[bytes]],
        fields: _Fields,
        spot: names.Spot,
        untouchable: Collection[str] | None = None,
    ) -> Observed:
        native_id = self._native_id(dn, raw)
        attributes: dict[str, tuple[str, ...]] = {}
        for lower, spelt in fields.spelling.items():
            values = raw.get(lower)
            if not values:
                continue
            if len(values) == 1 and values[0] and lower not in self._special:  # nearly all: said here, for a third of the time
                attributes[spelt] = (values[0].decode("utf-8", "backslashreplace"),)
            elif lower in self._dialect.binary:
                attributes[spelt] = tuple(sorted(set(self._texts(lower, values))))
            elif found := self._values(lower, map(_text, values)):
                attributes[spelt] = found
        enabled = self._dialect.is_enabled(raw)
        whole = untouchable is None  # all is known that makes somebody privileged
        if untouchable is None:
            untouchable = self._privileged()
        privileged = not self._is_account(raw) or spot.name in untouchable or self._dialect.is_privileged(raw)
        if privileged:
            self._privileged_ids.add(native_id)
        elif whole:
            self._privileged_ids.discard(native_id)  # who was one before, and is an ordinary account by now
        if names.is_foreign(spot.rdn) and raw.get(self._tree.naming):
            # Not its name here, but what its owner signs in with: to be kept when it is adopted (R34).
            attributes[self._dialect.naming] = self._values(self._tree.naming, map(_text, raw[self._tree.naming]))
        return Observed(native_id, Account(spot.rdn, spot.container, enabled, attributes), privileged)

    def _native_id(self, dn: str, raw: Mapping[str, list[bytes]]) -> NativeId:
        ids = raw.get(self._id_found)
        if not ids:
            raise EndpointError(self._name, f"{dn} shows no {self._id}", "give the account we bind as the right to read it")
        return self._dialect.native_id(ids[0])

    def _texts(self, lower: str, values: Iterable[bytes]) -> Iterator[str]:
        """Raw values as a mapping spells them."""
        if lower in self._dialect.binary:
            return (self._dialect.told(lower, value) for value in values)
        return map(_text, values)

    def _values(self, lower: str, values: Iterable[str]) -> tuple[str, ...]:
        kept = {value for value in values if value}
        if lower in self._references:
            kept = {_reference(value) for value in kept}
        return tuple(sorted(self._dialect.spelt(lower, kept)))

    def _privileged(self) -> frozenset[str]:
        """The names, folded, of accounts and groups we never touch (R40). Raises EndpointError where they cannot be told."""
        if self._untouchable is None:
            told = self._dialect.untouchable(self._wires["ask"], self._tree)
            self._untouchable = frozenset(map(names.canonical, told))
        return self._untouchable

    # --- spelling -----------------------------------------------------------------------------------------------------

    def canonical(self, account: Account) -> Account:
        """The account as read() tells it: folded containers and groups, sorted values, neither naming attribute nor empty values.

        Raises ChangeError("invalid value") for a container or group that is no distinguished name, and for what does not fit.
        """
        self._dialect.must_fit(account)
        attributes: dict[str, tuple[str, ...]] = {}
        for name, given in account.attributes.items():
            lower = name.lower()
            if lower == self._tree.naming:
                continue
            if len(given) == 1 and given[0] and lower not in self._special:
                attributes[name] = given
            elif values := self._values(lower, given):
                attributes[name] = values
        groups = frozenset(map(self.canonical_group, account.groups)) if account.groups else account.groups
        return Account(account.rdn, self.canonical_group(account.container), account.enabled, attributes, groups)

    def canonical_group(self, name: str) -> str:
        """A container's or group's name folded; how it was spelt is remembered for the day it is created."""
        try:
            return self._spell(name)
        except names.NotADn as error:
            raise ChangeError("invalid value", str(error)) from error

    def _spell(self, name: str) -> str:
        """As canonical_group(); the same few come with every account. Raises NotADn."""
        if (known := self._canonical.get(name)) is not None:
            return known
        parsed = names.parse(name)
        for depth in range(len(parsed)):
            key = names.render(names.fold(parsed[depth:]))
            spelt = names.render(parsed[depth:])
            if spelt != key:
                self._spelt.setdefault(key, spelt)
        canonical = self._canonical[name] = names.render(names.fold(parsed))
        return canonical

    def reference(self, account: Account) -> str:
        """What an attribute that names this account holds, as read() tells it."""
        try:
            return _reference(self._tree.account(account.container, account.rdn))
        except names.NotADn as error:
            raise ChangeError("invalid value", str(error)) from error

    # --- containers and groups ----------------------------------------------------------------------------------------

    def missing_containers(self, wanted: Collection[str]) -> set[str]:
        """Those of the containers, ancestors included, that do not exist."""
        every = {
            names.render(parsed[depth:])
            for parsed in (names.parse(self.canonical_group(name)) for name in wanted)
            for depth in range(len(parsed))
        }
        missing: set[str] = set()
        by_depth: dict[int, dict[str, str]] = {}  # full name -> container, of one depth
        for name in every:
            by_depth.setdefault(len(names.parse(name)), {})[self._tree.full(name)] = name
        for _, level in sorted(by_depth.items()):  # below what does not exist nothing does
            asked = {dn: name for dn, name in level.items() if names.render(names.parse(name)[1:]) not in missing}
            missing |= {name for dn, name in level.items() if dn not in asked}
            missing |= {asked[dn] for dn, entry in self._wires["ask"].entries_of(asked, ["1.1"]) if entry is None}
        return missing

    def missing_groups(self, wanted: Collection[str]) -> set[str]:
        """Those of the groups that do not exist, canonical."""
        asked = {self._tree.full(name): name for name in map(self.canonical_group, wanted)}
        return {asked[dn] for dn, entry in self._wires["ask"].entries_of(asked, [self._id]) if entry is None}

    def read_groups(self, wanted: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the named groups that exist, with the ids of the members that are accounts below the base."""
        holds = self._dialect.holds
        found: list[tuple[str, NativeId, list[str]]] = []
        asked = {self._tree.full(name): name for name in map(self.canonical_group, wanted)}
        for dn, entry in self._wires["ask"].entries_of(asked, [self._id, holds]):
            if entry is not None and entry[1].get(self._id_found):
                members = [self._key_of_value(_text(value)) for value in entry[1].get(holds.lower(), ())]
                found.append((asked[dn], self._native_id(dn, entry[1]), members))
        ids = self._members({member for _, _, members in found for member in members})
        self._ids = {}  # good for the run it was read in, not for one an hour later
        unlisted = self._dialect.unlisted(self._wires["ask"], [self._tree.full(name) for name, _, _ in found])
        for name, native_id, members in sorted(found):
            listed = frozenset(one for member in members for one in ids.get(member, ()))
            yield ObservedGroup(native_id, name, listed.union(unlisted.get(self._tree.full(name), ())))

    def _key_of_value(self, value: str) -> str:
        if not self._dialect.members_by_name:
            return names.fold_value(value)
        try:
            return names.canonical(value)
        except names.NotADn:
            return value

    def _member_key(self, spot: names.Spot, raw: Mapping[str, list[bytes]]) -> str:
        if not self._dialect.members_by_name:
            return names.fold_value(_text(raw.get(self._tree.naming, [b""])[0]))
        return spot.name

    def _members(self, keys: set[str]) -> Mapping[str, list[NativeId]]:
        unknown = sorted(keys - self._ids.keys())
        ids = {key: self._ids[key] for key in keys & self._ids.keys()}
        naming = self._dialect.place_attribute if self._dialect.members_by_name else self._dialect.naming
        if len(unknown) > _FEW:
            conditions = [self._accounts]
        else:
            batches = (unknown[start : start + _BATCH] for start in range(0, len(unknown), _BATCH))
            conditions = [ber.every([self._accounts, ber.some(ber.equal(naming, key) for key in batch)]) for batch in batches]
        for condition in conditions:
            for dn, raw in self._below_base(self._wires["ask"], condition, [self._id, self._dialect.naming]):
                spot = self._places.of(dn)
                if spot is not None:
                    ids.setdefault(self._member_key(spot, raw), []).append(self._native_id(dn, raw))
        return ids

    # --- writing ------------------------------------------------------------------------------------------------------

    def refuses(self, change: Change) -> str:
        """Why this change lies outside what we may write, or the empty string."""
        group_kinds = (Kind.CREATE_GROUP, Kind.ADD_MEMBER, Kind.REMOVE_MEMBER)
        try:
            if change.native_id in self._privileged_ids:
                return "the account is privileged (R40)"
            if change.kind in group_kinds:
                return self._group_refused(names.parse(change.group or ""))
            if change.kind is Kind.CREATE_CONTAINER:
                return self._outside(
                    names.parse(change.group or ""), (*self.config.accounts_in, *self.config.groups_in), "accounts_in"
                )
            places = [place for place in (change.before, change.after) if place is not None]
            for place in places:
                self._tree.first(place.rdn)
                if (self._spell(place.container), names.fold_value(place.rdn)) in self._privileged_places():
                    return "the account is privileged (R40)"
            return next(filter(None, (self._account_outside(place.container) for place in places)), "")
        except names.NotADn as error:
            return str(error)

    def _privileged_places(self) -> frozenset[tuple[str, str]]:
        """Where below the base the accounts stand that we never touch: container and naming value, folded."""
        if self._untouchable_places is None:
            places = (self._tree.place(names.parse(name)) for name in self._privileged())
            found = (place for place in places if place is not None)
            self._untouchable_places = frozenset((container, names.fold_value(rdn)) for container, rdn in found)
        return self._untouchable_places

    def _account_outside(self, container: str) -> str:
        why = self._reach.get(container)
        if why is None:
            why = self._reach[container] = self._outside(names.parse(container), self.config.accounts_in, "accounts_in")
        return why

    def _group_refused(self, group: names.Dn) -> str:
        privileged = {names.canonical(self._tree.full(name)) for name in self.config.privileged_groups} | self._privileged()
        if names.render(names.fold(group + self._tree.base)) in privileged:
            return f"the group {names.render(group)} is privileged (R40)"
        return self._outside(group, self.config.groups_in, "groups_in")

    @staticmethod
    def _outside(name: names.Dn, allowed: Collection[str], setting: str) -> str:
        folded = names.fold(name)
        for text in allowed:
            if _below(folded, names.fold(names.parse(text))):
                return ""
        return f"{names.render(name) or 'the base'} lies outside {setting} ({', '.join(allowed) or 'nothing'})"

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for every change pulled; see `ldap_apply`."""
        self._ids = {}
        for outcome in self._dialect.apply(self._directory(), changes, password):
            if outcome.change.kind is Kind.DELETE and outcome.result in (Result.DONE, Result.ALREADY):
                for remembered in self._shown.values():  # gone by our hand, and not to be missed
                    if outcome.change.native_id in remembered:
                        remembered.remove(outcome.change.native_id)
            yield outcome

    def _directory(self) -> Directory:
        return Directory(self._name, self.config, self._tree, self._wires["write"], self._wires["ask"], self._spelt, self._now)

    def _now(self, ids: Collection[NativeId], attributes: Iterable[str]) -> dict[NativeId, Observed]:
        """The accounts with these ids as they stand, for judging why a precondition missed."""
        questions = [ById(native_id) for native_id in ids]
        return {found.native_id: found for _, found in self.lookup(questions, Scope(frozenset(attributes)))}

    def close(self) -> None:
        """Hang up every connection; idempotent."""
        for wire in self._wires.values():
            wire.close()


class Ldap(LdapDirectory):
    """The connector for OpenLDAP and its like. Satisfies FollowsNames, too."""

    config: LdapConfig

    def __init__(self, name: str, config: LdapConfig, credentials: Credentials) -> None:
        super().__init__(name, config, credentials, OpenLdap(config))

    def follow(self, changes: Sequence[Change]) -> str:
        """Rewrite what groups hold of these renames and deletes, or wait until the server has; what went wrong, or nothing."""
        return Writer(self._directory(), self.config).follow(changes)


def _below(name: names.Dn, top: names.Dn) -> bool:
    """True for a name at or below the top; both folded."""
    return name[len(name) - len(top) :] == top


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


def _reference(text: str) -> str:
    """The name of an account as references hold it: the naming value as it is, the rest folded."""
    try:
        parsed = names.parse(text)
    except names.NotADn:
        return text
    return names.render((*parsed[:1], *names.fold(parsed[1:])))
