"""Acknowledgements of one turn of the loop, in one write: each by itself would be a system call and wake the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from worker.broker.pyamqp import one_write

if TYPE_CHECKING:
    import asyncio

logger = logging.getLogger(__name__)


class Acks:
    """Gathers them for the end of the turn. To be used on *loop* only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Callable[[], Any]) -> None:
        """*connection* gives py-amqp's, which is another one after each reconnect; None where there is none."""
        self._loop = loop
        self._connection = connection
        self._waiting: list[Callable[[], object]] = []

    def add(self, settle: Callable[[], object]) -> None:
        """Have *settle*, which acknowledges or rejects a message, called before the loop waits for anything."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(settle)

    def flush(self) -> None:
        """Settle what was gathered. Where that fails the connection is at its end, and the broker delivers again."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        transport = getattr(self._connection(), "transport", None)
        try:
            with one_write(transport) if transport else nullcontext():
                for settle in waiting:
                    _try(settle)
        except OSError as error:
            logger.warning("acks.not_sent", extra={"count": len(waiting), "error": type(error).__name__})


def _try(settle: Callable[[], object]) -> None:
    """The others must not wait because of this one."""
    try:
        settle()
    except Exception:
        logger.exception("acks.fault")
