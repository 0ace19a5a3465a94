"""What a RabbitMQ tells about itself and about the rights of a user, while nothing is changed there.

A passive declaration asks whether something exists. What exists is then declared as it should be: RabbitMQ compares,
and answers `PRECONDITION_FAILED` where an argument differs (https://www.rabbitmq.com/docs/queues#property-equivalence).
It asks for the right to a message or a consumer before it looks at their properties, so one that it can never take
tells the right apart from its lack: a message whose `expiration` is no number
(https://www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers), a consumer whose `x-priority` is none
(https://www.rabbitmq.com/docs/consumer-priority). AMQP 0-9-1 has no way to ask for a binding, nor for the time.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from amqp import Message
from amqp.exceptions import AccessRefused, ChannelError, NotAllowed, NotFound, PreconditionFailed, ResourceLocked
from kombu import Connection, Exchange, Queue

from tasks.tls import TlsSettings
from worker.broker import topology
from worker.broker.connection import connect, user
from worker.broker.parts import Look, Part
from worker.broker.pyamqp import keep_closed

READ_TIMEOUT: Final = 5.0  # seconds for each answer
LOOK_AGAIN_AFTER: Final = (0.2, 1.0)  # seconds, where RabbitMQ does not say that a part is not there
_IMPOSSIBLE: Final = "doctor"  # no number: RabbitMQ refuses whatever has it for one
_NOT_THERE: Final = re.compile(r"no (?:queue|exchange) '")
_ARGUMENT: Final = re.compile(r"inequivalent arg '([^']+)'")
_VALUES: Final = re.compile(r"received (.+?) but current is (.+)", re.DOTALL)  # a long refusal ends before that
_VALUE: Final = re.compile(r"(?:the value )?'(.*?)'(?: of type '\w+')?", re.DOTALL)


class Blocked(Exception):  # noqa: N818 - a state of the broker
    """The broker takes no messages: it is short of memory or of disk."""


class NotLetIn(Exception):  # noqa: N818 - likewise
    """The broker does not take our login. One sentence, without a password."""


class Inspection:
    """A connection to a RabbitMQ, over which questions are asked, and what it says of itself."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._channel: Any = None

    @property
    def release(self) -> str:
        """The version of the broker, as it names it."""
        return str(self._opened.server_properties.get("version", ""))

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The broker's verified certificate, as `ssl` tells it; None without TLS."""
        shown = getattr(self._opened.transport.sock, "getpeercert", None)
        return shown() if shown else None

    def ask(self, question: Callable[[Any], Any]) -> Any:
        """The answer to *question*, which is given a channel. Raises the refusal, which closes that channel."""
        if self._channel is None:
            self._channel = self._opened.channel()
            keep_closed(self._channel)
        try:
            return question(self._channel)
        except ChannelError:
            self._channel.collect()
            self._channel = None
            raise


@contextmanager
def inspecting(url: str, tls: TlsSettings) -> Iterator[Inspection]:
    """An inspection of the one RabbitMQ of *url*. Raises NotLetIn, BROKER_ERRORS, and Blocked at a message."""
    with connect(url, tls) as connection:
        connection.transport_options |= {"read_timeout": READ_TIMEOUT, "write_timeout": READ_TIMEOUT}
        opened = _established(connection, user(url))
        opened.on_blocked = _blocked
        try:
            yield Inspection(opened)
        except BaseException:
            opened.collect()  # a broker that hangs would not answer a farewell
            raise
        opened.close()


def _established(connection: Connection, name: str | None) -> Any:
    try:
        return connection.transport.establish_connection()
    except AccessRefused:
        raise NotLetIn(f"the login of {name} is refused") from None
    except NotAllowed:
        raise NotLetIn(f"the virtual host is not there, or not for {name}") from None


def parts_of(inspection: Inspection, providers: Iterable[str]) -> Iterator[Part]:
    """Every exchange and queue of the topology, as this user finds it."""
    for exchange in topology.all_exchanges():
        yield _part(inspection, "exchange", exchange.name, _exchange(exchange))
    for name in (*topology.delay_levels(), topology.DELAY_EXIT):
        yield _part(inspection, "exchange", name, _exchange(Exchange(name, "topic")))
    for queue in topology.all_queues(providers):
        yield _part(inspection, "queue", queue.name, _queue(queue))
    for name in topology.delay_levels():
        yield _part(inspection, "queue", name, _queue(Queue(name)), is_compared=False)


