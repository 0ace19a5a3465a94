"""Floods of events that wait for an operator."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import Desk, desk_of
from worker.console.forms import count, read
from worker.console.letter_plans import WHY, grouped, named, planned_job, running, second, second_to_discard
from worker.console.pages import render
from worker.console.plans import PLANS, Done, Fact, Plan
from worker.console.sign_in.roles import require_operator
from worker.intake.flood.store import FloodRow
from worker.ledger import Operator, Pace
from worker.operations import floods, parsing
from worker.operations.replay import ReplayControls
from worker.operations.text import age, counted, short_duration

ROUTES: Final = web.RouteTableDef()
MANY: Final = 50  # held back: to release more than this the number must be typed


@ROUTES.get("/floods")
async def every(request: web.Request) -> web.Response:
    """List what is held back, by source and type."""
    desk = desk_of(request)
    found = await desk.ask(floods.standing, desk.ledger)
    return render(request, "floods.html", found=found, id_of=floods.id_of, commands=[command("flood", "list")])


@ROUTES.post("/plan/flood-release")
async def plan_release(request: web.Request) -> web.Response:
    """Plan to have what is held back take effect; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    rate, limit = str(form.get("rate", "")).strip() or "50/s", read(form, "limit", count)
    read(form, "rate", parsing.rate, rate)
    plan = await desk.ask(_to_release, desk, str(form.get("flood", "")), rate, limit, planner.name)
    raise web.HTTPSeeOther(request.app[PLANS].add(plan, planner))


@ROUTES.post("/plan/flood-discard")
async def plan_discard(request: web.Request) -> web.Response:
    """Plan to give what is held back up for good; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    plan = await desk.ask(_to_discard, desk, str(form.get("flood", "")))
    raise web.HTTPSeeOther(request.app[PLANS].add(plan, planner))


def _to_release(desk: Desk, flood: str, rate: str, limit: int | None, planner: str) -> Plan:
    found, pace = _chosen(desk, flood), Pace(parsing.rate(rate))
    planned = planned_job(desk, floods.of_held(desk.settings, desk.ledger, found, limit), pace, planner)
    ready, limited = planned.figures.ready, ["--limit", str(limit)] if limit else []
    return Plan(
        title=f"Release {counted(ready)} held back",
        label=f"Release {counted(ready)}",
        facts=[
            *_facts(found),
            ("Rate", f"{rate}, so about {short_duration(timedelta(seconds=ready / pace.rate))}"),
            *second(desk, planned),
            ("The flood", "stays open" if limit else "ends: what comes from now on passes"),
        ],
        commands=[command("flood", "release", flood, "--rate", rate, *limited, *WHY)],
        back="/floods",
        carry_out=running(desk, planned),
        total=max(1, ready),
        groups=grouped(planned.figures.groups),
        refused=planned.figures.refusals,
        word=str(ready) if ready > MANY else None,
        job=named(planned),
    )


def _to_discard(desk: Desk, flood: str) -> Plan:
    found = _chosen(desk, flood)
    held = floods.held(desk.ledger, found)

    def carry_out(operator: Operator, _: ReplayControls) -> Done:
        entry = floods.discard(desk.settings, desk.ledger, found, held, operator)
        return Done(entry.audit_id, [("discarded", counted(entry.count))])

    return Plan(
        title=f"Discard {counted(len(held))} held back for good",
        label="Discard for good",
        facts=[
            *_facts(found),
            ("What it means", "whom they name stays logged in, for all we know; the flood ends"),
            *second_to_discard(desk, len(held), "guard.discard"),
        ],
        commands=[command("flood", "discard", flood, *WHY)],
        back="/floods",
        carry_out=carry_out,
        total=len(held),
        word=str(len(held)),
    )


def _chosen(desk: Desk, flood: str) -> list[FloodRow]:
    return floods.chosen(desk.ledger, [flood])


def _facts(found: Sequence[FloodRow]) -> list[Fact]:
    return [
        fact
        for each in found
        for fact in (
            ("Source", each.source or "all sources together"),
            ("Event", each.event_type),
            ("Open for", age(each.opened_at) or "ended"),
            ("Oldest", age(each.oldest_at) or "–"),
        )
    ]
