"""Rows in rounds: every row is drained once in each, one after the other, so that a bad minute hits all alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.contestants import Contestant
from benchmarks.draining import Drained, drain
from benchmarks.results import Result, median, together
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION: Final = "throughput"
USUAL: Final = 0.05  # seconds of provider latency


@dataclass(slots=True)
class Rounds:
    """A row whose provider answers after *latency* seconds, and what its rounds came to."""

    row: Contestant
    latency: float = USUAL
    drained: list[Drained] = field(default_factory=list)

    @property
    def provider_us(self) -> float:
        """CPU microseconds the provider itself spent on a request."""
        return median([each.provider_us_per_call for each in self.drained])

    def result(self, section: str = SECTION, x: float | None = None) -> Result:
        """All rounds as one."""
        return together([each.result(self.row.name, self.row.broker, section, x) for each in self.drained])

    def drain(self, stage: Stage, seconds: float) -> None:
        """One more round, of about *seconds*."""
        count = max(50, int(self.row.expected * seconds))
        self.drained.append(drain(self.row, stage.provider, self.row.messages(count), self.latency))


def measure(rows: Iterable[Rounds], stage: Stage, rounds: int, seconds: float) -> list[Rounds]:
    """Drain all *rows*, *rounds* times over."""
    runs = list(rows)
    for number in range(1, rounds + 1):
        for run in runs[::-1] if number % 2 == 0 else runs:  # there and back: no row always follows the same one
            run.drain(stage, seconds)
            done = run.drained[-1]
            say(f"round {number}/{rounds}: {run.row.name} ({run.row.broker}): {done.calls_per_second:.0f} calls/s")
    return runs
