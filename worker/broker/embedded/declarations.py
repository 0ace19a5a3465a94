"""The part of a channel that declares: exchanges, queues and bindings, kept in the broker's file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from amqp.exceptions import PreconditionFailed
from amqp.protocol import queue_declare_ok_t
from kombu.transport.base import StdChannel

from worker.broker.embedded import routing
from worker.broker.embedded.store import Store

if TYPE_CHECKING:
    from worker.broker.embedded.connection import Session


class DeclaringChannel(StdChannel):
    """Declares, counts, purges and deletes. Auto-delete, exclusive and expiring queues are accepted, and kept."""

    connection: "Session"
    no_ack_consumers: set[str]

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
        with self._durable.database.write() as db:
            if passive:
                routing.exchange_kind(db, exchange)
            else:
                routing.declare_exchange(db, exchange, type, (arguments or {}).get("alternate-exchange"))

    def exchange_bind(self, destination: str, source: str = "", routing_key: str = "", **_: object) -> None:
        """Route *routing_key* of exchange *source* on to exchange *destination*."""
        with self._durable.database.write() as db:
            routing.bind_exchange(db, source, routing_key, destination)

    def exchange_delete(self, exchange: str, **_: object) -> None:
        """Forget *exchange* and its bindings."""
        with self._durable.database.write() as db:
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
        with self._durable.database.write() as db:
            if exchange:
                routing.bind(db, exchange, routing_key, queue)

    def queue_unbind(self, queue: str, exchange: str = "", routing_key: str = "", **_: object) -> None:
        """Undo a binding."""
        with self._durable.database.write() as db:
            routing.unbind(db, exchange, routing_key, queue)

    def queue_purge(self, queue: str, **_: object) -> int:
        """Remove what waits in *queue*; return how many messages that were."""
        return self._durable.purge(queue)

    def queue_delete(self, queue: str, *, if_empty: bool = False, **_: object) -> int:
        """Delete *queue* with its messages and return how many were ready; PreconditionFailed when it must be empty."""
        ready = self._durable.ready(queue)
        if if_empty and ready:
            raise PreconditionFailed(f"queue {queue!r} is not empty")
        with self._durable.database.write() as db:
            routing.delete_queue(db, queue)
        return ready

    @property
    def _durable(self) -> Store:
        return self.connection.durable
