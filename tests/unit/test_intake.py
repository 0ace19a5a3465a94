"""The intake's promise: an event is done once the broker has confirmed all that becomes of it, and not before."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.call import Lane
from tasks.plan import Catalogue, Instance
from tasks.providers import KINDS
from tasks.subject_index import SubjectIndex
from worker.broker import topology
from worker.broker.messages import CLOUDEVENTS_JSON
from worker.broker.provenance import ProvenanceMac
from worker.broker.publication import Disconnected, Message, PublishError, Refused, Unconfirmed, Unroutable
from worker.database.thread import DatabaseThread
from worker.intake import dedup_store
from worker.intake.authorization import Authorizer
from worker.intake.dedup import Deduplicator, PartlyPublished
from worker.intake.flood.gate import FloodGate
from worker.intake.flood.window import Limits
from worker.intake.intake import Controls, Intake
from worker.ledger import Ledger

USER_ID = "4f1d6a0e-8d5b-4b7e-9b0c-2a1f0d6c9e77"
SUBJECTS = SubjectIndex(b"k" * 32)
FEW = {"user.disabled": 3, "session.ended": 3}
CALLS, RECORDS, DEAD = topology.CALLS.name, topology.OUTCOMES_URGENT.name, topology.DEAD.name
Fate = Callable[[Message], PublishError | None]
Start = Callable[..., Intake]


class Arrived:
    """An event as it comes out of the queue that its routing key led it to."""

    def __init__(self, event: Mapping[str, Any], key: str = "user.disabled") -> None:
        told = {"specversion": "1.0", "source": "urn:test", "time": datetime.now(UTC).isoformat()}
        self.body = json.dumps({**told, **event}).encode()
        self.content_type = CLOUDEVENTS_JSON
        self.headers: dict[str, object] = {}
        self.properties: dict[str, object] = {}
        self.delivery_info = {"redelivered": False, "routing_key": key}


class Delivered(Arrived):
    """A user.disabled."""

    def __init__(self, event_id: str, user_id: str = USER_ID, key: str = "user.disabled", **data: Any) -> None:
        people = {"sub_id": {"format": "opaque", "id": user_id}, "accounts": {"genesys": {"user_id": user_id}}}
        super().__init__({"id": event_id, "type": "user.disabled", "data": {**people, **data}}, key)


class Ended(Arrived):
    """A session.ended, under the key of a user.disabled."""

    def __init__(self, event_id: str, source: str = "urn:test", key: str = "user.disabled") -> None:
        session = {"provider": "nobody", "credential": {"token_reference_id": "r"}}
        super().__init__(
            {"id": event_id, "source": source, "type": "session.ended", "data": {"sessions": [session]}}, key
        )


class Broker:
    """A publisher whose *fate* says what becomes of each message; what was confirmed is kept."""

    def __init__(self) -> None:
        self.fate: Fate = lambda _: None
        self.sent: list[Message] = []
        self.confirmed: list[Message] = []

    def publish(self, batch: Sequence[Message]) -> list[PublishError | None]:
        """As a publisher does."""
        return self.begin(batch)()

    def begin(self, batch: Sequence[Message]) -> Callable[[], list[PublishError | None]]:
        """Likewise; what becomes of a message is known once that is waited for."""
        self.sent += batch
        return partial(self._answers, batch)

    def _answers(self, batch: Sequence[Message]) -> list[PublishError | None]:
        results = [self.fate(message) for message in batch]
        self.confirmed += [message for message, failure in zip(batch, results, strict=True) if failure is None]
        return results

    def count(self, exchange: str) -> int:
        """How many messages it took for *exchange*."""
        return sum(message.exchange == exchange for message in self.confirmed)


@pytest.fixture
def broker() -> Broker:
    """A broker that confirms everything until told otherwise."""
    return Broker()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger that every process in this test shares."""
    with closing(Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")) as opened:
        opened.upgrade()
        yield opened


@pytest.fixture
def start(tmp_path: Path, ledger: Ledger, broker: Broker) -> Iterator[Start]:
    """Start the intake of one more process on that ledger; *many*: how many people a source may hit."""
    assert dedup_store.youngest(ledger.database) == {}
    desks: list[DatabaseThread] = []

    def started(many: int = 1000, line: Broker = broker) -> Intake:
        desks.append(DatabaseThread(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))
        ages = dict.fromkeys(FEW, timedelta(days=2))
        limits = Limits(600, dict.fromkeys(FEW, many), dict.fromkeys(FEW, many), {})
        gate = FloodGate(desks[-1], limits)
        dedup = Deduplicator(desks[-1], ages, timedelta(days=30))
        controls = Controls(ProvenanceMac(b"k" * 32), Authorizer({}, proves_users=False), dedup, gate)
        instances = {"genesys": Instance("genesys", KINDS["genesys"])}
        catalogue = Catalogue(instances, dict.fromkeys(Lane, timedelta(hours=1)), SUBJECTS)
        publisher: Any = line
        return Intake(catalogue, publisher, controls)

    yield started
    for desk in desks:
        desk.close()


def handled(intake: Intake, *batch: Arrived) -> list[Any]:
    """What of *batch* is not done, as the consuming loop hears it."""
    messages: Any = batch
    return list(intake.begin(messages)())


def failing(exchange: str, failure: PublishError, event_id: str = "") -> Fate:
    """The fate of what goes to *exchange*, of one event if it is named."""
    return lambda message: failure if message.exchange == exchange and event_id.encode() in message.body else None


def is_remembered(ledger: Ledger, intake: Intake, delivered: Delivered) -> bool:
    """Whether the event counts as published, for every process."""
    message: Any = delivered
    event = intake.read(message).accepted
    assert event is not None
    return dedup_store.claim(ledger.database, [], [event.identity])[event.identity].published


FAILURES = [Unconfirmed("no confirm"), Refused("full"), Unroutable("nobody")]


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


ROUTINE, UNPROVED = topology.ROUTINE_EVENTS.name, topology.UNPROVED.name


def test_an_event_in_the_wrong_queue_is_moved_and_nothing_else(start: Start, broker: Broker, ledger: Ledger) -> None:
    """Its body as it was; it is not judged, counted or remembered; its neighbours are taken in."""
    moved = Ended("moved")
    assert handled(start(), moved, Delivered("urgent")) == []
    [copy] = [message for message in broker.confirmed if message.exchange == ROUTINE]
    assert (copy.body, copy.content_type, dict(copy.headers)) == (moved.body, moved.content_type, {})
    assert [broker.count(each) for each in (CALLS, RECORDS, DEAD)] == [1, 1, 0]
    assert set(dedup_store.youngest(ledger.database)) == {"user.disabled"}


@pytest.mark.parametrize("failure", [Unconfirmed("no confirm"), Disconnected("away")])
def test_what_is_not_known_to_be_moved_stays(start: Start, broker: Broker, failure: PublishError) -> None:
    """It is acknowledged once its copy is confirmed, and not before."""
    intake, event = start(), Ended("moved")
    broker.fate = failing(ROUTINE, failure)
    assert handled(intake, event, Delivered("urgent")) == [event]
    broker.fate = lambda _: None
    assert handled(intake, event) == []
    assert broker.count(ROUTINE) == 1


@pytest.mark.parametrize("failure", [Refused("may not"), Unroutable("no exchange")])
def test_where_nothing_may_be_moved_it_is_taken_in_where_it_is(
    start: Start, broker: Broker, failure: PublishError, caplog: pytest.LogCaptureFixture
) -> None:
    """With the permissions of an earlier release; said once, and not tried for every batch."""
    intake = start()
    broker.fate = failing(ROUTINE, failure)
    assert handled(intake, Ended("a")) == []
    broker.fate = lambda _: None
    assert handled(intake, Ended("b")) == []
    assert [broker.count(each) for each in (ROUTINE, DEAD)] == [0, 2]
    assert [record.message for record in caplog.records].count("event.not_moved") == 1


def test_an_event_in_its_own_queue_is_not_moved(start: Start, broker: Broker) -> None:
    """Nor a user.disabled that came up in the routine queue, nor what is no event."""
    junk = Delivered("junk")
    junk.body = b"{"
    assert handled(start(), Ended("a", key="session.ended"), Delivered("b", key="session.ended"), junk) == []
    assert [broker.count(each) for each in (ROUTINE, CALLS, DEAD, UNPROVED)] == [0, 1, 1, 1]


def test_who_chooses_a_wrong_lane_is_told_of_now_and_then(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a flood of events nor of made-up sources is a flood of lines, or of memory."""
    intake = start()
    for batch in range(30):
        handled(intake, *(Ended(f"e-{batch}-{number}", f"urn:{batch}-{number}") for number in range(100)))
    told = [record.__dict__ for record in caplog.records if record.message == "event.wrong_lane"]
    assert [(each["source"], each["user"], each["count"]) for each in told] == [("urn:0-0", None, 1)]
    assert len(intake._misplaced._counts) <= 1000
    intake._misplaced._report_at = 0.0
    for number in range(3):
        handled(intake, Ended(f"f-{number}", "urn:0-1"))
    told = [record.__dict__ for record in caplog.records if record.message == "event.wrong_lane"]
    assert len(told) == 11
    assert ("urn:0-1", 2) in {(each["source"], each["count"]) for each in told}


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
