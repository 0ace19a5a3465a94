"""What may be shown of a log record and of an exception, in a log as in an error report.

Our own records are an event's name and the members given as `extra`. A library's record may carry anything in its
arguments (Celery logs the bodies of messages it cannot use), so of those only numbers and types of exceptions are
kept. Of an exception its types and places are shown, never its text: a KeyError shows the key, an exception from a
parser what it could not parse.
"""

import logging
import re
from collections import deque
from collections.abc import Iterator, Mapping
from traceback import walk_tb
from typing import Final
from uuid import UUID

from worker.observability import work

OWN_PACKAGES: Final = ("tasks", "worker")
HIDDEN: Final = "…"
MAX_FRAMES: Final = 30  # of each exception, the innermost
MAX_CAUSES: Final = 10  # exceptions of a chain

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Where a ready-made text begins to show values: asyncio writes `Exception in callback f(<arguments>)`.
_VALUES_BEGIN: Final = re.compile(r"""[(<\[{'"]""")


def event_of(record: logging.LogRecord) -> str:
    """The event's name; of a library the first line of its text, every argument hidden that could be a secret."""
    if not isinstance(record.msg, str):
        return type(record.msg).__name__
    template = record.msg.partition("\n")[0]
    if is_ours(record):
        return template
    return _filled(template, record.args) if record.args else _VALUES_BEGIN.split(template, maxsplit=1)[0].strip()


def members_of(record: logging.LogRecord) -> dict[str, object]:
    """The members of the record besides its event, and the ids of what is worked on."""
    if is_ours(record):
        return {**work.members(), **{name: value for name, value in vars(record).items() if name not in _STANDARD}}
    data = getattr(record, "data", None)
    return {**work.members(), **(task_of(data.get("name"), data.get("id")) if isinstance(data, Mapping) else {})}


def task_of(name: object, task_id: object) -> dict[str, object]:
    """A Celery task's name and id, as far as they are what they should be: both come with the message."""
    named = {"task": name} if isinstance(name, str) and re.fullmatch(r"[a-z_.]{1,64}", name) else {}
    return {**named, "task_id": task_id} if _is_uuid(task_id) else {**named}


def is_ours(record: logging.LogRecord) -> bool:
    """Whether the record was written by this project."""
    return record.name.partition(".")[0] in OWN_PACKAGES


def exception_of(error: BaseException) -> str:
    """The types of *error* and of what caused it, each with its places, innermost last."""
    return "\n".join(line for each in chain(error) for line in (type_of(each), *_places(each)))


def type_of(error: BaseException) -> str:
    """The full name of the type of *error*."""
    kind = type(error)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def chain(error: BaseException) -> Iterator[BaseException]:
    """*error*, the members of a group, and what caused them, as far as Python's own traceback would go."""
    waiting, seen = deque([error]), set[int]()
    while waiting and len(seen) < MAX_CAUSES:
        each = waiting.popleft()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            members = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            before = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
            waiting.extend([*members, *([before] if before else [])])


def _places(error: BaseException) -> deque[str]:
    walked = ((frame.f_code, line) for frame, line in walk_tb(error.__traceback__))
    return deque((f"  {code.co_filename}:{line} in {code.co_name}" for code, line in walked), MAX_FRAMES)


def _filled(template: str, arguments: object) -> str:
    if not isinstance(arguments, tuple):
        return template  # it names its arguments, and reads well without them
    try:
        return template % tuple(_shown(value) for value in arguments)
    except (TypeError, ValueError):
        return template  # they do not fit it, or not any more


def _shown(value: object) -> object:
    if isinstance(value, BaseException):
        return type(value).__name__
    return value if isinstance(value, int | float) else HIDDEN


def _is_uuid(value: object) -> bool:
    try:
        return str(UUID(str(value))) == value
    except ValueError:
        return False
