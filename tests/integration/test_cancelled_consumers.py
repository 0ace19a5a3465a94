"""A consumer that the broker cancels, at intake and recorder: it consumes again, and nothing is lost."""

import logging
from collections.abc import Iterator, Sequence
from threading import Event

import pytest
from batch_consumers import consuming
from chaos.newer_rabbitmq import NewerRabbitMQ
from kombu.message import Message as Delivered
from servers import RabbitNode, wait_until

from worker import broker
from worker.broker import topology
from worker.broker.messages import body_of
from worker.broker.publication import Message
from worker.broker.queue_batch import Handle

ROUTINE = [Message(topology.EVENTS.name, "session.ended", b"%d" % number) for number in range(3)]
URGENT = Message(topology.EVENTS.name, "user.disabled", b"urgent")
AFTER = Message(topology.EVENTS.name, "session.ended", b"after")


@pytest.fixture(params=[False, True], ids=["ignores late acks", "refuses late acks"])
def newer(request: pytest.FixtureRequest, rabbitmq: RabbitNode) -> Iterator[NewerRabbitMQ]:
    """The double of RabbitMQ 4.3."""
    with NewerRabbitMQ(rabbitmq.port, refuses_late=request.param) as double:
        yield double


def slow(seen: list[bytes], go: Event) -> Handle:
    """Makes everything safe once *go* is set; *seen* has the bodies of all that was begun."""

    def handle(batch: Sequence[Delivered]) -> Sequence[Delivered]:
        seen.extend(map(body_of, batch))
        assert go.wait(20)
        return ()

    return handle


def unacked(rabbitmq: RabbitNode, vhost: str) -> int:
    """How many events are in the hands of the consumer."""
    return sum(each.unacked for each in rabbitmq.queue_counts(vhost).values())


def test_a_consumer_that_times_out_consumes_again(
    newer: NewerRabbitMQ, rabbitmq: RabbitNode, rabbitmq_vhost: str
) -> None:
    """What it held comes again, done or not; what it acknowledges late does no harm, however that is answered."""
    seen, go = list[bytes](), Event()
    url = f"amqp://guest:guest@127.0.0.1:{newer.port}/{rabbitmq_vhost}"
    with consuming(url, slow(seen, go)) as publisher:
        publisher.publish_all(ROUTINE)
        wait_until(lambda: unacked(rabbitmq, rabbitmq_vhost) == len(ROUTINE), 10, "all to be in hand")
        assert newer.time_out(topology.INTAKE.name) == len(ROUTINE)
        go.set()
        publisher.publish_all([AFTER])
        wait_until(lambda: b"after" in seen, 10, "what came afterwards")
        wait_until(lambda: not _left(rabbitmq, rabbitmq_vhost), 10, "everything to be acknowledged")
    assert {*seen} == {each.body for each in (*ROUTINE, AFTER)}


def test_a_deleted_queue_is_named_and_costs_no_other_queue_anything(
    rabbitmq_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in hand from the others is done and acknowledged, and not delivered again."""
    seen, go = list[bytes](), Event()
    with consuming(rabbitmq_url, slow(seen, go)) as publisher, broker.connect(rabbitmq_url) as operator:
        publisher.publish_all([URGENT])
        wait_until(lambda: seen == [b"urgent"], 10, "it to be in hand")
        with caplog.at_level(logging.WARNING):
            topology.INTAKE(operator.channel()).delete()
            go.set()
            wait_until(lambda: publisher.publish([AFTER]) == [None], 10, "the queue to be there again")
            wait_until(lambda: b"after" in seen, 10, "what came afterwards")
    assert seen == [b"urgent", b"after"]
    assert [record.message for record in caplog.records] == ["consumer.cancelled"]
    assert caplog.records[0].__dict__["consumer"].startswith(f"{topology.INTAKE.name}.")


def _left(rabbitmq: RabbitNode, vhost: str) -> int:
    return sum(each.total for each in rabbitmq.queue_counts(vhost).values())
