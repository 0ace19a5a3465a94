"""The outbox on the event loop, for RabbitMQ: no second thread fights for the interpreter, no task waits for another.

What the tasks of one turn publish leaves in one write; confirms are matched to messages by delivery tag
(https://www.rabbitmq.com/docs/confirms#publisher-confirms), returns by message id. A nack and a return are answers, to
one message each; whatever leaves a doubt (no confirm in time, any error of the channel or the connection) is the end of
the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from amqp import spec

from worker.publisher import (
    BROKER_ERRORS,
    CONFIRM_TIMEOUT,
    Disconnected,
    Message,
    PublishError,
    Refused,
    Unconfirmed,
    address,
    broken,
    prepared,
    unroutable,
)

if TYPE_CHECKING:
    from kombu import Connection

GATHERING: Final = 0.002  # seconds a message waits for company: the call it tells of is over, only its ack waits too
CHECKING: Final = 1.0  # seconds between two looks at what is overdue


@dataclass(slots=True, eq=False)
class _Entry:
    message: Message
    fate: asyncio.Future[PublishError | None]  # a value: nobody may be there any more to take an exception
    since: float
    resent: bool = False

    def settle(self, failure: PublishError | None = None) -> None:
        if not self.fate.done():
            self.fate.set_result(failure)


class LoopOutbox:
    """Publishes from coroutines; *connect* makes a fresh connection. To be used on one event loop only."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Entry] = deque()
        self._line: _Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._check = self._loop.call_later(CHECKING, self._look)

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        now = self._loop.time()
        entries = [_Entry(message, self._loop.create_future(), now) for message in messages]
        self._waiting.extend(entries)
        if self._flush is None:
            self._flush = self._loop.call_later(GATHERING, self._write)
        for entry in entries:
            if failure := await entry.fate:
                raise failure

    async def close(self) -> None:
        """Close the connection; what is not confirmed by now is not known to be safe."""
        self._check.cancel()
        if self._opening:
            await self._opening
        self._break(lambda _: Disconnected("the worker stops"), again=False)

    def _write(self) -> None:
        self._flush = None
        if self._line is None:
            self._opening = self._opening or self._loop.create_task(self._open())
        elif not self._line.blocked:
            entries, self._waiting = self._waiting, deque()
            with self._watching():
                self._line.write(entries)

    async def _open(self) -> None:
        try:
            line = await self._loop.run_in_executor(None, _Line, self._connect())
        except BROKER_ERRORS as error:
            self._fail_waiting(Disconnected(f"no connection to the broker ({type(error).__name__})"))
        else:
            self._line = line
            line.attach(self._loop, self._read)
            self._write()
        finally:
            self._opening = None

    def _read(self) -> None:
        with self._watching():
            if self._line and self._line.read_all():
                self._write()

    def _look(self) -> None:
        self._check = self._loop.call_later(CHECKING, self._look)
        overdue = self._loop.time() - CONFIRM_TIMEOUT
        failure = Unconfirmed("the broker did not confirm in time")
        if self._line and (self._line.oldest or overdue) < overdue:
            self._break(lambda _: failure, again=False)
        while self._waiting and self._waiting[0].since < overdue:
            self._waiting.popleft().settle(failure)
        with self._watching():
            if self._line:
                self._line.keep_alive()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Any error of the line ends it."""
        try:
            yield
        except BROKER_ERRORS as error:
            self._break(partial(broken, error))

    def _break(self, fate: Callable[[Message], PublishError], *, again: bool = True) -> None:
        """Throw the line away; what was on it goes once more over the next one, if the line was at fault.

        Where a message was, its neighbours are not counted to have had their second try.
        """
        line, self._line = self._line, None
        if line is None:
            return
        fates = [(entry, fate(entry.message)) for entry in line.detach(self._loop)]
        culprits = not all(isinstance(failure, Disconnected) for _, failure in fates)
        for entry, failure in fates:
            if again and isinstance(failure, Disconnected) and (culprits or not entry.resent):
                entry.resent = not culprits
                self._waiting.append(entry)
            else:
                entry.settle(failure)
        self._loop.run_in_executor(None, line.throw_away)
        if self._waiting:
            self._write()

    def _fail_waiting(self, failure: PublishError) -> None:
        while self._waiting:
            self._waiting.popleft().settle(failure)


class _Line:
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
        self._open: dict[int, _Entry] = {}  # by delivery tag, oldest first
        self._returned: set[str] = set()  # message ids
        self.blocked = False

    @property
    def oldest(self) -> float | None:
        return next(iter(self._open.values())).since if self._open else None

    def attach(self, loop: asyncio.AbstractEventLoop, read: Callable[[], None]) -> None:
        self._amqp.transport._write = self._frames.extend  # noqa: SLF001 - a frame a system call is too many
        loop.add_reader(self._descriptor, read)

    def detach(self, loop: asyncio.AbstractEventLoop) -> Iterable[_Entry]:
        loop.remove_reader(self._descriptor)
        entries, self._open = self._open.values(), {}
        return entries

    def write(self, entries: Iterable[_Entry]) -> None:
        for entry in entries:
            self._last_tag += 1
            self._open[self._last_tag] = entry
        for entry in entries:
            # Not basic_publish: it reads from the socket before each message.
            self._channel.send_method(
                spec.Basic.Publish,
                "Bssbb",
                (0, *address(entry.message), True, False),
                prepared(self._channel, entry.message),
            )
        self._send()

    def read_all(self) -> bool:
        """Take in what is there; whether it ended a blockade."""
        was_blocked = self.blocked
        with contextlib.suppress(TimeoutError):
            while True:
                self._connection.drain_events(timeout=0)
        return was_blocked and not self.blocked

    def keep_alive(self) -> None:
        self._connection.heartbeat_check()
        self._send()

    def throw_away(self) -> None:
        with contextlib.suppress(*BROKER_ERRORS):  # it is broken already: nothing more can be lost with it
            self._connection.collect(socket_timeout=1)

    def _send(self) -> None:
        if self._frames:
            self._sock.sendall(self._frames)
            self._frames.clear()

    def _confirmed(self, tag: int, *, multiple: bool) -> list[_Entry]:
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
        for entry in self._confirmed(tag, multiple=multiple):
            entry.settle(Refused("the broker refused the message: its queue is full"))

    def _on_return(self, _error: object, _exchange: str, _routing_key: str, message: Any) -> None:  # noqa: ANN401
        self._returned.add(message.properties.get("message_id"))

    def _on_blocked(self, _reason: str) -> None:
        self.blocked = True

    def _on_unblocked(self) -> None:
        self.blocked = False
