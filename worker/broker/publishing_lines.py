"""One connection of the publisher: what was sent over it, and what the broker said to that.

py-amqp does not match confirms to messages: after one lost confirm, the next publish would be "confirmed" by the
old acknowledgement, and a refused message reported as fine. So delivery tags are counted here (RabbitMQ, Consumer
Acknowledgements and Publisher Confirms).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import NotFound, RecoverableConnectionError

from worker.broker import embedded, topology
from worker.broker.amqp_writing import one_write
from worker.broker.publication import (
    BROKER_ERRORS,
    Disconnected,
    Message,
    PublishError,
    Refused,
    Unconfirmed,
    address,
    broken,
    prepared,
    put,
    unroutable,
)

if TYPE_CHECKING:
    from kombu import Connection

AT_ONCE: Final = 25  # messages in one write

Batch = Mapping[int, Message]  # by position in what was asked for
Failures = dict[int, PublishError]


def open_line(connection: Connection) -> ConfirmLine | TransactionLine:
    """The line over *connection*, of the kind that its broker needs. Raises the transport's errors."""
    connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
    return ConfirmLine(connection) if topology.delays_by_topology(connection) else TransactionLine(connection)


class TransactionLine:
    """The embedded broker: a batch is one synced transaction, and confirmed when that is committed."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.channel = connection.channel()

    def publish(self, batch: Batch, timeout: float) -> Failures:
        """One message that no queue takes undoes the whole transaction: then each goes alone."""
        try:
            with self.channel.transaction():
                for message in batch.values():
                    headers = {**message.headers, **({"x-delay": message.delay * 1000} if message.delay else {})}
                    content = prepared(self.channel, message, headers)
                    self.channel.basic_publish(
                        content, exchange=message.exchange, routing_key=message.routing_key, mandatory=True
                    )
        except (embedded.Unroutable, NotFound):
            if len(batch) == 1:
                return {i: unroutable(message) for i, message in batch.items()}
            return {k: v for i, message in batch.items() for k, v in self.publish({i: message}, timeout).items()}
        except BROKER_ERRORS as error:
            return dict.fromkeys(batch, Disconnected(f"the embedded broker failed ({type(error).__name__})"))
        return {}


class ConfirmLine:
    """RabbitMQ: a batch is sent at once and its confirms are matched to it by delivery tag, returns by message id.

    An exchange that is missing or forbidden ends the channel, and with it the confirms on their way. So what goes to an
    exchange that has not yet taken anything from this line is sent by itself, when all before it is confirmed.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.channel = connection.channel()
        self.channel.confirm_select()
        self.channel.events["basic_ack"].add(self._on_ack)
        self.channel.events["basic_nack"].add(self._on_nack)
        self.channel.events["basic_return"].add(self._on_return)
        self._last_tag = 0
        self._open: dict[int, int] = {}  # delivery tag → position
        self._waiting: set[int] = set()  # positions without a confirm
        self._returned: set[str] = set()  # message ids
        self._failures: Failures = {}
        self._proven: set[str] = set()  # exchanges that took something

    def publish(self, batch: Batch, timeout: float) -> Failures:
        """Publish *batch* and wait for its confirms, *timeout* seconds at most; after a failure the line is over."""
        self._waiting, self._returned, self._failures = set(batch), set(), {}
        until = time.monotonic() + timeout
        try:
            for part in self._parts(batch):
                self._send(part)
                self._await_confirms(until)
                self._proven.update(address(message)[0] for message in part.values())
        except TimeoutError:
            self._failures |= dict.fromkeys(self._waiting, Unconfirmed("the broker did not confirm in time"))
        except BROKER_ERRORS as error:
            self._failures |= {i: broken(error, batch[i]) for i in self._waiting}
        for i, message in batch.items():
            if message.message_id in self._returned:
                self._failures[i] = unroutable(message)
        return self._failures

    def _parts(self, batch: Batch) -> list[Batch]:
        """*batch* in parts that share their fate with nobody: the proven exchanges, then each of the others."""
        parts: dict[str, dict[int, Message]] = {"": {}}
        for i, message in batch.items():
            exchange = address(message)[0]
            parts.setdefault("" if exchange in self._proven else exchange, {})[i] = message
        return [part for part in parts.values() if part]

    def _send(self, batch: Batch) -> None:
        items = tuple(batch.items())
        for start in range(0, len(items), AT_ONCE):
            with self._one_write():
                for i, message in items[start : start + AT_ONCE]:
                    self._last_tag += 1
                    self._open[self._last_tag] = i
                    put(self.channel, message)
            with contextlib.suppress(TimeoutError):  # a broker whose confirms nobody reads stops reading
                self.connection.drain_events(timeout=0)

    @contextlib.contextmanager
    def _one_write(self) -> Iterator[None]:
        """Send what is put on the channel meanwhile."""
        if self.channel.connection is None:
            raise RecoverableConnectionError("the connection was closed")
        with one_write(self.channel.connection.transport):
            yield

    def _await_confirms(self, until: float) -> None:
        while self._open:
            self.connection.drain_events(timeout=max(0.001, until - time.monotonic()))

    def _on_ack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        self._waiting.difference_update(self._confirmed(tag, multiple=multiple))

    def _on_nack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        refused = self._confirmed(tag, multiple=multiple)
        self._waiting.difference_update(refused)
        self._failures |= dict.fromkeys(refused, Refused("the broker refused the message: its queue is full"))

    def _on_return(self, error: object, exchange: str, routing_key: str, message: Any) -> None:  # noqa: ANN401, ARG002
        self._returned.add(message.properties.get("message_id"))

    def _confirmed(self, tag: int, *, multiple: bool) -> list[int]:
        tags = [each for each in self._open if each <= tag] if multiple else [tag]
        return [self._open.pop(each) for each in tags]
