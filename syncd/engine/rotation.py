"""The rotation of the state key (R23): spools and store put under the next one, so that the one before opens nothing any more.

The spools are written anew beside the old ones; then the store changes over in one transaction; then the new spools take the old
ones' place. Killed before the transaction, nothing has happened; killed after it, what is left to do is told, and done by the same
verb. Digits of people cannot be put under another key: the next complete roster of each source tells them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from syncd import sources
from syncd.core.model import SourceName, SubjectKey
from syncd.engine.lock import DAEMON, RUN, Busy, exclusive
from syncd.engine.retelling import sums
from syncd.errors import EndpointError
from syncd.settings import Config
from syncd.sources import rekeying
from syncd.store import Store
from syncd.store.rotation import Redigested
from syncd.vault import Rekeying

ROSTERS = 5
"""So many of the last accepted rosters of a source are digested under both keys, to know again what was told when."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has done: how many sealed rows and copies of rosters are under the new key now. 0 where they were already."""

    key_id: str
    rows: int = 0
    spools: int = 0
    facts: Mapping[SourceName, Mapping[str, int]] = field(default_factory=dict)


def rotate(config: Config, store: Store, keys: Rekeying | None, actor: str, clock: Callable[[], datetime]) -> Rotated:
    """Put everything under the next key; without `keys` it is there, and what a kill left to do is done.

    Raises EndpointError where a daemon or a run is at work, and where something cannot be opened under the present key: then
    nothing has happened.
    """
    if keys is None and not store.rotation.unfinished():
        return Rotated(store.rotation.key_id, facts=store.rotation.pending())
    spools = config.state / "spools"
    with ExitStack() as rights:
        try:
            for right in (DAEMON, RUN):
                rights.enter_context(exclusive(config.state, store, clock, right))
        except Busy as error:
            remedy = "stop it first: systemctl stop syncd; start it when the key is changed"
            raise EndpointError("rotation", error.why, remedy) from error
        rows = copies = 0
        if keys is not None:
            written = rekeying.stage(spools, keys)
            told = _redigested(config, store, written, keys)
            rows = store.rotation.rotate(keys, told, actor, clock()).rows
            copies = sum(map(len, written.values()))
        if store.rotation.unfinished():
            rekeying.take_over(spools)
            store.rotation.finished()
    return Rotated(store.rotation.key_id, rows, copies, store.rotation.pending())


def _redigested(config: Config, store: Store, written: Mapping[SourceName, Collection[str]], keys: Rekeying) -> Redigested:
    """What the digests of the last accepted rosters were, and are to be."""
    spools = config.state / "spools"
    found: dict[SourceName, list[dict[SubjectKey, tuple[int, int]]]] = {}
    for name, each in config.sources.items():
        old, new = (sources.build(each.kind, name, each.options, vault) for vault in (keys.old, keys.new))
        accepted = dict.fromkeys(row.spool for row in store.snapshots(name, ROSTERS))
        for spool in (one for one in accepted if one in written.get(name, ())):
            try:
                was = sums(old.digests(sources.open_spool(spools, name, spool, keys.old)))
                now = sums(new.digests(sources.open_spool(spools / rekeying.STAGED, name, spool, keys.new)))
            except EndpointError:
                continue  # it was read under other settings: what it told is not known again
            found.setdefault(name, []).append({key: (digest, now[key]) for key, digest in was.items() if key in now})
    return found


def in_words(facts: Mapping[SourceName, Mapping[str, int]]) -> list[str]:
    """What a rotation still waits for, a sentence for each source and earlier key; nothing where nobody's facts wait."""
    return [
        f"rotation pending: {count:,} facts of source {source} are still under key {key}; its next complete roster tells them again"
        for source, keys in sorted(facts.items())
        for key, count in sorted(keys.items())
    ]
