"""The verbs: parse, call, print. Nothing is decided here, and nothing heavy is imported until a verb runs.

`main()` alone turns errors into exit codes, so that a verb only ever raises.
"""

from __future__ import annotations

import io
import os
import sys
from types import TracebackType

from typer.main import get_command

from syncd.cli.app import app
from syncd.cli.exits import Ended, Exit, answer_to
from syncd.errors import SyncdError

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
        code, message = answer_to(error)
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


def _bug(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Called by the interpreter for what nobody caught: the traceback as ever, but with sysexits' code for it."""
    sys.__excepthook__(kind, error, traceback)
    if not issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("This is a bug in syncd. What was journalled is safe; `syncd resume` or the next run completes it.\n")
        raise SystemExit(int(Exit.BUG))


__all__ = ["main"]
