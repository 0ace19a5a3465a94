"""The process `revoker console`: it serves until it is asked to stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Final

from aiohttp import web

from worker import process
from worker.console.app import make_app
from worker.console.desk import Desk
from worker.observability.health import OF_PROCESS, keep_beating
from worker.settings import Settings
from worker.settings.console import ConsoleSettings

logger = logging.getLogger(__name__)

MAX_LINE: Final = 64 * 1024  # bytes of an address: a sealed name of 8192 characters stands in it
GRACE: Final = 2.0  # seconds for answers on their way when it stops


class CannotListen(Exception):  # noqa: N818 - what is the case
    """The console's address cannot be listened on. One line that says why."""


def run(settings: Settings, stop: process.Stop) -> None:
    """Serve until *stop*. Raises CannotListen."""
    with closing(Desk.open(settings)) as desk:
        asyncio.run(_serve(desk, stop))


async def _serve(desk: Desk, stop: process.Stop) -> None:
    async with serving(desk) as url:
        OF_PROCESS.works("listening")
        process.mark_ready()
        logger.info("console.listening", extra={"url": url})
        beating = asyncio.create_task(keep_beating())
        await asyncio.to_thread(stop.wait)
        beating.cancel()


@asynccontextmanager
async def serving(desk: Desk) -> AsyncIterator[str]:
    """Serve *desk* until the end of the block; gives the URL. Raises CannotListen."""
    settings = desk.settings.console
    runner = web.AppRunner(make_app(desk), access_log=None, shutdown_timeout=GRACE, max_line_size=MAX_LINE)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=settings.tls()).start()
        yield _url(settings, runner.addresses[0][1])
    except OSError as error:
        fault = error.strerror or type(error).__name__
        raise CannotListen(f"console: {settings.host}:{settings.port}: {fault}; see console.port") from None
    finally:
        await runner.cleanup()


def _url(settings: ConsoleSettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"{'https' if settings.certificate_file else 'http'}://{host}:{port}"
