"""Moves a message that its queue gives up to the dead letter exchange, with its history in `x-death`.

The table's shape and the headers beside it: https://www.rabbitmq.com/docs/dlx#effects
"""

import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from amqp.exceptions import NotFound

from worker.broker.embedded.properties import MessageProperties
from worker.broker.embedded.routing import queue_arguments, route

DeathReason = Literal["rejected", "delivery_limit"]
RETRY_BATCH_SIZE: Final = 100

logger = logging.getLogger(__name__)


def dead_letter(db: sqlite3.Connection, message_id: int, reason: DeathReason, now: float) -> None:
    """Move a message to where its queue's dead letters go.

    Without a dead letter exchange it is dropped; one that routes nowhere lets it wait for `retry_waiting`.
    """
    queue, source, key, text, body = db.execute(
        "SELECT queue, exchange, routing_key, envelope, body FROM message WHERE id = ?", (message_id,)
    ).fetchone()
    arguments = queue_arguments(db, queue)
    exchange = arguments.get("x-dead-letter-exchange")
    routing_key = arguments.get("x-dead-letter-routing-key", key)
    if exchange is not None:
        queues = _reachable(db, exchange, routing_key)
        if not queues:
            logger.warning("embedded.dead_letter_unroutable", extra={"queue": queue, "exchange": exchange})
            db.execute("UPDATE message SET owner = ? WHERE id = ?", (_waiting(reason), message_id))
            return
        properties = MessageProperties.load(text)
        time = datetime.now(UTC).replace(microsecond=0)
        death = {"exchange": source, "queue": queue, "reason": reason, "routing-keys": [key], "time": time}
        changed = replace(properties, headers=_with_death(properties.headers, death)).dump()
        enqueue(db, queues, (exchange, routing_key, now, changed, body))
    db.execute("DELETE FROM message WHERE id = ?", (message_id,))


def retry_waiting(db: sqlite3.Connection, now: float) -> None:
    """Try again, a batch at a time, to dead-letter what had nowhere to go."""
    for reason in get_args(DeathReason):
        few = _waiting(reason), RETRY_BATCH_SIZE
        for (message_id,) in db.execute("SELECT id FROM message WHERE owner = ? LIMIT ?", few).fetchall():
            dead_letter(db, message_id, reason, now)


def enqueue(db: sqlite3.Connection, queues: list[str], message: tuple[str, str, float, str, bytes]) -> None:
    """Append a message (exchange, routing key, visible at, properties, body) to each of *queues*."""
    db.executemany(
        "INSERT INTO message (queue, exchange, routing_key, visible_at, envelope, body) VALUES (?, ?, ?, ?, ?, ?)",
        [(queue, *message) for queue in queues],
    )


def _reachable(db: sqlite3.Connection, exchange: str, routing_key: str) -> list[str]:
    try:
        return route(db, exchange, routing_key)
    except NotFound:
        return []


def _waiting(reason: DeathReason) -> str:
    """The owner of a message whose dead letter exchange routes nowhere, until it does."""
    return f"dead-letter:{reason}"


def _with_death(headers: Mapping[str, Any], death: Mapping[str, Any]) -> dict[str, Any]:
    """*headers* with *death* counted in `x-death` (newest first) and the first and last death named."""
    deaths, kind = headers.get("x-death"), (death["queue"], death["reason"])
    earlier = [table for table in deaths if isinstance(table, dict)] if isinstance(deaths, list) else []
    same = [table for table in earlier if (table.get("queue"), table.get("reason")) == kind]
    count = sum(count for table in same if isinstance(count := table.get("count"), int)) + 1
    names = {key: death[key] for key in ("exchange", "queue", "reason")}
    return {
        **{f"x-first-death-{key}": name for key, name in names.items()},
        **headers,
        **{f"x-last-death-{key}": name for key, name in names.items()},
        "x-death": [{"count": count, **death}, *(table for table in earlier if table not in same)],
    }
