"""`python -m benchmarks compare A.json B.json`: which ratios of two runs, of different hours, repeat within 10 %.

A shared machine is faster in one hour than in another, and all rows with it. So rows are compared by their ratio to
one row of the same run; what does not repeat is no result.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

REFERENCE: Final = ("ours, calls", "rabbitmq")
WITHIN: Final = 0.1
FIGURES: Final = {"calls_per_second": "calls/s", "cpu_us_per_call": "CPU", "p99_ms": "p99"}

Key = tuple[str, str]
Run = Mapping[Key, Mapping[str, Any]]


def table(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table of every ratio that both runs have. Raises KeyError where the reference row is missing."""
    lines = list(_lines(_by_key(one), _by_key(other)))
    repeated = sum(line.endswith(" yes |") for line in lines)
    head = [f"{repeated} of {len(lines)} ratios to “{REFERENCE[0]}” repeat within {WITHIN:.0%}.", ""]
    columns = ["| row | broker | figure | first run | second run | off by | repeats |", "|---|---|---|---|---|---|---|"]
    return "\n".join([*head, *columns, *lines])


def compare(files: Sequence[str]) -> str:
    """The table of the two *files*."""
    one, other = (json.loads(Path(file).read_text()) for file in files)
    return table(one, other)


def _by_key(results: Sequence[Mapping[str, Any]]) -> Run:
    return {(each["row"], each["broker"]): each for each in results}


def _lines(one: Run, other: Run) -> Iterator[str]:
    for key in one:
        for figure, name in FIGURES.items():
            first, second = _ratio(one, key, figure), _ratio(other, key, figure)
            if key == REFERENCE or first is None or second is None:
                continue
            off = abs(second / first - 1)
            repeats = "yes" if off <= WITHIN else "no"
            yield f"| {key[0]} | {key[1]} | {name} | {first:.2f} | {second:.2f} | {off:.0%} | {repeats} |"


def _ratio(run: Run, key: Key, figure: str) -> float | None:
    value, unit = run.get(key, {}).get(figure), run[REFERENCE][figure]
    return value / unit if value and unit else None
