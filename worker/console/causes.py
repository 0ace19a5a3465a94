"""What dead letters died of: how many of each cause, what mends it, and whether that holds now."""

from typing import Final

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import desk_of
from worker.console.filters import LetterFilter
from worker.console.pages import render
from worker.console.sign_in.roles import require_operator
from worker.operations import causes as operation
from worker.operations import holds

ROUTES: Final = web.RouteTableDef()


@ROUTES.get("/causes")
async def causes(request: web.Request) -> web.Response:
    """List the causes of what matches, the most frequent first."""
    return await _shown(request, check=False)


@ROUTES.post("/causes/check")
async def check(request: web.Request) -> web.Response:
    """List them, and find out which are mended by now: asks the providers, revokes nothing."""
    require_operator(request)
    return await _shown(request, check=True)


async def _shown(request: web.Request, *, check: bool) -> web.Response:
    desk = desk_of(request)
    where = LetterFilter.read(request.query, desk.names)
    found = await desk.ask(operation.find, desk.settings, desk.ledger, where.selection, where.states, check=check)
    providers = {each.row.provider for each in found.causes if each.row.provider}
    lines = await desk.ask(holds.in_words, desk.ledger, providers)
    words = ("dlq", "causes", *where.words(changing=False), *(["--check"] if check else []))
    return render(
        request,
        "causes.html",
        found=found,
        holds=lines,
        is_checked=check,
        pairs=where.pairs(desk.names),
        address=where.address(desk.names, "/causes"),
        commands=[command(*words)],
    )
