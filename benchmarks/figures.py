"""How figures are written for people."""

from __future__ import annotations

from benchmarks.results import Result


def whole(value: float | None) -> str:
    """A number without decimals, blank where there is none."""
    return "" if value is None else f"{value:.0f}"


def short(value: float | None) -> str:
    """A number in at most six characters: a decimal below 100."""
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def spread(result: Result) -> str:
    """Half the distance between the rounds' best and worst, in per cent of the median."""
    if result.spread is None or result.rounds == 1 or not result.calls_per_second:
        return ""
    least, most = result.spread
    return f"{(most - least) / 2 / result.calls_per_second * 100:.0f}"


def lost_and_repeated(result: Result) -> str:
    """Both, lost first."""
    if result.lost is None:
        return ""
    return f"{result.lost}/{'-' if result.duplicates is None else result.duplicates}"


def label(result: Result) -> str:
    """Its name, with a star where it ran on the embedded broker."""
    return f"{result.row} *" if result.broker == "embedded" else result.row
