"""Recording: what the messages on their way to the ledger become in its tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tasks.outcome import Reason, State
from tasks.records import CallOutcome, DeadLetter, EventPlanned
from tasks.sealing import SealProblem, kid_of
from worker.database.writing import Insert, take_changes
from worker.ledger import upserts
from worker.ledger.rows import DeadLetterState

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
AGAIN: Final = timedelta(minutes=10)  # in which an intake that ended is back, and gets what it had in hand

Record = EventPlanned | CallOutcome | DeadLetter
Row = dict[str, Any]

# Within one replay generation: what is settled stays settled, whatever else is still told of it.
_WEIGHT: Final[Mapping[State, int]] = {
    **dict.fromkeys(State, 4),
    State.PLANNED: 0,
    State.REPLAYED: 0,
    State.RETRYING: 1,
    State.HELD: 1,
    State.DEAD: 2,
    State.DISCARDED: 3,
}


def record(connection: Connection, records: Sequence[Record]) -> None:
    """Write *records*, in any order and any number of times: the rows come out the same."""
    letters = [told for told in records if isinstance(told, DeadLetter)]
    write_rows(
        connection,
        events=[_event(told) for told in records if isinstance(told, EventPlanned)],
        calls=[row for told in records for row in _calls(told)],
        dead_letters=[_dead_letter(told) for told in letters],
    )
    _execute(connection, upserts.body, [*{row["digest"]: row for told in letters for row in _body(told)}.values()])
    _execute(connection, upserts.subject, [*{_key(row): row for told in records for row in _subjects(told)}.values()])


def write_rows(
    connection: Connection, events: Sequence[Row] = (), calls: Sequence[Row] = (), dead_letters: Sequence[Row] = ()
) -> None:
    """Write rows under fresh change numbers; each stays only where it outranks what is there."""
    number = take_changes(connection, len(events) + len(calls) + len(dead_letters))
    for statement, rows in ((upserts.event, events), (upserts.call, calls), (upserts.dead_letter, dead_letters)):
        _execute(connection, statement, [row | {"change": number + index} for index, row in enumerate(rows)])
        number += len(rows)


def call_row(letter: DeadLetter, state: State, at: datetime, replays: int | None = None) -> list[Row]:
    """The row that says *state* of a dead letter's call (none where it is no call's), in generation *replays*."""
    if letter.call is None:
        return []
    call, generation = letter.call, letter.replays if replays is None else replays
    return [
        _call(
            call,
            call_id=call.call_id,
            provider=call.provider,
            operation=call.operation,
            state=state,
            reason=None if state is State.REPLAYED else letter.reason,
            detail=_json({} if state is State.REPLAYED else letter.detail),
            attempt=0 if state is State.REPLAYED else len(letter.attempts),
            replays=generation,
            at=at,
            kid=call.jwe and kid_of(call.jwe),
            target=call.target_key,
        )
    ]


def _execute(connection: Connection, statement: Callable[[str], Insert], rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(statement(connection.dialect.name), rows)


def _event(told: EventPlanned) -> Row:
    names = ("source", "event_id", "event_type", "subject", "occurred_at", "received_at")
    return {name: getattr(told, name) for name in names}


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row.values())


def _subjects(told: Record) -> Iterable[Row]:
    if told.source is not None and told.event_id is not None:
        for key in told.subject_keys:
            yield {"lookup_hash": key, "source": told.source, "event_id": told.event_id}


def _calls(told: Record) -> Iterable[Row]:
    match told:
        case EventPlanned():
            return [_unit(told, unit) for unit in told.units]
        case CallOutcome():
            return [_outcome(told)]
        case DeadLetter():
            return call_row(told, State.DEAD, told.at)


def _unit(told: EventPlanned, unit: Any) -> Row:  # noqa: ANN401
    """A unit of a plan. One that needs no call was never exposed; one that was published has no news yet."""
    return _call(
        told,
        call_id=unit.call_id,
        provider=unit.provider,
        operation=unit.operation,
        state=unit.state,
        reason=unit.reason,
        detail="{}",
        attempt=0,
        replays=0,
        at=None if unit.state is State.PLANNED else told.received_at,
        kid=unit.kid,
        target=unit.target_key,
    )


def _outcome(told: CallOutcome) -> Row:
    return _call(
        told,
        call_id=told.call_id,
        provider=told.provider,
        operation=told.operation,
        state=told.state,
        reason=told.reason,
        detail=_json(told.detail),
        attempt=told.attempt,
        replays=told.replays,
        at=told.at,
        duration_ms=told.duration_ms,
        next_attempt_at=told.next_attempt_at,
        exposure_seconds=told.exposure_seconds,
        target=told.target_key,
    )


def _call(event: Any, **told: Any) -> Row:  # noqa: ANN401
    nothing: Row = {"duration_ms": None, "next_attempt_at": None, "exposure_seconds": None, "kid": None}
    names = ("source", "event_id", "event_type", "subject", "occurred_at")
    row = nothing | {name: getattr(event, name) for name in names} | {"person": event.person_key} | told
    news = [value for name, value in told.items() if name not in ("call_id", "target")]
    return row | {"rank": _rank(told["replays"], _WEIGHT[told["state"]], told["attempt"], told["at"], news)}


def _dead_letter(told: DeadLetter) -> Row:
    names = ("dead_letter_id", "kind", "source", "event_id", "event_type", "provider", "operation", "subject")
    row = {name: getattr(told, name) for name in (*names, "occurred_at", "reason", "replays", "at")} | {
        "call_id": told.call.call_id if told.call else None,
        "state": DeadLetterState.WITHHELD if told.reason == Reason.GUARD_FLOOD else DeadLetterState.DEAD,
        "first_reason": told.reason,
        "first_at": told.at,
        "cause": cause(told),
        "detail": _json(told.detail),
        "tries": len(told.attempts),
        "claimed_at": None,
        "claimed_by": None,
        "document": told.document,
        "unproved": len(told.document) + len(told.arrived or "") if told.unproved else None,
        "body": _digest(told),
        "is_replayable": told.call is not None or told.body is not None,
        "target": told.target_key,
        "person": told.person_key,
    }
    rank = _rank(told.replays, 0, 0, told.at, (row["document"], row["body"]))
    return row | {"rank": rank, "first_rank": rank, upserts.DIED_BEFORE: _opens_from(told)}


def _opens_from(told: DeadLetter) -> datetime:
    """The letter opens what was closed, and had last died before this time.

    A message that the broker delivers for the first time is a new one, whatever it is like. One that it delivers again
    may be the very message of which the closed letter was made, its acknowledgement lost: within AGAIN it is taken for
    that. A call is never new, as its id is of an event that was taken in once; nor is a replay, which has a generation.
    """
    if told.kind == "call" or told.replays:
        return NEVER
    at = max(told.at, NEVER + AGAIN)
    return at - AGAIN if told.redelivered else at


def _body(told: DeadLetter) -> Iterable[Row]:
    if told.arrived is not None:
        yield {"digest": _digest(told), "document": told.arrived}


def _digest(told: DeadLetter) -> bytes | None:
    return None if told.arrived is None else hashlib.sha256(told.arrived.encode()).digest()


def cause(letter: DeadLetter) -> str:
    """Six hex digits that group the dead letters of one kind, provider, operation and reason.

    Where the detail names a problem (`crypto.seal` has several), it makes a group of its own; so does each missing key.
    """
    problem = letter.detail.get("problem")
    kid = letter.detail.get("kid", "") if problem == SealProblem.UNKNOWN_KEY else ""
    known = (letter.kind, letter.provider or "", letter.operation or "", letter.reason)
    parts = (*known, problem, kid) if problem else known
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:6]


def _rank(replays: int, weight: int, attempt: int, at: datetime | None, news: object) -> str:
    """A text that sorts as (replays, weight, attempt, time); the digest decides ties, alike in any order of arrival."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds") if at else "0"
    digest = hashlib.blake2s(repr(news).encode(), digest_size=4).hexdigest()
    return f"{replays:0{upserts.GENERATION_DIGITS}d}.{weight}.{attempt:08d}.{moment}.{digest}"


def _json(detail: Mapping[str, str]) -> str:
    return json.dumps(detail, sort_keys=True) if detail else "{}"
