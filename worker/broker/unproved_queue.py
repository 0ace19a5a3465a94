"""Dead letters that nobody proved: they come to the desk while there is room, and else wait in a queue of their own.

Nothing is dropped: a source that somebody forgot to list is honest, too. But whoever may publish can send as much as
they like, and the ledger's disk holds what is proved as well. So the queue is not consumed, but asked.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import AccessRefused
from kombu import Connection

from worker.broker import topology
from worker.ledger import Ledger
from worker.ledger.dead_letters import unproved
from worker.settings.sections import StorageSettings

if TYPE_CHECKING:
    from kombu.message import Message

    from worker.broker.queue_batch import Handle

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 50  # letters in one transaction
TAKE_TIMEOUT: Final = 0.25  # seconds: proved messages wait no longer for unproved ones
EMPTY_INTERVAL: Final = 0.5  # seconds until an empty queue is asked again
FULL_INTERVAL: Final = 5.0  # seconds until it is checked again whether there is room
MEGABYTE: Final = 1_000_000


class UnprovedQueue:
    """Takes letters as long as there is room for them; *handle* makes them safe, and returns those that are not."""

    def __init__(self, ledger: Ledger, handle: Handle, storage: StorageSettings) -> None:
        self.is_failing = False  # whether the last letters taken could not be made safe
        self._ledger, self._handle = ledger, handle
        self._max_letters, self._max_size = storage.unproved_letters, storage.unproved_megabytes * MEGABYTE
        self._connection: Connection | None = None
        self._channel: Any = None  # of its own: kombu ships no types
        self._take_at = 0.0
        self._is_full = self._is_forbidden = False

    def take(self, connection: Connection) -> None:
        """Take for a moment what there is room for. Raises LedgerUnavailable."""
        if self._take_at > time.monotonic():
            return
        until, self._take_at = time.monotonic() + TAKE_TIMEOUT, time.monotonic() + FULL_INTERVAL
        try:
            channel = self._channel_on(connection)
            while (pause := self._take_batch(channel)) == 0.0 and time.monotonic() < until:
                pass
            self._take_at = time.monotonic() + pause
        except AccessRefused:  # an upgrade without the new permission: it ends this channel, and nothing else
            self._connection = None
            if not self._is_forbidden:
                logger.error("desk.unproved_forbidden", extra={"queue": topology.UNPROVED_QUEUE.name})  # noqa: TRY400 - no bug to trace
            self._is_forbidden = True

    def _channel_on(self, connection: Connection) -> Any:
        if connection is not self._connection:
            self._connection, self._channel = connection, connection.channel()
            self._channel.auto_decode = False  # else py-amqp makes text of a body, by whatever coding is named
        return self._channel

    def _take_batch(self, channel: Any) -> float:
        """Seconds until the next look; 0: there may be more."""
        room = self._room()
        self._log_change(channel, is_full=not room)
        taken = _fetched(channel, room)
        unsafe = {id(message) for message in (self._handle(taken) if taken else ())}
        for message in taken:
            if id(message) in unsafe:
                message.requeue()
            else:
                message.ack()
        self.is_failing = bool(unsafe)
        if unsafe or not room:
            return FULL_INTERVAL
        return EMPTY_INTERVAL if len(taken) < room else 0.0

    def _room(self) -> int:
        """Letters that may be taken now."""
        kept = unproved(self._ledger.database)
        return min(BATCH_SIZE, max(0, self._max_letters - kept.letters)) if kept.size < self._max_size else 0

    def _log_change(self, channel: Any, *, is_full: bool) -> None:
        """Log once that letters wait for room, and once that there is room again."""
        if is_full == self._is_full:
            return
        waiting = topology.UNPROVED_QUEUE(channel).queue_declare(passive=True).message_count
        self._is_full = is_full and waiting > 0
        if self._is_full:
            logger.error("desk.full_of_unproved", extra={"waiting": waiting})
        elif not is_full:
            logger.warning("desk.has_room_again", extra={"waiting": waiting})


def _fetched(channel: Any, room: int) -> list[Message]:
    """Like kombu's `Queue.get`, which raises for a malformed content type."""
    found: list[Message] = []
    read = getattr(channel, "message_to_python", lambda raw: raw)
    while len(found) < room and (raw := channel.basic_get(topology.UNPROVED_QUEUE.name, no_ack=False)) is not None:
        found.append(read(raw))
    return found
