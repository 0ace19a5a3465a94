"""A provider that answers as a test tells it to: a real HTTP server on loopback that writes down what it hears."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]

LOGIN_PATH = "/oauth/token"


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it arrived."""

    method: str
    raw_path: str
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass
class FakeProvider:
    """Answers every request with *answering*; logins apart, with *login*."""

    answering: Answering
    login: Answering
    heard: list[Heard] = field(default_factory=list)
    logins: list[Heard] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)  # set once anything but a login was heard
    url: str = ""
    _runner: web.AppRunner | None = None

    async def start(self, tls: ssl.SSLContext | None = None) -> "FakeProvider":
        """Listen on a free port of 127.0.0.1."""
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._runner is not None:
            await self._runner.cleanup()

    def will_answer(self, status: int, body: object = None, headers: dict[str, str] | None = None) -> None:
        """Answer with *status* from now on; *body* goes out as JSON, bytes as they are."""

        async def answer(_: web.Request) -> web.StreamResponse:
            if body is None or isinstance(body, bytes):
                return web.Response(status=status, body=body, headers=headers)
            return web.json_response(body, status=status, headers=headers)

        self.answering = answer

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        is_login = request.path == LOGIN_PATH
        heard = Heard(request.method, request.raw_path, request.headers, await request.read())
        if is_login:
            self.logins.append(heard)
            return await self.login(request)
        self.heard.append(heard)
        self.asked.set()
        return await self.answering(request)


async def granting(_: web.Request) -> web.StreamResponse:
    """Grant a login."""
    return web.json_response({"access_token": "worker-bearer-0001", "token_type": "bearer", "expires_in": 86400})


async def silent(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


async def not_http(request: web.Request) -> web.StreamResponse:
    """Answer in no known protocol."""
    return await _raw(request, b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def header_flood(request: web.Request) -> web.StreamResponse:
    """Answer with far more headers than anybody needs."""
    return await _raw(request, b"HTTP/1.1 204 No Content\r\n" + b"X-A: b\r\n" * 500 + b"\r\n")


async def long_header(request: web.Request) -> web.StreamResponse:
    """Answer with one header of 100 KiB."""
    return await _raw(request, b"HTTP/1.1 204 No Content\r\nX-A: " + b"b" * 102_400 + b"\r\n\r\n")


async def slow_headers(request: web.Request) -> web.StreamResponse:
    """Begin a status line and never end it."""
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 204 No")
    return await silent(request)


async def switching_protocols(request: web.Request) -> web.StreamResponse:
    """Answer 101, which nobody asked for."""
    return await _raw(request, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")


async def closing(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    return await _raw(request, b"")


async def resetting(request: web.Request) -> web.StreamResponse:
    """Reset the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def cut_short(request: web.Request) -> web.StreamResponse:
    """Announce 1000 bytes, send ten, reset the connection."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"0123456789")
    assert request.transport is not None
    request.transport.abort()
    return response


async def slow_body(request: web.Request) -> web.StreamResponse:
    """Send headers and ten bytes of a thousand, and nothing more."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"0123456789")
    return await silent(request)


async def endless_body(request: web.Request) -> web.StreamResponse:
    """Send bytes until the other side has enough."""
    response = web.StreamResponse()
    await response.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        await response.write(b"x" * 16_384)
    return response


async def _raw(request: web.Request, answer: bytes) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.write(answer)
    request.transport.close()
    return web.Response()
