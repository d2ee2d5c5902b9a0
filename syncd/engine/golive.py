"""Which targets runs may write to, and what of them: as people released it, or as the target began (R14, R34)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from syncd import telemetry
from syncd.core.mapping import TargetMapping
from syncd.core.model import TargetName
from syncd.core.release import LIVE, OBSERVING, OPERATIONS, Conduct, Release, released
from syncd.core.syntax import suggestion
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.store import Store

_ALSO = {"membership": "member", "memberships": "member", "refer": "update"}
_EVER_SINCE = "live ever since, by its first apply"
_log = telemetry.logger("engine")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target stands: what is released of it now, and in words where nobody ever decided about it."""

    target: TargetName
    releases: tuple[Release, ...]
    why: str = ""


class GoingLive:
    """The releases of one district. What is asked wrongly raises ValueError in words, naming what is near."""

    def __init__(
        self, config: Config, store: Store, clock: Callable[[], datetime], mappings: Mapping[TargetName, TargetMapping]
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._mappings = mappings

    def conduct(self, target: TargetName) -> Conduct:
        """How runs treat a target: as people decided; else one with history is live, and another one as its settings say.

        A target that nobody decided about and that holds accounts of others is observed; an empty one waits for its first apply.
        """
        decided = self._store.releases.of(target)
        if decided:
            may = released(decided)
            return Conduct(may, links=may.everything or bool(may.releases))
        start = self._config.targets[target].start
        if start == "live" or self._store.has_history(target):
            return LIVE
        return OBSERVING if start == "observe" else Conduct(unless_empty=True)

    def standings(self) -> list[Standing]:
        """How each target stands, as far as that can be said without reading it."""
        found = []
        for target in self._config.targets:
            decided, conduct = self._store.releases.of(target), self.conduct(target)
            in_force = tuple(one for one in decided if one.ended is None)
            why = ""
            if not decided:
                first = "live from its first apply on"
                unread = f"{first} if it is empty, else observed until it is released"
                live = _EVER_SINCE if self._store.has_history(target) else first
                why = "observed until it is released" if conduct == OBSERVING else unread if conduct.unless_empty else live
            elif not in_force:
                why = f"observed: withdrawn by {decided[-1].ended_by}"
            found.append(Standing(target, in_force, why))
        return found

    def release(
        self,
        target: str,
        actor: str,
        because: str,
        *,
        campuses: Collection[str] = (),
        operations: Collection[str] = (),
        attributes: Collection[str] = (),
    ) -> Release:
        """From the next run on, this of a target is written; without anything narrower, everything."""
        one = self._release(target, actor, because, campuses, operations, attributes)
        if any(one.covers == other.covers and other.ended is None for other in self._store.releases.of(one.target)):
            raise ValueError(f"{one.told} of {target} is released already; see: syncd go-live --list")
        self._store.releases.release(one)
        _log.info("target.released", target=one.target, count=len(one.campuses) + len(one.operations) + len(one.attributes))
        return one

    def withdraw(
        self,
        target: str,
        actor: str,
        because: str,
        *,
        campuses: Collection[str] = (),
        operations: Collection[str] = (),
        attributes: Collection[str] = (),
    ) -> list[Release]:
        """From the next run on, this of a target is observed again: the release that says just this, or all; what that was.

        Raises EndpointError where there is no such release.
        """
        asked = self._release(target, actor, because, campuses, operations, attributes)
        decided = self._store.releases.of(asked.target)
        held = [one for one in decided if one.ended is None]
        if not decided and self.conduct(asked.target) == LIVE:
            held = [Release(asked.target, self._clock(), "", _EVER_SINCE)]
        mine = [one for one in held if not any(asked.covers) or one.covers == asked.covers]
        if not mine:
            told = "; ".join(one.told for one in held) or "nothing"
            why = f"nobody released just {asked.told}, but: {told}"
            raise EndpointError(f"target {target}", why, "withdraw one of these, or all without narrowing it")
        self._store.releases.withdraw(mine, self._clock(), actor, because)
        _log.info("target.withdrawn", target=asked.target, count=len(mine))
        return mine

    def _release(
        self,
        target: str,
        actor: str,
        because: str,
        campuses: Collection[str],
        operations: Collection[str],
        attributes: Collection[str],
    ) -> Release:
        """What was asked, checked."""
        if target not in self._config.targets:
            raise ValueError(f"no target is called '{target}'{suggestion(target, list(self._config.targets))}")
        name = TargetName(target)
        words = {_ALSO.get(word, word) for word in operations}
        for word in sorted(words - OPERATIONS.keys()):
            raise ValueError(f"no operation is called '{word}'; there are: {', '.join(OPERATIONS)}")
        accounts = self._mappings[name].accounts.values()
        owned = {attribute for rules in accounts for attribute in (*rules.policies, *rules.person_attributes, *rules.aliases)}
        for attribute in sorted(attributes):
            if attribute.lower() not in map(str.lower, owned):
                raise ValueError(f"the mapping of {target} writes no attribute '{attribute}'{suggestion(attribute, owned)}")
        if attributes and words and "update" not in words:
            raise ValueError("attributes narrow updates: say --operation update as well, or leave the operations out")
        known = {campus.code for listed in self._store.campuses().values() for campus in listed}
        for campus in sorted(campuses):
            if known and campus not in known:
                raise ValueError(f"no campus has the code '{campus}'{suggestion(campus, sorted(known))}")
        parts = (frozenset(campuses), frozenset(words), frozenset(attribute.lower() for attribute in attributes))
        return Release(name, self._clock(), actor, because, *parts)
