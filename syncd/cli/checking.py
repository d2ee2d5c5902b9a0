"""`syncd check`: every file, every golden person, and one harmless question to everything outside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from syncd import targets
from syncd.assembly import opened_store
from syncd.cli.console import say
from syncd.core.model import NativeId, TargetName
from syncd.errors import ConfigError, EndpointError, TransientError
from syncd.settings import Config, check, load
from syncd.targets import ById, Scope

_NOBODY = NativeId("00000000-0000-0000-0000-000000000000")


def check_district(folder: Path, *, offline: bool) -> bool:
    """True when everything answered. Raises ConfigError with every problem of every file, secret, roster and golden person."""
    config = load(folder)
    problems = check(config)
    if problems:
        raise ConfigError(tuple(problems))
    say(f"settings, {len(config.mappings)} mapping{'s' if len(config.mappings) != 1 else ''} and golden people: right")
    if offline:
        return True
    outside: list[tuple[str, Callable[[Config], None]]] = [
        ("store", _store_answers),
        *((f"target {name}", partial(_target_answers, name)) for name in config.targets),
    ]
    answered = [_says(what, ask, config) for what, ask in outside]  # all of them, whichever fails first
    return all(answered)


def _says(what: str, ask: Callable[[Config], None], config: Config) -> bool:
    try:
        ask(config)
    except (EndpointError, TransientError) as error:
        say(f"{what}: {error}", "red")
        return False
    say(f"{what}: answers")
    return True


def _store_answers(config: Config) -> None:
    with opened_store(config):
        pass


def _target_answers(name: TargetName, config: Config) -> None:
    """Signs in and searches, for an account nobody has."""
    settings = config.targets[name]
    connector = targets.build(settings.kind, name, settings.options, config.credentials)
    try:
        list(connector.lookup([ById(_NOBODY)], Scope(frozenset())))
    finally:
        connector.close()
