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
    isolation_rounds: int  # pairs
    isolation_seconds: float  # of each half of a pair
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


# What a complete run takes on two quiet cores, of which a row's start, filling and end are some 3 s: rows as installed
# 160 s, 25 rows of throughput 625, latency 195, backlog 90, isolation 100, memory 70, stations 150, scaling 195:
# 26 minutes. The quick form: 25, 100, 40, 20, 10, 12, 20, 23: 4 minutes.
COMPLETE: Final = Plan(
    patience=120.0,
    rounds=5,
    seconds=2.0,
    pings=100,
    loaded_seconds=3.0,
    isolation_rounds=10,
    isolation_seconds=3.0,
    installed_seconds=5.0,
    backlog=100_000,
    urgent=200,
    memory_calls=100_000,
    records=6_000,
    events=6_000,
    publications=5_000,
    scaling_seconds=1.5,
    in_flight=(64, 250, 1000),
    latencies=(0.005, 0.05, 0.5),
    providers=(1, 10, 50),
)
QUICK: Final = Plan(
    patience=10.0,
    rounds=1,
    seconds=1.0,
    pings=50,
    loaded_seconds=2.0,
    isolation_rounds=1,
    isolation_seconds=2.0,
    installed_seconds=2.0,
    backlog=10_000,
    urgent=100,
    memory_calls=8_000,
    records=4_000,
    events=4_000,
    publications=2_000,
    scaling_seconds=1.0,
    in_flight=(64, 1000),
    latencies=(0.005, 0.5),
    providers=(10, 50),
)
