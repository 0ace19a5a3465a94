"""What we aim at, and how far the rows of one run got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import fan_out, isolation
from benchmarks.peer import promising
from benchmarks.results import Result, find

_CALLS: Final = "ours, calls"
_ASYNC: Final = ("aio-celery", "taskiq", "FastStream", "dramatiq asyncio")
_FLOOR: Final = "floor, lean"

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

    def best_promising(self, names: Iterable[str]) -> float | None:
        """Calls a second of the fastest of *names* in the rows that keep our promises."""
        return max((rate for each in names if (rate := self.rate(promising(each)))), default=None)

    def beginning(self, start: str) -> Result | None:
        """The row whose name begins so: its end is a figure."""
        return next((each for each in self.results if each.row.startswith(start)), None)

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
        *_installed(rows),
        *_speed(rows),
        *_stations(rows),
        *_latency(rows),
        *_isolation(rows),
        *_memory_and_cost(rows),
        *_embedded(rows),
    ]


def _installed(rows: Rows) -> Iterator[Target]:
    whole = "ours, as installed"
    urgent = rows.beginning("user.disabled")
    yield Target("as installed, CPU µs an event", 1200, False, rows.get("cpu_us_per_call", whole))
    yield Target("as installed, events/s", 1000, True, rows.rate(whole))
    yield Target("user.disabled in a burst, p99 ms", 100, False, urgent.p99_ms if urgent else None)


def _speed(rows: Rows) -> Iterator[Target]:
    ours, floor = rows.rate(_CALLS), rows.rate(_FLOOR)
    sealed, info = rows.rate("ours, sealed calls"), rows.rate("ours, log INFO")
    yield Target("calls/s, of the floor with promises", 2, True, ratio(ours, rows.best_promising([_FLOOR])))
    yield Target("calls/s, of the best peer with promises", 2, True, ratio(ours, rows.best_promising(_ASYNC)))
    yield Target("calls/s, of the plain lean floor", 0.75, True, ratio(ours, floor))
    yield Target("sealed calls/s, of the plain row", 0.85, True, ratio(sealed, ours))
    yield Target("calls/s at log INFO, of the plain row", 0.95, True, ratio(info, ours))


def _stations(rows: Rows) -> Iterator[Target]:
    yield Target("intake, events/s, quorum queues", 5000, True, rows.rate("intake"))
    yield Target("intake, signed events/s", 3000, True, rows.rate("intake, signed events"))
    yield Target("recorder, rows/s, SQLite", 10_000, True, rows.rate("recorder, SQLite"))
    yield Target("recorder, rows/s, PostgreSQL", 7000, True, rows.rate("recorder, PostgreSQL"))


def _latency(rows: Rows) -> Iterator[Target]:
    both = "ours, both stages"
    yield Target("event to request, unloaded, p50 ms", 4, False, rows.get("p50_ms", both))
    yield Target("event to request, unloaded, p99 ms", 10, False, rows.get("p99_ms", both))
    yield Target("event to request, half load, p99 ms", 20, False, rows.get("p99_ms", f"half load: {both}"))
    for result in rows.section("urgent behind a backlog"):
        yield Target(f"{result.row}, p99 ms", 300, False, result.p99_ms)


def _isolation(rows: Rows) -> Iterator[Target]:
    pairs = rows.beginning(isolation.RATIO)
    yield Target("p99 beside a black hole, of that alone", 1.1, False, pairs.x if pairs else None)
    fanned = rows.beginning(fan_out.RATIO)
    yield Target(f"p99 of {fan_out.BLACK} beside a black provider, of alone", 1.1, False, fanned.x if fanned else None)


def _memory_and_cost(rows: Rows) -> Iterator[Target]:
    held = [each.memory_mb for each in rows.section("memory over many calls")]
    yield Target("memory at the end, of that early on", 1.05, False, ratio(held[-1], held[0]) if held else None)
    waiting = rows.beginning(isolation.HELD)
    yield Target("memory, 1000 calls waiting, MB", 100, False, waiting.memory_mb if waiting else None)
    costs = [each.cpu_us_per_call for each in rows.section("calls/s by number of providers")]
    yield Target("CPU a call, most providers to fewest", 1.1, False, ratio(costs[-1], costs[0]) if costs else None)


def _embedded(rows: Rows) -> Iterator[Target]:
    yield Target("embedded broker, calls/s", 3000, True, rows.rate(_CALLS, "embedded"))
    yield Target("embedded broker, picked up in, p99 ms", 20, False, rows.get("p99_ms", _CALLS, "embedded"))
    idle = rows.section("idle", "embedded")
    yield Target("embedded broker, idle CPU %", 1, False, idle[0].x if idle else None)
