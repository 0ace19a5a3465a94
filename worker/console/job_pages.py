"""Replays and large discards as jobs: those that were planned, how far each got; pause, resume and stop."""

from typing import Final

from aiohttp import web

from worker.console.commands import command
from worker.console.desk import Desk, desk_of
from worker.console.letter_plans import DISCARD_MEANS, WHY, pace_facts, running, second
from worker.console.pages import render
from worker.console.plans import PLANS, Done, Plan
from worker.console.sign_in.roles import require_operator
from worker.ledger import DONE, LEFT, JobState, Operator
from worker.operations import jobs
from worker.operations.job_report import JobReport
from worker.operations.jobs import PlannedJob
from worker.operations.replay import ReplayControls
from worker.operations.text import counted

ROUTES: Final = web.RouteTableDef()
_ENDS: Final = {"pause": JobState.PAUSED, "stop": JobState.STOPPED}


@ROUTES.get("/jobs")
async def every(request: web.Request) -> web.Response:
    """List replays, the last planned first."""
    desk = desk_of(request)
    found = await desk.ask(jobs.find, desk.ledger)
    commands = [command("dlq", "jobs", "list")]
    return render(request, "jobs.html", found=found, out=DONE, left=LEFT, commands=commands)


@ROUTES.get("/jobs/{id}")
async def one(request: web.Request) -> web.Response:
    """Show a replay: its plan, and what became of what was planned."""
    desk = desk_of(request)
    report = await desk.ask(jobs.one, desk.ledger, request.match_info["id"])
    commands = [command("dlq", "jobs", "show", report.job.job_id)]
    return render(request, "job.html", report=report, job=report.job, commands=commands)


@ROUTES.post("/plan/job")
async def plan(request: web.Request) -> web.Response:
    """Plan to pause, stop or resume a replay; lead to the plan."""
    planner, desk, form = require_operator(request), desk_of(request), await request.post()
    report = await desk.ask(jobs.one, desk.ledger, str(form.get("job", "")))
    verb = str(form.get("verb", ""))
    if verb == "resume":
        made = to_run(desk, report)
    elif verb in _ENDS:
        made = _to_halt(desk, report, verb)
    else:
        raise web.HTTPBadRequest(text="verb: must be pause, stop or resume")
    raise web.HTTPSeeOther(request.app[PLANS].add(made, planner))


def to_run(desk: Desk, report: JobReport) -> Plan:
    """Return the plan to run what remains of a replay."""
    job, remaining = report.job, report.result.remaining
    planned = PlannedJob(report.figures, job)
    what = "Discard for good" if job.is_discard else "Run"
    return Plan(
        title=f"{what} what remains of job {job.job_id}: {counted(remaining)}",
        label=f"{what} {counted(remaining)}",
        facts=[
            ("State", job.state.value),
            *([("Why", job.why)] if job.why else []),
            *([("Which", job.audit.scope), DISCARD_MEANS] if job.is_discard else pace_facts(job.pace, remaining)),
            *second(desk, planned),
        ],
        commands=[command("dlq", "jobs", "resume", job.job_id, *WHY)],
        back=f"/jobs/{job.job_id}",
        carry_out=running(desk, planned),
        total=remaining,
        word=str(remaining) if job.is_discard else None,
        job=(job.job_id, job.hash),
    )


def _to_halt(desk: Desk, report: JobReport, verb: str) -> Plan:
    job = report.job

    def carry_out(operator: Operator, _: ReplayControls) -> Done:
        entry = jobs.halt(desk.ledger, job, _ENDS[verb], operator)
        return Done(entry.audit_id, [("remain", counted(report.result.remaining))])

    what = (
        "the rest waits; resume goes on" if verb == "pause" else "the rest stays as it is; another replay can have it"
    )
    return Plan(
        title=f"{verb.capitalize()} job {job.job_id}",
        label=f"{verb.capitalize()} it",
        facts=[("State", job.state.value), ("Remain", counted(report.result.remaining)), ("What it means", what)],
        commands=[command("dlq", "jobs", verb, job.job_id, *WHY)],
        back=f"/jobs/{job.job_id}",
        carry_out=carry_out,
    )
