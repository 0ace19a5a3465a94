"""How long an answer asks us to wait."""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_SECONDS: Final = re.compile(r"\d{1,10}(\.\d{1,9})?", re.ASCII)
_JOINED: Final = re.compile(r",[ \t]+")  # RFC 9110 section 5.3; without white space it may be a decimal comma
_TOO_MANY_REQUESTS: Final = 429


def wait_asked(status: int, headers: Mapping[str, str], clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds the provider asks us to wait, or None.

    Retry-After as seconds, decimals included, or as a date (RFC 9110 section 10.2.3), reckoned from the answer's own
    Date so that a wrong clock of ours never makes us early; a past date is 0. For a 429 also Genesys Cloud's
    `inin-ratelimit-reset`, seconds. Whoever asks more than once means the longest; garbage and negatives are as good
    as absent.
    """
    sent = next(_values(headers, "Date"), "")
    asked = [_wait(each, sent, clock) for value in _values(headers, "Retry-After") for each in _apart(value)]
    if status == _TOO_MANY_REQUESTS:
        asked += map(_seconds, _values(headers, "inin-ratelimit-reset"))
    return max((seconds for seconds in asked if seconds is not None), default=None)


def _values(headers: Mapping[str, str], name: str) -> Iterator[str]:
    """Every value of the header *name*: a server may send it more than once."""
    return (value for each, value in headers.items() if each.lower() == name.lower())


def _apart(value: str) -> list[str]:
    """The values of a header that somebody on the way made one of several; the comma of a date parts none."""
    parts = _JOINED.split(value)
    return parts if all(_seconds(part) is not None for part in parts) else [value]


def _wait(asked: str, sent: str, clock: Callable[[], float]) -> float | None:
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    until = _timestamp(asked)
    if until is None:
        return None
    now = _timestamp(sent)
    return max(0.0, until - (clock() if now is None else now))


def _seconds(text: str) -> float | None:
    bare = text.strip(" \t")  # the white space of RFC 9110 section 5.6.3: Python strips more than float() takes
    return float(bare) if _SECONDS.fullmatch(bare) else None


def _timestamp(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return stamp if math.isfinite(stamp) else None
