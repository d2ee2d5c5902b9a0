"""What one key of config/syncd.yaml says of another, and values that are well-formed and still cannot be meant.

Works on whatever blocks of the file could be read, so that a mistake in one of them hides none in the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncd.core.fields import SCALARS
from syncd.core.lifecycle import ANY
from syncd.core.mapping_spec import AttributeSpec, GroupSpec, Mark, PeopleSpec, TargetSpec, Text
from syncd.core.model import SourceName, TargetName
from syncd.settings.building import Builder
from syncd.settings.document import Document, Entries, Scalar, Step, Tree
from syncd.settings.keys import MOST_DAYS, keys_of, suggestion
from syncd.settings.model import District, Pipeline, Retention, SourceSettings, TargetSettings
from syncd.settings.portal import PortalFile
from syncd.targets.ldap_dn import NotADn, parse

Steps = tuple[Step, ...]
Trouble = tuple[Steps, str]
"""The steps to the key that is wrong, and what is wrong with it."""

_EXTRA = "extra."
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_FILLED = re.compile(r"\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_FILLING = "x=x"
"""What stands for a filled-in value: right as a value and as a step of its own, for a table may hold whole steps."""
_NAMED = re.compile(r"\{\{\s*names\.(\w+)\s*\}\}")
FEWEST_SNAPSHOTS = 3
_PASSWORD_IN_URL = re.compile(r"://[^/@]*:[^/@]+@")
_Block = TypeVar("_Block")


@runtime_checkable
class JudgesRules(Protocol):
    """Options of a target that knows of values it cannot hold."""

    def unfit(self, attribute: str, fixed: str, longest: int) -> str:
        """Why no value of a rule can be held, or the empty string: `fixed` is in all of them, `longest` their possible length."""


@runtime_checkable
class SpellsPlaces(Protocol):
    """Options of a target that spells containers and groups in a way of its own."""

    def misspelt(self, name: str, *, is_group: bool) -> str:
        """Why no container or group is called so, or the empty string."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The blocks that are right in themselves; `names` has every source, target and pipeline, right or not."""

    names: Mapping[str, Sequence[str]]
    sources: Mapping[str, SourceSettings]
    targets: Mapping[str, TargetSettings]
    pipelines: Mapping[str, Pipeline]
    district: District | None
    retention: Retention | None
    store: str
    extra_fields: frozenset[str]


def parts_of(document: Document | None) -> Parts:
    """The parts of config/syncd.yaml that can be judged. Of a file that could not be read there are none."""
    top = document.tree.entries if document else {}
    trees = {key: child for key, (_, child) in top.items()}
    store = trees.get("store")
    sources = _blocks(SourceSettings, trees.get("sources"))
    complete = len(sources) == len(_names(trees.get("sources")))
    return Parts(
        names={key: _names(trees.get(key)) for key in ("sources", "targets", "pipelines")},
        sources=sources,
        targets=_blocks(TargetSettings, trees.get("targets")),
        pipelines=_blocks(Pipeline, trees.get("pipelines")),
        district=_block(District, trees.get("district")),
        retention=_block(Retention, trees.get("retention")),
        store=store.raw if isinstance(store, Scalar) else "",
        extra_fields=extra_fields(sources) if complete and document else _spoken_of(document),
    )


def extra_fields(settings: Mapping[SourceName, SourceSettings] | Mapping[str, SourceSettings]) -> frozenset[str]:
    """The `extra.` fields that the configured sources promise to tell."""
    return frozenset(name for source in settings.values() for name in getattr(source.options, "extra_fields", ()))


def cross_check(parts: Parts) -> Iterator[Trouble]:
    """Everything wrong between the parts."""
    yield from _misnamed(parts)
    yield from _shared(parts)
    yield from _misordered(parts)
    yield from _misplaced(parts)
    yield from _out_of_range(parts)


