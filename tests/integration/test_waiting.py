"""What waits, as the recorder's gauges show it: the ledger's figures on each database, the depths on each broker."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from kombu import Queue
from ledger_records import START, after, dead, entry, outcome, planned, refused
from servers import wait_until

from tasks.outcome import State
from worker import broker
from worker.broker import topology
from worker.broker.depths import QUEUES_AT_ONCE, QueueDepths
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.calls.holds import store
from worker.calls.holds.hold import Hold, OpenedBy, Scope
from worker.database.thread import DatabaseThread
from worker.ledger import Ledger
from worker.ledger.figures import LedgerFigures
from worker.ledger.waiting import Several, Waiting, waiting
from worker.observability import metrics

pytest_plugins = ["ledger_fixtures"]


def hold(ledger: Ledger, provider: str, *, source: str = "", scope: Scope = Scope.ALL, seconds: float = 60) -> None:
    """Hold calls of *provider*, as an operator does."""
    now = datetime.now(UTC)
    placed = Hold(
        provider, scope, OpenedBy.OPERATOR, "olga", "away", now, now + timedelta(seconds=seconds), source=source
    )
    store.place(ledger.database, placed, entry("provider.hold"))


def test_open_calls_and_dead_letters_are_counted(ledger: Ledger) -> None:
    """Settled ones are not, nor those that an operator closed; of each kind the oldest is known."""
    ledger.record(
        [
            *(planned(name) for name in ("e1", "e2", "e3", "e4", "e5")),
            outcome(State.ACCEPTED, "e1"),
            outcome(State.RETRYING, "e2"),
            outcome(State.HELD, "e3", occurred_at=START - timedelta(hours=1)),
            dead("e4", at=9),
            dead("e5", at=7),
            refused("e6", reason="guard.flood"),
            refused("e7"),
        ]
    )
    found = waiting(ledger.database)
    assert found.calls == {"genesys": Several(2, START - timedelta(hours=1))}
    assert found.held == {"genesys": 1}
    assert found.letters == {
        ("genesys", "http.5xx"): Several(2, after(7)),
        (None, "guard.flood"): Several(1, after(3)),
        (None, "event.invalid_time"): Several(1, after(3)),
    }
    ledger.discard([dead("e5").dead_letter_id], audit=entry("discard"))
    assert waiting(ledger.database).letters["genesys", "http.5xx"] == Several(1, after(9))


def test_all_calls_of_a_held_provider_wait(ledger: Ledger) -> None:
    """Those of a provider of which a part is held count once they were put back; a hold that is over counts no more."""
    ledger.record([planned("e1"), outcome(State.HELD, "e2")])
    for place in (
        {"scope": Scope.WORKER},
        {"source": "idp"},
        {"seconds": -1.0},
    ):
        hold(ledger, "genesys", **place)
        assert waiting(ledger.database).held == {"genesys": 1}
    hold(ledger, "genesys")
    assert waiting(ledger.database).held == {"genesys": 2}


def test_an_empty_ledger_has_nothing_that_waits(ledger: Ledger) -> None:
    """No rows, no figures."""
    assert waiting(ledger.database) == Waiting()


def test_the_gauges_show_each_provider(ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 0 where nothing waits; ages grow between two looks; a ledger that is away takes them out in the end."""
    monkeypatch.setitem(metrics.CLOSED, "provider", frozenset({"genesys", "wibmo"}))
    ledger.record([planned("e1"), dead("e2")])
    thread = DatabaseThread(ledger_url)
    figures = LedgerFigures(thread, ["genesys", "wibmo"], 0.5)
    assert metrics.UNSETTLED_CALLS.values() == {}
    figures.look()
    wait_until(metrics.UNSETTLED_CALLS.values, 10, "an answer")
    thread.close()
    assert metrics.UNSETTLED_CALLS.values() == {("genesys",): 1.0, ("wibmo",): 0.0}
    assert metrics.HELD_EVENTS.values() == {("genesys",): 0.0, ("wibmo",): 0.0}
    assert metrics.DEAD_LETTERS.values() == {("genesys", "http.5xx"): 1.0}
    age = metrics.OLDEST_UNSETTLED.values()["genesys",]
    assert age == pytest.approx((datetime.now(UTC) - START).total_seconds(), abs=5)
    assert metrics.OLDEST_UNSETTLED.values()["genesys",] > age
    assert metrics.OLDEST_DEAD_LETTER.values()["genesys", "http.5xx"] == pytest.approx(age - 9, abs=5)


@pytest.fixture
def depths() -> Iterator[QueueDepths]:
    """More queues than are looked at together, one of which nobody declares."""
    names = [queue.name for queue in topology.all_queues(f"p{n}" for n in range(QUEUES_AT_ONCE))]
    yield QueueDepths([Queue("revocation.missing"), *map(Queue, names)], 0.5)
    metrics.QUEUE_DEPTH.follow(dict)


def test_the_depth_of_each_queue_is_looked_at(broker_url: str, depths: QueueDepths) -> None:
    """A part at a time; one that is missing has none, and keeps no other from having one."""
    with broker.connect(broker_url) as connection:
        topology.declare(connection, [f"p{n}" for n in range(QUEUES_AT_ONCE)])
        with Publisher(lambda: broker.connect(broker_url)) as publisher:
            publisher.publish_all([Message(topology.EVENTS.name, "user.disabled", b"{}")] * 3)
        depths.look(connection)
        assert metrics.QUEUE_DEPTH.values() == {}, "not all of them were looked at yet"
        for _ in range(3):
            depths.look(connection)
    found = metrics.QUEUE_DEPTH.values()
    assert found[topology.INTAKE_URGENT.name,] == 3.0
    assert found[topology.INTAKE.name,] == 0.0
    assert len(found) == len(topology.all_queues(f"p{n}" for n in range(QUEUES_AT_ONCE)))


def test_the_ledger_knows_a_hold_by_the_words_of_the_worker() -> None:
    """It stands below the holds, and cannot ask them."""
    assert (Scope.ALL, OpenedBy.BREAKER) == ("all", "breaker")
