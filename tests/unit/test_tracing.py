"""Traces: closed names, no secret in any, and strict about what a producer says."""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from event_examples import ended
from in_one_test import in_one_test
from log_lines import MARKER
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.semconv import attributes
from opentelemetry.semconv.schemas import Schemas
from recording_runtime import NOW, call
from yarl import URL

from tasks.call import Attempt, ProviderCall
from tasks.outcome import Reason, State
from tasks.providers.http import Edge, open_session
from tasks.providers.provider import Request
from worker.broker import messages
from worker.broker.publication import Message
from worker.observability import work
from worker.observability.tracing import export
from worker.observability.tracing.names import FOLLOWS, SCHEMA_URL, TRACEPARENT, TRACESTATE, Attribute
from worker.observability.tracing.tracer import Spans

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
QUEUE = "revocation.calls.genesys.routine"
JWS = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"


class Made:
    """Spans that are kept, and what makes them."""

    def __init__(self, ratio: float = 1.0) -> None:
        self._kept = InMemorySpanExporter()
        provider = TracerProvider(ParentBased(export._Root(ratio)), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.spans = Spans(provider.get_tracer("test"), "rabbitmq")

    @property
    def kept(self) -> list[ReadableSpan]:
        """Those that ended."""
        return list(self._kept.get_finished_spans())

    def work_on(self, made: ProviderCall, headers: Mapping[str, object] | None = None) -> None:
        """Work on *made*, which came with *headers*."""
        with self.spans.call(made, QUEUE, headers or {}):
            pass


@pytest.fixture
def made() -> Made:
    """Every trace that begins here is recorded."""
    return Made()


def ids(span: ReadableSpan) -> tuple[str, str | None, list[str]]:
    """The ids of its trace, of its parent, and of the traces that it is linked with."""
    assert span.context is not None
    parent = f"{span.parent.span_id:016x}" if span.parent else None
    return f"{span.context.trace_id:032x}", parent, [f"{link.context.trace_id:032x}" for link in span.links]


def test_every_name_is_of_the_conventions_or_ours() -> None:
    """As the registry of the version has them that is named to the collector; what it calls deprecated is none."""
    known: set[str] = set()
    for package in (attributes, importlib.import_module("opentelemetry.semconv._incubating.attributes")):
        for file in (file for folder in package.__path__ for file in Path(folder).glob("*_attributes.py")):
            named = re.findall(r'^[A-Z_]+: Final = \(?\s*"([^"]+)"\s*\)?\n"""\n(\S+)', file.read_text(), re.MULTILINE)
            known |= {name for name, comment in named if comment != "Deprecated:"}
    theirs = {each.value for each in Attribute if not each.value.startswith("revoker.")}
    assert theirs - known == set()
    assert "messaging.operation" not in known, "a deprecated name"
    assert Schemas.V1_44_0.value == SCHEMA_URL


def test_an_event_continues_its_producers_trace_and_a_replay_is_linked_with_it(made: Made) -> None:
    """A replay may come months later: nothing keeps a trace open for so long."""
    event = ended(lambda document: document.update(traceparent=PARENT))
    for replays in (0, 1):
        made.spans.end(made.spans.event(event, "revocation.intake", 1, replays=replays))
    first, replayed = made.kept
    assert ids(first) == (TRACE, SPAN, [])
    assert (ids(replayed)[0] != TRACE, ids(replayed)[1:]) == (True, (None, [TRACE]))
    assert first.start_time == 1


@in_one_test
@pytest.mark.parametrize(
    "text", ["", "x", PARENT[:-1], PARENT.upper(), f"{PARENT}-more", f"00-{'0' * 32}-{SPAN}-01", f"ff{PARENT[2:]}"]
)
def test_what_is_no_trace_context_begins_a_new_trace(text: str) -> None:
    """W3C Trace Context: lower-case hex, not all zeros, its length; neither an event nor a call is refused for it."""
    made, headers = Made(), {TRACEPARENT: text}
    event = ended(lambda document: document.update(traceparent=text))
    made.spans.end(made.spans.event(event, "revocation.intake", 1, replays=0))
    made.work_on(call(traceparent=text), headers)
    assert [ids(span)[1:] for span in made.kept] == [(None, [])] * 2


TRIED = call(traceparent=PARENT, attempts=(Attempt(at=NOW, reason=Reason.HTTP_5XX),))


@in_one_test
@pytest.mark.parametrize(
    ("tried", "headers", "expected"),
    [
        (call(traceparent=PARENT), {}, (SPAN, [])),
        (call(), {TRACEPARENT: PARENT, TRACESTATE: "a=1"}, (SPAN, [])),
        (TRIED, {}, (None, [TRACE])),
        (call(), {FOLLOWS: PARENT}, (None, [TRACE])),
        (call(traceparent=PARENT, replays=1), {}, (None, [TRACE])),
        (call(), {FOLLOWS: 5, TRACEPARENT: b"x"}, (None, [])),
    ],
)
def test_the_first_attempt_is_in_the_events_trace_and_the_others_are_linked(
    tried: ProviderCall, headers: dict[str, object], expected: tuple[str | None, list[str]]
) -> None:
    """Retries, calls that were held, replays; whatever stands in a header."""
    made = Made()
    made.work_on(tried, headers)
    assert ids(made.kept[-1])[1:] == expected


def test_what_is_sent_on_carries_its_span_and_the_state_of_others(made: Made) -> None:
    """A credential that somebody put into the state goes no further."""
    for state, kept in (("vendor=1", "vendor=1"), (f"vendor={JWS}", None), ("no state", None)):
        with made.spans.call(call(), QUEUE, {TRACEPARENT: PARENT, TRACESTATE: state}):
            span = made.spans.send("revocation.outcomes", "outcome", None)
        headers = made.spans.headers(span)
        assert (headers[TRACEPARENT][3:35], headers.get(TRACESTATE)) == (TRACE, kept)


@pytest.mark.parametrize(("flags", "ratio", "count"), [("01", 0.0, 3), ("00", 1.0, 0)])
def test_a_producer_decides_about_its_trace_and_whatever_is_linked_with_it(
    flags: str, ratio: float, count: int
) -> None:
    """Else the retries of a recorded event would be left out, nine times of ten."""
    made, parent = Made(ratio), f"{PARENT[:-2]}{flags}"
    made.work_on(call(traceparent=parent))
    made.work_on(call(traceparent=parent, replays=1))
    made.work_on(call(), {FOLLOWS: parent})
    assert len(made.kept) == count


def test_a_trace_that_begins_here_is_recorded_by_its_share() -> None:
    """All, or none."""
    for ratio, count in ((1.0, 1), (0.0, 0)):
        made = Made(ratio)
        made.work_on(call())
        assert len(made.kept) == count


def test_no_planted_secret_is_in_any_span(made: Made) -> None:
    """Whatever holds one: a source with a password, an id that is a token, an exception that shows its request."""
    source = f"https://user:{MARKER}@example.com/"
    planted = call(source=source, event_id=JWS, user_id=MARKER, jwe=MARKER, subject=MARKER)

    def fail() -> None:
        with made.spans.call(planted, QUEUE, {}):
            made.spans.came_to(State.DEAD, f"Bearer {MARKER}")
            raise ValueError(MARKER)

    with pytest.raises(ValueError, match=MARKER):
        fail()
    told = made.kept[-1].to_json()
    assert MARKER not in told
    assert JWS not in told
    assert set(made.kept[-1].attributes or {}) <= {each.value for each in Attribute}
    assert made.kept[-1].events == ()


async def test_a_request_to_a_provider_is_a_span_and_gets_no_header(made: Made) -> None:
    """Host, method, status and purpose are told, no URL; the provider learns nothing of our traces."""
    seen: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        seen.append(request)
        return web.Response(status=503 if request.method == "GET" else 204)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}/users/{MARKER}?token={MARKER}")
    async with open_session(traces=[made.spans.requests()]) as session:
        edge = Edge(session, 5.0)
        with made.spans.call(call(), QUEUE, {}):
            await edge.send(Request("DELETE", url, {"Authorization": MARKER}), edge.deadline())
            await edge.send(Request("GET", url, {}), edge.deadline(), "proof")
            await runner.cleanup()
            await edge.send(Request("GET", url, {}), edge.deadline(), "login")
    assert not any({TRACEPARENT, TRACESTATE, "baggage"} & {name.lower() for name in each.headers} for each in seen)
    *requests, parent = made.kept
    assert {ids(each)[1] for each in requests} == {f"{parent.context.span_id:016x}" if parent.context else ""}
    told = [dict(each.attributes or {}) for each in requests]
    assert [each["revoker.request.purpose"] for each in told] == ["revocation", "proof", "login"]
    assert [each.get("http.response.status_code") for each in told] == [204, 503, None]
    assert [each.get("error.type") for each in told] == [None, "503", "ClientConnectorError"]
    assert MARKER not in "".join(each.to_json() for each in made.kept)


