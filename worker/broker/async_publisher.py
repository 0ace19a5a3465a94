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
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from worker.broker.confirms import Entry, Line
from worker.broker.publisher import (
    BROKER_ERRORS,
    CONFIRM_TIMEOUT,
    Disconnected,
    Message,
    PublishError,
    Unconfirmed,
    broken,
)

if TYPE_CHECKING:
    from kombu import Connection

GATHERING: Final = 0.002  # seconds a message waits for company: the call it tells of is over, only its ack waits too
CHECKING: Final = 1.0  # seconds between two looks at what is overdue


class LoopOutbox:
    """Publishes from coroutines; *connect* makes a fresh connection. To be used on one event loop only."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Entry] = deque()
        self._line: Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._check = self._loop.call_later(CHECKING, self._look)

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        now = self._loop.time()
        entries = [Entry(message, self._loop.create_future(), now) for message in messages]
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
            line = await self._loop.run_in_executor(None, Line, self._connect())
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
        self._replace_refused()

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
                self._line.blocked = self._line.blocked or self._line.refused
        self._replace_refused()

    def _replace_refused(self) -> None:
        """End a line that a full queue refused something, once a second at most, and when all on it is answered.

        RabbitMQ before 3.13.8 goes on refusing that channel when the queue's limit is lifted
        (https://github.com/rabbitmq/rabbitmq-server/issues/12206).
        """
        line = self._line
        if line and line.refused and line.blocked and line.oldest is None:
            self._break(lambda _: Disconnected("a full queue refused the connection"), again=False)

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
