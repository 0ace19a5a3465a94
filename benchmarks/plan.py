"""How much a run measures: the complete form and the quick form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Plan:
    """Amounts of work. Seconds are what a row should last; calls follow from what each engine is expected to do."""

    patience: float  # with a machine on which others still work
    rounds: int
    seconds: float  # of each drained row in each round
    pings: int  # messages of an unloaded latency row
    loaded_seconds: float  # of a half-loaded latency row
    installed_seconds: float  # of the burst in each round of the row as installed
    backlog: int  # routine events before the urgent ones
    urgent: int
    memory_calls: int
    records: int  # of the recorder rows in each round
    events: int  # of the intake rows in each round
    publications: int  # likewise
    scaling_seconds: float  # of each point in each round
    in_flight: tuple[int, ...]
    latencies: tuple[float, ...]  # of the provider, in seconds
    providers: tuple[int, ...]


COMPLETE: Final = Plan(
    patience=120.0,
    rounds=3,
    seconds=4.0,
    pings=200,
    loaded_seconds=5.0,
    installed_seconds=5.0,
    backlog=100_000,
    urgent=200,
    memory_calls=100_000,
    records=10_000,
    events=8_000,
    publications=5_000,
    scaling_seconds=3.0,
    in_flight=(16, 64, 250, 500, 1000),
    latencies=(0.005, 0.05, 0.5),
    providers=(1, 10, 50),
)
QUICK: Final = Plan(
    patience=10.0,
    rounds=1,
    seconds=1.5,
    pings=100,
    loaded_seconds=2.0,
    installed_seconds=2.0,
    backlog=10_000,
    urgent=100,
    memory_calls=10_000,
    records=5_000,
    events=4_000,
    publications=2_000,
    scaling_seconds=1.0,
    in_flight=(64, 1000),
    latencies=(0.005, 0.5),
    providers=(10, 50),
)
