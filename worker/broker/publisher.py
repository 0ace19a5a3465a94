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
        results: dict[int, PublishError | None] = {}
        self.settle([Publication(message, partial(results.__setitem__, i)) for i, message in enumerate(messages)])
        return [results[i] for i in range(len(messages))]

    def settle(self, waiting: Sequence[Publication]) -> None:
        """Publish as `publish` does, and settle each publication."""
        waiting = packed(waiting)
        with self._lock:
            while waiting:
                started = time.monotonic()
                unsettled = self._try(waiting)
                waiting = retry_once(unsettled, quick=time.monotonic() - started < QUICK_FAILURE)

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

    def _try(self, batch: Sequence[Publication]) -> list[Unsettled]:
        try:
            self._channel = self._channel or _open_channel(self._connect())
        except BROKER_ERRORS as error:
            failure = Disconnected(f"no connection to the broker ({type(error).__name__})")
            return [(each, failure) for each in batch]
        unsettled = self._channel.publish(batch, self._confirm_timeout)
        if unsettled or self._channel.is_refused:
            self._throw_away()
        return unsettled

    def _throw_away(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            throw_away(channel.connection)


def _open_channel(connection: Connection) -> ConfirmChannel | TransactionChannel:
    """The channel that the broker of *connection* needs. Raises the transport's errors."""
    return ConfirmChannel(connection) if topology.delays_by_topology(connection) else TransactionChannel(connection)
