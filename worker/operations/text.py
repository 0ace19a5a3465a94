"""Texts for people: durations, counts, times, and nothing that acts on a terminal."""

from datetime import UTC, datetime, timedelta

from worker.observability.terminal import without_active


def plain(value: str) -> str:
    """*value* with a � for each character that would act on a terminal."""
    return without_active(value, lambda _: "�")


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


def seconds_in_words(seconds: float | None) -> str:
    """*seconds* for people, as exact as they are: `250ms`, `1.25s`, `2m30s`, `6h00m`; empty for none."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:g}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else short_duration(timedelta(seconds=seconds))  # noqa: PLR2004


def age(at: datetime | None) -> str:
    """How long ago *at* is, for people; empty for no time."""
    return short_duration(datetime.now(UTC) - at) if at else ""


def soon(at: datetime | None) -> str:
    """How soon *at* is, for people; empty for no time."""
    return f"in {short_duration(at - datetime.now(UTC))}" if at else ""


def counted(number: int) -> str:
    """*number* with its thousands apart, e.g. `1 214`."""
    return f"{number:,}".replace(",", " ")
