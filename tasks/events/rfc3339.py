"""Instants as RFC 3339 writes them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_LENGTH: Final = 40

_DATE_TIME: Final = re.compile(
    r"(?P<minute>[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
    r"(?P<fraction>\.[0-9]+)?(?P<offset>Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    re.ASCII | re.IGNORECASE,
)


def parse_instant(value: object) -> datetime:
    """Return the instant in UTC that *value* names; an aware datetime stands for itself.

    Text follows the `date-time` of RFC 3339 section 5.6: an offset is required, lower-case `t` and `z` are allowed,
    a space for the `T` is not. Digits beyond microseconds are dropped. A leap second is accepted where one can be
    (section 5.7: the last second of a UTC month) and becomes the midnight that follows. Raises ValueError otherwise,
    also for an instant whose UTC form lies outside the years 1 to 9999; the error never carries the value.
    """
    try:
        return _instant(value)
    except (ValueError, OverflowError):
        # Not chained: datetime's own errors carry the text.
        raise ValueError("not an RFC 3339 date-time") from None


def _instant(value: object) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        raise ValueError
    match = _DATE_TIME.fullmatch(value)
    if match is None:
        raise ValueError
    if match["second"] == "60":
        return _after_leap_second(match)
    return datetime.fromisoformat(value.upper()).astimezone(UTC)


def _after_leap_second(match: re.Match[str]) -> datetime:
    minute = datetime.fromisoformat(f"{match['minute']}:00{match['offset']}".upper()).astimezone(UTC)
    midnight = minute + timedelta(minutes=1)
    if (midnight.day, midnight.hour, midnight.minute) != (1, 0, 0):
        raise ValueError
    return midnight
