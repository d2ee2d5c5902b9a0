"""Where a Unix socket is, in a name that the kernel takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "control.sock"
_LONGEST_PATH = 100  # of sun_path's 108 bytes, with room for a partial name


@contextmanager
def named(path: Path) -> Iterator[str]:
    """What to bind or connect to meanwhile: the path or, where that is too long for the kernel, the same by its folder's handle.

    Raises OSError where there is no such folder.
    """
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        yield str(path)
        return
    handle = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)