def may_write(inspection: Inspection, exchange: str) -> bool:
    """Whether this user may publish to *exchange*, be it there or not. Raises Blocked."""

    def publish(channel: Any) -> None:
        channel.basic_publish(Message(b"", expiration=_IMPOSSIBLE), exchange)
        channel.basic_qos(0, 1, False)  # noqa: FBT003 - answered after the message was looked at

    return _is_allowed(inspection, publish)


def may_read(inspection: Inspection, queue: str) -> bool:
    """Whether this user may consume *queue*, be it there or not."""
    return _is_allowed(inspection, lambda channel: channel.basic_consume(queue, arguments={"x-priority": _IMPOSSIBLE}))


Declare = Callable[[Any, bool], Any]  # on a channel; passively or not


def _exchange(exchange: Exchange) -> Declare:
    def declare(channel: Any, passive: bool) -> Any:  # noqa: FBT001 - the protocol's word
        terms = {"durable": True, "auto_delete": False, "arguments": exchange.arguments}
        return channel.exchange_declare(exchange.name, exchange.type, passive=passive, **terms)

    return declare


def _queue(queue: Queue) -> Declare:
    def declare(channel: Any, passive: bool) -> Any:  # noqa: FBT001 - the protocol's word
        terms = {"durable": True, "auto_delete": False, "arguments": queue.queue_arguments}
        return channel.queue_declare(queue.name, passive=passive, **terms)

    return declare


def _part(inspection: Inspection, kind: str, name: str, declare: Declare, *, is_compared: bool = True) -> Part:
    """What exists is compared with what is declared, where *is_compared* and this user may declare."""
    try:
        found = _looked_up(inspection, declare)
    except NotFound:
        return Part(kind, name, Look.MISSING)
    except ResourceLocked:
        return Part(kind, name, Look.DIFFERENT, "exclusive", "it is the queue of one connection")
    counts = {"waiting": found.message_count, "consumers": found.consumer_count} if kind == "queue" else {}
    if not is_compared:
        return Part(kind, name, Look.UNSEEN, **counts)
    try:
        inspection.ask(lambda channel: declare(channel, False))  # noqa: FBT003 - as it should be
    except AccessRefused:
        return Part(kind, name, Look.UNSEEN, **counts)
    except PreconditionFailed as error:
        return Part(kind, name, Look.DIFFERENT, *_difference(str(error)), **counts)
    return Part(kind, name, Look.AS_DECLARED, **counts)


def _looked_up(inspection: Inspection, declare: Declare) -> Any:
    """What a passive declaration is answered. Raises NotFound, ResourceLocked.

    Of a queue whose leader is being elected, or whose answer takes too long, RabbitMQ says NOT_FOUND as well, in other
    words than `no queue`: it is asked again.
    """
    for pause in LOOK_AGAIN_AFTER:
        try:
            return inspection.ask(lambda channel: declare(channel, True))  # noqa: FBT003 - passively
        except NotFound as error:
            if _NOT_THERE.search(str(error)):
                raise
        time.sleep(pause)
    return inspection.ask(lambda channel: declare(channel, True))  # noqa: FBT003 - passively


def _difference(refusal: str) -> tuple[str, str]:
    """The argument that RabbitMQ says is another one, and how it differs, in words."""
    argument, values = _ARGUMENT.search(refusal), _VALUES.search(refusal)
    if argument is None:
        return "", "it has other properties"
    wanted, found = (_VALUE.sub(r"\1", each) for each in values.groups()) if values else ("another value", "not that")
    return argument[1], f"{argument[1]} is {found}, wanted {wanted}"


def _is_allowed(inspection: Inspection, question: Callable[[Any], Any]) -> bool:
    try:
        inspection.ask(question)
    except AccessRefused:
        return False
    except (PreconditionFailed, NotFound):
        pass
    return True


def _blocked(_reason: str) -> None:
    raise Blocked
