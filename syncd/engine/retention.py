"""How long copies are kept (R38): rosters, stored plans, before-images, first passwords."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from syncd.core.model import SourceName
from syncd.settings import Config
from syncd.sources.spool import purge
from syncd.store import Store


def expire(config: Config, store: Store, now: datetime, today: date, current: Mapping[SourceName, str]) -> None:
    """Drop what is older than the configuration keeps it; the accepted rosters, and the `current` ones, stay."""
    kept = config.retention
    store.expire(now, now - timedelta(days=kept.plans), now - timedelta(days=kept.before_images))
    for name, spool in current.items():
        accepted = store.snapshots(name, 1000)
        young = {row.spool for row in accepted if (today - row.accepted_on).days <= kept.spools}
        purge(config.state / "spools", name, young | {spool, *(row.spool for row in accepted[:1])})
