"""What users really run: signed events with sealed tokens, four providers, proof probe, recorder, log level INFO.

First a burst: the events are queued beforehand, all three processes start, and a `user.disabled` comes every half
second meanwhile. Then half of what the burst came to, published by a producer in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from servers import Daemon

from benchmarks.contestants import running
from benchmarks.installation import Installation, user_id
from benchmarks.ours import Kind, OurRow, Setup
from benchmarks.plan import Plan
from benchmarks.producers import Producers, SignedInstallation
from benchmarks.producing import Produced, Producer
from benchmarks.resources import cpu_seconds, memory_mb
from benchmarks.results import Result, percentile, together
from benchmarks.say import say
from benchmarks.stage import Stage
from benchmarks.throughput import USUAL
from worker.broker.publication import Message
from worker.ledger import Ledger

SECTION: Final = "as installed"
PROCESSES: Final = ("intake", "worker", "recorder")
EXPECTED: Final = 600  # events a second, roughly
URGENT_EVERY: Final = 0.5  # seconds
FIRST_URGENT: Final = 1_000_000  # number of the first user; sessions count from 0
STUCK: Final = 60.0  # seconds until what was published is given up
WARM_UP: Final = 100  # events before those that are measured
INTERVAL: Final = 0.1  # seconds between two looks


class InstalledRow(OurRow):
    """Intake, worker and recorder on a broker and a ledger of their own."""

    def __init__(self, kind: Kind, producers: Producers, stage: Stage) -> None:
        super().__init__(Setup(broker=kind, work="events", log_level="INFO", note=SECTION), stage)
        self._producers, self._providers_at = producers, stage.provider.base_url
        self.configuration = "intake + worker + recorder, log INFO, 3 sources that sign, 4 providers, proof probe"

    @cached_property
    def installation(self) -> Installation:
        """Its settings and its keys."""
        return SignedInstallation(
            home=self._home,
            broker_url=self.broker_url,
            base_url=self._providers_at,
            ledger_url=self._ledger_url,
            log_level="INFO",
            producers=self._producers,
        )

    def prepare(self) -> None:
        """Make keys, queues and the ledger."""
        super().prepare()
        ledger = Ledger.open(self._ledger_url)
        ledger.upgrade()
        ledger.close()

    def waiting(self) -> int:
        """Events, calls and records that are queued or under way."""
        return sum(n for name, n in self.counts().items() if name.startswith("revocation."))


@dataclass(frozen=True, slots=True)
class Look:
    """What was done and used up to one moment."""

    at: float
    ids: int
    cpu: Sequence[float]  # seconds, of each process


@dataclass(frozen=True, slots=True)
class Round:
    """What one round came to."""

    results: Sequence[Result]
    urgent: Sequence[float]  # seconds that each `user.disabled` of the burst took


def measure(stage: Stage, plan: Plan) -> Iterator[Result]:
    """The rows of both brokers, which take turns."""
    producers = Producers()
    burst, paced = (int(EXPECTED * seconds) for seconds in (plan.installed_seconds, plan.loaded_seconds))
    producers.make(burst + paced)
    stage.provider.answer_wibmo(producers.wibmo_answer)
    kinds: tuple[Kind, ...] = ("rabbitmq", "embedded")
    rounds = [[_round(InstalledRow(kind, producers, stage), stage, producers, burst) for kind in kinds]
              for _ in range(plan.rounds)]  # fmt: skip
    for kind, several in zip(kinds, zip(*rounds, strict=True), strict=True):
        yield from map(together, zip(*(each.results for each in several), strict=True))
        yield _urgent(kind, [taken for each in several for taken in each.urgent], len(several))


def _round(row: InstalledRow, stage: Stage, producers: Producers, burst: int) -> Round:
    row.prepare()
    row.fill(producers.ended[:WARM_UP])
    stage.provider.reset(USUAL)
    with running(row.start_processes(*PROCESSES)) as daemons:
        looks, urgent = _burst(row, stage, producers, daemons, burst)
        whole = _cost(row, looks, memory_mb([daemon.pid for daemon in daemons]))
        rate = (whole.calls_per_second or 1.0) / 2
        produced = _half(row, stage, producers.ended[burst:], rate)
    figures, arrivals = stage.provider.figures(), stage.provider.arrivals()
    row.close()
    ids = producers.ids[burst:]
    taken = [arrivals[each] - at for each, at in zip(ids, produced.sent, strict=True) if each in arrivals]
    lost = len(producers.ids) + len(urgent) - figures.ids
    whole = replace(_timed(whole, taken), lost=lost, duplicates=figures.requests - figures.ids)
    producer = Result("its producer", row.broker, rate, produced.cpu / len(ids) * 1e6, section=SECTION)
    say(f"{row.name} ({row.broker}): {2 * rate:.0f} events/s, {whole.cpu_us_per_call:.0f} µs an event, lost {lost}")
    return Round([whole, *_costs(row, looks), producer], urgent)


def _burst(
    row: InstalledRow, stage: Stage, producers: Producers, daemons: list[Daemon], burst: int
) -> tuple[tuple[Look, Look], list[float]]:
    """The look before the burst and that when everything was recorded; how long each urgent event took meanwhile."""
    leaders, intake = [daemon.pid for daemon in daemons], daemons[0]
    _wait_recorded(row, stage, WARM_UP)
    time.sleep(INTERVAL)  # what stands still must not hold the lock of an embedded broker
    intake.freeze()
    row.fill(producers.ended[WARM_UP:burst])
    count = max(3, int(burst / EXPECTED / URGENT_EVERY / 2))
    planned = [(n * URGENT_EVERY, producers.disabled(FIRST_URGENT + n)) for n in range(count)]
    first = _look(stage, leaders)
    intake.thaw()
    producer = Producer(stage, row.broker_url, planned, "urgent")
    _wait_recorded(row, stage, burst)
    last = _look(stage, leaders)
    _wait_recorded(row, stage, burst + count)
    sent, arrivals = producer.result(STUCK).sent, stage.provider.arrivals()
    ids = [user_id(FIRST_URGENT + n) for n in range(count)]
    return (first, last), [arrivals.get(each, float("inf")) - at for each, at in zip(ids, sent, strict=True)]


def _wait_recorded(row: InstalledRow, stage: Stage, count: int) -> None:
    """Wait until the provider saw *count* ids, and nothing is queued any more; late is told by the times, not here."""
    deadline = time.monotonic() + STUCK
    while (stage.provider.figures().ids < count or row.waiting()) and time.monotonic() < deadline:
        time.sleep(INTERVAL)


def _half(row: InstalledRow, stage: Stage, events: Sequence[Message], rate: float) -> Produced:
    """Publish *events* at *rate* a second, and wait until they are recorded."""
    seen = stage.provider.figures().ids
    planned = [(n / rate, message) for n, message in enumerate(events)]
    produced = Producer(stage, row.broker_url, planned, "producer").result(STUCK)
    _wait_recorded(row, stage, seen + len(events))
    return produced


def _look(stage: Stage, leaders: Sequence[int]) -> Look:
    return Look(time.monotonic(), stage.provider.figures().ids, [cpu_seconds([leader]) for leader in leaders])


def _cost(row: InstalledRow, looks: tuple[Look, Look], memory: float) -> Result:
    first, last = looks
    events = max(1, last.ids - first.ids)
    return Result(
        row=row.name,
        broker=row.broker,
        calls_per_second=events / max(INTERVAL, last.at - first.at),
        cpu_us_per_call=(sum(last.cpu) - sum(first.cpu)) / events * 1e6,
        memory_mb=memory,
        section=SECTION,
    )


def _costs(row: InstalledRow, looks: tuple[Look, Look]) -> Iterator[Result]:
    """What each process has of the whole cost."""
    first, last = looks
    events = max(1, last.ids - first.ids)
    for name, before, after in zip(PROCESSES, first.cpu, last.cpu, strict=True):
        yield Result(f"its {name}", row.broker, cpu_us_per_call=(after - before) / events * 1e6, section=SECTION)


def _urgent(kind: Kind, taken: Sequence[float], rounds: int) -> Result:
    lost = sum(each == float("inf") for each in taken)
    row = f"user.disabled every {URGENT_EVERY:g} s in a burst"
    return _timed(Result(row, kind, lost=lost, rounds=rounds, section=SECTION), taken)


def _timed(result: Result, taken: Sequence[float]) -> Result:
    p50, p99 = (percentile(taken, share) * 1000 if taken else None for share in (0.5, 0.99))
    return replace(result, p50_ms=p50, p99_ms=p99)
