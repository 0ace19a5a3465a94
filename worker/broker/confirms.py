"""Publisher confirms: what was sent over a channel, and what the broker answered.

py-amqp does not match confirms to messages: after one lost confirm it takes the old acknowledgement for that of the
next message, and a refused message passes for a confirmed one. So delivery tags are counted here
(https://www.rabbitmq.com/docs/confirms#publisher-confirms). A nack and a return answer one message each. An error of
the channel or of the connection leaves every other message in doubt, and the channel ends.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from amqp.exceptions import RecoverableConnectionError
from kombu import Connection

from worker.broker.publication import (
    BROKER_ERRORS,
    Disconnected,
    Message,
    PublishError,
    Refused,
    Unconfirmed,
    address,
    broken,
    put,
    unroutable,
)
from worker.broker.pyamqp import keep_closed, one_write

WRITE_SIZE: Final = 25  # messages in one write of a batch


@dataclass(slots=True, eq=False)
class Publication:
    """A message on its way; *answer* is called once with what became of it: None is confirmed."""

    message: Message
    answer: Callable[[PublishError | None], object]
    since: float = 0.0  # seconds, on the publisher's clock
    is_settled: bool = False
    sent_over: "ConfirmChannel | None" = None
    was_resent: bool = False

    def settle(self, failure: PublishError | None = None) -> None:
        """Answer, the first time."""
        if not self.is_settled:
            self.is_settled = True
            self.answer(failure)


Answers = Sequence["asyncio.Future[PublishError | None]"]  # the failure is a value: nobody may wait for it any more


def resolve(future: asyncio.Future[PublishError | None], failure: PublishError | None) -> None:
    """Answer whoever waits for *future*."""
    if not future.done():
        future.set_result(failure)


async def confirmed(answers: Answers) -> None:
    """Wait for *answers*; raises the first failure."""
    for answer in answers:
        if failure := await answer:
            raise failure


Unsettled = tuple[Publication, PublishError]  # what has no answer of the broker, and what it fails with


def retry_once(unsettled: Sequence[Unsettled], *, quick: bool) -> list[Publication]:
    """Settle what failed for good; returns what is to be sent over the next connection.

    A message whose connection broke goes once more if that was *quick*. Where the broker named a message that it broke
    the connection for, the others go again in any case, and that does not count.
    """
    has_culprit = any(not isinstance(failure, Disconnected) for _, failure in unsettled)
    again = []
    for publication, failure in unsettled:
        if isinstance(failure, Disconnected) and (has_culprit or (quick and not publication.was_resent)):
            publication.was_resent |= not (has_culprit and quick)
            again.append(publication)
        else:
            publication.settle(failure)
    return again


class Confirms:
    """The publications of one channel, counted as the broker counts them. It neither sends nor receives."""

    def __init__(self) -> None:
        self._last_tag = 0
        self._open: dict[int, Publication] = {}  # by delivery tag, the oldest first

    def add(self, publication: Publication) -> None:
        """Count *publication*, which is sent next."""
        self._last_tag += 1
        self._open[self._last_tag] = publication

    def answer(self, tag: int, *, multiple: bool, failure: PublishError | None = None) -> None:
        """Settle the publication of *tag*; with *multiple* also all before it."""
        for each in [each for each in self._open if each <= tag] if multiple else [tag]:
            self._open.pop(each).settle(failure)

    def settle_returned(self, message_id: str) -> None:
        """Settle a message that came back as unroutable; its acknowledgement is still to come."""
        for publication in self._open.values():
            if publication.message.message_id == message_id and not publication.is_settled:
                return publication.settle(unroutable(publication.message))
        return None

    @property
    def oldest(self) -> float | None:
        """Since when the longest unanswered publication waits; None: the broker answered everything."""
        return next(iter(self._open.values())).since if self._open else None

    def unsettled(self) -> list[Publication]:
        """What has no answer yet, the oldest first."""
        return [each for each in self._open.values() if not each.is_settled]


class ConfirmChannel:
    """A channel in confirm mode, good until the first doubt. Making one blocks, and raises the transport's errors."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        connection.ensure_connection(max_retries=1, interval_start=0, reraise_as_library_errors=False)
        self.amqp = connection.connection
        self._channel = connection.channel()
        self._channel.confirm_select()
        keep_closed(self._channel)
        self._channel.events["basic_ack"].add(self._on_ack)
        self._channel.events["basic_nack"].add(self._on_nack)
        self._channel.events["basic_return"].add(self._on_return)
        self.confirms = Confirms()
        self.is_refused = False  # whether a queue was full: RabbitMQ before 3.13.8 then refuses this channel for ever
        self._proven: set[str] = set()  # exchanges that took something

    def send(self, publications: Iterable[Publication]) -> None:
        """Send *publications* in one write. Raises the transport's errors."""
        for publication in publications:
            publication.sent_over = self
            self.confirms.add(publication)
        if self._channel.connection is None:
            raise RecoverableConnectionError("the connection was closed")
        with one_write(self.amqp.transport):
            for publication in publications:
                put(self._channel, publication.message)

    def read(self) -> None:
        """Take in what the broker has sent. Raises the transport's errors."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.connection.drain_events(timeout=0)

    def send_ahead(self, batch: Sequence[Publication]) -> bool:
        """Send *batch*, for which `publish` waits; returns whether it could go. Raises the transport's errors."""
        if self.is_refused or not all(_exchange(publication) in self._proven for publication in batch):
            return False
        self._send_all(batch)
        return True

    def publish(self, batch: Sequence[Publication], timeout: float) -> list[Unsettled]:
        """Send *batch*, if `send_ahead` did not, and wait at most *timeout* seconds; returns what has no confirm."""
        until = time.monotonic() + timeout
        try:
            if any(each.sent_over is not self for each in batch):
                self._send_parts(batch, until)
            self._drain(until, lambda: any(not each.is_settled for each in reversed(batch)))  # the last come last
        except TimeoutError:
            failure = Unconfirmed("the broker did not confirm in time")
            return [(each, failure) for each in batch if not each.is_settled]
        except BROKER_ERRORS as error:
            return [(each, broken(error, each.message)) for each in batch if not each.is_settled]
        return []

    def _send_parts(self, batch: Sequence[Publication], until: float) -> None:
        """Send *batch* once everything before it is answered.

        An exchange that is missing or forbidden ends the channel, and with it the confirms on their way. So what goes
        to an exchange that has not yet taken anything is sent alone.
        """
        for part in self._parts(batch):
            self._drain(until, lambda: self.is_awaited)
            self._send_all(part)
            self._drain(until, lambda: self.is_awaited)
            self._proven.update(_exchange(publication) for publication in part)

    @property
    def is_awaited(self) -> bool:
        """Whether a confirm is on its way."""
        return self.confirms.oldest is not None

    def _drain(self, until: float, is_awaited: Callable[[], bool]) -> None:
        while is_awaited():
            self.connection.drain_events(timeout=max(0.001, until - time.monotonic()))

    def _parts(self, batch: Sequence[Publication]) -> list[list[Publication]]:
        """What goes to the proven exchanges, then a part for each of the others."""
        parts: dict[str, list[Publication]] = {"": []}
        for publication in batch:
            exchange = _exchange(publication)
            parts.setdefault("" if exchange in self._proven else exchange, []).append(publication)
        return [part for part in parts.values() if part]

    def _send_all(self, part: Sequence[Publication]) -> None:
        for start in range(0, len(part), WRITE_SIZE):
            self.send(part[start : start + WRITE_SIZE])
            with contextlib.suppress(TimeoutError):  # a broker stops reading if nobody reads its confirms
                self.connection.drain_events(timeout=0)

    def _on_ack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        self.confirms.answer(tag, multiple=multiple)

    def _on_nack(self, tag: int, multiple: bool) -> None:  # noqa: FBT001 - py-amqp calls it so
        self.is_refused = True
        failure = Refused("the broker refused the message: its queue is full")
        self.confirms.answer(tag, multiple=multiple, failure=failure)

    def _on_return(self, _error: object, _exchange: str, _routing_key: str, message: Any) -> None:
        self.confirms.settle_returned(message.properties.get("message_id"))


def throw_away(connection: Connection) -> None:
    """Close what is left of *connection*. Blocks for a second at most."""
    with contextlib.suppress(*BROKER_ERRORS):  # it is broken already: nothing more can be lost with it
        connection.collect(socket_timeout=1)


def _exchange(publication: Publication) -> str:
    return address(publication.message)[0]
