"""Frames in: what a socket has is read at once, and every frame that is whole is handed to py-amqp.

py-amqp's own way asks the socket for each frame three times, sets its timeout twice, and takes a turn of the hub for
each message.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Any, Final

from amqp.exceptions import UnexpectedFrame

AT_ONCE: Final = 16 * 1024  # bytes: some messages; what is left over is copied with each frame
_HEADER: Final = Struct(">BHI")  # type, channel, size of the payload (AMQP 0-9-1, 2.3.5)
_END: Final = 0xCE


class FrameReader:
    """Reads for *connection*, over TCP without TLS. What py-amqp reads itself, while it waits, fits in between."""

    def __init__(self, connection: Any) -> None:
        self._transport = connection.transport
        self._recv = connection.transport.sock.recv
        self._on_frame = connection.on_inbound_frame

    def read(self) -> None:
        """Take in what is there. Raises OSError, or an AMQPError, where the connection is no good any more."""
        try:
            data = self._recv(AT_ONCE, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        self._transport._read_buffer += data  # where py-amqp keeps the beginning of a frame
        while frame := self._whole_frame():
            self._on_frame(frame)

    def _whole_frame(self) -> tuple[int, int, bytes] | None:
        buffer: bytes = self._transport._read_buffer  # the same; a frame may lead to a wait, in between
        if len(buffer) < _HEADER.size:
            return None
        kind, channel, size = _HEADER.unpack_from(buffer)
        end = _HEADER.size + size
        if len(buffer) <= end:
            return None
        if buffer[end] != _END:
            raise UnexpectedFrame("a frame without an end")
        self._transport._read_buffer = buffer[end + 1 :]
        return kind, channel, buffer[_HEADER.size : end]
