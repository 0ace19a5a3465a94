"""Urgent events behind a routine backlog: how long until they are settled, and what the wait costs in memory."""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from memory import resident_mb
from servers import Daemon, wait_until
from system import SOURCE, System

from worker.broker import topology

BATCH = 1000  # events published together
PATIENCE = 120.0  # seconds for the urgent ones


@dataclass(frozen=True)
class Figures:
    """What was seen; times are seconds from an event's publishing to its being settled in the ledger."""

    settled: list[float]
    overtaken: int  # routine events still queued when the last urgent one was settled
    early_mb: dict[str, float]  # memory of each process when the backlog began to move
    late_mb: dict[str, float]  # the most it was afterwards

    @property
    def p99(self) -> float:
        """Of the times, the longest but one in a hundred."""
        return sorted(self.settled)[-(len(self.settled) // 100) - 1]

    @property
    def growth_mb(self) -> float:
        """Of the process that grew most."""
        return max(self.late_mb[name] - self.early_mb[name] for name in self.late_mb)


def urgent_behind(system: System, routine: int, urgent: int, *, drain: float = 0.0) -> Figures:
    """Queue *routine* events, start the processes, publish *urgent* ones last, one by one.

    Afterwards the backlog gets *drain* seconds to be gone, while the memory is watched; 0: it is left where it is.
    """
    events = _routine(system, routine)
    while some := list(islice(events, BATCH)):
        system.publish(some)
    running = _started(system)
    early = _memory(running)
    settled = [_time_to_settle(system) for _ in range(urgent)]
    overtaken = system.queued().get(topology.INTAKE.name, 0)
    late = _memory(running)
    if drain:
        until = time.monotonic() + drain
        while system.queued():
            assert time.monotonic() < until, f"still queued after {drain:g} s: {system.queued()}"
            late = {name: max(late[name], now) for name, now in _memory(running).items()}
            time.sleep(0.5)
    return Figures(settled, overtaken, early, late)


def _started(system: System) -> dict[str, Daemon]:
    """The intake last, when the others are ready: the time to settle holds no time to start."""
    others = system.start("worker", "recorder")
    wait_until(lambda: all("ready" in process.output for process in others), 30, "the worker to be ready")
    queued = system.queued()[topology.INTAKE.name]
    running = [*others, *system.start("intake")]
    wait_until(lambda: system.queued().get(topology.INTAKE.name, 0) < queued, 60, "the backlog to move")
    return {process.name: process for process in running}


def _routine(system: System, count: int) -> Iterator[dict[str, Any]]:
    """Sessions known by a reference: nothing to seal, so that the backlog is made in no time."""
    return (system.ended(system.session("wibmo", f"sbx-{uuid.uuid4()}")) for _ in range(count))


def _time_to_settle(system: System) -> float:
    event = system.disabled(accounts={"genesys": {"user_id": str(uuid.uuid4())}})
    system.publish([event])
    published = time.monotonic()
    wait_until(lambda: system.ledger.settled_or_dead(SOURCE, [event["id"]]), PATIENCE, "an urgent event to be settled")
    return time.monotonic() - published


def _memory(running: dict[str, Daemon]) -> dict[str, float]:
    return {name: resident_mb(process.pid) for name, process in running.items()}
