"""A program run as a process of its own: what it cost from its start to its exit, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syncd.errors import EndpointError

_HERE = Path(__file__).resolve().parent
_MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Process:
    """What one process cost, and its standard output."""

    seconds: float
    megabytes: float
    said: str


def python(*words: str) -> Process:
    """`python -m WORDS…` under this interpreter. Raises EndpointError unless it ends with 0."""
    return _launched([sys.executable, "-m", *words])


def syncd(folder: Path, *words: str) -> Process:
    """`syncd --config FOLDER WORDS…`, as an operator's timer runs it. Raises EndpointError unless it ends with 0."""
    return python("syncd", "--config", str(folder), *words)


def _launched(command: Sequence[str]) -> Process:
    launcher = [sys.executable, "-I", "-S", str(_HERE / "launch.py")]
    # As installed: Python keeps what it compiled, whatever whoever runs the bench has told it for themselves.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run([*launcher, *command], capture_output=True, text=True, check=False, cwd=_HERE.parent, env=environment)
    told = json.loads(ended.stdout or "{}")
    if told.get("code") != 0:
        what = " ".join(command[2:5])
        why = f"{what} ended with {told.get('code')}: {told.get('said', '')[-300:]}{ended.stderr[-500:]}"
        raise EndpointError("bench", why, "this is a bug")
    return Process(told["seconds"], told["bytes"] / _MEGABYTE, told["said"])
