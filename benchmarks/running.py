"""The whole run, part after part."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from benchmarks import backlog, endurance, fan_out, idle, installed, isolation, latency, scaling, stations, throughput
from benchmarks.bare import BareClient
from benchmarks.contestants import Contestant
from benchmarks.ours import OurRow, Setup
from benchmarks.peer import PEER_ROWS, PeerRow
from benchmarks.plan import QUICK, Plan
from benchmarks.results import Result
from benchmarks.say import say
from benchmarks.stage import PEERS_BIN, Stage
from benchmarks.throughput import Rounds

PARTS: Final = ("installed", "throughput", "backlog", "isolation", "memory", "stations", "scaling")


class Run:
    """One run after *plan*; *rows* chooses among those of the throughput part by their names."""

    def __init__(self, stage: Stage, plan: Plan, rows: re.Pattern[str]) -> None:
        self._stage, self._plan, self._chosen = stage, plan, rows
        self.configurations: dict[str, str] = {}
        self.failures: list[str] = []  # what could not be run, and why
        self.provider_us_per_request: float | None = None  # of CPU: what one core of it could answer at most

    def measure(self, parts: Collection[str] = PARTS) -> list[Result]:
        """Every result of *parts*, in the order of the report."""
        makers: dict[str, Callable[[], Iterator[Result]]] = {
            "installed": self._installed,
            "throughput": self._main,
            "backlog": self._backlog,
            "isolation": self._isolation,
            "memory": self._memory,
            "stations": self._stations,
            "scaling": self._scaling,
        }
        results: list[Result] = []
        for name in PARTS:
            if name in parts:
                results += self._whatever_comes(name, makers[name]())
        return results

    def _whatever_comes(self, part: str, results: Iterator[Result]) -> Iterator[Result]:
        """*results* up to a failure: half an hour's figures are not thrown away for one row."""
        try:
            yield from results
        except Exception as error:  # noqa: BLE001 - whatever it is, the other parts' figures are worth keeping
            self._failed(part, error)

    def _failed(self, what: str, error: Exception) -> None:
        self.failures.append(f"{what} could not be run: {str(error)[:300]}")
        self.configurations[what] = "COULD NOT BE RUN"
        say(self.failures[-1])

    def _installed(self) -> Iterator[Result]:
        yield from installed.measure(self._stage, self._plan)

    def _main(self) -> Iterator[Result]:
        """Throughput in rounds, then latency; a row's unloaded latency stands beside its throughput."""
        rows = [row for row in self._rows() if self._chosen.search(row.name) and self._prepared(row)]
        measured = throughput.measure(map(Rounds, rows), self._stage, self._plan.rounds, self._plan.seconds)
        results = {id(run.row): run.result() for run in measured}
        loaded = list(self._latency(rows, results))
        self.provider_us_per_request = min((each.provider_us for each in measured), default=None)
        yield from results.values()
        yield from loaded
        for row in rows:
            row.close()

    def _latency(self, rows: list[Contestant], results: dict[int, Result]) -> Iterator[Result]:
        plan = self._plan
        for row in rows:
            if not self._pinged(row):
                continue
            capacity = results[id(row)].calls_per_second or 1.0
            unloaded, loaded = latency.measure(row, self._stage, plan.pings, capacity, plan.loaded_seconds)
            results[id(row)] = latency.with_latency(results[id(row)], unloaded)
            yield loaded

    def _prepared(self, row: Contestant) -> bool:
        """Whether *row* can take part; a peer that does not start is named in the report, and the run goes on."""
        try:
            row.prepare()
        except AssertionError as error:
            self._failed(row.name, error)
            return False
        self.configurations[f"{row.name} *" if row.broker == "embedded" else row.name] = row.configuration
        return True

    def _pinged(self, row: Contestant) -> bool:
        """The quick form leaves out the latency of the rows that are far behind."""
        if row.broker == "-":
            return False
        quick = ("ours, calls", "ours, both stages", "floor, lean", "aio-celery")
        return self._plan is not QUICK or row.name in quick

    def _rows(self) -> list[Contestant]:
        ours = [OurRow(setup, self._stage) for setup in _setups()]
        if not PEERS_BIN.exists():
            say("the peers' environment is missing (make bench makes it): only our own rows")
            return [*ours]
        peers = [PeerRow(peer, self._stage) for peer in PEER_ROWS]
        return [*ours, *peers, *(BareClient(style, self._stage) for style in ("asyncio", "uvloop"))]

    def _backlog(self) -> Iterator[Result]:
        plan = self._plan
        yield backlog.measure(self._stage, "rabbitmq", "calls", plan)
        yield backlog.measure(self._stage, "rabbitmq", "events", plan)

    def _isolation(self) -> Iterator[Result]:
        yield from isolation.measure(self._stage, self._plan)
        yield from fan_out.measure(self._stage, self._plan)

    def _memory(self) -> Iterator[Result]:
        yield from endurance.measure(self._stage, self._plan.memory_calls)

    def _stations(self) -> Iterator[Result]:
        yield from stations.measure(self._stage, self._plan)
        yield idle.measure(self._stage)

    def _scaling(self) -> Iterator[Result]:
        yield from scaling.measure(self._stage, self._plan)


def _setups() -> Iterator[Setup]:
    yield Setup("rabbitmq", "calls")
    yield Setup("rabbitmq", "events")
    yield Setup("embedded", "calls")
    yield Setup("embedded", "events")
    yield Setup("rabbitmq", "sealed calls")
    yield Setup("rabbitmq", "calls", log_level="INFO", note="log INFO")
    yield Setup("rabbitmq", "calls", workers=2, note="two workers")
