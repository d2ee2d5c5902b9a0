"""Who took up the configuration in force (R39): remembered with what the files were, so that a restart with the same keeps it."""

from __future__ import annotations

import errno
import hashlib
from datetime import datetime
from pathlib import Path

from syncd.engine.approving import AUTHOR
from syncd.errors import ConfigError, Problem
from syncd.settings import Config, load
from syncd.store import Store

SIGNAL, START = "unknown (signal)", "unknown (start)"
"""Whose the configuration is where no socket told: a signal names nobody, nor does a start."""
_TRIES = 5
_HOSTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # troubles of the host: they pass, and say nothing of a file


def digest(folder: Path) -> str:
    """What the files of this folder are known by. What is wrong with one that cannot be read, load() says."""
    told = hashlib.sha256()
    for place in ("config", "mappings"):
        for path in sorted((folder / place).glob("[!.]*.yaml")):  # hidden ones are not read
            try:
                content = path.read_bytes()
            except OSError as error:
                if error.errno in _HOSTS:
                    raise
                content = f"unreadable: {error.errno}".encode()
            told.update(f"{place}/{path.name} {len(content)}\n".encode())
            told.update(content)
    return told.hexdigest()


def loaded(folder: Path) -> tuple[Config, str]:
    """The settings, and what their files are known by; files edited meanwhile are read again.

    Raises ConfigError as load() does, and where a folder cannot be looked into, and OSError where the host has no descriptor left.
    """
    try:
        before = digest(folder)
        for _ in range(_TRIES):
            config, after = load(folder), digest(folder)
            if after == before:
                break
            before = after
    except OSError as error:
        if error.errno in _HOSTS:
            raise
        raise ConfigError((Problem(f"{error.filename or folder}:1:1", f"cannot be read: {error.strerror}"),)) from error
    return config, before


def taken_up(store: Store, files: str, author: str, now: datetime) -> None:
    """These files are in force from now on, and this is whose they are; that is on the chain (R24) before it counts."""
    store.audit.append("configuration", author, {"files": files}, now)
    store.set_meta(AUTHOR, f"{files} {author}")


def started(store: Store, files: str, now: datetime) -> None:
    """The daemon begins with these files: whose they are is known if they are those of before."""
    if not store.meta(AUTHOR).startswith(f"{files} "):
        taken_up(store, files, START, now)
