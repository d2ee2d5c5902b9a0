"""Who is at the keyboard, as the kernel says it: nothing typed, and no environment variable, names an actor (R39)."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

_NOBODY = 2**32 - 1  # the kernel's word for "no login": a service, or a machine without auditing


def actor() -> str:
    """The user who signed in, whatever they became since (loginuid, see proc(5)); else the user this process runs as."""
    number = os.getuid()
    with suppress(OSError, ValueError):
        login = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
        number = number if login == _NOBODY else login
    try:
        return f"{pwd.getpwuid(number).pw_name} (uid {number})"
    except KeyError:
        return f"uid {number}"
