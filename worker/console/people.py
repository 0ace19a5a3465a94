"""Where everything about a person stands, and what became of an event."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from worker.console.commands import command, operands
from worker.console.desk import Desk, desk_of
from worker.console.pages import render
from worker.ledger import DeadLetterAmbiguous, DeadLetterNotFound
from worker.operations import dead_letters, holds
from worker.operations.advice import advice_on
from worker.operations.explain import Explanation, explain
from worker.operations.provider_standings import by_provider
from worker.operations.standings import Verdict

ROUTES: Final = web.RouteTableDef()
TONES: Final = {
    Verdict.OUT: "good",
    Verdict.IN_PART: "wait",
    Verdict.ENABLED: "wait",
    Verdict.UNKNOWN: "wait",
    Verdict.UNPROVED: "wait",
    Verdict.NOT_YET_OUT: "bad",
}
MAX_ADVICE: Final = 10  # lines
MAX_COMMANDS: Final = 3  # of one line
MAX_NAME: Final = 8192  # characters
_LETTER_ID: Final = re.compile(r"[0-9a-f][0-9a-f-]{7,63}")


@dataclass(frozen=True, slots=True)
class Line:
    """What to do about parts that all need the same, what to type for the first, and how many there are more."""

    do: str
    runbook: str
    commands: Sequence[str]
    more: int


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened, or is to come."""

    at: datetime
    text: str
    state: str = ""


@ROUTES.post("/find")
async def find(request: web.Request) -> web.Response:
    """Lead to the dead letter, person or event that somebody typed; a name stands in no address."""
    desk, form = desk_of(request), await request.post()
    asked = str(form.get("q", "")).strip()
    if not 0 < len(asked) <= MAX_NAME:
        raise web.HTTPBadRequest(text="q: type a person's name, an event's id or the beginning of a dead letter's id")
    if _LETTER_ID.fullmatch(asked.lower()) and (letter := await desk.ask(_letter, desk, asked)):
        raise web.HTTPSeeOther(f"/letters/{letter}")
    raise web.HTTPSeeOther(f"/person/{desk.names.sealed(asked)}")


@ROUTES.get("/person/{sealed}")
async def person(request: web.Request) -> web.Response:
    """Show where everything about a person stands."""
    desk, whom = desk_of(request), desk_of(request).names.opened(request.match_info["sealed"])
    if whom is None:
        raise web.HTTPNotFound(text="this address was not made by this installation: look the person up again")
    found, lines = await desk.ask(_explained, desk, whom)
    return _shown(request, found, lines, [command("explain", *operands(whom))], whom)


@ROUTES.get("/event")
async def event(request: web.Request) -> web.Response:
    """Show what became of an event."""
    desk, event_id, source = desk_of(request), request.query.get("id", ""), request.query.get("source") or None
    if not event_id:
        raise web.HTTPBadRequest(text="id: give the id of an event")
    found, lines = await desk.ask(_explained, desk, event_id, source, is_event=True)
    more = ["--source", source] if source else []
    return _shown(request, found, lines, [command("explain", "--event", event_id, *more)], event_id)


def _shown(
    request: web.Request, found: Explanation, lines: Sequence[str], commands: Sequence[str], name: str
) -> web.Response:
    return render(
        request,
        "explanation.html",
        name=name,
        is_event=request.path == "/event",
        found=found,
        tone=TONES[found.worst.verdict],
        holds=lines,
        providers=by_provider(found.standings),
        advice=_advice(found),
        steps=steps(found),
        commands=commands,
    )


def _advice(found: Explanation) -> list[Line]:
    """What to do about the parts that are not out, each once."""
    commands: dict[tuple[str, str], dict[str, None]] = {}
    for advice in filter(None, map(advice_on, found.standings)):
        commands.setdefault((advice.do, advice.runbook), {}).update({advice.command: None} if advice.command else {})
    return [
        Line(*about, [*given][:MAX_COMMANDS], max(0, len(given) - MAX_COMMANDS)) for about, given in commands.items()
    ][:MAX_ADVICE]


def steps(explanation: Explanation) -> list[Step]:
    """Return what happened, every attempt, and what is to come, in order."""
    found: dict[Step, None] = {}
    for each in explanation.standings:
        row = each.row
        for attempt in explanation.attempts_at(each):
            what = f"{row.provider}: attempt {attempt.number}{f', {attempt.reason}' if attempt.reason else ''}"
            found[Step(attempt.at, what, "failed" if attempt.reason else row.state.value)] = None
        if row.occurred_at:
            found[Step(row.occurred_at, f"{row.event_type or 'event'} {row.event_id}, as {row.source} tells")] = None
        what = f"{row.provider or 'the whole event'}: {row.operation or 'no call'}"
        if row.at and not row.state.is_settled:
            found[Step(row.at, f"{what}{f', {row.reason}' if row.reason else ''}", row.state.value)] = None
        if row.next_attempt_at and row.state.is_open:
            found[Step(row.next_attempt_at, f"{what}: next attempt", "planned")] = None
    return sorted(found, key=lambda each: each.at)


def _explained(
    desk: Desk, whom: str, source: str | None = None, *, is_event: bool = False
) -> tuple[Explanation, list[str]]:
    found = explain(desk.settings, desk.ledger, whom, source, is_event=is_event)
    return found, holds.in_words(desk.ledger, found.open_providers)


def _letter(desk: Desk, asked: str) -> str | None:
    try:
        return dead_letters.one(desk.ledger, asked).dead_letter_id
    except (DeadLetterNotFound, DeadLetterAmbiguous):
        return None
