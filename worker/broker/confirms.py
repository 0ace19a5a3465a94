"""One connection of the outbox on the event loop: messages out, confirms, nacks and returns in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.broker.publisher import BROKER_ERRORS, Message, PublishError, Refused, put, unroutable

if TYPE_CHECKING:
    from kombu import Connection


@dataclass(slots=True, eq=False)
class Entry:
    """A message on its way, and what became of it: None is confirmed."""

    message: Message
    fate: asyncio.Future[PublishError | None]  # a value: nobody may be there any more to take an exception
    since: float
    resent: bool = False

    def settle(self, failure: PublishError | None = None) -> None:
        """Tell whoever waits, the first time."""
        if not self.fate.done():
            self.fate.set_result(failure)


class Line:
    """A connection and a channel in confirm mode, good until the first doubt. Making one blocks."""

    def __init__(self, connection: Connection) -> None:
        connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
        self._connection = connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        self._channel._do_revive = lambda: None  # noqa: SLF001 - it would stop the loop, for a channel nobody needs
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self._amqp = connection.connection
        self._amqp.on_blocked, self._amqp.on_unblocked = self._on_blocked, self._on_unblocked
        self._sock = self._amqp.sock
        self._descriptor = self._sock.fileno()  # a socket that was closed has forgotten it
        self._frames = bytearray()
        self._last_tag = 0
        self._open: dict[int, Entry] = {}  # by delivery tag, oldest first
        self._returned: set[str] = set()  # message ids
        self.blocked = False
        self.refused = False  # whether a queue was full

    @property
    def oldest(self) -> float | None:
        """Since when the longest unanswered message waits, on the loop's clock; None: everything is answered."""
        return next(iter(self._open.values())).since if self._open else None

    def attach(self, loop: asyncio.AbstractEventLoop, read: Callable[[], None]) -> None:
        """From now on *loop* calls *read* when there is something to take in."""
        self._amqp.transport._write = self._frames.extend  # noqa: SLF001 - a frame a system call is too many
        loop.add_reader(self._descriptor, read)

    def detach(self, loop: asyncio.AbstractEventLoop) -> Iterable[Entry]:
        """Undo that; what is unanswered, oldest first."""
        loop.remove_reader(self._descriptor)
        entries, self._open = self._open.values(), {}
        return entries

    def write(self, entries: Iterable[Entry]) -> None:
        """Send *entries*, in one write."""
        for entry in entries:
            self._last_tag += 1
            self._open[self._last_tag] = entry
        for entry in entries:
            put(self._channel, entry.message)
        self._send()

    def read_all(self) -> bool:
        """Take in what is there; whether it ended a blockade."""
        was_blocked = self.blocked
        with contextlib.suppress(TimeoutError):
            while True:
                self._connection.drain_events(timeout=0)
        return was_blocked and not self.blocked

    def keep_alive(self) -> None:
        """Send a heartbeat when one is due; raises an error of the connection when the broker has sent none."""
        self._connection.heartbeat_check()
        self._send()

    def throw_away(self) -> None:
        """Close what is left of it. Blocks."""
        with contextlib.suppress(*BROKER_ERRORS):  # it is broken already: nothing more can be lost with it
            self._connection.collect(socket_timeout=1)

    def _send(self) -> None:
        if self._frames:
            self._sock.sendall(self._frames)
            self._frames.clear()

    def _confirmed(self, tag: int, *, multiple: bool) -> list[Entry]:
        if not multiple:
            return [self._open.pop(tag)]
        tags = [each for each in self._open if each <= tag]
        return [self._open.pop(each) for each in tags]

    def _on_ack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        for entry in self._confirmed(tag, multiple=multiple):
            if entry.message.message_id in self._returned:
                self._returned.discard(entry.message.message_id)
                entry.settle(unroutable(entry.message))
            else:
                entry.settle()

    def _on_nack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        self.refused = True
        for entry in self._confirmed(tag, multiple=multiple):
            entry.settle(Refused("the broker refused the message: its queue is full"))

    def _on_return(self, _error: object, _exchange: str, _routing_key: str, message: Any) -> None:  # noqa: ANN401
        self._returned.add(message.properties.get("message_id"))

    def _on_blocked(self, _reason: str) -> None:
        self.blocked = True

    def _on_unblocked(self) -> None:
        self.blocked = False
