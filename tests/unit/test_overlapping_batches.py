"""Batches of the intake that overlap: one is judged and sent while the confirms of the last are awaited."""

from collections.abc import Callable
from copy import copy
from itertools import chain
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intakes import (
    CALLS,
    DEAD,
    FAILURES,
    RECORDS,
    UNPROVED,
    USER_ID,
    Arrived,
    Broker,
    Delivered,
    Start,
    failing,
    handled,
    is_remembered,
)

from worker.broker.publication import PublishError, Refused, Unconfirmed
from worker.intake.intake import Intake
from worker.ledger import Ledger

pytest_plugins = ["intake_fixtures"]


def begun(intake: Intake, *batch: Arrived) -> Callable[[], list[Any]]:
    """What waits for *batch*, and returns what of it is not done."""
    messages: Any = batch
    wait = intake.begin(messages)
    return lambda: list(wait())


def test_a_batch_is_sent_before_the_confirms_of_the_last_one(start: Start, broker: Broker, ledger: Ledger) -> None:
    """And each counts as done once its own are there, in whatever order."""
    intake, a, b = start(), Delivered("event-a"), Delivered("event-b")
    first, second = begun(intake, a), begun(intake, b)
    assert [message.exchange for message in broker.sent].count(CALLS) == 2
    assert [is_remembered(ledger, intake, each) for each in (a, b)] == [False, False]
    assert second() == []
    assert [is_remembered(ledger, intake, each) for each in (a, b)] == [False, True]
    assert first() == []
    assert is_remembered(ledger, intake, a)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_refusal_in_one_batch_leaves_the_other_alone(start: Start, broker: Broker, failure: PublishError) -> None:
    """With both on their way: what is confirmed is acknowledged, and the rest made once when it is tried again."""
    intake, a, b, c = start(), *(Delivered(f"event-{name}", USER_ID[:-1] + name) for name in "abc")
    broker.fate = failing(RECORDS, failure, "event-a")
    first, second = begun(intake, a, b), begun(intake, c)
    assert (first(), second()) == ([a], [])
    broker.fate = lambda _: None
    assert handled(intake, a) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [3, 3, 0]


@pytest.mark.parametrize("failure", [None, Unconfirmed("no confirm")])
def test_a_copy_waits_for_what_the_first_one_comes_to(
    start: Start, broker: Broker, failure: PublishError | None
) -> None:
    """It is no second call while the first is on its way; where that fails, either of them makes it good."""
    intake, event = start(), Delivered("event-a")
    broker.fate = failing(CALLS, failure) if failure else lambda _: None
    first = begun(intake, event)
    wait = begun(intake, copy(event))
    broker.fate = lambda _: None
    assert wait() == []
    assert first() == ([event] if failure else [])
    assert handled(intake, event) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [1, 1, 0]


def test_another_event_under_an_id_that_is_on_its_way_is_refused(start: Start, broker: Broker) -> None:
    """The first one decides what its id stands for, before it is confirmed."""
    intake = start()
    first, second = begun(intake, Delivered("a")), begun(intake, Delivered("a", USER_ID[:-1] + "0"))
    assert (first(), second()) == ([], [])
    assert [broker.count(each) for each in (CALLS, RECORDS, UNPROVED)] == [1, 1, 1]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_event_becomes_one_call_however_batches_overlap(
    start: Start, batches: list[list[str]], data: st.DataObject
) -> None:
    """With copies, refusals and two batches on their way: an event is done when its call and record are confirmed."""
    broker, run = Broker(), uuid4()
    intake, waits = start(line=broker), list[Callable[[], list[Any]]]()
    events = {name: Delivered(f"{run}-{name}", str(run)) for name in "abcdef"}
    refused = data.draw(st.lists(st.booleans(), max_size=12))
    broker.fate = lambda _: Refused("full") if refused and refused.pop() else None
    again: list[Any] = []
    for names in batches:
        waits.append(begun(intake, *(copy(events[name]) for name in names)))
        while len(waits) > 1:
            again += waits.pop(0)()
    again += waits.pop()()
    refused.clear()
    assert handled(intake, *again) == []
    assert [broker.count(each) for each in (CALLS, RECORDS)] == [len({*chain(*batches)})] * 2


@pytest.mark.parametrize("completed", [0, 1, 2], ids="{} complete".format)
def test_a_process_that_dies_with_two_batches_on_their_way_loses_neither(
    start: Start, broker: Broker, completed: int
) -> None:
    """The next one publishes what the first did not see confirmed, and nothing of what is done."""
    first, events = start(), [Delivered("event-a"), Delivered("event-b")]
    waits = [begun(first, each) for each in events]
    for wait in waits[:completed]:
        assert wait() == []
    second = start()
    assert handled(second, *events) == []
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [2, 2, 0]


@pytest.mark.parametrize("dies_at", ["mark_published", "classify"])
def test_a_process_that_dies_beside_the_ledger_loses_no_event(start: Start, broker: Broker, dies_at: str) -> None:
    """Before anything is remembered, and between the confirm and its memory, where a call is made again."""
    first, event, other = start(), Delivered("event-a"), Delivered("event-b")
    wait = begun(first, event)

    def dies(*_: object) -> None:
        raise SystemExit

    setattr(first._controls.deduplicator, dies_at, dies)
    with pytest.raises(SystemExit):
        wait() if dies_at == "mark_published" else begun(first, other)
    assert handled(start(), event, other) == []
    assert {b"event-a" in each.body for each in broker.confirmed} == {True, False}
    assert broker.count(CALLS) == (3 if dies_at == "mark_published" else 2)
