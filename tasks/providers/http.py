"""The HTTP edge: the one place that speaks to a provider, and that turns every failure of doing so into an outcome."""

import asyncio
import select
import ssl
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Literal

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from tasks.outcome import Reason, Transient
from tasks.providers.answers import Answer
from tasks.providers.headers import plain_body
from tasks.providers.provider import Request
from tasks.tls import SYSTEM_TRUST, TlsSettings

BODY_CAP: Final = 64 * 1024  # bytes of an answer's body
HEADER_CAP: Final = 8 * 1024  # bytes of the status line, and of each header
Purpose = Literal["revocation", "proof", "login"]  # of a request
HEADERS_CAP: Final = 64  # headers of an answer
_CHUNK: Final = 8 * 1024
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)


class _BodyTooLargeError(Exception):
    """The answer's body is above the cap."""


class _ConnectionLostError(aiohttp.ClientConnectionError):
    """The connection ended after the request was sent. Its own class, because aiohttp re-sends on its own ones."""


class _RefusedByTlsError(_ConnectionLostError):
    """The server said no to our certificate, or to its absence: with TLS 1.3 after the request (RFC 8446, 4.4.2.4)."""


FAILURES: Final[tuple[tuple[type[Exception], Reason], ...]] = (  # the first that fits
    (TimeoutError, Reason.NET_TIMEOUT),
    (aiohttp.ClientConnectorDNSError, Reason.NET_DNS),
    (aiohttp.ClientSSLError, Reason.NET_TLS),
    (aiohttp.ServerFingerprintMismatch, Reason.NET_TLS),
    (_RefusedByTlsError, Reason.NET_TLS),
    (ssl.SSLError, Reason.NET_TLS),
    (aiohttp.ClientResponseError, Reason.PROVIDER_BAD_REPLY),
    (aiohttp.ClientPayloadError, Reason.PROVIDER_BAD_REPLY),
    (HttpProcessingError, Reason.PROVIDER_BAD_REPLY),
    (_BodyTooLargeError, Reason.PROVIDER_BAD_REPLY),
    (aiohttp.ClientError, Reason.NET_CONNECT),
    (OSError, Reason.NET_CONNECT),
)
_FAILURE_TYPES: Final = tuple(kind for kind, _ in FAILURES)


def failure_reason(error: Exception) -> Reason:
    """Return the reason of a failed exchange. Raises StopIteration for what is no such failure: that is a bug."""
    return next(reason for kind, reason in FAILURES if isinstance(error, kind))


def open_session(
    *,
    connections: int = 100,
    keep_alive: float = 15.0,
    tls: TlsSettings = SYSTEM_TRUST,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """Return a session for one provider instance: no cookies, no proxy or netrc from the environment, verified TLS.

    *connections* at once, each kept idle for *keep_alive* seconds; *tls* of the instance; *traces* are told of each
    request, and of its purpose. Give each instance its own,
    so that a provider that hangs uses up no other's connections. Close it when done. Raises ValueError where a file
    of *tls* is no longer fit.
    """
    return aiohttp.ClientSession(
        connector=CleanConnector(limit=connections, keepalive_timeout=keep_alive, ssl=tls.context()),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=_NO_TIMEOUT,
        trace_configs=list(traces),
    )


class Edge:
    """Sends requests within a time budget, each exactly once."""

    def __init__(self, session: aiohttp.ClientSession, timeout: float, body_cap: int = BODY_CAP) -> None:
        self._session = session
        self._timeout = timeout
        self._body_cap = body_cap

    def deadline(self) -> float:
        """When a call that starts now must be over, on the event loop's clock."""
        return asyncio.get_running_loop().time() + self._timeout

    async def send(self, request: Request, deadline: float, purpose: Purpose = "revocation") -> Answer | Transient:
        """Return the complete answer to *request*, or why there is none by *deadline*; traces show its *purpose*.

        An incomplete answer is no success, even after a 2xx status line: repeating is harmless.
        The exception ends here, unlogged and unchained, because aiohttp's hold the request's headers.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await self._exchange(request, purpose)
        except _FAILURE_TYPES as error:
            return Transient(failure_reason(error))

    async def _exchange(self, request: Request, purpose: Purpose) -> Answer:
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
            auto_decompress=False,
            max_line_size=HEADER_CAP,
            max_field_size=HEADER_CAP,
            max_headers=HEADERS_CAP,
            timeout=_NO_TIMEOUT,
            middlewares=(_sent_once,),
            trace_request_ctx=purpose,
        ) as response:
            whole = await _read(response.content, self._body_cap)
            body, unread = plain_body(whole, response.headers, self._body_cap)
            return Answer(response.status, response.headers, body, request.secrets, unread)


async def _sent_once(
    request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]
) -> aiohttp.ClientResponse:
    """Keep aiohttp from re-sending idempotent requests over a fresh connection: retries are the task's, and counted."""
    try:
        return await handler(request)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        if isinstance(error, aiohttp.ClientConnectorError):
            raise
        lost = _RefusedByTlsError if isinstance(error.__cause__, ssl.SSLError) else _ConnectionLostError
    raise lost


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        body += chunk
        if len(body) > most:
            raise _BodyTooLargeError
    return bytes(body)


class CleanConnector(aiohttp.TCPConnector):
    """Keeps clean connections only: one on which anything arrived that was not asked for is closed.

    aiohttp takes whatever arrived on an idle connection for the answer to the next request, so a gateway that answers
    twice would have a living token called dead. aiohttp has no setting for it; tests pin what is used of its inside.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as those of the base
        super().__init__(**options)
        self._factory = partial(_handler, loop=self._loop)


def _handler(loop: asyncio.AbstractEventLoop) -> ResponseHandler:
    return _OneAnswer(loop)


class _OneAnswer(ResponseHandler):
    """A connection that is between two requests as soon as its answer is complete."""

    _has_answered = False

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - as those of the base
        """Await the answer to a request; what arrived before any was sent is none."""
        if self._tail:
            self._drop()
        self._has_answered = False
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:  # noqa: ANN401 - as that of the base
        """Take a message from the parser: an answer, unless its status is 1xx (RFC 9110 section 15.2)."""
        self._has_answered = self._has_answered or data[0].code >= 200  # noqa: PLR2004 - the first final status
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the network. Called without any where reading goes on after a pause."""
        if data and self._is_idle:
            self._drop()
        else:
            super().data_received(data)

    def is_connected(self) -> bool:
        """Whether it is of use; what waits in the socket of an idle connection was not asked for, or is its end."""
        return super().is_connected() and not (self._is_idle and self._has_bytes_waiting())

    @property
    def should_close(self) -> bool:
        """Whether the connection must not be kept; asked when its answer is complete."""
        return super().should_close or (self._has_answered and self._began_another_message())

    @property
    def _is_idle(self) -> bool:
        return self._has_answered and (self._payload is None or self._payload.is_eof())

    def _drop(self) -> None:
        self._tail = b""
        self.force_close()
        if self.transport is not None:
            self.transport.close()

    def _has_bytes_waiting(self) -> bool:
        assert self.transport is not None, "is_connected asked"  # noqa: S101 - the base has looked
        waiting = select.poll()
        waiting.register(self.transport.get_extra_info("socket"), select.POLLIN)
        return bool(waiting.poll(0))

    def _began_another_message(self) -> bool:
        """Whether the answer's last packet holds the beginning of more; the parser, which is not used again, knows."""
        try:
            return self._parser is not None and self._parser.feed_eof() is not None
        except Exception:  # noqa: BLE001 - whatever the parser makes of half a message: there was one
            return True
