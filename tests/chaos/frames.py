"""AMQP 0-9-1 frames, taken from a stream and made (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.3)."""

import struct
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from amqp import serialization
from amqp.spec import Basic, Channel, Connection, Queue

_METHOD, _HEADER, _BODY = 1, 2, 3  # types of frames
_AROUND: Final = 8  # bytes of a frame beside what it carries
_GREETING: Final = b"AMQP"  # what a client says before its first frame
_WITH_CONTENT: Final = {Basic.Deliver, Basic.GetOk, Basic.Return}  # methods of a server that a message follows
# The methods that are told apart, and the types of their arguments, as py-amqp writes them.
KINDS: Final[Mapping[tuple[int, int], str]] = {
    Connection.Close: "BsBB",
    Channel.Open: "s",
    Queue.Declare: "BsbbbbbF",
    Basic.Qos: "lBb",
    Basic.Consume: "BssbbbbF",
    Basic.Cancel: "sb",
    Basic.Deliver: "sLbss",
    Basic.Ack: "Lb",
    Basic.Reject: "Lb",
    Basic.Nack: "Lbb",
}


class Method(NamedTuple):
    """A method of one of the KINDS."""

    channel: int
    name: tuple[int, int]  # as in `amqp.spec`
    arguments: tuple[Any, ...]

    def frame(self) -> bytes:
        """The method as it travels."""
        arguments: bytes = serialization.dumps(KINDS[self.name], self.arguments)
        payload = struct.pack(">HH", *self.name) + arguments
        return struct.pack(">BHI", _METHOD, self.channel, len(payload)) + payload + b"\xce"


def taken(buffer: bytearray) -> Iterator[bytes]:
    """The whole frames at the beginning of *buffer*, which are taken from it."""
    while len(buffer) >= _AROUND:
        size = _AROUND + (0 if buffer.startswith(_GREETING) else struct.unpack_from(">I", buffer, 3)[0])
        if len(buffer) < size:
            return
        frame, buffer[:] = bytes(buffer[:size]), buffer[size:]
        yield frame


def method_of(frame: bytes) -> Method | None:
    """The method in *frame*; None for anything else, and for a method that is none of the KINDS."""
    if frame[0] != _METHOD or (name := struct.unpack_from(">HH", frame, 7)) not in KINDS:
        return None
    (channel,) = struct.unpack_from(">H", frame, 1)
    arguments, _ = serialization.loads(KINDS[name], frame, 11)
    return Method(channel, name, tuple(arguments))


class Content:
    """Whether a message of a server is under way, in whose middle nothing else may stand on its channel."""

    def __init__(self) -> None:
        self._missing: dict[int, int | None] = {}  # by channel, bytes of the body; None: its header is missing as well

    def __bool__(self) -> bool:
        return bool(self._missing)

    def follow(self, frame: bytes) -> None:
        """Take notice of *frame*."""
        kind, channel = struct.unpack_from(">BH", frame)
        if kind == _METHOD and struct.unpack_from(">HH", frame, 7) in _WITH_CONTENT:
            self._missing[channel] = None
        elif kind == _HEADER:
            (self._missing[channel],) = struct.unpack_from(">Q", frame, 11)
        elif kind == _BODY:
            self._missing[channel] = (self._missing[channel] or 0) - (len(frame) - _AROUND)
        if self._missing.get(channel) == 0:
            del self._missing[channel]
