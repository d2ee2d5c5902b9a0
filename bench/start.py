"""start: how long `syncd --help` keeps somebody waiting."""

from __future__ import annotations

from statistics import median

from bench.figures import Figure
from bench.process import python

_TIMES = 3  # a start is over so soon that three make a round


def measure(rounds: int) -> Figure:
    """start: the median of a few, after one that leaves compiled modules and a warm cache behind."""
    python("syncd", "--help")
    told = [python("syncd", "--help") for _ in range(rounds * _TIMES)]
    return Figure("start", median(one.seconds for one in told), "s", memory=median(one.megabytes for one in told))
