"""The messages of a broker file: published, leased to one owner at a time, settled, and given back when an owner dies.

A message is waiting (no owner, visible), delayed (no owner, not yet visible) or held (it has an owner). `acquired`
counts how often it was handed out, `returned` how often its owner died with it. Only the latter counts against the
queue's `x-delivery-limit`, as on RabbitMQ from 4.3 on: who lives and gives a message back did not fail because of it.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from kombu.exceptions import KombuError

from worker.broker.embedded import routing
from worker.broker.embedded.dead_lettering import dead_letter, enqueue, retry_waiting
from worker.broker.embedded.file import BrokerFile
from worker.broker.embedded.wakeup import notify

MAX_LEASE_BYTES: Final = 4 * 1_048_576  # bytes of bodies: with this much in hand no further message is taken


class NoRoute(KombuError):  # noqa: N818  # named as AMQP names it
    """A mandatory message reached no queue; nothing of its transaction was stored."""


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message to be stored; *delay* in seconds."""

    exchange: str
    routing_key: str
    properties: str
    body: bytes
    delay: float = 0.0
    mandatory: bool = False


class Delivery(NamedTuple):
    """A message leased to this owner."""

    message_id: int
    queue: str
    exchange: str
    routing_key: str
    acquired: int
    returned: int
    properties: str
    body: bytes
    visible_at: float


class Disposition(Enum):
    """What a consumer did with a message."""

    ACK = auto()
    REQUEUE = auto()
    REJECT = auto()


class Settlement(NamedTuple):
    """The disposition of one message."""

    message_id: int
    disposition: Disposition


