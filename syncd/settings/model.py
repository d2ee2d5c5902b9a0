"""What config/syncd.yaml may say, and the Config it becomes. What a source, target or mapping may say lies beside those (R28)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from syncd import sources, targets
from syncd.core.calendar import Calendar
from syncd.core.devices import DeviceLimits
from syncd.core.guard import Limits, Shape
from syncd.core.mapping_spec import PeopleSpec, TargetSpec
from syncd.core.model import SourceKey, SourceName, TargetName
from syncd.core.protected import Protected
from syncd.core.schedule import Cron, Schedule
from syncd.errors import ConfigError, Problem
from syncd.settings.addresses import parsed_address
from syncd.settings.keys import suggestion
from syncd.settings.portal import PortalFile
from syncd.sources.device_roster import DeviceRoster
from syncd.vault import Credentials


@dataclass(frozen=True, slots=True)
class District:
    """Who this is all for."""

    name: str = field(metadata={"doc": "The district's name, as it stands on reports and letters."})
    timezone: str = field(
        metadata={"doc": "Time zone, such as `America/Chicago`. It decides when a day begins, and so when a lifecycle date is due."}
    )
    display: Literal["legal", "preferred"] = field(
        default="legal",
        metadata={"doc": "Whether `display_given` and `display_name` show the `legal` or the `preferred` given name."},
    )


def source_options(kind: str) -> type:
    """The dataclass of a source kind's keys. Raises ConfigError where there is no such kind."""
    if kind not in sources.REGISTRY:
        raise ConfigError((Problem("", f"no kind of source is called '{kind}'{suggestion(kind, list(sources.REGISTRY))}"),))
    return sources.config_type(kind)


def target_options(kind: str) -> type:
    """The dataclass of a target kind's keys. Raises ConfigError where there is no such kind."""
    if kind not in targets.CONNECTORS:
        raise ConfigError((Problem("", f"no kind of target is called '{kind}'{suggestion(kind, list(targets.CONNECTORS))}"),))
    return targets.config_type(kind)


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One system we only read. The keys of its kind stand beside these."""

    kind: str = field(metadata={"doc": "What it is; each kind brings keys of its own."})
    options: object = field(metadata={"options_of": source_options})
    shape: Shape = field(default=Shape(), metadata={"doc": "What the roster must look like to be believed."})
    match_on: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Fields by which a person of this source is recognised as one an earlier source tells of, in order. "
            "Empty: persons of this source are always their own."
        },
    )
    stale_after: int = field(
        default=3,
        metadata={
            "unit": "days",
            "doc": "Without a new roster for so many school days the source is reported, and grace stops.",
        },
    )
    canaries: tuple[SourceKey, ...] = field(
        default=(),
        metadata={
            "doc": "Persons who are in every good roster, by the source's own keys. A roster without one of them is held: "
            "a district's head does not leave overnight, but an export loses rows."
        },
    )
    required: tuple[SourceKey, ...] = field(
        default=(),
        metadata={
            "doc": "Persons whose account is never closed unasked, by the source's own keys: closing one is held by itself, "
            "whatever the limits allow. Unlike a canary, who is missing does not hold the roster."
        },
    )


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """Which student has which device, and how much may change. What a device is to look like stands in the target's mapping."""

    roster: DeviceRoster | None = field(
        default=None,
        metadata={"doc": "The roster of devices. Unset: the target's own list is one, for it notes whose each device is."},
    )
    shrink_percent: float = field(
        default=20.0,
        metadata={
            "doc": "Where the roster, or what the target lists, is smaller than at the last apply by more than this, all devices "
            "wait until somebody has looked."
        },
    )
    limits: DeviceLimits = field(default=DeviceLimits(), metadata={"doc": "How many devices may change in 24 hours."})

    def __post_init__(self) -> None:
        if not 0 <= self.shrink_percent < 100:  # noqa: PLR2004 — per cent
            raise ValueError("shrink_percent: must be from 0 to 99")


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One system we write. The keys of its kind stand beside these."""

    kind: str = field(metadata={"doc": "What it is; each kind brings keys of its own."})
    options: object = field(metadata={"options_of": target_options})
    limits: Limits = field(
        default=Limits(), metadata={"doc": "How much may change in 24 hours. What breaks a limit is held until a human has looked."}
    )
    protected: Protected = field(
        default=Protected(), metadata={"doc": "What is never changed here, whatever a mapping says. No approval lets it go."}
    )
    start: Literal["auto", "live", "observe"] = field(
        default="auto",
        metadata={
            "doc": "How a target begins to which syncd never wrote. `observe`: nothing is written or linked until `syncd go-live`. "
            "`live`: it waits for its explicit first apply only. `auto`: `observe` where it holds accounts that syncd did not "
            "make, else `live`."
        },
    )
    create_containers: bool = field(
        default=True,
        metadata={
            "doc": "Whether missing containers are made. `false`: whoever needs one is listed and waits until somebody made it."
        },
    )
    may_be_empty: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Containers of which others may delete every account. Elsewhere, a branch that shows none of five or more "
            "linked accounts any more is taken for a read right that was lost, and the target sits the run out."
        },
    )
    after: TargetName | None = field(
        default=None,
        metadata={
            "doc": "Another target of the same pipeline that comes first. Whoever has no account there yet though they should, or "
            "was refused something there in this run, waits for the next one here; what closes an account never waits."
        },
    )
    devices: DeviceSettings = field(
        default=DeviceSettings(), metadata={"doc": "The devices of students, where the mapping says what is done to them."}
    )
    rate: float | None = field(default=None, metadata={"doc": "Requests per second at most; unset: as fast as it answers."})
    error_budget: int = field(
        default=25, metadata={"doc": "After this many refused changes the target is left alone for the rest of the run."}
    )


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Sources and targets that run together."""

    sources: tuple[SourceName, ...] = field(metadata={"doc": "The sources to read, by name."})
    targets: tuple[TargetName, ...] = field(metadata={"doc": "The targets to write, by name."})
    schedule: Schedule = field(default=Schedule(), metadata={"doc": "When `syncd daemon` runs it, in the district's time zone."})


