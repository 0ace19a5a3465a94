"""The tables of docs/performance.md that tell what `make scale` measured: from `benchmarks/scale/results.json`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from doc_reference import Row

_FILE: Final = Path(__file__).parents[1] / "benchmarks/scale/results.json"
_DATABASES: Final = ("sqlite", "postgresql")
_BESIDE: Final = ("recorder", "pruning")


def scale_tables() -> dict[str, list[Row]]:
    """Each table by the name of its first column, and its rows."""
    parts: dict[str, Any] = json.loads(_FILE.read_text())
    return {
        "asked of a million calls": [*_timings(parts["questions"], "p50_ms", "p95_ms", "cpu_ms")],
        "page beside 50 open tabs": [*_timings(parts["pages"], "p50_ms", "p95_ms")],
        "beside a million calls": [row for name in _BESIDE for row in _figures(parts[name])],
        "part of `make scale`": [_measured(name, part["machine"]) for name, part in parts.items()],
    }


def _timings(part: dict[str, Any], *names: str) -> Iterator[Row]:
    for what, found in part["measured"].items():
        figures = (found.get(database, {}).get(name) for database in _DATABASES for name in names)
        yield what, *("–" if each is None else f"{each:.0f}" if each >= 10 else f"{each:.1f}" for each in figures)


def _figures(part: dict[str, Any]) -> Iterator[Row]:
    for what, found in part["measured"].items():
        yield what, *("–" if found.get(each) is None else f"{found[each]:.0f}" for each in _DATABASES)


def _measured(name: str, machine: dict[str, Any]) -> Row:
    versions = f"Python {machine['python']}, SQLite {machine['sqlite']}, PostgreSQL {machine['postgresql'] or '–'}"
    before, after = machine["load"]
    date = machine["date"].replace("T", " ").removesuffix("+00:00")
    return name, date, f"{machine['cores']} cores of {machine['cpu']}", versions, f"{before:.1f}, {after:.1f}"
