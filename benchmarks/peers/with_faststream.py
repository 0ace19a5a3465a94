"""FastStream on RabbitMQ; its subscriber runs as many calls at once as are prefetched."""

import asyncio
import logging
from typing import Any

from calling import BROKER, IN_FLIGHT, QUEUE, Caller
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

broker = RabbitBroker(BROKER, default_channel=Channel(prefetch_count=IN_FLIGHT), logger=None, log_level=logging.WARNING)
app = FastStream(broker, logger=None)
caller = Caller()


@broker.subscriber(RabbitQueue(QUEUE, durable=True), ack_policy=AckPolicy.NACK_ON_ERROR)
async def revoke(document: dict[str, Any]) -> None:
    """Make one provider call."""
    await caller.call(document)


if __name__ == "__main__":
    asyncio.run(app.run())
