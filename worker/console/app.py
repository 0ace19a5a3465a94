"""The console as one aiohttp application."""

import asyncio
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from worker.console import (
    audit_pages,
    causes,
    flood_pages,
    job_pages,
    letters,
    live,
    now,
    people,
    plan_pages,
    provider_pages,
    settings_page,
)
from worker.console.audit_pages import VERIFICATION, Verification
from worker.console.causes import CAUSES
from worker.console.desk import DESK, Desk
from worker.console.doors import guarding
from worker.console.errors import errors_as_pages
from worker.console.headers import adding_headers
from worker.console.live import NEWS, News
from worker.console.now import STANDING, Standing
from worker.console.pages import ENVIRONMENT, STATIC
from worker.console.plans import PLANS, Plans
from worker.console.sign_in.foreign_pages import refusing_foreign_pages
from worker.console.sign_in_pages import SignIn
from worker.console.static_files import StaticFiles

MAX_BODY: Final = 64 * 1024  # bytes of a form
ROUTES: Final = tuple(
    each.ROUTES
    for each in (
        now,
        causes,
        letters,
        job_pages,
        people,
        flood_pages,
        provider_pages,
        plan_pages,
        audit_pages,
        settings_page,
        live,
    )
)


def make_app(desk: Desk, sign_in: Middleware | None = None) -> web.Application:
    """Return the application; *sign_in* says who makes each request instead of its own pages for that."""
    door, settings = SignIn(desk), desk.settings.console
    who = sign_in or door.admit
    inwards = [errors_as_pages, guarding(settings), refusing_foreign_pages(settings), who]
    app = web.Application(client_max_size=MAX_BODY, middlewares=inwards)
    if sign_in is None:
        door.install(app)
    app[DESK], app[STATIC], app[ENVIRONMENT] = desk, StaticFiles(), desk.settings.environment
    app[STANDING], app[PLANS] = Standing.of(desk), Plans()
    app[CAUSES], app[VERIFICATION] = causes.shared(desk), Verification()
    app.on_startup.append(_begin)
    app.on_shutdown.append(_end)
    app.on_response_prepare.append(adding_headers(settings))
    app.router.add_get("/static/{hash}/{name}", app[STATIC].serve)
    for routes in ROUTES:
        app.add_routes(routes)
    return app


async def _begin(app: web.Application) -> None:
    app[NEWS] = News(app[DESK])


async def _end(app: web.Application) -> None:
    """Streams end by themselves, and what runs after the step that it is in."""
    app[NEWS].stopping.set()
    await asyncio.to_thread(app[PLANS].close)
