"""`revoker explain` tells whether a person is out, everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from tasks.names import mask
from tasks.outcome import State
from worker.cli.exits import Exit, finish
from worker.cli.holding import say_held
from worker.cli.opening import open_ledger
from worker.cli.output import Column, Document, Form, Listing, output_option, plain, print_json, say, short_duration
from worker.dead_letters import supersedes
from worker.ledger import CallRow, Ledger
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one part of one event stands, and whether the token it is about is known to be dead."""

    row: CallRow
    is_out: bool

    @property
    def next_attempt(self) -> str:
        """How soon the next attempt is; empty where none is to come."""
        if self.is_out or self.row.next_attempt_at is None:
            return ""
        return f"in {short_duration(self.row.next_attempt_at - datetime.now(UTC))}"

    @property
    def evidence(self) -> str:
        """How we know: what the provider answered, else why it is not done."""
        return self.row.detail.get("evidence") or self.row.reason or ""

    @property
    def time_to_revoke(self) -> str:
        """From the event's time to the settled state."""
        seconds = self.row.exposure_seconds
        return "" if seconds is None else f"{seconds:.2f}s"


def _document(standing: Standing) -> Document:
    row = standing.row
    return {
        "out": standing.is_out,
        "provider": row.provider,
        "operation": row.operation,
        "state": row.state.value,
        "event_type": row.event_type,
        "event_id": row.event_id,
        "source": row.source,
        "subject": row.subject,
        "occurred_at": row.occurred_at,
        "attempts": row.attempt,
        "replays": row.replays,
        "reason": row.reason,
        "detail": dict(row.detail),
        "last_news_at": row.at,
        "next_attempt_at": None if standing.is_out else row.next_attempt_at,
        "time_to_revoke_seconds": row.exposure_seconds,
        "call_id": row.call_id,
        "dead_letter_id": row.dead_letter_id,
    }


_LISTING: Listing[Standing] = Listing(
    "standing",
    (
        Column("PROVIDER", lambda each: each.row.provider, cut=1),
        Column("STATE", lambda each: each.row.state.value),
        Column("EVENT", lambda each: each.row.event_type),
        Column("TRIES", lambda each: each.row.attempt, right=True),
        Column("NEXT", lambda each: each.next_attempt),
        Column("REVOKED IN", lambda each: each.time_to_revoke, right=True),
        Column("EVIDENCE", lambda each: each.evidence, cut=2),
        Column("OPERATION", lambda each: each.row.operation, wide_only=True),
        Column("SUBJECT", lambda each: each.row.subject, wide_only=True),
        Column("EVENT ID", lambda each: each.row.event_id, wide_only=True),
        Column("HAPPENED", lambda each: each.row.occurred_at, wide_only=True),
        Column("DEAD LETTER", lambda each: each.row.dead_letter_id, wide_only=True),
    ),
    _document,
)


@click.command()
@click.argument("whom", metavar="SUBJECT|EVENT")
@click.option("--json", "as_json", is_flag=True, help="Short for -o json.")
@output_option
def explain(whom: str, form: Form, *, as_json: bool) -> None:
    """Is this person out, everywhere? SUBJECT is any name of theirs that events give, EVENT an event's id.

    Ends with 0 where they are out everywhere, 1 where they are not, 4 where nothing is known of them.
    """
    settings = Settings.load()
    with open_ledger(settings) as ledger:
        about, rows = _find(ledger, settings, whom)
        standings = judged(rows)
        say_held(ledger, {str(each.row.provider) for each in standings if not each.is_out})
    verdict = verdict_on(standings)
    if form is Form.JSON or as_json:
        told = {"about": about, "out": _is_out(standings), "verdict": verdict}
        print_json("explanation", {**told, "items": [_document(each) for each in standings]})
    elif standings:
        _LISTING.show(form, standings)
    _pronounce(verdict, form if not as_json else Form.JSON)
    finish(Exit.EMPTY if not standings else Exit.DONE if _is_out(standings) else Exit.FAILED)


def judged(rows: Sequence[CallRow]) -> list[Standing]:
    """Where each of *rows*, all of one subject or event, stands. A replayed part that became calls is told by these."""
    return [Standing(row, _is_dead(row, rows)) for row in rows if not _lives_on(row, rows)]


def verdict_on(standings: Sequence[Standing]) -> str:
    """One line: out everywhere, or where not and why."""
    if not standings:
        return "UNKNOWN: no event tells of this subject, and none has this id"
    left = [each for each in standings if not each.is_out]
    if left:
        return f"NOT YET OUT: {', '.join(dict.fromkeys(map(_why, left)))}"
    unknown = sorted({str(each.row.provider) for each in standings if each.row.state is State.NO_SESSION_KNOWN})
    return f"OUT everywhere (no session was known at {', '.join(unknown)})" if unknown else "OUT everywhere"


def _find(ledger: Ledger, settings: Settings, whom: str) -> tuple[Document, list[CallRow]]:
    if rows := ledger.calls_of_event(whom):
        return {"event_id": whom}, rows
    return {"subject": mask(whom)}, ledger.calls_of_subject(*settings.subjects().everywhere(whom))


def _is_out(standings: Sequence[Standing]) -> bool:
    return bool(standings) and all(each.is_out for each in standings)


def _is_dead(row: CallRow, rows: Sequence[CallRow]) -> bool:
    return row.state.is_settled or any(supersedes(other, row) for other in rows)


def _lives_on(row: CallRow, rows: Sequence[CallRow]) -> bool:
    """Whether *row*, refused once, was replayed and became calls since."""
    if row.kind == "call" or row.state is not State.REPLAYED:
        return False
    same_event = (other for other in rows if (other.source, other.event_id) == (row.source, row.event_id))
    return any(other.kind == "call" and row.provider in (None, other.provider) for other in same_event)


def _why(standing: Standing) -> str:
    row = standing.row
    reason = f" ({row.reason})" if row.reason else ""
    soon = f", next attempt {standing.next_attempt}" if standing.next_attempt else ""
    return f"{row.provider or 'the whole event'} {row.state.value}{reason}{soon}"


def _pronounce(verdict: str, form: Form) -> None:
    """The verdict is data: on stdout with the table, beside JSON only for people."""
    if form in (Form.TABLE, Form.WIDE):
        click.echo(plain(verdict))
    else:
        say(verdict)
