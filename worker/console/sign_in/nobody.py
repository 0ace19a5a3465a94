"""Without sign-in: whoever comes may look, and change nothing."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from worker.console.sign_in.roles import OPERATOR, Role, SignedIn

NOBODY: Final = SignedIn("nobody", Role.VIEWER, "")


async def still_signed_in(_: web.Request) -> bool:
    """Return whether who made a request is still let in, however long it takes."""
    return True


@web.middleware
async def everybody_looks(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer everybody as a viewer without a name."""
    request[OPERATOR] = NOBODY
    return await handler(request)
