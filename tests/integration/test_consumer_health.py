"""What the loop of intake and recorder tells of itself: signs while it goes round, readiness while it consumes."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from kombu.message import Message as Delivered
from locked_file import locked
from servers import wait_until

from worker import broker
from worker.broker import batch_consumer, topology
from worker.broker.batch_consumer import BatchConsumer
from worker.broker.publication import Message
from worker.broker.publisher import Publisher
from worker.broker.queue_batch import at_once
from worker.observability.health import Health
from worker.process import Stop

STALLED_AFTER = 1.5  # seconds: a loop with nothing to do gives a sign each second


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Health:
    """That of the loop under test alone."""
    made = Health()
    made.begin(STALLED_AFTER)
    monkeypatch.setattr(batch_consumer, "OF_PROCESS", made)
    return made


def test_the_loop_tells_when_it_hangs_and_when_it_consumes(health: Health, tmp_path: Path) -> None:
    """A batch that never ends is no sign; one that ends is. It is not ready before it consumes, nor when it stops."""
    url, stop, may_end = f"embedded:///{tmp_path / 'broker.sqlite3'}", Stop(), threading.Event()

    def handle(_: Sequence[Delivered]) -> Sequence[Delivered]:
        may_end.wait(20)
        return ()

    consumer = BatchConsumer(lambda: broker.connect(url), topology.INTAKES, ["genesys"], at_once(handle), stop)
    thread = threading.Thread(target=consumer.run)
    assert (health.started.is_yes, health.ready.is_yes) == (False, False)
    thread.start()
    wait_until(lambda: health.ready.is_yes, 10, "the loop to consume")
    assert health.started.is_yes
    with Publisher(lambda: broker.connect(url)) as publisher:
        publisher.publish_all([Message(topology.EVENTS.name, "user.disabled", b"{}")])
    wait_until(lambda: not health.live.is_yes, 10, "the loop not to be live")
    seen = health.last_activity
    may_end.set()
    wait_until(lambda: health.live.is_yes and health.last_activity > seen, 10, "the loop to go on")
    stop.set()
    thread.join(10)
    assert (health.live.is_yes, health.ready.is_yes) == (True, False)


def test_a_loop_that_waits_for_its_broker_lives(health: Health, tmp_path: Path) -> None:
    """It has said that a connection may take long, so nobody takes it for dead meanwhile."""
    file, stop = tmp_path / "broker.sqlite3", Stop()
    with broker.connect(f"embedded:///{file}") as connection:
        topology.declare(connection, ["genesys"])
    consumer = BatchConsumer(
        lambda: broker.connect(f"embedded:///{file}"), topology.INTAKES, ["genesys"], at_once(lambda _: ()), stop
    )
    thread = threading.Thread(target=consumer.run)
    with locked(file):
        thread.start()
        wait_until(lambda: "away" in health.ready.why, 20, "the broker to be found away")
        assert health.live.is_yes
    wait_until(lambda: health.ready.is_yes, 20, "the loop to consume")
    stop.set()
    thread.join(10)
