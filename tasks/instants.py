"""Instants as RFC 3339 writes them, and arithmetic on them that neither leaves the calendar nor raises."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
UNSET_BEFORE: Final = timedelta(days=1)
"""An expiry that lies further than this before the event it came with was never set."""
EXPIRY_MARGIN: Final = timedelta(minutes=5)
"""By how much the clocks may differ of who states an expiry and of who goes by it."""
_MAX_LENGTH: Final = 40  # characters of a date-time
_OLDEST_EXPIRY: Final = datetime(2000, 1, 1, tzinfo=UTC)  # of a token that anybody could still speak of

_DATE_TIME: Final = re.compile(
    r"(?P<minute>[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]):(?P<second>[0-5][0-9]|60)"
    r"(?P<fraction>\.[0-9]+)?(?P<offset>Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    re.ASCII | re.IGNORECASE,
)


def after(instant: datetime, span: timedelta) -> datetime:
    """*instant* plus *span*; the end of the calendar where that lies beyond it."""
    try:
        return instant + span
    except OverflowError:
        return LAST if span > timedelta() else FIRST


def before(instant: datetime, span: timedelta) -> datetime:
    """*instant* minus *span*; the beginning of the calendar where that lies before it."""
    try:
        return instant - span
    except OverflowError:
        return FIRST if span > timedelta() else LAST


def expiry_of(stated: datetime | None, happened: datetime) -> datetime | None:
    """Return when something ends by itself, as *stated* in an event that *happened* then; None where it was never set.

    What a program has not set, it writes as the zero of its calendar: 0001-01-01 (Go, .NET, Java), 1601-01-01
    (Windows), 1753-01-01 (SQL Server), 1899-12-30 (OLE), 1970-01-01 (Unix). Believed, it would spare a living token.
    """
    if stated is None or stated < _OLDEST_EXPIRY or happened - stated > UNSET_BEFORE:
        return None
    return stated


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
    if not isinstance(value, str) or len(value) > _MAX_LENGTH:
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


Instant = Annotated[datetime, PlainValidator(parse_instant), PlainSerializer(datetime.isoformat, when_used="json")]
"""An aware datetime in UTC."""
