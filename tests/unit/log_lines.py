"""Log lines as they would be written, and a secret that must be in none."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from worker.observability.lines import HumanLines, JsonLines

MARKER = "sbx-canary-7ac1fa8ce6cb443ab04938681f3b6600"  # the same in every test process, for it names tests


def line(
    message: object, *args: object, name: str = "worker.calls.runtime", error: object = None, **extra: object
) -> Any:
    """The JSON of one record, as it would be written."""
    written = JsonLines().format(record(message, args, name, error, extra))
    assert "\n" not in written
    return json.loads(written)


def human(
    message: object, *args: object, name: str = "worker.calls.runtime", error: object = None, **extra: object
) -> str:
    """The line of one record for people, as it would be written."""
    return HumanLines().format(record(message, args, name, error, extra))


def record(
    message: object, args: tuple[object, ...], name: str, error: object, extra: Mapping[str, object]
) -> logging.LogRecord:
    """A record of an error."""
    exc_info = (type(error), error, error.__traceback__) if isinstance(error, BaseException) else None
    made = logging.LogRecord(name, logging.ERROR, "file.py", 1, message, args, exc_info)
    vars(made).update(extra)
    return made


class Shy:
    """An object that must not be asked for its text."""

    def __repr__(self) -> str:
        raise RuntimeError(MARKER)
