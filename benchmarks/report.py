"""The results as tables of 80 columns, for the terminal and for `results.md`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from benchmarks import figures
from benchmarks.results import Result
from benchmarks.targets import Target

_HEAD: Final = ("", "calls/s", "±%", "CPUµs", "MB", "p50ms", "p99ms", "l/d")
_WIDTHS: Final = (39, 7, 3, 5, 4, 6, 6, 3)
_LEGEND: Final = """\
Every task: persistent message, real JSON, acknowledged after its one DELETE was
answered with 204 (after 50 ms where no other time is named).
calls/s: median of the rounds, ±%: half the distance of best and worst round.
CPUµs: CPU microseconds of the row's processes per call. MB: their memory (PSS).
p50ms, p99ms: publish → request seen by the provider (unloaded, or as named).
l/d: calls lost / made twice, as counted at the provider. *: embedded broker;
all others RabbitMQ."""


def text(
    results: Sequence[Result], reached: Sequence[Target], machine: Mapping[str, Any], configurations: Mapping[str, str]
) -> str:
    """Everything, as plain text; also well-formed as Markdown when put into a code block."""
    parts = [_machine(machine), *_tables(results), _targets(reached), _configurations(configurations), _LEGEND]
    return "\n\n".join(part for part in parts if part)


def _machine(machine: Mapping[str, Any]) -> str:
    form = "quick form" if machine["quick"] else "complete"
    return "\n".join(
        [
            f"{machine['date']}, {form}, commit {machine['commit']}, load at start {machine['load_at_start']}",
            f"others took {machine['others_percent']} % of the machine during the run",
            f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}",
            f"Python {machine['python']}, RabbitMQ {machine['rabbitmq']}, Erlang {machine['erlang']}",
            *_wrapped(_ceiling(machine)),
            *_wrapped("ours: " + _versions(machine["ours"])),
            *_wrapped("peers: " + _versions(machine["peers"])),
        ]
    )


def _ceiling(machine: Mapping[str, Any]) -> str:
    cost = machine.get("provider_us_per_request")
    return f"the provider took {cost:.0f} µs of its core a request: at most {1e6 / cost:.0f}/s" if cost else ""


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _tables(results: Sequence[Result]) -> Iterator[str]:
    for section, rows in groupby(results, key=lambda each: each.section):
        yield "\n".join([section, _line(_HEAD), *(_line(_cells(each)) for each in rows)])


def _cells(result: Result) -> tuple[str, ...]:
    return (
        figures.label(result),
        figures.whole(result.calls_per_second),
        figures.spread(result),
        figures.whole(result.cpu_us_per_call),
        figures.whole(result.memory_mb),
        figures.short(result.p50_ms),
        figures.short(result.p99_ms),
        figures.lost_and_repeated(result),
    )


def _line(cells: Sequence[str]) -> str:
    first, *rest = (f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))
    return " ".join([f"{cells[0]:<{_WIDTHS[0]}}", *rest]).rstrip() if first else ""


def _targets(reached: Sequence[Target]) -> str:
    said = {True: "met", False: "MISSED", None: "not measured"}
    lines = [
        f"{each.what:<42} {'≥' if each.at_least else '≤'} {each.bound:<6g} {_number(each.reached):>8}  {said[each.met]}"
        for each in reached
    ]
    return "\n".join([f"{'targets':<42} {'aim':<8} {'reached':>8}", *lines])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _configurations(configurations: Mapping[str, str]) -> str:
    lines = [line for name, how in configurations.items() for line in _wrapped(f"{name}: {how}")]
    return "\n".join(["configurations", *lines]) if lines else ""


def _wrapped(line: str, width: int = 80) -> list[str]:
    lines, current = list[str](), ""
    for word in line.split(" "):
        if current and len(current) + 1 + len(word) > width:
            lines.append(current)
            current = f"  {word}"
        else:
            current = f"{current} {word}" if current else word
    return [*lines, current]
