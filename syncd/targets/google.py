"""Google Workspace: accounts read, looked up and named as syncd names them; what is asked, made and changed is its parts' business.

An account is named by its whole mail address, stands in an organizational unit (`/Students/Grade 07`) and belongs to groups by
their addresses; a licence is told like a group. Nobody's existence is decided by a search, which lags by hours: asked is by key, or
everybody is listed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from syncd.core.devices import Device
from syncd.core.model import GROUP_KINDS, Account, Change, Kind, NativeId, Observed, ObservedGroup, Outcome, OutOfReach
from syncd.core.spelling import STEP, lies_in
from syncd.errors import ChangeError
from syncd.targets import ByAttribute, ById, ByLocation, Examined, Needs, PasswordOf, Question, Scope, Seats, Use
from syncd.targets.google_accounts import Accounts
from syncd.targets.google_apply import GoogleWriter
from syncd.targets.google_check import Examination
from syncd.targets.google_config import LICENCE, GoogleConfig
from syncd.targets.google_devices import Devices
from syncd.targets.google_errors import Refused
from syncd.targets.google_fields import ALIASES, NAMING, User, field_of
from syncd.targets.google_groups import Groups
from syncd.targets.google_licences import Licences
from syncd.targets.google_people import People
from syncd.targets.google_places import canonical_place
from syncd.targets.google_units import Units
from syncd.targets.google_users import Spelling, address, is_address, tops
from syncd.targets.google_wire import Scope as Right
from syncd.targets.google_wire import Wire
from syncd.vault import Credentials

__all__ = ["Google", "GoogleConfig"]

_RECENT = 60.0  # seconds for which a listing of everybody answers questions
_FEW = 20  # questions put one by one; for more, everybody is listed
_NEVER = 1970


class Google:
    """The connector for one customer. Satisfies Connector, Manages…, RefersToAccounts, LimitsWrites, Tells… and Examines."""

    def __init__(self, name: str, config: GoogleConfig, credentials: Credentials) -> None:
        self.config = config
        self._spelling = Spelling(config)
        self.wire = Wire(name, config, credentials)
        self.people = People(self.wire)
        self._units = Units(self.wire, self.people)
        self._groups = Groups(self.wire, self.people)
        self._licences = Licences(self.wire, self.people)
        self._devices = Devices(self.wire, self._units)
        self._accounts = Accounts(self.wire, self.people, self._units, self._spelling)
        self._may_write_in = tuple(canonical_place(place) for place in config.accounts_in)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Everybody of the customer, streamed. Raises unless the last page was reached."""
        self.people.asks(tops(scope.attributes))
        for user in self.people.list():
            yield self._spelling.observed(user, scope)

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """Each account that answers a question: asked for by its key, or found among everybody where listing them is cheaper."""
        asked = [question for question in dict.fromkeys(questions) if _can_be_had(question)]
        attributes = [question.attribute for question in asked if isinstance(question, ByAttribute)]
        self.people.asks(tops([*scope.attributes, *attributes]))
        keyed = [question for question in asked if self._has_key(question)]
        listed = self._is_listed()
        if not listed and (len(keyed) < len(asked) or len(keyed) > _FEW):
            for _ in self.people.list():
                pass  # remembered
            listed = True
        told: dict[str, User | None] = {}  # several questions are about one address
        for question in asked:
            found = self._among_all(question) if listed else self._by_key(question, told)
            for user in found:
                if _answers(question, user):
                    yield question, self._spelling.observed(user, scope)

    def _is_listed(self) -> bool:
        """Whether everybody was listed a moment ago, and what is asked for now was asked for then."""
        whole = self.people.sight.whole
        return whole is not None and self.people.now() - whole < _RECENT and self.people.sight.covers(self.people.tops)

    @staticmethod
    def _has_key(question: Question) -> bool:
        return isinstance(question, ById | ByLocation) or question.attribute.lower() in (NAMING.lower(), ALIASES)

    def _among_all(self, question: Question) -> Iterator[User]:
        sight = self.people.sight
        match question:
            case ById(native_id):
                found = {native_id}
            case ByLocation(_, rdn):
                found = sight.having(NAMING, address(rdn))
            case ByAttribute(attribute, value):
                found = {one for key in self._keys(attribute, value) for one in sight.having(attribute, key)}
        for native_id in sorted(found):
            if (glimpse := sight.of(native_id)) is not None:
                yield glimpse.user

    def _by_key(self, question: Question, told: dict[str, User | None]) -> Iterator[User]:
        match question:
            case ById(native_id):
                keys = [str(native_id)]
            case ByLocation(_, rdn):
                keys = [address(rdn)] if is_address(rdn) else []
            case ByAttribute(attribute, value):
                keys = [key for key in self._keys(attribute, value) if is_address(key)]
        for key in keys:
            if key.lower() not in told:
                try:
                    told[key.lower()] = self.people.get(key)
                except Refused as refused:
                    raise self.wire.unread(Right.USERS, refused, "asking for an account") from refused
            user = told[key.lower()]
            if user is None and isinstance(question, ById) and self.people.is_fresh(question.native_id):
                glimpse = self.people.sight.of(question.native_id)
                user = glimpse.user if glimpse is not None else None
            if user is not None:
                yield user

    def _keys(self, attribute: str, value: str) -> list[str]:
        """What to ask for: of a name without a domain, the addresses it makes in each of ours."""
        if attribute.lower() not in (NAMING.lower(), ALIASES) or "@" in value:
            return [value]
        return [f"{value}@{domain}" for domain in self.config.domains]

    def uses(self) -> Iterator[tuple[NativeId, Use]]:
        """When each account was last signed in to; of one that never was, nothing."""
        for native_id, told in self.people.last_logins():
            used = _moment(told)
            yield native_id, Use(used if used is not None and used.year > _NEVER else None)

    # --- spelling -----------------------------------------------------------------------------------------------------

    def canonical(self, account: Account) -> Account:
        """The account as read() tells it. Raises ChangeError("invalid value")."""
        self._units.canonical(account.container)
        return self._spelling.canonical(account)

    def canonical_group(self, name: str) -> str:
        """A group's address, a licence's name or a unit's path, canonical."""
        return self._units.canonical(name) if name.startswith(STEP) or "=" in name else self.config.group(name)

    def reference(self, account: Account) -> str:
        """What a relation to this account holds: its address."""
        return address(account.rdn)

    # --- what must be there -------------------------------------------------------------------------------------------

    def out_of_reach(self, names: Collection[str]) -> Mapping[str, OutOfReach]:
        """Those of these groups, licences and units for which a scope or a right is missing; no request of the quota."""
        self.wire.token(Right.USERS)  # raises where nobody can sign in: then it is no matter of a part
        found: dict[str, OutOfReach] = {}
        for scope, mine in _by_right(names).items():
            if (error := self.wire.out_of_reach(scope)) is not None:
                found |= dict.fromkeys(mine, OutOfReach(error.part, error.told))
        return found

    def missing_containers(self, names: Collection[str]) -> set[str]:
        """Those of the units, the ones above them included, that do not exist."""
        return self._units.missing(names)

    def missing_groups(self, names: Collection[str]) -> set[str]:
        """Those of the groups that do not exist. A licence that is configured is always there."""
        return self._groups.missing({name for name in map(self.config.group, names) if not name.startswith(LICENCE)})

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the named groups that exist, and the licences, with who has them."""
        told = set(map(self.config.group, names))
        licences = {name for name in told if name.startswith(LICENCE)}
        yield from self._groups.read(told - licences)
        yield from self._licences.read(licences)

    def groups_amiss(self, names: Collection[str]) -> Mapping[str, str]:
        """Of the groups whose settings are not as configured, which settings those are: one request for each group."""
        told = set(map(self.config.group, names))
        return self._groups.amiss({name for name in told if not name.startswith(LICENCE) and self.config.may_write_group(name)})

    def seats_left(self, names: Collection[str]) -> Mapping[str, Seats]:
        """How many of each licence among the names are left, where that is known."""
        return self._licences.seats_left({name for name in map(self.config.group, names) if name.startswith(LICENCE)})

    # --- writing ------------------------------------------------------------------------------------------------------

    def refuses(self, change: Change) -> str:
        """Why the change must not be sent: it leads outside of what may be written, or to an administrator (R40)."""
        if change.kind is Kind.CREATE_CONTAINER:
            return self._beyond_units(self._units.canonical(change.group or ""), to_make=True)
        if change.kind in GROUP_KINDS:
            name = self.config.group(change.group or "")
            if not self.config.may_write_group(name):
                return f"{name} is none of the groups that may be written (groups_in)"
        for account in (change.before, change.after):
            if account is not None and self._spelling.is_privileged_name(account.rdn):
                return "the account is configured as privileged (R40)"
            if account is not None and (why := self._beyond_units(account.container, to_make=False)):
                return why
        return ""

    def _beyond_units(self, place: str, *, to_make: bool) -> str:
        for top in self._may_write_in:
            if lies_in(place, top) or (to_make and lies_in(top, place)):
                return ""
        return f"{place or STEP} is outside of what may be written (accounts_in)"

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """One outcome for every change, in the order in which Google answers."""
        self._licences.begin()
        writer = GoogleWriter(self.wire, self.people, self._accounts, self._units, self._groups, self._licences)
        return writer.apply(changes, password)

    def examine(self, attributes: Collection[str], needs: Needs) -> Examined:
        """What is there and what is wrong with the key, the delegation, the administrator's role, the domains and the licences."""
        return Examination(self.wire, self.people, self._licences, attributes, needs).result()

    # --- devices ------------------------------------------------------------------------------------------------------

    def devices(self) -> Iterator[Device]:
        """Every Chromebook, streamed. Raises unless the last page was reached."""
        return self._devices.list()

    def change_devices(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """One outcome for every change of a Chromebook."""
        return self._devices.apply(changes)

    def close(self) -> None:
        """Let go of the connections; idempotent."""
        self.wire.close()


def _by_right(names: Collection[str]) -> dict[Right, list[str]]:
    """What groups, licences and units take the same scope."""
    found: dict[Right, list[str]] = {}
    for name in names:
        right = Right.UNITS if name.startswith(STEP) else Right.LICENCES if name.startswith(LICENCE) else Right.GROUPS
        found.setdefault(right, []).append(name)
    return found


def _can_be_had(question: Question) -> bool:
    """Whether an answer is possible: what `unique_in` names is asked of every target, and Google has not got all of it."""
    try:
        return not isinstance(question, ByAttribute) or bool(field_of(question.attribute))
    except ChangeError:
        return False


def _answers(question: Question, user: User) -> bool:
    """Whether a user found by a key is who was asked for: an alias finds its owner, too."""
    own = str(user[NAMING]).lower()
    match question:
        case ByLocation(container, rdn):
            try:
                return own == address(rdn) and canonical_place(container) == canonical_place(str(user.get("orgUnitPath") or STEP))
            except ChangeError:
                return False
        case ByAttribute(attribute, value) if attribute.lower() == NAMING.lower():
            return value.lower() in (own, own.partition("@")[0])
        case ByAttribute(attribute, value) if attribute.lower() == ALIASES:
            aliases: Sequence[str] = [alias.lower() for alias in user.get(ALIASES) or ()]
            return any(value.lower() in (alias, alias.partition("@")[0]) for alias in aliases)
    return True


def _moment(told: str) -> datetime | None:
    try:
        return datetime.fromisoformat(told).astimezone(UTC)
    except ValueError:
        return None
