"""A process of one event loop: it works until it is asked to stop; where it serves HTTP, it listens as settings say."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from worker import process
from worker.observability.health import OF_PROCESS, keep_beating
from worker.settings.listening import ListenSettings

GRACE: Final = 2.0  # seconds for answers on their way when it stops


class CannotListen(Exception):  # noqa: N818 - what is the case
    """The address cannot be listened on. One line that says why."""


@asynccontextmanager
async def serving(app: web.Application, settings: ListenSettings, section: str, **options: Any) -> AsyncIterator[str]:  # noqa: ANN401 - aiohttp's own
    """Serve *app* until the end of the block; gives the URL. *section* names the settings. Raises CannotListen."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, ssl_context=settings.tls()).start()
        yield _url(settings, runner.addresses[0][1])
    except OSError as error:
        fault = error.strerror or type(error).__name__
        raise CannotListen(f"{section}: {settings.host}:{settings.port}: {fault}; see {section}.port") from None
    finally:
        await runner.cleanup()


async def until_stopped(stop: process.Stop, logger: logging.Logger, began: str, **about: object) -> None:
    """Say that this process works, give signs of its loop, and return when it is asked to *stop*.

    The log line *began* tells *about* it; the last part of its name is the answer of the health endpoint.
    """
    OF_PROCESS.works(began.rpartition(".")[2])
    process.mark_ready()
    logger.info(began, extra=about)
    beating = asyncio.create_task(keep_beating())
    await asyncio.to_thread(stop.wait)
    beating.cancel()


def _url(settings: ListenSettings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.certificate_file else 'http'}://{host}:{port}"