class Store:
    """All a transport does to the file, on one connection; every method is one transaction and thread safe.

    Raises BrokerUnavailable while the file cannot be used, NotFound for queues and exchanges nobody declared.
    """

    def __init__(self, file: BrokerFile, owner: str, lease_seconds: float) -> None:
        self.file = file
        self.owner = owner
        self.lease_seconds = lease_seconds

    def publish(self, messages: Iterable[IncomingMessage]) -> None:
        """Store all of *messages* or none; NoRoute when a mandatory one reaches no queue."""
        with self.file.write() as db:
            for message in messages:
                queues = routing.route(db, message.exchange, message.routing_key)
                if message.mandatory and not queues:
                    raise NoRoute(f"no queue for key {message.routing_key!r} of exchange {message.exchange!r}")
                way = message.exchange, message.routing_key, self.file.now() + message.delay
                enqueue(db, queues, (*way, message.properties, message.body))
        notify(self.file.path)

    def has_ready(self, queues: Iterable[str]) -> bool:
        """Whether one of *queues* has a message to lease; takes no lock."""
        now = self.file.now()
        with self.file.read() as db:
            return any(
                db.execute(
                    "SELECT 1 FROM message WHERE queue = ? AND owner IS NULL AND visible_at <= ? LIMIT 1", (queue, now)
                ).fetchone()
                for queue in queues
            )

    def lease(self, queues: Mapping[str, int], limit: int, settlements: Sequence[Settlement] = ()) -> list[Delivery]:
        """Settle, then lease up to *limit* messages, of each queue no more than it is given with: oldest first.

        The first queue has no more than its share while others wait; what they leave it may take.
        """
        now = self.file.now()
        with self.file.write() as db:
            self._settle(db, settlements, now)
            self._extend_lease(db, now)
            found: list[Delivery] = []
            left = dict(queues)
            for share in (-(-limit // len(queues)), limit):
                for queue in queues:
                    taken = self._take(db, queue, min(share, left[queue], limit - len(found)), now)
                    left[queue] -= len(taken)
                    found += taken
        return found

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Carry out *settlements*; one on a message that somebody else holds by now changes nothing."""
        with self.file.write() as db:
            self._settle(db, settlements, self.file.now())

    def release(self, message_ids: Iterable[int], *, untouched: bool) -> None:
        """End leases early. This counts against no limit; *untouched* messages count as never handed out."""
        with self.file.write() as db:
            db.executemany(
                "UPDATE message SET owner = NULL, acquired = acquired - ? WHERE id = ? AND owner = ?",
                [(untouched, message_id, self.owner) for message_id in message_ids],
            )
        notify(self.file.path)

    def renew(self) -> None:
        """Renew this owner's lease, release those of dead owners, retry dead letters that reached no queue.

        Then remove from the log what was deleted since: every few seconds is seldom enough to cost little.
        """
        now = self.file.now()
        with self.file.write() as db:
            self._extend_lease(db, now)
            for (owner,) in db.execute("SELECT owner FROM lease WHERE until <= ?", (now,)).fetchall():
                self._free(db, owner, now)
            retry_waiting(db, now)
        self.file.forget()

    def sign_off(self, settlements: Sequence[Settlement]) -> None:
        """Carry out the last *settlements* and release everything else that this owner holds."""
        with self.file.write() as db:
            self._settle(db, settlements, self.file.now())
            db.execute("UPDATE message SET owner = NULL WHERE owner = ?", (self.owner,))
            db.execute("DELETE FROM lease WHERE owner = ?", (self.owner,))
        notify(self.file.path)

    def declare_queue(self, name: str, arguments: Mapping[str, Any]) -> int:
        """Create queue *name*; return how many messages are ready in it. PreconditionFailed when it differs."""
        with self.file.write() as db:
            routing.declare_queue(db, name, arguments)
        return self.ready(name)

    def ready(self, queue: str) -> int:
        """Return how many messages wait in *queue*; NotFound when there is no such queue."""
        with self.file.read() as db:
            routing.queue_arguments(db, queue)
            (ready,) = db.execute(
                "SELECT count(*) FROM message WHERE queue = ? AND owner IS NULL AND visible_at <= ?",
                (queue, self.file.now()),
            ).fetchone()
        return int(ready)

    def purge(self, queue: str) -> int:
        """Remove what waits in *queue*, delayed messages included; return how many there were."""
        with self.file.write() as db:
            return db.execute("DELETE FROM message WHERE queue = ? AND owner IS NULL", (queue,)).rowcount

    def _take(self, db: sqlite3.Connection, queue: str, limit: int, now: float) -> list[Delivery]:
        if limit <= 0:
            return []
        rows = db.execute(
            "UPDATE message SET owner = ?, acquired = acquired + 1 WHERE id IN (SELECT id FROM"
            " (SELECT id, sum(size) OVER (ORDER BY visible_at, id) - size AS before FROM"
            " (SELECT id, visible_at, length(body) AS size FROM message"
            " WHERE queue = ? AND owner IS NULL AND visible_at <= ? ORDER BY visible_at, id LIMIT ?))"
            " WHERE before < ?)"
            " RETURNING id, queue, exchange, routing_key, acquired, returned, envelope, body, visible_at",
            (self.owner, queue, now, limit, MAX_LEASE_BYTES),
        )
        return sorted(map(Delivery._make, rows), key=lambda found: (found.visible_at, found.message_id))

    def _extend_lease(self, db: sqlite3.Connection, now: float) -> None:
        db.execute(
            "INSERT INTO lease VALUES (?, ?) ON CONFLICT DO UPDATE SET until = excluded.until",
            (self.owner, now + self.lease_seconds),
        )

    def _settle(self, db: sqlite3.Connection, settlements: Iterable[Settlement], now: float) -> None:
        # The settlement of a consumer whose lease ran out still counts while nobody else has the message.
        mine = "id = ? AND (owner IS NULL OR owner = ?)"
        for message_id, disposition in settlements:
            key = (message_id, self.owner)
            match disposition:
                case Disposition.ACK:
                    db.execute(f"DELETE FROM message WHERE {mine}", key)  # noqa: S608  # a constant
                case Disposition.REQUEUE:
                    db.execute("UPDATE message SET owner = NULL WHERE id = ? AND owner = ?", key)
                case Disposition.REJECT if db.execute(f"SELECT 1 FROM message WHERE {mine}", key).fetchone():  # noqa: S608
                    dead_letter(db, message_id, "rejected", now)

    def _free(self, db: sqlite3.Connection, owner: str, now: float) -> None:
        """Put what a dead *owner* held back at its old place, or dead-letter what died with too many."""
        rows = db.execute(
            "UPDATE message SET owner = NULL, returned = returned + 1 WHERE owner = ? RETURNING id, returned, queue",
            (owner,),
        ).fetchall()
        for message_id, returned, queue in rows:
            limit = routing.queue_arguments(db, queue).get("x-delivery-limit")
            if limit is not None and returned > limit >= 0:
                dead_letter(db, message_id, "delivery_limit", now)
        db.execute("DELETE FROM lease WHERE owner = ?", (owner,))
