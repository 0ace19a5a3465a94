"""The attempts at a call that failed: each once, told by the earliest record, and forgotten with the call."""

import random
from datetime import datetime
from importlib import import_module
from itertools import permutations
from typing import Any

import pytest
from ledger_records import after, dead, identity, outcome, planned
from sqlalchemy import delete

from tasks.call import Attempt
from tasks.doubt import PEOPLE, are_doubtful, between_proofs
from tasks.outcome import State
from tasks.records import CallOutcome, DeadLetter
from worker.database import tables
from worker.ledger import Ledger, retention
from worker.ledger.recording import Record
from worker.ledger.retention import Horizons

pytest_plugins = ["ledger_fixtures"]

Told = tuple[int, int, datetime, str | None, float | None]


def told(ledger: Ledger) -> list[Told]:
    """What is known of the attempts at the call of event e1."""
    rows = ledger.failed_attempts([identity("e1"), "of another call"])
    return [(each.replays, each.number, each.at, each.reason, each.duration_ms) for each in rows]


def again(number: int, at: float, **changed: Any) -> CallOutcome:
    """Attempt *number* failed, *at* seconds after the event."""
    known: dict[str, Any] = {"reason": "http.5xx", "detail": {"status": "503"}, "duration_ms": 12.5}
    return outcome(State.RETRYING, attempt=number, at=at, **known | changed)


def letter(*times: float, replays: int = 0) -> DeadLetter:
    """The call died after attempts at these times."""
    tried = tuple(Attempt(at=after(at), reason="net.timeout") for at in times)
    return dead(at=max(times), replays=replays, attempts=tried)


def test_every_failed_attempt_is_told_with_its_time_in_any_order_of_arrival(ledger: Ledger) -> None:
    """And however often it is recorded; one that succeeded, and a hold, are no failed attempts."""
    settled, held = outcome(State.CONFIRMED, attempt=3, at=9), outcome(State.HELD, attempt=2, at=5)
    several: list[Record] = [planned(), again(1, 2), again(2, 4), held, settled]
    for records in permutations(several):
        ledger.record([*records, *records])
        assert told(ledger) == [(0, 1, after(2), "http.5xx", 12.5), (0, 2, after(4), "http.5xx", 12.5)]


def test_a_dead_letter_tells_its_attempts_too(ledger: Ledger) -> None:
    """The last of them has no other record; those of an earlier generation stay."""
    ledger.record([letter(2, 6)])
    ledger.record([letter(20, replays=1)])
    assert [each[:3] for each in told(ledger)] == [(0, 1, after(2)), (0, 2, after(6)), (1, 1, after(20))]


@pytest.mark.parametrize("letter_first", [True, False])
def test_the_earliest_record_tells_an_attempt(ledger: Ledger, *, letter_first: bool) -> None:
    """A dead letter knows when the attempt ended, the outcome how long it took and when it was made known."""
    records: list[Record] = [letter(2), again(1, 2.001)]
    for each in records if letter_first else reversed(records):
        ledger.record([each])
    assert told(ledger) == [(0, 1, after(2), "net.timeout", 12.5)]


def test_attempts_are_forgotten_with_their_call(ledger: Ledger) -> None:
    """And with no other."""
    ledger.record([planned(), again(1, 2), outcome(State.CONFIRMED, attempt=2, at=9)])
    later = after(86_400 * 40_000)
    list(retention.forget(ledger.database, Horizons(after(5), later, later, later)))
    assert len(told(ledger)) == 1
    list(retention.forget(ledger.database, Horizons(later, later, later, later)))
    assert told(ledger) == []


def test_an_upgrade_takes_over_what_dead_letters_keep(ledger: Ledger) -> None:
    """A ledger of the release before knows of attempts by its dead letters alone."""
    ledger.record([letter(2, 6), planned("e2")])
    before = told(ledger)
    revision = import_module("worker.database.migrations.versions.r0008_attempts")
    with ledger.database.writing() as connection:
        connection.execute(delete(tables.attempts))
        revision._take_over(connection, tables.attempts)
    assert told(ledger) == before != []


@pytest.mark.parametrize("seed", range(3))
def test_a_doubt_is_looked_for_only_where_there_can_be_one(ledger: Ledger, seed: int) -> None:
    """Of many calls at once, none is left out at which a token is in doubt."""
    dice, states = random.Random(seed), [State.ALREADY_REVOKED] * 25 + [State.ACCEPTED, State.CONFIRMED]  # noqa: S311 - no secret
    said = [
        outcome(state, call_id=f"c{number}", at=dice.uniform(0, 9000), person_key=f"p{number}")
        for number, state in enumerate(dice.choices(states, k=150))
    ]
    ledger.record(said)
    dead_already = [each for each in said if each.state is State.ALREADY_REVOKED]
    crowded = ledger.among_dead_already([each.call_id for each in dead_already])
    doubtful = {
        each.call_id
        for each in dead_already
        if are_doubtful(between_proofs(each.at, ledger.answers_around("genesys", each.at)))
    }
    assert crowded >= doubtful
    assert len(crowded) < len(dead_already) or seed != 0
    assert (
        ledger.among_dead_already([each.call_id for each in said[: PEOPLE - 1] if each.provider != "genesys"]) == set()
    )
