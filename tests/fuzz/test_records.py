"""Whatever a process writes for the recorder: it is on record or buried, and what comes behind it is on record."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from hostile import TEXT, VALUES, spoilt, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu.message import Message
from prepared_ledgers import prepare
from provider_calls import session_call
from sqlalchemy import ColumnElement, literal, select

from tasks.outcome import State
from tasks.providers import genesys
from tasks.records import (
    CallOutcome,
    DeadLetter,
    DeadLetters,
    EventPlanned,
    PlannedUnit,
    Records,
    dead_letter_of_call,
    outcome_of_call,
)
from worker.broker import topology
from worker.broker.provenance import ProvenanceMac
from worker.database.tables import calls, dead_letters, events
from worker.ledger import Ledger
from worker.recorder import Record, Recorder, read

MAC = ProvenanceMac(b"subject-key-of-a-fuzz-test")
CALL: Final = session_call("e1", jwe="a.b.c.d.e")
OUTCOME: Final = outcome_of_call(CALL, State.RETRYING, CALL.occurred_at, 1, reason="http.5xx", detail={"a": "b"})
UNIT = PlannedUnit(call_id="c", provider="x", operation=genesys.DELETE_TOKEN, state=State.PLANNED)
PLANNED = EventPlanned(
    **OUTCOME.model_dump(include={"source", "event_id", "event_type", "occurred_at", "subject", "subject_keys"}),
    received_at=OUTCOME.at,
    units=(UNIT,),
)
WIDE: Final = CALL.model_copy(update={"covers": (CALL.model_copy(update={"call_id": "c-2"}),)})
DEAD: Final = dead_letter_of_call(WIDE, "http.5xx", OUTCOME.at)
REFUSED: Final = DeadLetter(
    kind="unit",
    dead_letter_id="d",
    reason="route.x",
    at=OUTCOME.at,
    source="s",
    event_id="e",
    body="e30=",
    headers={"ce-id": "e"},
)
TOGETHER: Final = DeadLetters.of([REFUSED, REFUSED.model_copy(update={"dead_letter_id": "d-2"})])
PACK: Final = Records(kind="records", records=(OUTCOME, PLANNED, OUTCOME))
EXCHANGES: Final[dict[str, list[Record | Records | DeadLetters]]] = {
    topology.OUTCOMES.name: [OUTCOME, PLANNED, PACK],
    topology.DEAD.name: [DEAD, REFUSED, TOGETHER],
}
ENDS: Final = [
    *("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00-14:00"),
    *("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59+14:00"),
]
LONG: Final = st.sampled_from([*("é" * 128, "x" * 129, "é" * 512, "\U0001f511" * 512, "x" * 5000, "\0" * 128)])
EDGES: Final = st.sampled_from([*ENDS, -(2**31), 10**8 - 1, 10**8, 2**63 - 1, 2**63, 10**30, -(10**30), 1e308])
HOSTILE: Final = VALUES | LONG | EDGES | st.lists(LONG | TEXT, max_size=3) | st.dictionaries(LONG | TEXT, LONG | TEXT)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger on each database."""
    is_file = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'l.sqlite3'}" if is_file else request.getfixturevalue("postgres_url")
    prepare(url)
    opened = Ledger.open(url)
    yield opened
    opened.close()


def delivered(body: bytes, exchange: str) -> Any:
    """The message as the recorder gets it."""
    return Message(body, headers={}, content_type="application/json", delivery_info={"exchange": exchange})


def is_told(ledger: Ledger, record: Record) -> bool:
    """Whether the ledger knows of *record*, as what it is or as something that was buried."""
    match record:
        case DeadLetter():
            return has(ledger, dead_letters.c.dead_letter_id == record.dead_letter_id)
        case CallOutcome():
            return has(ledger, calls.c.call_id == record.call_id)
        case EventPlanned():
            units = [has(ledger, calls.c.call_id == unit.call_id) for unit in record.units]
            return all(units) and has(ledger, events.c.event_id == record.event_id)


def has(ledger: Ledger, condition: ColumnElement[bool]) -> bool:
    """Whether there is such a row."""
    with ledger.database.reading() as connection:
        return connection.execute(select(literal(1)).where(condition)).first() is not None


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, str]:
    """Return a body and the exchange it comes by: a record with up to three values changed, at any depth, or spoilt."""
    exchange = draw(st.sampled_from(sorted(EXCHANGES)))
    record = draw(st.sampled_from(EXCHANGES[exchange])).model_dump(mode="json")
    if draw(st.integers(0, 5)) == 0:
        return draw(spoilt([written(record)]) | VALUES.map(written)), exchange
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from([each for each in _parts(record) if each]))
        part[draw(st.sampled_from(sorted(part)))] = draw(HOSTILE)
    return written(record), exchange


def _parts(value: Any) -> list[dict[str, Any]]:
    """Every object in *value*."""
    if isinstance(value, list):
        return [part for each in value for part in _parts(each)]
    return [value, *(part for each in value.values() for part in _parts(each))] if isinstance(value, dict) else []


@settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(message=messages())
def test_no_record_stops_the_recorder(ledger: Ledger, message: tuple[bytes, str]) -> None:
    """Whoever takes one process over gets no further: one record that cannot be stored stops nobody's."""
    next_one = OUTCOME.model_copy(update={"call_id": str(uuid4()), "event_id": str(uuid4())})
    batch = [delivered(*message), delivered(next_one.model_dump_json().encode(), topology.OUTCOMES.name)]
    assert Recorder(ledger, MAC).handle(batch) == []
    assert all(is_told(ledger, each) for each in read(batch[0], MAC))
    assert is_told(ledger, next_one)


@pytest.mark.parametrize("name", ["at", "occurred_at", "next_attempt_at"])
@pytest.mark.parametrize("end", ENDS)
def test_a_time_at_an_end_of_the_calendar_is_on_record_or_buried(ledger: Ledger, name: str, end: str) -> None:
    """In whatever zone it was written."""
    record = json.loads(OUTCOME.model_dump_json()) | {name: end}
    message = delivered(written(record), topology.OUTCOMES.name)
    assert Recorder(ledger, MAC).handle([message]) == []
    [found] = read(message, MAC)
    assert is_told(ledger, found)
    assert isinstance(found, CallOutcome) == (end in ENDS[1:2] + ENDS[2:3] + ENDS[4:])


def test_more_than_a_letter_can_tell_of_what_its_call_covered_is_buried(ledger: Ledger) -> None:
    """A record that is fine by itself, and comes apart into one that is not."""
    letter = DEAD.model_copy(update={"detail": dict.fromkeys(map(str, range(64)), "x")})
    message = delivered(letter.model_dump_json().encode(), topology.DEAD.name)
    assert Recorder(ledger, MAC).handle([message]) == []
    [buried] = ledger.dead_letters()
    assert buried.kind == "message"
