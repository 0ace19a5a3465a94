"""`revoker streams`: the streams of a transmitter of shared signals, as their receiver manages them."""

from typing import get_args

import click

from tasks.doors.streams import Status, Stream
from worker.cli.consent import Change, changes
from worker.cli.output import Column, Form, Listing, members, note, output_option
from worker.cli.tree import Commands
from worker.operations import streams as operations
from worker.operations.opening import open_ledger
from worker.settings import Settings

streams = Commands("streams", help="Streams of shared signals: list, create, verify, status, delete.")

_LISTING: Listing[Stream] = Listing(
    "stream",
    (
        Column("STREAM", lambda each: each.stream_id),
        Column("STATUS", lambda each: each.status or "-"),
        Column("BY", lambda each: each.method),
        Column("ENDPOINT", lambda each: each.endpoint or "-", cut=1),
        Column("AUDIENCE", lambda each: [*each.audience], cut=2),
        Column("EVENTS", lambda each: [*each.events], wide_only=True),
    ),
    lambda each: members(each, "stream_id", "status", "method", "endpoint", "audience", "events"),
)
_door = click.argument("door")
_stream = click.argument("stream_id", metavar="STREAM")


@streams.command("list")
@_door
@output_option
def list_(door: str, form: Form) -> None:
    """List our streams at the transmitter of DOOR, a door of kind security-event-tokens."""
    found = operations.found(Settings.load(), door)
    _LISTING.show(form, found)
    note(f"{len(found)} streams")


@streams.command()
@_door
@click.option("--push", "push_to", metavar="URL", help="Our door as the transmitter reaches it. Default: it is polled.")
@changes(operations.create)
def create(door: str, push_to: str | None, change: Change) -> None:
    """Make a stream at the transmitter of DOOR. It prints what the settings of the door must be."""
    settings = Settings.load()
    operations.require_fit(settings, door, push_to)
    note(f"a stream would be made for {door}, {f'pushed to {push_to}' if push_to else 'polled'}")
    if change.is_agreed("Make it?"):
        with open_ledger(settings) as ledger:
            audit, made = operations.create(settings, ledger, door, push_to, change.operator)
        _LISTING.show(change.form, [made])
        if made.method == "poll":
            note(f'next: doors.{door}.poll_url = "{made.endpoint}"')
        note(f"next: doors.{door}.audience must be one of: {', '.join(made.audience)}", f"audit {audit.audit_id}")


@streams.command()
@_door
@_stream
@changes(operations.verify)
def verify(door: str, stream_id: str, change: Change) -> None:
    """Have the transmitter of DOOR send a verification event by STREAM; the door counts it as `challenge`."""
    if change.is_agreed(f"Have one sent by {stream_id}?"):
        settings = Settings.load()
        with open_ledger(settings) as ledger:
            audit, state = operations.verify(settings, ledger, operations.Which(door, stream_id), change.operator)
        change.show("stream_verification", {"audit_id": audit.audit_id, "state": state}, "it is on its way")


@streams.command()
@_door
@_stream
@click.argument("wanted", type=click.Choice(get_args(Status)))
@changes(operations.set_status)
def status(door: str, stream_id: str, wanted: Status, change: Change) -> None:
    """Have STREAM deliver events (enabled), keep them (paused) or drop them (disabled)."""
    settings, which = Settings.load(), operations.Which(door, stream_id)
    note(f"{stream_id} is {operations.one(settings, which).status}; it would be {wanted}")
    if change.is_agreed(f"Have it {wanted}?"):
        with open_ledger(settings) as ledger:
            audit, told = operations.set_status(settings, ledger, which, wanted, change.operator)
        change.show("stream_status", {"audit_id": audit.audit_id, "status": told}, f"{stream_id} is {told}")


@streams.command()
@_door
@_stream
@changes(operations.delete)
def delete(door: str, stream_id: str, change: Change) -> None:
    """Have the transmitter of DOOR forget STREAM: nothing comes by it any more."""
    settings, which = Settings.load(), operations.Which(door, stream_id)
    there = operations.one(settings, which)
    note(f"{stream_id} is {there.status}, by {there.method}; it would be deleted")
    if change.is_agreed("Delete it for good?"):
        with open_ledger(settings) as ledger:
            audit, _ = operations.delete(settings, ledger, which, change.operator)
        change.show("stream_deletion", {"audit_id": audit.audit_id, "stream_id": stream_id}, f"{stream_id} is deleted")
