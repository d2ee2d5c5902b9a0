"""What the mapping files say, before anything is compiled: people.yaml is a PeopleSpec, a target's file a TargetSpec.

Plain frozen values built from nested dicts, lists and text. Every text that is an expression or a template is a `Text`,
which knows where it stands. Field metadata: `doc` is what the reference and the JSON Schema say of the key, `alias` is
the key in YAML where Python cannot spell it (`try`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """Where a text begins (behind its opening quote); line and column count from 1."""

    file: str
    line: int
    col: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"


@dataclass(frozen=True, slots=True)
class Text:
    """One expression or template as written, and where."""

    text: str
    mark: Mark


ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9._;:-]*")
"""How the name of a target's attribute may look."""

Policy = Literal["enforce", "initial", "if_empty"]
OnRename = Literal["keep", "propose", "automatic"]
ConfigValue = str | bool | int
Table = Mapping[str, str | Mapping[str, str]]


# --- people.yaml ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PopulationSpec:
    """Who belongs to a population."""

    when: Text = field(
        metadata={"doc": "Expression: true for the persons of this population. The first population that fits wins."}
    )
    staff: bool | None = field(
        default=None,
        metadata={
            "doc": "Whether these persons are staff: whoever was known as something else and would become staff is held for a "
            "human. Unset: true for the population called `staff` only."
        },
    )


@dataclass(frozen=True, slots=True)
class CandidatesSpec:
    """Several candidates for a name, in order of preference."""

    try_: tuple[Text, ...] = field(
        metadata={"doc": "Templates tried in order; the first name nobody else ever had is taken.", "alias": "try"}
    )
    then: Text | None = field(
        default=None,
        metadata={"doc": "Template with the counter `n` (2, 3, …), used when every candidate is taken."},
    )


@dataclass(frozen=True, slots=True)
class NameSpec:
    """How one kind of name (username, alias, …) is made, for every population that has it."""

    populations: Mapping[str, Text | CandidatesSpec] = field(
        metadata={"doc": "For each population: one template, or `try` and `then`."}
    )
    fold: str = field(
        default="ascii_lower",
        metadata={"doc": "How a candidate is folded: `ascii_lower` (José O'Neil-García becomes joseoneilgarcia)."},
    )
    keep: str = field(
        default="", metadata={"doc": "Characters of `._-` that stay when folding: `.` for ana.garcia. Others are dropped."}
    )
    max_length: int = field(
        default=20, metadata={"doc": "Longest name in characters; the name is cut, a counter is kept. AD allows 20."}
    )
    avoid: tuple[str, ...] = field(default=(), metadata={"doc": "Names never to be issued, such as root or admin."})
    on_rename: OnRename = field(
        default="propose",
        metadata={"doc": "When the person's own name changes: `keep` the name, `propose` a new one, or `automatic`."},
    )
    unique_in: tuple[str, ...] = field(
        default=(),
        metadata={
            "doc": "Attributes that hold such names on every target, besides those a mapping makes of them: searched before a "
            "create, and what stands in them is never issued."
        },
    )


@dataclass(frozen=True, slots=True)
class GraceSpec:
    """How long somebody who vanished from the roster is left alone; both must be reached."""

    days: int = field(default=10, metadata={"doc": "Days after vanishing in which nothing happens."})
    snapshots: int = field(default=3, metadata={"doc": "Distinct accepted snapshots the person must be absent from."})


@dataclass(frozen=True, slots=True)
class ParkSpec:
    """Where disabled accounts are moved, and when."""

    container: str = field(metadata={"doc": "Container for disabled accounts."})
    after: Text | None = field(default=None, metadata={"doc": "How long after disabling: `7 days`; unset: at once."})


@dataclass(frozen=True, slots=True)
class DeleteSpec:
    """When a disabled account is deleted."""

    after: Text = field(metadata={"doc": "How long after disabling: `400 days`."})


