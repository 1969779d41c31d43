"""Shares that no case measures by itself: the cost of one layer is the difference of two cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benches.compare import Measurement


@dataclass(frozen=True)
class Derived:
    """(`more` - `less`) / `parts`, in seconds for each side."""

    name: str
    title: str
    group: str
    target: float | None
    more: str
    less: str
    parts: int

    def of(self, measured: Mapping[str, Measurement]) -> Measurement | None:
        if self.more not in measured or self.less not in measured:
            return None
        more, less = measured[self.more], measured[self.less]
        return Measurement(
            best={side: (more.best[side] - less.best[side]) / self.parts for side in more.best},
            medians={side: (more.medians[side] - less.medians[side]) / self.parts for side in more.medians},
        )


DERIVED = [
    Derived(
        "function-layer-each",
        "BaseHTTPMiddleware, each of 3 layers (less the application's own time)",
        "toolkit",
        0.1,
        "function-layers-3",
        "no-layer",
        3,
    )
]
