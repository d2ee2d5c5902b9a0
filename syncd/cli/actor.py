"""Who is at the keyboard, as the kernel says it: nothing typed, and no environment variable, names an actor (R39)."""

from __future__ import annotations

import os

from syncd.control.peers import this_process


def actor(owner: int | None = None) -> str:
    """The user who signed in, whatever they became since; else the user this process runs as. `owner`: whose the state is."""
    return str(this_process(os.geteuid() if owner is None else owner).actor)
