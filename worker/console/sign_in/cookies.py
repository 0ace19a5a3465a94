"""The cookies of the console: what they are called, and what they ask of the browser.

Over TLS: `__Host-`, Secure, HttpOnly, SameSite=Lax. On http://localhost neither the prefix nor Secure: Chromium would
keep such a cookie (seen with 156), but Safari before macOS 26 keeps no Secure one there (bugs.webkit.org/281149), so
that nobody could sign in; and there is no network for it to be read on. The names differ, so neither passes for the
other.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

from aiohttp import web

from worker.settings.console import ConsoleSettings

SESSION: Final = "revoker-session"
SIGN_IN: Final = "revoker-sign-in"  # of somebody who is at the OpenID provider
Purpose = Literal["revoker-session", "revoker-sign-in"]


def is_encrypted(request: web.Request, settings: ConsoleSettings) -> bool:
    """Whether the browser came over TLS: to us, or to the proxy before us."""
    public = urlsplit(settings.public_url or "")
    return request.secure or (public.scheme == "https" and request.host.lower() == public.netloc)


def cookie_of(request: web.Request, settings: ConsoleSettings, purpose: Purpose) -> str:
    """Return the cookie for *purpose*; "" where there is none."""
    return request.cookies.get(_name(request, settings, purpose), "")


def set_cookie(  # noqa: PLR0913 - as a cookie has them
    response: web.StreamResponse,
    request: web.Request,
    settings: ConsoleSettings,
    purpose: Purpose,
    value: str,
    *,
    max_age: int | None = None,
) -> None:
    """Have the browser keep *value* for *max_age* seconds; unset: until it is closed; 0: no longer."""
    response.set_cookie(
        _name(request, settings, purpose),
        value,
        max_age=max_age,
        path="/",
        secure=is_encrypted(request, settings),
        httponly=True,
        samesite="Lax",
    )


def _name(request: web.Request, settings: ConsoleSettings, purpose: Purpose) -> str:
    return f"__Host-{purpose}" if is_encrypted(request, settings) else purpose
