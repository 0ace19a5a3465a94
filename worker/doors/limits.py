"""How much one door takes: requests a minute, requests at once, bytes and seconds of each."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from tasks.doors import Word

MINUTE: Final = 60.0  # seconds


class Refused(Exception):  # noqa: N818 - what is the case
    """A request is beyond a limit."""

    def __init__(self, word: Word) -> None:
        super().__init__(word)
        self.word = word


class Limits:
    """Those of one door: a bucket of *rate* requests, filled once a minute, of which *in_flight* are at work."""

    def __init__(self, rate: int, in_flight: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._free, self._clock = rate, in_flight, clock
        self._tokens, self._at = float(rate), clock()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Let a request in until the end of the block. Raises Refused."""
        now = self._clock()
        self._tokens = min(float(self._rate), self._tokens + (now - self._at) * self._rate / MINUTE)
        self._at = now
        if self._tokens < 1 or not self._free:
            raise Refused(Word.TOO_MANY)
        self._tokens -= 1
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1

    def give_back(self) -> None:
        """Count the last request for nothing: what strangers send must not keep the sender out."""
        self._tokens = min(float(self._rate), self._tokens + 1)


async def read_body(request: web.BaseRequest, most: int) -> bytes:
    """Return the body of *request*. Raises Refused where it has more than *most* bytes."""
    if (request.content_length or 0) > most:
        raise Refused(Word.TOO_LARGE)
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > most:
            raise Refused(Word.TOO_LARGE)
    return bytes(body)
