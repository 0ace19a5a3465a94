"""What every answer says to the browser: nothing of others is loaded, framed, cached or told."""

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from worker.settings.console import ConsoleSettings

NONCE: Final = web.RequestKey("nonce", str)
_FIXED: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types htmx"
)

Prepare = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def nonce_of(request: web.Request) -> str:
    """Return the nonce by which the scripts of this page are known from any others: new for each answer."""
    if NONCE not in request:
        request[NONCE] = secrets.token_urlsafe(16)
    return request[NONCE]


def adding_headers(settings: ConsoleSettings) -> Prepare:
    """Return what gives every answer its headers, streams and errors included."""
    is_encrypted = (settings.public_url or "").startswith("https://")

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(_FIXED)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Content-Security-Policy"] = _POLICY.format(nonce=nonce_of(request))
        response.headers.pop("Server", None)
        if is_encrypted:
            response.headers["Strict-Transport-Security"] = "max-age=31536000"

    return add
