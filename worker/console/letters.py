"""Dead letters: all that match a filter, one of them, and what can be done with them."""

from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final

from aiohttp import web

from tasks.events import EVENT_TYPES
from tasks.instants import parse_instant
from worker.console.commands import command
from worker.console.desk import Desk, desk_of
from worker.console.filters import LetterFilter
from worker.console.forms import Fields, local
from worker.console.letter_plans import ChosenPace, to_discard, to_replay
from worker.console.pages import render
from worker.console.plans import PLANS
from worker.console.sign_in.roles import require_operator
from worker.ledger import DeadLetterHead, DeadLetterState, DeadLetterSummary
from worker.operations import dead_letters
from worker.operations.dead_letters import OPEN

ROUTES: Final = web.RouteTableDef()
PAGE: Final = 50  # dead letters on a page

Behind = tuple[datetime, str]


@ROUTES.get("/letters")
async def letters(request: web.Request) -> web.Response:
    """Show what matches, the last to die first."""
    desk = desk_of(request)
    where, behind = LetterFilter.read(request.query, desk.names), _behind(request)
    summary, heads = await desk.ask(_found, desk, where, behind)
    more = heads[PAGE - 1] if len(heads) > PAGE else None
    return render(
        request,
        "letters.html",
        where=where,
        pairs=where.pairs(desk.names),
        summary=summary,
        heads=heads[:PAGE],
        is_first=behind is None,
        next=where.address(desk.names, after=f"{more.at.isoformat()}~{more.dead_letter_id}") if more else None,
        address=where.address(desk.names),
        providers=sorted(desk.settings.providers),
        event_types=list(EVENT_TYPES),
        states=list(DeadLetterState),
        commands=[command("dlq", "list", *where.words(changing=False))],
        is_open=where.states == OPEN,
    )


@ROUTES.post("/letters")
async def filtered(request: web.Request) -> web.Response:
    """Lead to the address of a filter: whom it names stands there sealed."""
    names = desk_of(request).names
    raise web.HTTPSeeOther(LetterFilter.read(await request.post(), names).address(names))


@ROUTES.get("/letters/{id}")
async def letter(request: web.Request) -> web.Response:
    """Show one dead letter, found by its id or a unique beginning of it, with its attempts."""
    desk = desk_of(request)
    row = await desk.ask(dead_letters.one, desk.ledger, request.match_info["id"])
    commands = [command("dlq", "show", row.dead_letter_id), command("dlq", "replay", row.dead_letter_id, "--dry-run")]
    return render(request, "letter.html", row=row, letter=row.letter, commands=commands)


@ROUTES.post("/plan/replay")
async def plan_replay(request: web.Request) -> web.Response:
    """Plan a replay of what a form says; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    where, chosen = _chosen(form, desk), ChosenPace.read(form)
    plan = await desk.ask(to_replay, desk, where, chosen, planner.name, _back(form))
    raise web.HTTPSeeOther(request.app[PLANS].add(plan, planner))


@ROUTES.post("/plan/discard")
async def plan_discard(request: web.Request) -> web.Response:
    """Plan to give up what a form says; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    plan = await desk.ask(to_discard, desk, _chosen(form, desk), _back(form))
    raise web.HTTPSeeOther(request.app[PLANS].add(plan, planner))


def _chosen(form: Fields, desk: Desk) -> LetterFilter:
    """What a form is about: the marked rows alone, or (scope `all`) everything that matches the filter."""
    where = LetterFilter.read(form, desk.names)
    if form.get("scope", "") == "all" and where.states != OPEN:
        raise web.HTTPBadRequest(text="of this state each is chosen by itself: mark those that you mean")
    if form.get("scope", "") == "all":
        return where.marked(())
    if form.get("scope", "") == "marked" and not where.ids:
        raise web.HTTPBadRequest(text="no row is marked: mark some, or choose all that match")
    return where


def _back(form: Fields) -> str:
    return local(str(form.get("back", "")), "/letters")


def _found(desk: Desk, where: LetterFilter, behind: Behind | None) -> tuple[DeadLetterSummary, list[DeadLetterHead]]:
    selection = where.selection
    selection = replace(selection, given=replace(selection.given, limit=PAGE + 1))
    found = dead_letters.find(desk.settings, desk.ledger, selection, where.states, behind)
    return found.summary, list(islice(found.heads, PAGE + 1))


def _behind(request: web.Request) -> Behind | None:
    """Where the page before ended."""
    at, _, dead_letter_id = request.query.get("after", "").partition("~")
    if not at:
        return None
    try:
        return parse_instant(at), dead_letter_id
    except ValueError:
        raise web.HTTPBadRequest(text="after: not the end of a page; begin at the first") from None
