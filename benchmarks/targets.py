"""What we aim at, and how far the rows of one run got."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.results import Result, find

_CALLS: Final = "ours, calls"
_RIVALS: Final = ("aio-celery", "taskiq", "FastStream", "dramatiq threads", "dramatiq asyncio")
_PREFORK: Final = "Celery prefork 16"

Read = Callable[["Rows"], float | None]


@dataclass(frozen=True, slots=True)
class Target:
    """A bound and what was reached."""

    what: str
    bound: float
    at_least: bool
    reached: float | None  # None: not measured in this run

    @property
    def met(self) -> bool | None:
        """Whether it was; None where nobody knows."""
        if self.reached is None:
            return None
        return self.reached >= self.bound if self.at_least else self.reached <= self.bound


class Rows:
    """The results of a run, to be asked for ratios."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results

    def get(self, figure: str, row: str, broker: str | None = "rabbitmq") -> float | None:
        """A figure of a row, if both are there."""
        result = find(self.results, row, broker)
        value: float | None = getattr(result, figure) if result else None
        return value

    def rate(self, row: str, broker: str | None = "rabbitmq") -> float | None:
        """Calls a second."""
        return self.get("calls_per_second", row, broker)

    def best_rival(self) -> float | None:
        """Calls a second of the fastest peer."""
        return max((rate for each in _RIVALS if (rate := self.rate(each))), default=None)

    def section(self, name: str, broker: str = "rabbitmq") -> list[Result]:
        """The rows of a table."""
        return [each for each in self.results if each.section == name and each.broker == broker]


def ratio(one: float | None, other: float | None) -> float | None:
    """One in units of the other; None where either is unknown."""
    return one / other if one is not None and other else None


def targets(results: Sequence[Result]) -> list[Target]:
    """Every target beside what was reached."""
    rows = Rows(results)
    return [
        *_speed(rows),
        *_stations(rows),
        *_latency(rows),
        *_isolation(rows),
        *_memory_and_cost(rows),
        *_embedded(rows),
    ]


def _speed(rows: Rows) -> Iterator[Target]:
    ours = rows.rate(_CALLS)
    prefork, memory = rows.rate(_PREFORK), rows.get("memory_mb", _PREFORK)
    yield Target("calls/s, of the equally lean floor", 0.85, True, ratio(ours, rows.rate("floor, lean")))
    yield Target("calls/s, of the fastest peer", 1.0, True, ratio(ours, rows.best_rival()))
    yield Target("calls/s, of prefork -c 16", 10, True, ratio(ours, prefork))
    yield Target("memory, of prefork -c 16", 0.2, False, ratio(rows.get("memory_mb", _CALLS), memory))


def _stations(rows: Rows) -> Iterator[Target]:
    yield Target("intake, events/s, quorum queues", 3000, True, rows.rate("intake"))
    for database in ("SQLite", "PostgreSQL"):
        yield Target(f"recorder, rows/s, {database}", 5000, True, rows.rate(f"recorder, {database}"))


def _latency(rows: Rows) -> Iterator[Target]:
    both = "ours, both stages"
    yield Target("event to request, unloaded, p50 ms", 5, False, rows.get("p50_ms", both))
    yield Target("event to request, unloaded, p99 ms", 15, False, rows.get("p99_ms", both))
    for result in rows.section("urgent behind a backlog"):
        yield Target(f"{result.row}, p99 ms", 2000, False, result.p99_ms)


def _isolation(rows: Rows) -> Iterator[Target]:
    p99 = [each.p99_ms for each in rows.section("isolation")]
    yield Target("p99 beside a black hole, of that alone", 1.1, False, ratio(p99[-1], p99[0]) if p99 else None)


def _memory_and_cost(rows: Rows) -> Iterator[Target]:
    held = [each.memory_mb for each in rows.section("memory over many calls")]
    yield Target("memory at the end, of that early on", 1.05, False, ratio(held[-1], held[0]) if held else None)
    yield Target("memory at 1000 in flight, MB", 100, False, rows.get("memory_mb", "ours, in flight 1000"))
    costs = [each.cpu_us_per_call for each in rows.section("calls/s by number of providers")]
    yield Target("CPU a call, most providers to fewest", 1.1, False, ratio(costs[-1], costs[0]) if costs else None)


def _embedded(rows: Rows) -> Iterator[Target]:
    yield Target("embedded broker, calls/s", 2500, True, rows.rate(_CALLS, "embedded"))
    yield Target("embedded broker, picked up in, p99 ms", 20, False, rows.get("p99_ms", _CALLS, "embedded"))
    idle = rows.section("idle", "embedded")
    yield Target("embedded broker, idle CPU %", 2, False, idle[0].x if idle else None)