@dataclass(frozen=True, slots=True)
class Retention:
    """How long copies of personal data are kept (R38). There is no default: the district decides."""

    spools: int = field(metadata={"unit": "days", "doc": "Encrypted copies of the rosters that were read."})
    plans: int = field(metadata={"unit": "days", "doc": "Stored plans."})
    before_images: int = field(metadata={"unit": "days", "doc": "What an account looked like before a change."})


@dataclass(frozen=True, slots=True)
class Health:
    """What the daemon tells monitors, and from when on it says that something is not well."""

    listen: str = field(
        default="127.0.0.1:8470",
        metadata={"doc": "Where `syncd daemon` answers `/healthz`, `/readyz`, `/health` and `/metrics`. Empty: nowhere."},
    )
    stale_after: timedelta = field(
        default=timedelta(hours=26),
        metadata={"unit": "span", "doc": "A source not read, a target not used or no run ended well for longer is unhealthy."},
    )
    backup_after: timedelta = field(
        default=timedelta(days=8), metadata={"unit": "span", "doc": "A last backup older than this is reported."}
    )

    def __post_init__(self) -> None:
        if self.listen and parsed_address(self.listen) is None:
            raise ValueError(f"listen: '{self.listen}' is no address; write it like 127.0.0.1:8470 or [::1]:8470")


@dataclass(frozen=True, slots=True)
class Email:
    """Messages by e-mail."""

    server: str = field(metadata={"doc": "The mail server, by the name its certificate carries."})
    sender: str = field(metadata={"alias": "from", "doc": "The address they come from."})
    to: tuple[str, ...] = field(metadata={"doc": "The addresses they go to."})
    port: int = field(default=587, metadata={"doc": "587 for `starttls`, 465 for `implicit`, 25 for a server on this host."})
    tls: Literal["starttls", "implicit", "none"] = field(
        default="starttls", metadata={"doc": "How the connection is encrypted; `none` only to a server on this very host."}
    )
    user: str = field(default="", metadata={"doc": "Whom to sign in as. Empty: nobody."})
    credential: str = field(default="", metadata={"doc": "The secret file with that user's password."})
    ca_file: Path | None = field(default=None, metadata={"doc": "The certificates to trust. Unset: those the system trusts."})

    def __post_init__(self) -> None:
        if not self.to:
            raise ValueError("to: nobody is named")
        for key, text in (("from", self.sender), *(("to", each) for each in self.to)):
            if "@" not in text or any(character.isspace() or character in ",<>" for character in text):
                raise ValueError(f"{key}: '{text}' is no plain address; write it like it@district.org")
        if self.tls == "none" and self.server not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("tls: `none` would send in clear over the network; take starttls or implicit")
        if bool(self.user) is not bool(self.credential):
            raise ValueError("user: `user` and `credential` go together")


@dataclass(frozen=True, slots=True)
class Webhook:
    """Messages as JSON to a web address."""

    url: str = field(metadata={"doc": "Where they are posted: https:// only; a redirect is not followed."})
    credential: str = field(default="", metadata={"doc": "The secret file with a token, sent as `Authorization: Bearer`."})
    local: bool = field(default=False, metadata={"doc": "Whether it may be an address of this machine or link-local."})
    ca_file: Path | None = field(default=None, metadata={"doc": "The certificates to trust. Unset: those the system trusts."})

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise ValueError("url: must be https://HOST/…, without a password in it")


