"""Where a frame ends, byte by byte; `integration/test_frames.py` reads those of a real broker."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from amqp.exceptions import UnexpectedFrame

from worker.engine.frames import FrameReader

END = b"\xce"


class Line:
    """A frame reader, the other end of its socket, and what it handed on."""

    def __init__(self) -> None:
        self.broker, ours = socket.socketpair()
        self.transport = SimpleNamespace(sock=ours, _read_buffer=b"")
        self.frames: list[tuple[int, int, bytes]] = []
        connection: Any = SimpleNamespace(transport=self.transport, on_inbound_frame=self.frames.append)
        self._reader = FrameReader(connection)

    def hear(self, data: bytes) -> None:
        """The broker sends *data*, and the reader reads once."""
        self.broker.sendall(data)
        self._reader.read()

    def read(self) -> None:
        """The reader reads once, whatever is there."""
        self._reader.read()

    def close(self) -> None:
        """Close both ends."""
        self.broker.close()
        self.transport.sock.close()


@pytest.fixture
def line() -> Iterator[Line]:
    """A line on which nothing was said."""
    made = Line()
    yield made
    made.close()


def frame(payload: bytes, channel: int = 1, kind: int = 3) -> bytes:
    """A frame without its end (AMQP 0-9-1, 2.3.5)."""
    return bytes([kind]) + channel.to_bytes(2, "big") + len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize("payload", [b"", b"x", b"\xce" * 9, bytes(300)])
def test_a_frame_is_whole_with_its_last_byte_and_not_before(line: Line, payload: bytes) -> None:
    """One byte short is no error and no frame."""
    line.hear(frame(payload))
    assert line.frames == []
    line.hear(END)
    assert line.frames == [(3, 1, payload)]


def test_frames_that_come_byte_by_byte_are_read_as_those_that_come_at_once(line: Line) -> None:
    """The network cuts where it likes."""
    payloads = [b"", b"a", b"\xce", b"bc\xce\xce", bytes(200)]
    told = b"".join(frame(payload) + END for payload in payloads)
    for byte in told:
        line.hear(bytes([byte]))
    line.hear(told)
    assert [payload for _, _, payload in line.frames] == payloads * 2
    assert line.transport._read_buffer == b""


@pytest.mark.parametrize("end", [b"\x00", b"\xcd", b"\xcf", b"\x03"])
def test_another_byte_at_the_end_is_an_error(line: Line, end: bytes) -> None:
    """Nobody guesses where the next frame begins."""
    with pytest.raises(UnexpectedFrame, match="without an end"):
        line.hear(frame(b"payload") + end)
    assert line.frames == []


def test_a_read_in_vain_changes_nothing(line: Line) -> None:
    """A loop may be woken with nothing there: the beginning of a frame is kept."""
    line.hear(frame(b"payload")[:9])
    before = line.transport._read_buffer
    line.read()
    assert (line.frames, line.transport._read_buffer) == ([], before)
    line.hear(frame(b"payload")[9:] + END)
    assert line.frames == [(3, 1, b"payload")]


def test_the_end_of_the_connection_is_an_error(line: Line) -> None:
    """Else the loop would read nothing for ever."""
    line.broker.close()
    with pytest.raises(ConnectionResetError, match="closed the connection"):
        line.read()
