"""A district's settings made into a running engine: keys read, store opened, sources and targets built, and all of it closed again.

The one place that knows every part; what a program does with the engine is the caller's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd import sources, targets
from syncd.core.model import TargetName
from syncd.engine import Engine
from syncd.engine.claiming import Claiming
from syncd.engine.devices import Devices
from syncd.engine.rotation import Rotated, rotate
from syncd.errors import EndpointError
from syncd.settings import ClaimTarget, Config, TargetSettings, load
from syncd.store import Store
from syncd.store.rotation import is_under
from syncd.targets.ldap_dn import NotADn, parse
from syncd.targets.target import Target
from syncd.vault import NEXT_KEY, STATE_KEY, Vault

Clock = Callable[[], datetime]

_RUNS_WAIT, _CLAIMS_WAIT = 30.0, 1.0
"""The longest pause in seconds between two tries to reach a target: of a run, and of somebody who waits in front of a page."""


@dataclass(frozen=True, slots=True)
class Running:
    """One district, open: what is configured, what is remembered, and the engine over both."""

    config: Config
    store: Store
    vault: Vault
    engine: Engine
    devices: Devices


def utc_now() -> datetime:
    """The time, as it is stored (R27)."""
    return datetime.now(UTC)


def vault_of(config: Config) -> Vault:
    """The vault under the district's state key: the next one, where there is one and a rotation has put the store under it."""
    following = _following(config)
    if following is not None and is_under(config.store, following):
        return following
    return Vault(config.credentials.read(STATE_KEY))


def _following(config: Config) -> Vault | None:
    return Vault(config.credentials.read(NEXT_KEY)) if config.credentials.path(NEXT_KEY).exists() else None


@contextmanager
def opened_store(config: Config) -> Iterator[Store]:
    """The district's store, for what needs neither sources nor targets. Raises EndpointError while a rotation is half done."""
    with _opened_store(config) as store:
        if store.rotation.unfinished():
            raise EndpointError("store", "a rotation of its state key has not ended", "run: syncd rotate-key")
        yield store


@contextmanager
def _opened_store(config: Config) -> Iterator[Store]:
    store = Store.open(config.store, vault_of(config))
    try:
        yield store
    finally:
        store.close()


def rotate_key(config: Config, actor: str, *, clock: Clock = utc_now) -> Rotated:
    """Put everything under the credential `next_state_key`, or finish what a kill left of that.

    Raises EndpointError where there is no such credential and nothing is left to do.
    """
    with _opened_store(config) as store:
        following, mine = _following(config), store.rotation
        if mine.unfinished() or (following.key_id == mine.key_id if following is not None else mine.pending()):
            return rotate(config, store, None, actor, clock)
        return rotate(config, store, mine.to(following or Vault(config.credentials.read(NEXT_KEY))), actor, clock)


def migrate_store(config: Config) -> str:
    """Make the store, or bring it up to date; the revision it has then."""
    config.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store.open(config.store, vault_of(config), migrate=True)
    try:
        return store.migrate()
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of the targets: `on_state(target, state)` of breakers, `on_call(target, seconds)` of questions answered."""

    on_state: Callable[[str, str], None] | None = None
    on_call: Callable[[str, float], None] | None = None


class _Targets(Mapping[TargetName, Target]):
    """The configured targets, each built when it is first asked for: a run that has nothing to do loads no protocol."""

    def __init__(self, config: Config, closing: ExitStack, watch: Watch, patience: float = _RUNS_WAIT) -> None:
        self._config = config
        self._watch = watch
        self._patience = patience
        self._closing = closing
        self._built: dict[TargetName, Target] = {}

    def __getitem__(self, name: TargetName) -> Target:
        if name not in self._built:
            each = self._config.targets[name]
            connector = targets.build(each.kind, name, each.options, self._config.credentials)
            self._built[name] = Target(
                name,
                connector,
                rate=each.rate,
                error_budget=each.error_budget,
                patience=self._patience,
                may_be_empty=each.may_be_empty,
                on_state=self._watch.on_state,
                on_call=self._watch.on_call,
            )
            self._closing.callback(self._built[name].close)
        return self._built[name]

    def __iter__(self) -> Iterator[TargetName]:
        return iter(self._config.targets)

    def __len__(self) -> int:
        return len(self._config.targets)


@contextmanager
def opened(config: Config, *, clock: Clock = utc_now, watch: Watch = Watch()) -> Iterator[Running]:
    """The district with its engine, closed again at the end. Nothing is read from a source or target until the engine is asked."""
    vault = vault_of(config)
    with ExitStack() as closing:
        store = closing.enter_context(opened_store(config))
        read = {name: sources.build(each.kind, name, each.options, vault) for name, each in config.sources.items()}
        written = _Targets(config, closing, watch)
        engine = Engine(config, store, vault, clock, read, written)
        yield Running(config, store, vault, engine, Devices(config, store, engine, written))


@contextmanager
def opened_claims(config: Config, *, clock: Clock = utc_now) -> Iterator[Claiming]:
    """The district's claims, on a store connection of their own and with the accounts that claims sign in with."""
    claims = config.portal.claims.targets if config.portal is not None else {}
    signed = {TargetName(name): _signed_in_as(one, config.targets[TargetName(name)]) for name, one in claims.items()}
    with ExitStack() as closing:
        store = closing.enter_context(opened_store(config))
        written = _Targets(replace(config, targets=signed), closing, Watch(), patience=_CLAIMS_WAIT)
        yield Claiming(config, store, vault_of(config), written, clock)


def _signed_in_as(one: ClaimTarget, settings: TargetSettings) -> TargetSettings:
    """The same target, signed in to with the account of claims, and asked by somebody who waits in front of a page.

    What the runs sign in with is one more account that nothing is ever done to; where it is not told by its place, as a domain may
    have it, the containers alone keep it.
    """
    told: dict[str, object] = {"credential": one.credential, "connect_timeout": 3, "receive_timeout": 10}
    if one.bind_dn:
        told["bind_dn"] = one.bind_dn
        with suppress(NotADn):
            runs = str(getattr(settings.options, "bind_dn", ""))
            parse(runs)
            told["privileged"] = (*getattr(settings.options, "privileged", ()), runs)
    options = settings.options
    if not is_dataclass(options) or isinstance(options, type):
        return settings
    return replace(settings, options=replace(options, **{name: each for name, each in told.items() if hasattr(options, name)}))


def with_mappings(config: Config, mappings: Path) -> Config:
    """The same district under the mappings of another folder: what would they do? Raises ConfigError as load() does."""
    with TemporaryDirectory(prefix="syncd-") as folder:
        # the settings beside the other mappings, so that both are checked against each other as if they stood together
        (Path(folder) / "config").symlink_to((config.folder / "config").absolute())
        (Path(folder) / "mappings").symlink_to(mappings.absolute())
        other = load(Path(folder))
    return replace(config, people=other.people, mappings=other.mappings)
