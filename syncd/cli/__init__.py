"""The verbs: parse, call, print. Nothing is decided here, and nothing heavy is imported until a verb runs.

`main()` alone turns errors into exit codes, so that a verb only ever raises.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from types import TracebackType

from typer.main import get_command

from syncd.cli.app import app
from syncd.cli.exits import Ended, Exit
from syncd.errors import ChangeError, ConfigError, EndpointError, Stopped, SyncdError, TransientError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_STOPPED = "stopped by Ctrl-C. What was sent is journalled: `syncd resume` or the next run finds out what came of it.\n"
_TYPER_USAGE = 2  # what Typer exits with when it was called wrongly; ours means "changes pending"


def main(arguments: list[str] | None = None) -> int:
    """The exit code of one call of `syncd`, everything having been printed."""
    sys.excepthook = _bug
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show is no reason to fail
    try:
        code = _code(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return Exit.PIPE
    except (SyncdError, OSError) as error:
        code, message = _answer(error)
        sys.stderr.write(f"{message}\n")
        try:
            sys.stdout.flush()
        except OSError:
            _forget_output()
    return code


def _forget_output() -> None:
    """What cannot be written is not tried again: the interpreter flushes once more when it ends, and would say so once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _code(arguments: list[str] | None) -> int:
    try:
        get_command(app)(arguments, prog_name="syncd")  # not app(): that would put Typer's own excepthook over ours
    except Ended as ended:
        return ended.code
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # Typer has taken it for a plain failure
            return Exit.PIPE
        if ended.code == Exit.STOPPED:
            sys.stderr.write(_STOPPED)
        return Exit.USAGE if ended.code == _TYPER_USAGE else int(ended.code or 0)
    return Exit.DONE


def _answer(error: SyncdError | OSError) -> tuple[Exit, str]:  # noqa: PLR0911 — one answer per class of error
    """The exit code and the words for what was raised on purpose, or by the operating system."""
    match error:
        case ConfigError(problems=problems):
            count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
            where = "".join(f" in {note}" for note in getattr(error, "__notes__", ()))
            return Exit.CONFIG, f"{error}\n{count}{where}; nothing was started"
        case Stopped():
            return Exit.TERMINATED, str(error)
        case EndpointError() if isinstance(error.__cause__, PermissionError):
            return Exit.NO_PERMISSION, str(error)
        case EndpointError() if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_ROOM:
            return Exit.IO, str(error)
        case EndpointError():
            return Exit.UNAVAILABLE, str(error)
        case TransientError():
            return Exit.TRY_LATER, f"{error}; try again"
        case ChangeError():
            return Exit.PARTLY, str(error)
        case PermissionError():
            return Exit.NO_PERMISSION, f"{error.filename}: {error.strerror}; run as the user syncd's state belongs to"
        case FileExistsError():
            return Exit.CANNOT_CREATE, f"{error.filename}: is there already and was left alone"
        case OSError():
            what = error.filename or "a file, or standard output, could not be written"
            return Exit.IO, f"{what}: {error.strerror or error}"
        case _:
            return Exit.UNAVAILABLE, str(error)


def _bug(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Called by the interpreter for what nobody caught: the traceback as ever, but with sysexits' code for it."""
    sys.__excepthook__(kind, error, traceback)
    if not issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("This is a bug in syncd. What was journalled is safe; `syncd resume` or the next run completes it.\n")
        raise SystemExit(int(Exit.BUG))


__all__ = ["main"]
