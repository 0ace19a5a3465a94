"""The blocking publisher: confirmed, mandatory, bounded in time, its connection thrown away after any doubt."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Self

from amqp.exceptions import NotFound
from kombu import Connection

from worker.broker import embedded, topology
from worker.broker.confirms import ConfirmChannel, Publication, Unsettled, retry_once, throw_away
from worker.broker.packing import packed
from worker.broker.publication import BROKER_ERRORS, Disconnected, Message, PublishError, prepared, unroutable

CONFIRM_TIMEOUT: Final = 10.0  # seconds for the confirms of one batch
QUICK_FAILURE: Final = 3.0  # seconds: a broken connection says so sooner; a broker that stood still is not asked again


class TransactionChannel:
    """The embedded broker: a batch is one synced transaction, and confirmed when that is committed."""

    is_refused = False  # it has no limits of length

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
        self._channel = connection.channel()

    def send_ahead(self, _: Sequence[Publication]) -> bool:
        """A transaction leaves nothing to wait for."""
        return False

    @property
    def is_awaited(self) -> bool:
        """Whether confirms are on their way: likewise."""
        return False

    def publish(self, batch: Sequence[Publication], timeout: float) -> list[Unsettled]:
        """Store *batch*; returns what is not stored. If no queue takes one message, each goes by itself."""
        try:
            with self._channel.transaction():
                for publication in batch:
                    self._put(publication.message)
        except (embedded.NoRoute, NotFound):
            if len(batch) > 1:
                return [failed for each in batch for failed in self.publish([each], timeout)]
            batch[0].settle(unroutable(batch[0].message))
        except BROKER_ERRORS as error:
            failure = Disconnected(f"the embedded broker failed ({type(error).__name__})")
            return [(each, failure) for each in batch]
        for publication in batch:
            publication.settle()
        return []

    def _put(self, message: Message) -> None:
        headers = {**message.headers, **({"x-delay": message.delay * 1000} if message.delay else {})}
        content = prepared(self._channel, message, headers)
        self._channel.basic_publish(content, exchange=message.exchange, routing_key=message.routing_key, mandatory=True)


class Publisher:
    """Publishes batches over one connection of its own; safe to share between threads, which then take turns."""

    def __init__(self, connect: Callable[[], Connection], confirm_timeout: float = CONFIRM_TIMEOUT) -> None:
        """*connect* makes a fresh connection; *confirm_timeout* is in seconds, for one batch."""
        self._connect = connect
        self._confirm_timeout = confirm_timeout
        self._channel: ConfirmChannel | TransactionChannel | None = None
        self._lock = threading.Lock()

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        """Publish *messages* in order; returns what became of each: None is confirmed. Raises no error of the broker.

        A connection that was found broken is replaced once, and what is left goes over the new one; what was
        confirmed is not sent again.
        """
        return self.begin(messages)()

    def begin(self, messages: Sequence[Message]) -> Callable[[], list[PublishError | None]]:
        """Send *messages*; returns a function that waits for their confirms, and returns what `publish` returns.

        It is to be called before more is published, or what is on its way may be spoilt by a refusal and sent again.
        """
        results: dict[int, PublishError | None] = {}
        each = [Publication(message, partial(results.__setitem__, i)) for i, message in enumerate(messages)]
        batch = packed(each)

        def answers() -> list[PublishError | None]:
            self._settle(batch)
            return [results[i] for i in range(len(each))]

        with self._lock:
            is_sent = self._send_ahead(batch)
        if not is_sent:
            self._settle(batch)
        return answers

    @property
    def is_awaited(self) -> bool:
        """Whether confirms are on their way of what `begin` sent."""
        return self._channel is not None and self._channel.is_awaited

    def settle(self, waiting: Sequence[Publication]) -> None:
        """Publish as `publish` does, and settle each publication."""
        self._settle(packed(waiting))

    def _settle(self, waiting: Sequence[Publication]) -> None:
        with self._lock:
            waiting = [each for each in waiting if not each.is_settled]
            while waiting:
                started = time.monotonic()
                unsettled = self._try(waiting)
                waiting = retry_once(unsettled, quick=time.monotonic() - started < QUICK_FAILURE)
            if self._channel and self._channel.is_refused:
                self._throw_away()

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Publish *messages*, or raise the first `PublishError`."""
        for failure in filter(None, self.publish(messages)):
            raise failure

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._throw_away()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _send_ahead(self, batch: Sequence[Publication]) -> bool:
        try:
            return self._channel is not None and self._channel.send_ahead(batch)
        except BROKER_ERRORS:
            self._throw_away()
            return False

    def _try(self, batch: Sequence[Publication]) -> list[Unsettled]:
        try:
            self._channel = self._channel or _open_channel(self._connect())
        except BROKER_ERRORS as error:
            failure = Disconnected(f"no connection to the broker ({type(error).__name__})")
            return [(each, failure) for each in batch]
        unsettled = self._channel.publish(batch, self._confirm_timeout)
        if unsettled:
            self._throw_away()
        return unsettled

    def _throw_away(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            throw_away(channel.connection)


class AlternatingPublisher:
    """Two publishers: one sends a batch while the confirms of the other's are awaited.

    Each has its own connection. A refusal spoils what else is on its way over the same one: RabbitMQ before 3.13.8
    then calls refused what it stores.
    """

    def __init__(self, connect: Callable[[], Connection], confirm_timeout: float = CONFIRM_TIMEOUT) -> None:
        """As a `Publisher` has them."""
        self._last, self._other = (Publisher(connect, confirm_timeout) for _ in range(2))

    def begin(self, messages: Sequence[Message]) -> Callable[[], list[PublishError | None]]:
        """As `Publisher.begin` does. Two batches may be on their way."""
        return self._free().begin(messages)

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        """As `Publisher.publish` does, beside one batch that is on its way."""
        return self._free().publish(messages)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._last.close()
        self._other.close()

    def _free(self) -> Publisher:
        if self._last.is_awaited:
            self._last, self._other = self._other, self._last
        return self._last


def _open_channel(connection: Connection) -> ConfirmChannel | TransactionChannel:
    """The channel that the broker of *connection* needs. Raises the transport's errors."""
    return ConfirmChannel(connection) if topology.delays_by_topology(connection) else TransactionChannel(connection)
