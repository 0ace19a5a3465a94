"""taskiq with taskiq-aio-pika; acknowledged when executed, no results."""

from calling import BROKER, PREFETCH, QUEUE, Caller, Document
from taskiq_aio_pika import AioPikaBroker, Queue, QueueType

broker = AioPikaBroker(BROKER, qos=PREFETCH, task_queues=[Queue(name=QUEUE, type=QueueType.CLASSIC)])
caller = Caller()


@broker.task(task_name="revoke")
async def revoke(document: Document) -> None:
    """Make one provider call."""
    await caller.call(document)
