"""What `make scale` found out, and the file it is kept in: docs/performance.md has its tables from there."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.draining import Drained
from benchmarks.machine import processor
from benchmarks.results import percentile
from benchmarks.scale.console import Console
from benchmarks.scale.pruning import Pruning
from benchmarks.scale.questions import Timing
from worker.ledger import Ledger

FILE: Final = Path(__file__).with_name("results.json")

Part = dict[str, dict[str, Any]]  # by what was measured, by database


@dataclass(frozen=True, slots=True)
class Machine:
    """Where, when and under which load a part was measured."""

    load: float  # average of a minute, when it began

    @classmethod
    def now(cls) -> Machine:
        """As it is now."""
        return cls(os.getloadavg()[0])

    def told(self, ledgers: Sequence[Ledger]) -> dict[str, Any]:
        """For the file; of the load also that at the end."""
        return {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "cpu": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "postgresql": next((version for each in ledgers if (version := _postgresql(each))), None),
            "load": [round(self.load, 1), round(os.getloadavg()[0], 1)],
        }


def keep(file: Path, name: str, part: Part, machine: Mapping[str, Any]) -> None:
    """Write *part* into *file*, where the other parts stay as they are."""
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, name: {"machine": machine, "measured": part}}, indent=1) + "\n")


def of_questions(timings: Sequence[Timing]) -> Part:
    """The milliseconds of each question: of an answer on the clock, and of CPU, the server's included."""
    found: Part = {}
    for each in timings:
        figures = _figures(each.seconds) | {"cpu_ms": round(each.cpu_ms, 1), "rows": each.rows}
        found.setdefault(each.question, {})[each.database] = figures
    return found


def of_pages(consoles: Mapping[str, Console]) -> Part:
    """The milliseconds of each page, and of all renewals of the open tabs together."""
    found: Part = {}
    for database, console in consoles.items():
        for page, seconds in {**console.seconds, "all tabs, renewed by themselves": console.renewed}.items():
            if seconds:
                found.setdefault(page, {})[database] = _figures(seconds)
    return found


def of_recorder(consoles: Mapping[str, Console]) -> Part:
    """What the open tabs cost, and what is left to the recorder."""
    return {
        "recorder alone, records/s": {name: _rate(each.alone) for name, each in consoles.items()},
        "recorder beside 50 tabs, records/s": {name: _rate(each.beside) for name, each in consoles.items()},
        "of the rate alone, %": {name: round(100 * each.share, 1) for name, each in consoles.items()},
        "recorder alone, CPU µs a record": {name: _cost(each.alone) for name, each in consoles.items()},
        "recorder beside 50 tabs, CPU µs a record": {name: _cost(each.beside) for name, each in consoles.items()},
        "console with 50 tabs, % of a core": {name: round(100 * each.cpu) for name, each in consoles.items()},
    }


def of_pruning(prunings: Mapping[str, Pruning]) -> Part:
    """What pruning removes, and how long others wait."""
    return {
        "dead letters and events removed a minute": {
            name: round(60 * each.removed / each.seconds) for name, each in prunings.items()
        },
        "a step, p50 ms": {name: _ms(median(each.steps)) for name, each in prunings.items()},
        "the longest step, ms": {name: _ms(max(each.steps)) for name, each in prunings.items()},
        "a write beside it, p50 ms": {name: _ms(median(each.writes)) for name, each in prunings.items()},
        "a write beside it, p99 ms": {name: _ms(percentile(each.writes, 0.99)) for name, each in prunings.items()},
        "the longest write beside it, ms": {name: _ms(max(each.writes)) for name, each in prunings.items()},
    }


def _figures(seconds: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": _ms(median(seconds)), "p95_ms": _ms(percentile(seconds, 0.95))}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _rate(rounds: Sequence[Drained]) -> int:
    return round(median(each.calls_per_second for each in rounds))


def _cost(rounds: Sequence[Drained]) -> int:
    return round(median(each.cpu_us_per_call for each in rounds))


def _postgresql(ledger: Ledger) -> str | None:
    if ledger.database.engine.name != "postgresql":
        return None
    with ledger.database.reading() as connection:
        return str(connection.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]
