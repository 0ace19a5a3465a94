"""A plan, its confirmation, its progress and its result: one page, as far as it is."""

from typing import Final

from aiohttp import web

from worker.console.causes import CAUSES
from worker.console.now import STANDING
from worker.console.pages import render
from worker.console.plans import PLANS, Change
from worker.console.sign_in.roles import require_operator
from worker.ledger import Operator

ROUTES: Final = web.RouteTableDef()
MAX_REASON: Final = 2000  # characters


@ROUTES.get("/plans/{id}")
async def plan(request: web.Request) -> web.Response:
    """Show a plan, or how far it is."""
    return _shown(request, request.app[PLANS].get(request.match_info["id"]))


@ROUTES.post("/plans/{id}")
async def run(request: web.Request) -> web.Response:
    """Carry a plan out, as it was read, once."""
    operator, change, form = require_operator(request), request.app[PLANS].get(request.match_info["id"]), None
    form = await request.post()
    reason, word = str(form.get("reason", "")).strip(), str(form.get("word", "")).strip()
    if fault := _fault(change, operator.name, str(form.get("hash", "")), reason, word):
        return _shown(request, change, fault, reason)
    request.app[PLANS].run(change, Operator(operator.name, reason))
    raise web.HTTPSeeOther(request.path)


@ROUTES.post("/plans/{id}/stop")
async def stop(request: web.Request) -> web.Response:
    """Have a change end after the step it is in."""
    require_operator(request)
    request.app[PLANS].get(request.match_info["id"]).stop.set()
    raise web.HTTPSeeOther(f"/plans/{request.match_info['id']}")


def _fault(change: Change, name: str, told: str, reason: str, word: str) -> str | None:
    """Why the plan is not run, or None."""
    if name != change.planner.name:
        return f"{change.planner.name} planned this: plan it yourself, so that you read what you run"
    if told != change.plan.hash:
        return "this is not the plan that you read: read it again"
    if change.plan.needs_reason and not reason:
        return "say why you do it: the audit keeps it"
    if len(reason) > MAX_REASON:
        return f"the reason has more than {MAX_REASON} characters"
    if change.plan.word is not None and word != change.plan.word:
        return f"type {change.plan.word} to show that you mean it: this cannot be undone"
    return None


def _shown(request: web.Request, change: Change, fault: str | None = None, reason: str = "") -> web.Response:
    status = 422 if fault else 200
    if change.done:  # whoever goes on from here sees what it changed
        request.app[STANDING].overview.forget()
        request.app[CAUSES].forget()
    return render(request, "plan.html", status, change=change, plan=change.plan, fault=fault, reason=reason)
