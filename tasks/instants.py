"""Arithmetic on instants that people and programs write: none of it leaves the calendar, and none of it raises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)
UNSET_BEFORE: Final = timedelta(days=1)
"""An expiry that lies further than this before the event it came with was never set."""
_OLDEST_EXPIRY: Final = datetime(2000, 1, 1, tzinfo=UTC)  # of a token that anybody could still speak of


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
    """When something ends by itself, *stated* in an event that *happened* then; None where nothing was said of it.

    What a program has not set, it writes as the zero of its calendar: 0001-01-01 (Go, .NET, Java), 1601-01-01
    (Windows), 1753-01-01 (SQL Server), 1899-12-30 (OLE), 1970-01-01 (Unix). Believed, it would spare a living token.
    """
    if stated is None or stated < _OLDEST_EXPIRY or happened - stated > UNSET_BEFORE:
        return None
    return stated
