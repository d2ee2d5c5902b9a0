"""`syncd check`: every file, every golden person, every source read to its end, and a harmless question to everything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from syncd import sources, targets
from syncd.assembly import opened_store, utc_now, vault_of
from syncd.cli.console import say
from syncd.cli.delegating import needs_of
from syncd.core.guard import judge_source
from syncd.core.mapping import compile_people, compile_target
from syncd.core.model import NativeId, Reject, SourceName, Subject, TargetName
from syncd.engine.rotation import in_words
from syncd.errors import ConfigError, EndpointError, TransientError
from syncd.settings import Config, check, extra_fields, load
from syncd.targets import ById, Delegates, Examines, Scope
from syncd.vault import NEXT_KEY, STATE_KEY, Vault

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
    outside: list[tuple[str, Callable[[Config], str]]] = [
        ("store", _store_answers),
        *((f"source {name}", partial(_source_reads, name)) for name in config.sources),
        *((f"target {name}", partial(_target_answers, name)) for name in config.targets),
    ]
    answered = [_says(what, ask, config) for what, ask in outside]  # all of them, whichever fails first
    return all(answered)


def _says(what: str, ask: Callable[[Config], str], config: Config) -> bool:
    try:
        answer = ask(config)
    except (EndpointError, TransientError) as error:
        said = str(error)
        say(said if said.startswith(what) else f"{what}: {said}", "red")
        return False
    say(f"{what}: {answer}")
    return True


def _store_answers(config: Config) -> str:
    with opened_store(config) as store:
        told = ["answers", *in_words(store.rotation.pending())]
        following = config.credentials.path(NEXT_KEY)
        if following.exists():
            is_used = Vault(config.credentials.read(NEXT_KEY)).key_id == store.rotation.key_id
            moved = f"its key is that of {following}: mv it over {config.credentials.path(STATE_KEY)}"
            told.append(moved if is_used else f"{following} lies ready, to be its next key: syncd rotate-key")
    return "\n  ".join(told)


def _source_reads(name: SourceName, config: Config) -> str:
    """Reads it as a run would, into a folder that is gone afterwards. Raises EndpointError also for a roster that is too small."""
    vault, settings, spools = vault_of(config), config.sources[name], config.state / "spools"
    source = sources.build(settings.kind, name, settings.options, vault)
    kept = sources.stored(spools, name)
    previous = sources.open_spool(spools, name, kept[-1], vault) if kept else None  # what a delta file is merged onto
    with TemporaryDirectory(prefix="syncd-") as folder:
        writer = sources.SpoolWriter(name, Path(folder), vault, previous, utc_now())
        try:
            source.fetch(writer)
            spool = previous if writer.unchanged and previous is not None else writer.commit()
        finally:
            writer.discard()
        rows = list(source.digests(spool))
    rejects = sum(isinstance(row, Reject) for row in rows)
    persons = len({row[0] for row in rows if not isinstance(row, Reject) and row[0].subject is Subject.PERSON})
    for broken in judge_source(name, persons, None, settings.shape):
        raise EndpointError(f"source {name}", broken.what)
    return f"{persons:,} persons, {rejects:,} row{'' if rejects == 1 else 's'} that cannot be used"


def _target_answers(name: TargetName, config: Config) -> str:
    """Signs in and searches for an account nobody has, asking for all the mapping speaks of: an attribute unknown there is told.

    Where a target can say which rights we have, those that are missing are told as well.
    """
    settings = config.targets[name]
    people = compile_people(config.people, extra_fields(config.sources))
    attributes = compile_target(config.mappings[name], people).attributes
    connector = targets.build(settings.kind, name, settings.options, config.credentials)
    try:
        if isinstance(connector, Examines):
            found = connector.examine(attributes, needs_of(config, name))
            if found.wrong:
                raise EndpointError(f"target {name}", "\n  ".join(["it would not work, or do too much:", *found.wrong]))
            return "\n  ".join(["answers, and gives the rights the mapping needs", *found.noted])
        list(connector.lookup([ById(_NOBODY)], Scope(attributes)))
        lacking = connector.lacks(needs_of(config, name)) if isinstance(connector, Delegates) else None
    finally:
        connector.close()
    if lacking:
        raise EndpointError(f"target {name}", "\n  ".join(["the rights are wrong", *lacking]), f"syncd ad-delegation {name}")
    return "answers" if lacking is None else "answers, and gives the rights the mapping needs"
