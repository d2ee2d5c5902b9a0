"""What may go wrong with Google, each switchable and all drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from random import Random

from tests.doubles.google import refusals
from tests.doubles.google.refusals import Refusal

Seconds = tuple[float, float]
"""From and to: each case draws its own."""
NEVER: Seconds = (0.0, 0.0)


@dataclass
class Quirks:
    """The knobs. As it stands: a Google without limits that is always right. `Quirks.as_google_is()` is the real one."""

    seed: int = 0
    # --- eventual consistency ---
    user_lag: Seconds = NEVER
    """After an insert, the user answers one of `lag_answers` to whoever reads or changes it."""
    lag_answers: tuple[str, ...] = ("404", "403", "412", "nameless")
    """`nameless`: a read succeeds, but the names are not there yet."""
    group_lag: Seconds = NEVER
    """After an insert, the group is not found by its members' methods."""
    unit_lag: Seconds = NEVER
    """After an insert, users and units cannot be put into the org unit: INVALID_OU_ID."""
    update_lag: Seconds = NEVER
    """After an update, a read still shows what was before."""
    rename_lag: Seconds = NEVER
    """After a rename, the new address is not found; the old one and the id are. Google: up to ten minutes."""
    search_lag: Seconds = NEVER
    """How old the index is that `query=` reads. Google: mostly under an hour, up to 36."""
    list_lag: Seconds = NEVER
    """How old the index is that a list without a query reads."""
    # --- limits ---
    queries_per_minute: int | None = None
    """Of one user of one project."""
    creations_per_second: int | None = None
    units_per_second: int | None = None
    concurrency: int | None = None
    """Requests of a customer under way at once; needs `latency` to mean anything."""
    closed_until: float = 0.0
    """Until when (the double's clock) every call is refused with `closed_reason`: quota gone for an hour."""
    closed_reason: str = "userRateLimitExceeded"
    # --- faults ---
    faults: float = 0.0
    """How many calls of a hundred, as a share, are refused for no reason of the client's."""
    fault_kinds: tuple[str, ...] = ("403 userRateLimitExceeded", "403 quotaExceeded", "429 rateLimitExceeded", "503 backendError")
    retry_after: float | None = 2.0
    """What 429 and 503 say in Retry-After; None: nothing."""
    lost_requests: float = 0.0
    """Share of calls whose connection is cut before anything was done."""
    lost_responses: float = 0.0
    """Share of calls that change something and are done, whereupon the connection is cut."""
    late_errors: float = 0.0
    """Share of calls that change something and are done, and then answered with 503."""
    latency: Seconds = NEVER
    """How long an answer takes, in the double's time."""
    # --- lists ---
    page_token_lifetime: float = 3 * 86400.0
    page_size: int | None = None
    """Pages of at most so many entries, whatever is asked: Google may return fewer than asked."""
    repeats: float = 0.0
    """Share of pages whose first entry was the last of the page before."""
    # --- answers that differ between reports ---
    duplicate_unit_conflicts: bool = False
    """An org unit that exists answers 409 duplicate instead of 400 `Invalid Ou Id`: both are on record."""
    etags: bool = True
    """Whether If-Match and If-None-Match count; for the Directory this is unconfirmed."""
    clock_skew: float = 0.0
    """How far Google's clock is ahead of ours, where assertions are judged."""
    _random: Random = field(default_factory=lambda: Random(0), repr=False, compare=False)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    @classmethod
    def as_google_is(cls, **changed: object) -> Quirks:
        """With the limits of Google's limits page."""
        return cls(**{"queries_per_minute": 2400, "creations_per_second": 10, "units_per_second": 1, **changed})  # type: ignore[arg-type]  # callers spell the knobs

    def change(self, **changed: object) -> None:
        """Turn knobs of a running double; a new seed starts the draws over."""
        known = {knob.name for knob in fields(self) if not knob.name.startswith("_")}
        for name, value in changed.items():
            if name not in known:
                raise TypeError(f"there is no knob {name}")
            setattr(self, name, tuple(value) if isinstance(value, list) else value)
        if "seed" in changed:
            self._random = Random(self.seed)

    def within(self, seconds: Seconds) -> float:
        """How long it takes this time."""
        return self._random.uniform(*seconds) if seconds[1] > 0 else 0.0

    def happens(self, share: float) -> bool:
        """Whether it happens this time."""
        return share > 0 and self._random.random() < share

    def one_of(self, choices: tuple[str, ...]) -> str:
        """Which it is this time."""
        return self._random.choice(choices)

    def fault(self) -> Refusal | None:
        """A refusal for no reason, now and then."""
        return self.named(self.one_of(self.fault_kinds)) if self.happens(self.faults) else None

    def named(self, kind: str) -> Refusal:
        """A refusal by status and reason."""
        match kind.split():
            case [*_, "userRateLimitExceeded"]:
                return refusals.user_rate()
            case [*_, "quotaExceeded"]:
                return refusals.quota_exceeded()
            case [*_, "rateLimitExceeded"]:
                return refusals.rate(self.retry_after)
            case ["500", *_]:
                return refusals.internal()
            case [*_, "backendError"]:
                return refusals.unavailable(self.retry_after)
        raise ValueError(f"no refusal is called {kind}")
