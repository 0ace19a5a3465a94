"""JSON logs on stderr: one wide line a record, no credential in any, whoever wrote it."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

from worker.observability import records
from worker.observability.redaction import is_harmless, redacted

logger = logging.getLogger(__name__)

_encode: Final = json.JSONEncoder(allow_nan=False, default=datetime.isoformat).encode

# Celery's lines for each message received and each task done, and for each try to reach the broker again: the wide line
# of an attempt, and `broker.unreachable`, say it better.
_CHATTY: Final = {
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.worker.consumer.connection": logging.WARNING,
    "celery.worker.consumer.consumer": logging.ERROR,
}


def configure(level: str) -> None:
    """Send our lines of *level* and above to stderr as JSON, redacted; replaces what was configured before.

    Libraries speak from WARNING up, Celery from INFO up, whatever *level* allows us: their debug lines show what they
    send and receive. What ends the process or a thread is a line, too.
    """
    # What no line shows need not be found out (https://docs.python.org/3/howto/logging.html#optimization).
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root, stderr = logging.getLogger(), _Stderr(sys.stderr)
    stderr.setFormatter(JsonLines())
    root.handlers[:] = [stderr]
    own = logging.getLevelNamesMapping()[level]
    root.setLevel(max(logging.WARNING, own))
    logging.getLogger("celery").setLevel(max(logging.INFO, own))
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(least, own))
    for name in records.OWN_PACKAGES:
        logging.getLogger(name).setLevel(own)
    sys.excepthook = _process_crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _exception_ignored


class JsonLines(logging.Formatter):
    """A record as one line of JSON. Fails closed: what is neither proved harmless nor redacted is not shown."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of *record*."""
        try:
            line = _line(record)
            return _encode(line if is_harmless(line) else redacted(line))
        except Exception:  # noqa: BLE001 - whatever goes wrong here, an unfiltered line must not be written
            return json.dumps({"event": "log.unrenderable", "level": record.levelno, "line": record.lineno})


def _line(record: logging.LogRecord) -> dict[str, object]:
    error = record.exc_info[1] if record.exc_info else None
    return {
        "event": records.event_of(record),
        **records.members_of(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "timestamp": datetime.fromtimestamp(record.created, UTC),
        **({"exception": records.exception_of(error)} if error else {}),
    }


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg] # generic for type checkers only
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """A line that cannot be written is lost: the standard complaint would print the record's arguments."""


def _process_crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own words would show the exception's text, which may be anything."""
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("process.crashed", exc_info=(kind, error, trace))


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is not None:
        members = {"thread_name": crash.thread.name} if crash.thread else {}
        info = crash.exc_type, crash.exc_value, crash.exc_traceback
        logger.critical("thread.crashed", exc_info=info, extra=members)


def _exception_ignored(ignored: sys.UnraisableHookArgs) -> None:
    if ignored.exc_value is not None:
        logger.error("exception.ignored", exc_info=(ignored.exc_type, ignored.exc_value, ignored.exc_traceback))