def kept_nowhere(people: PeopleSpec, targets: Collection[str]) -> Iterator[Trouble]:
    """Targets named in people.yaml that config/syncd.yaml does not have; the steps are those of people.yaml."""
    for population, rules in people.lifecycle.items():
        for reason, kept in rules.exits.items():
            for target in kept:
                if targets and target != ANY and target not in targets:
                    steps = ("lifecycle", population, "exits", reason, target)
                    yield steps, f"no target '{target}'{suggestion(target, sorted(targets))}"


def misfits(portal: PortalFile, people: PeopleSpec | None, parts: Parts) -> Iterator[Trouble]:
    """What config/portal.yaml says of targets and populations that the other files do not have; the steps are those of it."""
    known = parts.names["targets"]
    for name, one in portal.claims.targets.items():
        where = ("claims", "targets", name)
        if known and name not in known:
            yield where, f"no target '{name}'{suggestion(name, sorted(known))}"
        elif not one.bind_dn and name in parts.targets and hasattr(parts.targets[name].options, "bind_dn"):
            yield where, "`bind_dn` is needed for a directory: the account that claims are carried out with"
    if people is None:
        return
    for name in portal.claims.populations:
        where = ("claims", "populations", name)
        if name not in people.populations:
            yield where, f"no population '{name}' in mappings/people.yaml{suggestion(name, sorted(people.populations))}"
        elif name not in people.lifecycle or not people.lifecycle[name].claim:
            yield (
                where,
                f"nobody of '{name}' has anything to claim: say `claim: true` in lifecycle.{name} of mappings/people.yaml",
            )


def unsafe_stages(people: PeopleSpec) -> Iterator[Trouble]:
    """Stages of people.yaml that could not be meant; the steps are those of people.yaml."""
    for population, rules in people.lifecycle.items():
        grace = ("lifecycle", population, "grace")
        if not 0 <= rules.grace.days <= MOST_DAYS:
            yield (*grace, "days"), f"must be from 0 to {MOST_DAYS}"
        if rules.grace.snapshots < FEWEST_SNAPSHOTS:
            yield (*grace, "snapshots"), f"must be at least {FEWEST_SNAPSHOTS}: one bad roster proves nothing, nor do two (R13)"
        if rules.park is not None and not _is_place(rules.park.container):
            yield ("lifecycle", population, "park", "container"), _no_place(rules.park.container)


def no_places(spec: TargetSpec, target: TargetSettings | None) -> Iterator[tuple[Mark, str]]:
    """Containers and groups of a mapping that are no place for anybody on its target, with where they stand."""
    options = target.options if target is not None else None
    for account in spec.accounts.values():
        named = [group.name if isinstance(group, GroupSpec) else group for group in account.groups]
        for text, is_group in ((account.container, False), *((text, True) for text in named)):
            if why := _misspelt(text.text, options, is_group=is_group):
                yield text.mark, why
        for text in account.find_in:
            if "{{" in text.text:
                yield text.mark, f"'{text.text}' is the same for everybody: write a container of the target, as in ou=Students"
            elif why := _misspelt(text.text, options, is_group=False):
                yield text.mark, why


def _misspelt(name: str, options: object, *, is_group: bool) -> str:
    """Why a target has no place or group that is called so, or the empty string."""
    if isinstance(options, SpellsPlaces):
        return options.misspelt(_FILLED.sub("x", name), is_group=is_group)
    return "" if _is_place(_FILLED.sub(_FILLING, name)) else _no_place(name)


def unfit_rules(spec: TargetSpec, target: TargetSettings | None, people: PeopleSpec) -> Iterator[tuple[Mark, str]]:
    """Rules that make values which this kind of target cannot hold, as far as that is seen from the rule, with where they stand."""
    options = target.options if target is not None else None
    if not isinstance(options, JudgesRules):
        return
    for account in spec.accounts.values():
        for attribute, form in account.attributes.items():
            told = form.value if isinstance(form, AttributeSpec) else form
            for text in (told,) if isinstance(told, Text) else told if isinstance(told, tuple) else ():
                if why := options.unfit(attribute, *_made_of(text.text, people)):
                    yield text.mark, why


