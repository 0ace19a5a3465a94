"""The intake's promise: an event is done once the broker has confirmed all that becomes of it, and not before."""

import json
from copy import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from intakes import CALLS, DEAD, FAILURES, RECORDS, USER_ID, Broker, Delivered, Start, failing, handled, is_remembered

from worker.broker.publication import Message, PublishError, Refused, Unconfirmed
from worker.intake.dedup import PartlyPublished
from worker.ledger import Ledger

pytest_plugins = ["intake_fixtures"]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("exchange", [CALLS, RECORDS, DEAD])
def test_an_event_is_done_once_all_of_it_is_confirmed(
    start: Start, broker: Broker, ledger: Ledger, exchange: str, failure: PublishError
) -> None:
    """Be it a call, a record or a dead letter that fails: that event stays in the broker, its neighbours leave it."""
    intake = start()
    a, b, c = (Delivered(f"event-{name}", providers=["nobody"]) for name in "abc")
    broker.fate = failing(exchange, failure, "event-b")
    assert handled(intake, a, b, c) == [b]
    assert [is_remembered(ledger, intake, each) for each in (a, b, c)] == [True, False, True]


@pytest.mark.parametrize("exchange", [CALLS, RECORDS, DEAD])
def test_what_was_not_wholly_confirmed_is_published_by_the_next_process(
    start: Start, broker: Broker, exchange: str
) -> None:
    """It knows nothing of what the first one got through: at least once, and only then done."""
    event = Delivered("event-b", providers=["nobody"])
    broker.fate = failing(exchange, Unconfirmed("no confirm"))
    assert handled(start(), event) == [event]
    broker.fate, broker.confirmed = lambda _: None, []
    second = start()
    assert handled(second, event) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [1, 1, 1]
    assert handled(second, event) == [], "done before"
    assert broker.count(CALLS) == 1


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("exchange", [CALLS, RECORDS, DEAD])
def test_what_was_confirmed_is_not_published_again_for_what_was_refused_beside_it(
    start: Start, broker: Broker, exchange: str, failure: PublishError
) -> None:
    """However often it is tried, in whatever company, and as another message after a new connection."""
    intake, event = start(), Delivered("event-b", providers=["nobody", "neither"])  # whose dead letters travel together
    broker.fate = failing(exchange, failure)
    for number in range(5):
        handled(intake, Delivered(f"other-{number}", USER_ID[:-1] + str(number)))
        assert len(handled(intake, copy(event))) == 1
    broker.fate = lambda _: None
    assert handled(intake, copy(event)) == []
    taken = [message for message in broker.confirmed if b"event-b" in message.body]
    assert sorted(message.exchange for message in taken) == sorted([CALLS, RECORDS, DEAD])


def test_what_was_let_through_is_not_held_back_for_its_second_half(start: Start, broker: Broker) -> None:
    """Its call is made already; a flood that opened meanwhile, or the window's end, changes nothing of that."""
    intake = start(many=1)
    event = Delivered("event-b")
    broker.fate = failing(RECORDS, Refused("full"))
    handled(intake, event)
    broker.fate = lambda _: None
    assert handled(intake, Delivered("other", USER_ID[:-1] + "0")) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [1, 0, 1], "the flood is open"
    intake._controls.gate._window.forget(float("inf"))
    assert handled(intake, event) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [1, 1, 1]


def test_the_guard_counts_whom_the_calls_hit(start: Start, broker: Broker) -> None:
    """One name for everybody hits no more people than the limit; what is over waits for an operator."""
    same: dict[str, Any] = {"sub_id": {"format": "opaque", "id": "somebody"}}
    events = [Delivered(f"e-{number}", USER_ID[:-1] + str(number), **same) for number in range(9)]
    assert handled(start(many=3), *events) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [3, 3, 6]


def test_what_is_kept_of_unfinished_events_is_bounded(start: Start) -> None:
    """A broker that refuses for days makes no process grow; the latest are kept."""
    intake, partly = start(), PartlyPublished(most=10)
    messages: list[Any] = [Delivered(f"event-{number}") for number in range(100)]
    events: list[Any] = [intake.read(message).accepted for message in messages]
    sent = [Message(RECORDS, "planned", b"{}")]
    for event in events:
        partly.note(event, sent, [Refused("full")])
    assert [partly.has(event) for event in events] == [False] * 90 + [True] * 10
    for event in events:
        partly.note(event, sent, [None])
    assert not partly._confirmed


def test_a_call_tells_when_it_was_planned_by_our_own_clock(start: Start, broker: Broker) -> None:
    """By which a worker knows whether a success came later; the producer's clock alone decides nothing."""
    before = datetime.now(UTC)
    handled(start(), Delivered("a"))
    [call] = [json.loads(each.body)[0][0] for each in broker.confirmed if each.exchange == CALLS]
    assert before <= datetime.fromisoformat(call["planned_at"]) <= datetime.now(UTC)
