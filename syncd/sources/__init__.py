"""Systems we only read. `extract()` turns one into a complete spool or an EndpointError; nothing half-read ever leaves it.

This module holds the Source protocol, the registry and the retry; each source beside it knows one format and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from syncd.core.model import Record, Reject, SourceKey, SourceName, SubjectKey
from syncd.errors import EndpointError, TransientError
from syncd.sources.spool import OLDEST, Readable, Spool, SpoolWriter, open_spool, purge, purge_partials, stored
from syncd.vault import Vault

RowDigest = tuple[SubjectKey, int]
"""What one raw row adds to the digest of the person, campus or class it feeds (to be summed modulo 2**128)."""


class Source(Protocol):
    """One roster. Complete or an error: a file that cannot be read to its end is an EndpointError naming file and row."""

    def fetch(self, spool: SpoolWriter) -> None:
        """Copy everything in use into the spool, claim facts replaced by tokens. Raises EndpointError or TransientError."""

    def digests(self, spool: Readable, of: Collection[SubjectKey] | None = None) -> Iterable[RowDigest | Reject]:
        """One item or more per spooled row, in file order; builds no records.

        `of`: only what these add up to, and every Reject that is about them or about no person. It is asked of a whole Spool that
        tells how it `differs`.
        """

    def records(self, spool: Spool, keys: Collection[SourceKey] | None) -> Iterator[Record | Reject]:
        """The records of these persons, joined; None means everybody. A key the spool does not hold yields nothing."""


# kind -> (source class, options class), imported on use
REGISTRY: dict[str, tuple[str, str]] = {
    "oneroster_csv": ("syncd.sources.oneroster_csv:OneRosterCsv", "syncd.sources.oneroster_csv:OneRosterCsvConfig"),
    "csv": ("syncd.sources.csv:Csv", "syncd.sources.csv:CsvConfig"),
}

ATTEMPTS = 4
_LONGEST_WAIT = 60.0


def build(kind: str, name: SourceName, options: object, vault: Vault) -> Source:
    """The source of this kind under its name, with the options its `config_type` made."""
    return cast("Source", _load(REGISTRY[kind][0])(name, options, vault))


def config_type(kind: str) -> type:
    """The options dataclass of a kind. Raises KeyError for a kind that is not in `REGISTRY`."""
    return cast("type", _load(REGISTRY[kind][1]))


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _wait(state: RetryCallState) -> float:
    """As long as the other side asked for, else a jittered, growing pause."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TransientError) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_WAIT)
    return wait_random_exponential(multiplier=0.5, max=_LONGEST_WAIT)(state)


def extract(
    name: SourceName,
    source: Source,
    folder: Path,
    vault: Vault,
    accepted: str | None,
    now: datetime,
    oldest: timedelta = OLDEST,
) -> Spool:
    """A complete spool of what the source says now; the accepted one itself where nothing has changed.

    `folder` holds all spools, `accepted` is the id of the last accepted one; rows older than `oldest` are not built upon. Raises
    EndpointError; then nothing was stored.
    """
    purge_partials(folder, name)
    previous = open_spool(folder, name, accepted, vault) if accepted is not None else None
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(TransientError), stop=stop_after_attempt(ATTEMPTS), wait=_wait, reraise=True
        ):
            with attempt:
                return _once(SpoolWriter(name, folder, vault, previous, now, oldest), source)
    except TransientError as error:
        raise EndpointError(f"source {name}", f"{error} (tried {ATTEMPTS} times)", "see whether it answers by hand") from error
    except OSError as error:
        why = f"its spool cannot be written below {folder}: {error.strerror or error}"
        raise EndpointError(f"source {name}", why, "look at space and rights of the state folder") from error
    raise AssertionError("tenacity either returns or raises")


def _once(writer: SpoolWriter, source: Source) -> Spool:
    try:
        source.fetch(writer)
        if writer.unchanged and writer.previous is not None:
            return writer.previous
        return writer.commit()
    finally:
        writer.discard()


__all__ = [
    "ATTEMPTS", "REGISTRY", "RowDigest", "Source", "Spool", "SpoolWriter", "build", "config_type", "extract", "open_spool", "purge",
    "stored",
]  # fmt: skip
