"""What a RabbitMQ tells about itself and about the rights of a user, while nothing is changed there.

A passive declaration asks whether something exists. What exists is then declared as it should be: RabbitMQ compares,
and answers `PRECONDITION_FAILED` where an argument differs (https://www.rabbitmq.com/docs/queues#property-equivalence).
It asks for the right to a message or a consumer before it looks at their properties, so one that it can never take
tells the right apart from its lack: a message whose `expiration` is no number
(https://www.rabbitmq.com/docs/ttl#per-message-ttl-in-publishers), a consumer whose `x-priority` is none
(https://www.rabbitmq.com/docs/consumer-priority). AMQP 0-9-1 has no way to ask for a binding, nor for the time.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from amqp import Message
from amqp.exceptions import AccessRefused, ChannelError, NotFound, PreconditionFailed, ResourceLocked
from kombu import Exchange, Queue

from tasks.tls import TlsSettings
from worker.broker import topology
from worker.broker.connection import connect
from worker.broker.parts import Look, Part
from worker.broker.pyamqp import keep_closed

READ_TIMEOUT: Final = 5.0  # seconds for each answer
_IMPOSSIBLE: Final = "doctor"  # no number: RabbitMQ refuses whatever has it for one
_ARGUMENT: Final = re.compile(r"inequivalent arg '([^']+)'")
_VALUES: Final = re.compile(r"received (.+?) but current is (.+)", re.DOTALL)  # a long refusal ends before that
_VALUE: Final = re.compile(r"the value '(.*?)' of type '\w+'", re.DOTALL)


class Blocked(Exception):  # noqa: N818 - a state of the broker
    """The broker takes no messages: it is short of memory or of disk."""


@contextmanager
def inspecting(url: str, tls: TlsSettings) -> Iterator[Any]:
    """An open connection to the one RabbitMQ of *url*. Raises BROKER_ERRORS, and Blocked where nothing can be sent."""
    with connect(url, tls) as connection:
        connection.transport_options |= {"read_timeout": READ_TIMEOUT, "write_timeout": READ_TIMEOUT}
        opened = connection.transport.establish_connection()
        opened.on_blocked = _blocked
        try:
            yield opened
        except BaseException:
            opened.collect()  # a broker that hangs would not answer a farewell
            raise
        opened.close()


def release_of(opened: Any) -> str:
    """The version of the broker, as it names it."""
    return str(opened.server_properties.get("version", ""))


def certificate_of(opened: Any) -> Mapping[str, Any] | None:
    """The broker's verified certificate, as `ssl` tells it; None without TLS."""
    shown = getattr(opened.transport.sock, "getpeercert", None)
    return shown() if shown else None


def parts_of(opened: Any, providers: Iterable[str]) -> Iterator[Part]:
    """Every exchange and queue of the topology, as this user finds it."""
    for exchange in topology.all_exchanges():
        yield _part(opened, "exchange", exchange.name, _exchange(exchange))
    for name in (*topology.delay_levels(), topology.DELAY_EXIT):
        yield _part(opened, "exchange", name, _exchange(Exchange(name, "topic")))
    for queue in topology.all_queues(providers):
        yield _part(opened, "queue", queue.name, _queue(queue))
    for name in topology.delay_levels():
        yield _part(opened, "queue", name, _queue(Queue(name)), is_compared=False)


def may_write(opened: Any, exchange: str) -> bool:
    """Whether this user may publish to *exchange*, be it there or not. Raises Blocked."""

    def publish(channel: Any) -> None:
        channel.basic_publish(Message(b"", expiration=_IMPOSSIBLE), exchange)
        channel.basic_qos(0, 1, False)  # noqa: FBT003 - answered after the message was looked at

    return _is_allowed(opened, publish)


def may_read(opened: Any, queue: str) -> bool:
    """Whether this user may consume *queue*, be it there or not."""
    return _is_allowed(opened, lambda channel: channel.basic_consume(queue, arguments={"x-priority": _IMPOSSIBLE}))


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


def _part(opened: Any, kind: str, name: str, declare: Declare, *, is_compared: bool = True) -> Part:
    """What exists is compared with what is declared, where *is_compared* and this user may declare."""
    try:
        found = _asked(opened, lambda channel: declare(channel, True))  # noqa: FBT003 - passively
    except NotFound:
        return Part(kind, name, Look.MISSING)
    except ResourceLocked:
        return Part(kind, name, Look.DIFFERENT, "exclusive", "it is the queue of one connection")
    counts = {"waiting": found.message_count, "consumers": found.consumer_count} if kind == "queue" else {}
    if not is_compared:
        return Part(kind, name, Look.UNSEEN, **counts)
    try:
        _asked(opened, lambda channel: declare(channel, False))  # noqa: FBT003 - as it should be
    except AccessRefused:
        return Part(kind, name, Look.UNSEEN, **counts)
    except PreconditionFailed as error:
        return Part(kind, name, Look.DIFFERENT, *_difference(str(error)), **counts)
    return Part(kind, name, Look.AS_DECLARED, **counts)


def _difference(refusal: str) -> tuple[str, str]:
    """The argument that RabbitMQ says is another one, and how it differs, in words."""
    argument, values = _ARGUMENT.search(refusal), _VALUES.search(refusal)
    if argument is None:
        return "", "it has other properties"
    wanted, found = (_VALUE.sub(r"\1", each) for each in values.groups()) if values else ("another value", "not that")
    return argument[1], f"{argument[1]} is {found}, wanted {wanted}"


def _is_allowed(opened: Any, ask: Callable[[Any], Any]) -> bool:
    try:
        _asked(opened, ask)
    except AccessRefused:
        return False
    except (PreconditionFailed, NotFound):
        pass
    return True


def _asked(opened: Any, ask: Callable[[Any], Any]) -> Any:
    """The answer to *ask*, on a channel of its own, because a refusal closes it. Raises the refusal."""
    channel = opened.channel()
    keep_closed(channel)
    try:
        answer = ask(channel)
    except ChannelError:
        channel.collect()
        raise
    channel.close()
    return answer


def _blocked(_reason: str) -> None:
    raise Blocked
