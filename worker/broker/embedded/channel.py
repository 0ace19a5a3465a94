"""An AMQP channel over the store: kombu's vocabulary for what BrokerConnection and Store do."""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from uuid import uuid4

from amqp.exceptions import PreconditionFailed
from kombu.message import Message

from worker.broker.embedded.connection import BrokerConnection
from worker.broker.embedded.file import BrokerUnavailable
from worker.broker.embedded.producer_channel import ProducerChannel
from worker.broker.embedded.properties import MessageProperties
from worker.broker.embedded.store import Delivery, Disposition, Settlement


@dataclass(frozen=True, slots=True)
class Subscription:
    """One consumer: what to call with the messages of a queue."""

    queue: str
    callback: Callable[[Message], object]
    no_ack: bool
    prefetch: int  # its most unacknowledged messages; 0 means any number


class Channel(ProducerChannel):
    """Publishes, consumes and settles; unacknowledged messages go back to their queues when it is closed.

    Acks and rejects may come from any thread: they are collected, and stored by the consuming thread's next pass.
    """

    def __init__(self, connection: BrokerConnection) -> None:
        super().__init__(connection)
        self.channel_id = next(connection.channel_ids)
        self.closed = False
        self.no_ack_consumers = set()
        self._prefetch = 0  # of the whole channel
        self._prefetch_of_new = 0  # of each consumer that begins from now on
        self._consumers: Mapping[str, Subscription] = {}  # replaced, never changed: other threads look at it
        self._unacked: dict[int, tuple[int, str]] = {}  # delivery tag: message id, consumer tag
        self._held: Counter[str] = Counter()  # consumer tag: unacknowledged messages
        self._leased: deque[Delivery] = deque()  # not yet handed to a consumer
        self._tags = count(1)
        self._rotation = count()
        connection.channels[self] = None

    def basic_qos(self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  # kombu's signature
        """Hold at most *prefetch_count* unacknowledged messages; 0 means any number.

        As in RabbitMQ: for each consumer that begins from now on, or (*apply_global*) for all of the channel together
        (https://www.rabbitmq.com/docs/consumer-prefetch).
        """
        if apply_global:
            self._prefetch = prefetch_count
        else:
            self._prefetch_of_new = prefetch_count

    def basic_consume(
        self,
        queue: str,
        callback: Callable[[Message], object],
        consumer_tag: str = "",
        *,
        no_ack: bool = False,
        **_: object,
    ) -> str:
        """Call *callback* with each message of *queue*; return the consumer's tag."""
        tag = consumer_tag or f"amq.ctag-{uuid4().hex}"
        self._consumers = {**self._consumers, tag: Subscription(queue, callback, bool(no_ack), self._prefetch_of_new)}
        if no_ack:
            self.no_ack_consumers.add(tag)
        self.connection.start_consuming()
        return tag

    def basic_cancel(self, consumer_tag: str, **_: object) -> None:
        """Stop a consumer; what was leased for it and not yet delivered is released."""
        self._consumers = {tag: known for tag, known in self._consumers.items() if tag != consumer_tag}
        self.no_ack_consumers.discard(consumer_tag)
        queues = self.queues
        orphans = [found for found in self._leased if found.queue not in queues]
        self._leased = deque(found for found in self._leased if found.queue in queues)
        self.connection.release([found.message_id for found in orphans], untouched=True)

    def basic_get(self, queue: str, *, no_ack: bool = False, **_: object) -> Message | None:
        """Return the oldest message of *queue*, or None."""
        self.connection.start_consuming()
        for delivery in self.connection.lease({queue: 1}, 1):
            return self._message(delivery, "", no_ack=bool(no_ack))
        return None

    def poll(self) -> int:
        """Lease what there is room for and hand it to the consumers; return how many messages that were."""
        if rooms := self._rooms():
            with self.connection.tolerating_locks():
                self._leased.extend(self.connection.lease(rooms, self._room()))
        delivered = 0
        while self._leased:
            self._deliver(self._leased.popleft())
            delivered += 1
        return delivered

    @property
    def queues(self) -> list[str]:
        """The queues being consumed, each once."""
        return list(dict.fromkeys(subscription.queue for subscription in self._consumers.values()))

    @property
    def has_in_hand(self) -> bool:
        """Whether it holds messages that are not settled."""
        return bool(self._unacked or self._leased)

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:  # noqa: FBT001, FBT002  # kombu's signature
        """Forget a delivered message for good; *multiple* takes all earlier ones of this channel with it."""
        earlier = [tag for tag in list(self._unacked) if tag < delivery_tag] if multiple else []
        for tag in (*earlier, delivery_tag):
            self._settle(tag, Disposition.ACK)

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:  # noqa: FBT001, FBT002  # kombu's signature
        """Put a message back at its old place (*requeue*), which no limit counts, or dead-letter it."""
        self._settle(delivery_tag, Disposition.REQUEUE if requeue else Disposition.REJECT)

    def close(self) -> None:
        """Cancel the consumers and release what is unacknowledged; where that fails, the leases expire."""
        if self.closed:
            return
        held, leased = [held for held, _ in self._unacked.values()], [found.message_id for found in self._leased]
        self.retire()
        try:
            self.connection.release(held, untouched=False)
            self.connection.release(leased, untouched=True)
        except BrokerUnavailable as error:
            self.connection.log_left_leases(error)

    def retire(self) -> None:
        """Deliver nothing more, and refuse late acks."""
        self.closed = True
        self._consumers = {}
        self._leased.clear()
        self.connection.channels.pop(self, None)

    def _rooms(self) -> dict[str, int]:
        """How many messages there is room for of each queue; the first queue changes, so that none is always last."""
        rooms: Counter[str] = Counter()
        for tag, known in self._consumers.items() if self._room() else ():
            rooms[known.queue] += max(0, known.prefetch - self._held[tag]) if known.prefetch else self.connection.batch
        open_ = [(queue, room) for queue, room in rooms.items() if room]
        first = next(self._rotation) % max(1, len(open_))
        return dict(open_[first:] + open_[:first])

    def _room(self) -> int:
        batch = self.connection.batch
        free = self._prefetch - len(self._unacked) if self._prefetch else batch
        return max(0, min(batch, free) - len(self._leased))

    def _deliver(self, delivery: Delivery) -> None:
        fitting = [(tag, known) for tag, known in self._consumers.items() if known.queue == delivery.queue]
        tag, subscription = max(fitting, key=lambda each: self._free_places(*each))
        subscription.callback(self._message(delivery, tag, no_ack=subscription.no_ack))

    def _free_places(self, tag: str, subscription: Subscription) -> int:
        """Messages that a consumer's prefetch leaves room for; 0 without a prefetch, so others are served first."""
        return subscription.prefetch - self._held[tag] if subscription.prefetch else 0

    def _message(self, delivery: Delivery, consumer_tag: str, *, no_ack: bool) -> Message:
        properties, tag = MessageProperties.load(delivery.properties), next(self._tags)
        self._unacked[tag] = delivery.message_id, consumer_tag
        self._held[consumer_tag] += 1
        if no_ack:
            self._settle(tag, Disposition.ACK)
        counted = {"x-delivery-count": delivery.returned} if delivery.returned else {}
        return Message(
            body=delivery.body,
            channel=self,
            delivery_tag=tag,
            content_type=properties.content_type,
            content_encoding=properties.content_encoding,
            headers={**properties.headers, **counted},
            properties=properties.properties,
            delivery_info={
                "consumer_tag": consumer_tag,
                "delivery_tag": tag,
                "redelivered": delivery.acquired > 1,
                "exchange": delivery.exchange,
                "routing_key": delivery.routing_key,
            },
        )

    def _settle(self, tag: int, disposition: Disposition) -> None:
        message_id, consumer_tag = self._unacked.pop(tag, (None, ""))
        if self.closed:
            raise BrokerUnavailable("the channel this message came from is closed; it will be delivered again")
        if message_id is None:
            raise PreconditionFailed(f"unknown delivery tag {tag}")
        self._held[consumer_tag] -= 1
        self.connection.settle(Settlement(message_id, disposition))
