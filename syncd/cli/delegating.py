"""`syncd ad-delegation`: what a mapping makes syncd do on a target, and the commands that grant exactly the rights for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from syncd import targets
from syncd.cli.console import say
from syncd.core.mapping_spec import AccountSpec, AttributeSpec, GroupSpec
from syncd.core.model import TargetName
from syncd.errors import ConfigError, Problem
from syncd.settings import Config, load
from syncd.targets import Delegates, Needs

_STEP = re.compile(r"(?:^|,)\s*([A-Za-z]+)\s*=")
_UNIT = "ou"  # what a step is that stands in a table, where it cannot be seen
_HEADINGS = {
    "dsacls": "On Windows, with the directory tools, as somebody who may delegate these containers:",
    "powershell": "The same with PowerShell and its ActiveDirectory module:",
    "samba": "The same on a Samba domain controller, as root:",
}


def delegate(folder: Path, name: str, tool: str | None) -> None:
    """Print the commands for one tool, or for each with a heading. Raises ConfigError where the target can be given no rights."""
    config = load(folder)
    target = TargetName(name)
    if target not in config.targets:
        known = ", ".join(sorted(config.targets))
        raise ConfigError((Problem("config/syncd.yaml", f"no target is called '{name}'; there are: {known}"),))
    settings = config.targets[target]
    connector = targets.build(settings.kind, target, settings.options, config.credentials)
    try:
        if not isinstance(connector, Delegates):
            raise ConfigError((Problem("config/syncd.yaml", f"'{name}' is of kind {settings.kind}, which has no such rights"),))
        commands = connector.delegation(needs_of(config, target))
    finally:
        connector.close()
    for each, lines in commands.items():
        if tool is None:
            say(f"# {_HEADINGS[each]}", "bold")
        for line in lines if tool in (None, each) else ():
            say(line)


def needs_of(config: Config, name: TargetName) -> Needs:
    """What the mapping of this target, its lifecycle and `create_containers` can make syncd do there."""
    accounts = config.mappings[name].accounts
    stages = [rules for population, rules in config.people.lifecycle.items() if population in accounts]
    groups = [group for account in accounts.values() for group in account.groups]
    parked = [rules.park.container for rules in stages if rules.park is not None]
    places = [account.container.text for account in accounts.values()]
    named = [group.name.text if isinstance(group, GroupSpec) else group.text for group in groups]
    containers = {*_kinds([*places, *parked]), *_kinds(group.partition(",")[2] for group in named), _UNIT}
    return Needs(
        writes=frozenset(attribute for account in accounts.values() for attribute in _written(account)),
        makes_containers=frozenset(containers if config.targets[name].create_containers else ()),
        joins_groups=bool(groups),
        makes_groups=any(isinstance(group, GroupSpec) and group.create for group in groups),
        moves=bool(parked) or len(set(places)) > 1 or any("{{" in place for place in places),
        deletes=any(rules.delete != "never" for rules in stages),
        devices=config.mappings[name].devices is not None,
    )


def _written(account: AccountSpec) -> Iterator[str]:
    """What may be written of an account that exists; what is set once is set when it is made."""
    for attribute, form in account.attributes.items():
        if not (isinstance(form, AttributeSpec) and form.policy == "initial"):
            yield attribute


def _kinds(places: Iterable[str]) -> Iterator[str]:
    """The attribute types of the steps of these places, as far as they can be seen."""
    return (kind.lower() for place in places for kind in _STEP.findall(place))
