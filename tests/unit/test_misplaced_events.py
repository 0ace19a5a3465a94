"""An event in the wrong lane's queue: it is moved to its own, and nobody gains by choosing the wrong one."""

import pytest
from intakes import CALLS, DEAD, RECORDS, ROUTINE, UNPROVED, Arrived, Broker, Delivered, Start, failing, handled

from worker.broker.publication import Disconnected, PublishError, Refused, Unconfirmed, Unroutable
from worker.intake import dedup_store
from worker.ledger import Ledger

pytest_plugins = ["intake_fixtures"]


class Ended(Arrived):
    """A session.ended, under the key of a user.disabled."""

    def __init__(self, event_id: str, source: str = "urn:test", key: str = "user.disabled") -> None:
        session = {"provider": "nobody", "credential": {"token_reference_id": "r"}}
        super().__init__(
            {"id": event_id, "source": source, "type": "session.ended", "data": {"sessions": [session]}}, key
        )


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
