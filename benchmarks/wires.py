"""A provider call as each engine's own client would have published it: persistent, real JSON, one message a call."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from worker.broker.publication import Message

QUEUE: Final = "bench"
OUTCOMES: Final = "bench.outcomes"
Document = Mapping[str, Any]
Wire = Callable[[Document], Message]


def plain(document: Document) -> Message:
    """The document itself: FastStream and the floor."""
    return _message(document)


def celery(document: Document) -> Message:
    """Celery's message protocol, version 2: Celery and aio-celery."""
    callbacks = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    task_id = document["call_id"]
    headers = {"lang": "py", "task": "revoke", "id": task_id, "root_id": task_id, "parent_id": None, "group": None}
    headers |= {"argsrepr": "", "kwargsrepr": "", "retries": 0, "eta": None, "expires": None, "shadow": None}
    headers |= {"timelimit": [None, None], "ignore_result": True, "origin": "benchmark"}
    return _message([[document], {}, callbacks], headers, task_id)


def dramatiq(document: Document) -> Message:
    """`dramatiq.Message`, encoded as JSON."""
    message = {"queue_name": QUEUE, "actor_name": "revoke", "args": [document], "kwargs": {}, "options": {}}
    return _message(message | {"message_id": str(uuid.uuid4()), "message_timestamp": int(time.time() * 1000)})


def taskiq(document: Document) -> Message:
    """`taskiq.TaskiqMessage`, encoded as JSON."""
    message = {"task_id": document["call_id"], "task_name": "revoke", "labels": {}, "args": [document], "kwargs": {}}
    return _message(message)


def _message(body: object, headers: Mapping[str, object] | None = None, task_id: str | None = None) -> Message:
    encoded = json.dumps(body, separators=(",", ":")).encode()
    return Message("", QUEUE, encoded, headers=headers or {}, correlation_id=task_id)
