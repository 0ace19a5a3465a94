"""The main table: every row drained once in each round, one after the other, so that a bad minute hits all alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.contestants import Contestant
from benchmarks.draining import Drained, drain
from benchmarks.results import Result, median
from benchmarks.say import say
from benchmarks.stage import Stage

SECTION = "throughput"


@dataclass(slots=True)
class Rounds:
    """A row and what its rounds came to."""

    row: Contestant
    drained: list[Drained] = field(default_factory=list)

    @property
    def provider_us(self) -> float:
        """CPU microseconds the provider itself spent on a request."""
        return median([each.provider_us_per_call for each in self.drained])

    def result(self, section: str = SECTION, name: str | None = None, x: float | None = None) -> Result:
        """Medians, and the sums of what was lost or repeated."""
        rates = [each.calls_per_second for each in self.drained]
        return Result(
            row=name or self.row.name,
            broker=self.row.broker,
            calls_per_second=median(rates),
            cpu_us_per_call=median([each.cpu_us_per_call for each in self.drained]),
            memory_mb=median([each.memory_mb for each in self.drained]),
            lost=sum(each.lost for each in self.drained),
            duplicates=sum(each.duplicates for each in self.drained),
            rounds=len(rates),
            spread=(min(rates), max(rates)),
            section=section,
            x=x,
        )


def measure(rows: Sequence[Contestant], stage: Stage, rounds: int, seconds: float) -> list[Rounds]:
    """Drain all *rows*, *rounds* times over."""
    runs = [Rounds(row) for row in rows]
    for number in range(1, rounds + 1):
        for run in runs[::-1] if number % 2 == 0 else runs:  # there and back: no row always follows the same one
            measure_once(run, stage, seconds)
            done = run.drained[-1]
            say(f"round {number}/{rounds}: {run.row.name} ({run.row.broker}): {done.calls_per_second:.0f} calls/s")
    return runs


def measure_once(run: Rounds, stage: Stage, seconds: float, latency: float = 0.05) -> None:
    """Drain one row for about *seconds*."""
    count = max(50, int(run.row.expected * seconds))
    run.drained.append(drain(run.row, stage.provider, run.row.messages(count), latency))
