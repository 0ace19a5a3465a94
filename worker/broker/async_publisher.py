"""The publishers of coroutines: on the event loop for RabbitMQ, in a thread for the embedded broker.

What tasks publish within WRITE_DELAY leaves in one write, and what they publish during one batch makes up the next in
the thread. Records among it are packed. No task waits for another.
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Final

from kombu import Connection

from worker.broker.confirms import Answers, ConfirmChannel, Publication, confirmed, resolve, retry_once, throw_away
from worker.broker.packing import packed
from worker.broker.publication import BROKER_ERRORS, Disconnected, Message, PublishError, Unconfirmed, broken
from worker.broker.publisher import CONFIRM_TIMEOUT, Publisher

# Seconds a message waits for others: a call costs less the more of them share a write and a pack. It is over by then,
# and only its acknowledgement waits too.
WRITE_DELAY: Final = 0.01
CHECK_INTERVAL: Final = 1.0  # seconds between two looks at what is overdue


class AsyncPublisher:
    """Publishes from coroutines; *connect* makes a fresh connection. To be used on one event loop only."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Publication] = deque()
        self._channel: ConfirmChannel | None = None
        self._is_blocked = False  # by a broker that is short of memory or disk space, or to be replaced
        self._opening: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._check = self._loop.call_later(CHECK_INTERVAL, self._look)

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        answers: Answers = [self._loop.create_future() for _ in messages]
        now = self._loop.time()
        self._waiting.extend(map(Publication, messages, (partial(resolve, each) for each in answers), repeat(now)))
        if self._flush is None:
            self._flush = self._loop.call_later(WRITE_DELAY, self._write)
        await confirmed(answers)

    async def close(self) -> None:
        """Close the connection; what is not confirmed by now is not known to be safe."""
        self._check.cancel()
        if self._opening:
            await self._opening
        self._break(lambda _: Disconnected("the worker stops"), quick=False)

    def _write(self) -> None:
        self._flush = None
        if self._channel is None:
            self._opening = self._opening or self._loop.create_task(self._open())
        elif not self._is_blocked:
            publications, self._waiting = packed(self._waiting), deque()
            with self._watching():
                self._channel.send(publications)

    async def _open(self) -> None:
        try:
            channel = await self._loop.run_in_executor(None, ConfirmChannel, self._connect())
        except BROKER_ERRORS as error:
            while self._waiting:
                self._waiting.popleft().settle(Disconnected(f"no connection to the broker ({type(error).__name__})"))
        else:
            self._use(channel)
            self._write()
        finally:
            self._opening = None

    def _use(self, channel: ConfirmChannel) -> None:
        self._channel, self._is_blocked = channel, False
        channel.amqp.on_blocked, channel.amqp.on_unblocked = self._on_blocked, self._on_unblocked
        self._descriptor = channel.amqp.sock.fileno()  # a socket that was closed has forgotten it
        self._loop.add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        was_blocked = self._is_blocked
        with self._watching():
            if self._channel:
                self._channel.read()
                if was_blocked and not self._is_blocked:
                    self._write()
        self._replace_refused()

    def _look(self) -> None:
        self._check = self._loop.call_later(CHECK_INTERVAL, self._look)
        overdue = self._loop.time() - CONFIRM_TIMEOUT
        failure = Unconfirmed("the broker did not confirm in time")
        if self._channel and (self._channel.confirms.oldest or overdue) < overdue:
            self._break(lambda _: failure, quick=False)
        while self._waiting and self._waiting[0].since < overdue:
            self._waiting.popleft().settle(failure)
        with self._watching():
            if self._channel:
                self._channel.connection.heartbeat_check()
                self._is_blocked = self._is_blocked or self._channel.is_refused
        self._replace_refused()

    def _replace_refused(self) -> None:
        """End a channel that a full queue refused something, once a second at most, and when all on it is answered.

        RabbitMQ before 3.13.8 goes on refusing that channel when the queue's limit is lifted
        (https://github.com/rabbitmq/rabbitmq-server/issues/12206).
        """
        channel = self._channel
        if channel and channel.is_refused and self._is_blocked and channel.confirms.oldest is None:
            self._break(lambda _: Disconnected("a full queue refused the connection"), quick=False)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Any error of the channel ends it."""
        try:
            yield
        except BROKER_ERRORS as error:
            self._break(partial(broken, error), quick=True)

    def _break(self, failure_of: Callable[[Message], PublishError], *, quick: bool) -> None:
        """Throw the channel away; *quick* lets the messages on it go once more, over the next one."""
        channel, self._channel = self._channel, None
        if channel is None:
            return
        self._loop.remove_reader(self._descriptor)
        unsettled = [(each, failure_of(each.message)) for each in channel.confirms.unsettled()]
        self._waiting.extend(retry_once(unsettled, quick=quick))
        self._loop.run_in_executor(None, throw_away, channel.connection)
        if self._waiting:
            self._write()

    def _on_blocked(self, _reason: str) -> None:
        self._is_blocked = True

    def _on_unblocked(self) -> None:
        self._is_blocked = False


BATCH_SIZE: Final = 200  # messages whose confirms are awaited together


class ThreadPublisher:
    """A thread with a `Publisher`. Whatever came in while one batch was on its way makes up the next."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._waiting: queue.SimpleQueue[Publication | None] = queue.SimpleQueue()  # None: nothing comes after it
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    async def publish(self, *messages: Message) -> None:
        """Publish *messages*; returns once the broker confirmed all of them, else raises `PublishError`."""
        answers: Answers = [asyncio.get_running_loop().create_future() for _ in messages]
        for message, answer in zip(messages, answers, strict=True):
            self._waiting.put(Publication(message, partial(_resolve, answer)))
        await confirmed(answers)

    async def close(self) -> None:
        """Publish what is waiting, then close the connection."""
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)
        self._publisher.close()

    def _run(self) -> None:
        while batch := self._take():
            self._publisher.settle(batch)

    def _take(self) -> list[Publication]:
        """Return the next batch, once there is one; an empty one is the end."""
        batch, last = list[Publication](), self._waiting.get()
        while last is not None:
            batch.append(last)
            if self._waiting.empty() or len(batch) == BATCH_SIZE:
                return batch
            last = self._waiting.get()
        if batch:
            self._waiting.put(None)
        return batch


def _resolve(answer: asyncio.Future[PublishError | None], failure: PublishError | None) -> None:
    answer.get_loop().call_soon_threadsafe(resolve, answer, failure)
