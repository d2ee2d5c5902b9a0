"""Reads a folder into a Config, or a ConfigError with every problem of every file; checks what a file cannot show by itself.

Knows where the files lie and how they refer to each other; what a single key means is not known here.
Paths in the files are relative to the folder that holds config/ and mappings/.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

from syncd.core.calendar import Calendar
from syncd.core.device_rules import compile_devices
from syncd.core.golden import run_golden
from syncd.core.mapping import compile_target
from syncd.core.mapping_spec import Mark, PeopleSpec, TargetSpec
from syncd.core.model import SourceName, TargetName
from syncd.core.people import People, compile_people
from syncd.errors import ConfigError, EndpointError, Problem
from syncd.settings.building import Builder
from syncd.settings.cross_check import (
    Parts,
    Steps,
    Trouble,
    cross_check,
    extra_fields,
    kept_nowhere,
    misfits,
    no_places,
    parts_of,
    unfit_devices,
    unfit_rules,
    unsafe_stages,
)
from syncd.settings.document import Document, read
from syncd.settings.keys import Key, keys_of, suggestion
from syncd.settings.model import Config, DeviceSettings, District, Notify, SourceSettings, SyncdFile, TargetSettings
from syncd.settings.portal import PortalFile
from syncd.settings.salvage import outline, salvaged
from syncd.vault import STATE_KEY, Credentials

SYNCD = "config/syncd.yaml"
CALENDAR = "config/calendar.yaml"
PORTAL = "config/portal.yaml"
PEOPLE = "mappings/people.yaml"
MAPPINGS = "mappings"

_RELATIVE_SQLITE = re.compile(r"sqlite(\+\w+)?:///(?=[^/:])")
_Made = TypeVar("_Made")
_Settings = TypeVar("_Settings", SourceSettings, TargetSettings)


def load(folder: Path) -> Config:
    """The settings of this folder. Raises ConfigError with every problem of every file, sorted by where it stands."""
    folder = folder.absolute()
    builder = Builder()
    documents = _documents(folder, builder)
    main = _built(SyncdFile, documents.get(SYNCD), builder)
    people = _built(PeopleSpec, documents.get(PEOPLE), builder)
    calendar = _built(Calendar, documents.get(CALENDAR), builder) or Calendar()
    portal = _built(PortalFile, documents.get(PORTAL), builder)
    parts = parts_of(documents.get(SYNCD))
    specs: dict[TargetName, TargetSpec] = {}
    judged: list[TargetSpec] = []
    for file, document in documents.items():
        if file not in (SYNCD, CALENDAR, PORTAL, PEOPLE):
            spec = _built(TargetSpec, document, builder)
            if spec:
                _refer(document, spec.target, parts.names["targets"], builder)
                specs[TargetName(spec.target)] = spec
            left = spec or salvaged(TargetSpec, document)
            if left:
                judged.append(left)
                for mark, what in no_places(left, parts.targets.get(left.target)):
                    builder.problem(mark, what)
    if SYNCD in documents:
        for steps, what in (*cross_check(parts), *_unmapped(parts.names["targets"], folder), *unfit_devices(parts, specs)):
            builder.problem(documents[SYNCD].mark(*steps), what)
    for steps, what in misfits(portal, people, parts) if portal else ():
        builder.problem(documents[PORTAL].mark(*steps), what)
    if PEOPLE in documents:
        _judge(documents[PEOPLE], people, judged, parts, builder)
    if builder.problems or not main or not people:
        raise ConfigError(_sorted(builder.problems))
    return _config(folder, main, people, specs, calendar, portal)


def load_portal(folder: Path) -> PortalFile:
    """What the portal's own process may read: config/portal.yaml and nothing else. Raises ConfigError with every problem of it."""
    folder, builder = folder.absolute(), Builder()
    document, problems = read(folder / PORTAL, PORTAL)
    builder.problems.extend(problems)
    portal = _built(PortalFile, document, builder)
    if builder.problems or portal is None:
        raise ConfigError(_sorted(builder.problems))
    return _anchored_portal(folder, portal)


def _judge(document: Document, people: PeopleSpec | None, specs: Collection[TargetSpec], parts: Parts, builder: Builder) -> None:
    """What people.yaml and the mappings say together; `people` is None where that file has mistakes."""
    left = people or salvaged(PeopleSpec, document)
    if left:
        for steps, what in (*kept_nowhere(left, parts.names["targets"]), *unsafe_stages(left)):
            builder.problem(document.mark(*steps), what)
        for spec in specs:
            for mark, what in unfit_rules(spec, parts.targets.get(spec.target), left):
                builder.problem(mark, what)
    _compile(_compiled(left, outline(document), parts.extra_fields, builder), specs, builder)


