"""The pausing consumer on a real channel: what it says to the broker, and when."""

from collections.abc import Callable

from kombu import Connection
from provider_calls import session_call

from tasks.call import Lane
from worker import broker
from worker.broker import messages, topology
from worker.broker.publisher import Publisher
from worker.calls.prefetch import Prefetch
from worker.engine.queues import CANDIDATES, PausingConsumer, pausing
from worker.settings.sections import WorkerSettings

LANES = [topology.calls_queue("genesys", lane) for lane in Lane]


class Holds:
    """What the consumer asks, as told."""

    shut = probed = False
    on_opened: Callable[[], object]

    def is_paused(self, _provider: str) -> bool:
        """Whether no call may go."""
        return self.shut

    def may_probe(self, _provider: str) -> bool:
        """Whether one call may go as the probe."""
        return self.probed


def consuming(connection: Connection, holds: Holds) -> tuple[PausingConsumer, list[object]]:
    """A consumer of both lanes of a provider, and the list of what it says to the broker."""
    made = pausing(Prefetch(WorkerSettings(), {}).of_queue, lambda: holds)(connection.channel(), LANES)
    said: list[object] = []
    send = made.channel.send_method

    def listen(method: object, *args: object, **options: object) -> object:
        said.append(method)
        return send(method, *args, **options)

    made.channel.send_method = listen
    return made, said


def test_what_is_consumed_already_is_not_asked_for_again(rabbitmq_url: str) -> None:
    """Four looks a second: each question would stop the worker until the broker has answered."""
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        consumer, said = consuming(connection, Holds())
        consumer.consume()
        assert len(said) == 2 * len(LANES)  # a prefetch count and a consumer for each
        for _ in range(3):
            consumer.adjust()
        assert len(said) == 2 * len(LANES)


def test_what_was_held_is_consumed_again_once_it_is_not(rabbitmq_url: str) -> None:
    """Each queue by its own limit, and the others are left alone."""
    holds = Holds()
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        consumer, said = consuming(connection, holds)
        arrived: list[object] = []
        consumer.on_message = arrived.append
        consumer.consume()
        holds.shut = True
        consumer.adjust()
        with Publisher(lambda: broker.connect(rabbitmq_url)) as publisher:
            publisher.publish_all([messages.call(session_call("held", provider="genesys"))])
        said.clear()
        holds.shut = False
        consumer.adjust()
        assert len(said) == 2 * len(LANES)
        connection.drain_events(timeout=5)
        assert len(arrived) == 1


def test_a_queue_that_is_neither_consumed_nor_held_is_named(rabbitmq_url: str) -> None:
    """Who has such a queue is not ready; that of a held provider is left alone on purpose."""
    holds = Holds()
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        consumer, _ = consuming(connection, holds)
        assert consumer.not_consumed() == [queue.name for queue in LANES]
        consumer.consume()
        assert consumer.not_consumed() == []
        consumer._pause(LANES[0].name)
        assert consumer.not_consumed() == [LANES[0].name]
        holds.shut = True
        assert consumer.not_consumed() == []


def test_for_a_probe_a_few_messages_are_taken(rabbitmq_url: str) -> None:
    """Urgent ones first; one of them becomes the probe, and it need not be the one that failed the last time."""
    holds = Holds()
    holds.shut = holds.probed = True
    with broker.connect(rabbitmq_url) as connection:
        topology.declare(connection, ["genesys"])
        consumer, _ = consuming(connection, holds)
        arrived: list[str] = []
        consumer.on_message = lambda message: arrived.append(message.delivery_info["routing_key"])
        calls = [session_call("held", provider="genesys", lane=lane) for lane in (Lane.ROUTINE, Lane.URGENT)]
        with Publisher(lambda: broker.connect(rabbitmq_url)) as publisher:
            publisher.publish_all([messages.call(each) for each in [calls[0]] * CANDIDATES + [calls[1]] * 3])
        consumer.adjust()
        assert arrived == ["genesys.urgent"] * 3 + ["genesys.routine"] * (CANDIDATES - 3)
        consumer.adjust()
        assert len(arrived) == CANDIDATES  # they have a second to begin
