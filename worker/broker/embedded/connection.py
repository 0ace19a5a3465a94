"""One connection to the broker's file: its leases, the thread that keeps them, and the pass that moves messages."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from worker.broker.embedded.channel import Channel
from worker.broker.embedded.errors import BrokerUnavailable
from worker.broker.embedded.file import Database
from worker.broker.embedded.store import Delivery, Settlement, Store
from worker.broker.embedded.wakeup import News

if TYPE_CHECKING:
    from kombu.connection import Connection

    from worker.broker.embedded.polling import HubPolling

PATIENCE: Final = 5.0  # seconds a locked file is waited for before it is an error
GLANCE: Final = 0.1  # seconds one pass may wait: it runs on the consumer's event loop
RENEWALS: Final = 4  # per lease

logger = logging.getLogger(__name__)

_unrenewed: set[Path] = set()  # files of which it was said: a new connection to the same finds the same


class Session:
    """What `establish_connection` returns: channels, and one lease owner for all they hold.

    Publishing, declaring and closing use a connection that syncs every commit; leasing and settling one that does not,
    for all a power cut can undo there is an ack, which costs a duplicate.
    """

    def __init__(self, client: "Connection", path: Path, *, lease_seconds: float, batch: int) -> None:
        self.client = client
        self.batch = batch
        self.closed = False
        self.channels: set[Channel] = set()
        self.channel_ids = count(1)
        self.polling: HubPolling | None = None  # on an event loop, if one does it
        self.durable = Store(Database(path, durable=True, patience=PATIENCE), uuid4().hex, lease_seconds)
        self._leasing: Store | None = None
        self._news: News | None = None
        self._has_leased = False
        self._leaves_leases = False  # said once, of all its channels
        self._settled: deque[Settlement] = deque()
        self._passing = threading.Lock()
        self._failing_since: float | None = None
        self._stop = threading.Event()
        weakref.finalize(self, self._stop.set)

    def open_channel(self) -> Channel:
        """Return a new channel."""
        channel = Channel(self)
        self.channels.add(channel)
        return channel

    def start_consuming(self) -> None:
        """Be ready to lease; from now on a daemon thread renews the leases while this process lives.

        Raises BrokerUnavailable where nothing can be written.
        """
        if self._leasing is not None:
            return
        path, durable = self.durable.database.path, self.durable
        self._has_leased = True
        durable.keep()  # a file that can be read is not yet one that can be written
        self._leasing = Store(Database(path, durable=False, patience=GLANCE), durable.owner, durable.lease_seconds)
        self._news = News.of(path)
        threading.Thread(target=_keep, args=(durable, self._stop), name="embedded-leases", daemon=True).start()

    def poll(self) -> int:
        """Settle, lease and deliver once; return how many messages were delivered."""
        if self.closed:
            raise BrokerUnavailable("the connection to the embedded broker is closed")
        delivered = sum(channel.poll() for channel in tuple(self.channels))
        if not delivered and self._settled and self._leasing:
            with self.tolerating_locks():
                self._flush(self._leasing)
        return delivered

    @property
    def rests_on(self) -> News | None:
        """What will tell of the next message; None while something is in hand, or where nobody could tell."""
        in_hand = self._settled or any(channel.has_in_hand for channel in tuple(self.channels))
        return None if in_hand else self._news

    def lease(self, queues: Mapping[str, int], limit: int) -> list[Delivery]:
        """Lease up to *limit* messages, and store what was settled since, in one commit; touches nothing when idle."""
        with self._passing:
            store = self._leasing or self.durable
            settled = tuple(self._settled)
            if not settled and not store.has_ready(queues):
                return []
            self._has_leased = True
            found = store.lease(queues, limit, settled)
            self._forget(settled)
        return found

    def settle(self, settlement: Settlement) -> None:
        """Note a verdict for the consuming thread's next pass; without a consumer, store it now."""
        self._settled.append(settlement)
        if not any(channel.queues for channel in tuple(self.channels)):
            self._flush(self.durable)

    def give_back(self, message_ids: Sequence[int], *, untouched: bool) -> None:
        """Return leases early."""
        if message_ids:
            self.durable.give_back(message_ids, untouched=untouched)

    def leave_leases(self, error: BrokerUnavailable) -> None:
        """Say that they lapse alone: others wait until then for what is held here."""
        if not self._leaves_leases:
            logger.warning("embedded.leases_left_to_lapse", extra={"error": str(error)})
        self._leaves_leases = True

    @contextmanager
    def tolerating_locks(self) -> Iterator[None]:
        """Let passes fail quietly until the file has been unusable for PATIENCE seconds: the next one comes soon."""
        try:
            yield
        except BrokerUnavailable:
            self._failing_since = self._failing_since or time.monotonic()
            if time.monotonic() - self._failing_since > PATIENCE:
                raise
        else:
            self._failing_since = None

    def close(self) -> None:
        """Store what was settled, give every lease back at once, release the file."""
        if self.closed:
            return
        self.closed = True
        self._stop.set()
        if self.polling:
            self.polling.stop()
        for channel in tuple(self.channels):
            channel.retire()
        try:
            if self._has_leased or self._settled:
                self.durable.sign_off(tuple(self._settled))
        except BrokerUnavailable as error:
            self.leave_leases(error)
        for store in filter(None, (self._leasing, self.durable)):
            store.database.close()
        if self._news:
            self._news.close()

    def _flush(self, store: Store) -> None:
        with self._passing:
            settled = tuple(self._settled)
            if settled:
                store.settle(settled)
                self._forget(settled)

    def _forget(self, settled: Sequence[Settlement]) -> None:
        for _ in settled:
            self._settled.popleft()


def _keep(store: Store, stop: threading.Event) -> None:
    path = store.database.path
    while not stop.wait(store.lease_seconds / RENEWALS):
        try:
            store.keep()
        except BrokerUnavailable as error:
            if path not in _unrenewed and not stop.is_set():
                logger.warning("embedded.leases_not_renewed", extra={"error": str(error)})
                _unrenewed.add(path)
        else:
            _unrenewed.discard(path)
