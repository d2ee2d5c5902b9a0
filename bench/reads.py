"""read_full: a whole directory read as a reconcile run reads it, against ldap3's own paged search for the same entries.

Both over LDAPS with the certificate verified, pages of 1,000, each in a process of its own.
"""

from __future__ import annotations

import json
from statistics import median

from bench.entries import ATTRIBUTES, of_others
from bench.figures import Figure, Part
from bench.inputs import SEED
from bench.process import python
from bench.scratch import load_offline, slapd
from syncd.demo.district import District
from syncd.demo.slapd import SERVICE_DN, SUFFIX, Binaries, PrivateSlapd
from syncd.errors import EndpointError

ENTRIES, CAMPUSES = 20_000, 30
_MEGABYTE = 1_000_000


def measure(binaries: Binaries, scale: float, rounds: int) -> Figure:
    """read_full: medians of interleaved rounds against one server."""
    people = max(30, round(ENTRIES * scale))
    district = District.generate(SEED, CAMPUSES, people - people // 10, people // 10)
    with slapd(binaries) as server:
        load_offline(server, of_others(district))
        told = [(_read(server, "syncd"), _read(server, "ldap3")) for _ in range(rounds)]
    if {one["entries"] for both in told for one in both} != {people}:
        raise EndpointError("bench", f"both sides must find {people} entries: {told}", "this is a bug")
    return Figure(
        "read_full",
        median(people / ours["seconds"] for ours, _ in told),
        "/s",
        median(people / theirs["seconds"] for _, theirs in told),
        "ldap3 paged_search",
        median(ours["megabytes"] for ours, _ in told),
        parts=(
            Part("of it before reading", median(ours["before"] for ours, _ in told) / _MEGABYTE, "MB"),
            Part("ldap3, peak memory", median(theirs["megabytes"] for _, theirs in told), "MB"),
            Part("entries", people, ""),
        ),
    )


def _read(server: PrivateSlapd, who: str) -> dict[str, float]:
    words = (who, server.secure_url, str(server.ca_file), SUFFIX, SERVICE_DN, str(server.credentials), *ATTRIBUTES)
    process = python("bench.apart.reader", *words)
    told: dict[str, float] = json.loads(process.said)
    return {**told, "megabytes": process.megabytes}
