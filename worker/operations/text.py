"""Texts for people: durations, counts, times, and nothing that acts on a terminal."""

import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

# Escapes, changes of line and direction, characters without a width, tags, halves and those of private use: what a
# producer put into a name must not act on an operator's terminal, nor pass for another name.
_ACTIVE: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})  # general categories of the Unicode standard


def plain(value: str) -> str:
    """*value* with a � for each character that would act on a terminal."""
    return without_active(value, lambda _: "�")


def without_active(text: str, stand_in: Callable[[str], str]) -> str:
    """*text* with a *stand_in* for each character that would act on a terminal."""
    if text.isprintable():
        return text
    return "".join(stand_in(each) if unicodedata.category(each) in _ACTIVE else each for each in text)


def rfc3339(at: datetime) -> str:
    """*at* in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short_duration(span: timedelta) -> str:
    """*span* for people: `45s`, `12m`, `6h03m`, `3d04h`."""
    seconds = max(0, int(span.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days}d{hours % 24:02d}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m" if minutes else f"{seconds}s"


def age(at: datetime | None) -> str:
    """How long ago *at* is, for people; empty for no time."""
    return short_duration(datetime.now(UTC) - at) if at else ""


def counted(number: int) -> str:
    """*number* with its thousands apart, e.g. `1 214`."""
    return f"{number:,}".replace(",", " ")
