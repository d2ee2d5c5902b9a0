"""Exit codes: what a script or a timer learns of a run without reading it. Documented in docs/reference/cli.md."""

from __future__ import annotations

from enum import IntEnum


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
