"""Logs on stderr: one wide line a record. Levels may change while the process runs."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Literal

from worker.observability import records
from worker.observability.lines import HumanLines, JsonLines
from worker.settings import Settings

logger = logging.getLogger(__name__)

Format = Literal["auto", "human", "json"]
Levels = Mapping[str, str]

# Celery's lines for each message received and each task done, and for each try to reach the broker again: the wide line
# of an attempt, and `broker.unreachable`, say it better. What exports traces would say at each try that it failed.
_CHATTY: Final = {
    "celery.worker.strategy": logging.WARNING,
    "celery.app.trace": logging.WARNING,
    "celery.worker.consumer.connection": logging.WARNING,
    "celery.worker.consumer.consumer": logging.ERROR,
    "opentelemetry": logging.CRITICAL + 1,
}
_single: Final[set[str]] = set()  # loggers that have a level of their own


def configure(level: str, levels: Levels | None = None, log_format: Format = "json") -> None:
    """Send our lines of *level* and above to stderr, redacted; *levels* of single loggers win over it.

    The format `auto` is for people where stderr is a terminal, else JSON. Replaces what was configured before. What
    ends the process or a thread is a line, too.
    """
    # What no line shows need not be found out (https://docs.python.org/3/howto/logging.html#optimization).
    logging._srcfile = None  # noqa: SLF001 - documented there
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    stderr = _Stderr(sys.stderr)
    is_human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    stderr.setFormatter(HumanLines() if is_human else JsonLines())
    logging.getLogger().handlers[:] = [stderr]
    set_levels(level, levels or {})
    sys.excepthook = _process_crashed
    threading.excepthook = _thread_crashed
    sys.unraisablehook = _exception_ignored


def set_levels(level: str, levels: Levels) -> None:
    """Show our lines of *level* and above; *levels* of single loggers win over it.

    Libraries speak from WARNING up, Celery from INFO up, whatever *level* allows us: their debug lines show what they
    send and receive.
    """
    numbers = logging.getLevelNamesMapping()
    own = numbers[level]
    logging.getLogger().setLevel(max(logging.WARNING, own))
    logging.getLogger("celery").setLevel(max(logging.INFO, own))
    for name, least in _CHATTY.items():
        logging.getLogger(name).setLevel(max(least, own))
    for name in _single:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name in records.OWN_PACKAGES:
        logging.getLogger(name).setLevel(own)
    for name, single in levels.items():
        logging.getLogger(name).setLevel(numbers[single])
    _single.clear()
    _single.update(levels)


def take_up(old: Settings, new: Settings) -> None:
    """Set the levels of *new*, where they differ from those of *old*."""
    if (old.log_level, old.log_levels) != (new.log_level, new.log_levels):
        set_levels(new.log_level, new.log_levels)
        logger.warning("log.levels_changed", extra={"log_level": new.log_level, "log_levels": new.log_levels})


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
