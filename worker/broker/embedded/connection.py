"""One connection to the broker's file: its leases, the thread that renews them, and the pass that moves messages."""

import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, Protocol
from uuid import uuid4

from kombu.connection import Connection

from worker.broker.embedded.file import BrokerFile, BrokerUnavailable
from worker.broker.embedded.store import Delivery, Settlement, Store
from worker.broker.embedded.wakeup import Wakeup

LOCK_TIMEOUT: Final = 5.0  # seconds to wait for a locked file before it is an error
POLL_LOCK_TIMEOUT: Final = 0.1  # seconds, for one pass: it runs on the consumer's event loop
RENEWALS_PER_LEASE: Final = 4

logger = logging.getLogger(__name__)

_unrenewed: set[Path] = set()  # files of which this was logged: a new connection to the same file finds the same


class ConsumingChannel(Protocol):
    """What a connection needs of a channel."""

    @property
    def queues(self) -> Sequence[str]:
        """The queues it consumes."""

    @property
    def has_in_hand(self) -> bool:
        """Whether it holds messages that are not settled."""

    def poll(self) -> int:
        """Deliver what can be leased; return how many messages that were."""

    def retire(self) -> None:
        """Deliver nothing more."""


class BrokerConnection:
    """What `establish_connection` returns: channels, and one lease owner for all they hold.

    Publishing, declaring and closing use a connection that syncs every commit. Leasing and settling use one that does
    not, because a power cut can only undo an ack there, which costs a duplicate.
    """

    def __init__(self, client: "Connection", path: Path, *, lease_seconds: float, batch: int) -> None:
        self.client = client
        self.batch = batch
        self.closed = False
        self.channels: dict[ConsumingChannel, None] = {}  # in the order of their making
        self.channel_ids = count(1)
        self.stop_polling: Callable[[], None] = lambda: None  # on an event loop, if one polls
        self.durable = Store(BrokerFile(path, durable=True, lock_timeout=LOCK_TIMEOUT), uuid4().hex, lease_seconds)
        self._leasing: Store | None = None
        self._wakeup: Wakeup | None = None
        self._has_leased = False
        self._left_leases = False  # logged once, of all its channels
        self._settled: deque[Settlement] = deque()
        self._passing = threading.Lock()
        self._failing_since: float | None = None
        self._stop = threading.Event()
        weakref.finalize(self, self._stop.set)

    def start_consuming(self) -> None:
        """Be ready to lease; from now on a daemon thread renews the leases while this process lives.

        Raises BrokerUnavailable where nothing can be written.
        """
        if self._leasing is not None:
            return
        path, durable = self.durable.file.path, self.durable
        self._has_leased = True
        durable.renew()  # a file that can be read is not yet one that can be written
        file = BrokerFile(path, durable=False, lock_timeout=POLL_LOCK_TIMEOUT)
        self._leasing = Store(file, durable.owner, durable.lease_seconds)
        self._wakeup = Wakeup.of(path)
        threading.Thread(target=_renew, args=(durable, self._stop), name="embedded-leases", daemon=True).start()

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
    def wakeup(self) -> Wakeup | None:
        """What notifies of the next message; None while something is in hand, and where the system cannot notify."""
        in_hand = self._settled or any(channel.has_in_hand for channel in tuple(self.channels))
        return None if in_hand else self._wakeup

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
        """Note *settlement* for the consuming thread's next pass; without a consumer, store it now."""
        self._settled.append(settlement)
        if not any(channel.queues for channel in tuple(self.channels)):
            self._flush(self.durable)

    def release(self, message_ids: Sequence[int], *, untouched: bool) -> None:
        """End leases early."""
        if message_ids:
            self.durable.release(message_ids, untouched=untouched)

    def log_left_leases(self, error: BrokerUnavailable) -> None:
        """Log once that leases cannot be ended: others wait for what is held here until the leases expire."""
        if not self._left_leases:
            logger.warning("embedded.leases_left_to_lapse", extra={"error": str(error)})
        self._left_leases = True

    @contextmanager
    def tolerating_locks(self) -> Iterator[None]:
        """Let passes fail quietly, since the next comes soon, until the file was unusable for LOCK_TIMEOUT seconds."""
        try:
            yield
        except BrokerUnavailable:
            self._failing_since = self._failing_since or time.monotonic()
            if time.monotonic() - self._failing_since > LOCK_TIMEOUT:
                raise
        else:
            self._failing_since = None

    def close(self) -> None:
        """Store what was settled, give every lease back at once, release the file."""
        if self.closed:
            return
        self.closed = True
        self._stop.set()
        self.stop_polling()
        for channel in tuple(self.channels):
            channel.retire()
        try:
            if self._has_leased or self._settled:
                self.durable.sign_off(tuple(self._settled))
        except BrokerUnavailable as error:
            self.log_left_leases(error)
        for store in filter(None, (self._leasing, self.durable)):
            store.file.close()
        if self._wakeup:
            self._wakeup.close()

    def _flush(self, store: Store) -> None:
        with self._passing:
            settled = tuple(self._settled)
            if settled:
                store.settle(settled)
                self._forget(settled)

    def _forget(self, settled: Sequence[Settlement]) -> None:
        for _ in settled:
            self._settled.popleft()


def _renew(store: Store, stop: threading.Event) -> None:
    path = store.file.path
    while not stop.wait(store.lease_seconds / RENEWALS_PER_LEASE):
        try:
            store.renew()
        except BrokerUnavailable as error:
            if path not in _unrenewed and not stop.is_set():
                logger.warning("embedded.leases_not_renewed", extra={"error": str(error)})
                _unrenewed.add(path)
        else:
            _unrenewed.discard(path)
