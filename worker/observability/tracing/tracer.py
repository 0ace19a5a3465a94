"""Spans, from the event that comes in to the record that is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Final

import aiohttp
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.span import TraceState

from tasks.call import ProviderCall
from tasks.events import Event
from tasks.outcome import State
from tasks.trace_context import LENGTH, traceparent_or_nothing
from worker.observability import redaction, work
from worker.observability.tracing.names import FOLLOWS, TRACEPARENT, TRACESTATE, Attribute, Operation

_FAILED: Final = (State.RETRYING, State.DEAD)
_SERVER_FAULT, _TOO_MANY = 500, 429  # status codes; of the others the call says whether they are a failure

OpenSpan = Span
Values = Mapping[Attribute, str | int | None]


class Spans:
    """Makes the spans of one process. A message's *system* is the kind of its broker."""

    def __init__(self, tracer: Tracer, system: str) -> None:
        self._tracer, self._system = tracer, system

    def event(self, event: Event, queue: str, started: int, *, replays: int) -> Span:
        """Begin the span of an event that was taken from *queue*, at *started* (nanoseconds since 1970).

        It continues the producer's trace; a replay has a trace of its own that is linked with it.
        """
        origin = _read(event.traceparent, event.tracestate)
        about: Values = {
            Attribute.EVENT_ID: event.id,
            Attribute.EVENT_SOURCE: event.source,
            Attribute.EVENT_TYPE: event.type,
            Attribute.REPLAYS: replays or None,
        }
        parent, link = (None, origin) if replays else (origin, None)
        return self._process(queue, about, parent, link, started)

    @contextmanager
    def call(self, call: ProviderCall, queue: str, headers: Mapping[str, object]) -> Iterator[None]:
        """Work on *call*, which came with *headers*: the first attempt within the event's trace, others linked."""
        follows = _of_header(headers, FOLLOWS)
        sent = _of_header(headers, TRACEPARENT, TRACESTATE) or _read(call.traceparent)
        is_first = follows is None and not (call.attempts or call.replays)
        about: Values = {
            Attribute.EVENT_ID: call.event_id,
            Attribute.EVENT_SOURCE: call.source,
            Attribute.EVENT_TYPE: call.event_type,
            Attribute.MESSAGE_ID: call.call_id,
            Attribute.PROVIDER: call.provider,
            Attribute.OPERATION: call.operation,
            Attribute.ATTEMPT: call.attempt,
            Attribute.REPLAYS: call.replays or None,
        }
        span = self._process(queue, about, sent if is_first else None, None if is_first else follows or sent)
        silently = {"record_exception": False, "set_status_on_exception": False}  # an exception's text may be anything
        with work.WorkOn(call, self.trace_id(span)), use_span(span, end_on_exit=True, **silently):
            yield

    def came_to(self, state: State, reason: str | None = None) -> None:
        """Say on the call's span what it came to."""
        span = get_current_span()
        _tell(span, {Attribute.OUTCOME: state.value, Attribute.REASON: reason})
        if state in _FAILED:
            _fail(span, reason or state.value)

    def send(self, exchange: str, routing_key: str, message_id: str | None, within: Span | None = None) -> Span:
        """Begin the span of a message on its way to the broker, *within* a span or the current one."""
        destination = f"{exchange}:{routing_key}"
        about = self._message(Operation.SEND, destination, {Attribute.MESSAGE_ID: message_id})
        return self._begin(f"{Operation.SEND} {destination}", SpanKind.PRODUCER, about, within or get_current_span())

    def record(self, queue: str, traceparent: str) -> Span:
        """Begin the span of a record that was taken from *queue*, sent in the span that *traceparent* names."""
        return self._process(queue, {}, _read(traceparent), None)

    @staticmethod
    def end(span: Span, error: str | None = None) -> None:
        """End *span*, which failed where there is an *error*."""
        if error is not None:
            _fail(span, error)
        span.end()

    @staticmethod
    def headers(span: Span) -> dict[str, str]:
        """The headers by which a message carries *span* on, as W3C Trace Context has them."""
        it = span.get_span_context()
        names = format_trace_id(it.trace_id), format_span_id(it.span_id)
        traceparent = f"00-{'-'.join(names)}-{it.trace_flags & TraceFlags.SAMPLED:02x}"
        state = it.trace_state.to_header()
        return {TRACEPARENT: traceparent, **({TRACESTATE: state} if state else {})}

    @staticmethod
    def trace_id(span: Span) -> str | None:
        """The id of the trace of *span*, 32 hex digits; None where it is not recorded, so that nobody finds it."""
        return format_trace_id(span.get_span_context().trace_id) if span.is_recording() else None

    def requests(self) -> aiohttp.TraceConfig:
        """What makes the spans of a session's requests. Nothing is added to them: no header leaves for a provider."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._request_starts)
        config.on_request_end.append(_request_ended)
        config.on_request_exception.append(_request_failed)
        return config

    async def _request_starts(
        self, _: aiohttp.ClientSession, about: SimpleNamespace, request: aiohttp.TraceRequestStartParams
    ) -> None:
        values: Values = {
            Attribute.HTTP_METHOD: request.method,
            Attribute.SERVER_ADDRESS: request.url.host,
            Attribute.SERVER_PORT: request.url.port,
            Attribute.PURPOSE: about.trace_request_ctx,
        }
        about.span = self._begin(request.method, SpanKind.CLIENT, values, get_current_span())

    def _process(
        self, queue: str, about: Values, parent: SpanContext | None, link: SpanContext | None, at: int | None = None
    ) -> Span:
        if parent and not parent.trace_flags.sampled:
            return NonRecordingSpan(parent)
        context = set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()
        links, name = [Link(link)] if link else (), f"{Operation.PROCESS} {queue}"
        span = self._tracer.start_span(name, context, SpanKind.CONSUMER, None, links, at)
        return _tell(span, self._message(Operation.PROCESS, queue, about))

    def _message(self, operation: Operation, destination: str, about: Values) -> Values:
        return {
            Attribute.MESSAGING_SYSTEM: self._system,
            Attribute.OPERATION_NAME: operation,
            Attribute.OPERATION_TYPE: operation,
            Attribute.DESTINATION: destination,
            **about,
        }

    def _begin(self, name: str, kind: SpanKind, values: Values, within: Span) -> Span:
        """Begin a span *within* another one; within one that is not recorded that one stands for it."""
        if not within.is_recording():
            return NonRecordingSpan(within.get_span_context())
        return _tell(self._tracer.start_span(name, set_span_in_context(within, Context()), kind), values)


def _fail(span: Span, error: str) -> None:
    """Mark *span* as failed; *error* is one of few words, never an exception's text."""
    _tell(span, {Attribute.ERROR_TYPE: error})
    span.set_status(Status(StatusCode.ERROR))


