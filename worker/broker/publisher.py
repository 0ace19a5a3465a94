"""The only publisher: confirmed, mandatory, bounded in time, its connection thrown away after any error."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Self

from worker.broker.publication import (
    BROKER_ERRORS,
    Disconnected,
    Message,
    PublishError,
    Refused,
    Unconfirmed,
    Unroutable,
    broken,
    put,
    unroutable,
)
from worker.broker.publishing_lines import Batch, ConfirmLine, Failures, TransactionLine, open_line

if TYPE_CHECKING:
    from kombu import Connection

__all__ = [
    "BROKER_ERRORS",
    "CONFIRM_TIMEOUT",
    "Disconnected",
    "Message",
    "PublishError",
    "Publisher",
    "Refused",
    "Unconfirmed",
    "Unroutable",
    "broken",
    "put",
    "unroutable",
]

CONFIRM_TIMEOUT: Final = 10.0  # seconds for the confirms of one batch
QUICK: Final = 3.0  # seconds: a connection that is broken says so sooner; a broker that stood still gets no second try


class Publisher:
    """Publishes batches over one connection of its own; safe to share between threads, which then take turns."""

    def __init__(self, connect: Callable[[], Connection], confirm_timeout: float = CONFIRM_TIMEOUT) -> None:
        """*connect* makes a fresh connection; *confirm_timeout* is in seconds, for one batch."""
        self._connect = connect
        self._confirm_timeout = confirm_timeout
        self._line: ConfirmLine | TransactionLine | None = None
        self._lock = threading.Lock()

    def publish(self, messages: Sequence[Message]) -> list[PublishError | None]:
        """Publish *messages* in order; what became of each: None is confirmed. Never raises for a broker's fault.

        A connection that was found broken is replaced once, and what is left goes over the new one; what was
        confirmed is not sent again.
        """
        with self._lock:
            failures = self._publish(dict(enumerate(messages)), again=True)
        return [failures.get(i) for i in range(len(messages))]

    def publish_all(self, messages: Sequence[Message]) -> None:
        """Publish *messages*, or raise the first `PublishError`."""
        for failure in filter(None, self.publish(messages)):
            raise failure

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._throw_away()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _publish(self, batch: Batch, *, again: bool) -> Failures:
        started = time.monotonic()
        failures = self._try(batch)
        left = {i: batch[i] for i, failure in failures.items() if isinstance(failure, Disconnected)}
        culprits = {i: failure for i, failure in failures.items() if i not in left}  # the line broke because of them
        again = again and time.monotonic() - started < QUICK
        more = self._publish(left, again=again and bool(culprits)) if left and (again or culprits) else failures
        return culprits | more

    def _try(self, batch: Batch) -> Failures:
        try:
            self._line = self._line or open_line(self._connect())
        except BROKER_ERRORS as error:
            return dict.fromkeys(batch, Disconnected(f"no connection to the broker ({type(error).__name__})"))
        failures = self._line.publish(batch, self._confirm_timeout)
        if failures:
            self._throw_away()
        return failures

    def _throw_away(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(*BROKER_ERRORS):  # it is broken already: nothing more can be lost with it
                line.connection.collect(socket_timeout=1)
