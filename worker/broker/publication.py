"""What is to be published, how it leaves for RabbitMQ, and what may become of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import getrandbits
from typing import Any, Final

from amqp import spec
from amqp.exceptions import AccessRefused, AMQPError, NotFound
from kombu.exceptions import KombuError

from worker.broker import topology

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


def prepared(channel: Any, message: Message, headers: Mapping[str, object] | None = None) -> Any:
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


def put(channel: Any, message: Message) -> None:
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
