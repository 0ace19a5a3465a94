"""How our worker's speed follows the in-flight limit, the provider's latency and the number of providers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks import ours
from benchmarks.ours import OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.results import Result
from benchmarks.say import say
from benchmarks.stage import Stage
from benchmarks.throughput import Rounds, measure_once

IN_FLIGHT: Final = "calls/s by in-flight limit"
LATENCY: Final = "calls/s by provider latency in ms"
PROVIDERS: Final = "calls/s by number of providers"
USUAL: Final = 0.05  # seconds of provider latency
MOST: Final = 1000  # calls in flight: the highest the settings allow


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """A result for every point of the three curves."""
    point = _Point(stage, plan.scaling_seconds)
    for limit in plan.in_flight:
        setup = Setup(in_flight=limit, note=f"in flight {limit}")
        yield point(setup, USUAL, IN_FLIGHT, limit)
    for latency in plan.latencies:
        setup = Setup(in_flight=MOST, note=f"provider {latency * 1000:g} ms")
        yield point(setup, latency, LATENCY, latency * 1000)
    for providers in plan.providers:
        share = max(1, ours.IN_FLIGHT // providers)  # of what is in flight altogether, as in the other rows
        setup = Setup(in_flight=share, providers=providers, note=f"{providers} provider{'s' * (providers > 1)}")
        yield point(setup, USUAL, PROVIDERS, providers)


@dataclass(frozen=True, slots=True)
class _Point:
    """Measures a point of a curve."""

    stage: Stage
    seconds: float

    def __call__(self, setup: Setup, latency: float, section: str, x: float) -> Result:
        row = OurRow(setup, self.stage)
        row.expected = int(min(row.expected, setup.concurrency * setup.providers / latency))
        row.prepare()
        run = Rounds(row)
        measure_once(run, self.stage, self.seconds, latency)
        row.close()
        say(f"{row.name}: {run.drained[-1].calls_per_second:.0f} calls/s")
        return run.result(section, x=x)
