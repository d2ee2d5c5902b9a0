"""How often Python looks for garbage while a run holds a district in memory.

A run builds a great many objects that all live until it ends, and hardly any cycles. Python's collector would walk through all of
them again and again to find nothing: a quarter of the time of a large plan.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_NEW_OBJECTS = 50_000  # before the young ones are looked through; Python's own is 700, which a single person reaches


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Garbage is still collected in here, only seldom: what a cycle holds is freed some megabytes later. Nests."""
    usual = gc.get_threshold()
    if usual[0]:  # 0: whoever runs us has turned the collector off
        gc.set_threshold(max(usual[0], _NEW_OBJECTS), *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
