"""The producer's part of a channel: it declares exchanges, queues and bindings in the broker's file, and publishes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from amqp.exceptions import PreconditionFailed
from amqp.protocol import queue_declare_ok_t
from kombu.transport.base import StdChannel

from worker.broker.embedded import routing
from worker.broker.embedded.connection import BrokerConnection
from worker.broker.embedded.properties import MessageProperties, delay_of
from worker.broker.embedded.store import IncomingMessage, Store


class ProducerChannel(StdChannel):
    """Declares, deletes and publishes. Auto-delete, exclusive and expiring queues are accepted, and kept."""

    no_ack_consumers: set[str]

    def __init__(self, connection: BrokerConnection) -> None:
        self.connection = connection
        self._batch: list[IncomingMessage] | None = None

    def exchange_declare(
        self,
        exchange: str,
        type: str = "direct",  # noqa: A002  # kombu's name
        *,
        passive: bool = False,
        arguments: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Create *exchange* (direct, topic or fanout), or with *passive* only require it: NotFound otherwise.

        The argument `alternate-exchange` names who takes what no binding takes; PreconditionFailed when it differs.
        """
        with self._durable.file.write() as db:
            if passive:
                routing.exchange_kind(db, exchange)
            else:
                routing.declare_exchange(db, exchange, type, (arguments or {}).get("alternate-exchange"))

    def exchange_bind(self, destination: str, source: str = "", routing_key: str = "", **_: object) -> None:
        """Route *routing_key* of exchange *source* on to exchange *destination*."""
        with self._durable.file.write() as db:
            routing.bind_exchange(db, source, routing_key, destination)

    def exchange_delete(self, exchange: str, **_: object) -> None:
        """Forget *exchange* and its bindings."""
        with self._durable.file.write() as db:
            routing.delete_exchange(db, exchange)

    def queue_declare(
        self, queue: str = "", *, passive: bool = False, arguments: Mapping[str, Any] | None = None, **_: object
    ) -> queue_declare_ok_t:
        """Create *queue* (named by the broker when empty), or with *passive* only count it: NotFound otherwise.

        PreconditionFailed when it exists with other arguments, as on RabbitMQ.
        """
        name = queue or f"amq.gen-{uuid4().hex}"
        ready = self._durable.ready(name) if passive else self._durable.declare_queue(name, arguments or {})
        return queue_declare_ok_t(name, ready, 0)

    def queue_bind(self, queue: str, exchange: str = "", routing_key: str = "", **_: object) -> None:
        """Route *routing_key* of *exchange* to *queue*; the default exchange needs no binding."""
        with self._durable.file.write() as db:
            if exchange:
                routing.bind(db, exchange, routing_key, queue)

    def queue_unbind(self, queue: str, exchange: str = "", routing_key: str = "", **_: object) -> None:
        """Undo a binding."""
        with self._durable.file.write() as db:
            routing.unbind(db, exchange, routing_key, queue)

    def queue_purge(self, queue: str, **_: object) -> int:
        """Remove what waits in *queue*; return how many messages that were."""
        return self._durable.purge(queue)

    def queue_delete(self, queue: str, *, if_empty: bool = False, **_: object) -> int:
        """Delete *queue* with its messages and return how many were ready; PreconditionFailed when it must be empty."""
        ready = self._durable.ready(queue)
        if if_empty and ready:
            raise PreconditionFailed(f"queue {queue!r} is not empty")
        with self._durable.file.write() as db:
            routing.delete_queue(db, queue)
        return ready

    def prepare_message(  # noqa: PLR0913, PLR0917  # kombu's signature
        self,
        body: str | bytes,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> tuple[MessageProperties, bytes]:
        """Return what `basic_publish` takes."""
        known = {"priority": priority or 0, **(properties or {})}
        return MessageProperties(content_type, content_encoding, dict(headers or {}), known), (
            body.encode() if isinstance(body, str) else bytes(body)
        )

    def basic_publish(
        self,
        message: tuple[MessageProperties, bytes],
        exchange: str = "",
        routing_key: str = "",
        *,
        mandatory: bool = False,
        **_: object,
    ) -> None:
        """Store *message* in every queue it is routed to; when this returns it is on the disk.

        Raises NoRoute (a *mandatory* message no queue takes), NotFound (no such exchange), ValueError (a bad
        `x-delay` header), BrokerUnavailable. Inside `transaction()` all of this happens at its end.
        """
        properties, body = message
        delay = delay_of(properties.headers)
        incoming = IncomingMessage(exchange, routing_key, properties.dump(), body, delay, bool(mandatory))
        if self._batch is None:
            self._durable.publish([incoming])
        else:
            self._batch.append(incoming)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Publish everything inside the block in one synced commit at its end, or nothing when anything raises."""
        if self._batch is not None:
            raise RuntimeError("a transaction is already open on this channel")
        self._batch = []
        try:
            yield
            batch = self._batch
        finally:
            self._batch = None
        if batch:
            self._durable.publish(batch)

    @property
    def _durable(self) -> Store:
        return self.connection.durable
