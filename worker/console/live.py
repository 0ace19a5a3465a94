"""News for open pages: a stream that says when the ledger has changed; the page then asks for itself anew.

Its ids are the ledger's numbers of changes, so a browser that comes back is told at once whether it missed anything.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from worker.console.desk import Desk
from worker.console.shared import Shared
from worker.console.sign_in_pages import ENDED, still_signed_in
from worker.ledger import LedgerUnavailable

ROUTES: Final = web.RouteTableDef()
LOOK_INTERVAL: Final = 1.0  # seconds between two looks at the ledger, for all streams together
NEWS_INTERVAL: Final = 15.0  # seconds after which there are news in any case: ages and holds change by themselves
MAX_STREAMS: Final = 200  # open at once; a page without one is renewed by hand


class News:
    """The number of the ledger's last change, and how many listen."""

    def __init__(self, desk: Desk) -> None:
        self.newest: Shared[int] = Shared(LOOK_INTERVAL * 0.9, lambda: desk.glance(desk.ledger.newest_change))
        self.stopping = asyncio.Event()
        self.streams = 0

    async def look(self) -> int | None:
        """Return that number; None: the ledger is away."""
        try:
            return await self.newest.get()
        except LedgerUnavailable:
            return None


NEWS: Final = web.AppKey("news", News)


@ROUTES.get("/live")
async def live(request: web.Request) -> web.StreamResponse:
    """Tell news until the browser goes, or the console stops."""
    news = request.app[NEWS]
    if news.streams >= MAX_STREAMS:
        raise web.HTTPServiceUnavailable(text="too many pages are open: close some")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    news.streams += 1
    try:
        await response.prepare(request)
        async for message in _messages(news, _last_seen(request)):
            if not await still_signed_in(request):
                await response.write(ENDED)
                break
            await response.write(message)
    except ConnectionError:
        pass  # the browser went
    finally:
        news.streams -= 1
    return response


async def _messages(news: News, seen: int | None) -> AsyncIterator[bytes]:
    """What is to be told; every LOOK_INTERVAL at least a comment, which tells who went without a word."""
    told_at, is_away = time.monotonic(), False
    while not news.stopping.is_set():
        newest = await news.look()
        if newest is None and not is_away:
            yield b"event: away\ndata: \n\n"
        elif newest is not None and (seen is None or newest != seen or is_away or _is_long_ago(told_at)):
            yield f"id: {newest}\nevent: {'hello' if seen is None else 'news'}\ndata: {newest}\n\n".encode()
            seen, told_at = newest, time.monotonic()
        else:
            yield b":\n\n"
        is_away = newest is None
        await asyncio.sleep(LOOK_INTERVAL)


def _is_long_ago(told_at: float) -> bool:
    return time.monotonic() - told_at >= NEWS_INTERVAL


def _last_seen(request: web.Request) -> int | None:
    """The id of the last news that this browser had."""
    told = request.headers.get("Last-Event-ID", "")
    return int(told) if told.isascii() and told.isdigit() else None