def unfit_devices(parts: Parts, specs: Mapping[TargetName, TargetSpec]) -> Iterator[Trouble]:
    """Devices of a target that holds none, or of which no mapping says what is done to them."""
    for name, settings in parts.targets.items():
        spec = specs.get(TargetName(name))
        if spec is None:
            continue
        if spec.devices is not None and not getattr(settings.options, "holds_devices", False):
            yield ("targets", name), f"its mapping speaks of devices, but a target of kind '{settings.kind}' holds none"
        elif spec.devices is None and settings.devices.roster is not None:
            yield ("targets", name, "devices"), f"mappings/{name}.yaml says nothing of `devices:`, so nothing would be done to them"


def _made_of(rule: str, people: PeopleSpec) -> tuple[str, int]:
    """What stands in every value of a rule, and how long one can become where it is made of names and of that; else 0."""
    template = rule if "{{" in rule else f"{{{{ {rule} }}}}"
    fixed = _FILLED.sub("", template)
    parts = [part for part in _FILLED.findall(template) if part.startswith("{{")]
    kinds = [match[1] for part in parts if (match := _NAMED.fullmatch(part)) is not None]
    if len(kinds) < len(parts):
        return fixed, 0
    return fixed, len(fixed) + sum(people.names[kind].max_length for kind in kinds if kind in people.names)


def _is_place(name: str) -> bool:
    """Whether this is a distinguished name: nearly all kinds of target spell places so, and all of them understand it."""
    try:
        parse(name)
    except NotADn:
        return False
    return True


def _no_place(name: str) -> str:
    return f"'{name}' is no place in a directory: write `type=value`, from the inside out, as in ou=Grade 07,ou=Students"


def _spoken_of(document: Document | None) -> frozenset[str]:
    """Everything in the file that looks like an `extra.` field: where a source cannot be read, none of them is called unknown."""

    def words(tree: Tree) -> Iterator[str]:
        if isinstance(tree, Entries):
            yield from tree.entries
            yield from (word for _, child in tree.entries.values() for word in words(child))
        elif not isinstance(tree, Scalar):
            yield from (word for child in tree.items for word in words(child))

    return frozenset(word for word in words(document.tree) if word.startswith(_EXTRA)) if document else frozenset()


def _names(tree: Tree | None) -> tuple[str, ...]:
    return tuple(tree.entries) if isinstance(tree, Entries) else ()


def _blocks(owner: type[_Block], tree: Tree | None) -> dict[str, _Block]:
    entries = tree.entries if isinstance(tree, Entries) else {}
    built = {name: _block(owner, child) for name, (_, child) in entries.items()}
    return {name: block for name, block in built.items() if block is not None}


def _block(owner: type[_Block], tree: Tree | None) -> _Block | None:
    """The block, or None where it is wrong in itself; its problems are told elsewhere."""
    built = Builder().build(owner, tree, "") if tree else None
    return built if isinstance(built, owner) else None


def _misnamed(parts: Parts) -> Iterator[Trouble]:
    """Names that refer to nothing."""
    for name, source in parts.sources.items():
        for rank, wanted in enumerate(source.match_on):
            if wanted not in SCALARS:
                yield ("sources", name, "match_on", rank), f"no field '{wanted}' to match on{suggestion(wanted, list(SCALARS))}"
    for name, pipeline in parts.pipelines.items():
        named: tuple[tuple[str, Sequence[str], Collection[str]], ...] = (
            ("sources", pipeline.sources, parts.names["sources"]),
            ("targets", pipeline.targets, parts.names["targets"]),
        )
        for kind, wanted_names, known in named:
            if not wanted_names:
                yield ("pipelines", name, kind), f"the pipeline '{name}' has no {kind}"
            for rank, wanted in enumerate(wanted_names):
                if wanted not in known:
                    yield ("pipelines", name, kind, rank), f"no {kind[:-1]} '{wanted}'{suggestion(wanted, sorted(known))}"
                elif wanted in wanted_names[:rank]:
                    yield ("pipelines", name, kind, rank), f"'{wanted}' stands twice"


