"""A protocol double of RabbitMQ 4.3: a proxy before an older one, that does what 4.3 does otherwise.

It changes what travels between the two, and keeps no message. What it does as
https://www.rabbitmq.com/docs/4.3/quorum-queues#consumer-timeout and the release notes of 4.3.0 tell it:

* A consumer that times out is cancelled by `basic.cancel`. What it holds goes back to the queue at once, while the
  channel stays. An acknowledgement that comes later is ignored; with *refuses_late* the broker answers it as it answers
  any unknown delivery tag, and closes the channel.
* Whoever declares a queue that is neither durable nor exclusive has its connection closed with 541.

`said` has what the clients said, for what 4.3 counts: a `reject` is a failed try, a `nack` is none.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, Final

from amqp.spec import Basic, Channel, Connection, Queue

from chaos.frames import Content, Method, method_of, taken
from chaos.proxy import CHUNK, End, Proxy, Way

_SETTLEMENTS: Final = {Basic.Ack, Basic.Reject, Basic.Nack}
_REFUSAL: Final = (541, "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.", *Queue.Declare)


class NewerRabbitMQ(Proxy):
    """RabbitMQ 4.3, on the port `port`; the real broker listens on *target*."""

    def __init__(self, target: int, *, refuses_late: bool = False) -> None:
        self.said: list[Method] = []
        self._refuses_late = refuses_late
        self._lines: list[_Line] = []
        super().__init__(target)

    def time_out(self, queue: str) -> int:
        """Have every consumer of *queue* time out; returns how many messages went back."""

        async def on_each_line() -> int:
            return sum(line.time_out(queue) for line in self._lines)

        return self._on_loop(on_each_line)

    def declared(self) -> Iterator[tuple[str, bool]]:
        """Each queue that somebody declared, and whether 4.3 lets them."""
        for method in self.said:
            if method.name == Queue.Declare:
                yield method.arguments[1], not _is_transient(method)

    def _ways(self, client: End, target: End) -> Iterable[Coroutine[None, None, None]]:
        self._lines.append(line := _Line(client[1], target[1], refuses_late=self._refuses_late))
        return self._pass(client[0], target[1], line, Way.UP), self._pass(target[0], client[1], line, Way.DOWN)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: "_Line", way: Way) -> None:
        buffer = bytearray()
        try:
            while data := await reader.read(CHUNK):
                buffer += data
                for frame in taken(buffer):
                    if way is Way.DOWN:
                        line.down(frame)
                    else:
                        self.said += line.up(frame)
                await writer.drain()
            writer.write_eof()
        finally:
            line.forget()


class _Line:
    """One connection: who consumes there, what they hold, and what is to be said once no message is under way."""

    def __init__(self, client: asyncio.StreamWriter, target: asyncio.StreamWriter, *, refuses_late: bool) -> None:
        self._client, self._target, self._refuses_late = client, target, refuses_late
        self._consumers: dict[tuple[int, str], str] = {}  # channel and tag → queue
        self._held: dict[tuple[int, int], str] = {}  # channel and delivery tag → tag of the consumer
        self._timed_out: dict[tuple[int, int], str] = {}  # the same, of those who hold them no more
        self._content = Content()
        self._waiting: list[Method] = []
        self._is_closed = False

    def time_out(self, queue: str) -> int:
        """Cancel the consumers of *queue*; returns how many messages they held."""
        before = len(self._timed_out)
        for (channel, tag), name in list(self._consumers.items()):
            if name == queue:
                del self._consumers[channel, tag]
                self._cancel(channel, tag)
        self._say()
        return len(self._timed_out) - before

    def up(self, frame: bytes) -> Iterator[Method]:
        """Pass *frame* on to the broker; gives its method."""
        method = method_of(frame)
        if method:
            yield method
        if (method is None or self._is_let_through(method)) and not self._is_closed:
            self._target.write(frame)

    def down(self, frame: bytes) -> None:
        """Pass *frame* on to the client."""
        self._content.follow(frame)
        self._client.write(frame)
        match method_of(frame):
            case Method(channel, Basic.Deliver, (str(consumer), int(tag), *_)):
                self._held[channel, tag] = consumer
        self._say()

    def forget(self, channel: int | None = None) -> None:
        """Forget what was known of *channel*, or of all of them."""
        known: tuple[dict[Any, str], ...] = self._consumers, self._held, self._timed_out
        for each in known:
            for key in [key for key in each if channel in (None, key[0])]:
                del each[key]

    def _cancel(self, channel: int, consumer: str) -> None:
        self._target.write(Method(channel, Basic.Cancel, (consumer, True)).frame())
        for each in [each for each, by in self._held.items() if each[0] == channel and by == consumer]:
            self._target.write(Method(channel, Basic.Nack, (each[1], False, True)).frame())
            self._timed_out[each] = self._held.pop(each)
        self._waiting.append(Method(channel, Basic.Cancel, (consumer, True)))

    def _say(self) -> None:
        while self._waiting and not self._content:
            self._client.write(self._waiting.pop(0).frame())

    def _is_let_through(self, method: Method) -> bool:
        match method:
            case Method(channel, Channel.Open, _):  # under a number that was in use before, perhaps
                self.forget(channel)
            case Method(channel, Basic.Consume, (_, queue, tag, *_)):
                self._consumers[channel, tag] = queue
            case Method(channel, Basic.Cancel, (tag, *_)):
                self._consumers.pop((channel, tag), None)
            case Method(channel, name, (int(tag), *_)) if name in _SETTLEMENTS:
                self._held.pop((channel, tag), None)
                return self._refuses_late or (channel, tag) not in self._timed_out
            case Method(_, Queue.Declare, _) if _is_transient(method):
                self._is_closed = True
                self._waiting.append(Method(0, Connection.Close, _REFUSAL))
                self._say()
        return True


def _is_transient(method: Method) -> bool:
    """Whether this declaration is of a queue that is neither durable nor exclusive."""
    _, _, passive, durable, exclusive, *_ = method.arguments
    return not (passive or durable or exclusive)
