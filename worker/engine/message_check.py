"""What a task message has to be before Celery sees it. Everything else is given up, with a reason.

An allow-list, for what a malformed message does to Celery ranges from a crash of the worker to running what the
message says: its embedded callbacks, chains and built-in tasks. Celery's side of the format is its message protocol,
version 2 (https://docs.celeryq.dev/en/stable/internals/protocol.html).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from celery.app.task import Context
from kombu.message import Message
from pydantic import TypeAdapter, ValidationError

from tasks.outcome import Reason
from tasks.strict_json import MAX_DEPTH, MalformedJsonError, decode
from worker.broker.messages import body_of

MAX_BYTES: Final = 1_048_576  # an event has 64 KiB at most; the rest is room for a call's attempts
_LEVELS: Final = MAX_DEPTH + 2  # an event, in the list of arguments, in the body

# What Celery reads from the headers, or lets them overwrite in a task's request.
CELERYS_HEADERS: Final = frozenset({*vars(Context), "lang", "task", "argsrepr", "kwargsrepr", "compression"})
_EMBEDDED: Final = frozenset({"callbacks", "errbacks", "chain", "chord"})
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class TaskFault:
    """Why a message is no task of ours. *detail* names the place, never a value of the message."""

    reason: Reason
    detail: Mapping[str, str] = field(default_factory=dict)


class MessageCheck:
    """Checks every message; *argument_types* has the type of each task's one argument."""

    def __init__(self, argument_types: Mapping[str, TypeAdapter[Any]]) -> None:
        self._argument_types = argument_types

    def fault_of(self, message: Message) -> TaskFault | None:
        """Returns why *message* may not be run; None if it may: then its argument is opened, and not a second time."""
        if len(message.body) > MAX_BYTES:
            return TaskFault(Reason.TASK_TOO_LARGE)
        if message.content_type != "application/json" or message.content_encoding != "utf-8" or message.errors:
            return TaskFault(Reason.TASK_NOT_JSON)
        name = message.headers.get("task")
        argument_type = self._argument_types.get(name) if isinstance(name, str) else None
        if argument_type is None:
            return TaskFault(Reason.TASK_UNKNOWN)
        return _fault_of_headers(message.headers) or _open(message, argument_type)


def _fault_of_headers(headers: Mapping[str, object]) -> TaskFault | None:
    if not _uuid(headers.get("id")):
        return TaskFault(Reason.TASK_INVALID_HEADER, {"header": "id"})
    for name in CELERYS_HEADERS.intersection(headers):
        if not _RULES.get(name, _none)(headers[name]):
            reason = Reason.TASK_EMBEDDED if name in _EMBEDDED else Reason.TASK_INVALID_HEADER
            return TaskFault(reason, {"header": name})
    return None


def _open(message: Message, argument_type: TypeAdapter[Any]) -> TaskFault | None:
    try:
        payload = decode(body_of(message), max_depth=_LEVELS)
    except MalformedJsonError:
        return TaskFault(Reason.TASK_MALFORMED_JSON)
    match payload:
        case [[argument], dict() as keywords, dict() as embedded] if not keywords:
            if any(embedded.values()) or not _EMBEDDED.issuperset(embedded):
                return TaskFault(Reason.TASK_EMBEDDED)
        case _:
            return TaskFault(Reason.TASK_INVALID_ARGUMENT)
    try:
        opened = argument_type.validate_python(argument)
    except ValidationError:
        return TaskFault(Reason.TASK_INVALID_ARGUMENT)
    message._decoded_cache = [[opened], keywords, embedded]  # what `Message.payload` returns
    return None


def _none(value: object) -> bool:
    return value is None


def _uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _count(value: object) -> bool:
    return type(value) is int and value >= 0


def _empty(*ways: object) -> Callable[[object], bool]:
    return lambda value: value is None or value in ways


# The names that may have a value. Not among them: eta, which a message would be kept for, unacknowledged, and shadow.
_RULES: Final[Mapping[str, Callable[[object], bool]]] = {
    **dict.fromkeys(("task", "id", "root_id", "parent_id", "group", "lang", "origin", "argsrepr", "kwargsrepr"), _text),
    **dict.fromkeys(("retries", "replaced_task_nesting"), _count),
    "group_index": lambda value: value is None or _count(value),
    "ignore_result": lambda value: value is None or isinstance(value, bool),
    "headers": lambda value: value is None or isinstance(value, dict),  # sentry-sdk's, of a producer that has it
    "timelimit": _empty([None, None]),
    "stamps": _empty({}),
    "stamped_headers": _empty([]),
}
