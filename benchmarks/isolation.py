"""What one provider's black hole costs the others: their latency without it and with it, in turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from servers import wait_until

from benchmarks.contestants import running
from benchmarks.installation import user_id
from benchmarks.latency import paced
from benchmarks.ours import OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.resources import memory_mb
from benchmarks.results import Result, median, percentile
from benchmarks.say import say
from benchmarks.stage import Stage
from worker.broker.publication import Message
from worker.broker.publisher import Publisher

SECTION: Final = "isolation"
HANGING: Final = 1000  # calls that wait for the provider that never answers
RATE: Final = 500.0  # calls a second to the one that does
WARM_UP: Final = 100
BESIDE: Final = f"beside {HANGING} hanging calls"
ALONE: Final = "alone"
RATIO: Final = "p99 beside, of that alone"
HELD: Final = "a waiting call holds"


@dataclass(frozen=True, slots=True)
class _Round:
    """Latencies in milliseconds; the worker's memory with HANGING calls that wait, and what one holds, in MB."""

    alone: list[float]
    beside: list[float]
    memory: float
    held: float


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """The publish-to-request latency at one provider, alone and beside another that hangs; the median of all pairs."""
    rounds = [_round(stage, int(RATE * plan.isolation_seconds)) for _ in range(plan.isolation_rounds)]
    yield _result(ALONE, [each.alone for each in rounds])
    yield _result(BESIDE, [each.beside for each in rounds])
    pairs = median([percentile(each.beside, 0.99) / percentile(each.alone, 0.99) for each in rounds])
    yield Result(f"{RATIO}: {pairs:.2f}", "rabbitmq", rounds=len(rounds), section=SECTION, x=pairs)
    memory, held = (median(each) for each in zip(*((each.memory, each.held) for each in rounds), strict=True))
    row = f"{HELD} {held * 1024:.1f} KB"
    yield Result(row, "rabbitmq", memory_mb=memory, rounds=len(rounds), section=SECTION, x=held * 2**20)


def _round(stage: Stage, count: int) -> _Round:
    row = OurRow(Setup(providers=2, in_flight=HANGING), stage)
    row.prepare()
    stage.provider.reset(0.05)
    ours = row.installation
    calls = ours.calls_to("p0", range(WARM_UP + 2 * count))
    proven = ours.calls_to("p1", [WARM_UP + 2 * count])  # a credential that never worked is tried with care
    with running(row.start()) as daemons, row.publisher() as publisher:
        publisher.publish_all([*calls[:WARM_UP], *proven])
        wait_until(lambda: stage.provider.figures().ids == WARM_UP + 1, 30, "the first calls")
        alone = _times(stage, publisher, calls, range(WARM_UP, WARM_UP + count))
        before = memory_mb([daemon.pid for daemon in daemons])
        stage.provider.hang("p1")
        publisher.publish_all(ours.calls_to("p1", range(HANGING)))
        wait_until(lambda: stage.provider.figures().hanging == HANGING, 30, "the other provider to be full")
        memory = memory_mb([daemon.pid for daemon in daemons])
        beside = _times(stage, publisher, calls, range(WARM_UP + count, WARM_UP + 2 * count))
    row.close()
    return _Round(alone, beside, memory, (memory - before) / HANGING)


def _times(stage: Stage, publisher: Publisher, calls: Sequence[Message], part: range) -> list[float]:
    sent = paced(publisher, calls[part.start : part.stop], RATE)
    wait_until(lambda: stage.provider.figures().ids == part.stop + 1, 30, "the calls of this part")
    arrivals = stage.provider.arrivals()
    return [(arrivals[user_id(n)] - at) * 1000 for n, at in zip(part, sent, strict=True)]


def _result(name: str, rounds: Sequence[Sequence[float]]) -> Result:
    p50, p99 = (median([percentile(each, share) for each in rounds]) for share in (0.5, 0.99))
    say(f"a provider's calls {name}: p50 {p50:.2f}, p99 {p99:.2f} ms")
    return Result(
        row=f"a provider's calls, {name}",
        broker="rabbitmq",
        calls_per_second=RATE,
        p50_ms=p50,
        p99_ms=p99,
        lost=0,
        rounds=len(rounds),
        section=SECTION,
    )
