"""Browsers at a console: open tabs that follow its news, and an operator who goes from page to page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Final

from aiohttp import ClientSession, ClientTimeout, CookieJar

from benchmarks.scale.site import OPERATORS, PASSWORD

TABS: Final = 50
_THROTTLE: Final = 5.0  # seconds between two renewals of a tab: `hx-trigger` of the templates
_LONGEST: Final = 120.0  # seconds of visits
_PATIENCE: Final = ClientTimeout(total=60)
_FOR_EVER: Final = ClientTimeout(total=None, sock_read=60)
_TYPED: Final = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate"}
_FETCHED: Final = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "HX-Request": "true"}


class Browser:
    """Somebody who has signed in at the console at *url*."""

    def __init__(self, session: ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def sign_in(self, name: str) -> None:
        """Sign in as *name*."""
        form = {"name": name, "password": PASSWORD, "next": "/"}
        async with self._session.post(f"{self._url}/sign-in", data=form, headers=_TYPED) as answer:
            answer.raise_for_status()

    async def get(self, path: str, headers: Mapping[str, str] = _TYPED) -> float:
        """Get the page at *path*; return the seconds until all of it was there."""
        began = time.perf_counter()
        url = f"{self._url}{path}"
        async with self._session.get(url, headers=headers, timeout=_PATIENCE, allow_redirects=False) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{path}: status {answer.status}")
        return time.perf_counter() - began

    async def follow(self, path: str, after: float, renewed: list[float]) -> None:
        """Open a tab at *path* *after* so many seconds, and renew it at news; *renewed* gets the seconds of each."""
        await asyncio.sleep(after)
        async with self._session.get(f"{self._url}/live", headers=_FETCHED, timeout=_FOR_EVER) as news:
            last = -_THROTTLE
            async for line in news.content:
                if line == b"event: news\n" and time.monotonic() - last >= _THROTTLE:
                    last = time.monotonic()
                    renewed.append(await self.get(path, _FETCHED))


@asynccontextmanager
async def signed_in(url: str) -> AsyncIterator[Sequence[Browser]]:
    """A browser of each operator, until the end of the block."""
    async with AsyncExitStack() as stack:
        browsers = list[Browser]()
        for name in OPERATORS:
            jar = CookieJar(unsafe=True)  # also for an address
            session = await stack.enter_async_context(ClientSession(cookie_jar=jar))
            browsers.append(Browser(session, url))
            await browsers[-1].sign_in(name)
        yield browsers


@asynccontextmanager
async def tabs(browsers: Sequence[Browser], paths: Sequence[str]) -> AsyncIterator[list[float]]:
    """TABS open tabs at *paths* in turn, until the end of the block; gives the seconds of all their renewals."""
    renewed = list[float]()
    times = (_THROTTLE / TABS * number for number in range(TABS))  # so that they are not renewed all at once
    places = zip(cycle(browsers), _shuffled(paths), times, strict=False)
    open_ = [asyncio.create_task(browser.follow(path, after, renewed)) for browser, path, after in places]
    try:
        await asyncio.sleep(_THROTTLE)
        yield renewed
        for each in open_:
            if each.done():
                each.result()  # a tab ends with an error only
    finally:
        for each in open_:
            each.cancel()
        await asyncio.gather(*open_, return_exceptions=True)


def _shuffled(paths: Sequence[str]) -> Iterator[str]:
    """*paths* again and again, a little shifted each time, so that each operator has different ones."""
    for number in range(TABS):
        yield paths[(number + number // len(OPERATORS)) % len(paths)]


async def visited(browser: Browser, paths: Mapping[str, str], times: int) -> dict[str, list[float]]:
    """The seconds of each page of *paths*, by its name, where somebody opens one after the other, *times* times.

    On a busy machine as often as it goes within _LONGEST.
    """
    seconds: dict[str, list[float]] = {name: [] for name in paths}
    end = time.monotonic() + _LONGEST
    for _ in range(times):
        for name, path in paths.items():
            seconds[name].append(await browser.get(path))
        if time.monotonic() > end:
            break
    return seconds
