"""What config/portal.yaml may say: who claims how, and how the public pages are served. Without the file there is no portal.

Two processes read it. The daemon takes `claims` from it; the portal's own process, which can read nothing else of the district's,
takes `web`. No secret stands in it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from syncd.core.claiming import Limits
from syncd.settings.addresses import parsed_address


@dataclass(frozen=True, slots=True)
class Proofs:
    """What somebody of a population proves themselves with, besides legal name and birth date."""

    last4: tuple[Literal["ssn4", "s_number4"], ...] = field(
        default=("ssn4",),
        metadata={"doc": "Whose last four digits are asked for: of the first of these numbers that is on file for the person."},
    )

    def __post_init__(self) -> None:
        if not self.last4:
            raise ValueError("last4: names no number; a name and a birth date alone are known to every classmate")


@dataclass(frozen=True, slots=True)
class ClaimTarget:
    """With which account of its own claims are carried out on one target."""

    credential: str = field(metadata={"doc": "The secret file of the account that claims are carried out with."})
    bind_dn: str = field(
        default="",
        metadata={
            "doc": "That account, in a directory: it needs to read, to set passwords and to enable below the containers of these "
            "populations, and no more. Empty only where the target signs in with the credential alone."
        },
    )


@dataclass(frozen=True, slots=True)
class Claims:
    """Who claims an account, what proves who they are, and what wrong tries lead to."""

    populations: Mapping[str, Proofs] = field(
        metadata={"doc": "Who claims, by population; `mappings/people.yaml` must say `claim: true` of it, too."}
    )
    targets: Mapping[str, ClaimTarget] = field(
        metadata={"doc": "Where a claim sets the password and opens the account, by target. The first is where people sign in."}
    )
    limits: Limits = field(default=Limits(), metadata={"doc": "What wrong tries lead to."})
    window: int = field(
        default=120, metadata={"unit": "days", "doc": "How long an account waits to be claimed; after that somebody has to help."}
    )
    shortest_password: int = field(
        default=12, metadata={"doc": "Characters that a password has at least; where the directory demands more, that holds."}
    )
    drop_facts: bool = field(
        default=True, metadata={"doc": "Whether the facts that proved a claim are dropped once the account is claimed."}
    )

    def __post_init__(self) -> None:
        for name in ("populations", "targets"):
            if not getattr(self, name):
                raise ValueError(f"{name}: names none")
        if not 8 <= self.shortest_password <= 64:  # noqa: PLR2004 — NIST SP 800-63B: eight at least, and 64 must be possible
            raise ValueError("shortest_password: must be from 8 to 64")
        if self.window < 1:
            raise ValueError("window: must be at least 1 day")


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in the languages of the pages."""

    en: str = field(metadata={"doc": "In English."})
    es: str = field(default="", metadata={"doc": "In Spanish. Unset: as in English."})


@dataclass(frozen=True, slots=True)
class Place:
    """Where an account is for, as whoever has claimed it is told."""

    en: str = field(metadata={"doc": "What it is called, in English: School computers and Wi-Fi."})
    es: str = field(default="", metadata={"doc": "What it is called, in Spanish. Unset: as in English."})
    link: str = field(default="", metadata={"doc": "Where to sign in, an https:// address. Unset: there is no page for it."})

    def __post_init__(self) -> None:
        if self.link and not self.link.startswith("https://"):
            raise ValueError(f"link: '{self.link}' does not begin with https://")


@dataclass(frozen=True, slots=True)
class Web:
    """How the portal's pages are served."""

    listen: str = field(default="127.0.0.1:8480", metadata={"doc": "Where `syncd portal` listens."})
    hosts: tuple[str, ...] = field(
        default=(),
        metadata={"doc": "The names under which the portal is reached, as browsers ask for them. Any other is refused."},
    )
    certificate_file: Path | None = field(
        default=None,
        metadata={"doc": "The certificate with its chain, in PEM format. Unset: a proxy in front of it speaks TLS."},
    )
    key_credential: str = field(default="", metadata={"doc": "The secret file with the certificate's private key."})
    proxies: tuple[str, ...] = field(
        default=(), metadata={"doc": "Addresses or networks of proxies whose word on the browser's address is believed."}
    )
    languages: tuple[Literal["en", "es"], ...] = field(
        default=("en", "es"), metadata={"doc": "The languages of the pages; the first is shown where the browser asks for none."}
    )
    places: Mapping[str, Place] = field(
        default_factory=dict,
        metadata={"doc": "What the accounts are for, by target. A target that is not named here is not told of."},
    )
    help: Said | None = field(
        default=None, metadata={"doc": "Whom to ask when it does not work, a line below every page: an office, a telephone number."}
    )
    contact: str = field(
        default="",
        metadata={"doc": "Where weaknesses are reported to (RFC 9116), a mailto: or https:// address. Unset: no security.txt."},
    )
    state: Path = field(default=Path("portal"), metadata={"doc": "Folder of the portal's own sessions."})
    credentials: Path = field(
        default=Path("credentials"),
        metadata={"doc": "Folder of the portal's own secret files. systemd's `LoadCredential=` comes first."},
    )

    def __post_init__(self) -> None:
        if parsed_address(self.listen) is None:
            raise ValueError(f"listen: '{self.listen}' is no address; write it like 127.0.0.1:8480 or [::1]:8480")
        if (self.certificate_file is None) is not (not self.key_credential):
            raise ValueError("certificate_file: `certificate_file` and `key_credential` go together")
        if not self.languages:
            raise ValueError("languages: names none")
        if self.contact and not self.contact.startswith(("mailto:", "https://")):
            raise ValueError(f"contact: '{self.contact}' begins with neither mailto: nor https://")
        for one in self.proxies:
            try:
                ipaddress.ip_network(one)
            except ValueError:
                raise ValueError(f"proxies: '{one}' is no address or network; write it like 10.0.0.5 or 10.0.0.0/8") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalFile:
    """config/portal.yaml: who claims how, and how the public pages are served. Without the file there is no portal."""

    socket: Path = field(
        default=Path("/run/syncd-portal/portal.sock"), metadata={"doc": "The Unix socket at which the daemon answers the portal."}
    )
    user: str = field(
        default="syncd-portal",
        metadata={"doc": "The Unix user that the portal runs as. The daemon answers no other, whoever may open the socket."},
    )
    claims: Claims = field(metadata={"doc": "Who claims an account, what proves who they are, and what wrong tries lead to."})
    web: Web = field(default=Web(), metadata={"doc": "How the pages are served."})
