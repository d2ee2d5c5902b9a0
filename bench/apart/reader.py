"""`python -m bench.apart.reader syncd|ldap3 URL CA BASE BIND_DN FOLDER ATTRIBUTE…`: a whole directory read once, streamed.

The clock runs from connecting to the last entry, for both. syncd's side gives accounts as the engine gets them, through `Target`;
ldap3's gives what its own paged search gives, and nothing is done with it. The bind password is FOLDER/service.password.
"""

from __future__ import annotations

import json
import resource
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def by_syncd(url: str, ca: str, base: str, bind_dn: str, folder: str, attributes: list[str]) -> Iterator[int]:
    """How many values each account has."""
    from syncd.core.model import TargetName  # noqa: PLC0415 — the other side must not pay for these
    from syncd.targets import Scope, Target  # noqa: PLC0415 — as above
    from syncd.targets.ldap import Ldap, LdapConfig  # noqa: PLC0415 — as above
    from syncd.vault import Credentials  # noqa: PLC0415 — as above

    config = LdapConfig(urls=(url,), bind_dn=bind_dn, credential="service.password", base=base, ca_file=ca)
    target = Target(TargetName("ldap"), Ldap("ldap", config, Credentials(Path(folder))))
    yield -1
    for observed in target.read(Scope(frozenset(attributes))):
        yield len(observed.account.attributes)
    target.close()


def by_ldap3(url: str, ca: str, base: str, bind_dn: str, folder: str, attributes: list[str]) -> Iterator[int]:
    """How many attributes each entry has."""
    import ldap3  # noqa: PLC0415 — as above

    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca)
    server = ldap3.Server(url, get_info=ldap3.NONE, tls=tls)
    password = (Path(folder) / "service.password").read_text("utf-8")
    yield -1
    with ldap3.Connection(server, bind_dn, password, auto_bind=True, check_names=False) as connection:
        search = connection.extend.standard.paged_search
        asked = ["entryUUID", "objectClass", *attributes]
        for entry in search(base, "(objectClass=inetOrgPerson)", attributes=asked, paged_size=1000, generator=True):
            yield len(entry["raw_attributes"])


def main(who: str, url: str, ca: str, base: str, bind_dn: str, folder: str, *attributes: str) -> None:
    """Read, count, and say how long it took."""
    read = {"syncd": by_syncd, "ldap3": by_ldap3}[who](url, ca, base, bind_dn, folder, list(attributes))
    next(read)  # everything imported and built, nothing connected
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    started = time.perf_counter()
    entries = sum(1 for _ in read)
    print(json.dumps({"entries": entries, "seconds": time.perf_counter() - started, "before": before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