def check(config: Config, today: date | None = None) -> list[Problem]:
    """What is wrong with settings that load: secrets and rosters that cannot be read, golden people that come out otherwise.

    Connections are not tried here. `today` is the day golden people live on; without it, today in the district.
    """
    builder = Builder()
    for file, troubles in ((SYNCD, _outside(config)), (PORTAL, _outside_portal(config))):
        document = read(config.folder / file, file)[0] if (config.folder / file).exists() else None
        for steps, what in troubles:
            builder.problem(document.mark(*steps) if document else Mark(file, 1, 1), what)
    people = compile_people(config.people, extra_fields(config.sources))
    for spec in config.mappings.values():
        day = today or datetime.now(ZoneInfo(config.district.timezone)).date()
        builder.problems.extend(run_golden(people, compile_target(spec, people), day, display=config.district.display))
    return list(_sorted(builder.problems))


def _documents(folder: Path, builder: Builder) -> dict[str, Document]:
    """Every file that could be read. The two that must be there are problems when they are not."""
    files = {SYNCD: folder / SYNCD, PEOPLE: folder / PEOPLE}
    files |= {file: folder / file for file in (CALENDAR, PORTAL) if (folder / file).exists()}
    files |= {f"{MAPPINGS}/{path.name}": path for path in _shown(folder / MAPPINGS, "*.yaml")}
    for path in _shown(folder / MAPPINGS, "*.yml"):
        builder.problem(Mark(f"{MAPPINGS}/{path.name}", 1, 1), "this file is not read; give its name the ending .yaml")
    documents = {}
    for file, path in files.items():
        document, problems = read(path, file)
        builder.problems.extend(problems)
        if document:
            documents[file] = document
    return documents


