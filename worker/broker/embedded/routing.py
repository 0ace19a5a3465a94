"""Exchanges, queues and bindings: stored in the broker's file, so that every process sees the same ones."""

import json
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from amqp.exceptions import NotFound, PreconditionFailed

TYPES: Final = frozenset({"direct", "topic", "fanout"})
ARGUMENTS: Final[Mapping[str, type]] = {
    "x-delivery-limit": int,
    "x-dead-letter-exchange": str,
    "x-dead-letter-routing-key": str,
}


def declare_exchange(db: sqlite3.Connection, name: str, kind: str, alternate: str | None = None) -> None:
    """Create exchange *name*, or agree with the one that exists; PreconditionFailed when they differ."""
    if kind not in TYPES:
        raise PreconditionFailed(f"exchange {name!r}: the embedded broker has no type {kind!r}")
    db.execute("INSERT OR IGNORE INTO exchange VALUES (?, ?, ?)", (name, kind, alternate))
    if exchange_kind(db, name) != (kind, alternate):
        raise PreconditionFailed(f"exchange {name!r} exists with another type or alternate exchange")


def exchange_kind(db: sqlite3.Connection, name: str) -> tuple[str, str | None]:
    """Return `direct`, `topic` or `fanout` and the alternate exchange; NotFound when there is no exchange *name*."""
    row = db.execute("SELECT type, alternate FROM exchange WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"no exchange {name!r}")
    kind, alternate = row
    return kind, alternate


def delete_exchange(db: sqlite3.Connection, name: str) -> None:
    """Forget exchange *name* and its bindings."""
    db.execute("DELETE FROM binding WHERE exchange = ?", (name,))
    db.execute("DELETE FROM exchange_binding WHERE ? IN (source, destination)", (name,))
    db.execute("DELETE FROM exchange WHERE name = ?", (name,))


def bind_exchange(db: sqlite3.Connection, source: str, routing_key: str, destination: str) -> None:
    """Route *routing_key* of exchange *source* on to exchange *destination*; NotFound unless both exist."""
    exchange_kind(db, source)
    exchange_kind(db, destination)
    db.execute("INSERT OR IGNORE INTO exchange_binding VALUES (?, ?, ?)", (source, routing_key, destination))


def declare_queue(db: sqlite3.Connection, name: str, arguments: Mapping[str, Any]) -> None:
    """Create queue *name*, or agree with the one that exists; PreconditionFailed for other or senseless arguments.

    A declaration that changed them unnoticed could take away a dead letter exchange.
    """
    for argument, kind in ARGUMENTS.items():
        if not isinstance(arguments.get(argument, kind()), kind):
            raise PreconditionFailed(f"queue {name!r}: argument {argument} must be of type {kind.__name__}")
    db.execute("INSERT OR IGNORE INTO queue VALUES (?, ?)", (name, json.dumps(arguments)))
    if queue_arguments(db, name) != arguments:
        raise PreconditionFailed(f"queue {name!r} exists with other arguments")


def queue_arguments(db: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Return the arguments queue *name* was declared with; NotFound when there is no such queue."""
    row = db.execute("SELECT arguments FROM queue WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"no queue {name!r}")
    arguments: dict[str, Any] = json.loads(row[0])
    return arguments


def delete_queue(db: sqlite3.Connection, name: str) -> None:
    """Forget queue *name*, its bindings and its messages."""
    db.execute("DELETE FROM message WHERE queue = ?", (name,))
    db.execute("DELETE FROM binding WHERE queue = ?", (name,))
    db.execute("DELETE FROM queue WHERE name = ?", (name,))


def bind(db: sqlite3.Connection, exchange: str, routing_key: str, queue: str) -> None:
    """Route *routing_key* of *exchange* to *queue*; NotFound unless both exist."""
    exchange_kind(db, exchange)
    queue_arguments(db, queue)
    db.execute("INSERT OR IGNORE INTO binding VALUES (?, ?, ?)", (exchange, routing_key, queue))


def unbind(db: sqlite3.Connection, exchange: str, routing_key: str, queue: str) -> None:
    """Undo a binding; one that does not exist is no error."""
    undone = exchange, routing_key, queue
    db.execute("DELETE FROM binding WHERE exchange = ? AND routing_key = ? AND queue = ?", undone)


def route(db: sqlite3.Connection, exchange: str, routing_key: str) -> list[str]:
    """Return the queues a message reaches, each once; the default exchange knows each by its name. Raises NotFound."""
    if not exchange:
        found = db.execute("SELECT name FROM queue WHERE name = ?", (routing_key,))
        return [name for (name,) in found]
    return sorted(_reached(db, exchange, routing_key, set()))


def _reached(db: sqlite3.Connection, exchange: str, routing_key: str, seen: set[str]) -> set[str]:
    """Bindings lead to queues and on to exchanges; where none fits, the message goes to the alternate exchange.

    Sources: https://www.rabbitmq.com/docs/e2e and https://www.rabbitmq.com/docs/ae
    """
    if exchange in seen:
        return set()
    seen.add(exchange)
    kind, alternate = exchange_kind(db, exchange)
    bindings = db.execute(
        "SELECT routing_key, queue, NULL FROM binding WHERE exchange = ?1"
        " UNION ALL SELECT routing_key, NULL, destination FROM exchange_binding WHERE source = ?1",
        (exchange,),
    )
    fitting = [to for pattern, *to in bindings if _fits(kind, pattern, routing_key)] or [[None, alternate]]
    onward = {destination for _, destination in fitting if destination}
    return {queue for queue, _ in fitting if queue}.union(*(_reached(db, to, routing_key, seen) for to in onward))


def _fits(kind: str, pattern: str, routing_key: str) -> bool:
    return kind == "fanout" or pattern == routing_key or (kind == "topic" and topic_matches(pattern, routing_key))


@lru_cache(maxsize=4096)
def topic_matches(pattern: str, routing_key: str) -> bool:
    """Whether *routing_key* fits *pattern*: `*` is exactly one word, `#` any number of words, none included.

    Source: https://www.rabbitmq.com/tutorials/tutorial-five-python#topic-exchange
    """
    return _words_match(tuple(pattern.split(".")), tuple(routing_key.split(".")))


def _words_match(pattern: tuple[str, ...], words: tuple[str, ...]) -> bool:
    match pattern, words:
        case (), _:
            return not words
        case ("#", *rest), _:
            return any(_words_match(tuple(rest), words[skipped:]) for skipped in range(len(words) + 1))
        case (first, *rest), (word, *others):
            return first in ("*", word) and _words_match(tuple(rest), tuple(others))
        case _:
            return False
