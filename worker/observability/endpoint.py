"""Where a process is asked over HTTP: on a thread with a loop of its own, so that nobody who asks is in the way.

A request has TIMEOUT from the connection to the last byte of the answer. There are MAX_CONNECTIONS at once: when one
more comes, the oldest one is closed, so whoever holds many open keeps nobody out.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final, NamedTuple, Self

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 32
MAX_REQUEST: Final = 8 * 1024  # bytes
TIMEOUT: Final = 5.0  # seconds
RETRY_INTERVAL: Final = 10.0  # seconds between two tries to listen
BACKLOG: Final = 16  # connections that the kernel keeps for us
PLAIN: Final = "text/plain; charset=utf-8"


class Reply(NamedTuple):
    """What is answered."""

    status: HTTPStatus
    body: bytes
    content_type: str = PLAIN


Pages = Mapping[str, Callable[[], Reply]]  # by path; each only reads what is in memory


class Endpoint:
    """Answers GET requests for *pages* on *host* and *port*, while it is entered.

    An address that cannot be listened on is logged once, and tried again.
    """

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        self._host, self._port, self._pages = host, port, pages
        self._where = {"host": host, "port": port}
        self._is_refused = False
        self._open: dict[asyncio.Task[object], None] = {}  # connections, the oldest first
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_ignore)
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="monitoring", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(RuntimeError):  # of a loop that has ended, which the log shows
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(TIMEOUT)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        while (server := await self._listening()) is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), RETRY_INTERVAL)
            if self._stop.is_set():
                return
        logger.info("monitoring.listening", extra=self._where)
        await self._stop.wait()
        server.close()

    async def _listening(self) -> asyncio.Server | None:
        try:
            return await asyncio.start_server(
                self._converse, self._host, self._port, limit=MAX_REQUEST, backlog=BACKLOG
            )
        except OSError as error:
            if not self._is_refused:
                fault = error.strerror or type(error).__name__
                logger.warning("monitoring.unavailable", extra={**self._where, "error": fault})
            self._is_refused = True
            return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None, "asyncio calls it in a task"  # noqa: S101 - for the type checker
        if len(self._open) >= MAX_CONNECTIONS:
            next(iter(self._open)).cancel()
        self._open[me] = None
        try:
            async with asyncio.timeout(TIMEOUT):
                writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            logger.debug("monitoring.request_dropped")
        finally:
            self._open.pop(me, None)
            writer.transport.abort()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b"\r\n")[0].decode("latin-1").partition(" ")
        page = self._pages.get(rest.partition(" ")[0].partition("?")[0])
        if page is None:
            return _http(Reply(HTTPStatus.NOT_FOUND, b"not found\n"))
        if method != "GET":
            return _http(Reply(HTTPStatus.METHOD_NOT_ALLOWED, b"GET only\n"))
        return _http(_made(page))


def _made(page: Callable[[], Reply]) -> Reply:
    try:
        return page()
    except Exception:
        logger.exception("monitoring.fault")
        return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, b"a fault, which the log shows\n")


def _ignore(_loop: asyncio.AbstractEventLoop, context: Mapping[str, object]) -> None:
    """Of a connection that broke, or of too many open files, which asyncio tries again a second later."""
    logger.debug("monitoring.connection_fault", extra={"error": type(context.get("exception")).__name__})


def _http(reply: Reply) -> bytes:
    head = (
        f"HTTP/1.1 {reply.status.value} {reply.status.phrase}",
        f"Content-Type: {reply.content_type}",
        f"Content-Length: {len(reply.body)}",
        *("Cache-Control: no-store", "Connection: close", "", ""),
    )
    return "\r\n".join(head).encode("latin-1") + reply.body
