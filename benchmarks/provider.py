"""The one provider of all rows: answers 204 after a while, and counts which id asked when.

A raw protocol instead of a web framework, on uvloop where there is one, so that what it costs is small beside what
any worker costs. Ids are the last segment of `/<provider>/api/v2/tokens/<id>`, or the bearer token of
`/<provider>/api/v2/tokens/me` or `/<provider>/api/tokens`, or Wibmo's encrypted body. A proof probe is told that its
token is dead. Control: `GET /_figures`, `GET /_arrivals`, `POST /_reset?<latency in ms>`,
`POST /_hang?<provider>`, whose revocations are answered no more until the next reset, `POST /_wibmo` with the body that
Wibmo answers with.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Final, cast

_JSON: Final = b"application/json"
_PROBED: Final = b"/tokens/me?preserveIdleTTL=true "
_WIBMO: Final = b"/token-service/client/server/invalidate/token "
_DONE: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_REFUSED: Final = json.dumps({"status": 401, "code": "bad.credentials", "message": "Invalid login"}).encode()
_TOKEN: Final = json.dumps({"access_token": "worker-token-of-the-benchmark", "expires_in": 86400}).encode()


@dataclass(slots=True)
class Count:
    """What was asked since the last reset. Times are of the machine's monotonic clock, which all processes share."""

    latency: float = 0.05
    hung: bytes | None = None  # what paths of a provider begin with that never answers
    hanging: int = 0  # requests of its that wait
    requests: int = 0
    arrivals: dict[str, float] = field(default_factory=dict)
    wibmo: bytes = b""  # what Wibmo answers with

    def reset(self, latency: float) -> None:
        """Forget everything; answer after *latency* seconds from now on."""
        self.latency, self.requests, self.arrivals = latency, 0, {}
        self.hung, self.hanging = None, 0

    def figures(self) -> dict[str, float]:
        """Return the numbers of now."""
        now, cpu = time.monotonic(), time.process_time()
        ids = len(self.arrivals)
        return {"now": now, "requests": self.requests, "ids": ids, "cpu": cpu, "hanging": self.hanging}


class Connection(asyncio.Protocol):
    """One kept-alive connection; a client sends its next request after the answer to the last."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        """Answer the request once its head, and its body where it has one, are here."""
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end or len(body) < _body_length(head):
            return
        self._buffer = b""
        if head.startswith(b"DELETE "):
            self._revoke(head)
        elif _WIBMO in head:
            self._count_one(body.decode(), _complete(b"200 OK", b"text/plain", self._count.wibmo))
        elif _PROBED in head:
            self._loop.call_later(self._count.latency, self._send, _complete(b"401 Unauthorized", _JSON, _REFUSED))
        elif head.startswith(b"POST /_wibmo "):
            self._count.wibmo = body
            self._send(_complete(b"200 OK", _JSON, b"{}"))
        else:
            self._send(_complete(b"200 OK", _JSON, self._other(head.split(b" ", 2)[1].decode())))

    def _revoke(self, head: bytes) -> None:
        if self._count.hung and head.startswith(b"DELETE " + self._count.hung):
            self._count.hanging += 1
            return
        self._count_one(_id_in(head), _DONE)

    def _count_one(self, name: str, answer: bytes) -> None:
        self._count.requests += 1
        self._count.arrivals.setdefault(name, time.monotonic())
        self._loop.call_later(self._count.latency, self._send, answer)

    def _other(self, path: str) -> bytes:
        if path == "/_figures":
            return json.dumps(self._count.figures()).encode()
        if path == "/_arrivals":
            return json.dumps(self._count.arrivals).encode()
        if path.startswith("/_reset?"):
            self._count.reset(float(path.partition("?")[2]) / 1000)
            return b"{}"
        if path.startswith("/_hang?"):
            self._count.hung = f"/{path.partition('?')[2]}/".encode()
            return b"{}"
        return _TOKEN

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


def _complete(status: bytes, kind: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


def _id_in(head: bytes) -> str:
    last = head[: head.index(b" HTTP/")].rpartition(b"/")[2]
    if last in (b"me", b"tokens"):
        last = head.partition(b"Bearer ")[2].partition(b"\r\n")[0]
    return last.decode()


def _body_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def serve(port: int) -> None:
    """Serve on *port* of 127.0.0.1 until killed."""
    count = Count()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(count), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Serve on the port named on the command line."""
    loops = importlib.import_module("uvloop" if importlib.util.find_spec("uvloop") else "asyncio")
    loops.run(serve(int(sys.argv[1])))


if __name__ == "__main__":
    main()
