"""The throughput of a row: its queue is full, its processes start, the provider counts until all calls are made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from servers import Daemon

from benchmarks.contestants import Contestant, running
from benchmarks.counting import CountingProvider, Figures
from benchmarks.resources import cpu_seconds, memory_mb
from benchmarks.results import Result
from worker.broker.publication import Message

INTERVAL: Final = 0.05  # seconds between two looks
STUCK: Final = 20.0  # seconds without a new call after which a row is given up
WARM, NEARLY = 0.1, 0.95  # the part of the calls that is measured: neither start nor end of the row


@dataclass(frozen=True, slots=True)
class Look:
    """What the provider counted and the processes used up to one moment."""

    figures: Figures
    cpu: float


@dataclass(frozen=True, slots=True)
class Drained:
    """What one round of one row came to."""

    calls_per_second: float
    cpu_us_per_call: float
    memory_mb: float
    lost: int
    duplicates: int
    provider_us_per_call: float

    def result(self, row: str, broker: str, section: str, x: float | None = None) -> Result:
        """The figures of *row*, which stands in the table *section*, at *x* of its plot."""
        return Result(
            row=row,
            broker=broker,
            calls_per_second=self.calls_per_second,
            cpu_us_per_call=self.cpu_us_per_call,
            memory_mb=self.memory_mb,
            lost=self.lost,
            duplicates=self.duplicates,
            section=section,
            x=x,
        )


def drain(row: Contestant, provider: CountingProvider, messages: list[Message], latency: float) -> Drained:
    """Queue *messages*, start *row*'s processes, and measure them until every call is made and acknowledged.

    The provider answers each after *latency* seconds.
    """
    row.fill(messages)
    provider.reset(latency)
    with running(row.start()) as daemons:
        looks, memory = watch(provider.figures, daemons, len(messages))
        settle(row)
    final = provider.figures()
    row.tidy()
    return drained(looks, memory[-1], final, len(messages))


def watch(
    figures: Callable[[], Figures], daemons: list[Daemon], count: int, marks: tuple[float, ...] = (NEARLY,)
) -> tuple[list[Look], list[float]]:
    """Look on until *count* ids were seen, or nothing moves any more: all looks, and the memory at each of *marks*.

    Marks are parts of *count*; the memory of one that was never reached is that of the end.
    """
    leaders = [daemon.pid for daemon in daemons]
    looks: list[Look] = []
    memory: list[float] = []
    moved, last = time.monotonic(), -1
    while last < count and time.monotonic() - moved < STUCK:
        look = Look(figures(), cpu_seconds(leaders))
        looks.append(look)
        if look.figures.ids != last:
            moved, last = time.monotonic(), look.figures.ids
        if len(memory) < len(marks) and last >= marks[len(memory)] * count:
            memory.append(memory_mb(leaders))
        time.sleep(INTERVAL)
    return looks, memory + [memory_mb(leaders)] * (len(marks) - len(memory))


def settle(row: Contestant, seconds: float = 10.0) -> None:
    """Wait until everything is acknowledged: then the processes can be killed without losing anything."""
    deadline = time.monotonic() + seconds
    while row.waiting() and time.monotonic() < deadline:
        time.sleep(INTERVAL)


def drained(looks: list[Look], memory: float, final: Figures, count: int) -> Drained:
    """The figures of a row of *count* calls from all *looks* at it, the last one being *final*."""
    first, last = window(looks, count)
    calls = max(1, last.figures.ids - first.figures.ids)
    seconds = max(INTERVAL, last.figures.now - first.figures.now)
    return Drained(
        calls_per_second=calls / seconds,
        cpu_us_per_call=(last.cpu - first.cpu) / calls * 1e6,
        memory_mb=memory,
        lost=count - final.ids,
        duplicates=final.requests - final.ids,
        provider_us_per_call=(last.figures.cpu - first.figures.cpu) / calls * 1e6,
    )


def window(looks: list[Look], count: int) -> tuple[Look, Look]:
    """The first look of a warm row and the last before its end; in a row too short for both, all there is."""
    warm = [look for look in looks if WARM * count <= look.figures.ids <= NEARLY * count]
    if len(warm) > 1:
        return warm[0], warm[-1]
    started = [look for look in looks if look.figures.ids] or looks
    return looks[max(0, looks.index(started[0]) - 1)], started[-1]