async def _request_ended(
    _: aiohttp.ClientSession, about: SimpleNamespace, request: aiohttp.TraceRequestEndParams
) -> None:
    status = request.response.status
    _tell(about.span, {Attribute.HTTP_STATUS: status})
    if status >= _SERVER_FAULT or status == _TOO_MANY:
        _fail(about.span, str(status))
    about.span.end()


async def _request_failed(
    _: aiohttp.ClientSession, about: SimpleNamespace, request: aiohttp.TraceRequestExceptionParams
) -> None:
    _fail(about.span, type(request.exception).__name__)
    about.span.end()


def _tell(span: Span, values: Values) -> Span:
    """Give *span* its *values*, if it is recorded; what looks like a credential in a text is blanked."""
    if span.is_recording():
        known = ((name.value, value) for name, value in values.items() if value is not None)
        span.set_attributes({name: redaction.text(it) if isinstance(it, str) else it for name, it in known})
    return span


def _of_header(headers: Mapping[str, object], name: str, state: str = "") -> SpanContext | None:
    value, known = headers.get(name), headers.get(state)
    return _read(value, known if isinstance(known, str) else None) if isinstance(value, str) else None


def _read(traceparent: str | None, tracestate: str | None = None) -> SpanContext | None:
    """The span that *traceparent* names; None where it is none. A state that could hold a credential is dropped."""
    if not traceparent or traceparent_or_nothing(traceparent) is None:
        return None
    _, trace, span, flags = traceparent[:LENGTH].split("-")
    is_harmless = bool(tracestate) and redaction.text(tracestate or "") == tracestate
    state = TraceState.from_header([tracestate or ""]) if is_harmless else None
    return SpanContext(int(trace, 16), int(span, 16), True, TraceFlags(int(flags, 16) & TraceFlags.SAMPLED), state)  # noqa: FBT003 - is_remote
