"""Systems we write. A connector does wire work; `Target` owns what every connector would otherwise repeat.

Retry, rate limit, circuit breaker, write scope and error budget live in `Target`, once. The registry is a literal dict, imported on
use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from syncd.core.devices import Device
from syncd.core.model import Account, Change, NativeId, Observed, ObservedGroup, Outcome, OutOfReach
from syncd.errors import EndpointError
from syncd.vault import Credentials


@dataclass(frozen=True, slots=True)
class Scope:
    """What a read asks for: the attributes the mapping owns or finds by. The base is the connector's own configuration."""

    attributes: frozenset[str]


@dataclass(frozen=True, slots=True)
class ById:
    """Ask for the account with this permanent id, wherever it is now (R8)."""

    native_id: NativeId


@dataclass(frozen=True, slots=True)
class ByAttribute:
    """Ask for accounts in scope whose attribute holds this value (R7: find keys, candidate names)."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class ByLocation:
    """Ask for whatever stands at this place."""

    container: str
    rdn: str


Question = ById | ByAttribute | ByLocation


class OneTime(str):
    """A password that its owner is to change at the first sign-in, where the target can ask for that."""

    __slots__ = ()


class Chosen(str):
    """A password that its owner chose: where a target takes it salted and hashed, it is told no more than that."""

    __slots__ = ()


PasswordOf = Callable[[Change], str | None]
"""The password a create or an enable is to set, or None. A callable, so that it is in no change, plan or journal (R21)."""


class Connector(Protocol):
    """One target's protocol. Never retries, never limits, never decides: it translates, in both directions."""

    def read(self, scope: Scope) -> Iterator[Observed]:
        """Every account under the base, in any order, streamed; or raise EndpointError/TransientError. Never a partial success."""

    def lookup(self, questions: Collection[Question], scope: Scope) -> Iterator[tuple[Question, Observed]]:
        """Each account that answers a question, asked in batches. No pair for a question means: surely none in scope."""

    def apply(self, changes: Iterable[Change], password: PasswordOf) -> Iterator[Outcome]:
        """Pull changes, push outcomes, in any order, pipelined as the protocol allows. All changes of one call are independent.

        Already-so is ALREADY. Never raises for one change; raises EndpointError/TransientError only before one was sent.
        A change sent but unanswered yields UNKNOWN. Every change pulled yields exactly one outcome.
        """

    def canonical(self, account: Account) -> Account:
        """The account spelled as read() would report it: containers, value order, empty values, case where the target folds it."""

    def close(self) -> None:
        """Let go of the wire; idempotent."""


@runtime_checkable
class ManagesContainers(Protocol):
    """A target whose accounts live in containers that must exist first."""

    def missing_containers(self, names: Collection[str]) -> set[str]:
        """Those of the names, ancestors included, that do not exist; parents are needed before children."""


@runtime_checkable
class ProtectsContainers(Protocol):
    """A target that keeps the containers syncd makes from being deleted by mistake, which takes more than making them."""

    def protect(self, containers: Collection[str]) -> Mapping[str, str]:
        """See to it that these are protected, which syncd was to make and which stand there; of each what could not be done."""


@runtime_checkable
class ManagesGroups(Protocol):
    """A target with groups that hold members."""

    def canonical_group(self, name: str) -> str:
        """A group's name spelled as read_groups() would report it."""

    def missing_groups(self, names: Collection[str]) -> set[str]:
        """Those of the named groups that do not exist, canonical; told without reading a single member."""

    def read_groups(self, names: Collection[str]) -> Iterator[ObservedGroup]:
        """Those of the named groups that exist, with their members inside scope."""


@runtime_checkable
class KeepsGroups(Protocol):
    """A target whose configuration says how the groups of a mapping are to be set, such as who may post to them."""

    def groups_amiss(self, names: Collection[str]) -> Mapping[str, str]:
        """Of those of the groups that exist and are not set so, what differs, in words.

        Raises PartError where it cannot be read how groups are set.
        """


@runtime_checkable
class RefersToAccounts(Protocol):
    """A target in which an attribute of one account can name another (`manager`)."""

    def reference(self, account: Account) -> str:
        """What such an attribute holds when it names this account, spelled as read() reports it."""


@dataclass(frozen=True, slots=True)
class Use:
    """When an account was last signed in to, and when anything about it last changed, as far as a target tells."""

    used: datetime | None = None
    changed: datetime | None = None


@runtime_checkable
class TellsUse(Protocol):
    """A target that remembers when accounts were last used."""

    def uses(self) -> Iterator[tuple[NativeId, Use]]:
        """Of every account under the base when it was last used, streamed; or raise EndpointError/TransientError."""


@runtime_checkable
class FollowsNames(Protocol):
    """A target in which groups hold their members by a name, which a rename makes another."""

    def follow(self, changes: Sequence[Change]) -> str:
        """See to it that no group holds a name any more which these accounts had; what went wrong, or the empty string."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a target tells of accounts since an earlier look, and the bookmark from which the next look goes on.

    `accounts` are those told of that are in scope, as they stand now, changed or not; `elsewhere` are ids of others told of: moved
    out of scope. A deletion may not be told, and `privileged` only of who says so of themselves. With `whole` everything was read:
    who is not among `accounts` is not in scope.
    """

    accounts: tuple[Observed, ...]
    elsewhere: frozenset[NativeId]
    bookmark: str
    whole: bool = False


@runtime_checkable
class TellsChanges(Protocol):
    """A target that tells what others changed since an earlier look, without being read whole."""

    def bookmark(self) -> str:
        """Where the target stands at this moment: taken before a read, it misses nothing. Empty where it cannot say."""

    def changed_since(self, bookmark: str, scope: Scope) -> Changes:
        """What changed since the bookmark; where that means nothing to the target any more, everything, as read() tells it."""


