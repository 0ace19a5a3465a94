"""`revoker plan`: what an event would become. Nothing is sent, nothing is published."""

from collections.abc import Iterator
from typing import IO

import click

from tasks.call import Operation, ProviderCall
from tasks.events import Event, InvalidEvent
from tasks.outcome import State
from tasks.plan import Plan
from tasks.providers.provider import Request
from tasks.subject_index import masked_subject
from worker.cli.exits import CommandError
from worker.cli.output import Document, Form, members, note, output_option, print_json
from worker.operations.providers import preview
from worker.operations.text import plain, rfc3339
from worker.settings import Settings

MAX_EVENT = 1024 * 1024  # bytes read; the intake refuses far smaller ones, and so does this


@click.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@output_option
def plan(file: IO[bytes], form: Form) -> None:
    """Show the exact HTTP calls that the event in FILE becomes, secrets masked. Nothing is sent.

    Ends with 1 where the intake would refuse the event.
    """
    shown = preview(Settings.load(), file.read(MAX_EVENT))
    if isinstance(shown, InvalidEvent):
        raise CommandError(f"the intake would refuse this: {shown.code.value} at {shown.pointer or 'the whole event'}")
    event, planned, calls = shown.event, shown.plan, [_call(*each) for each in shown.calls]
    if form is Form.JSON:
        print_json("plan", _document(event, planned, calls))
    elif form is Form.JSONL:
        for call in calls:
            print_json("planned_call", call, indent=None)
    else:
        click.echo("\n\n".join(["\n".join(_lines(call)) for call in calls] + [*_unit_lines(planned)]))
    note(f"{event.type} {event.id}: {len(planned.calls)} calls, {len(planned.refused)} refused")


def _call(call: ProviderCall, request: Request) -> Document:
    return {
        **members(call, "call_id", "provider", "operation", "lane"),
        "deadline": rfc3339(call.deadline),
        "method": request.method,
        "url": str(request.url),
        "headers": dict(request.headers),
        "body": request.body.decode() if request.body is not None else None,
    }


def _document(event: Event, planned: Plan, calls: list[Document]) -> Document:
    return {
        "event_id": event.id,
        **members(event, "source", "type", "time"),
        "subject": masked_subject(event),
        "calls": calls,
        "units": [
            *(_unit(each.provider, each.operation, State.COVERED) for call in planned.calls for each in call.covers),
            *(_unit(unit.provider, unit.operation, unit.state) for unit in planned.units),
        ],
        "refused": [{"provider": unit.provider, "reason": unit.reason.value} for unit in planned.refused],
    }


def _unit(provider: str, operation: Operation | None, state: State) -> Document:
    return {"provider": provider, "operation": operation, "state": state.value}


def _lines(call: Document) -> Iterator[str]:
    yield f"{call['provider']}  {call['operation']}  {call['lane']}, until {call['deadline']}"
    yield f"  {call['method']} {plain(call['url'])}"
    yield from (f"  {name}: {plain(value)}" for name, value in call["headers"].items())
    if call["body"] is not None:
        yield f"  {plain(call['body'])}"


def _unit_lines(planned: Plan) -> Iterator[str]:
    for call in planned.calls:
        covered = f"covered: dead with {call.operation}; where that kills nothing, a call of its own"
        yield from (f"{each.provider}  {covered}" for each in call.covers)
    yield from (f"{unit.provider}  {unit.state.value}: no call is needed" for unit in planned.units)
    yield from (f"{unit.provider}  dead letter: {unit.reason.value}" for unit in planned.refused)
