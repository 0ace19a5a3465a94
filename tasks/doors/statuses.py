"""The HTTP status of each refusal, for the kinds whose standard names no other."""

from collections.abc import Mapping
from typing import Final

from tasks.doors.door import Word

STATUSES: Final[Mapping[Word, int]] = {
    Word.UNPROVED: 401,
    Word.NOT_ALLOWED: 403,
    Word.MALFORMED: 400,
    Word.UNSUPPORTED: 405,
    Word.UNKNOWN: 404,
    Word.TOO_SLOW: 408,
    Word.TOO_LARGE: 413,
    Word.TOO_MANY: 429,
    Word.UNAVAILABLE: 503,
}
