"""Exit codes: what a script or a timer learns of a run without reading it. Documented in docs/reference/cli.md."""

from __future__ import annotations

import errno
from enum import IntEnum

from syncd.errors import ChangeError, ConfigError, EndpointError, Stopped, SyncdError, TransientError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})


class Exit(IntEnum):
    """0–4 are answers; 64–78 are sysexits(3) and mean that the question could not be answered."""

    DONE = 0  # nothing to do, or everything done
    PENDING = 2  # plan --detailed-exitcode: there are changes
    HELD = 3  # a limit, a first apply or a changed plan waits for a human
    PARTLY = 4  # some changes failed, or a source or target could not be used; the rest is done
    USAGE = 64
    NO_INPUT = 66  # no such plan or run, or none of its rosters
    NO_PERSON = 67  # nobody by that key
    UNAVAILABLE = 69  # a source, a target or the store is unusable now
    BUG = 70
    CANNOT_CREATE = 73
    IO = 74
    TRY_LATER = 75
    NO_PERMISSION = 77
    CONFIG = 78
    STOPPED = 130  # by Ctrl-C: what a shell says of a program ended by SIGINT
    TERMINATED = 143  # told to end by SIGTERM: what was sent is recorded, the next run does the rest
    PIPE = 141  # who read our output went away: what a shell says of a program ended by SIGPIPE


class Nagios(IntEnum):
    """What `syncd status` ends with: the numbers that monitoring plugins share (Monitoring Plugins Development Guidelines)."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Ended(Exception):  # noqa: N818 — not an error: how a verb ends with an answer other than 0
    """Ends the program with this code; everything worth saying has been said."""

    def __init__(self, code: Exit | Nagios) -> None:
        self.code = code
        super().__init__(code.name)


def answer_to(error: SyncdError | OSError) -> tuple[Exit, str]:  # noqa: PLR0911 — one answer per class of error
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
