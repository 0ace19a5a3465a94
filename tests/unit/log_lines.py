"""Log lines as they would be written, and a secret that must be in none."""

import json
import logging
from typing import Any

from worker.observability.logs import JsonLines

MARKER = "sbx-canary-7ac1fa8ce6cb443ab04938681f3b6600"  # the same in every test process, for it names tests


def line(
    message: object, *args: object, name: str = "worker.calls.runtime", error: object = None, **extra: object
) -> Any:
    """The JSON of one record, as it would be written."""
    exc_info = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
    record = logging.LogRecord(name, logging.ERROR, "file.py", 1, message, args, exc_info)
    vars(record).update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    return json.loads(written)


class Shy:
    """An object that must not be asked for its text."""

    def __repr__(self) -> str:
        raise RuntimeError(MARKER)
