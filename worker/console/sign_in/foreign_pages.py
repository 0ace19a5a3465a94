"""Requests that another site's page makes with the cookie of ours change nothing (CSRF).

The browser itself says where a request comes from: by Fetch Metadata (W3C, "Fetch Metadata Request Headers", section
2.3), which no page can set, and where it does not send that, by `Origin` (RFC 6454 section 7). No token is needed.
"""

from collections.abc import Collection, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from worker.settings.console import ConsoleSettings

LOGGED_OUT: Final = "/sign-in/ended"  # an OpenID provider's own request, which carries its proof
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 section 9.2.1: they change nothing


def is_own(method: str, sites: Sequence[str], origins: Sequence[str], own: Collection[str]) -> bool:
    """Whether a page of the origins *own* makes the request; one with a safe *method* anybody may make.

    *sites* are the values of `Sec-Fetch-Site`, *origins* those of `Origin`. On one host another port is the same site,
    and still somebody else's.
    """
    if method in SAFE:
        return True
    if sites:
        return list(sites) == ["same-origin"]
    return len(origins) == 1 and origins[0] in own


def refusing_foreign_pages(settings: ConsoleSettings) -> Middleware:
    """Return what refuses requests that would change something, and that no page of the console makes."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        sites, origins = request.headers.getall("Sec-Fetch-Site", []), request.headers.getall("Origin", [])
        if request.path != LOGGED_OUT and not is_own(request.method, sites, origins, _own(request, settings)):
            raise web.HTTPForbidden(text="this did not come from a page of the console: open the page here, and repeat")
        return await handler(request)

    return refuse


def _own(request: web.Request, settings: ConsoleSettings) -> set[str]:
    """The names by which this request may know us; whoever asks for another host never comes this far."""
    here = f"{request.scheme}://{request.host.lower()}"
    return {settings.public_url or here} if settings.behind_proxy else {settings.public_url or here, here}
