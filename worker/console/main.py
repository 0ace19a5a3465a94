"""The process `revoker console`: it serves until it is asked to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Final

from worker import process
from worker import serving as server
from worker.console.app import make_app
from worker.console.desk import Desk
from worker.settings import Settings

logger = logging.getLogger(__name__)

MAX_LINE: Final = 64 * 1024  # bytes of an address: a sealed name of 8192 characters stands in it


def run(settings: Settings, stop: process.Stop) -> None:
    """Serve until *stop*. Raises CannotListen."""
    with closing(Desk.open(settings)) as desk:
        asyncio.run(_serve(desk, stop))


async def _serve(desk: Desk, stop: process.Stop) -> None:
    async with serving(desk) as url:
        await server.until_stopped(stop, logger, "console.listening", url=url)


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[str]:
    """Serve *desk* until the end of the block; gives the URL. Raises CannotListen."""
    settings = desk.settings.console
    async with server.serving(make_app(desk), settings, "console", max_line_size=MAX_LINE) as url:
        yield settings.public_url or url
