"""dramatiq on RabbitMQ: with requests in threads, or with async actors on its AsyncIO middleware."""

import os

import dramatiq
from calling import BROKER, QUEUE, BlockingCaller, Caller, Document
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import AsyncIO

broker = RabbitmqBroker(url=BROKER, middleware=[AsyncIO()])
dramatiq.set_broker(broker)

if os.environ["BENCH_STYLE"] == "asyncio":
    caller = Caller()

    @dramatiq.actor(actor_name="revoke", queue_name=QUEUE)
    async def revoke(document: Document) -> None:
        """Make one provider call."""
        await caller.call(document)

else:
    blocking = BlockingCaller(shared=False)

    @dramatiq.actor(actor_name="revoke", queue_name=QUEUE)
    def revoke_in_thread(document: Document) -> None:
        """Make one provider call."""
        blocking.call(document)
