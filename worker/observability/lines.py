"""A log record as a line: JSON for machines, words for people on a terminal. No credential in either.

Both fail closed: what is neither proved harmless nor redacted is not shown.
"""

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from worker.observability import records
from worker.observability.redaction import is_harmless, redacted
from worker.observability.terminal import without_active

_encode: Final = json.JSONEncoder(allow_nan=False, default=datetime.isoformat).encode
_encode_for_people: Final = json.JSONEncoder(ensure_ascii=False, default=datetime.isoformat).encode
_BARE: Final = re.compile(r"""[^\s"'={}\[\]\\]+""")  # needs no quotes
_ELSEWHERE: Final = ("event", "timestamp", "level", "logger", "exception")  # of a human line: not among its members


class JsonLines(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of *record*."""
        return _shown(record, _encode)


class HumanLines(logging.Formatter):
    """A record as a line for people: time, level, event, members; an exception's places are lines of their own.

    What would act on a terminal is written as an escape.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line of *record*."""
        return _shown(record, _told)


def _shown(record: logging.LogRecord, write: Callable[[dict[str, object]], str]) -> str:
    try:
        line = _members(record)
        plain = line if is_harmless(line) else redacted(line)
        return write(plain)  # type: ignore[arg-type] # of a dict it makes a dict
    except Exception:  # noqa: BLE001 - whatever goes wrong here, an unfiltered line must not be written
        return json.dumps({"event": "log.unrenderable", "level": record.levelno, "line": record.lineno})


def _members(record: logging.LogRecord) -> dict[str, object]:
    error = record.exc_info[1] if record.exc_info else None
    return {
        "event": records.event_of(record),
        **records.members_of(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "timestamp": datetime.fromtimestamp(record.created, UTC),
        **({"exception": records.exception_of(error)} if error else {}),
    }


def _told(line: dict[str, object]) -> str:
    at = datetime.fromisoformat(str(line["timestamp"])).isoformat(" ", "milliseconds").replace("+00:00", "Z")
    members = (f"{name}={_value(value)}" for name, value in line.items() if name not in _ELSEWHERE)
    first = " ".join((at, f"{str(line['level']).upper():8}", str(line["event"]), *members, f"({line['logger']})"))
    places = str(line.get("exception", "")).splitlines()
    return "\n    ".join(without_active(each, _escape) for each in (first, *places))


def _value(value: object) -> str:
    return value if isinstance(value, str) and _BARE.fullmatch(value) else _encode_for_people(value)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character > "\x7f" else f"\\u{ord(character):04x}"
