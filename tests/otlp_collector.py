"""A collector of the test's own: takes spans on loopback, as OTLP over HTTP, and keeps every byte of them."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Arrived:
    """A span, as it arrived."""

    process: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str  # empty: it has none
    links: tuple[tuple[str, str], ...]  # trace and span ids
    failed: bool
    attributes: Mapping[str, Any] = field(default_factory=dict)


class OtlpCollector:
    """What processes sent. One that *stalls* takes connections and never answers."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self._released = threading.Event()
        if not stalls:
            self._released.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, name="otlp-collector", daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Where processes send their spans."""
        return f"http://127.0.0.1:{self._server.server_port}/v1/traces"

    @property
    def spans(self) -> list[Arrived]:
        """All of them, of all processes."""
        return [span for body in tuple(self.bodies) for span in _spans(body)]

    def close(self) -> None:
        """Let the stalled go, and stop."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.headers.append(dict(self.headers.items()))
                collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                collector._released.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's own output clean."""

        return Handler


def tree(spans: list[Arrived]) -> list[str]:
    """*spans* of one trace as lines, children below their parents, deeper by two spaces; alike ones in any order."""
    known = {span.span_id for span in spans}

    def lines(parent: str, depth: int) -> Iterator[str]:
        below = [span for span in spans if (span.parent_id if span.parent_id in known else "") == parent]
        for span in sorted(below, key=lambda each: each.name):
            yield f"{'  ' * depth}{span.process}: {span.name}"
            yield from lines(span.span_id, depth + 1)

    return list(lines("", 0))


def _spans(body: bytes) -> Iterator[Arrived]:
    for each in ExportTraceServiceRequest.FromString(body).resource_spans:
        process = str(_values(each.resource.attributes)["service.name"]).removeprefix("revoker-")
        for span in (span for scope in each.scope_spans for span in scope.spans):
            yield Arrived(
                process,
                span.name,
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                span.status.code == span.status.STATUS_CODE_ERROR,
                _values(span.attributes),
            )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
