"""Where a verb is answered: by the daemon, over its socket, or by this process where none runs and the store can be opened.

The same rights hold in both: those of the Unix groups named under `control:`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

from syncd.assembly import opened, utc_now
from syncd.cli.answering import NO_DAEMON
from syncd.cli.console import progress, say_json, say_lines, table
from syncd.cli.exits import Ended, Exit
from syncd.cli.verbs import VERBS, answered
from syncd.control import Answer, Question, Value, has, plain, said
from syncd.control.client import ask
from syncd.control.peers import Peer, roles, this_process
from syncd.control.place import NAME
from syncd.control.visit import Visit
from syncd.engine.health import Health
from syncd.errors import ConfigError, EndpointError, TransientError
from syncd.settings import Config, load

INSTALLED = Path("/etc/syncd")
RUNTIME = Path("/run/syncd")
VARIABLE = "SYNCD_SOCKET"
LOCKED_WITHIN = 75.0
"""How long a daemon has to lock somebody, before whoever asked does it without: it waits for the answers that a run is to get."""

SOON = 5.0
"""How long a daemon is waited for where there is an answer without it, too; monitors wait for ten seconds."""


def perform(folder: Path, verb: str, **told: Value | Sequence[str] | None) -> None:
    """Ask, print the answer, and end with its code unless that is 0."""
    end(reach(folder, Question(verb, plain(told))))


def end(answer: Answer) -> None:
    """Print an answer, and end with its code unless that is 0."""
    show(answer)
    if answer.code:
        raise Ended(Exit(answer.code))


def show(answer: Answer) -> None:
    """Print an answer."""
    say_lines(answer.head)
    if answer.table:
        header, *rows = answer.table
        table(header, rows)
    say_lines(answer.lines)
    if answer.value is not None:
        say_json(answer.value)


def reach(folder: Path, question: Question) -> Answer:
    """The answer: the daemon's, or our own. Raises ConfigError, EndpointError or OSError where nobody can give one."""
    config: Config | None = None
    trouble: ConfigError | OSError | None = None
    try:
        config = load(folder)
    except (ConfigError, OSError) as error:
        trouble = error  # an operator need not be able to read the settings: the daemon can
    asked = list(_sockets(folder, config))
    for path in asked:
        answer = _asked(path, question, config)
        if answer is not None:
            return answer
    if config is None and asked and not os.access(folder / "config" / "syncd.yaml", os.R_OK):
        why = f"no daemon answers at {asked[0]}, and the settings in {folder} are not for this user to read"
        raise EndpointError("control", why, "start it: systemctl start syncd")
    if config is None:
        if isinstance(trouble, ConfigError):
            trouble.add_note(str(folder))
        raise trouble or EndpointError("control", "no settings")
    return _here(config, question)


def _asked(path: Path, question: Question, config: Config | None) -> Answer | None:
    """The daemon's answer. A daemon that hangs keeps nobody from being locked by whoever can do it without (R33)."""
    if question.verb != "lock":
        return ask(path, question)
    try:
        return ask(path, question, LOCKED_WITHIN)
    except (EndpointError, TransientError):
        if config is None or not _is_writable(config):
            raise
        return None


def _is_writable(config: Config) -> bool:
    return not config.state.exists() or os.access(config.state, os.W_OK | os.X_OK)


def is_ours(folder: Path) -> bool:
    """Whether this user can open the store, as far as can be told without opening it; settings that are wrong are told then."""
    try:
        return _is_writable(load(folder))
    except ConfigError:
        return os.access(folder / "config" / "syncd.yaml", os.R_OK)
    except OSError:
        return False


def served(folder: Path, question: Question) -> Answer | None:
    """The answer of the daemon at the place where systemd has it; None where there is none."""
    return next((answer for path in _sockets(folder, None) if (answer := ask(path, question)) is not None), None)


def witnessed(folder: Path, config: Config, question: Question) -> Answer | None:
    """What the daemon answers soon, for what only it may know; None where none does, or not to this user."""
    for path in _sockets(folder, config):
        with suppress(EndpointError, TransientError):
            answer = ask(path, question, SOON)
            if answer is not None and answer.code != Exit.NO_PERMISSION:
                return answer
    return None


def _sockets(folder: Path, config: Config | None) -> Iterator[Path]:
    told = os.environ.get(VARIABLE)
    if told:
        yield Path(told)
        return
    if folder.absolute() == INSTALLED:
        yield RUNTIME / NAME
    if config is not None:
        yield config.state / NAME


def _here(config: Config, question: Question) -> Answer:
    peer = this_process(_owner(config))
    verb = VERBS[question.verb]
    if verb.of_daemon:
        return said(NO_DAEMON, Exit.UNAVAILABLE)
    role = verb.role
    if not has(role, roles(peer, config.control)):
        return said(_refusal(peer, question.verb, role), Exit.NO_PERMISSION, "red")
    with opened(config) as district:
        return answered(Visit(peer, district, _unknown, lambda: nullcontext(district), progress=progress), question)


def _refusal(peer: Peer, verb: str, role: str) -> str:
    return f"{peer.actor} may not {verb}: no daemon runs here, and without one that takes the group named in `control.{role}`"


def _owner(config: Config) -> int:
    try:
        return config.state.stat().st_uid
    except OSError:
        return os.geteuid()


def _unknown() -> Health:
    raise EndpointError("daemon", f"does not run, as of {utc_now():%H:%M} UTC", "start it: systemctl start syncd")
