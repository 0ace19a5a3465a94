"""What stands in the file of an embedded broker, read without a trace."""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from amqp.exceptions import NotFound
from kombu import Exchange, Queue

from worker.broker import topology
from worker.broker.embedded import routing
from worker.broker.embedded.file import VERSION, BrokerUnavailable, epoch_of_boot
from worker.broker.parts import Binding, Look, Part, wanted_bindings
from worker.database.sqlite_file import connect_read_only

LOCK_TIMEOUT: Final = 5.0  # seconds


def parts_of(path: Path, providers: Iterable[str]) -> list[Part]:
    """Every exchange, queue and binding of the topology in the file at *path*. Raises BrokerUnavailable."""
    try:
        with closing(connect_read_only(path, LOCK_TIMEOUT)) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != VERSION:
                raise BrokerUnavailable(f"written by {'a newer' if version > VERSION else 'no'} release of ours")
            return list(_parts(db, list(providers)))
    except OSError as error:
        raise BrokerUnavailable(str(error.strerror)) from None
    except sqlite3.Error as error:
        raise BrokerUnavailable(str(error)) from None


def _parts(db: sqlite3.Connection, providers: list[str]) -> Iterator[Part]:
    found = [_exchange(db, each) for each in topology.all_exchanges()]
    found += [_queue(db, each) for each in topology.all_queues(providers)]
    yield from found
    there = {part.name for part in found if part.look is not Look.MISSING}
    known = {Binding(*row) for row in db.execute("SELECT exchange, routing_key, queue FROM binding")}
    known |= {Binding(*row) for row in db.execute("SELECT source, routing_key, destination FROM exchange_binding")}
    for each in wanted_bindings(providers):
        if {each.source, each.destination} <= there:
            yield Part("binding", str(each), Look.AS_DECLARED if each in known else Look.MISSING)


def _exchange(db: sqlite3.Connection, exchange: Exchange) -> Part:
    try:
        found = routing.exchange_kind(db, exchange.name)
    except NotFound:
        return Part("exchange", exchange.name, Look.MISSING)
    wanted = (exchange.type, (exchange.arguments or {}).get("alternate-exchange"))
    if found != wanted:
        return Part("exchange", exchange.name, Look.DIFFERENT, "", f"it is {found}, wanted {wanted}")
    return Part("exchange", exchange.name, Look.AS_DECLARED)


def _queue(db: sqlite3.Connection, queue: Queue) -> Part:
    try:
        found = routing.queue_arguments(db, queue.name)
    except NotFound:
        return Part("queue", queue.name, Look.MISSING)
    waiting, first = db.execute(
        "SELECT count(*), min(visible_at) FROM message WHERE queue = ? AND owner IS NULL AND visible_at <= ?",
        (queue.name, _now(db)),
    ).fetchone()
    oldest = None if first is None else _now(db) - first
    name, difference = _difference(found, queue.queue_arguments)
    look = Look.DIFFERENT if name else Look.AS_DECLARED
    return Part("queue", queue.name, look, name, difference, waiting, oldest=oldest)


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, str]:
    """The name of the first argument that differs and how, in words; both empty where none does."""
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            return name, f"{name} is {found.get(name, 'none')}, wanted {wanted.get(name, 'none')}"
    return "", ""


def _now(db: sqlite3.Connection) -> float:
    """The broker's time; where no process ran since the machine was started, nothing is on its way any more."""
    epoch = epoch_of_boot(db)
    return time.time() if epoch is None else epoch + time.monotonic()