async def test_the_lines_of_a_call_name_the_trace_it_is_in(made: Made) -> None:
    """Of a retry, that of its own."""

    async def named(tried: ProviderCall) -> object:
        work.begin(tried)
        with made.spans.call(tried, QUEUE, {}):
            return work.members()["trace_id"]

    first, again = await asyncio.create_task(named(call(traceparent=PARENT))), await asyncio.create_task(named(TRIED))
    assert (first, again) == (TRACE, ids(made.kept[-1])[0])
    assert again != TRACE
    quiet = TRIED.model_copy(update={"traceparent": f"{PARENT[:-2]}00"})
    assert await asyncio.create_task(named(quiet)) == TRACE  # its own is not recorded


def test_a_pack_tells_the_trace_of_each_record() -> None:
    """Records travel together, and each is a part of its own trace; without traces a pack has no header."""
    plain = Message("revocation.outcomes", "outcome", b"{}")
    others = [f"00-{n:032x}-{SPAN}-01" for n in (1, 2)]
    packed = messages.pack([messages.traced(plain, {TRACEPARENT: each}) for each in others])
    assert messages.traces_of(SimpleNamespace(headers=packed.headers)) == others
    assert messages.pack([plain, plain]).headers == {}


class Collector(SpanExporter):
    """Answers as told."""

    def __init__(self, *answers: SpanExportResult) -> None:
        self._answers = list(answers)

    def export(self, _: Any) -> SpanExportResult:
        """As an exporter does."""
        return self._answers.pop(0)


def test_a_collector_that_is_away_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """And once that it is back, however many batches were lost between."""
    fine, lost = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
    exporter = export.SaidOnce(Collector(fine, lost, lost, lost, fine, fine))
    with caplog.at_level(logging.INFO, "worker"):
        for _ in range(6):
            exporter.export([])
    assert [record.msg for record in caplog.records] == ["traces.not_taken", "traces.taken_again"]