@dataclass(frozen=True, slots=True)
class LifecycleRules:
    """What happens to a population's accounts between the first day and long after the last. Times read `14 days`."""

    create_before_start: Text | None = field(
        default=None, metadata={"doc": "The account is made this long before the start date; unset: as soon as known."}
    )
    enable_before_start: Text | None = field(
        default=None, metadata={"doc": "The account is enabled this long before the start date; unset: when made."}
    )
    grace: GraceSpec = field(
        default=GraceSpec(),
        metadata={"doc": "For who vanished from the roster. An explicit exit acts on its date, without grace."},
    )
    park: ParkSpec | None = field(default=None, metadata={"doc": "Move disabled accounts; unset: they stay."})
    delete: Literal["never"] | DeleteSpec = field(
        default="never", metadata={"doc": "`never`, or `{ after: 400 days }` after disabling."}
    )
    reset_after: Text | None = field(
        default=None,
        metadata={"doc": "Who returns after being disabled this long gets a new first password; unset: 30 days."},
    )
    exits: Mapping[str, Mapping[str, Text]] = field(
        default_factory=dict,
        metadata={
            "doc": "Accounts that outlive access: exit reason as the source codes it (`vanished`: missing until grace ended; "
            '`"*"`: any other) to target (`"*"`: every other) to `keep 30 days` or `keep until 10-31`.'
        },
    )
    claim: bool = field(
        default=False,
        metadata={
            "doc": "An account that syncd makes stays disabled until its owner claims it; `enable_before_start` opens the claim."
        },
    )


@dataclass(frozen=True, slots=True)
class PeopleSpec:
    """mappings/people.yaml: what is decided once for all targets."""

    populations: Mapping[str, PopulationSpec] = field(
        metadata={"doc": "Who the rules are about, in order: the first whose `when` is true wins."}
    )
    names: Mapping[str, NameSpec] = field(
        default_factory=dict, metadata={"doc": "Names reserved in the ledger before an account is made, by kind."}
    )
    lifecycle: Mapping[str, LifecycleRules] = field(
        default_factory=dict, metadata={"doc": "From first day to deletion, by population."}
    )
    tables: Mapping[str, Table] = field(
        default_factory=dict,
        metadata={"doc": "Lookup tables: key to text, or key to second key to text. All keys and texts are quoted."},
    )
    campus_settles_after: int = field(
        default=5,
        metadata={
            "doc": "How long a newer campus has to last before it is the primary one, where the source flags none: `5 days`.",
            "unit": "days",
        },
    )
    config: Mapping[str, ConfigValue] = field(
        default_factory=dict, metadata={"doc": "Values of the district's own, read as `config.name`."}
    )


# --- mappings/<target>.yaml -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """An attribute with a policy or a condition."""

    value: Text | tuple[Text, ...] = field(metadata={"doc": "Expression or text with {{ }}; a list for several values."})
    policy: Policy = field(
        default="enforce",
        metadata={"doc": "`enforce`: put back when it drifts. `initial`: set once, then theirs. `if_empty`: set while empty."},
    )
    when: Text | None = field(
        default=None, metadata={"doc": "Expression: where false, the attribute has no value (it is emptied)."}
    )


@dataclass(frozen=True, slots=True)
class ReferenceSpec:
    """An attribute whose value is another person's account."""

    person: Text = field(metadata={"doc": "Whose account: `manager` or `homeroom.teacher`."})


@dataclass(frozen=True, slots=True)
class AliasesSpec:
    """An attribute that holds the addresses the account had before; for `proxyAddresses` the one it has as well."""

    aliases_of: Text = field(
        metadata={"doc": "The attribute with the address, such as `mail`: when it changes, the old value goes on here."}
    )
    keep: int = field(metadata={"doc": "How long an old address goes on: `365 days`.", "unit": "days"})


AttributeForm = Text | AttributeSpec | ReferenceSpec | AliasesSpec | tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """A group the account is a member of."""

    name: Text = field(metadata={"doc": "Text with {{ }}: the group's name, spelled like a container."})
    create: bool = field(default=False, metadata={"doc": "Create the group when it is missing."})
    when: Text | None = field(default=None, metadata={"doc": "Expression: a member only while it is true."})
    each: Literal["classes", "campuses"] | None = field(
        default=None,
        metadata={"doc": "One group for each of the person's `classes` (read as `class.code`) or `campuses` (`campus.code`)."},
    )


GroupForm = Text | GroupSpec


