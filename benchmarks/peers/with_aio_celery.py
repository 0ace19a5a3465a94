"""aio-celery: Celery's messages on asyncio; late acks are its only way, no results."""

from aio_celery import Celery
from calling import BROKER, IN_FLIGHT, PREFETCH, QUEUE, Caller, Document

app = Celery()
app.conf.update(
    broker_url=BROKER,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    inspection_http_server_port=0,
    worker_prefetch_multiplier=max(1, PREFETCH // IN_FLIGHT),
)
caller = Caller()


@app.task(name="revoke")
async def revoke(document: Document) -> None:
    """Make one provider call."""
    await caller.call(document)
