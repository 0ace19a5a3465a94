"""JSON logs on stderr, one wide line an event, with a last line of defence against secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

REDACTED: Final = "•••"
# What no log line may hold: bearer and basic credentials, compact JWS and JWE, passwords in URLs.
_SECRETS: Final = re.compile(
    r"(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}"
    r"|eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){2,4}"
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"
)
# Celery's line for each message received and each task done: the wide line of an attempt says it better.
_CHATTY: Final = ("celery.worker.strategy", "celery.app.trace")
_NAMES: Final = frozenset(
    {"token", "access_token", "authorization", "api_key", "x-api-key", "client_secret", "password"}
)


def configure(level: str) -> None:
    """Send every logger's lines at *level* and above to stderr as JSON, redacted; replaces what was configured."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def redact(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor that blanks what looks like a credential, wherever it stands in *line*."""
    for name, value in line.items():
        line[name] = REDACTED if name.lower() in _NAMES else _clean(value)
    return line


def _clean(value: Any) -> Any:  # noqa: ANN401 - log values are of any type
    match value:
        case str():
            return _SECRETS.sub(REDACTED, value)
        case dict():
            return {name: REDACTED if str(name).lower() in _NAMES else _clean(each) for name, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case int() | float() | bool() | None:
            return value
        case _:
            return _SECRETS.sub(REDACTED, str(value))