@dataclass(frozen=True, slots=True)
class PasswordSpec:
    """The first password of an account that is created."""

    initial: Literal["passphrase", "random"] = field(
        default="passphrase", metadata={"doc": "`passphrase` (words, for people) or `random` (characters)."}
    )
    change_at_first_login: bool = field(
        default=False,
        metadata={"doc": "To be changed at the first sign-in, where the target can ask that."},
    )


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """What the account of one population is on this target."""

    container: Text = field(metadata={"doc": "Text with {{ }}: where the account stands, below the target's base."})
    rdn: Text = field(metadata={"doc": "Text with {{ }}: the account's naming value, without its attribute type."})
    attributes: Mapping[str, AttributeForm] = field(
        default_factory=dict,
        metadata={
            "doc": "Attribute to expression, to text with {{ }}, to `{ value, policy, when }`, to a list of texts, "
            "to `{ person: manager }`, or to `{ aliases_of: mail, keep: 365 days }`."
        },
    )
    when: Text | None = field(
        default=None, metadata={"doc": "Expression: where false, a person of this population has no account here."}
    )
    find: tuple[Mapping[str, Text], ...] = field(
        default=(),
        metadata={"doc": "Adopting existing accounts: `attribute: expression`, tried in order. Two hits are disputed."},
    )
    find_in: tuple[Text, ...] = field(
        default=(),
        metadata={
            "doc": "Containers, as in `ou=Students`, below which such an account may be found; one found elsewhere is not taken. "
            "Empty: everywhere below the target's base."
        },
    )
    groups: tuple[GroupForm, ...] = field(default=(), metadata={"doc": "Groups by name, or `{ name, create, when, each }`."})
    password: PasswordSpec | None = field(default=None, metadata={"doc": "First password; unset: none is set."})


@dataclass(frozen=True, slots=True)
class ExcludeSpec:
    """Devices that belong to nobody in particular. One thing that fits is enough; `*` stands for anything, whatever the case."""

    serials: tuple[str, ...] = field(default=(), metadata={"doc": "Serial numbers."})
    assets: tuple[str, ...] = field(default=(), metadata={"doc": "Asset tags, in the roster or on the target: `LOAN-*`."})
    pools: tuple[str, ...] = field(default=(), metadata={"doc": "What the roster's pool column says: `loaner`, `cart*`."})
    notes: tuple[str, ...] = field(default=(), metadata={"doc": "Notes on the target: `*cart*`."})
    units: tuple[str, ...] = field(default=(), metadata={"doc": "Where it stands on the target; what is below counts, too."})


@dataclass(frozen=True, slots=True)
class DevicesSpec:
    """What a device that a student has looks like on this target. What has no rule is left as it is."""

    unit: Text | None = field(default=None, metadata={"doc": "Text with {{ }}: the unit in which the device stands."})
    user: Text | None = field(
        default=None, metadata={"doc": "Expression: whose it is noted to be. Unset: the name of the student's account here."}
    )
    asset: Text | None = field(
        default=None, metadata={"doc": "Expression: its asset tag. Unset: the roster's, where it tells one."}
    )
    location: Text | None = field(default=None, metadata={"doc": "Expression: where it is noted to be, such as `campus.name`."})
    notes: Text | None = field(default=None, metadata={"doc": "Expression: what else is noted of it."})
    spare: str = field(
        default="",
        metadata={"doc": "The unit of devices that the roster gives to nobody; their user is taken off. Unset: left alone."},
    )
    exclude: ExcludeSpec = field(
        default=ExcludeSpec(), metadata={"doc": "Devices never changed by rule, such as loaners and those in carts."}
    )


@dataclass(frozen=True, slots=True)
class GoldenSpec:
    """A golden person: what the mapping must make of them, tried by `syncd check`."""

    person: Mapping[str, object] = field(
        metadata={"doc": "Fields as a mapping reads them, nested: `{ given: Ana, campus: { code: '012' } }`."}
    )
    expect: Mapping[str, Text | tuple[Text, ...] | None] = field(
        metadata={
            "doc": "What must come out: `population`, `names.<kind>`, `container`, `rdn`, `groups` or an attribute. "
            "Plain text, a list for several values, null for none."
        }
    )


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """mappings/<target>.yaml: which persons have an account on this target and what is in it."""

    target: str = field(metadata={"doc": "The target, as named in syncd.yaml."})
    accounts: Mapping[str, AccountSpec] = field(metadata={"doc": "The account of each population that has one here."})
    devices: DevicesSpec | None = field(
        default=None,
        metadata={"doc": "What the devices of students are here, where the target has any. Unset: nothing is done to them."},
    )
    tests: tuple[GoldenSpec, ...] = field(default=(), metadata={"doc": "Golden people, run by `syncd check`."})
