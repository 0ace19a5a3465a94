"""What options give a command: spans, moments, rates, and several options as one value."""

import functools
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from tasks.instants import parse_instant

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CENTURY: Final = 36_525 * 86_400  # seconds; what is longer could leave the calendar
_SPAN: Final = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_RATE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)/([smh])", re.ASCII)


def span(value: str) -> timedelta:
    """A span of time: `90s`, `15m`, `6h`, `2d`. Raises click.BadParameter, as the others do."""
    match = _SPAN.fullmatch(value)
    if match is None:
        raise click.BadParameter("a span looks like 90s, 15m, 6h or 2d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > _CENTURY:
        raise click.BadParameter("that is longer than a hundred years")
    return timedelta(seconds=seconds)


def moment(value: str) -> datetime:
    """A moment, aware and in UTC: RFC 3339, or how long ago as a span."""
    try:
        return datetime.now(UTC) - span(value) if _SPAN.fullmatch(value) else parse_instant(value)
    except ValueError:
        text = "a moment looks like 2026-11-21T01:15:30Z, or like 6h for six hours ago"
        raise click.BadParameter(text) from None


def rate(value: str) -> float:
    """A rate per second, above 0: `5/s`, `30/m`, `100/h`."""
    match = _RATE.fullmatch(value)
    if match is None or float(match[1]) == 0:
        raise click.BadParameter("a rate looks like 5/s, 30/m or 100/h")
    return float(match[1]) / _UNITS[match[2]]


Decorator = Callable[[Callable[..., None]], Callable[..., None]]


def with_options(command: Callable[..., None], options: Sequence[Decorator]) -> Callable[..., None]:
    """Return *command* with *options*, which its help shows in this order."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)


def gathered(name: str, make: Callable[..., object], options: Sequence[Decorator]) -> Decorator:
    """Give a command *options*, whose values it gets as one argument *name*: what *make* makes of them."""
    probe = click.command()(with_options(lambda: None, options))
    names = [str(each.name) for each in probe.params]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_one(**given: Any) -> None:  # noqa: ANN401 - whatever the options are
            value = make(**{each: given.pop(each) for each in names})
            command(**{name: value}, **given)

        return with_options(with_one, options)

    return decorate
