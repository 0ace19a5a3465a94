"""The spans of events in the intake: from the reading of each to the confirms of all that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from worker.broker import messages, topology
from worker.observability import tracing

if TYPE_CHECKING:
    from worker.broker.publication import Message
    from worker.intake.incoming import Incoming
    from worker.observability.tracing.tracer import OpenSpan, Spans


class EventSpans:
    """Those of what is under way."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._events: dict[Incoming, OpenSpan] = {}
        self._sends: dict[Incoming, list[OpenSpan]] = {}

    @classmethod
    def of_this_process(cls) -> Self | None:
        """None where it makes no traces."""
        spans = tracing.spans()
        return cls(spans) if spans else None

    def begin(self, incoming: Incoming, started: int) -> str | None:
        """Begin the span of an accepted event, at *started* (nanoseconds since 1970); returns the id of its trace.

        What is refused has none: nobody unproved decides what is recorded here.
        """
        event = incoming.accepted
        if event is None:
            return None
        queue = topology.INTAKE_URGENT if incoming.is_in_urgent_queue else topology.INTAKE
        span = self._spans.event(event.event, queue.name, started, replays=event.replays)
        self._events[incoming] = span
        return self._spans.trace_id(span)

    def send(self, incoming: Incoming, message: Message) -> Message:
        """*message*, which *incoming* becomes, with a span of its own."""
        within = self._events.get(incoming)
        if within is None:
            return message
        span = self._spans.send(message.exchange, message.routing_key, message.correlation_id, within)
        self._sends.setdefault(incoming, []).append(span)
        return messages.traced(message, self._spans.headers(span))

    def end(self, incoming: Incoming) -> None:
        """End them all: its publications have their results."""
        for span, result in zip(self._sends.pop(incoming, ()), incoming.results, strict=False):
            self._spans.end(span, type(result).__name__.lower() if result else None)
        if incoming in self._events:
            self._spans.end(self._events.pop(incoming), None if incoming.is_done else "unconfirmed")
