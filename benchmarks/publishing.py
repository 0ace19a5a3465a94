"""The files of a run: results.json, machine.json, results.md and the plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import plots, scaling, throughput
from benchmarks.results import Result, save

_BARS: Final = {
    "calls_per_second": "calls a second",
    "cpu_us_per_call": "CPU microseconds a call",
    "memory_mb": "memory in MB",
    "p99_ms": "unloaded latency, p99 in ms",
}
_CURVES: Final = {
    "in-flight": scaling.IN_FLIGHT,
    "provider-latency": scaling.LATENCY,
    "providers": scaling.PROVIDERS,
}


def publish(folder: Path, results: Sequence[Result], text: str, machine: Mapping[str, Any]) -> None:
    """Write everything into *folder*; what an earlier run left there is replaced."""
    drawn = folder / "plots"
    drawn.mkdir(parents=True, exist_ok=True)
    save(results, folder / "results.json")
    (folder / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    (folder / "results.md").write_text(f"# Benchmark\n\n```text\n{text}\n```\n")
    for name, plot in draw(results).items():
        (drawn / f"{name}.svg").write_text(plot)


def draw(results: Sequence[Result]) -> dict[str, str]:
    """The plots by name, of those figures that were measured."""
    main = [each for each in results if each.section == throughput.SECTION]
    drawn = {
        figure.replace("_", "-"): plots.bar_chart(title, bars)
        for figure, title in _BARS.items()
        if (bars := plots.bars_of(main, figure))
    }
    for name, section in _CURVES.items():
        points = [(each.x, each.calls_per_second) for each in results if each.section == section]
        known = [(x, y) for x, y in points if x is not None and y is not None]
        if known:
            drawn[name] = plots.line_chart(section, known)
    return drawn
