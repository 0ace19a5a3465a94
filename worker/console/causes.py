"""What dead letters died of: how many of each cause, what mends it, and whether that holds now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import Desk, desk_of
from worker.console.filters import LetterFilter
from worker.console.now import LEDGER_INTERVAL
from worker.console.pages import render
from worker.console.shared import Shared
from worker.console.sign_in.roles import require_operator
from worker.operations import causes as operation
from worker.operations import holds

ROUTES: Final = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Listed:
    """Causes, and in words what holds back their providers."""

    found: operation.Causes
    holds: Sequence[str]


CAUSES: Final = web.AppKey("causes", Shared[Listed])


@ROUTES.get("/causes")
async def causes(request: web.Request) -> web.Response:
    """List the causes of what matches, the most frequent first."""
    return await _shown(request, check=False)


@ROUTES.get("/causes/check")
async def unchecked(request: web.Request) -> web.Response:
    """Lead to the list: whoever comes back, or signs in, has not asked for a check."""
    raise web.HTTPSeeOther(f"/causes?{request.rel_url.raw_query_string}".rstrip("?"))


@ROUTES.post("/causes/check")
async def check(request: web.Request) -> web.Response:
    """List them, and find out which are mended by now: asks the providers, revokes nothing."""
    require_operator(request)
    return await _shown(request, check=True)


def shared(desk: Desk) -> Shared[Listed]:
    """Return one look at all causes, shared by all who ask without a filter."""
    everything = LetterFilter({})
    return Shared(LEDGER_INTERVAL, lambda: desk.ask(_look, desk, everything))


def _look(desk: Desk, where: LetterFilter, *, check: bool = False) -> Listed:
    found = operation.find(desk.settings, desk.ledger, where.selection, where.states, check=check)
    providers = {each.row.provider for each in found.causes if each.row.provider}
    return Listed(found, holds.in_words(desk.ledger, providers))


async def _shown(request: web.Request, *, check: bool) -> web.Response:
    desk = desk_of(request)
    where = LetterFilter.read(request.query, desk.names)
    is_shared = where == LetterFilter({}) and not check
    listed = await (request.app[CAUSES].get() if is_shared else desk.ask(_look, desk, where, check=check))
    words = ("dlq", "causes", *where.words(changing=False), *(["--check"] if check else []))
    return render(
        request,
        "causes.html",
        found=listed.found,
        holds=listed.holds,
        is_checked=check,
        pairs=where.pairs(desk.names),
        address=where.address(desk.names, "/causes"),
        check_address=where.address(desk.names, "/causes/check"),
        commands=[command(*words)],
    )
