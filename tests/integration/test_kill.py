"""Twenty real `kill -9` of a syncing process, at random instants of an apply of some hundred changes, against a real slapd."""

from __future__ import annotations

import sys
from pathlib import Path

KILLS = 20
PEOPLE = 40
ROUNDS = 12  # a round is one roster; after a few kills it is let through
DONE, NOTHING_TO_DO = 0, 0


def syncd(folder: Path, *arguments: str) -> list[str]:
    """The command line of one run."""
    return [sys.executable, "-m", "syncd", "--folder", str(folder), *arguments]
