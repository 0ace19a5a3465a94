"""The settings in force, secrets masked."""

from typing import Final

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import desk_of
from worker.console.pages import render
from worker.operations import config

ROUTES: Final = web.RouteTableDef()


@ROUTES.get("/settings")
async def settings(request: web.Request) -> web.Response:
    """Show every setting, and where its value came from."""
    found = await desk_of(request).ask(config.in_force)
    return render(request, "settings.html", settings=found, commands=[command("config", "show")])
