"""Whether somebody else's clock goes evenly, as far as asking it now and then can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_DRIFT: Final = 0.001  # seconds a second: twice what clocks are slewed by (adjtimex(2): 500 parts in a million)
_GRAIN: Final = 0.005  # seconds: SQLite tells milliseconds


@dataclass(frozen=True, slots=True)
class Sight:
    """By how much the other clock is ahead of our monotonic one: between *low* and *high*, at our time *at*."""

    at: float
    low: float
    high: float

    @classmethod
    def of(cls, before: float, told: float, after: float) -> Sight:
        """From the time it *told* between two of ours."""
        return cls(after, told - after - _GRAIN, told - before + _GRAIN)

    def agrees(self, later: Sight) -> bool:
        """Whether the clock can have gone on evenly from here to *later*."""
        drift = _DRIFT * (later.at - self.at)
        return later.low <= self.high + drift and self.low - drift <= later.high

    def sharpened(self, later: Sight) -> Sight:
        """What both together tell, at the later time; *later* alone where they do not agree."""
        if not self.agrees(later):
            return later
        drift = _DRIFT * (later.at - self.at)
        return Sight(later.at, max(self.low - drift, later.low), min(self.high + drift, later.high))
