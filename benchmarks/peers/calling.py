"""What every peer's task does: read the call from real JSON, make the one HTTP request that ours makes for it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp
    import requests
    from promises import Promises

BROKER = os.environ.get("BENCH_BROKER", "")
PROVIDER = os.environ.get("BENCH_PROVIDER", "")
QUEUE = "bench"
OUTCOMES = "bench.outcomes"
WITH_PROMISES = os.environ.get("BENCH_PROMISES") == "1"
IN_FLIGHT = int(os.environ.get("BENCH_IN_FLIGHT", "500"))
PREFETCH = int(os.environ.get("BENCH_PREFETCH", "1000"))
HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Authorization": "Bearer worker-token-of-the-benchmark",
    "Content-Type": "application/json",
    "User-Agent": "revoker",
}
DONE = 204

Document = Mapping[str, Any]


def url_of(document: Document) -> str:
    """Where *document*, a provider call, asks for its revocation."""
    return f"{PROVIDER}/{document['provider']}/api/v2/tokens/{document['user_id']}"


def read(body: bytes) -> Document:
    """The call in the JSON *body* of a message."""
    document: Document = json.loads(body)
    return document


def require(status: int) -> None:
    """Fail the task where the provider did not answer 204."""
    if status != DONE:
        raise RuntimeError(f"the provider answered {status}")


class Caller:
    """One shared aiohttp session, opened by the first call on the loop that makes it."""

    def __init__(self, *, lean: bool = True) -> None:
        """*lean*: no cookies, no per-request timers, as our own session; else aiohttp's defaults."""
        self._lean = lean
        self._session: aiohttp.ClientSession | None = None
        self._promises: Promises | None = None

    async def call(self, document: Document) -> None:
        """Make the request of *document*; with the promises, check it before and record its outcome after."""
        if not WITH_PROMISES:
            await self._request(document)
            return
        self._promises = self._promises or _promises()
        checked, started = self._promises.checked(document), time.monotonic()
        await self._request(document)
        await self._promises.record(checked, started)

    async def _request(self, document: Document) -> None:
        self._session = self._session or self._open()
        async with self._session.delete(url_of(document), headers=HEADERS) as response:
            await response.read()
            require(response.status)

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - the gevent and threads peers must not load it

        connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
        if not self._lean:
            return aiohttp.ClientSession(connector=connector)
        nothing = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=nothing, auto_decompress=False
        )


class BlockingCaller:
    """requests, with a session for each thread or, under gevent, one for all greenlets."""

    def __init__(self, *, shared: bool) -> None:
        self._shared = _open_requests() if shared else None
        self._local = threading.local()

    def call(self, document: Document) -> None:
        """Make the request of *document*."""
        require(self._session().delete(url_of(document), headers=HEADERS, timeout=10).status_code)

    def _session(self) -> requests.Session:
        if self._shared is not None:
            return self._shared
        if not hasattr(self._local, "session"):
            self._local.session = _open_requests()
        session: requests.Session = self._local.session
        return session


def _promises() -> Promises:
    from promises import Promises  # noqa: PLC0415 - the plain rows must not load it

    return Promises()


def _open_requests() -> requests.Session:
    import requests  # noqa: PLC0415 - the asyncio peers must not load it
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - likewise

    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=IN_FLIGHT))
    return session


def run(main: Any, *, uvloop: bool = False) -> None:  # noqa: ANN401 - any coroutine function
    """Run *main* on asyncio's loop, or on uvloop's."""
    if not uvloop:
        asyncio.run(main())
        return
    import uvloop as loops  # noqa: PLC0415 - only the row that is about it needs it

    loops.run(main())
