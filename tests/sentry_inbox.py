"""A Sentry of the test's own: takes in envelopes on loopback and keeps every byte of them."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SentryInbox:
    """What processes reported. One that *stalls* takes connections and never answers."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.envelopes: list[bytes] = []
        self._released = threading.Event()
        if not stalls:
            self._released.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="sentry-inbox", daemon=True)
        self._thread.start()

    @property
    def dsn(self) -> str:
        """Where processes report to."""
        return f"http://public@127.0.0.1:{self._server.server_port}/1"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The error events in all envelopes."""
        return [item for envelope in self.envelopes for kind, item in _items(envelope) if kind == "event"]

    @property
    def transactions(self) -> list[dict[str, Any]]:
        """The transactions in all envelopes."""
        return [item for envelope in self.envelopes for kind, item in _items(envelope) if kind == "transaction"]

    def close(self) -> None:
        """Let the stalled go, and stop."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                is_zipped = self.headers.get("Content-Encoding") == "gzip"
                inbox.envelopes.append(gzip.decompress(body) if is_zipped else body)
                inbox._released.wait(60)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep the test's own output clean."""

        return Handler


def _items(envelope: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read an envelope as https://develop.sentry.dev/sdk/data-model/envelopes/ has it."""
    rest = envelope.partition(b"\n")[2]
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        yield header["type"], json.loads(rest[: header["length"]])
        rest = rest[header["length"] :].lstrip(b"\n")
