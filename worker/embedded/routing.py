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


def declare_exchange(db: sqlite3.Connection, name: str, kind: str) -> None:
    """Create exchange *name*, or agree with the one that exists; PreconditionFailed when types differ."""
    if kind not in TYPES:
        raise PreconditionFailed(f"exchange {name!r}: the embedded broker has no type {kind!r}")
    db.execute("INSERT OR IGNORE INTO exchange VALUES (?, ?)", (name, kind))
    if exchange_type(db, name) != kind:
        raise PreconditionFailed(f"exchange {name!r} exists with another type")


def exchange_type(db: sqlite3.Connection, name: str) -> str:
    """Return `direct`, `topic` or `fanout`; NotFound when there is no exchange *name*."""
    row = db.execute("SELECT type FROM exchange WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound(f"no exchange {name!r}")
    return str(row[0])


def delete_exchange(db: sqlite3.Connection, name: str) -> None:
    """Forget exchange *name* and its bindings."""
    db.execute("DELETE FROM binding WHERE exchange = ?", (name,))
    db.execute("DELETE FROM exchange WHERE name = ?", (name,))


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
    for statement in (
        "DELETE FROM message WHERE queue = ?",
        "DELETE FROM binding WHERE queue = ?",
        "DELETE FROM queue WHERE name = ?",
    ):
        db.execute(statement, (name,))


def bind(db: sqlite3.Connection, exchange: str, routing_key: str, queue: str) -> None:
    """Route *routing_key* of *exchange* to *queue*; NotFound unless both exist."""
    exchange_type(db, exchange)
    queue_arguments(db, queue)
    db.execute("INSERT OR IGNORE INTO binding VALUES (?, ?, ?)", (exchange, routing_key, queue))


def unbind(db: sqlite3.Connection, exchange: str, routing_key: str, queue: str) -> None:
    """Undo a binding; one that does not exist is no error."""
    db.execute(
        "DELETE FROM binding WHERE exchange = ? AND routing_key = ? AND queue = ?", (exchange, routing_key, queue)
    )


def route(db: sqlite3.Connection, exchange: str, routing_key: str) -> list[str]:
    """Return the queues a message reaches, each once; NotFound when there is no such exchange.

    The default exchange `""` knows every queue by its name.
    """
    if not exchange:
        found = db.execute("SELECT name FROM queue WHERE name = ?", (routing_key,))
        return [name for (name,) in found]
    kind = exchange_type(db, exchange)
    if kind == "direct":
        found = db.execute("SELECT queue FROM binding WHERE exchange = ? AND routing_key = ?", (exchange, routing_key))
        return [name for (name,) in found]
    bindings = db.execute("SELECT routing_key, queue FROM binding WHERE exchange = ?", (exchange,))
    return sorted({queue for pattern, queue in bindings if kind == "fanout" or topic_matches(pattern, routing_key)})


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
