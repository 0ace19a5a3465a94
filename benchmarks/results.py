"""What the benchmark found out, and the file it is kept in."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

N = TypeVar("N", int, float)

_KEPT: Final = ("row", "broker", "calls_per_second", "cpu_us_per_call", "memory_mb", "p50_ms", "p99_ms", "lost",
                "duplicates", "rounds")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One row. None where it has no such figure; medians where it ran in several rounds."""

    row: str
    broker: str = "-"
    calls_per_second: float | None = None
    cpu_us_per_call: float | None = None
    memory_mb: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    lost: int | None = None
    duplicates: int | None = None
    rounds: int = 1
    spread: tuple[float, float] | None = None  # least and most calls per second of the rounds
    section: str = ""  # the table it stands in
    x: float | None = None  # where a plot of its section puts it


def percentile(values: Sequence[float], share: float) -> float:
    """The value that *share* (0 to 1) of *values* do not exceed. Raises ValueError where there are none."""
    if not values:
        raise ValueError("no values, no percentile")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def together(rounds: Sequence[Result]) -> Result:
    """The *rounds* of a row as one result: medians, and the sums of what was lost or made twice."""
    rates = _known(each.calls_per_second for each in rounds)
    return replace(
        rounds[0],
        calls_per_second=median(rates) if rates else None,
        cpu_us_per_call=_median(each.cpu_us_per_call for each in rounds),
        memory_mb=_median(each.memory_mb for each in rounds),
        p50_ms=_median(each.p50_ms for each in rounds),
        p99_ms=_median(each.p99_ms for each in rounds),
        lost=_sum(each.lost for each in rounds),
        duplicates=_sum(each.duplicates for each in rounds),
        rounds=len(rounds),
        spread=(min(rates), max(rates)) if rates else None,
    )


def find(results: Sequence[Result], row: str, broker: str | None = None) -> Result | None:
    """The result called *row*, if there is one."""
    return next((each for each in results if each.row == row and broker in (None, each.broker)), None)


def save(results: Sequence[Result], file: Path) -> None:
    """Write *results* as a JSON list, a line each."""
    lines = [json.dumps({name: _rounded(asdict(each)[name]) for name in _KEPT}, ensure_ascii=False) for each in results]
    file.write_text("[\n  " + ",\n  ".join(lines) + "\n]\n")


def _known(figures: Iterable[N | None]) -> list[N]:
    return [each for each in figures if each is not None]


def _median(figures: Iterable[float | None]) -> float | None:
    known = _known(figures)
    return median(known) if known else None


def _sum(figures: Iterable[int | None]) -> int | None:
    known = _known(figures)
    return sum(known) if known else None


def _rounded(value: object) -> object:
    """Three significant digits more than any of these figures deserves."""
    return float(f"{value:.6g}") if isinstance(value, float) else value