class Seats(NamedTuple):
    """How many more people can have a licence, and fewer than how many are to be told of."""

    left: int
    warn_below: int = 0


@runtime_checkable
class TellsSeats(Protocol):
    """A target on which some groups are licences, of which so many were bought."""

    def seats_left(self, names: Collection[str]) -> Mapping[str, Seats]:
        """How many more members each of these groups can have; those that know no bound are missing."""


@runtime_checkable
class HasParts(Protocol):
    """A target of which a part may be out of reach while the rest can be used: each takes a right of its own."""

    def out_of_reach(self, names: Collection[str]) -> Mapping[str, OutOfReach]:
        """Those of these groups and containers, canonical, that can be neither asked about nor written now; cheap to ask.

        Raises EndpointError or TransientError where nothing of the target can be used.
        """


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of looking at how a target is reached: `wrong` stops syncd there or will, `noted` is worth knowing."""

    wrong: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


@runtime_checkable
class Examines(Protocol):
    """A target that can look at how it is reached, and say what is to be clicked where something is wrong."""

    def examine(self, attributes: Collection[str], needs: Needs) -> Examined:
        """What is there and what is wrong, for a mapping that speaks of these attributes. Raises where nothing can be told."""


@runtime_checkable
class ManagesDevices(Protocol):
    """A target that holds devices of students besides their accounts. What can be done to one are the kinds in DEVICE_KINDS."""

    def devices(self) -> Iterator[Device]:
        """Every device, streamed; or raise EndpointError/TransientError. Never a partial success."""

    def change_devices(self, changes: Sequence[Change]) -> Iterator[Outcome]:
        """One outcome for each change, many devices to a call as the protocol allows. Each says how a device is to be.

        Already-so is success. Never raises for one change; raises EndpointError/TransientError only before one was sent. Of what
        was sent and not answered for sure the outcome is UNKNOWN.
        """


@runtime_checkable
class DemandsOfPasswords(Protocol):
    """A target that says what a password must be."""

    def password_demands(self) -> tuple[int, bool]:
        """How many characters it has at least, and whether three kinds of them are demanded. Raises EndpointError."""


@runtime_checkable
class LimitsWrites(Protocol):
    """A target that knows of changes it must never be sent: outside the configured containers, or about privileged accounts."""

    def refuses(self, change: Change) -> str:
        """Why the change must not be sent, or the empty string."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a mapping and its lifecycle can make syncd do on one target: for what it needs rights, and for nothing else.

    `writes`: attributes of accounts that exist. `makes_containers`: the attribute types their names begin with. `moves`: accounts
    may change their container.
    """

    writes: frozenset[str]
    makes_containers: frozenset[str]
    joins_groups: bool
    makes_groups: bool
    moves: bool
    deletes: bool
    devices: bool = False


@runtime_checkable
class Delegates(Protocol):
    """A target on which the account we sign in with can be given exactly the rights a mapping needs."""

    def delegation(self, needs: Needs) -> Mapping[str, Sequence[str]]:
        """By tool: the commands that grant what is needed."""

    def lacks(self, needs: Needs) -> Sequence[str]:
        """What is wrong with our rights, in words: those that are missing, and those that are far too many (R40)."""


# --- the registry -----------------------------------------------------------------------------------------------------

CONNECTORS = MappingProxyType(
    {
        "google": ("syncd.targets.google:Google", "syncd.targets.google_config:GoogleConfig"),
        "active_directory": ("syncd.targets.ldap_ad:ActiveDirectory", "syncd.targets.ldap_ad_config:ActiveDirectoryConfig"),
        "ldap": ("syncd.targets.ldap:Ldap", "syncd.targets.ldap_config:LdapConfig"),
        "memory": ("syncd.targets.memory:Memory", "syncd.targets.memory:MemoryConfig"),
    }
)
"""Each kind of target: its connector and the type of its options. Imported on use, so that nobody pays for a library unused."""

_EXTRAS = MappingProxyType({"google": ("google", "httpx2")})
"""Of each kind that needs an extra of the same name: the packages the extra brings."""


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def config_type(kind: str) -> type:
    """The dataclass of this kind's options. Raises KeyError for a kind that does not exist."""
    loaded: type = _load(CONNECTORS[kind][1])
    return loaded


def build(kind: str, name: str, options: object, credentials: Credentials) -> Connector:
    """The connector for one configured target; nothing is opened yet. Wrap it in `target.Target` before use.

    Raises EndpointError where the packages that this kind needs are not installed.
    """
    try:
        connector: Connector = _load(CONNECTORS[kind][0])(name, options, credentials)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRAS.get(kind, ()):
            raise
        raise EndpointError(name, f"the package {error.name} is not installed", f"pip install 'syncd[{kind}]'") from error
    return connector


from syncd.targets.target import Target  # noqa: E402 — at the end, because it wraps what is defined above

__all__ = [
    "CONNECTORS",
    "ByAttribute",
    "ById",
    "ByLocation",
    "Changes",
    "Chosen",
    "Connector",
    "Delegates",
    "DemandsOfPasswords",
    "Examined",
    "Examines",
    "LimitsWrites",
    "ManagesContainers",
    "ManagesDevices",
    "ManagesGroups",
    "Needs",
    "OneTime",
    "PasswordOf",
    "Question",
    "RefersToAccounts",
    "Scope",
    "Seats",
    "Target",
    "TellsChanges",
    "TellsSeats",
    "TellsUse",
    "Use",
    "build",
    "config_type",
]
