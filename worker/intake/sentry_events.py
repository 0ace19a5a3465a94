"""Sentry's view of the intake: a transaction for each event, and in it a span for each call that is published.

The producing side of https://docs.sentry.io/product/insights/backend/queue-monitoring/: the worker's transaction
continues the trace of the event. Its baggage stays here, because that would hold a part of the DSN.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

import sentry_sdk
from sentry_sdk.consts import OP, SPANDATA, SPANSTATUS
from sentry_sdk.tracing import TransactionSource
from sentry_sdk.tracing_utils import has_tracing_enabled

from worker.broker import messages, topology

if TYPE_CHECKING:
    from worker.broker.publication import Message
    from worker.intake.incoming import Incoming

ORIGIN: Final = "manual"


class SentryEvents:
    """The transactions of events that are under way."""

    def __init__(self) -> None:
        self._events: dict[Incoming, Any] = {}
        self._sends: dict[Incoming, list[Any]] = {}

    @classmethod
    def of_this_process(cls) -> Self | None:
        """None where it reports none."""
        return cls() if has_tracing_enabled(sentry_sdk.get_client().options) else None

    def begin(self, incoming: Incoming, started: int) -> str | None:
        """Begin the transaction of an accepted event, at *started* (nanoseconds since 1970)."""
        if event := incoming.accepted:
            self._events[incoming] = sentry_sdk.start_transaction(
                op=OP.QUEUE_PROCESS,
                name=event.event.type,
                source=TransactionSource.TASK,
                origin=ORIGIN,
                start_timestamp=datetime.fromtimestamp(started / 1e9, UTC),
            )
        return None  # log lines name the trace of OpenTelemetry, or of the producer

    def send(self, incoming: Incoming, message: Message) -> Message:
        """*message*, which *incoming* becomes; a call with a span of its own."""
        transaction = self._events.get(incoming)
        if transaction is None or message.exchange != topology.CALLS.name:
            return message
        span = transaction.start_child(op=OP.QUEUE_PUBLISH, name=message.routing_key, origin=ORIGIN)
        span.set_data(SPANDATA.MESSAGING_MESSAGE_ID, message.correlation_id)
        span.set_data(SPANDATA.MESSAGING_DESTINATION_NAME, message.routing_key)
        span.set_data("messaging.message.body.size", len(message.body))
        self._sends.setdefault(incoming, []).append(span)
        return messages.traced(message, {"sentry-trace": span.to_traceparent()})

    def end(self, incoming: Incoming) -> None:
        """Report it: its publications have their results."""
        for span in self._sends.pop(incoming, ()):
            span.finish()
        if transaction := self._events.pop(incoming, None):
            transaction.set_status(SPANSTATUS.OK if incoming.is_done else SPANSTATUS.UNAVAILABLE)
            transaction.finish()
