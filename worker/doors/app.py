"""The doors as one aiohttp application: a path for each, and nothing else."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from worker.doors.open_door import BELOW, OpenDoor
from worker.settings.door import DoorProcessSettings
from worker.settings.door_sources import path_of

ANY_BODY: Final = 2**40  # bytes: each door counts its own


def make_app(settings: DoorProcessSettings, doors: Sequence[OpenDoor]) -> web.Application:
    """Return the application of *doors*."""
    app = web.Application(client_max_size=ANY_BODY, middlewares=[_guarding(settings)])
    for door in doors:
        path = path_of(door.name, door.settings)
        app.router.add_route("*", path, door.answer)
        app.router.add_route("*", f"{path}/{{{BELOW}:.*}}", door.answer)
    return app


def _guarding(settings: DoorProcessSettings) -> Middleware:
    """Return what turns away whoever passes the proxy by."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if settings.behind_proxy and request.remote != settings.behind_proxy:
            raise web.HTTPForbidden(text="this process answers its proxy alone: ask there")
        return await handler(request)

    return guard
