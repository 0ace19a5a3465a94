"""Everything that is changed in py-amqp; `amqp_salvage` belongs to it.

**Reading.** Nothing that a producer writes may end the process that reads it. RabbitMQ hands properties and routing
keys on as they came. py-amqp raises in the middle of a read for tables within tables that are deeper than Python's
stack, for a time after the year 9999 (milliseconds where seconds belong), and for text that is not UTF-8. It hands on a
name that is not UTF-8 as bytes, and lone surrogates as they are, which no JSON and no database takes. Such a message
would do the same to the next process, and from the dead letters to the recorder, for ever. So what cannot be read is as
if it were not there, and nothing else: a header that is no good takes neither the proof of who sent the message along,
nor the attributes of its event.

**Writing.** A system call for each frame, which wakes the broker each time, is too many: `one_write` gathers them, and
makes as few acknowledgements of many as there can be.

**Giving back.** RabbitMQ gives up a message whose tries failed too often. From 4.3 on a `reject` is a failed try and a
`nack` is none; before, both are (https://www.rabbitmq.com/docs/4.3/nack#reject-vs-nack). Who lives to give a message
back did not fail because of it: so whatever is requeued here leaves as a `nack`. A message that kills its process is
counted by every version, with the connection that breaks.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Final

from amqp import abstract_channel, serialization
from amqp.channel import Channel
from amqp.spec import Basic
from kombu.message import Message

from worker.broker.amqp_salvage import UNREADABLE, salvaged
from worker.broker.settled_tags import SettledTags

READ_SIZE: Final = 16_384  # bytes
DEEPEST: Final = 8  # tables within tables; the broker's own `x-death` has three levels

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_open_channel: Final = Channel.open  # py-amqp's own, like those below
_acknowledge: Final = Channel.basic_ack
_reject_as_failed: Final = Channel.basic_reject

Properties = dict[str, Any]


def install() -> None:
    """Have py-amqp, in this process, read everything, acknowledge many at once, and give back without blame."""
    serialization.PROPERTY_CLASSES[Basic.CLASS_ID] = _properties
    abstract_channel.loads = _arguments
    Channel.open = _open
    Channel.basic_ack = _ack
    Channel.basic_reject = _reject


@contextmanager
def one_write(transport: Any) -> Iterator[None]:
    """Send what py-amqp writes to *transport* in one write; nobody may await an answer in between. Raises OSError."""
    frames, write = bytearray(), transport._write  # what py-amqp calls for each frame
    transport._write, transport.waiting_acks = frames.extend, defaultdict[Any, list[int]](list)
    try:
        yield
        _send_acks(transport.waiting_acks)
    finally:
        transport._write, transport.waiting_acks = write, None
    if frames:
        transport.write(frames)


def read_ahead(transport: Any) -> None:
    """Have *transport* read from its socket what is there, and not each frame in three parts.

    Not where somebody waits for the socket to be readable: what was read ahead wakes nobody.
    """
    receive = transport._quick_recv  # what py-amqp fills its buffer with
    transport._quick_recv = lambda size: receive(max(size, READ_SIZE))


def acknowledge(messages: Sequence[Message]) -> None:
    """Acknowledge *messages*, all of one channel, in one write. Raises the transport's errors."""
    transport = getattr(messages[0].channel.connection, "transport", None) if messages else None
    with one_write(transport) if hasattr(transport, "_write") else nullcontext():
        for message in messages:
            message.ack()


def give_back_all(channel: Any) -> None:
    """Give back what *channel* of a RabbitMQ has delivered and nobody settled. Raises the transport's errors."""
    _nack(channel, 0, multiple=True)  # 0: each of them


def keep_closed(channel: Any) -> None:
    """Have *channel* stay closed when the broker closes it: py-amqp would wait for a new one, which nobody needs."""
    channel._do_revive = lambda: None  # what py-amqp calls then


def _open(channel: Any) -> Any:
    channel.settled_tags = SettledTags()  # also where it opens again: the broker counts from 1 then
    return _open_channel(channel)


def _ack(channel: Any, delivery_tag: int, multiple: bool = False) -> None:  # noqa: FBT001, FBT002 - py-amqp's signature
    waiting = getattr(channel.connection.transport, "waiting_acks", None) if channel.connection else None
    if waiting is not None:
        waiting[channel].append(delivery_tag)
    else:
        channel.settled_tags.add(delivery_tag)
        _acknowledge(channel, delivery_tag, multiple)


def _send_acks(waiting: dict[Any, list[int]]) -> None:
    for channel, tags in waiting.items():
        for tag, multiple in channel.settled_tags.acks(tags):
            _acknowledge(channel, tag, multiple)


def _reject(channel: Any, delivery_tag: int, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - py-amqp's signature
    channel.settled_tags.add(delivery_tag)
    if requeue:
        _nack(channel, delivery_tag, multiple=False)
    else:
        _reject_as_failed(channel, delivery_tag, requeue=False)


def _nack(channel: Any, delivery_tag: int, *, multiple: bool) -> None:
    channel.send_method(Basic.Nack, "Lbb", (delivery_tag, multiple, True))  # the last: back to its queue


def _properties(frame: bytes, offset: int) -> tuple[Properties, int]:
    """The properties in a content header, of which *frame* holds nothing after them: those that can be read."""
    try:
        properties, end = serialization.decode_properties_basic(frame, offset)
    except Exception:  # noqa: BLE001 - whatever it is, it is the message's fault
        return legible_part(salvaged(frame, offset)), len(frame)
    return (properties, end) if is_readable(properties) else (legible_part(properties), end)


def legible_part(value: dict[str, Any], levels: int = DEEPEST + 1) -> dict[str, Any]:
    """*value* without what cannot be read in it, as `is_readable` has it."""
    legible = {
        name: _legible(each, levels - 1) for name, each in value.items() if isinstance(name, str) and is_readable(name)
    }
    return {name: each for name, each in legible.items() if each is not UNREADABLE}


def _legible(value: object, levels: int) -> object:
    if not isinstance(value, dict | list):
        return value if is_readable(value) else UNREADABLE
    if levels <= 0:
        return UNREADABLE
    if isinstance(value, dict):
        return legible_part(value, levels)
    return [each for each in (_legible(each, levels - 1) for each in value) if each is not UNREADABLE]


def is_readable(value: object, levels: int = DEEPEST + 1) -> bool:
    """Whether *value* is at most *levels* deep, its names are text, and its text is Unicode."""
    if isinstance(value, str):
        return value.isascii() or not _SURROGATE.search(value)
    if isinstance(value, dict):
        named = all(isinstance(name, str) for name in value) and is_readable("".join(value))
        return named and is_readable([*value.values()], levels)
    if isinstance(value, list):
        return levels > 0 and all(each is None or is_readable(each, levels - 1) for each in value)
    return True


def _arguments(kinds: str, payload: bytes, offset: int) -> Any:
    """The arguments of a method; of a routing key that is no text, what can be read of it."""
    try:
        return serialization.loads(kinds, payload, offset)
    except UnicodeDecodeError:
        return serialization.loads(kinds, _Legible(payload), offset)


class _Legible(bytes):
    """Bytes that are text, with a replacement character for what is none."""

    def __getitem__(self, where: Any) -> Any:
        part = super().__getitem__(where)
        return _Legible(part) if isinstance(part, bytes) else part

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - who decodes is strict
        return super().decode(encoding, "replace")
