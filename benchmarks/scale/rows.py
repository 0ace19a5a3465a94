"""The rows of a large ledger, as both databases take them in bulk: texts, numbers and times in UTC without a zone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from sqlalchemy import Table

from benchmarks.scale.letters import Letters
from benchmarks.scale.world import AFTER, BETWEEN, TENANT, Call, Event, Person, World, digest, masked, settled_at
from tasks.outcome import State
from worker.database.tables import attempts, calls, dead_letters, events, exposures, subjects
from worker.ledger.exposure_counts import BOUNDS, KEPT_DAYS, SLOT

Rows = list[tuple[object, ...]]
BATCH_SIZE: Final = 20_000  # events
COLUMNS: Final = {
    events: ("source", "event_id", "event_type", "subject", "occurred_at", "received_at", "change"),
    subjects: ("lookup_hash", "source", "event_id"),
    calls: (
        *("call_id", "source", "event_id", "event_type", "provider", "operation", "subject", "occurred_at", "state"),
        *("reason", "detail", "attempt", "replays", "at", "duration_ms", "next_attempt_at", "exposure_seconds"),
        *("rank", "change", "kid", "target", "person"),
    ),
    attempts: ("call_id", "replays", "number", "at", "reason", "detail", "duration_ms"),
    dead_letters: tuple(dead_letters.c.keys()),
    exposures: tuple(exposures.c.keys()),
}
_EVIDENCE: Final = {
    State.CONFIRMED: '{"evidence": "200; probe 401", "status": "200"}',
    State.ACCEPTED: '{"evidence": "204", "status": "204"}',
    State.COVERED: '{"covered_by": "another call", "evidence": "genesys.delete_token 204"}',
    State.EXPIRED: '{"evidence": "expires_at"}',
}
_DEAD_ALREADY: Final = ('{"evidence": "401 invalid_token"}', '{"died": "expired", "evidence": "401 invalid_token"}')
_FAILED: Final = '{"correlation_id": "3f0b7a3e-3a0f-4a9e-8b1e-0d9f6a3c1b77", "status": "503"}'


class Exposures:
    """Counts of what was settled in the last days, as the recorder keeps them."""

    def __init__(self, world: World) -> None:
        self._since = world.now - timedelta(days=KEPT_DAYS)
        self._counts = Counter[tuple[int, str, str, int]]()

    def add(self, call: Call) -> None:
        """Count *call*, if it was exposed and is settled."""
        settled = settled_at(call)
        if settled < self._since or call.state.is_open or call.state is State.NO_SESSION_KNOWN:
            return
        seconds = (settled - call.event.occurred_at).total_seconds()
        slot = int(settled.timestamp() // SLOT) * SLOT
        self._counts[slot, call.provider, call.event.event_type, BOUNDS[bisect_left(BOUNDS, seconds * 1000)]] += 1

    def rows(self) -> Rows:
        """The rows of all counts."""
        return [(*place, number) for place, number in self._counts.items()]


def batches(world: World) -> Iterator[dict[Table, Rows]]:
    """The rows of every table, some thousands of events at a time; the newest change is below `world.changes`."""
    person_of, change = lru_cache(maxsize=200_000)(world.person), 0
    everything, letters, settled = world.events(), Letters(world), Exposures(world)
    while some := list(islice(everything, BATCH_SIZE)):
        found: dict[Table, Rows] = {table: [] for table in COLUMNS}
        for event in some:
            person = person_of(event.person)
            change += 1
            found[events].append(_event_row(event, person, change))
            found[subjects] += _subject_rows(world, event, person)
            for call in world.calls_of(event):
                change += 2
                _add_call(found, call, person, change, letters)
                settled.add(call)
        yield found
    held = [_values(dead_letters, row | {"change": world.changes}) for row in letters.held_back()]
    yield {exposures: settled.rows(), dead_letters: held}


def _add_call(found: dict[Table, Rows], call: Call, person: Person, change: int, letters: Letters) -> None:
    if call.state is not State.DEAD:
        found[calls].append(_call_row(call, person, change))
        found[attempts] += _attempt_rows(call)
        return
    letter, row, tried = letters.of_call(call, person)
    found[dead_letters].append(_values(dead_letters, letter | {"change": change}))
    found[calls].append(_values(calls, row | {"change": change - 1}))
    found[attempts] += [_values(attempts, each) for each in tried]


def _values(table: Table, row: Mapping[str, Any]) -> tuple[object, ...]:
    values = (row.get(name) for name in COLUMNS[table])
    return tuple(_time(each) if isinstance(each, datetime) else each for each in values)


def _event_row(event: Event, person: Person, change: int) -> tuple[object, ...]:
    received = event.occurred_at + timedelta(seconds=0.1)
    about = (event.source, event.event_id, event.event_type, masked(person))
    return (*about, _time(event.occurred_at), _time(received), change)


def _subject_rows(world: World, event: Event, person: Person) -> Rows:
    label = (world.index.label(TENANT),) if event.is_tenants else ()
    return [(key, event.source, event.event_id) for key in (*person.keys, *label)]


def _call_row(call: Call, person: Person, change: int) -> tuple[object, ...]:
    event, at = call.event, settled_at(call)
    is_open, is_planned = call.state.is_open, call.state is State.PLANNED
    number = event.number * 2 + call.number
    return (
        *(call.call_id, event.source, event.event_id, event.event_type, call.provider, call.operation),
        *(masked(person), _time(event.occurred_at), call.state.value),
        "http.5xx" if call.state is State.RETRYING else None,
        _DEAD_ALREADY[call.is_expired] if call.state is State.ALREADY_REVOKED else _EVIDENCE.get(call.state, "{}"),
        *(call.attempt, 0, None if is_planned else _time(at), 52.3 if call.attempt else None),
        _time(at + timedelta(minutes=5)) if call.state is State.RETRYING else None,
        None if is_open else (at - event.occurred_at).total_seconds(),
        f"00000000.4.{call.attempt:08d}.{_time(at)}+00:00.0a1b2c3d",
        *(change, None, _target(call, number), person.key),
    )


def _target(call: Call, number: int) -> str | None:
    """What it hits: one token, or everything of a user at an instance."""
    if call.operation is None:
        return None
    if call.event.event_type == "user.disabled":
        return digest(f"user at {call.provider}", call.event.person)
    return digest("token", number)


def _attempt_rows(call: Call) -> Rows:
    failed = call.attempt if call.state is State.RETRYING else call.attempt - 1
    first = call.event.occurred_at + AFTER
    return [
        (call.call_id, 0, number + 1, _time(first + BETWEEN * number), "http.5xx", _FAILED, 48.1)
        for number in range(failed)
    ]


def _time(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