def _shown(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder but for hidden ones: those are an editor's, such as the lock of one that is being written."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _built(owner: type[_Made], document: Document | None, builder: Builder) -> _Made | None:
    if document is None:
        return None
    made = builder.build(owner, document.tree, "")
    return made if isinstance(made, owner) else None


def _refer(document: Document, target: str, targets: Sequence[str], builder: Builder) -> None:
    """A mapping is found by its file name and must say the same; its target must be configured."""
    mark, stem = document.mark("target"), Path(document.file).stem
    if target != stem:
        builder.problem(mark, f"this file is called {stem}.yaml, but its target is '{target}'; rename one of the two")
    elif targets and target not in targets:
        builder.problem(mark, f"no target '{target}' in {SYNCD}{suggestion(target, targets)}")


def _unmapped(targets: Sequence[str], folder: Path) -> Iterator[Trouble]:
    """Targets to which nothing would ever be written."""
    for name in targets:
        if not (folder / MAPPINGS / f"{name}.yaml").exists():
            yield ("targets", name), f"the target '{name}' has no mapping; write {MAPPINGS}/{name}.yaml"


def _compiled(people: PeopleSpec | None, told: PeopleSpec, extra: frozenset[str], builder: Builder) -> People | None:
    """People compiled, with their problems noted; where they do not compile, what they are told to be, for judging mappings."""
    if people:
        try:
            return compile_people(people, extra)
        except ConfigError as error:
            builder.problems.extend(error.problems)
    try:
        return compile_people(told, extra)
    except ConfigError:
        return None  # not even an outline, and the reasons are noted already


def _compile(people: People | None, specs: Collection[TargetSpec], builder: Builder) -> None:
    """Compile every mapping for its problems."""
    if people is None:
        return
    for spec in specs:
        try:
            compile_target(spec, people)
        except ConfigError as error:
            builder.problems.extend(error.problems)
        try:
            if spec.devices is not None:
                compile_devices(spec.devices, people)
        except ConfigError as error:
            builder.problems.extend(error.problems)


def _config(
    folder: Path,
    main: SyncdFile,
    people: PeopleSpec,
    specs: Mapping[TargetName, TargetSpec],
    calendar: Calendar,
    portal: PortalFile | None,
) -> Config:
    state = folder / main.state
    store = main.store or f"sqlite:///{state / 'syncd.db'}"
    return Config(
        folder=folder,
        district=main.district,
        state=state,
        store=_RELATIVE_SQLITE.sub(lambda match: f"{match[0]}{folder}/", store),
        credentials=Credentials(folder / main.credentials),
        sources={SourceName(name): _at(folder, each) for name, each in main.sources.items()},
        targets={TargetName(name): _in(main.district, _at(folder, each)) for name, each in main.targets.items()},
        people=people,
        mappings=specs,
        pipelines=main.pipelines,
        retention=main.retention,
        health=main.health,
        notify=_anchored_notify(folder, main.notify),
        control=main.control,
        approvals=main.approvals,
        calendar=calendar,
        portal=_anchored_portal(folder, portal) if portal else None,
    )


def _anchored_portal(folder: Path, portal: PortalFile) -> PortalFile:
    anchored = _anchored(portal, folder)
    return anchored if isinstance(anchored, PortalFile) else portal


def _anchored_notify(folder: Path, notify: Notify) -> Notify:
    anchored = _anchored(notify, folder)
    return anchored if isinstance(anchored, Notify) else notify


def _at(folder: Path, settings: _Settings) -> _Settings:
    anchored = dataclasses.replace(settings, options=_anchored(settings.options, folder))
    if isinstance(anchored, TargetSettings):
        devices = _anchored(anchored.devices, folder)
        return dataclasses.replace(anchored, devices=devices if isinstance(devices, DeviceSettings) else anchored.devices)
    return anchored


def _in(district: District, settings: TargetSettings) -> TargetSettings:
    """The target, whose days end where the district's do unless it says otherwise."""
    options = settings.options
    if getattr(options, "time_zone", None) != "" or not dataclasses.is_dataclass(options) or isinstance(options, type):
        return settings
    return dataclasses.replace(settings, options=dataclasses.replace(options, time_zone=district.timezone))


def _anchored(value: object, folder: Path) -> object:
    """The same value with every relative path in it made absolute."""
    if isinstance(value, Path):
        return folder / value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed: dict[str, object] = {}
        for key in keys_of(type(value)):
            inner = getattr(value, key.attribute)
            changed[key.attribute] = (
                str(folder / inner) if key.is_path and inner and isinstance(inner, str) else _anchored(inner, folder)
            )
        return dataclasses.replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(_anchored(each, folder) for each in value)
    if isinstance(value, Mapping):
        return {key: _anchored(each, folder) for key, each in value.items()}
    return value


def _outside(config: Config) -> Iterator[Trouble]:
    """Files the settings name that are missing or unreadable, each with the steps to the key that names it."""
    try:
        config.credentials.read(STATE_KEY)
    except EndpointError as error:
        yield ("credentials",), str(error)
    for steps, value, key in _leaves(config.notify, ("notify",)):
        if key and key.is_credential and (trouble := _unreadable_credential(config, str(value))):
            yield steps, trouble
    for kind, group in (("sources", config.sources), ("targets", config.targets)):
        for name, settings in group.items():
            for steps, value, key in (
                *_leaves(settings.options, (kind, name)),
                *(_leaves(settings.devices, (kind, name, "devices")) if isinstance(settings, TargetSettings) else ()),
            ):
                trouble = ""
                if key and key.is_credential:
                    trouble = _unreadable_credential(config, str(value))
                elif isinstance(value, Path) or (key and key.is_file):
                    trouble = _unreadable(Path(str(value)))
                if trouble:
                    yield steps, trouble


def _outside_portal(config: Config) -> Iterator[Trouble]:
    """What of the daemon's part of config/portal.yaml cannot be read, or is another's. The pages' own part is not the daemon's."""
    for name, one in config.portal.claims.targets.items() if config.portal else ():
        steps = ("claims", "targets", name, "credential")
        theirs = {getattr(each.options, "credential", "") for each in config.targets.values()}
        if one.credential in theirs:
            yield steps, f"'{one.credential}' is what the runs sign in with: claims have an account of their own, which can do less"
        elif trouble := _unreadable_credential(config, one.credential):
            yield steps, trouble


def _leaves(value: object, steps: Steps, key: Key | None = None) -> Iterator[tuple[Steps, object, Key | None]]:
    """Every single value of an options dataclass, with the steps to it and the key it belongs to."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for inner in keys_of(type(value)):
            yield from _leaves(getattr(value, inner.attribute), (*steps, inner.name), inner)
    elif isinstance(value, tuple):
        for rank, each in enumerate(value):
            yield from _leaves(each, (*steps, rank), key)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from _leaves(each, (*steps, name), key)
    elif value not in (None, ""):
        yield steps, value, key


def _unreadable_credential(config: Config, name: str) -> str:
    try:
        config.credentials.read(name)
    except EndpointError as error:
        return str(error)
    return ""


def _unreadable(path: Path) -> str:
    try:
        if path.is_dir():
            next(path.iterdir(), None)
        else:
            path.open("rb").close()
    except OSError as error:
        return f"cannot read {path}: {error.strerror}"
    return ""


def _sorted(problems: Collection[Problem]) -> tuple[Problem, ...]:
    """Once each, in the order of file, line and column."""

    def place(problem: Problem) -> tuple[str, int, int, str]:
        file, line, column = [*problem.where.rsplit(":", 2), "0", "0"][:3]
        return file, int(line), int(column), problem.what

    return tuple(sorted(set(problems), key=place))
