"""What each figure has to reach. The bars are data; whether one was reached, the figure tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

LESS_IS_BETTER = frozenset({"s", "MB"})
"""Units in which a smaller figure is the better one. Of anything per second, more is better."""


@dataclass(frozen=True, slots=True)
class Bar:
    """`times` the reference plus `seconds`, and how much memory the process may have held at most; None where that is free.

    Without `times` there is no reference, and `seconds` alone is the limit. More seconds than `most` are too many in any case.
    """

    times: float | None = None
    seconds: float | None = None
    megabytes: float | None = None
    most: float | None = None

    def limit(self, reference: float | None) -> float | None:
        """What the figure is held against, in its own unit; None where only memory is limited."""
        if self.times is None:
            return self.seconds
        if reference is None:
            return None
        limit = self.times * reference + (self.seconds or 0.0)
        return limit if self.most is None else min(limit, self.most)

    def told(self, unit: str) -> str:
        """The bar in words, without its memory."""
        parts = [f"{self.seconds:g} s"] if self.seconds is not None else []
        parts += [f"{self.times:g} ×" if parts else f"{self.times:g}"] if self.times is not None else []
        cap = f", {self.most:g} s" if self.most is not None else ""
        return f"{'≤' if unit in LESS_IS_BETTER else '≥'} {' + '.join(parts)}{cap}" if parts else "memory only"


BARS: Mapping[str, Bar] = MappingProxyType(
    {
        "create_nosync": Bar(times=1.3),
        "create_fsync": Bar(times=0.9),
        "modify_nosync": Bar(times=1.5),
        "modify_fsync": Bar(times=1.0),
        "read_full": Bar(times=6, megabytes=60),
        "nochange_28k": Bar(times=2, seconds=1, megabytes=120),
        "start": Bar(seconds=0.5),
        "nochange_1m": Bar(times=1.5, megabytes=150),
        "nochange_1m_shuffled": Bar(times=3),
        "changed_1k_of_1m": Bar(times=1.2),
        "identical_1m": Bar(times=0.3),
        "mapping_100k": Bar(times=2),
        "full_28k": Bar(megabytes=250),
        "ad_delta_read": Bar(times=0.02, most=1),
        "ad_create": Bar(times=1.0),
        "ad_create_password": Bar(times=0.85),
    }
)
"""By figure. Those of `script/bench peers` have none: they say what the alternative costs."""
