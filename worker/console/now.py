"""How everything stands now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import Desk
from worker.console.exposure_view import PERIODS, ExposureView, views
from worker.console.forms import read
from worker.console.pages import render
from worker.console.shared import Shared
from worker.operations.exposure import Period
from worker.operations.overview import Depths, Overview, depths, overview

ROUTES: Final = web.RouteTableDef()
LEDGER_INTERVAL: Final = 2.0  # seconds for which all open pages share one look at the ledger
BROKER_INTERVAL: Final = 5.0  # seconds likewise, at the broker


@dataclass(frozen=True, slots=True)
class Standing:
    """The last looks at the ledger and at the broker."""

    overview: Shared[Overview]
    exposure: Mapping[Period, Shared[ExposureView]]

    @classmethod
    def of(cls, desk: Desk) -> Self:
        """That of *desk*."""
        queued: Shared[Depths | None] = Shared(BROKER_INTERVAL, lambda: desk.ask(depths, desk.settings))

        async def look() -> Overview:
            return await desk.ask(overview, desk.settings, desk.ledger, await queued.get())

        return cls(Shared(LEDGER_INTERVAL, look), views(desk))


STANDING: Final = web.AppKey("standing", Standing)


@ROUTES.get("/")
async def now(request: web.Request) -> web.Response:
    """Show each provider with what waits for it, the floods, and what waits for an operator."""
    over = read(request.query, "over", Period, Period.DAY.value)
    if over not in PERIODS:
        raise web.HTTPBadRequest(text=f"over: must be one of {', '.join(PERIODS)}")
    standing = request.app[STANDING]
    found, exposure = await standing.overview.get(), await standing.exposure[over].get()
    words = (("exposure",), ("provider", "list"), ("flood", "list"), ("dlq", "causes"))
    commands = [command(*each) for each in words]
    return render(request, "now.html", found=found, exposure=exposure, periods=PERIODS, commands=commands)
