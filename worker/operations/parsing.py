"""Spans, moments and rates, as operators write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from tasks.instants import parse_instant

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CENTURY: Final = 36_525 * 86_400  # seconds; what is longer could leave the calendar
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_RATE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)/([smh])", re.ASCII)


def span(value: str) -> timedelta:
    """Return a span of time: `90s`, `15m`, `6h`, `2d`. Raises ValueError, which says so, as the others do."""
    match = _SPAN.fullmatch(value)
    if match is None:
        raise ValueError("a span looks like 90s, 15m, 6h or 2d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > _CENTURY:
        raise ValueError("that is longer than a hundred years")
    return timedelta(seconds=seconds)


def moment(value: str) -> datetime:
    """Return a moment, aware and in UTC: RFC 3339, or how long ago as a span."""
    if _SPAN.fullmatch(value):
        return datetime.now(UTC) - span(value)
    try:
        return parse_instant(value)
    except ValueError:
        raise ValueError("a moment looks like 2026-11-21T01:15:30Z, or like 6h for six hours ago") from None


def rate(value: str) -> float:
    """Return a rate per second, above 0: `5/s`, `30/m`, `100/h`."""
    match = _RATE.fullmatch(value)
    if match is None or float(match[1]) == 0:
        raise ValueError("a rate looks like 5/s, 30/m or 100/h")
    return float(match[1]) / _UNITS[match[2]]