def _shared(parts: Parts) -> Iterator[Trouble]:
    """Sources and targets of two pipelines: what is different in a source is told once, so the second would never hear of it."""
    owners: dict[tuple[str, str], str] = {}
    for name, pipeline in parts.pipelines.items():
        for kind, wanted_names in (("sources", pipeline.sources), ("targets", pipeline.targets)):
            for rank, wanted in enumerate(wanted_names):
                owner = owners.setdefault((kind, wanted), name)
                if owner != name:
                    why = f"'{wanted}' belongs to the pipeline '{owner}' already; name all that shares it in that pipeline"
                    yield ("pipelines", name, kind, rank), why


def _misordered(parts: Parts) -> Iterator[Trouble]:
    """Targets that come after one that is not there, is run by another pipeline, or comes after them itself."""
    after = {name: settings.after for name, settings in parts.targets.items() if settings.after is not None}
    for name, first in after.items():
        at = ("targets", name, "after")
        others = sorted({*parts.names["targets"]} - {name})
        if first not in others:
            yield at, f"no other target '{first}'{suggestion(first, others)}"
            continue
        if any((name in one.targets) != (first in one.targets) for one in parts.pipelines.values()):
            yield at, f"'{first}' is not in the pipeline of '{name}': targets of two pipelines know nothing of each other's runs"
        chain: list[str] = [name]
        while (following := after.get(chain[-1])) is not None and following not in chain:
            chain.append(following)
        if following == name:
            yield at, f"a ring: {' comes after '.join((*chain, name))}; none of them could begin"


def _misplaced(parts: Parts) -> Iterator[Trouble]:
    """Values that are well-formed and still cannot be meant."""
    zone = parts.district.timezone if parts.district else "UTC"
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield ("district", "timezone"), f"no time zone is called '{zone}'; an example is America/Chicago"
    if _PASSWORD_IN_URL.search(parts.store):
        yield ("store",), "a password stands in the address of the store; leave it out and use the file ~/.pgpass"
    for kind, names in parts.names.items():
        if not names:
            yield (kind,), f"{kind} is empty; name at least one"
        for name in names:
            if not _NAME.fullmatch(name) or (kind == "targets" and name == "people"):
                yield (kind, name), f"'{name}' cannot be a name here; take small letters, digits, - and _, a letter first"


def _out_of_range(parts: Parts) -> Iterator[Trouble]:
    """Numbers that would switch a safeguard off or hold everything for ever."""
    for name, source in parts.sources.items():
        if source.shape.floor < 1:
            yield ("sources", name, "shape", "floor"), "must be at least 1: an empty roster is never believed"
        if not 0 <= source.shape.shrink_percent < 100:  # noqa: PLR2004 — per cent
            yield ("sources", name, "shape", "shrink_percent"), "must be from 0 to 99"
    for name, target in parts.targets.items():
        yield from _target_out_of_range(("targets", name), target)
    for key in keys_of(type(parts.retention)) if parts.retention else ():
        if getattr(parts.retention, key.attribute) < 1:
            yield ("retention", key.name), "must be at least `1 days`: a run needs what it has just read"


def _target_out_of_range(above: Steps, target: TargetSettings) -> Iterator[Trouble]:
    if target.rate is not None and target.rate <= 0:
        yield (*above, "rate"), "must be more than 0; leave the line out for no limit"
    if target.error_budget < 0:
        yield (*above, "error_budget"), "must be 0 or more"
    for rank, name in enumerate(target.may_be_empty):
        if why := _misspelt(name, target.options, is_group=False):
            yield (*above, "may_be_empty", rank), why
    for operation in keys_of(type(target.limits)):
        limit = getattr(target.limits, operation.attribute)
        for key in keys_of(type(limit)):
            if getattr(limit, key.attribute) < 0:
                yield (*above, "limits", operation.name, key.name), "must be 0 or more"
