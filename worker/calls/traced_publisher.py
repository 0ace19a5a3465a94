"""The publisher of tasks, with a span for each message on its way to the broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from worker.broker import messages, topology
from worker.broker.publication import PublishError
from worker.broker.retrying_publisher import RetryingPublisher
from worker.observability import tracing
from worker.observability.tracing.names import FOLLOWS, TRACEPARENT

if TYPE_CHECKING:
    from tasks.call import ProviderCall
    from worker.broker.async_publisher import AsyncPublisher, ThreadPublisher
    from worker.broker.publication import Message
    from worker.observability.tracing.tracer import OpenSpan, Spans


def open_retrying(publisher: ThreadPublisher | AsyncPublisher, in_flight: Callable[[str], int]) -> RetryingPublisher:
    """A `RetryingPublisher`; one that makes spans, where this process makes any."""
    spans = tracing.spans()
    return TracedPublisher(publisher, in_flight, spans) if spans else RetryingPublisher(publisher, in_flight)


class TracedPublisher(RetryingPublisher):
    """Carries the span of each message on: as the parent of a record's, as what the span of a call is linked with.

    A call that comes again may wait for days, longer than anything keeps a trace open.
    """

    def __init__(
        self, publisher: ThreadPublisher | AsyncPublisher, in_flight: Callable[[str], int], spans: Spans
    ) -> None:
        super().__init__(publisher, in_flight)
        self._spans = spans

    async def publish(self, *messages: Message, of: ProviderCall | None = None) -> None:
        """As its base does."""
        begun = [(each, self._spans.send(each.exchange, each.routing_key, each.correlation_id)) for each in messages]
        error: str | None = "unconfirmed"
        try:
            await super().publish(*(self._carrying(*each) for each in begun), of=of)
            error = None
        except PublishError as failure:
            error = type(failure).__name__.lower()
            raise
        finally:
            for _, span in begun:
                self._spans.end(span, error)

    def _carrying(self, message: Message, span: OpenSpan) -> Message:
        headers = self._spans.headers(span)
        match message.exchange:
            case topology.CALLS.name:
                return messages.traced(message, {FOLLOWS: headers[TRACEPARENT]})
            case topology.EVENTS.name:  # its own attributes tell
                return message
        return messages.traced(message, headers)
