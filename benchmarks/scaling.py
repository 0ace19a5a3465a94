"""How our worker's speed follows the in-flight limit, the provider's latency and the number of providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks import ours
from benchmarks.ours import OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.results import Result
from benchmarks.stage import Stage
from benchmarks.throughput import USUAL, Rounds
from benchmarks.throughput import measure as drain_in_rounds

IN_FLIGHT: Final = "calls/s by in-flight limit"
LATENCY: Final = "calls/s by provider latency in ms"
PROVIDERS: Final = "calls/s by number of providers"
MOST: Final = 1000  # calls in flight: the highest the settings allow

Points = Mapping[float, tuple[Setup, float]]  # of a curve, by x; the provider's latency in seconds with each


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """A result for every point of the three curves; those of a curve are drained in rounds."""
    for section, points in _curves(plan).items():
        runs = [Rounds(_row(stage, setup, latency), latency) for setup, latency in points.values()]
        drain_in_rounds(runs, stage, plan.rounds, plan.scaling_seconds)
        for x, run in zip(points, runs, strict=True):
            run.row.close()
            yield run.result(section, x)


def _curves(plan: Plan) -> Mapping[str, Points]:
    return {
        IN_FLIGHT: {n: (Setup(in_flight=n, note=f"in flight {n}"), USUAL) for n in plan.in_flight},
        LATENCY: {
            seconds * 1000: (Setup(in_flight=MOST, note=f"provider {seconds * 1000:g} ms"), seconds)
            for seconds in plan.latencies
        },
        PROVIDERS: {n: (_shared_by(n), USUAL) for n in plan.providers},
    }


def _shared_by(providers: int) -> Setup:
    """What is in flight altogether is the same as in the other rows."""
    note = f"{providers} provider{'s' * (providers > 1)}"
    return Setup(in_flight=max(1, ours.IN_FLIGHT // providers), providers=providers, note=note)


def _row(stage: Stage, setup: Setup, latency: float) -> OurRow:
    row = OurRow(setup, stage)
    row.expected = int(min(row.expected, setup.in_flight * setup.providers / latency))
    row.prepare()
    return row
