"""Kept connections that are clean: one request, one answer, and nothing else ever.

aiohttp takes whatever arrived on an idle connection for the answer to the next request (its ResponseHandler queues
it), so a gateway that answers twice would have a token that lives called dead. aiohttp offers no setting for it; what
is used here of its inner parts is pinned by tests.
"""

import asyncio
import select
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler


class CleanConnector(aiohttp.TCPConnector):
    """Closes a connection on which anything arrived that was not asked for."""

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
