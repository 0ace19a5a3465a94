"""Recording: what the messages on their way to the ledger become in its tables."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from tasks.call import ProviderCall
from tasks.outcome import Reason, State
from tasks.records import CallOutcome, DeadLetter, EventPlanned, PlannedUnit
from tasks.sealing import kid_of
from worker.database.writing import Insert, insert_all, take_changes
from worker.ledger import exposure_counts, upserts
from worker.ledger.fingerprints import fingerprint
from worker.ledger.rows import DeadLetterState

NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
REDELIVERY_WINDOW: Final = timedelta(minutes=10)  # in which an intake that ended is back, and gets what it had in hand

_in_order: Final = json.JSONEncoder(sort_keys=True).encode  # json.dumps makes an encoder each time
Record = EventPlanned | CallOutcome | DeadLetter
Row = dict[str, Any]
_OF_EVENT: Final = ("source", "event_id", "event_type", "subject", "occurred_at")

# Within one replay generation: what is settled stays settled, whatever else is still recorded of it.
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
    letters = [each for each in records if isinstance(each, DeadLetter)]
    write_rows(
        connection,
        events=[_members(each, *_OF_EVENT, "received_at") for each in records if isinstance(each, EventPlanned)],
        calls=[row for each in records for row in _call_rows(each)],
        dead_letters=[letter_row(each) for each in letters],
    )
    _execute(connection, upserts.body, list({row["digest"]: row for each in letters for row in _bodies(each)}.values()))
    _execute(connection, upserts.attempt, [*_attempt_rows(records, letters)])
    found_by = {tuple(row.values()): row for each in records for row in _subjects(each)}
    _execute(connection, upserts.subject, list(found_by.values()))


def write_rows(
    connection: Connection, events: Sequence[Row] = (), calls: Sequence[Row] = (), dead_letters: Sequence[Row] = ()
) -> None:
    """Write rows under fresh change numbers; each stays only where it outranks what is there."""
    number = take_changes(connection, len(events) + len(calls) + len(dead_letters))
    exposure_counts.count(connection, calls)
    for statement, rows in ((upserts.event, events), (upserts.call, calls), (upserts.dead_letter, dead_letters)):
        _execute(connection, statement, [row | {"change": number + index} for index, row in enumerate(rows)])
        number += len(rows)


def call_row(letter: DeadLetter, state: State, at: datetime, replays: int | None = None) -> list[Row]:
    """The row that says *state* of a dead letter's call (none where it is no call's), in generation *replays*."""
    if letter.call is None:
        return []
    call, is_replayed = letter.call, state is State.REPLAYED
    return [
        _row_of_call(
            call,
            **_members(call, "call_id", "provider", "operation"),
            state=state,
            reason=None if is_replayed else letter.reason,
            detail=_json({} if is_replayed else letter.detail),
            attempt=0 if is_replayed else len(letter.attempts),
            replays=letter.replays if replays is None else replays,
            at=at,
            kid=call.jwe and kid_of(call.jwe),
            target=call.target_key,
        )
    ]


def _execute(connection: Connection, statement: Callable[[str], Insert], rows: Sequence[Row]) -> None:
    if rows:
        insert_all(connection, statement(connection.dialect.name), rows)


def _members(value: object, *names: str) -> Row:
    return {name: getattr(value, name) for name in names}


def _subjects(record: Record) -> Iterable[Row]:
    if record.source is not None and record.event_id is not None:
        for key in record.subject_keys:
            yield {"lookup_hash": key, "source": record.source, "event_id": record.event_id}


def _call_rows(record: Record) -> Iterable[Row]:
    match record:
        case EventPlanned():
            return [_unit_row(record, unit) for unit in record.units]
        case CallOutcome():
            return [_outcome_row(record)]
        case DeadLetter():
            return call_row(record, State.DEAD, record.at)


def _unit_row(planned: EventPlanned, unit: PlannedUnit) -> Row:
    """A unit of a plan. One that needs no call was never exposed; one that was published has no outcome yet."""
    at = None if unit.state is State.PLANNED else planned.received_at
    members = _members(unit, "call_id", "provider", "operation", "state", "reason")
    fixed: Row = {"detail": "{}", "attempt": 0, "replays": 0}
    return _row_of_call(planned, **members, **fixed, at=at, kid=unit.kid, target=unit.target_key)


def _outcome_row(outcome: CallOutcome) -> Row:
    names = ("call_id", "provider", "operation", "state", "reason", "detail", "attempt", "replays", "at")
    members = _members(outcome, *names, "duration_ms", "next_attempt_at", "exposure_seconds")
    return _row_of_call(outcome, **members | {"detail": _json(outcome.detail), "target": outcome.target_key})


def _row_of_call(event: EventPlanned | CallOutcome | ProviderCall, **members: Any) -> Row:  # noqa: ANN401
    """A row of `calls`: what *event* says of the event, and *members*, whose values decide between records alike."""
    row: Row = dict.fromkeys(("duration_ms", "next_attempt_at", "exposure_seconds", "kid"))
    row |= _members(event, *_OF_EVENT) | members
    values = [value for name, value in members.items() if name not in ("call_id", "target")]
    rank = _rank(row["replays"], _WEIGHT[row["state"]], row["attempt"], row["at"], values)
    return row | {"person": event.person_key, "rank": rank}


def _attempt_rows(records: Sequence[Record], letters: Sequence[DeadLetter]) -> Iterable[Row]:
    """The attempts that failed: at calls that are tried again, and those that a dead letter of a call lists."""
    retried = [each for each in records if isinstance(each, CallOutcome) and each.state is State.RETRYING]
    for each in retried:
        members = _members(each, "call_id", "replays", "at", "reason", "duration_ms")
        yield members | {"number": each.attempt, "detail": _json(each.detail)}
    for letter, call in ((letter, letter.call) for letter in letters if letter.call):
        for number, tried in enumerate(letter.attempts, 1):
            told = _members(tried, "at", "reason") | {"detail": _json(tried.detail), "duration_ms": None}
            yield {"call_id": call.call_id, "replays": letter.replays, "number": number, **told}


def letter_row(letter: DeadLetter) -> Row:
    """The row of *letter* as it is written first, and when it opens what was closed."""
    names = ("dead_letter_id", "kind", "source", "event_id", "event_type", "provider", "operation", "subject")
    row = _members(letter, *names, "occurred_at", "reason", "replays", "at") | {
        "call_id": letter.call.call_id if letter.call else None,
        "state": DeadLetterState.WITHHELD if letter.reason == Reason.GUARD_FLOOD else DeadLetterState.DEAD,
        "first_reason": letter.reason,
        "first_at": letter.at,
        "cause": fingerprint(letter),
        "detail": _json(letter.detail),
        "tries": len(letter.attempts),
        "claimed_at": None,
        "claimed_by": None,
        "document": letter.document,
        "unproved": len(letter.document) + len(letter.arrived or "") if letter.unproved else None,
        "body": _digest(letter),
        "is_replayable": letter.call is not None or letter.body is not None,
        "target": letter.target_key,
        "person": letter.person_key,
    }
    rank = _rank(letter.replays, 0, 0, letter.at, (row["document"], row["body"]))
    return row | {"rank": rank, "first_rank": rank, upserts.DIED_BEFORE: _opens_from(letter)}


def _opens_from(letter: DeadLetter) -> datetime:
    """The letter opens what was closed, and had last died before this time.

    A message that the broker delivers for the first time is a new one. One that it delivers again within
    REDELIVERY_WINDOW counts as the message of which the closed letter was made, because its acknowledgement may be
    lost. A call is never new, because its event was taken in once; nor is a replay, which has a generation.
    """
    if letter.kind == "call" or letter.replays:
        return NEVER
    at = max(letter.at, NEVER + REDELIVERY_WINDOW)
    return at - REDELIVERY_WINDOW if letter.redelivered else at


def _bodies(letter: DeadLetter) -> Iterable[Row]:
    if letter.arrived is not None:
        yield {"digest": _digest(letter), "document": letter.arrived}


def _digest(letter: DeadLetter) -> bytes | None:
    return None if letter.arrived is None else hashlib.sha256(letter.arrived.encode()).digest()


def _rank(replays: int, weight: int, attempt: int, at: datetime | None, values: object) -> str:
    """A text that sorts as (replays, weight, attempt, time); the digest decides ties, alike in any order of arrival."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds") if at else "0"
    digest = hashlib.blake2s(repr(values).encode(), digest_size=4).hexdigest()
    return f"{replays:0{upserts.GENERATION_DIGITS}d}.{weight}.{attempt:08d}.{moment}.{digest}"


def _json(detail: Mapping[str, str]) -> str:
    return _in_order(detail) if detail else "{}"
