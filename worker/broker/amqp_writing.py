"""Writing of many AMQP frames at once: a frame a system call, which wakes the broker, is too many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def one_write(transport: Any) -> Iterator[None]:  # noqa: ANN401 - py-amqp ships no types
    """Send what py-amqp writes to *transport* meanwhile in one write; nobody may wait for an answer to it in between.

    Raises OSError where that cannot be sent.
    """
    frames, write = bytearray(), transport._write  # noqa: SLF001 - what py-amqp calls for each frame
    transport._write = frames.extend  # noqa: SLF001 - the same
    try:
        yield
    finally:
        transport._write = write  # noqa: SLF001 - the same
    if frames:
        transport.write(frames)