@dataclass(frozen=True, slots=True)
class Notify:
    """Who hears when something is not well: each new reason once, what is still critical once a day, and when it is over."""

    email: Email | None = field(default=None, metadata={"doc": "By e-mail."})
    webhook: Webhook | None = field(default=None, metadata={"doc": "To a web address."})
    command: tuple[str, ...] = field(
        default=(), metadata={"doc": "A program and its arguments, run without a shell; the message is JSON on its standard input."}
    )
    digest: str = field(
        default="", metadata={"doc": "Cron expression of a digest by campus, such as `0 6 * * mon-fri`. Empty: none."}
    )

    def __post_init__(self) -> None:
        try:
            if self.digest:
                Cron.parse(self.digest)
        except ValueError as error:
            raise ValueError(f"digest: {error}") from None
        if self.command and not self.command[0].startswith("/"):
            raise ValueError(f"command: '{self.command[0]}' must be the whole path of a program")


@dataclass(frozen=True, slots=True)
class Control:
    """Who may do what over the daemon's socket, by Unix group.

    Where a group does not exist here, root and the user the state belongs to have its right, and nobody else.
    """

    view: str = field(
        default="syncd-view",
        metadata={"doc": "Look: `holds`, `status`, `runs`, `explain`, `facts` and the like. The other three may look, too."},
    )
    operate: str = field(
        default="syncd-operate",
        metadata={"doc": "Run now, reload, plan an undo, reject, release, retry, lock. So may root and the state's user."},
    )
    approve: str = field(
        default="syncd-approve",
        metadata={
            "doc": "Approve what is held, apply stored plans, and decide what no source tells: override, freeze, sponsor, rename, "
            "resolve, rollover."
        },
    )
    unlock: str = field(default="syncd-unlock", metadata={"doc": "Unlock whom somebody locked."})


@dataclass(frozen=True, slots=True)
class Approvals:
    """How what is held is let go, or turned down."""

    approvers: Literal[1, 2] = field(
        default=1,
        metadata={
            "doc": "How many different humans must approve. With `2`, neither whoever asked for the run or undo, nor the author of "
            "the configuration in force, is one of them."
        },
    )
    expire_after: int = field(
        default=7, metadata={"unit": "days", "doc": "How long an approval waits for the run that applies it; then it is forgotten."}
    )
    rejected_for: int = field(
        default=90, metadata={"unit": "days", "doc": "How long what was turned down is not offered again, if it stays the same."}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncdFile:
    """config/syncd.yaml: where rosters come from, where accounts go, and what holds them back."""

    district: District = field(metadata={"doc": "Who this is all for."})
    state: Path = field(
        default=Path("state"), metadata={"doc": "Folder for everything the program remembers. Back it up; let nobody else read it."}
    )
    store: str = field(
        default="",
        metadata={"doc": "Address of the database, without a password. Empty: the SQLite file `syncd.db` in `state`."},
    )
    credentials: Path = field(
        default=Path("credentials"),
        metadata={"doc": "Folder of the secret files, one secret in each. systemd's `LoadCredential=` comes first."},
    )
    sources: Mapping[str, SourceSettings] = field(
        metadata={"doc": "The systems to read, by a name of your choice. Where two tell the same field, the first is believed."}
    )
    targets: Mapping[str, TargetSettings] = field(
        metadata={"doc": "The systems to write, by a name of your choice; `mappings/NAME.yaml` says what is written."}
    )
    pipelines: Mapping[str, Pipeline] = field(metadata={"doc": "What runs together, by a name of your choice."})
    retention: Retention = field(metadata={"doc": "How long copies of personal data are kept."})
    health: Health = field(default=Health(), metadata={"doc": "What monitors are told, and when something is not well."})
    notify: Notify = field(default=Notify(), metadata={"doc": "Who hears when something is not well."})
    control: Control = field(default=Control(), metadata={"doc": "Who may do what over the daemon's socket, by Unix group."})
    approvals: Approvals = field(default=Approvals(), metadata={"doc": "How what is held is let go, or turned down."})


_NO_CALENDAR = Calendar()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a district has set, checked and with absolute paths. Sources are in the order of their authority."""

    folder: Path
    district: District
    state: Path
    store: str
    credentials: Credentials
    sources: Mapping[SourceName, SourceSettings]
    targets: Mapping[TargetName, TargetSettings]
    people: PeopleSpec
    mappings: Mapping[TargetName, TargetSpec]
    pipelines: Mapping[str, Pipeline]
    retention: Retention
    health: Health = Health()
    notify: Notify = Notify()
    control: Control = Control()
    approvals: Approvals = Approvals()
    calendar: Calendar = _NO_CALENDAR
    portal: PortalFile | None = None

    @property
    def spools(self) -> Path:
        """The folder of the rosters as they were read."""
        return self.state / "spools"
