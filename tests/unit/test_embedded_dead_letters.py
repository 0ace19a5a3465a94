"""What the embedded broker does with messages their queue gives up."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from embedded_probe import BURIED, DEAD, declare, get, opened, put, taken
from kombu import Connection, Queue
from servers.embedded import QueueCounts, die, queue_counts


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Connection]:
    """Connect; nothing is declared."""
    with opened(tmp_path / "broker.sqlite3") as connection:
        yield connection


def test_a_rejected_message_is_dead_lettered_with_its_history(broker: Connection) -> None:
    """x-death has RabbitMQ's shape; a second death of the same kind is counted."""
    declare(broker, DEAD, Queue("work", queue_arguments=BURIED))
    put(broker, 1)
    for deaths in (1, 2):
        taken(broker).reject()
        dead = taken(broker, "dead")
        (death,) = dead.headers["x-death"]
        assert isinstance(death.pop("time"), datetime)
        assert death == {
            "count": deaths,
            "exchange": "",
            "queue": "work",
            "reason": "rejected",
            "routing-keys": ["work"],
        }
        assert dead.delivery_info["routing_key"] == "work.dead"
        put(broker, 1, headers=dead.headers)
        dead.ack()


def test_a_message_whose_consumers_die_too_often_is_dead_lettered(broker: Connection) -> None:
    """x-delivery-limit 2 means three deliveries, each death counted in x-delivery-count."""
    declare(broker, DEAD, Queue("work", queue_arguments={**BURIED, "x-delivery-limit": 2}))
    put(broker, 1)
    for deaths in (None, 1, 2):
        assert taken(broker).headers.get("x-delivery-count") == deaths
        die(broker)
    assert taken(broker, "dead").headers["x-death"][0]["reason"] == "delivery_limit"
    assert get(broker) is None


def test_a_message_may_be_given_back_without_end(broker: Connection) -> None:
    """Who lives to give it back did not fail because of it: as RabbitMQ counts from 4.3 on."""
    declare(broker, DEAD, Queue("work", queue_arguments={**BURIED, "x-delivery-limit": 2}))
    put(broker, 1)
    for _ in range(5):
        message = taken(broker)
        assert "x-delivery-count" not in message.headers
        message.requeue()
    assert queue_counts(broker)["work"] == QueueCounts(ready=1, unacked=0, delayed=0)


def test_without_a_dead_letter_exchange_a_rejected_message_is_dropped(broker: Connection) -> None:
    """As on RabbitMQ."""
    declare(broker, Queue("work"))
    put(broker, 1)
    taken(broker).reject()
    assert queue_counts(broker) == {"work": QueueCounts(ready=0, unacked=0, delayed=0)}


def test_a_dead_letter_with_nowhere_to_go_waits_until_it_has(broker: Connection) -> None:
    """A missing dead letter queue loses nothing."""
    declare(broker, Queue("work", queue_arguments=BURIED))
    put(broker, 1)
    taken(broker).reject()
    assert queue_counts(broker)["work"] == QueueCounts(ready=0, unacked=1, delayed=0)
    declare(broker, DEAD)
    assert taken(broker, "dead").payload == 1
