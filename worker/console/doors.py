"""Who is served at all: only under its own names, and behind a proxy only what comes from there."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tasks.hosts import is_loopback
from worker.settings.console import ConsoleSettings

ADDRESS: Final = web.RequestKey("address", str)


def guarding(settings: ConsoleSettings) -> Middleware:
    """Return what turns requests away that are for another name, or pass the proxy by.

    A foreign page whose name leads to this address would else be of the same origin as the console (DNS rebinding).
    """

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if settings.behind_proxy and request.remote != settings.behind_proxy:
            raise web.HTTPForbidden(text="this console answers its proxy alone: ask there")
        if not _is_ours(request.host, settings):
            raise web.HTTPMisdirectedRequest(text="this console has another name: see console.public_url")
        request[ADDRESS] = _address(request, settings)
        return await handler(request)

    return guard


def address_of(request: web.Request) -> str:
    """Return the address of the browser, as the connection or the named proxy tells it."""
    return request[ADDRESS]


def _is_ours(host: str, settings: ConsoleSettings) -> bool:
    try:
        asked = urlsplit(f"//{host}")
        name, _ = asked.hostname or "", asked.port
    except ValueError:
        return False
    if settings.public_url and host.lower() == urlsplit(settings.public_url).netloc:
        return True
    return is_loopback(settings.host) and not settings.behind_proxy and is_loopback(name)


def _address(request: web.Request, settings: ConsoleSettings) -> str:
    """The proxy adds the last one; what stands before that anybody may have written."""
    told = request.headers.get("X-Forwarded-For", "") if settings.behind_proxy else ""
    return told.rpartition(",")[2].strip() or request.remote or ""
