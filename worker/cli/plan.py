"""`revoker plan`: what an event would become. Nothing is sent, nothing is published."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import IO

import click

from tasks.call import ProviderCall
from tasks.events import InvalidEvent, SessionEnded, UserDisabled, parse_event
from tasks.plan import Plan, plan_revocations
from tasks.providers import Request
from tasks.subject import masked_subject
from worker.cli.exits import CommandError
from worker.cli.output import Column, Document, Form, Listing, output_option, print_json, rfc3339, say
from worker.cli.providers import opened_providers
from worker.settings import Settings

LONGEST = 1024 * 1024  # bytes read; the intake refuses far smaller ones, and says so


@click.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@output_option
def plan(file: IO[bytes], form: Form) -> None:
    """Show the exact HTTP calls that the event in FILE becomes, secrets masked. Nothing is sent."""
    settings = Settings.load()
    event = parse_event(file.read(LONGEST), now=datetime.now(UTC))
    if isinstance(event, InvalidEvent):
        raise CommandError(f"the intake would refuse this: {event.code.value} at {event.pointer or 'the whole event'}")
    planned = plan_revocations(event, settings.catalogue())
    lines = [*asyncio.run(_calls(settings, planned)), *_units(planned)]
    if form is Form.JSON:
        print_json("plan", {**_about(event), "items": lines})
    else:
        LISTING.show(form, lines)
        say(f"{event.type} {event.id}: {len(planned.calls)} calls, {len(planned.refused)} refused")


async def _calls(settings: Settings, planned: Plan) -> list[Document]:
    async with opened_providers(settings) as providers:
        return [_call(call, providers[call.provider].preview(call)) for call in planned.calls]


def _call(call: ProviderCall, request: Request) -> Document:
    return {
        "state": "call",
        "provider": call.provider,
        "operation": call.operation.value,
        "lane": call.lane.value,
        "call_id": call.call_id,
        "deadline": rfc3339(call.deadline),
        "method": request.method,
        "url": str(request.url),
        "headers": dict(request.headers),
        "body": request.body.decode() if request.body is not None else None,
    }


def _units(planned: Plan) -> list[Document]:
    """Those that need no call, then those that nobody can resolve: each of these becomes a dead letter."""
    units = [
        {"state": unit.state.value, "provider": unit.provider, "operation": unit.operation} for unit in planned.units
    ]
    return units + [{"state": "dead", "provider": unit.provider, "reason": unit.reason.value} for unit in planned.refused]


def _about(event: SessionEnded | UserDisabled) -> Document:
    return {
        "event_id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time,
        "subject": masked_subject(event),
    }


def _request(line: Document) -> str:
    if line["state"] != "call":
        return str(line.get("reason") or "no call is needed")
    headers = [f"{name}: {value}" for name, value in line["headers"].items()]
    return "\n".join([f"{line['method']} {line['url']}", *headers, *([line["body"]] if line["body"] else [])])
