"""The providers: what is known of them, and their holds."""

from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from worker.calls.holds.hold import Hold, Scope
from worker.console.commands import command
from worker.console.desk import Desk, desk_of
from worker.console.forms import read
from worker.console.letter_plans import WHY
from worker.console.now import STANDING
from worker.console.pages import render
from worker.console.plans import PLANS, Done, Plan
from worker.console.sign_in.roles import require_operator
from worker.ledger import Operator
from worker.operations import holds, parsing, providers
from worker.operations.providers import Checked
from worker.operations.replay import ReplayControls
from worker.operations.text import short_duration

ROUTES: Final = web.RouteTableDef()


@ROUTES.get("/providers")
async def every(request: web.Request) -> web.Response:
    """List the provider instances."""
    found = await request.app[STANDING].overview.get()
    return render(request, "providers.html", found=found, commands=[command("provider", "list")], holds=holds)


@ROUTES.get("/providers/{name}")
async def one(request: web.Request) -> web.Response:
    """Show a provider instance, its holds, and what can be done with it."""
    return await _shown(request, None)


@ROUTES.get("/providers/{name}/check")
async def unchecked(request: web.Request) -> web.Response:
    """Lead to the provider: whoever comes back, or signs in, has not asked for a check."""
    raise web.HTTPSeeOther(request.rel_url.raw_path.removesuffix("/check"))


@ROUTES.post("/providers/{name}/check")
async def check(request: web.Request) -> web.Response:
    """Find out whether calls could succeed now, and show that. Revokes nothing."""
    require_operator(request)
    desk = desk_of(request)
    [found] = await desk.ask(providers.check, desk.settings, [request.match_info["name"]])
    return await _shown(request, found)


@ROUTES.post("/plan/hold")
async def plan_hold(request: web.Request) -> web.Response:
    """Plan to have a provider's calls wait; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    name, span = str(form.get("provider", "")), read(form, "span", parsing.span, "1h")
    scope = read(form, "scope", Scope, Scope.ALL.value)
    providers.require_known(desk.settings, [name])
    raise web.HTTPSeeOther(request.app[PLANS].add(_to_hold(desk, name, span, scope), planner))


@ROUTES.post("/plan/release")
async def plan_release(request: web.Request) -> web.Response:
    """Plan to end what holds a provider; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    name = str(form.get("provider", ""))
    providers.require_known(desk.settings, [name])
    lines = await desk.ask(holds.in_words, desk.ledger, [name])
    raise web.HTTPSeeOther(request.app[PLANS].add(_to_release(desk, name, lines), planner))


async def _shown(request: web.Request, checked: Checked | None) -> web.Response:
    desk, name = desk_of(request), request.match_info["name"]
    providers.require_known(desk.settings, [name])
    found = await request.app[STANDING].overview.get()
    standing = await desk.ask(holds.in_force, desk.ledger)
    values: dict[str, Any] = {
        "each": next(each for each in found.providers if each.configured.name == name),
        "standing": [hold for hold in standing if hold.provider == name],
        "checked": checked,
        "told": providers.outcome_in_words(checked.outcome) if checked else "",
    }
    commands = [command("provider", "check", name), command("provider", "hold", name, "--for", "1h", *WHY)]
    return render(request, "provider.html", commands=commands, holds=holds, scopes=list(Scope), **values)


def _to_hold(desk: Desk, name: str, span: timedelta, scope: Scope) -> Plan:
    lasting = short_duration(span)

    def carry_out(operator: Operator, _: ReplayControls) -> Done:
        entry, placed = holds.place(desk.ledger, holds.planned(name, scope, span, operator), operator)
        return Done(entry.audit_id, [("held until", f"{placed.until:%Y-%m-%d %H:%M:%S} UTC")])

    return Plan(
        title=f"Hold {name} for {lasting}",
        label=f"Hold {name}",
        facts=[
            ("What waits", holds.scope_in_words(scope)),
            ("How long", lasting),
            ("Where", "in the broker, unattempted"),
        ],
        commands=[command("provider", "hold", name, "--for", _words(span), "--scope", scope.value, *WHY)],
        back=f"/providers/{name}",
        carry_out=carry_out,
    )


def _to_release(desk: Desk, name: str, lines: list[str]) -> Plan:
    def carry_out(operator: Operator, _: ReplayControls) -> Done:
        entry, found = holds.release(desk.ledger, name, operator)
        return Done(entry.audit_id, _released(found))

    return Plan(
        title=f"Release {name}",
        label=f"Release {name}",
        facts=[("Held", line) for line in lines] or [("Held", "nothing holds it now")],
        commands=[command("provider", "release", name, *WHY)],
        back=f"/providers/{name}",
        carry_out=carry_out,
    )


def _released(found: list[Hold]) -> list[tuple[str, str]]:
    probed = sum(each.is_probed for each in found)
    return [("ended", str(len(found) - probed)), ("to be probed now", str(probed))]


def _words(span: timedelta) -> str:
    """*span* as the command line takes it."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
