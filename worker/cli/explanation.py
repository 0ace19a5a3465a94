"""How `revoker explain` shows what is known: each provider, each part, the attempts at what is not out, what to do."""

from collections.abc import Iterator
from functools import partial
from textwrap import wrap
from typing import Final, NamedTuple

import click

from worker.cli.output import NARROW, Column, Document, Form, Listing, members
from worker.ledger import AttemptRow
from worker.operations.advice import Advice, advice_on
from worker.operations.explain import Explanation
from worker.operations.listed_calls import ParentOf, parents
from worker.operations.provider_standings import ProviderStanding, by_provider
from worker.operations.standings import Standing
from worker.operations.text import counted, plain, soon

TOLD: Final = 5  # parts that are not out, with their attempts and what to do


class Line(NamedTuple):
    """An attempt at a part that is not out, or the one that is to come."""

    part: Standing
    number: str
    at: object
    came_to: str


def show(form: Form, explanation: Explanation) -> None:
    """Print the table of providers and what is left to do; *form* wide or JSONL: every part."""
    if form is not Form.TABLE:
        parts(explanation).show(form, explanation.standings)
        return
    _PROVIDERS.show(form, by_provider(explanation.standings))
    left = [each for each in explanation.standings if not each.is_out]
    if lines := [line for part in left[:TOLD] for line in _lines(explanation, part)]:
        click.echo()
        _ATTEMPTS.show(form, lines)
    for paragraph in _to_do(left):
        click.echo("\n".join(wrap(plain(paragraph), NARROW, subsequent_indent="  ", break_on_hyphens=False)))


def document(explanation: Explanation) -> Document:
    """The JSON of each provider and of each part."""
    providers = [_provider_document(each) for each in by_provider(explanation.standings)]
    listing = parts(explanation)
    return {"providers": providers, "items": [listing.document(each) for each in explanation.standings]}


def _provider_document(each: ProviderStanding) -> Document:
    return {
        "provider": each.provider,
        "state": each.state,
        "out": each.is_out,
        "parts": each.parts,
        "parts_out": each.out,
        "next_attempt_at": each.next_attempt_at,
        "last_news_at": each.told_by.row.at,
        "evidence": each.told_by.told,
    }


def _part_document(explanation: Explanation, parent_of: ParentOf, part: Standing) -> Document:
    row, advice = part.row, advice_on(part)
    parent = parent_of(row)
    about = ("provider", "operation", "state", "event_type", "event_id", "source", "subject", "occurred_at")
    return {
        "out": part.is_out,
        **members(row, *about),
        "attempts": row.attempt,
        "attempt_history": [_attempt_document(each) for each in explanation.attempts_at(part)],
        **members(row, "replays", "reason", "detail"),
        "last_news_at": row.at,
        "next_attempt_at": None if part.is_out else row.next_attempt_at,
        "time_to_revoke_seconds": row.exposure_seconds,
        "advice": advice and members(advice, "do", "command", "runbook"),
        **members(row, "call_id", "dead_letter_id"),
        "parent_call_id": parent.call_id if parent else None,
    }


def _attempt_document(attempt: AttemptRow) -> Document:
    return members(attempt, "replays", "number", "at", "reason", "detail", "duration_ms")


def _lines(explanation: Explanation, part: Standing) -> Iterator[Line]:
    for each in explanation.attempts_at(part):
        number = f"{each.number} of replay {each.replays}" if each.replays else str(each.number)
        told = (each.reason or part.row.state.value, each.detail.get("status"), each.detail.get("code"))
        yield Line(part, number, each.at, " ".join(filter(None, told)))
    if part.next_attempt:
        yield Line(part, "next", part.row.next_attempt_at, part.next_attempt)


def _to_do(left: list[Standing]) -> Iterator[str]:
    """What to do about the first of *left*, each advice once."""
    told = ((each.row.provider or _WHOLE_EVENT, advice_on(each)) for each in left[:TOLD])
    yield from dict.fromkeys(_in_words(provider, advice) for provider, advice in told if advice)
    if len(left) > TOLD:
        yield f"{counted(len(left) - TOLD)} more are not out: -o wide shows them, -o json what to do about each"


def _in_words(provider: str, advice: Advice) -> str:
    then = f"; then {advice.command}" if advice.command else ""
    where = f" ({advice.runbook})" if advice.runbook else ""
    return f"{provider}: {advice.do}{then}{where}"


def _seconds(span: float | None) -> str:
    return "" if span is None else f"{span:.2f}s"


def parts(explanation: Explanation) -> Listing[Standing]:
    """How each part is printed, everything about it."""
    parent_of = parents(each.row for each in explanation.standings)
    return Listing("standing", _OF_A_PART, partial(_part_document, explanation, parent_of))


_WHOLE_EVENT: Final = "the whole event"
_PROVIDERS: Final[Listing[ProviderStanding]] = Listing(
    "provider_standing",
    (
        Column("PROVIDER", lambda each: each.provider or _WHOLE_EVENT, cut=1),
        Column("STATE", lambda each: each.state),
        Column("PARTS", lambda each: f"{each.out}/{each.parts}", right=True),
        Column("TRIES", lambda each: each.told_by.row.attempt, right=True),
        Column("NEXT", lambda each: soon(each.next_attempt_at)),
        Column("REVOKED IN", lambda each: _seconds(each.told_by.row.exposure_seconds), right=True),
        Column("EVIDENCE", lambda each: each.told_by.evidence, cut=2),
    ),
    _provider_document,
)
_ATTEMPTS: Final[Listing[Line]] = Listing(
    "attempt",
    (
        Column("NOT OUT AT", lambda line: line.part.row.provider or _WHOLE_EVENT, cut=1),
        Column("EVENT", lambda line: line.part.row.event_type),
        Column("ATTEMPT", lambda line: line.number),
        Column("AT", lambda line: line.at),
        Column("CAME TO", lambda line: line.came_to, cut=2),
    ),
    lambda line: {"number": line.number, "at": line.at},
)
_OF_A_PART: Final[tuple[Column[Standing], ...]] = (
    Column("PROVIDER", lambda each: each.row.provider),
    Column("STATE", lambda each: each.state),
    Column("EVENT", lambda each: each.row.event_type),
    Column("TRIES", lambda each: each.row.attempt, right=True),
    Column("NEXT", lambda each: each.next_attempt),
    Column("REVOKED IN", lambda each: _seconds(each.row.exposure_seconds), right=True),
    Column("EVIDENCE", lambda each: each.evidence),
    Column("OPERATION", lambda each: f"└ {each.row.operation}" if each.is_listed else each.row.operation),
    Column("SUBJECT", lambda each: each.row.subject),
    Column("EVENT ID", lambda each: each.row.event_id),
    Column("SOURCE", lambda each: each.row.source),
    Column("HAPPENED", lambda each: each.row.occurred_at),
    Column("CALL", lambda each: each.row.call_id),
    Column("DEAD LETTER", lambda each: each.row.dead_letter_id),
)
