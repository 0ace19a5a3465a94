"""The only publisher: confirmed, mandatory, bounded in time, its connection thrown away after any error.

py-amqp does not match confirms to messages: after one lost confirm, the next publish would be "confirmed" by the
old acknowledgement, and a refused message reported as fine. So this module counts delivery tags itself
(RabbitMQ, Consumer Acknowledgements and Publisher Confirms) and never reuses a channel it is unsure of.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final, Self

from amqp import spec
from amqp.exceptions import AccessRefused, AMQPError, NotFound, RecoverableConnectionError
from kombu.exceptions import KombuError

from worker import embedded, topology
from worker.amqp_writing import one_write

if TYPE_CHECKING:
    from kombu import Connection

CONFIRM_TIMEOUT: Final = 10.0  # seconds for the confirms of one batch
AT_ONCE: Final = 25  # messages in one write
QUICK: Final = 3.0  # seconds: a connection that is broken says so sooner; a broker that stood still gets no second try
BROKER_ERRORS: Final = (OSError, KombuError, AMQPError)


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be published, and where. The body is never shown."""

    exchange: str
    routing_key: str
    body: bytes = field(repr=False)
    content_type: str | None = "application/json"
    headers: Mapping[str, object] = field(default_factory=dict, repr=False)
    delay: int = 0  # whole seconds the broker keeps it back
    correlation_id: str | None = None
    user_id: str | None = None  # RabbitMQ takes it from the user of that name alone
    message_id: str = field(default_factory=lambda: f"{getrandbits(128):032x}")  # told apart, not kept secret


class PublishError(Exception):
    """A message is not known to be safe in the broker."""


class Unroutable(PublishError):  # noqa: N818 - its base is named Error; these are what became of a message
    """No queue takes this message: an exchange, queue or binding is missing."""


class Refused(PublishError):  # noqa: N818
    """The broker said no: the queue is full, or this user may not write there."""


class Unconfirmed(PublishError):  # noqa: N818
    """No confirm came in time: the message may or may not be there."""


class Disconnected(Unconfirmed):
    """The connection broke before the confirm came, or there was none to be had."""


Batch = Mapping[int, Message]  # by position in what was asked for
Failures = dict[int, PublishError]


class Publisher:
    """Publishes batches over one connection of its own; safe to share between threads, which then take turns."""

    def __init__(self, connect: Callable[[], Connection], confirm_timeout: float = CONFIRM_TIMEOUT) -> None:
        """*connect* makes a fresh connection; *confirm_timeout* is in seconds, for one batch."""
        self._connect = connect
        self._confirm_timeout = confirm_timeout
        self._line: _ConfirmLine | _TransactionLine | None = None
        self._lock = threading.Lock()

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        """Publish *messages* in order; what became of each: None is confirmed. Never raises for a broker's fault.

        A connection that was found broken is replaced once, and what is left goes over the new one; what was
        confirmed is not sent again.
        """
        with self._lock:
            failures = self._publish(dict(enumerate(messages)), again=True)
        return [failures.get(i) for i in range(len(messages))]

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

    def _publish(self, batch: Batch, *, again: bool) -> Failures:
        started = time.monotonic()
        failures = self._try(batch)
        left = {i: batch[i] for i, failure in failures.items() if isinstance(failure, Disconnected)}
        culprits = {i: failure for i, failure in failures.items() if i not in left}  # the line broke because of them
        again = again and time.monotonic() - started < QUICK
        more = self._publish(left, again=again and bool(culprits)) if left and (again or culprits) else failures
        return culprits | more

    def _try(self, batch: Batch) -> Failures:
        try:
            self._line = self._line or _open_line(self._connect())
        except BROKER_ERRORS as error:
            return dict.fromkeys(batch, Disconnected(f"no connection to the broker ({type(error).__name__})"))
        failures = self._line.publish(batch, self._confirm_timeout)
        if failures:
            self._throw_away()
        return failures

    def _throw_away(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(*BROKER_ERRORS):  # it is broken already: nothing more can be lost with it
                line.connection.collect(socket_timeout=1)


def _open_line(connection: Connection) -> _ConfirmLine | _TransactionLine:
    connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
    return _ConfirmLine(connection) if topology.delays_by_topology(connection) else _TransactionLine(connection)


class _TransactionLine:
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


class _ConfirmLine:
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


def prepared(channel: Any, message: Message, headers: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
    """*message* as *channel* takes it; *headers* in place of its own."""
    known = {"correlation_id": message.correlation_id, "user_id": message.user_id}
    properties = {"delivery_mode": 2, "message_id": message.message_id, **{n: v for n, v in known.items() if v}}
    return channel.prepare_message(
        message.body,
        content_type=message.content_type,
        content_encoding="utf-8",
        headers=dict(message.headers if headers is None else headers),
        properties=properties,
    )


def put(channel: Any, message: Message) -> None:  # noqa: ANN401
    """Put *message* on the *channel* of a RabbitMQ, to be confirmed or returned.

    Not by `basic_publish`: that reads from the socket before each message.
    """
    route = (0, *address(message), True, False)
    channel.send_method(spec.Basic.Publish, "Bssbb", route, prepared(channel, message))


def address(message: Message) -> tuple[str, str]:
    """The exchange and routing key that *message* leaves with for RabbitMQ, which delays on the way."""
    if message.delay:
        return topology.DELAY_ENTRY, topology.delayed_key(message.routing_key, message.delay)
    return message.exchange, message.routing_key


def unroutable(message: Message) -> Unroutable:
    """What became of a message that came back."""
    return Unroutable(f"no queue takes {message.routing_key} from {message.exchange}")


def broken(error: Exception, message: Message) -> PublishError:
    """What *message* has of an *error* of the line: what the error names is its own fault, or that of a neighbour."""
    said, exchange = str(error), f"'{address(message)[0]}'"
    if isinstance(error, NotFound) and exchange in said:
        return Unroutable(f"the exchange {message.exchange} does not exist")
    if isinstance(error, AccessRefused) and exchange in said and _is_of_topic(said, message):
        return Refused(f"the broker's user may not write to {message.exchange} (AccessRefused)")
    return Disconnected(f"the connection to the broker broke ({type(error).__name__})")


def _is_of_topic(said: str, message: Message) -> bool:
    """Whether a refusal is about the routing key of *message*, where it is about one at all (a topic permission)."""
    return "to topic '" not in said or f"to topic '{address(message)[1]}'" in said
